//! The inputs of a run over rows, and their identity.
//!
//! The identity of an input is a digest of its content, not its path: a file that was moved is the same input, and a
//! file that was edited is another. Rows in memory have the identity of a file with the same lines that was
//! opened as JSONL by name. The format of
//! a file is a part of its identity only if the caller named it, since the same bytes read in another format are other
//! rows.

use std::path::PathBuf;
use std::sync::Arc;

use antiphon_data::{Encoding, RowFormat, RowOptions, Rows};

use crate::error::Error;
use crate::feed::RowSource;

/// The source of a run's rows.
///
/// Rows are read ahead of the calls only by a bounded number (backpressure), so an input may be larger than memory.
///
/// ```
/// use antiphon_engine::{Input, Mapping, Recipe};
/// let recipe = Recipe::parse("towns.toml", "prompt = \"In which country is {{ name }}?\"")?;
/// let mapping = Mapping::new(Input::Path("towns.csv".into(), None), recipe, "some-model");
/// assert_eq!(mapping.input_name, "towns.csv");
/// # Ok::<(), antiphon_engine::Error>(())
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Input {
    /// A file of rows, or a folder of documents. Without a format, it is detected from the name or the first bytes of the file.
    /// The file is read twice: for its digest, and for its rows. A row that cannot be read fails alone, as `bad_row`.
    Path(PathBuf, Option<RowFormat>),
    /// A file or a folder as [`Path`](Self::Path), with what the caller knows of it: also its encoding, or the links to follow.
    With(PathBuf, RowOptions),
    /// Rows in memory: texts of JSON objects. For a few of them, whose outcomes the caller needs directly, use
    /// [`JobBatch`](crate::JobBatch).
    Rows(Arc<[String]>),
    /// The rows in the store: for a run that is resumed by its id and has all its rows already.
    Stored,
}

/// The identity of an input: its digest, and the format that the caller named, if any.
#[derive(Debug, Clone)]
pub(super) struct InputIdentity {
    /// The SHA-256 of the content, in hexadecimal.
    pub(super) digest: String,
    /// The name of the format, such as `Csv`.
    pub(super) format: Option<String>,
}

impl InputIdentity {
    /// Creates an identity. The format is stored by the name of its variant.
    fn new(digest: String, format: Option<RowFormat>) -> Self {
        Self { digest, format: format.map(|format| format!("{format:?}")) }
    }

    /// Creates the identity of an input whose encoding the caller named: the same bytes in another one are other rows.
    fn encoded(digest: String, format: Option<RowFormat>, encoding: Encoding) -> Self {
        let format = format.map(|format| format!("{format:?} ")).unwrap_or_default();
        Self { digest, format: Some(format!("{format}in {}", encoding.name())) }
    }

    /// Returns the note that is stored with a run, so that the run can be resumed from the store alone.
    pub(super) fn note(&self) -> String {
        match &self.format {
            Some(format) => format!("{} {format}", self.digest),
            None => self.digest.clone(),
        }
    }

    /// Parses the note that [`note`](Self::note) returns.
    pub(super) fn of_note(note: &str) -> Self {
        match note.split_once(' ') {
            Some((digest, format)) => Self { digest: digest.to_owned(), format: Some(format.to_owned()) },
            None => Self { digest: note.to_owned(), format: None },
        }
    }
}

impl Input {
    /// Opens the rows and computes their identity; `None` for both where the rows are in the store.
    ///
    /// # Errors
    /// `Input` for a path that cannot be read.
    pub(super) async fn open(&self) -> Result<(Option<RowSource>, Option<InputIdentity>), Error> {
        match self {
            Self::Path(path, format) => {
                let (rows, digest) = Rows::open_digested(path, *format).await.map_err(Error::input)?;
                let rows = RowSource::begin(rows).await.map_err(Error::input)?;
                Ok((Some(rows), Some(InputIdentity::new(digest, *format))))
            }
            Self::With(path, options) => {
                let opened = Rows::open_with(path, options.clone()).await;
                let (rows, digest) = opened.map_err(Error::input)?;
                let rows = RowSource::begin(rows).await.map_err(Error::input)?;
                let identity = match options.encoding {
                    Some(encoding) => InputIdentity::encoded(digest, options.format, encoding),
                    None => InputIdentity::new(digest, options.format),
                };
                Ok((Some(rows), Some(identity)))
            }
            Self::Rows(rows) => {
                // Earlier versions wrote them to a JSONL file first; with the same format their runs are still found.
                let identity = InputIdentity::new(Rows::digest_of(rows.iter()), Some(RowFormat::Jsonl));
                Ok((Some(RowSource::of(rows.to_vec())), Some(identity)))
            }
            Self::Stored => Ok((None, None)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::InputIdentity;

    #[test]
    fn a_note_keeps_the_named_format() {
        for note in ["0a1b", "0a1b Csv", "0a1b Csv in koi8-r"] {
            assert_eq!(InputIdentity::of_note(note).note(), note);
        }
        assert_eq!(InputIdentity::of_note("0a1b Csv").format.as_deref(), Some("Csv"));
    }
}

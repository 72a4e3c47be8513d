use std::path::PathBuf;
use std::sync::Arc;

use antiphon_data::{RowFormat, Rows};

use crate::error::Error;
use crate::feed::RowSource;

/// The place that a run's rows come from.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Input {
    /// A file of rows, or a folder of documents. Without a format the name tells, or the file's beginning.
    Path(PathBuf, Option<RowFormat>),
    /// Rows that are there already: texts of JSON objects.
    Rows(Arc<[String]>),
    /// The store: for a run that is resumed by its id and has all its rows already.
    Stored,
}

/// What tells an input from another: its digest, and the format that it was said to be in.
#[derive(Debug, Clone)]
pub(super) struct InputIdentity {
    pub(super) digest: String,
    pub(super) format: Option<String>,
}

impl InputIdentity {
    fn new(digest: String, format: Option<RowFormat>) -> Self {
        Self { digest, format: format.map(|format| format!("{format:?}")) }
    }

    /// The note that is stored with a run, for the day when it is resumed from the store alone.
    pub(super) fn note(&self) -> String {
        match &self.format {
            Some(format) => format!("{} {format}", self.digest),
            None => self.digest.clone(),
        }
    }

    pub(super) fn of_note(note: &str) -> Self {
        match note.split_once(' ') {
            Some((digest, format)) => Self { digest: digest.to_owned(), format: Some(format.to_owned()) },
            None => Self { digest: note.to_owned(), format: None },
        }
    }
}

impl Input {
    /// Opens the rows; with them what tells them from others.
    pub(super) async fn open(&self) -> Result<(Option<RowSource>, Option<InputIdentity>), Error> {
        match self {
            Self::Path(path, format) => {
                let (rows, digest) = Rows::open_digested(path, *format).await.map_err(Error::input)?;
                let rows = RowSource::begin(rows).await.map_err(Error::input)?;
                Ok((Some(rows), Some(InputIdentity::new(digest, *format))))
            }
            Self::Rows(rows) => {
                // Earlier versions put them into a file first: their runs are found by it.
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
    fn a_note_keeps_the_format_that_was_said() {
        for note in ["0a1b", "0a1b Csv"] {
            assert_eq!(InputIdentity::of_note(note).note(), note);
        }
        assert_eq!(InputIdentity::of_note("0a1b Csv").format.as_deref(), Some("Csv"));
    }
}

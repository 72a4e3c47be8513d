//! Reading of rows from files in batches; each row is one JSON object.
//!
//! | source | a row is | the row's JSON |
//! |---|---|---|
//! | CSV | a record after the header, which may have several lines | an object of strings by column |
//! | JSON Lines (NDJSON) | a line that is not blank | the line as it is, if it is an object |
//! | JSON | an element of the array | the element, if it is an object |
//! | folder | a document | `{"name": …, "text": …}` |
//!
//! Rows are texts and not parsed values, since most are only put into a prompt and written to a file. A line of JSON
//! Lines is checked, but not written anew, so that its spelling of numbers and its order of keys are kept. Those of an
//! element of a JSON array are kept, too; only its white space is not.
//!
//! A bad row never ends the input (`bad`): it is reported with its source text, so that a user can correct it and run
//! it again. Only an error of the file itself does. Batches bound the memory: 256 rows, or fewer once they have 16 MiB.

#[cfg(test)]
#[cfg(feature = "csv")]
mod alike;
mod bad;
#[cfg(feature = "csv")]
mod csv;
mod keys;
mod look;
mod opening;
mod options;
mod refuse;
#[cfg(test)]
#[cfg(feature = "csv")]
mod tests;
#[cfg(not(feature = "csv"))]
mod unbuilt;

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use antiphon_fs::ReadBelow;
use sha2::{Digest, Sha256};

use crate::document::hex;
use crate::error::{Error, Failure, Malformed};
use crate::loader::{Loaded, Loader, Naming};
pub use bad::RawRow;
#[cfg(feature = "anonymise")]
pub(crate) use bad::line_of_failure;
use bad::{bad_line, row_of_line};
#[cfg(feature = "csv")]
use csv::Records;
pub use keys::check_keys;
use look::Lines;
use opening::Opening;
pub use options::RowOptions;
#[cfg(not(feature = "csv"))]
use unbuilt::Records;

/// A row as the text of a JSON object, or the [`Failure`] if it could not be read. Of JSON, the object has no
/// `_antiphon` key, which notes on failed rows use.
pub type Row = Result<String, Failure>;

/// The format of a file of rows. Serialised by the lower-case name of the variant.
///
/// For files that are parsed as a whole into speakers and turns, see [`Format`](crate::Format). Files may be in UTF-8,
/// UTF-16 with a byte order mark, or an encoding that the caller names; tables also in windows-1252.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum RowFormat {
    /// A table with a header row, separated by commas, semicolons or tabs. Each row becomes an object whose values are
    /// strings.
    ///
    /// A file named `.tsv` is separated by tabs, and one whose first line is `sep=;` by semicolons. Of other files the
    /// first records decide: the separator is the one that gives them the same number of fields. Names of columns are
    /// trimmed, an empty one becomes `column_N`, and the second one called `Answer` becomes `Answer (2)`. A quote within
    /// an unquoted field is literal.
    ///
    /// Extensions: `.csv`, `.tsv`. Read with the feature `csv` only, which is on by default; in a build without it,
    /// opening such a file is `NothingReadable`, with the name of the feature.
    Csv,
    /// One JSON value on each line (NDJSON). Blank lines are skipped, and count for line numbers. A line with an object that
    /// has a key twice is a failure. Extensions: `.jsonl`, `.ndjson`.
    Jsonl,
    /// One JSON array of values, which is read into memory as a whole, up to 256 MiB. A single object counts as one
    /// row. A failure has the line on which its element begins. Extension: `.json`.
    Json,
    /// A folder of documents. Each document becomes an object with `name` and `text`; see [`Loader`](crate::Loader) for
    /// the files that are left out.
    Folder,
}

/// A reader of the rows of a file or a folder, in batches.
///
/// The memory use does not grow with the size of the file, except for a JSON array. Rows are returned in the order of
/// the file; documents of a folder in the order of their paths.
///
/// A JSON value that is not an object becomes an object with the key `value`. The key `_antiphon`, under which an
/// earlier run stores its note on a failed row, is removed, so that a file of failed rows can be used as input. Use
/// [`Loader`](crate::Loader) for documents with speakers and turns.
///
/// # Examples
/// ```
/// use antiphon_data::Rows;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), antiphon_data::Error> {
/// # let folder = antiphon_fs::temp_dir().map_err(|_| ()).unwrap();
/// # let path = folder.path().join("towns.csv");
/// # antiphon_fs::write(&path, "name,country\nOslo,Norway\n").await.unwrap();
/// let mut rows = Rows::open(&path, None).await?;
/// let batch = rows.next().await?;
/// assert_eq!(batch, [Ok(r#"{"name":"Oslo","country":"Norway"}"#.to_owned())]);
/// assert!(rows.next().await?.is_empty());
/// # Ok(())
/// # }
/// ```
///
/// A bad row is a failure between the others:
///
/// ```
/// use antiphon_data::Rows;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), antiphon_data::Error> {
/// # let folder = antiphon_fs::temp_dir().unwrap();
/// # let path = folder.path().join("towns.jsonl");
/// # antiphon_fs::write(&path, "{\"n\": 1}\n{\"n\": \n\"three\"\n").await.unwrap();
/// // The lines are {"n": 1}, {"n": and "three".
/// let batch = Rows::open(&path, None).await?.next().await?;
/// assert_eq!(batch[0].as_deref(), Ok(r#"{"n": 1}"#));
/// assert_eq!(batch[1].as_ref().unwrap_err().line, Some(2));
/// assert_eq!(batch[2].as_deref(), Ok(r#"{"value":"three"}"#));
/// # Ok(())
/// # }
/// ```
pub struct Rows {
    /// The path as it was passed, for failures and errors.
    name: String,
    format: RowFormat,
    encoding: &'static str,
    source: Source,
}

/// The rest of the input, by its format.
enum Source {
    Csv(Box<Records>),
    /// The lines, and the number of those read so far.
    Lines(Lines, u32),
    Values(std::vec::IntoIter<Row>),
    Documents(Documents),
}

/// The documents of a folder that were not read yet.
struct Documents {
    root: Arc<Path>,
    loader: Loader,
    files: std::vec::IntoIter<ReadBelow>,
    /// The failures of listing the folder, which are part of the first batch.
    failures: Vec<Failure>,
}

impl Documents {
    /// Reads the next documents, at most [`DOCUMENTS`], and returns them as rows, followed by the failures.
    async fn next(&mut self) -> Result<Vec<Row>, Error> {
        let mut loaded = Loaded::default();
        std::mem::swap(&mut loaded.failures, &mut self.failures);
        let files = self.files.by_ref().take(DOCUMENTS).collect();
        self.loader.read(Naming::Below(self.root.clone()), files, &mut loaded).await?;
        let documents = loaded.documents.into_iter().map(|document| {
            let row = serde_json::json!({ "name": document.name, "text": &*document.text });
            Ok(row.to_string())
        });
        Ok(documents.chain(loaded.failures.into_iter().map(Err)).collect())
    }
}

/// A batch of rows under construction, limited by their number and by the bytes of their source texts.
#[derive(Default)]
struct Batch {
    rows: Vec<Row>,
    bytes: usize,
}

impl Batch {
    /// Returns whether no more rows belong into the batch.
    fn is_full(&self) -> bool {
        self.rows.len() >= BATCH || self.bytes >= BATCH_BYTES
    }

    /// Adds a row whose source text has so many bytes.
    fn push(&mut self, bytes: usize, row: Row) {
        self.bytes += bytes;
        self.rows.push(row);
    }
}

/// The most rows in a batch.
const BATCH: usize = 256;
/// The bytes of a batch after which no more rows are added to it.
const BATCH_BYTES: usize = 16 << 20;
/// The most documents in a batch.
const DOCUMENTS: usize = 32;

impl RowFormat {
    /// Returns the format for a file name's extension, ignoring case; `None` for an unknown one.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let (_, ending) = name.rsplit_once('.')?;
        Some(match ending.to_ascii_lowercase().as_str() {
            "csv" | "tsv" => Self::Csv,
            "jsonl" | "ndjson" => Self::Jsonl,
            "json" => Self::Json,
            _ => return None,
        })
    }

    /// Returns the format that the first bytes of a file suggest, for a name without a known extension.
    ///
    /// A file that begins with `[` is JSON; one that begins with `{` or `"` is JSON Lines; everything else is CSV.
    /// White space and a byte order mark are skipped.
    #[must_use]
    pub fn from_beginning(beginning: &[u8]) -> Self {
        let text = beginning.strip_prefix(b"\xef\xbb\xbf").unwrap_or(beginning);
        match text.iter().find(|byte| !byte.is_ascii_whitespace()) {
            Some(b'[') => Self::Json,
            Some(b'{' | b'"') => Self::Jsonl,
            _ => Self::Csv,
        }
    }
}

impl Rows {
    /// Opens a file of rows, or a folder of documents.
    /// If `format` is `None`, the file's extension selects the format; for an unknown extension, the first bytes do
    /// ([`RowFormat::from_beginning`]). For a folder, `format` is ignored.
    ///
    /// Opening reads the header of a table, the whole of a JSON array, and the list of the files in a folder; of
    /// JSON Lines, at most the first block, to detect the format.
    ///
    /// # Errors
    /// `NotFound`; `Empty` for a folder without documents; `NothingReadable` for a file that does not have the format;
    /// or `Io`. A file does not have the format if it is a table without a header or with an unclosed quote in it, JSON
    /// that is malformed or neither an array nor an object, or a file that is opened as a folder; and if it is something
    /// else, such as a PDF, an image, a web page or, without a format, prose.
    ///
    /// # Cancel safety
    /// A dropped call changes nothing.
    pub async fn open(path: impl AsRef<Path>, format: Option<RowFormat>) -> Result<Self, Error> {
        let options = RowOptions::default().format(format);
        Opening { path: path.as_ref(), options }.open().await
    }

    /// Opens rows as [`open`](Self::open) does, and returns them with a digest of the whole input, for example as part
    /// of an idempotency key.
    ///
    /// The digest is a SHA-256 in hexadecimal: of the file, or of the names and contents of all documents of a folder.
    /// The input is read twice. The file is opened only once, so that both reads are of the same file even if it is
    /// replaced in between; the documents of a folder are opened twice.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    ///
    /// # Cancel safety
    /// A dropped call changes nothing.
    pub async fn open_digested(
        path: impl AsRef<Path>,
        format: Option<RowFormat>,
    ) -> Result<(Self, String), Error> {
        Self::open_with(path, RowOptions::default().format(format)).await
    }

    /// Opens rows as [`open_digested`](Self::open_digested) does, with what the caller knows of them.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    ///
    /// # Cancel safety
    /// A dropped call changes nothing.
    ///
    /// ```
    /// use antiphon_data::{Encoding, RowOptions, Rows};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), antiphon_data::Error> {
    /// # let folder = antiphon_fs::temp_dir().unwrap();
    /// # let path = folder.path().join("rows.csv");
    /// # antiphon_fs::write(&path, b"name\n\xc4\xe0\n").await.unwrap();
    /// let options = RowOptions::default().encoding(Encoding::of_label("windows-1251"));
    /// let (mut rows, _) = Rows::open_with(path, options).await?;
    /// assert_eq!(rows.next().await?, [Ok(r#"{"name":"Да"}"#.to_owned())]);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn open_with(path: impl AsRef<Path>, options: RowOptions) -> Result<(Self, String), Error> {
        Opening { path: path.as_ref(), options }.open_digested().await
    }

    /// Returns the digest of rows in memory. It equals the digest of a JSON Lines file with these rows, each followed
    /// by a line feed.
    ///
    /// ```
    /// use antiphon_data::{RowFormat, Rows};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let folder = antiphon_fs::temp_dir()?;
    /// # let path = folder.path().join("rows.jsonl");
    /// antiphon_fs::write(&path, "{\"n\": 1}\n{\"n\": 2}\n").await?;
    /// let (_, digest) = Rows::open_digested(&path, Some(RowFormat::Jsonl)).await?;
    /// assert_eq!(Rows::digest_of(["{\"n\": 1}", "{\"n\": 2}"]), digest);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn digest_of(rows: impl IntoIterator<Item = impl AsRef<str>>) -> String {
        let mut hash = Sha256::new();
        for row in rows {
            hash.update(row.as_ref());
            hash.update(b"\n");
        }
        hex(&hash.finalize())
    }

    /// Returns the format of the rows.
    #[must_use]
    pub fn format(&self) -> RowFormat {
        self.format
    }

    /// Returns the encoding of the file, by its WHATWG name; `UTF-8` for a folder, whose documents each have their own.
    #[must_use]
    pub fn encoding(&self) -> &'static str {
        self.encoding
    }

    /// Returns the next batch: at most 256 rows, or 32 documents of a folder, in order. An empty batch is the end.
    ///
    /// A malformed row, or one of more than 16 MiB, is a [`Failure`] with its line and text; reading continues after
    /// it. Of a table, rows behind a quoted field that is never closed cannot be separated: they are part of that one
    /// failure.
    ///
    /// # Errors
    /// `Io` if the rest of the file cannot be read.
    ///
    /// # Cancel safety
    /// Not cancel safe: rows that were read and not yet returned are lost. Do not use the reader after dropping a call.
    pub async fn next(&mut self) -> Result<Vec<Row>, Error> {
        match &mut self.source {
            Source::Csv(records) => records.next(&self.name).await,
            Source::Lines(lines, number) => next_lines(lines, number, &self.name).await,
            Source::Values(values) => Ok(values.take(BATCH).collect()),
            Source::Documents(documents) => documents.next().await,
        }
    }
}

impl fmt::Debug for Rows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rows").field("name", &self.name).field("format", &self.format).finish_non_exhaustive()
    }
}

/// Reads the next batch of JSON Lines; `number` counts the lines of the file, blank ones included.
async fn next_lines(lines: &mut Lines, number: &mut u32, name: &str) -> Result<Vec<Row>, Error> {
    let mut batch = Batch::default();
    while !batch.is_full() {
        let Some(line) = lines.next().await else { break };
        *number += 1;
        match line {
            Ok(line) if line.trim().is_empty() => {}
            Ok(line) => batch.push(line.len(), row_of_line(line, name, *number)),
            Err(err) => {
                let (reason, raw) = bad_line(err)?;
                let bytes = raw.text.len();
                batch.push(bytes, Err(Malformed { line: Some(*number), ..reason }.of(name).with_raw(raw)));
            }
        }
    }
    Ok(batch.rows)
}

/// Returns the error of a file that does not have the format, at the line if it is known.
fn unreadable(name: &str, why: Malformed) -> Error {
    let place = why.line.map_or_else(|| name.to_owned(), |line| format!("{name}:{line}"));
    Error::of_rows(format!("cannot read rows from {place}: {}", why.reason), why)
}

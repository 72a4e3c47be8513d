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
//! Lines is checked, but not written anew, so that its spelling of numbers and its order of keys are kept.
//!
//! A bad row never ends the input (`bad`): it is reported with its source text, so that a user can correct it and run
//! it again. Only an error of the file itself does. Batches bound the memory: 256 rows, or fewer once they have 16 MiB.

mod bad;
#[cfg(feature = "csv")]
mod csv;
#[cfg(test)]
#[cfg(feature = "csv")]
mod tests;
#[cfg(not(feature = "csv"))]
mod unbuilt;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use antiphon_fs::{FileLines, Reader};
use futures_util::StreamExt;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::error::{Error, ErrorKind, Failure, Malformed};
use crate::loader::{Listing, Loaded, Loader, Naming, name_of};
pub use bad::RawRow;
#[cfg(feature = "anonymise")]
pub(crate) use bad::line_of_failure;
use bad::{bad_line, row_of, row_of_line};
#[cfg(feature = "csv")]
use csv::Records;
#[cfg(not(feature = "csv"))]
use unbuilt::Records;

/// A row as the text of a JSON object, or the [`Failure`] if it could not be read. Of JSON, the object has no
/// `_antiphon` key, which notes on failed rows use.
pub type Row = Result<String, Failure>;

/// The format of a file of rows. Serialised by the lower-case name of the variant.
///
/// For files that are parsed as a whole into speakers and turns, see [`Format`](crate::Format). Rows have to be UTF-8,
/// with or without a byte order mark, in all formats but [`Folder`](Self::Folder).
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum RowFormat {
    /// A table with a header row, separated by commas, semicolons or tabs. Each row becomes an object whose values are
    /// strings.
    ///
    /// A file named `.tsv` is separated by tabs. For other names the header decides on the separator: a comma if it has
    /// one, else a semicolon, else a tab. Names of columns are trimmed, an empty one becomes `column_N`, and no two may
    /// be equal. A quote within an unquoted field is literal.
    ///
    /// Extensions: `.csv`, `.tsv`. Read with the feature `csv` only, which is on by default; in a build without it,
    /// opening such a file is `NothingReadable`, with the name of the feature.
    Csv,
    /// One JSON value on each line (NDJSON). Blank lines are skipped, and count for line numbers. Extensions: `.jsonl`,
    /// `.ndjson`.
    Jsonl,
    /// One JSON array of values, which is read into memory as a whole, up to 256 MiB. A single object counts as one
    /// row. Failures have no line. Extension: `.json`.
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
    source: Source,
}

/// The rest of the input, by its format.
enum Source {
    Csv(Box<Records>),
    /// The lines, and the number of those read so far.
    Lines(FileLines, u32),
    Values(std::vec::IntoIter<Value>),
    Documents(Documents),
}

/// The documents of a folder that were not read yet.
struct Documents {
    root: Arc<Path>,
    loader: Loader,
    paths: std::vec::IntoIter<PathBuf>,
    /// The failures of listing the folder, which are part of the first batch.
    failures: Vec<Failure>,
}

impl Documents {
    /// Reads the next documents, at most [`DOCUMENTS`], and returns them as rows, followed by the failures.
    async fn next(&mut self) -> Result<Vec<Row>, Error> {
        let mut loaded = Loaded::default();
        std::mem::swap(&mut loaded.failures, &mut self.failures);
        let paths = self.paths.by_ref().take(DOCUMENTS).collect();
        self.loader.read(Naming::Below(self.root.clone()), paths, &mut loaded).await?;
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
    /// or `Io`. A file does not have the format if it is a table without a header, with an unclosed quote in it or with
    /// two equal columns, JSON that is malformed or neither an array nor an object, or a file that is opened as a
    /// folder.
    ///
    /// # Cancel safety
    /// A dropped call changes nothing.
    pub async fn open(path: impl AsRef<Path>, format: Option<RowFormat>) -> Result<Self, Error> {
        let path = path.as_ref();
        if is_folder(path).await? {
            Self::of_folder(path, None).await
        } else {
            let reader = Reader::open(path).await.map_err(Error::from_fs)?;
            Self::of_file(reader, path, format).await
        }
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
        let path = path.as_ref();
        let mut hash = Sha256::new();
        let rows = if is_folder(path).await? {
            Self::of_folder(path, Some(&mut hash)).await?
        } else {
            let reader = Reader::open(path).await.map_err(Error::from_fs)?;
            let (reader, digested) = add_digest(reader, hash).await?;
            hash = digested;
            Self::of_file(reader, path, format).await?
        };
        Ok((rows, hex(hash)))
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
        hex(hash)
    }

    /// Starts reading a file: the format is the given one, that of the extension, or that of the first bytes.
    async fn of_file(reader: Reader, path: &Path, format: Option<RowFormat>) -> Result<Self, Error> {
        let name = path.display().to_string();
        let (reader, format) = match format.or_else(|| RowFormat::from_name(&name)) {
            Some(format) => (reader, format),
            None => detect_format(reader).await?,
        };
        let source = match format {
            RowFormat::Csv => Source::Csv(Box::new(Records::begin(reader.lines(), &name).await?)),
            RowFormat::Jsonl => Source::Lines(reader.lines(), 0),
            RowFormat::Json => Source::Values(read_values(reader, &name).await?.into_iter()),
            RowFormat::Folder => {
                return Err(Error::new(ErrorKind::NothingReadable, format!("{name} is not a folder")));
            }
        };
        Ok(Self { name, format, source })
    }

    /// Lists a folder, and adds its documents to the hash, if there is one. The order is that of the paths, so that the
    /// digest does not depend on the file system.
    async fn of_folder(path: &Path, hash: Option<&mut Sha256>) -> Result<Self, Error> {
        let (name, loader) = (path.display().to_string(), Loader::new());
        let Listing { mut paths, failures, skipped } = loader.list(path).await?;
        if paths.is_empty() && failures.is_empty() {
            let others = skipped.len();
            let why = match others {
                0 => "the folder is empty".to_owned(),
                1 => "its only file is of an unsupported type".to_owned(),
                others => format!("none of its {others} files has a supported type"),
            };
            let message = format!("no document in {name}: {why}");
            return Err(Error::new(ErrorKind::Empty, message));
        }
        paths.sort();
        if let Some(hash) = hash {
            add_files(hash, path, &paths).await?;
        }
        let documents = Documents { root: path.into(), loader, paths: paths.into_iter(), failures };
        Ok(Self { name, format: RowFormat::Folder, source: Source::Documents(documents) })
    }

    /// Returns the format of the rows.
    #[must_use]
    pub fn format(&self) -> RowFormat {
        self.format
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
            Source::Values(values) => {
                Ok(values.take(BATCH).map(|value| row_of(value, &self.name, None)).collect())
            }
            Source::Documents(documents) => documents.next().await,
        }
    }
}

impl fmt::Debug for Rows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rows").field("name", &self.name).field("format", &self.format).finish_non_exhaustive()
    }
}

/// Returns whether a path is a folder.
///
/// # Errors
/// `NotFound` or `Io`.
async fn is_folder(path: &Path) -> Result<bool, Error> {
    Ok(antiphon_fs::metadata(path).await.map_err(Error::from_fs)?.is_dir)
}

/// Finishes a hash, and returns it as 64 hexadecimal digits.
fn hex(hash: Sha256) -> String {
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Adds the whole file to the hash, and returns the file rewound to its beginning.
async fn add_digest(reader: Reader, hash: Sha256) -> Result<(Reader, Sha256), Error> {
    let add = |hash: &mut Sha256, block: &[u8]| {
        hash.update(block);
        true
    };
    reader.scan(hash, add).await.map_err(Error::from_fs)
}

/// Adds the name and the content of each file to the hash, with a zero byte between them, which no name has.
async fn add_files(hash: &mut Sha256, root: &Path, files: &[PathBuf]) -> Result<(), Error> {
    for file in files {
        hash.update(name_of(root, file));
        hash.update([0]);
        let reader = Reader::open(file).await.map_err(Error::from_fs)?;
        (_, *hash) = add_digest(reader, std::mem::take(hash)).await?;
    }
    Ok(())
}

/// Detects the format from the file's first bytes, and returns the file rewound to its beginning.
async fn detect_format(reader: Reader) -> Result<(Reader, RowFormat), Error> {
    let look = |format: &mut RowFormat, block: &[u8]| {
        *format = RowFormat::from_beginning(block);
        false
    };
    reader.scan(RowFormat::Csv, look).await.map_err(Error::from_fs)
}

/// Reads the next batch of JSON Lines; `number` counts the lines of the file, blank ones included.
async fn next_lines(lines: &mut FileLines, number: &mut u32, name: &str) -> Result<Vec<Row>, Error> {
    let mut batch = Batch::default();
    while !batch.is_full() {
        let Some(line) = lines.next().await else { break };
        *number += 1;
        match line {
            Ok(line) if line.trim().is_empty() => {}
            Ok(line) => batch.push(line.len(), row_of_line(line, name, *number)),
            Err(err) => {
                let (reason, raw) = bad_line(err)?;
                batch.push(raw.text.len(), Err(Failure::of_row(name, Some(*number), reason, raw)));
            }
        }
    }
    Ok(batch.rows)
}

/// Reads the values of a JSON file into memory.
async fn read_values(reader: Reader, name: &str) -> Result<Vec<Value>, Error> {
    let bytes = reader.bytes().await.map_err(Error::from_fs)?;
    values(&bytes, name)
}

/// Parses a JSON array of values, or a single object, which counts as one.
fn values(bytes: &[u8], name: &str) -> Result<Vec<Value>, Error> {
    let failed = |reason: String| unreadable(name, Malformed::whole(reason));
    match serde_json::from_slice(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)) {
        Ok(Value::Array(values)) => Ok(values),
        Ok(Value::Object(row)) => Ok(vec![Value::Object(row)]),
        Ok(_) => Err(failed("expected a list of objects".to_owned())),
        Err(err) => Err(failed(format!("not valid JSON: {err}"))),
    }
}

/// Returns the error of a file that does not have the format, at the line if it is known.
fn unreadable(name: &str, why: Malformed) -> Error {
    let place = why.line.map_or_else(|| name.to_owned(), |line| format!("{name}:{line}"));
    Error::new(ErrorKind::NothingReadable, format!("cannot read rows from {place}: {}", why.reason))
}

//! Rows from files: one JSON object each, however large the file.

mod csv;

use std::fmt;
use std::path::{Path, PathBuf};

use antiphon_fs::{Lines, Reader};
use futures_util::StreamExt;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::error::{Error, ErrorKind, Failure};
use crate::loader::{Listing, Loaded, Loader, name_of};
use csv::Records;

/// A row as the text of a JSON object, or why it is none.
pub type Row = Result<String, Failure>;

/// What rows are written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum RowFormat {
    /// A table with a header: an object a row, all its values texts.
    Csv,
    /// One JSON value a line.
    Jsonl,
    /// One list of JSON values, read as a whole.
    Json,
    /// A folder of documents: an object with `name` and `text` for each.
    Folder,
}

/// The rows of a file or a folder, a batch at a time. Memory does not grow with the file, but for one that is a JSON list.
///
/// A value that is no object becomes one with the key `value`. What an earlier run noted under `_antiphon` is left out, so
/// that its failed rows can be run again.
///
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
pub struct Rows {
    name: String,
    format: RowFormat,
    source: Source,
}

enum Source {
    Csv(Box<Records>),
    Lines(Lines, u32),
    Values(std::vec::IntoIter<Value>),
    Documents { root: PathBuf, loader: Loader, paths: std::vec::IntoIter<PathBuf>, failures: Vec<Failure> },
}

/// Rows a batch, and documents.
const BATCH: usize = 256;
const DOCUMENTS: usize = 32;

impl RowFormat {
    /// The format that a file name's ending stands for, whatever its case.
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

    /// The format that a file without a telling name has by its beginning.
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
    /// Opens a file of rows, or a folder of documents. Without a format its name tells, or else its beginning.
    ///
    /// # Errors
    /// `NotFound`, `Empty` for a folder without documents, `NothingReadable` for a file that has no rows in that format,
    /// or `Io`.
    ///
    /// # Cancel safety
    /// Nothing is changed, so nothing is lost.
    pub async fn open(path: impl AsRef<Path>, format: Option<RowFormat>) -> Result<Self, Error> {
        let path = path.as_ref();
        match is_folder(path).await? {
            true => Self::of_folder(path, None).await,
            false => {
                let reader = Reader::open(path).await.map_err(Error::from_fs)?;
                Self::of_file(reader, path, format).await
            }
        }
    }

    /// As [`open`](Self::open), together with the digest that tells the input from another: SHA-256 of the file, or of the
    /// names and the content of all documents of a folder. A file is opened once.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    ///
    /// # Cancel safety
    /// Nothing is changed, so nothing is lost.
    pub async fn open_digested(
        path: impl AsRef<Path>,
        format: Option<RowFormat>,
    ) -> Result<(Self, String), Error> {
        let path = path.as_ref();
        let mut hash = Sha256::new();
        let rows = match is_folder(path).await? {
            true => Self::of_folder(path, Some(&mut hash)).await?,
            false => {
                let reader = Reader::open(path).await.map_err(Error::from_fs)?;
                let (reader, digested) = digested(reader, hash).await?;
                hash = digested;
                Self::of_file(reader, path, format).await?
            }
        };
        Ok((rows, hex(hash)))
    }

    /// Returns the digest of rows that are not in a file: that of a file of JSON Lines which has them.
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

    async fn of_file(reader: Reader, path: &Path, format: Option<RowFormat>) -> Result<Self, Error> {
        let name = path.display().to_string();
        let (reader, format) = match format.or_else(|| RowFormat::from_name(&name)) {
            Some(format) => (reader, format),
            None => sniffed(reader).await?,
        };
        let source = match format {
            RowFormat::Csv => Source::Csv(Box::new(Records::begin(reader.lines(), &name).await?)),
            RowFormat::Jsonl => Source::Lines(reader.lines(), 0),
            RowFormat::Json => {
                let bytes = reader.bytes().await.map_err(Error::from_fs)?;
                Source::Values(values(&bytes, &name)?.into_iter())
            }
            RowFormat::Folder => {
                return Err(Error::new(ErrorKind::NothingReadable, format!("{name} is no folder")));
            }
        };
        Ok(Self { name, format, source })
    }

    async fn of_folder(path: &Path, hash: Option<&mut Sha256>) -> Result<Self, Error> {
        let (name, loader) = (path.display().to_string(), Loader::new());
        let Listing { mut paths, failures, skipped } = loader.list(path).await?;
        if paths.is_empty() && failures.is_empty() {
            let others = skipped.len();
            let message = format!("no document in {name}: the {others} files in it are of other kinds");
            return Err(Error::new(ErrorKind::Empty, message));
        }
        paths.sort();
        if let Some(hash) = hash {
            for file in &paths {
                hash.update(name_of(path, file));
                hash.update([0]);
                let reader = Reader::open(file).await.map_err(Error::from_fs)?;
                (_, *hash) = digested(reader, std::mem::take(hash)).await?;
            }
        }
        let source = Source::Documents { root: path.to_owned(), loader, paths: paths.into_iter(), failures };
        Ok(Self { name, format: RowFormat::Folder, source })
    }

    /// What the rows are written as.
    #[must_use]
    pub fn format(&self) -> RowFormat {
        self.format
    }

    /// The next rows in their order; none at the end. A row that is none is a failure of its own with its line.
    ///
    /// # Errors
    /// `Io` when the file cannot be read on, or a row is too long to be one.
    ///
    /// # Cancel safety
    /// Rows that were read and not given are lost: do not go on after dropping a call.
    pub async fn next(&mut self) -> Result<Vec<Row>, Error> {
        match &mut self.source {
            Source::Csv(records) => records.next(&self.name, BATCH).await,
            Source::Lines(lines, number) => next_lines(lines, number, &self.name).await,
            Source::Values(values) => {
                Ok(values.take(BATCH).map(|value| Ok(object(value).to_string())).collect())
            }
            Source::Documents { root, loader, paths, failures } => {
                let mut loaded = Loaded::default();
                std::mem::swap(&mut loaded.failures, failures);
                loader.read(root, paths.take(DOCUMENTS).collect(), &mut loaded).await?;
                let documents = loaded.documents.into_iter().map(|document| {
                    let row = serde_json::json!({ "name": document.name, "text": &*document.text });
                    Ok(row.to_string())
                });
                Ok(documents.chain(loaded.failures.into_iter().map(Err)).collect())
            }
        }
    }
}

impl fmt::Debug for Rows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rows").field("name", &self.name).field("format", &self.format).finish_non_exhaustive()
    }
}

async fn is_folder(path: &Path) -> Result<bool, Error> {
    Ok(antiphon_fs::metadata(path).await.map_err(Error::from_fs)?.is_dir)
}

fn hex(hash: Sha256) -> String {
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The hash with the whole file added, and the file at its beginning.
async fn digested(reader: Reader, hash: Sha256) -> Result<(Reader, Sha256), Error> {
    let add = |hash: &mut Sha256, block: &[u8]| {
        hash.update(block);
        true
    };
    reader.scan(hash, add).await.map_err(Error::from_fs)
}

/// The format that a file's beginning tells, and the file at its beginning.
async fn sniffed(reader: Reader) -> Result<(Reader, RowFormat), Error> {
    let look = |format: &mut RowFormat, block: &[u8]| {
        *format = RowFormat::from_beginning(block);
        false
    };
    reader.scan(RowFormat::Csv, look).await.map_err(Error::from_fs)
}

async fn next_lines(lines: &mut Lines, number: &mut u32, name: &str) -> Result<Vec<Row>, Error> {
    let mut rows = Vec::new();
    while rows.len() < BATCH {
        let Some(line) = lines.next().await else { break };
        *number += 1;
        match line {
            Ok(line) if line.trim().is_empty() => {}
            Ok(line) => rows.push(row_of_line(line, name, *number)),
            Err(err) => rows.push(Err(of_line(err, name, *number)?)),
        }
    }
    Ok(rows)
}

fn row_of_line(line: String, name: &str, number: u32) -> Row {
    match serde_json::from_str::<Value>(&line) {
        Ok(Value::Object(row)) if !row.contains_key(NOTE) => Ok(line),
        Ok(value) => Ok(object(value).to_string()),
        Err(err) => {
            let reason = format!("not valid JSON: {err}");
            let reason = reason.rsplit_once(" at line ").map_or(reason.as_str(), |(reason, _)| reason);
            Err(Failure { document: name.to_owned(), line: Some(number), reason: reason.to_owned() })
        }
    }
}

/// A line that is no text is a bad row; what else is wrong with a file ends it.
fn of_line(err: antiphon_fs::Error, name: &str, number: u32) -> Result<Failure, Error> {
    match err.kind() {
        antiphon_fs::ErrorKind::NotText { .. } => {
            let reason = "this row is not valid UTF-8".to_owned();
            Ok(Failure { document: name.to_owned(), line: Some(number), reason })
        }
        _ => Err(Error::from_fs(err)),
    }
}

/// Where runs note what became of a row that failed.
const NOTE: &str = "_antiphon";

fn object(value: Value) -> Value {
    match value {
        Value::Object(mut row) => {
            row.shift_remove(NOTE);
            Value::Object(row)
        }
        value => Value::Object(Map::from_iter([("value".to_owned(), value)])),
    }
}

fn values(bytes: &[u8], name: &str) -> Result<Vec<Value>, Error> {
    let failed = |reason: String| {
        Error::new(ErrorKind::NothingReadable, format!("no rows can be read from {name}: {reason}"))
    };
    match serde_json::from_slice(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)) {
        Ok(Value::Array(values)) => Ok(values),
        Ok(Value::Object(row)) => Ok(vec![Value::Object(row)]),
        Ok(_) => Err(failed("a list of objects is wanted".to_owned())),
        Err(err) => Err(failed(format!("not valid JSON: {err}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::{Row, RowFormat, Rows};

    async fn rows(name: &str, content: impl AsRef<[u8]> + Send) -> Vec<Result<String, String>> {
        let folder = antiphon_fs::temp_dir().unwrap();
        let path = folder.path().join(name);
        antiphon_fs::write(&path, content.as_ref().to_owned()).await.unwrap();
        let mut rows = Rows::open(&path, None).await.unwrap();
        let mut all: Vec<Row> = Vec::new();
        loop {
            let batch = rows.next().await.unwrap();
            if batch.is_empty() {
                break;
            }
            all.extend(batch);
        }
        let told = |row: Row| row.map_err(|err| format!("{}: {}", err.line.unwrap_or(0), err.reason));
        all.into_iter().map(told).collect()
    }

    fn ok(row: &str) -> Result<String, String> {
        Ok(row.to_owned())
    }

    #[tokio::test]
    async fn tables_become_objects_whatever_stands_in_their_quotes() {
        let table = "\u{feff}name,note\nAda,\"one, \"\"two\"\"\nthree\"\n\nBob,\r\nEve\nFay,x\n";
        let expected = [
            ok(r#"{"name":"Ada","note":"one, \"two\"\nthree"}"#),
            ok(r#"{"name":"Bob","note":""}"#),
            Err("6: this row has 1 fields and the header has 2".to_owned()),
            ok(r#"{"name":"Fay","note":"x"}"#),
        ];
        assert_eq!(rows("a.csv", table).await, expected);
        assert_eq!(rows("a", "a;b\n1;2\n").await, [ok(r#"{"a":"1","b":"2"}"#)]);
    }

    #[tokio::test]
    async fn a_quote_within_a_field_stands_for_itself() {
        let found = rows("a.csv", "id,size\n1,5\" pipe\n2,6\" pipe\n3,\"x\n\"\n").await;
        let expected = [
            ok(r#"{"id":"1","size":"5\" pipe"}"#),
            ok(r#"{"id":"2","size":"6\" pipe"}"#),
            ok(r#"{"id":"3","size":"x\n"}"#),
        ];
        assert_eq!(found, expected);
        let found = rows("a.csv", b"a,b\n1,\"x\n\xff\ny\"\n2,z\n").await;
        assert_eq!(found, [Err("3: this row is not valid UTF-8".to_owned()), ok(r#"{"a":"2","b":"z"}"#)]);
        let found = rows("a.csv", "a,b\n1,x\ry\n2,z\n").await;
        assert_eq!(found, [Err("2: not valid CSV".to_owned()), ok(r#"{"a":"2","b":"z"}"#)]);
    }

    #[tokio::test]
    async fn a_quote_that_is_never_closed_swallows_nothing_unseen() {
        let found = rows("a.csv", "a,b\n1,\"2\n3,4\n5,6\n").await;
        assert_eq!(found, [Err("2: a quoted field of this row is never closed".to_owned())]);
    }

    #[tokio::test]
    async fn lines_become_objects_and_bad_ones_are_named() {
        let lines = b"{\"a\": 1}\n\n{\"a\": \n\xff\n\"word\"\n{\"a\":2,\"_antiphon\":{\"error\":\"x\"}}";
        let expected = [
            ok("{\"a\": 1}"),
            Err("3: not valid JSON: EOF while parsing a value".to_owned()),
            Err("4: this row is not valid UTF-8".to_owned()),
            ok(r#"{"value":"word"}"#),
            ok(r#"{"a":2}"#),
        ];
        assert_eq!(rows("a.jsonl", lines).await, expected);
        assert_eq!(rows("a.json", "[{\"a\":1}, 2]").await, [ok(r#"{"a":1}"#), ok(r#"{"value":2}"#)]);
    }

    #[tokio::test]
    async fn a_folder_gives_a_row_for_each_document() {
        let folder = antiphon_fs::temp_dir().unwrap();
        for name in ["b.txt", "a.md"] {
            antiphon_fs::write(folder.path().join(name), format!("words of {name}")).await.unwrap();
        }
        let mut rows = Rows::open(folder.path(), None).await.unwrap();
        let batch = rows.next().await.unwrap();
        assert_eq!(rows.format(), RowFormat::Folder);
        assert_eq!(batch[0], Ok(r#"{"name":"a.md","text":"words of a.md\n"}"#.to_owned()));
        assert_eq!((batch.len(), rows.next().await.unwrap().len()), (2, 0));
        let digest = Rows::open_digested(folder.path(), None).await.unwrap().1;
        antiphon_fs::write(folder.path().join("b.txt"), "other words").await.unwrap();
        assert_ne!(Rows::open_digested(folder.path(), None).await.unwrap().1, digest);
    }
}

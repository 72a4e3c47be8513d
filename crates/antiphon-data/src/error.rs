//! Errors: one failure for each file or row, and one error for an input of which nothing could be read.
//!
//! | type | concerns | the caller |
//! |---|---|---|
//! | [`Failure`] | one file or row | reports it, and uses the others |
//! | [`Error`] | the whole input | decides by its [`ErrorKind`] |
//!
//! The readers of the formats do not know the file's name: they return a `Malformed`, which becomes a [`Failure`] once
//! the name is added.

use std::fmt;

use crate::rows::RawRow;

/// A file or a row that could not be used, with its position and the reason.
///
/// The message has the form of a compiler's, so that editors can link it: `talks/a.csv:3: this row has 3 fields and the
/// header has 2`, or `b.txt: binary data, not text` for a whole file. Failures are serialised for reports of runs;
/// `raw` is left out if it is `None`:
///
/// ```json
/// { "document": "rows.jsonl", "line": 7, "reason": "not valid JSON: EOF while parsing a value",
///   "raw": { "text": "{\"a\":" } }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct Failure {
    /// The file's name, in the form of [`Document::name`](crate::Document::name); for a row, the path that was
    /// opened, or of a folder the document's name.
    pub document: String,
    /// The line, from 1; for a DOCX the paragraph. `None` if the failure concerns the whole file.
    pub line: Option<u32>,
    /// The reason, as a text for users: lower case, without the file's name and the line.
    pub reason: String,
    /// The source text of a row that could not be read; `None` for a document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raw: Option<RawRow>,
}

impl Failure {
    /// Creates the failure of a whole file.
    pub(crate) fn new(document: &str, reason: impl Into<String>) -> Self {
        Self { document: document.to_owned(), line: None, reason: reason.into(), raw: None }
    }

    /// Creates the failure of a row, with its source text.
    pub(crate) fn of_row(document: &str, line: Option<u32>, reason: impl Into<String>, raw: RawRow) -> Self {
        Self { line, raw: Some(raw), ..Self::new(document, reason) }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}: {}", self.document, self.reason),
            None => write!(f, "{}: {}", self.document, self.reason),
        }
    }
}

impl std::error::Error for Failure {}

/// A failure inside a file whose name is not known yet.
#[derive(Debug)]
pub(crate) struct Malformed {
    /// The line, from 1; `None` for the whole file.
    pub(crate) line: Option<u32>,
    /// The reason, as in [`Failure::reason`].
    pub(crate) reason: String,
}

impl Malformed {
    /// Creates the failure of a line, from 1.
    pub(crate) fn at(line: u32, reason: impl Into<String>) -> Self {
        Self { line: Some(line), reason: reason.into() }
    }

    /// Creates the failure of the whole file.
    pub(crate) fn whole(reason: impl Into<String>) -> Self {
        Self { line: None, reason: reason.into() }
    }

    /// Adds the file's name.
    pub(crate) fn of(self, document: &str) -> Failure {
        Failure { line: self.line, ..Failure::new(document, self.reason) }
    }
}

/// An error of [`Loader`](crate::Loader) or [`Rows`](crate::Rows): nothing could be read. A single bad file or row is a
/// [`Failure`] instead.
///
/// Decide by [`kind`](Error::kind). The message contains the path, and [`source`](std::error::Error::source) is the
/// error of the operating system if the message does not contain it. The error is one pointer wide, so that results
/// stay small.
///
/// ```
/// use antiphon_data::{ErrorKind, Loader};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// # let folder = antiphon_fs::temp_dir().unwrap();
/// # antiphon_fs::write(folder.path().join("a.json"), "{").await.unwrap();
/// let err = Loader::new().load_path(folder.path()).await.unwrap_err();
/// assert_eq!(err.kind(), ErrorKind::NothingReadable);
/// assert_eq!(err.failures()[0].to_string(), "a.json:1: not valid JSON: EOF while parsing an object");
/// # }
/// ```
#[derive(Debug)]
pub struct Error(Box<Inner>);

#[derive(Debug)]
struct Inner {
    kind: ErrorKind,
    message: String,
    /// The reasons for `NothingReadable`; empty for other kinds.
    failures: Vec<Failure>,
    /// The file error, kept only if it has a source.
    source: Option<antiphon_fs::Error>,
}

/// The kind of an [`Error`], by which a caller decides how to react.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The path does not exist.
    NotFound,
    /// The folder has no file of a supported format. The message says whether it is empty, or how many other files
    /// it has.
    Empty,
    /// None of the files could be used; [`Error::failures`] has the reasons. For rows: the file does not have the
    /// format, such as a table without a header; the message has the reason.
    NothingReadable,
    /// Loading was cancelled by the token of [`Loader::cancel`](crate::Loader::cancel), or by the shutdown of the
    /// runtime.
    Cancelled,
    /// The folder itself, or a file of rows, could not be read, for example for lack of permission. A retry may
    /// succeed.
    Io,
}

impl Error {
    /// Creates an error without failures and without a source.
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner { kind, message: message.into(), failures: Vec::new(), source: None }))
    }

    /// Creates the error of an input all of whose files failed.
    pub(crate) fn nothing_readable(message: impl Into<String>, failures: Vec<Failure>) -> Self {
        let kind = ErrorKind::NothingReadable;
        Self(Box::new(Inner { kind, message: message.into(), failures, source: None }))
    }

    /// Converts a file error: `NotFound` and `Cancelled` keep their kinds, all others become `Io`.
    pub(crate) fn from_fs(source: antiphon_fs::Error) -> Self {
        let kind = match source.kind() {
            antiphon_fs::ErrorKind::NotFound => ErrorKind::NotFound,
            antiphon_fs::ErrorKind::Cancelled => ErrorKind::Cancelled,
            _ => ErrorKind::Io,
        };
        let message = source.to_string();
        let source = std::error::Error::source(&source).is_some().then_some(source);
        Self(Box::new(Inner { kind, message, failures: Vec::new(), source }))
    }

    /// Returns the kind, by which the caller decides how to react.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Returns the failures of the files, each with its reason; empty unless the kind is
    /// [`ErrorKind::NothingReadable`]. Always empty for an error of [`Rows`](crate::Rows), whose message has the
    /// reason.
    #[must_use]
    pub fn failures(&self) -> &[Failure] {
        &self.0.failures
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_ref().and_then(std::error::Error::source)
    }
}

use std::fmt;

use crate::rows::RawRow;

/// A file or a row that could not be used, with its position and the reason.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct Failure {
    /// The file's name, in the form of [`Document::name`](crate::Document::name).
    pub document: String,
    /// The line, from 1; for a DOCX the paragraph. `None` if the failure concerns the whole file.
    pub line: Option<u32>,
    /// The reason, as a text for users.
    pub reason: String,
    /// The source text of a row that could not be read; `None` for a document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raw: Option<RawRow>,
}

impl Failure {
    pub(crate) fn new(document: &str, reason: impl Into<String>) -> Self {
        Self { document: document.to_owned(), line: None, reason: reason.into(), raw: None }
    }

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
    pub(crate) line: Option<u32>,
    pub(crate) reason: String,
}

impl Malformed {
    pub(crate) fn at(line: u32, reason: impl Into<String>) -> Self {
        Self { line: Some(line), reason: reason.into() }
    }

    pub(crate) fn whole(reason: impl Into<String>) -> Self {
        Self { line: None, reason: reason.into() }
    }

    pub(crate) fn of(self, document: &str) -> Failure {
        Failure { line: self.line, ..Failure::new(document, self.reason) }
    }
}

/// An error of [`Loader`](crate::Loader) or [`Rows`](crate::Rows): nothing could be read. A single bad file or row is a
/// [`Failure`] instead.
#[derive(Debug)]
pub struct Error(Box<Inner>);

#[derive(Debug)]
struct Inner {
    kind: ErrorKind,
    message: String,
    failures: Vec<Failure>,
    source: Option<antiphon_fs::Error>,
}

/// The kind of an [`Error`], by which a caller decides how to react.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The path does not exist.
    NotFound,
    /// The folder has no file of a supported format.
    Empty,
    /// None of the files could be used; [`Error::failures`] has the reasons. For rows: the file does not have the format.
    NothingReadable,
    /// Loading was cancelled by the token of [`Loader::cancel`](crate::Loader::cancel).
    Cancelled,
    /// The folder itself, or a file of rows, could not be read.
    Io,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner { kind, message: message.into(), failures: Vec::new(), source: None }))
    }

    pub(crate) fn nothing_readable(message: impl Into<String>, failures: Vec<Failure>) -> Self {
        let kind = ErrorKind::NothingReadable;
        Self(Box::new(Inner { kind, message: message.into(), failures, source: None }))
    }

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

    /// Returns the failures of the files, each with its reason; empty unless the kind is [`ErrorKind::NothingReadable`].
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

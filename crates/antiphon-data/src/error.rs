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
///   "kind": "syntax", "raw": { "text": "{\"a\":" } }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct Failure {
    /// The file's name, in the form of [`Document::name`](crate::Document::name); for a row, the path that was
    /// opened, or of a folder the document's name.
    pub document: String,
    /// The line, from 1; for a DOCX the paragraph, and for a format with pages the page. `None` if the failure concerns
    /// the whole file.
    pub line: Option<u32>,
    /// The kind, by which a program decides how to react; `other` in reports of earlier versions.
    #[serde(default)]
    pub kind: FailureKind,
    /// The reason, as a text for users: lower case, without the file's name and the line.
    pub reason: String,
    /// The encoding that a file probably has, if its kind is [`FailureKind::Encoding`] and the bytes show it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probable_encoding: Option<String>,
    /// The source text of a row that could not be read; `None` for a document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raw: Option<RawRow>,
}

/// The kind of a [`Failure`]. Serialised in snake case, as in `unsupported_format`.
///
/// ```
/// use antiphon_data::{Document, FailureKind};
/// let failure = Document::parse("talk.json", b"{").unwrap_err();
/// assert_eq!(failure.kind, FailureKind::Syntax);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FailureKind {
    /// The file's format is not supported, or not by this build; or a file of rows is of another kind.
    UnsupportedFormat,
    /// The file or the row is larger than the limit.
    TooLarge,
    /// The file is binary data.
    NotText,
    /// The file is text in an encoding that is not known, or has bytes that its encoding does not have. The caller can
    /// name the encoding; see [`ParseOptions::encoding`](crate::ParseOptions::encoding).
    Encoding,
    /// The content does not have the syntax of its format.
    Syntax,
    /// The file has no text.
    NoText,
    /// No participant speaks in the file.
    NoParticipant,
    /// The file cannot be opened for lack of permission.
    PermissionDenied,
    /// The file does not exist, or no longer.
    NotFound,
    /// A symbolic link leads out of the input's folder, or to a hidden file. The caller can follow such links; see
    /// [`Loader::links`](crate::Loader::links).
    Link,
    /// A folder has no document.
    Empty,
    /// The file cannot be read for another reason; a retry may succeed.
    Io,
    /// Any other failure, and those of reports of earlier versions.
    #[default]
    Other,
}

impl Failure {
    /// Creates the failure of a whole file.
    pub(crate) fn new(document: &str, kind: FailureKind, reason: impl Into<String>) -> Self {
        Self {
            document: document.to_owned(),
            line: None,
            kind,
            reason: reason.into(),
            probable_encoding: None,
            raw: None,
        }
    }

    /// Adds the source text of a row.
    pub(crate) fn with_raw(self, raw: RawRow) -> Self {
        Self { raw: Some(raw), ..self }
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
#[derive(Debug, Clone)]
pub(crate) struct Malformed {
    /// The line, from 1; `None` for the whole file.
    pub(crate) line: Option<u32>,
    /// The kind, as in [`Failure::kind`].
    pub(crate) kind: FailureKind,
    /// The reason, as in [`Failure::reason`].
    pub(crate) reason: String,
    /// The encoding, as in [`Failure::probable_encoding`].
    pub(crate) encoding: Option<&'static str>,
}

impl Malformed {
    /// Creates the failure of the syntax in a line, from 1.
    pub(crate) fn at(line: u32, reason: impl Into<String>) -> Self {
        Self { line: Some(line), ..Self::whole(reason) }
    }

    /// Creates the failure of the whole file's syntax.
    pub(crate) fn whole(reason: impl Into<String>) -> Self {
        Self { line: None, kind: FailureKind::Syntax, reason: reason.into(), encoding: None }
    }

    /// Sets the kind.
    pub(crate) fn of_kind(self, kind: FailureKind) -> Self {
        Self { kind, ..self }
    }

    /// Creates the failure of a file that cannot be read. The reason does not have the path, which a [`Failure`] names.
    pub(crate) fn of_file(err: &antiphon_fs::Error) -> Self {
        let cause = std::error::Error::source(err).map(|source| format!(": {source}")).unwrap_or_default();
        let (kind, reason) = match err.kind() {
            antiphon_fs::ErrorKind::PermissionDenied => {
                (FailureKind::PermissionDenied, "permission denied".to_owned())
            }
            antiphon_fs::ErrorKind::TooLarge { limit } => {
                (FailureKind::TooLarge, format!("larger than {} MiB", limit >> 20))
            }
            antiphon_fs::ErrorKind::LinkNotFollowed => {
                let reason =
                    "a link that leads out of the folder, or to a hidden file; use --follow-links to read it";
                (FailureKind::Link, reason.to_owned())
            }
            antiphon_fs::ErrorKind::NotAFile => (FailureKind::Io, "not a regular file".to_owned()),
            antiphon_fs::ErrorKind::NotFound => {
                (FailureKind::NotFound, "the file no longer exists".to_owned())
            }
            _ => (FailureKind::Io, format!("cannot read the file{cause}")),
        };
        Self::whole(reason).of_kind(kind)
    }

    /// Adds the file's name.
    pub(crate) fn of(self, document: &str) -> Failure {
        let probable_encoding = self.encoding.map(str::to_owned);
        Failure { line: self.line, probable_encoding, ..Failure::new(document, self.kind, self.reason) }
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
    /// The failure of a file of rows.
    failure: Option<Malformed>,
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
        Self(Box::new(Inner {
            kind,
            message: message.into(),
            failures: Vec::new(),
            failure: None,
            source: None,
        }))
    }

    /// Creates the error of an input all of whose files failed.
    pub(crate) fn nothing_readable(message: impl Into<String>, failures: Vec<Failure>) -> Self {
        let kind = ErrorKind::NothingReadable;
        Self(Box::new(Inner { kind, message: message.into(), failures, failure: None, source: None }))
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
        Self(Box::new(Inner { kind, message, failures: Vec::new(), failure: None, source }))
    }

    /// Creates the error of a file of rows that is not one, with the kind of its failure.
    pub(crate) fn of_rows(message: impl Into<String>, failure: Malformed) -> Self {
        let mut error = Self::new(ErrorKind::NothingReadable, message);
        error.0.failure = Some(failure);
        error
    }

    /// Returns the kind, by which the caller decides how to react.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Returns whether a file could not be used since its encoding is not known, or is not the one that was named: another name
    /// helps, as in [`ParseOptions::encoding`](crate::ParseOptions::encoding).
    #[must_use]
    pub fn is_about_encoding(&self) -> bool {
        let of_rows = self.0.failure.iter().map(|failure| failure.kind);
        let mut kinds = self.0.failures.iter().map(|failure| failure.kind).chain(of_rows);
        kinds.any(|kind| kind == FailureKind::Encoding)
    }

    /// Returns the encoding that a file probably has which could not be used for its encoding.
    #[must_use]
    pub fn probable_encoding(&self) -> Option<&str> {
        let of_rows = self.0.failure.as_ref().and_then(|failure| failure.encoding);
        of_rows.or_else(|| self.0.failures.iter().find_map(|failure| failure.probable_encoding.as_deref()))
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

#[cfg(test)]
mod tests {
    use super::{Failure, FailureKind};
    use crate::{Document, Loader};

    #[track_caller]
    fn check(name: &str, bytes: &[u8], kind: FailureKind) {
        assert_eq!(Document::parse(name, bytes).map_err(|err| err.kind).err(), Some(kind), "{name}");
    }

    #[test]
    fn each_failure_has_a_kind() {
        check("a.pdf", b"%PDF-1.7", FailureKind::UnsupportedFormat);
        check("a.txt", b"one\0two", FailureKind::NotText);
        check("a.txt", b"caf\xc3\xa9 caf\xe9 caf\xc3\xa9", FailureKind::Encoding);
        check("a.json", b"{", FailureKind::Syntax);
        check("a.txt", b" \n", FailureKind::NoText);
        check("a.txt", b"Interviewer: Why?\n", FailureKind::NoParticipant);
        #[cfg(not(feature = "csv"))]
        check("a.csv", b"text\nI bake\n", FailureKind::UnsupportedFormat);
    }

    #[test]
    fn kinds_are_serialised_and_earlier_reports_are_read() {
        let failure = Document::parse("a.json", b"{").unwrap_err();
        let text = serde_json::to_value(&failure).unwrap();
        assert_eq!((text["kind"].as_str(), text["line"].as_u64()), (Some("syntax"), Some(1)));
        let earlier: Failure = serde_json::from_str(r#"{"document":"a","line":1,"reason":"x"}"#).unwrap();
        assert_eq!(earlier.kind, FailureKind::Other);
    }

    #[tokio::test]
    async fn a_file_over_the_limit_is_rejected_before_it_is_read() {
        let folder = antiphon_fs::temp_dir().unwrap();
        antiphon_fs::write(folder.path().join("a.txt"), "P1: I bake.\n").await.unwrap();
        let large = antiphon_fs::temp_file().unwrap();
        large.as_file().set_len(300 << 20).unwrap();
        antiphon_fs::rename(large.path(), folder.path().join("b.txt")).await.unwrap();
        let loaded = Loader::new().load_path(folder.path()).await.unwrap();
        assert_eq!(loaded.failures[0].to_string(), "b.txt: larger than 256 MiB");
        assert_eq!(loaded.failures[0].kind, FailureKind::TooLarge);
    }
}

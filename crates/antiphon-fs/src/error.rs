use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Why a file operation failed, with the path it was about.
///
/// The text names the operation and the path; [`source`](std::error::Error::source) is the system's own error, if any.
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    operation: &'static str,
    path: PathBuf,
    source: Option<io::Error>,
    excerpt: Vec<u8>,
}

/// What a caller can do about an [`Error`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Nothing is there under this path.
    NotFound,
    /// The process may not do this here.
    PermissionDenied,
    /// A regular file was wanted; this is a folder, a pipe, a socket or a device.
    NotAFile,
    /// A file is to be written here, and this is a folder.
    IsAFolder,
    /// The file is larger than the caller allowed.
    TooLarge {
        /// The limit that was passed, in bytes.
        limit: u64,
    },
    /// The disk or the quota is full.
    StorageFull,
    /// Text was wanted, and these bytes are none.
    NotText {
        /// The line of the first byte that is no text, from 1, where it can be told.
        line: Option<u64>,
    },
    /// A line is longer than the caller allowed.
    LineTooLong {
        /// The line, from 1.
        line: u64,
        /// The limit that was passed, in bytes.
        limit: usize,
    },
    /// A glob that cannot be understood; the path is the glob.
    InvalidGlob,
    /// This writer has failed before, and its file is not what was written to it.
    Broken,
    /// The system told too much at once, and some changes are not known: look at everything again.
    Missed,
    /// The work was cancelled before it was done.
    Cancelled,
    /// Any other answer of the system; see the source.
    Io,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, operation: &'static str, path: impl Into<PathBuf>) -> Self {
        Self(Box::new(Inner { kind, operation, path: path.into(), source: None, excerpt: Vec::new() }))
    }

    pub(crate) fn from_io(source: io::Error, operation: &'static str, path: impl Into<PathBuf>) -> Self {
        let kind = match source.kind() {
            io::ErrorKind::NotFound => ErrorKind::NotFound,
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                ErrorKind::PermissionDenied
            }
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ErrorKind::StorageFull,
            io::ErrorKind::IsADirectory => ErrorKind::NotAFile,
            _ => ErrorKind::Io,
        };
        Self(Box::new(Inner {
            kind,
            operation,
            path: path.into(),
            source: Some(source),
            excerpt: Vec::new(),
        }))
    }

    fn is_read_only(&self) -> bool {
        self.0.source.as_ref().is_some_and(|source| source.kind() == io::ErrorKind::ReadOnlyFilesystem)
    }

    pub(crate) fn caused_by(mut self, source: io::Error) -> Self {
        self.0.source = Some(source);
        self
    }

    pub(crate) fn with_excerpt(mut self, excerpt: impl Into<Vec<u8>>) -> Self {
        self.0.excerpt = excerpt.into();
        self
    }

    /// What the caller can do.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The path the operation was about.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// Returns the line that cannot be used, as it is in the file: all of one that is `NotText`, and the first 4 KiB of one
    /// that is `LineTooLong`. Of every other error it is empty.
    #[must_use]
    pub fn excerpt(&self) -> &[u8] {
        &self.0.excerpt
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { kind, operation, path, .. } = &*self.0;
        let path = path.display();
        match kind {
            ErrorKind::NotFound => write!(f, "{operation} {path}: no such file or folder"),
            ErrorKind::PermissionDenied if self.is_read_only() => {
                write!(f, "{operation} {path}: the disk is read-only")
            }
            ErrorKind::PermissionDenied => write!(f, "{operation} {path}: permission denied"),
            ErrorKind::NotAFile => write!(f, "{operation} {path}: not a regular file"),
            ErrorKind::IsAFolder => write!(f, "{operation} {path}: this is a folder"),
            ErrorKind::TooLarge { limit } => write!(f, "{operation} {path}: larger than {limit} bytes"),
            ErrorKind::StorageFull => write!(f, "{operation} {path}: no space left on the disk"),
            ErrorKind::NotText { line: Some(line) } => {
                write!(f, "{operation} {path}: line {line} is no text in an encoding that is known")
            }
            ErrorKind::NotText { line: None } => {
                write!(f, "{operation} {path}: this is no text but binary data")
            }
            ErrorKind::LineTooLong { line, limit } => {
                write!(f, "{operation} {path}: line {line} is longer than {limit} bytes")
            }
            ErrorKind::InvalidGlob => write!(f, "{operation}: the pattern `{path}` is no valid glob"),
            ErrorKind::Broken => write!(f, "{operation} {path}: writing has failed before"),
            ErrorKind::Missed => write!(f, "{operation} {path}: some changes were missed"),
            ErrorKind::Cancelled => write!(f, "{operation} {path}: cancelled"),
            ErrorKind::Io => write!(f, "{operation} {path} failed"),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("operation", &self.0.operation)
            .field("path", &self.0.path)
            .field("source", &self.0.source)
            .finish()
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        // The other kinds say already what the system said.
        let tells_more = matches!(self.0.kind, ErrorKind::Io | ErrorKind::InvalidGlob);
        self.0.source.as_ref().filter(|_| tells_more).map(|err| err as _)
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;
    use std::io;

    use super::{Error, ErrorKind};

    #[test]
    fn every_kind_names_operation_and_path_and_what_is_wrong() {
        for (kind, expected) in [
            (ErrorKind::NotFound, "read a/b: no such file or folder"),
            (ErrorKind::PermissionDenied, "read a/b: permission denied"),
            (ErrorKind::NotAFile, "read a/b: not a regular file"),
            (ErrorKind::IsAFolder, "read a/b: this is a folder"),
            (ErrorKind::TooLarge { limit: 9 }, "read a/b: larger than 9 bytes"),
            (ErrorKind::StorageFull, "read a/b: no space left on the disk"),
            (
                ErrorKind::NotText { line: Some(3) },
                "read a/b: line 3 is no text in an encoding that is known",
            ),
            (ErrorKind::NotText { line: None }, "read a/b: this is no text but binary data"),
            (ErrorKind::LineTooLong { line: 3, limit: 9 }, "read a/b: line 3 is longer than 9 bytes"),
            (ErrorKind::InvalidGlob, "read: the pattern `a/b` is no valid glob"),
            (ErrorKind::Broken, "read a/b: writing has failed before"),
            (ErrorKind::Missed, "read a/b: some changes were missed"),
            (ErrorKind::Cancelled, "read a/b: cancelled"),
        ] {
            let err = Error::new(kind, "read", "a/b");
            assert_eq!((err.to_string().as_str(), err.path()), (expected, std::path::Path::new("a/b")));
        }
    }

    #[test]
    fn what_the_system_said_is_told_once_and_not_lost() {
        let error_of = |kind: io::ErrorKind| Error::from_io(kind.into(), "write", "out");
        let read_only = error_of(io::ErrorKind::ReadOnlyFilesystem);
        assert_eq!(
            (read_only.kind(), read_only.to_string().as_str()),
            (ErrorKind::PermissionDenied, "write out: the disk is read-only")
        );
        let too_large = error_of(io::ErrorKind::FileTooLarge);
        assert_eq!((too_large.kind(), too_large.to_string().as_str()), (ErrorKind::Io, "write out failed"));
        assert_eq!(too_large.source().map(ToString::to_string).as_deref(), Some("file too large"));
        assert!(error_of(io::ErrorKind::StorageFull).source().is_none());
    }
}

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// An error of a file operation, with its kind, operation and path.
///
/// Decide by [`kind`](Error::kind) what to do. The message contains the operation and the path;
/// [`source`](std::error::Error::source) is the error of the operating system if it adds information to the message.
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    operation: &'static str,
    path: PathBuf,
    source: Option<io::Error>,
    excerpt: Vec<u8>,
}

/// The kind of an [`Error`], by which a caller decides what to do. The functions of this crate list the kinds that they return.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The path does not exist.
    NotFound,
    /// The process lacks the permission, or the file system is read-only.
    PermissionDenied,
    /// The path is a folder, pipe, socket or device, where a regular file is required.
    NotAFile,
    /// The path is, or leads through, a symbolic link that is not followed: it leads out of its folder, or to a hidden file. See
    /// [`Links`](crate::Links).
    LinkNotFollowed,
    /// The output path of [`Writer::output`](crate::Writer::output) is a folder.
    IsAFolder,
    /// A file, or something else that is not a folder, exists at the path.
    AlreadyExists,
    /// The file is larger than the limit on files that are read as a whole. Use [`Reader`](crate::Reader) for it.
    TooLarge {
        /// The limit in bytes.
        limit: u64,
    },
    /// The disk is full or the quota is exhausted.
    StorageFull,
    /// The bytes are binary data, or text that is not in a supported encoding.
    NotText {
        /// The line of the first invalid byte, from 1; `None` if it cannot be determined.
        line: Option<u64>,
    },
    /// A line is longer than the limit of [`Reader::max_line`](crate::Reader::max_line).
    LineTooLong {
        /// The line number, from 1.
        line: u64,
        /// The limit in bytes.
        limit: usize,
    },
    /// A glob is invalid; [`path`](Error::path) returns the glob instead of a path.
    InvalidGlob,
    /// An earlier call to the writer failed, so its file is incomplete. The cause was in the error of that call.
    Broken,
    /// The system's queue of file notifications overflowed, and changes were lost. Scan the watched folder again.
    Missed,
    /// The operation was cancelled by its token, or its runtime was shut down, before it finished.
    Cancelled,
    /// Any other error of the operating system; see the source.
    Io,
}

impl ErrorKind {
    /// Returns the name of the kind for spans, such as `not_found`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::NotFound => "not_found",
            Self::PermissionDenied => "permission_denied",
            Self::NotAFile => "not_a_file",
            Self::LinkNotFollowed => "link_not_followed",
            Self::IsAFolder => "is_a_folder",
            Self::AlreadyExists => "already_exists",
            Self::TooLarge { .. } => "too_large",
            Self::StorageFull => "storage_full",
            Self::NotText { .. } => "not_text",
            Self::LineTooLong { .. } => "line_too_long",
            Self::InvalidGlob => "invalid_glob",
            Self::Broken => "broken",
            Self::Missed => "missed",
            Self::Cancelled => "cancelled",
            Self::Io => "io",
        }
    }
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
            io::ErrorKind::AlreadyExists => ErrorKind::AlreadyExists,
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

    /// Converts into an error of the system, from which [`from_io`](Self::from_io) makes one of the same kind.
    #[cfg(any(not(unix), test))]
    pub(crate) fn into_io(self) -> io::Error {
        let kind = match self.0.kind {
            ErrorKind::NotFound => io::ErrorKind::NotFound,
            ErrorKind::PermissionDenied => io::ErrorKind::PermissionDenied,
            ErrorKind::StorageFull => io::ErrorKind::StorageFull,
            ErrorKind::NotAFile => io::ErrorKind::IsADirectory,
            ErrorKind::AlreadyExists => io::ErrorKind::AlreadyExists,
            _ => io::ErrorKind::Other,
        };
        self.0.source.unwrap_or_else(|| kind.into())
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

    /// Returns the kind, by which a caller decides what to do.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Returns the path of the operation; for [`InvalidGlob`](ErrorKind::InvalidGlob), the glob.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// Returns the bytes of the invalid line, for an error of [`Reader::lines`](crate::Reader::lines).
    ///
    /// For [`NotText`](ErrorKind::NotText), the whole line; for [`LineTooLong`](ErrorKind::LineTooLong), at most its first 4 KiB.
    /// Empty for all other errors.
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
            ErrorKind::NotFound => write!(f, "cannot {operation} {path}: no such file or folder"),
            ErrorKind::PermissionDenied if self.is_read_only() => {
                write!(f, "cannot {operation} {path}: the disk is read-only")
            }
            ErrorKind::PermissionDenied => write!(f, "cannot {operation} {path}: permission denied"),
            ErrorKind::NotAFile => write!(f, "cannot {operation} {path}: not a regular file"),
            ErrorKind::LinkNotFollowed => {
                write!(f, "cannot {operation} {path}: a symbolic link that leads elsewhere is not followed")
            }
            ErrorKind::IsAFolder => write!(f, "cannot {operation} {path}: this is a folder"),
            ErrorKind::AlreadyExists => write!(f, "cannot {operation} {path}: a file of this name exists"),
            ErrorKind::TooLarge { limit } => {
                write!(f, "cannot {operation} {path}: larger than {limit} bytes")
            }
            ErrorKind::StorageFull => write!(f, "cannot {operation} {path}: no space left on the disk"),
            ErrorKind::NotText { line: Some(line) } => {
                write!(f, "cannot {operation} {path}: line {line} is not text in a known encoding")
            }
            ErrorKind::NotText { line: None } => {
                write!(f, "cannot {operation} {path}: binary data, not text")
            }
            ErrorKind::LineTooLong { line, limit } => {
                write!(f, "cannot {operation} {path}: line {line} is longer than {limit} bytes")
            }
            ErrorKind::InvalidGlob => write!(f, "cannot {operation}: invalid glob pattern `{path}`"),
            ErrorKind::Broken => write!(f, "cannot {operation} {path}: an earlier write failed"),
            ErrorKind::Missed => write!(f, "cannot {operation} {path}: some changes were missed"),
            ErrorKind::Cancelled => write!(f, "cannot {operation} {path}: cancelled"),
            ErrorKind::Io => write!(f, "cannot {operation} {path}"),
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
        // The message of every other kind already contains the system's error.
        let adds_information = matches!(self.0.kind, ErrorKind::Io | ErrorKind::InvalidGlob);
        self.0.source.as_ref().filter(|_| adds_information).map(|err| err as _)
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;
    use std::io;

    use super::{Error, ErrorKind};

    #[test]
    fn message_of_every_kind_has_operation_path_and_reason() {
        for (kind, expected) in [
            (ErrorKind::NotFound, "cannot read a/b: no such file or folder"),
            (ErrorKind::PermissionDenied, "cannot read a/b: permission denied"),
            (ErrorKind::NotAFile, "cannot read a/b: not a regular file"),
            (
                ErrorKind::LinkNotFollowed,
                "cannot read a/b: a symbolic link that leads elsewhere is not followed",
            ),
            (ErrorKind::IsAFolder, "cannot read a/b: this is a folder"),
            (ErrorKind::AlreadyExists, "cannot read a/b: a file of this name exists"),
            (ErrorKind::TooLarge { limit: 9 }, "cannot read a/b: larger than 9 bytes"),
            (ErrorKind::StorageFull, "cannot read a/b: no space left on the disk"),
            (ErrorKind::NotText { line: Some(3) }, "cannot read a/b: line 3 is not text in a known encoding"),
            (ErrorKind::NotText { line: None }, "cannot read a/b: binary data, not text"),
            (ErrorKind::LineTooLong { line: 3, limit: 9 }, "cannot read a/b: line 3 is longer than 9 bytes"),
            (ErrorKind::InvalidGlob, "cannot read: invalid glob pattern `a/b`"),
            (ErrorKind::Broken, "cannot read a/b: an earlier write failed"),
            (ErrorKind::Missed, "cannot read a/b: some changes were missed"),
            (ErrorKind::Cancelled, "cannot read a/b: cancelled"),
        ] {
            let err = Error::new(kind, "read", "a/b");
            assert_eq!((err.to_string().as_str(), err.path()), (expected, std::path::Path::new("a/b")));
        }
    }

    #[test]
    fn system_error_is_either_in_the_message_or_the_source() {
        let error_of = |kind: io::ErrorKind| Error::from_io(kind.into(), "write", "out");
        let read_only = error_of(io::ErrorKind::ReadOnlyFilesystem);
        assert_eq!(
            (read_only.kind(), read_only.to_string().as_str()),
            (ErrorKind::PermissionDenied, "cannot write out: the disk is read-only")
        );
        let too_large = error_of(io::ErrorKind::FileTooLarge);
        assert_eq!((too_large.kind(), too_large.to_string().as_str()), (ErrorKind::Io, "cannot write out"));
        assert_eq!(too_large.source().map(ToString::to_string).as_deref(), Some("file too large"));
        assert!(error_of(io::ErrorKind::StorageFull).source().is_none());
    }
}

use std::fmt;
use std::sync::Arc;

/// An error of the store. Clones share one cause, for the callers whose work failed together.
#[derive(Debug, Clone)]
pub struct Error(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    kind: ErrorKind,
    message: String,
    cause: Option<Cause>,
}

/// The error of a back end, whose text is part of the message already.
type Cause = Box<dyn std::error::Error + Send + Sync>;

/// The kind of an [`Error`], by what a caller can do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Another process keeps the file busy: wait for it.
    Busy,
    /// The worker no longer holds the job, since its lease ended and another has taken the job over: leave the job.
    Fenced,
    /// The call could take the run over its budget, with what the calls of all workers may already cost: wait for their
    /// settlements, or stop.
    OverBudget,
    /// Another job of the run already has a value that must be unique: bill the call, and ask for a different answer.
    NotUnique {
        /// The position of the digest in [`Settlement::unique`](crate::Settlement::unique), from 0.
        at: usize,
    },
    /// The file was written by a newer version of this program: update it, or use another file.
    Newer,
    /// The file is not a store, or is damaged.
    Damaged,
    /// The disk or the quota is full: acknowledged changes are kept, and no further ones can be stored.
    StorageFull,
    /// The process has no permission to read or write the file.
    PermissionDenied,
    /// No run has this id.
    NotFound,
    /// The job or run has ended already, the prefix fits several runs, or the handle is not a worker: a mistake of the caller.
    Conflict,
    /// Any other failure of the disk or the database.
    Io,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Arc::new(Inner { kind, message: message.into(), cause: None }))
    }

    /// Creates an error of this kind with the error that caused it.
    #[cfg(feature = "sqlite")]
    pub(crate) fn caused(kind: ErrorKind, message: String, cause: impl Into<Cause>) -> Self {
        Self(Arc::new(Inner { kind, message, cause: Some(cause.into()) }))
    }

    /// Returns the kind, by what the caller can do.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl std::error::Error for Error {
    /// Returns the source of the wrapped error, whose own text is part of this error's text already.
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.cause.as_ref()?.source()
    }
}

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
    /// The calls of all workers may already cost as much as the run may: wait for their settlements, or stop.
    OverBudget,
    /// Another job of the run has what only one may have: bill the call, and ask for a different answer.
    NotUnique {
        /// Which of [`Settlement::unique`](crate::Settlement::unique) that is.
        at: usize,
    },
    /// The file was written by a newer version of this program: update it, or use another file.
    Newer,
    /// The file is no store, or is damaged.
    Damaged,
    /// The disk or the quota is full: what was acknowledged is kept, and nothing more can be.
    StorageFull,
    /// The process may not do this here.
    PermissionDenied,
    /// There is no such run.
    NotFound,
    /// The job has ended already, or the name fits several runs: a mistake of the caller.
    Conflict,
    /// Any other failure of the disk or the database.
    Io,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Arc::new(Inner { kind, message: message.into(), cause: None }))
    }

    /// An error of this kind after another error.
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

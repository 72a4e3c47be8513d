use std::fmt;
use std::sync::Arc;

/// An error of the store. All callers whose changes were in one failed group commit get clones with the same cause.
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

/// The kind of an [`Error`], by which a caller decides how to react.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Another process has locked the file for too long. Try again later.
    Busy,
    /// The worker no longer holds the job: its lease has ended, and another worker has taken the job over. Do no more work on
    /// it.
    Fenced,
    /// The call could exceed the budget of the run, given the cost and the reservations of all workers. Wait for settlements,
    /// or stop.
    OverBudget,
    /// Another job of the run already has a value that must be unique. Nothing was stored: settle the call without this result,
    /// so that its bill is counted, and request a different answer.
    NotUnique {
        /// The position of the digest in [`Settlement::unique`](crate::Settlement::unique), from 0.
        at: usize,
    },
    /// A newer version of this program wrote the file. Update the program, or use another file.
    Newer,
    /// The file is not a store, or is damaged.
    Damaged,
    /// The disk or the quota is full. Acknowledged changes are kept; this handle stores no further ones, even if there is space
    /// again. Open the store again.
    StorageFull,
    /// The process has no permission to read or write the file.
    PermissionDenied,
    /// No run has this id.
    NotFound,
    /// A mistake of the caller: the job or the run has ended already, several runs have the prefix, jobs before the new ones
    /// are missing, or the handle is not a worker.
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

    /// Returns the kind, by which the caller decides how to react.
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

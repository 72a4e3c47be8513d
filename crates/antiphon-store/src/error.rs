use std::fmt;
use std::sync::Arc;

/// Why the store did not do what was asked. A clone tells the same to another caller whose work failed with it.
#[derive(Debug, Clone)]
pub struct Error(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    kind: ErrorKind,
    message: String,
    source: Option<Source>,
}

#[derive(Debug)]
enum Source {
    Backend(rusqlite::Error),
    Files(antiphon_fs::Error),
}

/// What a caller can do about an [`Error`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Another process or task works on this run: wait for it, or end it.
    Busy,
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

const NO_SPACE: &str = "no space left on the disk";

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Arc::new(Inner { kind, message: message.into(), source: None }))
    }

    pub(crate) fn files(err: antiphon_fs::Error) -> Self {
        let kind = match err.kind() {
            antiphon_fs::ErrorKind::StorageFull => ErrorKind::StorageFull,
            antiphon_fs::ErrorKind::PermissionDenied => ErrorKind::PermissionDenied,
            _ => ErrorKind::Io,
        };
        Self(Arc::new(Inner { kind, message: err.to_string(), source: Some(Source::Files(err)) }))
    }

    /// An error of the database in the file called `place`.
    pub(crate) fn backend(err: rusqlite::Error, place: &str) -> Self {
        use rusqlite::ErrorCode;
        /// `SQLITE_IOERR_SHMSIZE`: the file beside the log cannot grow.
        const NO_ROOM_FOR_INDEX: i32 = 4874;
        let is_full = err.sqlite_error().is_some_and(|err| err.extended_code == NO_ROOM_FOR_INDEX);
        let (kind, why) = match err.sqlite_error_code() {
            _ if is_full => (ErrorKind::StorageFull, NO_SPACE.to_owned()),
            Some(ErrorCode::DiskFull) => (ErrorKind::StorageFull, NO_SPACE.to_owned()),
            Some(ErrorCode::NotADatabase) => (ErrorKind::Damaged, "it is no file of this program".to_owned()),
            Some(ErrorCode::DatabaseCorrupt) => (ErrorKind::Damaged, "it is damaged".to_owned()),
            Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => {
                (ErrorKind::PermissionDenied, "it may not be written to".to_owned())
            }
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                (ErrorKind::Busy, "another process has kept it busy for too long".to_owned())
            }
            _ => (ErrorKind::Io, err.to_string()),
        };
        Self(Arc::new(Inner { kind, message: format!("{place}: {why}"), source: Some(Source::Backend(err)) }))
    }

    /// What the caller can do.
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
    /// What lies behind the wrapped error: its own text is part of this error's text already.
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self.0.source.as_ref()? {
            Source::Backend(err) => std::error::Error::source(err),
            Source::Files(err) => std::error::Error::source(err),
        }
    }
}

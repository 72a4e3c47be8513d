//! The kinds of SQLite's errors, by what a caller can do.

use crate::error::{Error, ErrorKind};

/// The message for a full disk.
const NO_SPACE: &str = "no space left on the disk";

impl Error {
    /// Creates an error of the files beside the database.
    pub(super) fn files(err: antiphon_fs::Error) -> Self {
        let kind = match err.kind() {
            antiphon_fs::ErrorKind::StorageFull => ErrorKind::StorageFull,
            antiphon_fs::ErrorKind::PermissionDenied => ErrorKind::PermissionDenied,
            _ => ErrorKind::Io,
        };
        Self::caused(kind, err.to_string(), err)
    }

    /// Creates an error of the database in the file called `place`.
    pub(super) fn database(err: rusqlite::Error, place: &str) -> Self {
        use rusqlite::ErrorCode;
        /// `SQLITE_IOERR_SHMSIZE`: the file beside the log cannot grow.
        const NO_ROOM_FOR_INDEX: i32 = 4874;
        let is_full = err.sqlite_error().is_some_and(|err| err.extended_code == NO_ROOM_FOR_INDEX);
        let (kind, why) = match err.sqlite_error_code() {
            _ if is_full => (ErrorKind::StorageFull, NO_SPACE.to_owned()),
            Some(ErrorCode::DiskFull) => (ErrorKind::StorageFull, NO_SPACE.to_owned()),
            Some(ErrorCode::NotADatabase) => (ErrorKind::Damaged, "not a file of this program".to_owned()),
            Some(ErrorCode::DatabaseCorrupt) => (ErrorKind::Damaged, "the file is damaged".to_owned()),
            Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => {
                (ErrorKind::PermissionDenied, "no permission to write".to_owned())
            }
            Some(ErrorCode::CannotOpen) => (ErrorKind::Io, "the file cannot be opened".to_owned()),
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                (ErrorKind::Busy, "another process has kept the file busy for too long".to_owned())
            }
            _ => (ErrorKind::Io, err.to_string()),
        };
        Self::caused(kind, format!("{place}: {why}"), err)
    }
}

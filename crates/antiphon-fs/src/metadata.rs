use std::path::{Path, PathBuf};

use crate::blocking::run_blocking;
use crate::error::{Error, ErrorKind};

/// The length and type of a file or folder, as returned by [`metadata`]. Symbolic links are followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Metadata {
    /// Length in bytes; unspecified for a folder or device.
    pub len: u64,
    /// Whether the path is a folder.
    pub is_dir: bool,
    /// Whether the path is a regular file, and not a folder, pipe, socket or device.
    pub is_file: bool,
}

/// Returns the length and type of the file or folder at `path`. Symbolic links are followed.
///
/// # Errors
/// `NotFound` if the path does not exist, otherwise the error of the system.
///
/// # Cancel safety
/// A dropped call changes nothing.
pub async fn metadata(path: impl AsRef<Path>) -> Result<Metadata, Error> {
    let path = path.as_ref().to_owned();
    run_blocking("access", &path.clone(), move || stat(&path)).await
}

/// Returns whether `path` exists; for a symbolic link, whether its target exists.
///
/// # Errors
/// The error of the system if this cannot be determined, such as `PermissionDenied`.
///
/// # Cancel safety
/// A dropped call changes nothing.
pub async fn exists(path: impl AsRef<Path>) -> Result<bool, Error> {
    match metadata(path).await {
        Ok(_) => Ok(true),
        Err(err) if err.kind() == ErrorKind::NotFound => Ok(false),
        Err(err) => Err(err),
    }
}

/// Creates the folder `path` and its missing parents; an existing folder is not an error.
///
/// # Errors
/// `PermissionDenied`, `StorageFull`, or `Io` if a file has the name of a folder.
///
/// # Cancel safety
/// Dropping the future may still create the folders; none is removed.
pub async fn create_dir(path: impl AsRef<Path>) -> Result<(), Error> {
    let path = path.as_ref().to_owned();
    run_blocking("create folder", &path.clone(), move || make_dir(path)).await
}

#[expect(clippy::disallowed_methods, reason = "runs on a blocking thread")]
pub(crate) fn make_dir(path: PathBuf) -> Result<(), Error> {
    std::fs::create_dir_all(&path).map_err(|err| Error::from_io(err, "create folder", path))
}

#[expect(clippy::disallowed_methods, reason = "runs on a blocking thread")]
pub(crate) fn stat(path: &Path) -> Result<Metadata, Error> {
    let found = std::fs::metadata(path).map_err(|err| Error::from_io(err, "access", path))?;
    Ok(Metadata { len: found.len(), is_dir: found.is_dir(), is_file: found.is_file() })
}

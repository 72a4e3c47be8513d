use std::path::{Path, PathBuf};

use crate::blocking::run_blocking;
use crate::error::{Error, ErrorKind};

/// What stands under a path, links followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Metadata {
    /// Length in bytes; of no meaning for a folder.
    pub len: u64,
    /// Whether it is a folder.
    pub is_dir: bool,
    /// Whether it is a regular file, so not a folder, pipe, socket or device.
    pub is_file: bool,
}

/// Length and type of what stands under `path`.
///
/// # Errors
/// `NotFound` when nothing is there, else what the system answered.
///
/// # Cancel safety
/// Nothing is changed, so nothing is lost.
pub async fn metadata(path: impl AsRef<Path>) -> Result<Metadata, Error> {
    let path = path.as_ref().to_owned();
    run_blocking("look at", &path.clone(), move || stat(&path)).await
}

/// Whether anything stands under `path`; a link without a target counts as nothing.
///
/// # Errors
/// What the system answered, when it could not tell.
///
/// # Cancel safety
/// Nothing is changed, so nothing is lost.
pub async fn exists(path: impl AsRef<Path>) -> Result<bool, Error> {
    match metadata(path).await {
        Ok(_) => Ok(true),
        Err(err) if err.kind() == ErrorKind::NotFound => Ok(false),
        Err(err) => Err(err),
    }
}

/// Makes the folder `path` and every missing folder above it; one that is there already is fine.
///
/// # Errors
/// `PermissionDenied`, `StorageFull`, or `Io` where a file is in the way.
///
/// # Cancel safety
/// A dropped call may still make the folders; none is taken back.
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
    let found = std::fs::metadata(path).map_err(|err| Error::from_io(err, "look at", path))?;
    Ok(Metadata { len: found.len(), is_dir: found.is_dir(), is_file: found.is_file() })
}

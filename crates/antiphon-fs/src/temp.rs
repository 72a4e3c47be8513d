use std::io;
use std::path::Path;

use tempfile::{NamedTempFile, TempDir};

use crate::error::Error;

/// An empty folder that is removed when it is dropped: for scratch space and tests.
///
/// # Errors
/// What the system answered.
pub fn temp_dir() -> Result<TempDir, Error> {
    tempfile::tempdir().map_err(|err| Error::from_io(err, "create folder in", std::env::temp_dir()))
}

/// An empty file that is removed when it is dropped, unless it is persisted before.
///
/// # Errors
/// What the system answered.
pub fn temp_file() -> Result<NamedTempFile, Error> {
    NamedTempFile::new().map_err(|err| Error::from_io(err, "create file in", std::env::temp_dir()))
}

/// The folder that `path` stands in.
pub(crate) fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A temporary file beside `path`, to take its name.
pub(crate) fn beside(path: &Path) -> io::Result<NamedTempFile> {
    builder().tempfile_in(folder_of(path))
}

/// Flushes the file to the disk and gives it the name, which is flushed, too.
#[expect(clippy::disallowed_methods, reason = "runs on a blocking thread")]
pub(crate) fn persist(temp: NamedTempFile, path: &Path) -> io::Result<()> {
    temp.as_file().sync_all()?;
    temp.persist(path).map_err(|err| err.error)?;
    if cfg!(unix) {
        std::fs::File::open(folder_of(path))?.sync_all()?;
    }
    Ok(())
}

#[cfg(unix)]
fn builder() -> tempfile::Builder<'static, 'static> {
    use std::os::unix::fs::PermissionsExt;
    let mut builder = tempfile::Builder::new();
    // The process's umask narrows this, as for any other file: tempfile's own default hides it from everybody else.
    builder.prefix(".antiphon-").permissions(std::fs::Permissions::from_mode(0o666));
    builder
}

#[cfg(not(unix))]
fn builder() -> tempfile::Builder<'static, 'static> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".antiphon-");
    builder
}

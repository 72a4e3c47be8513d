use std::fs::{File, Permissions};
use std::io;
use std::path::{Path, PathBuf};

use tempfile::{NamedTempFile, TempDir};

use crate::error::{Error, ErrorKind};

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

/// A new content for a file, under a name of its own beside it until it is whole.
#[derive(Debug)]
pub(crate) struct Replacement {
    temp: NamedTempFile,
    target: PathBuf,
}

impl Replacement {
    /// Of what stands under `path`, with its permissions; a link stays, and its target is replaced.
    pub(crate) fn of(path: &Path) -> Result<Self, Error> {
        let failed = |err| Error::from_io(err, "write", path);
        let (target, permissions) = target_of(path)?;
        let temp = builder().tempfile_in(folder_of(&target)).map_err(failed)?;
        if let Some(permissions) = permissions {
            temp.as_file().set_permissions(permissions).map_err(failed)?;
        }
        Ok(Self { temp, target })
    }

    /// [`of`](Self::of) that nobody else can read until it gets permissions of its own.
    pub(crate) fn private(path: &Path) -> Result<Self, Error> {
        let (target, _) = target_of(path)?;
        let temp = tempfile::Builder::new().prefix(PREFIX).tempfile_in(folder_of(&target));
        Ok(Self { temp: temp.map_err(|err| Error::from_io(err, "write", path))?, target })
    }

    pub(crate) fn file(&mut self) -> &mut File {
        self.temp.as_file_mut()
    }

    /// Flushes the content to the disk.
    pub(crate) fn sync(&self) -> io::Result<()> {
        self.temp.as_file().sync_all()
    }

    /// Takes the file's name, and flushes that to the disk, too, where the system can.
    pub(crate) fn rename(self) -> io::Result<()> {
        self.temp.persist(&self.target).map_err(|err| err.error)?;
        sync_folder(folder_of(&self.target))
    }
}

/// Flushes the names in a folder to the disk, where the system can.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    match open_folder(folder).and_then(|folder| folder.sync_all()) {
        Err(err) if !cannot_sync(&err) => Err(err),
        _ => Ok(()),
    }
}

/// Some file systems flush no folders, and some folders may be written to but not opened.
fn cannot_sync(err: &io::Error) -> bool {
    use io::ErrorKind::{InvalidInput, PermissionDenied, Unsupported};
    cfg!(not(unix)) || matches!(err.kind(), InvalidInput | Unsupported | PermissionDenied)
}

/// What a path leads to and which permissions it has: of a regular file, or of nothing yet.
#[expect(clippy::disallowed_methods, reason = "runs on a blocking thread")]
fn target_of(path: &Path) -> Result<(PathBuf, Option<Permissions>), Error> {
    let found = match std::fs::symlink_metadata(path) {
        Ok(found) if found.is_symlink() => match std::fs::canonicalize(path) {
            Ok(target) => return target_of(&target),
            Err(_) => return Ok((path.to_owned(), None)),
        },
        Ok(found) => found,
        Err(err) if err.kind() == io::ErrorKind::NotFound => return Ok((path.to_owned(), None)),
        Err(err) => return Err(Error::from_io(err, "write", path)),
    };
    match found.is_file() {
        true => Ok((path.to_owned(), Some(found.permissions()))),
        false => Err(Error::new(ErrorKind::NotAFile, "write", path)),
    }
}

#[expect(clippy::disallowed_methods, reason = "runs on a blocking thread")]
fn open_folder(folder: &Path) -> io::Result<File> {
    File::open(folder)
}

/// The folder that `path` stands in.
pub(crate) fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

const PREFIX: &str = ".antiphon-";

#[cfg(unix)]
fn builder() -> tempfile::Builder<'static, 'static> {
    use std::os::unix::fs::PermissionsExt;
    let mut builder = tempfile::Builder::new();
    // The process's umask narrows this, as for any other file: tempfile's own default hides it from everybody else.
    builder.prefix(PREFIX).permissions(Permissions::from_mode(0o666));
    builder
}

#[cfg(not(unix))]
fn builder() -> tempfile::Builder<'static, 'static> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(PREFIX);
    builder
}

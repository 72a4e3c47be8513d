use std::fs::{File, Metadata, Permissions};
use std::io::{self, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use tempfile::{NamedTempFile, TempDir};

use crate::blocking::run_blocking;
use crate::error::{Error, ErrorKind};
use crate::metadata::make_dir;

/// Creates an empty temporary folder for scratch files or tests; dropping it removes the folder with its content.
///
/// Synchronous: blocks the thread for a few system calls.
///
/// # Errors
/// The error of the system: `PermissionDenied`, `StorageFull` or `Io`.
pub fn temp_dir() -> Result<TempDir, Error> {
    tempfile::tempdir().map_err(|err| Error::from_io(err, "create folder in", std::env::temp_dir()))
}

/// Creates an empty temporary file; dropping it removes the file, unless `NamedTempFile::persist` has given it another name.
///
/// Synchronous: blocks the thread for a few system calls.
///
/// # Errors
/// The error of the system: `PermissionDenied`, `StorageFull` or `Io`.
pub fn temp_file() -> Result<NamedTempFile, Error> {
    NamedTempFile::new().map_err(|err| Error::from_io(err, "create file in", std::env::temp_dir()))
}

/// New content for a file, in a temporary file in the same folder until it is complete.
#[derive(Debug)]
pub(crate) struct Replacement {
    temp: NamedTempFile,
    target: PathBuf,
    older: Option<Older>,
}

/// Length and time of an older file, to detect whether it has changed.
#[derive(Debug, PartialEq, Eq)]
struct Older {
    len: u64,
    modified: Option<SystemTime>,
}

impl Older {
    fn of(found: &Metadata) -> Self {
        Self { len: found.len(), modified: found.modified().ok() }
    }
}

impl Replacement {
    /// Creates a replacement for the file at `path`, with its permissions; a symbolic link is kept, and its target replaced.
    pub(crate) fn of(path: &Path) -> Result<Self, Error> {
        let failed = |err| Error::from_io(err, "write", path);
        let (target, found) = target_of(path)?;
        let temp = builder().tempfile_in(folder_of(&target)).map_err(failed)?;
        if let Some(found) = &found {
            temp.as_file().set_permissions(found.permissions()).map_err(failed)?;
        }
        let older = found.as_ref().map(Older::of);
        Ok(Self { temp, target, older })
    }

    /// Like [`of`](Self::of), and checks that the disk has room. The temporary file is locked while its writer lives, so that those
    /// of processes that were killed are known, and removed here.
    pub(crate) fn checked(path: &Path) -> Result<Self, Error> {
        let failed = |err| Error::from_io(err, "write", path);
        let (target, found) = target_of(path)?;
        remove_leftovers(folder_of(&target));
        let temp = locked_output(folder_of(&target)).map_err(failed)?;
        if let Some(found) = &found {
            temp.as_file().set_permissions(found.permissions()).map_err(failed)?;
        }
        let mut new = Self { temp, target, older: found.as_ref().map(Older::of) };
        check_room(new.file()).map_err(|err| Error::from_io(err, "write", path))?;
        Ok(new)
    }

    /// Like [`of`](Self::of), but readable only by the owner unless its permissions are set.
    pub(crate) fn private(path: &Path) -> Result<Self, Error> {
        let (target, _) = target_of(path)?;
        let temp = tempfile::Builder::new().prefix(PREFIX).tempfile_in(folder_of(&target));
        Ok(Self { temp: temp.map_err(|err| Error::from_io(err, "write", path))?, target, older: None })
    }

    /// Like [`of`](Self::of), but a symbolic link is replaced itself, and not its target.
    pub(crate) fn in_place(path: &Path) -> Result<Self, Error> {
        let failed = |err| Error::from_io(err, "write", path);
        let found = match read_run(path) {
            Ok((found, _)) if found.is_file() => Some(found),
            Ok((found, _)) if found.is_symlink() => None,
            Ok(_) => return Err(Error::new(ErrorKind::NotAFile, "write", path)),
            Err(err) if err.kind() == io::ErrorKind::NotFound => None,
            Err(err) => return Err(failed(err)),
        };
        let temp = builder().tempfile_in(folder_of(path)).map_err(failed)?;
        if let Some(found) = &found {
            temp.as_file().set_permissions(found.permissions()).map_err(failed)?;
        }
        Ok(Self { temp, target: path.to_owned(), older: found.as_ref().map(Older::of) })
    }

    /// Returns whether a file existed at the path.
    pub(crate) fn has_older(&self) -> bool {
        self.older.is_some()
    }

    pub(crate) fn file(&mut self) -> &mut File {
        self.temp.as_file_mut()
    }

    /// Flushes the content to the disk (fsync).
    pub(crate) fn sync(&self) -> io::Result<()> {
        self.temp.as_file().sync_all()
    }

    /// Renames the temporary file to its target and flushes the folder to the disk, too, where the system supports it.
    pub(crate) fn rename(self) -> io::Result<()> {
        self.temp.persist(&self.target).map_err(|err| err.error)?;
        sync_folder(folder_of(&self.target))
    }

    /// Renames the temporary file without replacing another one's changes.
    ///
    /// Takes the target's name if that is free or the older file is unchanged, otherwise a free name in the same folder, which
    /// it returns.
    pub(crate) fn rename_beside(self) -> io::Result<Option<PathBuf>> {
        let Self { mut temp, target, older } = self;
        let found = target_of(&target).ok().and_then(|(_, found)| found);
        if older.is_some() && found.as_ref().map(Older::of) == older {
            temp.persist(&target).map_err(|err| err.error)?;
            return sync_folder(folder_of(&target)).map(|()| None);
        }
        let mut path = target.clone();
        for number in 2.. {
            match temp.persist_noclobber(&path) {
                Ok(_) => break,
                Err(err) if err.error.kind() == io::ErrorKind::AlreadyExists => temp = err.file,
                Err(err) => return Err(err.error),
            }
            path = beside(&target, number);
        }
        sync_folder(folder_of(&path)).map(|()| Some(path).filter(|path| *path != target))
    }
}

/// Returns the path with a number before the file extension.
fn beside(path: &Path, number: u32) -> PathBuf {
    let mut name = path.file_stem().unwrap_or_default().to_owned();
    name.push(format!("-{number}"));
    if let Some(extension) = path.extension() {
        name.push(".");
        name.push(extension);
    }
    path.with_file_name(name)
}

/// Checks that files can be created in a folder and that the disk has room for at least 4 KiB.
///
/// Creates the folder and its missing parents if they do not exist, and then writes and removes a temporary file in it. Use it
/// before an expensive operation whose output goes there.
///
/// # Errors
/// `PermissionDenied`, `StorageFull`, or `Io` if a file has the name of a folder.
///
/// # Cancel safety
/// Dropping the future may still create the folder; the temporary file is removed.
pub async fn check_writable(path: impl AsRef<Path>) -> Result<(), Error> {
    let path = path.as_ref().to_owned();
    run_blocking("write into", &path.clone(), move || {
        make_dir(path.clone())?;
        let created = builder().tempfile_in(&path).and_then(|mut temp| check_room(temp.as_file_mut()));
        created.map_err(|err| Error::from_io(err, "write into", path))
    })
    .await
}

/// Checks that the disk has room for a block of 4 KiB; the file is empty afterwards.
fn check_room(file: &mut File) -> io::Result<()> {
    file.write_all(&[0; 4096])?;
    file.sync_data()?;
    file.set_len(0)?;
    file.rewind()
}

/// Flushes the entries of a folder to the disk (fsync), where the system supports it.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    match open_folder(folder).and_then(|folder| folder.sync_all()) {
        Err(err) if !cannot_sync(&err) => Err(err),
        _ => Ok(()),
    }
}

/// Returns whether the error means that folders cannot be flushed: some file systems do not support it, and some folders are
/// writable but cannot be opened.
pub(crate) fn cannot_sync(err: &io::Error) -> bool {
    use io::ErrorKind::{InvalidInput, PermissionDenied, Unsupported};
    cfg!(not(unix)) || matches!(err.kind(), InvalidInput | Unsupported | PermissionDenied)
}

/// Resolves symbolic links and returns the target with the metadata of a regular file; `None` if nothing exists there.
fn target_of(path: &Path) -> Result<(PathBuf, Option<Metadata>), Error> {
    let failed = |err| Error::from_io(err, "write", path);
    let mut target = path.to_owned();
    // The limit of Linux on symbolic links.
    for _ in 0..40 {
        match read_run(&target) {
            Ok((found, Some(link))) if found.is_symlink() => target = folder_of(&target).join(link),
            Ok((found, _)) if found.is_file() => return Ok((target, Some(found))),
            Ok(_) => return Err(Error::new(ErrorKind::NotAFile, "write", path)),
            Err(err) if err.kind() == io::ErrorKind::NotFound => return Ok((target, None)),
            Err(err) => return Err(failed(err)),
        }
    }
    Err(failed(io::Error::other("too many symbolic links")))
}

/// Returns the metadata of a path, and its target if it is a symbolic link.
#[expect(clippy::disallowed_methods, reason = "runs on a blocking thread")]
fn read_run(path: &Path) -> io::Result<(Metadata, Option<PathBuf>)> {
    let found = std::fs::symlink_metadata(path)?;
    let link = if found.is_symlink() { Some(std::fs::read_link(path)?) } else { None };
    Ok((found, link))
}

#[expect(clippy::disallowed_methods, reason = "runs on a blocking thread")]
fn open_folder(folder: &Path) -> io::Result<File> {
    File::open(folder)
}

/// Returns the folder that contains `path`.
pub(crate) fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

const PREFIX: &str = ".antiphon-";
/// The beginning of the names of temporary files that are locked by their writers.
const OUTPUT: &str = ".antiphon-output-";

/// Creates a temporary file for an output, with a lock that ends with the process.
///
/// Another process may take the file for a leftover between its creation and its lock, and remove it: then another one is
/// created. Where the system has no locks, the file is as good without one.
fn locked_output(folder: &Path) -> io::Result<NamedTempFile> {
    loop {
        let temp = builder().prefix(OUTPUT).tempfile_in(folder)?;
        let _ = temp.as_file().lock();
        if temp.path().try_exists()? {
            return Ok(temp);
        }
    }
}

/// Removes the temporary files of outputs whose processes have ended without removing them. One that cannot be removed does no
/// harm.
#[expect(clippy::disallowed_methods, reason = "runs on a blocking thread")]
fn remove_leftovers(folder: &Path) {
    let Ok(found) = std::fs::read_dir(folder) else { return };
    for entry in found.flatten().filter(|entry| entry.file_name().to_string_lossy().starts_with(OUTPUT)) {
        let opened = File::options().write(true).open(entry.path());
        if opened.is_ok_and(|file| file.try_lock().is_ok()) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

#[cfg(unix)]
fn builder() -> tempfile::Builder<'static, 'static> {
    use std::os::unix::fs::PermissionsExt;
    let mut builder = tempfile::Builder::new();
    // The umask of the process applies, as for any other file: tempfile's default allows only the owner.
    builder.prefix(PREFIX).permissions(Permissions::from_mode(0o666));
    builder
}

#[cfg(not(unix))]
fn builder() -> tempfile::Builder<'static, 'static> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(PREFIX);
    builder
}

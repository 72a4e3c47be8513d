use std::fs::{File, Metadata, Permissions};
use std::io::{self, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use tempfile::{NamedTempFile, TempDir};

use crate::blocking::run_blocking;
use crate::error::{Error, ErrorKind};
use crate::metadata::make_dir;

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
    older: Option<Older>,
}

/// What tells whether an older file is still the one that was there.
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
    /// Of what stands under `path`, with its permissions; a link stays, and its target is replaced.
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

    /// [`of`](Self::of) a path where there is room on the disk.
    pub(crate) fn checked(path: &Path) -> Result<Self, Error> {
        let mut new = Self::of(path)?;
        check_room(new.file()).map_err(|err| Error::from_io(err, "write", path))?;
        Ok(new)
    }

    /// [`of`](Self::of) that nobody else can read until it gets permissions of its own.
    pub(crate) fn private(path: &Path) -> Result<Self, Error> {
        let (target, _) = target_of(path)?;
        let temp = tempfile::Builder::new().prefix(PREFIX).tempfile_in(folder_of(&target));
        Ok(Self { temp: temp.map_err(|err| Error::from_io(err, "write", path))?, target, older: None })
    }

    /// Whether there was a file under the name.
    pub(crate) fn has_older(&self) -> bool {
        self.older.is_some()
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

    /// Takes the file's name where that is free, or the older file's that is as it was, and else a free one beside it, which it
    /// returns.
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

/// The name with a number before its ending.
fn beside(path: &Path, number: u32) -> PathBuf {
    let mut name = path.file_stem().unwrap_or_default().to_owned();
    name.push(format!("-{number}"));
    if let Some(ending) = path.extension() {
        name.push(".");
        name.push(ending);
    }
    path.with_file_name(name)
}

/// Tries a folder, which is made if it is not there, by a file that is removed again: whether files can be made in it, and
/// whether there is room on the disk.
///
/// # Errors
/// `PermissionDenied`, `StorageFull`, or `Io` where a file is in the way.
///
/// # Cancel safety
/// A dropped call may still make the folder; the file does not stay.
pub async fn check_writable(path: impl AsRef<Path>) -> Result<(), Error> {
    let path = path.as_ref().to_owned();
    run_blocking("write into", &path.clone(), move || {
        make_dir(path.clone())?;
        let made = builder().tempfile_in(&path).and_then(|mut temp| check_room(temp.as_file_mut()));
        made.map_err(|err| Error::from_io(err, "write into", path))
    })
    .await
}

/// Whether there is room for a block; the file is empty afterwards.
fn check_room(file: &mut File) -> io::Result<()> {
    file.write_all(&[0; 4096])?;
    file.sync_data()?;
    file.set_len(0)?;
    file.rewind()
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

/// What a path leads to, through links, and what is there: a regular file, or nothing yet.
fn target_of(path: &Path) -> Result<(PathBuf, Option<Metadata>), Error> {
    let failed = |err| Error::from_io(err, "write", path);
    let mut target = path.to_owned();
    // As many links as Linux follows.
    for _ in 0..40 {
        match look_at(&target) {
            Ok((found, Some(link))) if found.is_symlink() => target = folder_of(&target).join(link),
            Ok((found, _)) if found.is_file() => return Ok((target, Some(found))),
            Ok(_) => return Err(Error::new(ErrorKind::NotAFile, "write", path)),
            Err(err) if err.kind() == io::ErrorKind::NotFound => return Ok((target, None)),
            Err(err) => return Err(failed(err)),
        }
    }
    Err(failed(io::Error::other("too many links")))
}

/// What is under a path, and where it leads to if it is a link.
#[expect(clippy::disallowed_methods, reason = "runs on a blocking thread")]
fn look_at(path: &Path) -> io::Result<(Metadata, Option<PathBuf>)> {
    let found = std::fs::symlink_metadata(path)?;
    let link = if found.is_symlink() { Some(std::fs::read_link(path)?) } else { None };
    Ok((found, link))
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

//! The steps from a folder down, each relative to an open folder.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, fchmod, mkdirat, open as open_root, openat, renameat, statat, unlinkat,
};
use rustix::io::Errno;

use super::Access;

const FOLDER: OFlags = OFlags::DIRECTORY.union(OFlags::CLOEXEC);

/// Returns whether an error of a step means that a link is in the way.
pub(super) fn is_link(err: &io::Error) -> bool {
    err.raw_os_error() == Some(Errno::LOOP.raw_os_error())
}

/// Opens a file by the names on the way to it, without following a link. A pipe or a device is not waited for.
pub(super) fn open(root: &Path, names: &[&OsStr]) -> io::Result<File> {
    let Some((name, folders)) = names.split_last() else { return Err(Errno::INVAL.into()) };
    let folder = enter(root, folders, false)?;
    let found = statat(&folder, *name, AtFlags::SYMLINK_NOFOLLOW)?;
    match FileType::from_raw_mode(found.st_mode) {
        FileType::RegularFile => {}
        FileType::Symlink => return Err(Errno::LOOP.into()),
        // Opening a device may do something, and a pipe waits: the folder is opened instead, which is no file either.
        _ => return Ok(File::from(folder)),
    }
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    Ok(File::from(openat(&folder, *name, flags, Mode::empty())?))
}

/// Creates the folders on a way that are missing.
pub(super) fn create(root: &Path, names: &[&OsStr]) -> io::Result<()> {
    enter(root, names, true).map(drop)
}

/// Opens the last folder of a way.
fn enter(root: &Path, folders: &[&OsStr], create: bool) -> io::Result<OwnedFd> {
    let root = if root.as_os_str().is_empty() { Path::new(".") } else { root };
    let mut folder = open_root(root, OFlags::RDONLY | FOLDER, Mode::empty())?;
    for name in folders {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | FOLDER;
        let opened = match openat(&folder, *name, flags, Mode::empty()) {
            Err(Errno::NOENT) if create => {
                match mkdirat(&folder, *name, Mode::from_raw_mode(0o777)) {
                    Err(Errno::EXIST) | Ok(()) => {}
                    Err(err) => return Err(err.into()),
                }
                openat(&folder, *name, flags, Mode::empty())
            }
            opened => opened,
        };
        folder = match opened {
            // Systems differ in the error for a link.
            Err(Errno::NOTDIR | Errno::LOOP) => return Err(not_a_folder(&folder, name).into()),
            opened => opened?,
        };
    }
    Ok(folder)
}

/// Returns the error for a name that is not that of a folder.
fn not_a_folder(folder: &OwnedFd, name: &OsStr) -> Errno {
    let found = statat(folder, name, AtFlags::SYMLINK_NOFOLLOW);
    let is_link = found.is_ok_and(|found| FileType::from_raw_mode(found.st_mode) == FileType::Symlink);
    if is_link { Errno::LOOP } else { Errno::NOTDIR }
}

/// Writes a file under a random name, and gives it its name when it is complete.
pub(super) fn write(root: &Path, names: &[&OsStr], bytes: &[u8], access: Access) -> io::Result<()> {
    let Some((name, folders)) = names.split_last() else { return Err(Errno::INVAL.into()) };
    let folder = enter(root, folders, true)?;
    let older = statat(&folder, *name, AtFlags::SYMLINK_NOFOLLOW).ok();
    if older.as_ref().is_some_and(|older| FileType::from_raw_mode(older.st_mode) == FileType::Directory) {
        return Err(Errno::ISDIR.into());
    }
    let (temp, mut file) = create_temp(&folder, access)?;
    let written = (|| {
        let kept = older.filter(|older| FileType::from_raw_mode(older.st_mode) == FileType::RegularFile);
        if let Some(older) = kept.filter(|_| access == Access::Usual) {
            fchmod(&file, Mode::from_raw_mode(older.st_mode))?;
        }
        file.write_all(bytes)?;
        file.sync_all()?;
        Ok(renameat(&folder, &temp, &folder, *name)?)
    })();
    if written.is_err() {
        // One that cannot be removed does no harm.
        let _ = unlinkat(&folder, &temp, AtFlags::empty());
        return written;
    }
    match File::from(folder).sync_all() {
        Err(err) if !crate::temp::cannot_sync(&err) => Err(err),
        _ => Ok(()),
    }
}

/// Creates a file of a name that no other has.
fn create_temp(folder: &OwnedFd, access: Access) -> io::Result<(OsString, File)> {
    let mode = Mode::from_raw_mode(if access == Access::Private { 0o600 } else { 0o666 });
    loop {
        // The keys of the hasher are random.
        let name: OsString = format!(".antiphon-{:016x}", RandomState::new().build_hasher().finish()).into();
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match openat(folder, &name, flags, mode) {
            Err(Errno::EXIST) => {}
            opened => return Ok((name, File::from(opened?))),
        }
    }
}

//! Reading and writing below a folder without following links: what is opened is what was checked, since each step of the way is
//! opened relative to the folder before it, and never by a path that someone may change in between.

use std::fs::File;
use std::path::{Path, PathBuf};

use crate::blocking::run_sized;
use crate::error::{Error, ErrorKind};
use crate::links::{Links, names};
use crate::rename::canonicalize;

/// A file to read, and the folder that it has to be in.
///
/// ```
/// use antiphon_fs::{Links, ReadBelow};
/// let from = ReadBelow { path: "in/a.txt".into(), root: Some(std::path::Path::new("in").into()), links: Links::Inside };
/// assert_eq!(ReadBelow::anywhere("a.txt").root, None);
/// # assert!(from.root.is_some());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadBelow {
    /// The path of the file, which begins with `root`.
    pub path: PathBuf,
    /// The folder that the file has to be in, as it was passed to [`walk`](crate::walk()); `None` for a file that was named itself,
    /// which may be anywhere and a link.
    pub root: Option<std::sync::Arc<Path>>,
    /// The links below the root that are followed.
    pub links: Links,
}

impl ReadBelow {
    /// Creates the request for a file that may be anywhere, and that may be a link.
    #[must_use]
    pub fn anywhere(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), root: None, links: Links::All }
    }

    /// Opens the file, and returns it with its length.
    ///
    /// # Errors
    /// `LinkNotFollowed` if a link leads elsewhere, `NotAFile`, or the error of the system.
    pub(crate) fn open(&self) -> Result<(File, u64), Error> {
        match &self.root {
            Some(root) if self.links != Links::All => open_below(root, &self.path, &self.links),
            _ => crate::read::open_regular(&self.path),
        }
    }
}

/// Opens a regular file below a root. A link on the way is followed only if its target is allowed, and then the target is opened by
/// a way that has no link.
fn open_below(root: &Path, path: &Path, links: &Links) -> Result<(File, u64), Error> {
    let failed = |err| Error::from_io(err, "read", path);
    let refused = || Error::new(ErrorKind::LinkNotFollowed, "read", path);
    let opened = match path.strip_prefix(root).ok().and_then(names) {
        Some(names) => steps::open(root, &names),
        None => return Err(refused()),
    };
    let file = match opened {
        Err(err) if steps::is_link(&err) => {
            let (root, target) = (canonicalize(root).map_err(failed)?, canonicalize(path).map_err(failed)?);
            let (base, below) = links.allow(&root, &target, false).ok_or_else(refused)?;
            let (base, names) = match (names(below), base.file_name()) {
                (Some(names), _) => (base, names),
                (None, Some(name)) => (base.parent().unwrap_or(base), vec![name]),
                (None, None) => return Err(refused()),
            };
            let again = |err| if steps::is_link(&err) { refused() } else { failed(err) };
            steps::open(base, &names).map_err(again)?
        }
        opened => opened.map_err(failed)?,
    };
    let found = file.metadata().map_err(failed)?;
    if !found.is_file() {
        return Err(Error::new(ErrorKind::NotAFile, "read", path));
    }
    Ok((file, found.len()))
}

/// Writes a whole file below a folder, atomically and durably as [`write()`](crate::write()) does, without following a link on the
/// way: a link of the file's name is replaced by the file, and a link in the place of a folder is an error. Missing folders between
/// `root` and the file are created; `root` exists, and may be a link itself.
///
/// Use it for the folders of a program's output, which others may be able to write.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), antiphon_fs::Error> {
/// let folder = antiphon_fs::temp_dir()?;
/// antiphon_fs::write_below(folder.path(), "run/notes/a.md", "# A\n").await?;
/// assert_eq!(antiphon_fs::read(folder.path().join("run/notes/a.md")).await?, b"# A\n");
/// assert!(antiphon_fs::write_below(folder.path(), "../a.md", "").await.is_err());
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// `LinkNotFollowed` if a folder on the way is a link or `below` leads out of the root, otherwise those of [`write()`](crate::write()).
///
/// # Cancel safety
/// If the future is dropped, either the whole file is written or the older one stays. No temporary file is left.
pub async fn write_below<B>(root: impl AsRef<Path>, below: impl AsRef<Path>, bytes: B) -> Result<(), Error>
where
    B: AsRef<[u8]> + Send + 'static,
{
    store(root.as_ref(), below.as_ref(), bytes, Access::Usual).await
}

/// Writes a file like [`write_below`], but readable only by its owner (mode 0600 on Unix): for secrets and personal data (PII).
///
/// # Errors
/// The errors of [`write_below`].
///
/// # Cancel safety
/// As for [`write_below`].
pub async fn write_private_below<B>(
    root: impl AsRef<Path>,
    below: impl AsRef<Path>,
    bytes: B,
) -> Result<(), Error>
where
    B: AsRef<[u8]> + Send + 'static,
{
    store(root.as_ref(), below.as_ref(), bytes, Access::Private).await
}

/// Creates a folder and its missing parents below `root`, without following a link on the way. An existing folder is not an error.
///
/// # Errors
/// `LinkNotFollowed` if a folder on the way is a link or `below` leads out of the root, otherwise those of
/// [`create_dir`](crate::create_dir).
///
/// # Cancel safety
/// Dropping the future may still create the folders; none is removed.
pub async fn create_dir_below(root: impl AsRef<Path>, below: impl AsRef<Path>) -> Result<(), Error> {
    let (root, below) = (root.as_ref().to_owned(), below.as_ref().to_owned());
    let path = root.join(&below);
    let made = move || {
        let path = root.join(&below);
        let names =
            names(&below).ok_or_else(|| Error::new(ErrorKind::LinkNotFollowed, "create folder", &path))?;
        crate::metadata::make_dir(root.clone())?;
        steps::create(&root, &names).map_err(|err| step_error(err, "create folder", &path))
    };
    crate::blocking::run_blocking("create folder", &path, made).await
}

/// The readers of a new file.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Access {
    /// Everyone whom the umask of the process allows, or who could read the older file.
    Usual,
    /// The owner alone.
    Private,
}

async fn store<B>(root: &Path, below: &Path, bytes: B, access: Access) -> Result<(), Error>
where
    B: AsRef<[u8]> + Send + 'static,
{
    let (root, below) = (root.to_owned(), below.to_owned());
    let path = root.join(&below);
    let written = run_sized(
        "write",
        &path.clone(),
        |size| *size,
        move || {
            let names =
                names(&below).ok_or_else(|| Error::new(ErrorKind::LinkNotFollowed, "write", &path))?;
            let bytes = bytes.as_ref();
            steps::write(&root, &names, bytes, access).map_err(|err| step_error(err, "write", &path))?;
            Ok(bytes.len() as u64)
        },
    )
    .await;
    written.map(|_| ())
}

/// Converts the error of a step; a link on the way is named.
fn step_error(err: std::io::Error, operation: &'static str, path: &Path) -> Error {
    if steps::is_link(&err) {
        return Error::new(ErrorKind::LinkNotFollowed, operation, path);
    }
    Error::from_io(err, operation, path)
}

/// The steps from a folder down, each relative to an open folder.
#[cfg(unix)]
mod steps {
    use std::ffi::{OsStr, OsString};
    use std::fs::File;
    use std::hash::{BuildHasher, Hasher, RandomState};
    use std::io::{self, Write};
    use std::os::fd::OwnedFd;
    use std::path::Path;

    use rustix::fs::{
        AtFlags, FileType, Mode, OFlags, fchmod, mkdirat, open as open_root, openat, renameat, statat,
        unlinkat,
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
            let name: OsString =
                format!(".antiphon-{:016x}", RandomState::new().build_hasher().finish()).into();
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            match openat(folder, &name, flags, mode) {
                Err(Errno::EXIST) => {}
                opened => return Ok((name, File::from(opened?))),
            }
        }
    }
}

/// The same by paths, where the system has no steps: links are checked before, and not at the same time.
#[cfg(not(unix))]
mod steps {
    use std::ffi::OsStr;
    use std::fs::File;
    use std::io::{self, Write};
    use std::path::{Path, PathBuf};

    use super::Access;
    use crate::temp::Replacement;

    pub(super) fn is_link(err: &io::Error) -> bool {
        err.kind() == io::ErrorKind::NotADirectory
    }

    pub(super) fn open(root: &Path, names: &[&OsStr]) -> io::Result<File> {
        let path = way(root, names)?;
        crate::read::open_regular(&path).map(|(file, _)| file).map_err(io::Error::other)
    }

    #[expect(clippy::disallowed_methods, reason = "runs on a blocking thread")]
    pub(super) fn create(root: &Path, names: &[&OsStr]) -> io::Result<()> {
        std::fs::create_dir_all(way(root, names)?)
    }

    pub(super) fn write(root: &Path, names: &[&OsStr], bytes: &[u8], access: Access) -> io::Result<()> {
        let Some((_, folders)) = names.split_last() else { return Err(io::ErrorKind::InvalidInput.into()) };
        create(root, folders)?;
        let path = way(root, names)?;
        let new = match access {
            Access::Usual => Replacement::in_place(&path),
            Access::Private => Replacement::private(&path),
        };
        let mut new = new.map_err(io::Error::other)?;
        new.file().write_all(bytes)?;
        new.sync()?;
        new.rename()
    }

    /// Returns the path of these names, none of which is a link.
    #[expect(clippy::disallowed_methods, reason = "runs on a blocking thread")]
    fn way(root: &Path, names: &[&OsStr]) -> io::Result<PathBuf> {
        let mut path = root.to_owned();
        for name in names {
            path.push(name);
            if std::fs::symlink_metadata(&path).is_ok_and(|found| found.is_symlink()) {
                return Err(io::ErrorKind::NotADirectory.into());
            }
        }
        Ok(path)
    }
}

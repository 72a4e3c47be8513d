use std::path::{Path, PathBuf};

use crate::blocking::run_blocking;
use crate::error::Error;
use crate::temp::{folder_of, sync_folder};

/// Renames a file atomically, replacing an existing file, and flushes the target folder to the disk (fsync).
///
/// Both paths must be on the same file system. At any time, other processes find either the older file or the new one at `to`,
/// also after a crash. The content of the file is not flushed: if it was just written, call
/// [`Writer::finish`](crate::Writer::finish) first.
///
/// # Errors
/// `NotFound` if the file or the target folder does not exist, `Io` for another file system, otherwise the error of the system.
///
/// # Cancel safety
/// If the future is dropped, the file may or may not be renamed.
pub async fn rename(from: impl AsRef<Path>, to: impl AsRef<Path>) -> Result<(), Error> {
    let (from, to) = (from.as_ref().to_owned(), to.as_ref().to_owned());
    run_blocking("rename", &from.clone(), move || {
        rename_and_sync(&from, &to).map_err(|err| Error::from_io(err, "rename", from))
    })
    .await
}

/// Removes a file; a missing file is not an error. For a folder, use [`remove_dir`].
///
/// # Errors
/// The error of the system, such as `PermissionDenied`.
///
/// # Cancel safety
/// If the future is dropped, the file may or may not be removed.
pub async fn remove(path: impl AsRef<Path>) -> Result<(), Error> {
    let path = path.as_ref().to_owned();
    run_blocking("remove", &path.clone(), move || match remove_file(&path) {
        Err(err) if err.kind() != std::io::ErrorKind::NotFound => Err(Error::from_io(err, "remove", path)),
        _ => Ok(()),
    })
    .await
}

/// Removes a folder with all files and folders in it; a missing folder is not an error.
///
/// Symbolic links in the folder are removed, but not their targets.
///
/// # Errors
/// The error of the system, such as `PermissionDenied`.
///
/// # Cancel safety
/// If the future is dropped after its first poll, the folder is still removed in the background.
pub async fn remove_dir(path: impl AsRef<Path>) -> Result<(), Error> {
    let path = path.as_ref().to_owned();
    run_blocking("remove", &path.clone(), move || match remove_all(&path) {
        Err(err) if err.kind() != std::io::ErrorKind::NotFound => Err(Error::from_io(err, "remove", path)),
        _ => Ok(()),
    })
    .await
}

/// Creates a symbolic link at `link` that points to `target`.
///
/// A relative `target` is resolved from the folder of the link, not from the current folder. The target need not exist.
///
/// # Errors
/// The error of the system, such as `Io` if `link` already exists. On Windows, creating links requires a privilege.
///
/// # Cancel safety
/// If the future is dropped, the link may or may not be created.
pub async fn link(target: impl AsRef<Path>, link: impl AsRef<Path>) -> Result<(), Error> {
    let (target, link) = (target.as_ref().to_owned(), link.as_ref().to_owned());
    run_blocking("link", &link.clone(), move || {
        symlink(&target, &link).map_err(|err| Error::from_io(err, "link", link))
    })
    .await
}

/// Returns the absolute path of an existing file or folder, in which symbolic links, `.` and `..` are resolved.
///
/// # Errors
/// `NotFound`, or another error of the system.
///
/// # Cancel safety
/// A dropped call changes nothing.
pub async fn canonical(path: impl AsRef<Path>) -> Result<PathBuf, Error> {
    let path = path.as_ref().to_owned();
    run_blocking("access", &path.clone(), move || {
        canonicalize(&path).map_err(|err| Error::from_io(err, "access", path))
    })
    .await
}

/// Returns the identity of the symbolic link at `path` itself, and not of its target: a text that no other link has, nor a copy of
/// this one; `None` if the path is no link. For a record of links that a program has created.
///
/// # Errors
/// `NotFound`, or another error of the system.
///
/// # Cancel safety
/// A dropped call changes nothing.
pub async fn link_identity(path: impl AsRef<Path>) -> Result<Option<String>, Error> {
    let path = path.as_ref().to_owned();
    run_blocking("access", &path.clone(), move || {
        identity(&path).map_err(|err| Error::from_io(err, "access", path))
    })
    .await
}

#[cfg(unix)]
#[expect(clippy::disallowed_methods, reason = "runs on a blocking thread")]
fn identity(path: &Path) -> std::io::Result<Option<String>> {
    use std::os::unix::fs::MetadataExt;
    let found = std::fs::symlink_metadata(path)?;
    let number = || format!("{}-{}-{}.{:09}", found.dev(), found.ino(), found.ctime(), found.ctime_nsec());
    Ok(found.is_symlink().then(number))
}

#[cfg(not(unix))]
#[expect(clippy::disallowed_methods, reason = "runs on a blocking thread")]
fn identity(path: &Path) -> std::io::Result<Option<String>> {
    let found = std::fs::symlink_metadata(path)?;
    Ok(found.is_symlink().then(|| format!("{:?}", found.created().ok())))
}

#[expect(clippy::disallowed_methods, reason = "runs on a blocking thread")]
fn remove_all(path: &Path) -> std::io::Result<()> {
    std::fs::remove_dir_all(path)
}

#[expect(clippy::disallowed_methods, reason = "runs on a blocking thread")]
pub(crate) fn canonicalize(path: &Path) -> std::io::Result<PathBuf> {
    std::fs::canonicalize(path)
}

#[cfg(unix)]
fn symlink(target: &Path, link: &Path) -> std::io::Result<()> {
    std::os::unix::fs::symlink(target, link)
}

#[cfg(windows)]
#[expect(clippy::disallowed_methods, reason = "runs on a blocking thread")]
fn symlink(target: &Path, link: &Path) -> std::io::Result<()> {
    if target.is_dir() {
        std::os::windows::fs::symlink_dir(target, link)
    } else {
        std::os::windows::fs::symlink_file(target, link)
    }
}

#[expect(clippy::disallowed_methods, reason = "runs on a blocking thread")]
fn rename_and_sync(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::rename(from, to)?;
    sync_folder(folder_of(to))
}

#[expect(clippy::disallowed_methods, reason = "runs on a blocking thread")]
fn remove_file(path: &Path) -> std::io::Result<()> {
    std::fs::remove_file(path)
}

#[cfg(test)]
mod tests {
    use super::{canonical, link, remove, remove_dir, rename};
    use crate::{ErrorKind, exists, read, temp_dir, write};

    #[cfg(unix)]
    #[tokio::test]
    async fn remove_dir_removes_links_but_not_their_targets() {
        let folder = temp_dir().unwrap();
        let at = |name: &str| folder.path().join(name);
        write(&at("kept"), "1").await.unwrap();
        crate::create_dir(at("gone")).await.unwrap();
        link(canonical(at("kept")).await.unwrap(), at("gone/link")).await.unwrap();
        assert_eq!(read(at("gone/link")).await.unwrap(), b"1");
        assert!(link("x", at("gone/link")).await.unwrap_err().to_string().starts_with("cannot link "));
        remove_dir(at("gone")).await.unwrap();
        remove_dir(at("gone")).await.unwrap();
        assert!(!exists(&at("gone")).await.unwrap() && exists(&at("kept")).await.unwrap());
        assert_eq!(canonical(at("gone")).await.unwrap_err().kind(), ErrorKind::NotFound);
    }

    #[tokio::test]
    async fn rename_replaces_and_remove_is_idempotent() {
        let folder = temp_dir().unwrap();
        let [one, other] = ["one", "other"].map(|name| folder.path().join(name));
        write(&one, "1").await.unwrap();
        write(&other, "2").await.unwrap();
        rename(&one, &other).await.unwrap();
        assert_eq!(read(&other).await.unwrap(), b"1");
        assert_eq!(rename(&one, &other).await.unwrap_err().kind(), ErrorKind::NotFound);
        remove(&other).await.unwrap();
        remove(&other).await.unwrap();
        assert!(!exists(&other).await.unwrap());
        let err = remove(folder.path()).await.unwrap_err();
        assert!(err.to_string().starts_with("cannot remove "), "a folder is not a file: {err}");
    }
}

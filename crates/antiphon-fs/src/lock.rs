use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};

use crate::blocking::run_blocking;
use crate::error::{Error, ErrorKind};

/// An exclusive lock on a file, among all processes of a machine (advisory on Unix).
///
/// Unlike a lease, a lock never expires. The system releases it when its owner drops it or exits, even after a crash, so a lock
/// that is held always has a live owner. The lock file itself stays, unless it is [removed on drop](Self::remove_on_drop).
/// Network file systems may not enforce the lock across machines.
///
/// ```
/// use antiphon_fs::{FileLock, Locked};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), antiphon_fs::Error> {
/// # let folder = antiphon_fs::temp_dir()?;
/// # let path = folder.path().join("lock");
/// let Locked::Mine(mine) = FileLock::acquire(&path, "process 1").await? else { return Ok(()) };
/// let other = FileLock::acquire(&path, "process 2").await?;
/// assert!(matches!(other, Locked::Anothers { note } if note == "process 1"));
/// drop(mine);
/// assert!(matches!(FileLock::acquire(&path, "process 2").await?, Locked::Mine(_)));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "dropping a lock releases it"]
pub struct FileLock {
    _file: File,
    path: PathBuf,
    is_removed: bool,
}

/// The result of [`FileLock::acquire`]: the lock, or the note of its present owner.
#[derive(Debug)]
#[must_use = "dropping a lock releases it"]
pub enum Locked {
    /// The caller holds the lock.
    Mine(FileLock),
    /// Another owner, in this process or another, holds the lock.
    Anothers {
        /// The note that the owner has stored in the file; empty if it cannot be read, as on Windows.
        note: String,
    },
}

impl FileLock {
    /// Removes the file when the lock is dropped. By default, the file stays.
    ///
    /// Use it only for a file that no other process will try to lock: a process that has already opened the file would lock the
    /// removed file, while a third one creates and locks a new file of the same name.
    pub fn remove_on_drop(mut self) -> Self {
        self.is_removed = true;
        self
    }

    /// Acquires the lock if it is free; never waits for its owner.
    ///
    /// Creates the file if it does not exist; its folder must exist. Stores `note`, such as the process id, in the file: callers
    /// that do not get the lock receive it in [`Locked::Anothers`].
    ///
    /// # Errors
    /// The error of the system: `PermissionDenied`, `NotFound` for a missing folder, `StorageFull` or `Io`.
    ///
    /// # Cancel safety
    /// Dropping the future may leave the file behind; the lock is released.
    pub async fn acquire(path: impl AsRef<Path>, note: &str) -> Result<Locked, Error> {
        let (path, note) = (path.as_ref().to_owned(), note.to_owned());
        run_blocking("lock", &path.clone(), move || acquire(&path, &note)).await
    }
}

impl Drop for FileLock {
    #[expect(clippy::disallowed_methods, reason = "unlinking is fast, and a drop cannot await")]
    fn drop(&mut self) {
        if self.is_removed {
            // A file that cannot be removed does no harm.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn acquire(path: &PathBuf, note: &str) -> Result<Locked, Error> {
    let failed = |err| Error::from_io(err, "lock", path);
    // Truncated only after locking: the note of another owner must be kept.
    // A link is not followed, since the note replaces the content of the file.
    let opened = without_links().read(true).write(true).create(true).truncate(false).open(path);
    let mut file = opened.map_err(|err| {
        if is_link(path) { Error::new(ErrorKind::LinkNotFollowed, "lock", path) } else { failed(err) }
    })?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut note = String::new();
            // Some systems do not let other processes read a locked file.
            let _ = file.read_to_string(&mut note);
            return Ok(Locked::Anothers { note });
        }
        Err(TryLockError::Error(err)) => return Err(failed(err)),
    }
    file.set_len(0).and_then(|()| file.rewind()).map_err(failed)?;
    file.write_all(note.as_bytes()).map_err(failed)?;
    Ok(Locked::Mine(FileLock { _file: file, path: path.clone(), is_removed: false }))
}

/// Returns options by which a symbolic link is not opened.
fn without_links() -> OpenOptions {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed());
    }
    options
}

#[expect(clippy::disallowed_methods, reason = "runs on a blocking thread")]
fn is_link(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok_and(|found| found.is_symlink())
}

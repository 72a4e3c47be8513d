use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};

use crate::blocking::run_blocking;
use crate::error::Error;

/// A file that at most one owner holds at a time, among all processes of a machine.
///
/// The system gives it back when its owner drops it or dies, however it dies, so a lock that is held has a living owner.
/// The file itself stays, unless it is [removed](Self::remove_on_drop). Network file systems may not tell other machines of it.
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
#[must_use = "a lock that is dropped is given back"]
pub struct FileLock {
    _file: File,
    path: PathBuf,
    is_removed: bool,
}

/// What came of asking for a [`FileLock`].
#[derive(Debug)]
#[must_use = "a lock that is dropped is given back"]
pub enum Locked {
    /// It is held now.
    Mine(FileLock),
    /// Somebody else holds it.
    Anothers {
        /// What they wrote into it; empty where that cannot be read.
        note: String,
    },
}

impl FileLock {
    /// Sets that the file is removed when the lock is given back: for a name that no one else will ask for, since whoever
    /// opened the file before holds a lock on nothing then.
    pub fn remove_on_drop(mut self) -> Self {
        self.is_removed = true;
        self
    }

    /// Takes the lock unless another holds it, and writes `note` into it, for whoever asks next. The file is made if it is
    /// not there. Never waits for the other owner.
    ///
    /// # Errors
    /// What the system answered: `PermissionDenied`, `NotFound` for a missing folder, `StorageFull` or `Io`.
    ///
    /// # Cancel safety
    /// A dropped call may have made the file; the lock is given back.
    pub async fn acquire(path: impl AsRef<Path>, note: &str) -> Result<Locked, Error> {
        let (path, note) = (path.as_ref().to_owned(), note.to_owned());
        run_blocking("lock", &path.clone(), move || acquire(&path, &note)).await
    }
}

impl Drop for FileLock {
    #[expect(
        clippy::disallowed_methods,
        reason = "a name is unlinked in no time, and nothing can wait in a drop"
    )]
    fn drop(&mut self) {
        if self.is_removed {
            // A file that cannot be removed is in no one's way.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn acquire(path: &PathBuf, note: &str) -> Result<Locked, Error> {
    let failed = |err| Error::from_io(err, "lock", path);
    // Cut to nothing only by its owner: what another wrote is still wanted.
    let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
    let mut file = opened.map_err(failed)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut note = String::new();
            // Some systems let nobody else read a locked file.
            let _ = file.read_to_string(&mut note);
            return Ok(Locked::Anothers { note });
        }
        Err(TryLockError::Error(err)) => return Err(failed(err)),
    }
    file.set_len(0).and_then(|()| file.rewind()).map_err(failed)?;
    file.write_all(note.as_bytes()).map_err(failed)?;
    Ok(Locked::Mine(FileLock { _file: file, path: path.clone(), is_removed: false }))
}

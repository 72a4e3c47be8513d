use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use tokio_util::sync::{CancellationToken, DropGuard};

use crate::blocking::run_sized;
use crate::error::{Error, ErrorKind};
use crate::read::open_regular;
use crate::temp::Replacement;

/// Copies a file with its permissions and returns its length in bytes.
///
/// The copy is atomic and durable, as by [`write`](crate::write()): it is flushed to the disk (fsync) and replaces a file at `to`
/// only when it is complete. The length is not limited. For a progress report or a cancellation token, use [`copy_with`].
///
/// # Errors
/// Those of [`read`](crate::read()) except `TooLarge`, and those of [`write`](crate::write()). An older file at `to` is then
/// intact, unless only the flush of the folder failed.
///
/// # Cancel safety
/// Dropping the future stops the copy after at most 8 MiB more. No partial copy is left.
pub async fn copy(from: impl AsRef<Path>, to: impl AsRef<Path>) -> Result<u64, Error> {
    copy_with(from, to, CancellationToken::new(), |_, _| {}).await
}

/// Copies a file like [`copy`], with progress reports and cancellation.
///
/// `progress` receives the number of bytes copied so far and the total, at least once every 8 MiB. It runs on the blocking thread
/// that copies: a slow one delays the copy.
///
/// # Errors
/// Those of [`copy`], and `Cancelled` after `cancel` was cancelled.
///
/// # Cancel safety
/// Dropping the future, or cancelling `cancel`, stops the copy after at most 8 MiB more. No partial copy is left.
pub async fn copy_with<F>(
    from: impl AsRef<Path>,
    to: impl AsRef<Path>,
    cancel: CancellationToken,
    progress: F,
) -> Result<u64, Error>
where
    F: FnMut(u64, u64) + Send + 'static,
{
    let (from, to) = (from.as_ref().to_owned(), to.as_ref().to_owned());
    let cancel = cancel.child_token();
    let _stop_on_drop: DropGuard = cancel.clone().drop_guard();
    run_sized("copy", &from.clone(), |copied| *copied, move || run(from, to, &cancel, progress)).await
}

fn run(
    from: PathBuf,
    to: PathBuf,
    cancel: &CancellationToken,
    mut progress: impl FnMut(u64, u64),
) -> Result<u64, Error> {
    let (source, total) = open_regular(&from)?;
    let failed = |err| Error::from_io(err, "write", &to);
    let mut new = Replacement::private(&to)?;
    let cancelled = || Error::new(ErrorKind::Cancelled, "copy", &from);
    let mut steps = Steps::default();
    let mut copied = 0;
    loop {
        if cancel.is_cancelled() {
            return Err(cancelled());
        }
        let step = steps.next(&source, new.file()).map_err(|err| match err {
            StepError::Read(err) => Error::from_io(err, "read", &from),
            StepError::Write(err) => failed(err),
        })?;
        if step == 0 {
            break;
        }
        copied += step;
        progress(copied, total.max(copied));
    }
    let permissions = source.metadata().map_err(|err| Error::from_io(err, "read", &from))?.permissions();
    new.file().set_permissions(permissions).and_then(|()| new.sync()).map_err(failed)?;
    if cancel.is_cancelled() {
        return Err(cancelled());
    }
    new.rename().map_err(failed)?;
    Ok(copied)
}

const STEP: usize = 8 << 20;

enum StepError {
    Read(io::Error),
    Write(io::Error),
}

/// A copy in steps: in the kernel where the system supports it, otherwise through memory.
#[derive(Default)]
struct Steps {
    block: Option<Vec<u8>>,
}

impl Steps {
    /// Copies the next step and returns its bytes; 0 at the end of the file.
    fn next(&mut self, from: &File, to: &mut File) -> Result<u64, StepError> {
        #[cfg(target_os = "linux")]
        if self.block.is_none() {
            match rustix::fs::copy_file_range(from, None, &*to, None, STEP) {
                Ok(bytes) if bytes > 0 => return Ok(bytes as u64),
                // Some file systems report an empty file, and others do not support copies to another file system.
                Ok(_) => {}
                Err(err) => {
                    use rustix::io::Errno;
                    let cannot =
                        [Errno::XDEV, Errno::NOSYS, Errno::INVAL, Errno::OPNOTSUPP, Errno::PERM, Errno::BADF];
                    if !cannot.contains(&err) {
                        return Err(StepError::Write(err.into()));
                    }
                }
            }
        }
        let block = self.block.get_or_insert_with(|| Vec::with_capacity(1 << 20));
        block.clear();
        from.take(1 << 20).read_to_end(block).map_err(StepError::Read)?;
        to.write_all(block).map_err(StepError::Write)?;
        Ok(block.len() as u64)
    }
}

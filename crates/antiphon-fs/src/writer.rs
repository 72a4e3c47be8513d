use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tokio::task::JoinHandle;

use crate::blocking::run_blocking;
use crate::error::{Error, ErrorKind};
use crate::temp::Replacement;

/// A buffered writer (write-behind) of one file: blocks of 256 KiB are written in the background.
///
/// With [`create`](Writer::create) and [`append`](Writer::append) the file is visible while it grows. With
/// [`atomic`](Writer::atomic), and with [`output`](Writer::output) for a path that a user named, which may also be a device or
/// a pipe, the file is renamed into place when it is finished. A file is complete only after [`finish`](Writer::finish);
/// dropping a writer before loses unwritten bytes and logs a warning.
///
/// An error is reported once, by the first call that observes it; since blocks are written in the background, that may be a
/// later call than the one that added the bytes. After that, every call returns `Broken`.
///
/// ```
/// use antiphon_fs::Writer;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), antiphon_fs::Error> {
/// # let folder = antiphon_fs::temp_dir()?;
/// # let path = folder.path().join("out.jsonl");
/// let mut writer = Writer::atomic(&path).await?;
/// for n in 1..=3 {
///     writer.write_line(&format!("{{\"n\": {n}}}")).await?;
/// }
/// writer.finish().await?;
/// assert_eq!(antiphon_fs::read_to_string(&path).await?.text.lines().count(), 3);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "a file is complete only after `finish`"]
pub struct Writer {
    path: PathBuf,
    buffer: Vec<u8>,
    state: State,
    /// Whether bytes were added.
    is_used: bool,
}

#[derive(Debug)]
enum State {
    Idle(Sink),
    /// A block is being written; its buffer is returned with the file.
    Writing(JoinHandle<(Sink, Vec<u8>, io::Result<()>)>),
    Broken,
    Finished,
}

#[derive(Debug)]
enum Sink {
    Plain(File),
    /// A device or a pipe, which is not flushed to a disk.
    Direct(File),
    Atomic(Replacement),
}

impl Sink {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(file) | Self::Direct(file) => file.write_all(bytes),
            Self::Atomic(new) => new.file().write_all(bytes),
        }
    }

    fn finish(self) -> io::Result<()> {
        match self {
            Self::Plain(file) => file.sync_all(),
            Self::Direct(_) => Ok(()),
            Self::Atomic(new) => new.sync().and_then(|()| new.rename()),
        }
    }
}

const BLOCK: usize = 256 << 10;

impl Writer {
    /// Creates a file, or truncates an existing one.
    ///
    /// # Errors
    /// `NotFound` for a missing folder, `PermissionDenied`, `NotAFile`, `StorageFull` or `Io`.
    ///
    /// # Cancel safety
    /// A dropped call may have created the file.
    pub async fn create(path: impl AsRef<Path>) -> Result<Self, Error> {
        Self::open(path.as_ref(), |path| {
            plain(OpenOptions::new().write(true).create(true).truncate(true), path)
        })
        .await
    }

    /// Opens a file for appending, and creates it if it does not exist.
    ///
    /// # Errors
    /// Same as [`create`](Writer::create).
    ///
    /// # Cancel safety
    /// A dropped call may have created the file.
    pub async fn append(path: impl AsRef<Path>) -> Result<Self, Error> {
        Self::open(path.as_ref(), |path| plain(OpenOptions::new().append(true).create(true), path)).await
    }

    /// Creates a file that is renamed into place, replacing an older one, when it is finished.
    ///
    /// # Errors
    /// Same as [`create`](Writer::create).
    ///
    /// # Cancel safety
    /// A dropped call leaves no file.
    pub async fn atomic(path: impl AsRef<Path>) -> Result<Self, Error> {
        Self::open(path.as_ref(), |path| Replacement::of(path).map(Sink::Atomic)).await
    }

    /// Opens an output path that a user named.
    ///
    /// A file is replaced as by [`atomic`](Self::atomic); until it is finished it has a random name in the same folder. A
    /// symbolic link is kept, and its target written or created. A device or a pipe is opened directly, which for a pipe waits
    /// for a reader: see [`is_direct`](Self::is_direct). Checks that the disk has room.
    ///
    /// # Errors
    /// Those of [`create`](Writer::create), and `IsAFolder`.
    ///
    /// # Cancel safety
    /// A dropped call leaves no file; if it waits for the reader of a pipe, its blocking thread continues to wait.
    pub async fn output(path: impl AsRef<Path>) -> Result<Self, Error> {
        Self::open(path.as_ref(), |path| match target_kind(path) {
            TargetKind::File => Replacement::checked(path).map(Sink::Atomic),
            TargetKind::Folder => Err(Error::new(ErrorKind::IsAFolder, "write", path)),
            TargetKind::Direct => {
                let opened = OpenOptions::new().write(true).open(path);
                opened.map(Sink::Direct).map_err(|err| Error::from_io(err, "write", path))
            }
        })
        .await
    }

    /// Returns whether the output is a device or a pipe, whose readers see the bytes after each [`flush`](Self::flush).
    #[must_use]
    pub fn is_direct(&self) -> bool {
        matches!(self.state, State::Idle(Sink::Direct(_)))
    }

    /// Returns whether finishing replaces an older file.
    #[must_use]
    pub fn replaces(&self) -> bool {
        matches!(&self.state, State::Idle(Sink::Atomic(new)) if new.has_older())
    }

    async fn open(
        path: &Path,
        open: impl FnOnce(&Path) -> Result<Sink, Error> + Send + 'static,
    ) -> Result<Self, Error> {
        let path = path.to_owned();
        let sink = run_blocking("write", &path.clone(), {
            let path = path.clone();
            move || open(&path)
        })
        .await?;
        Ok(Self { path, buffer: Vec::with_capacity(BLOCK), state: State::Idle(sink), is_used: false })
    }

    /// Appends `bytes`; waits only while one block is full and another is being written (backpressure).
    ///
    /// # Errors
    /// The error of an earlier block, `StorageFull` or `Io`; after that `Broken`.
    ///
    /// # Cancel safety
    /// A dropped call has added nothing.
    pub async fn write(&mut self, bytes: impl AsRef<[u8]>) -> Result<(), Error> {
        self.add([bytes.as_ref(), b""]).await
    }

    /// Appends `line` and a line end (`\n`).
    ///
    /// # Errors
    /// Same as [`write`](Writer::write).
    ///
    /// # Cancel safety
    /// A dropped call has added nothing.
    pub async fn write_line(&mut self, line: &str) -> Result<(), Error> {
        self.add([line.as_bytes(), b"\n"]).await
    }

    /// Appends both pieces or neither.
    async fn add(&mut self, pieces: [&[u8]; 2]) -> Result<(), Error> {
        if self.buffer.len() >= BLOCK {
            // Another block is still being written.
            self.settle().await?;
            self.write_behind();
        }
        self.check()?;
        self.is_used = true;
        pieces.iter().for_each(|piece| self.buffer.extend_from_slice(piece));
        if self.buffer.len() >= BLOCK {
            self.write_behind();
        }
        Ok(())
    }

    /// Waits until all bytes are written to the system, so that other readers of the file see them (without fsync).
    ///
    /// # Errors
    /// Same as [`write`](Writer::write).
    ///
    /// # Cancel safety
    /// A dropped call loses nothing; call it again to continue waiting.
    pub async fn flush(&mut self) -> Result<(), Error> {
        self.settle().await?;
        self.write_behind();
        self.settle().await
    }

    /// Writes the remaining bytes, flushes the file to the disk (fsync), and renames an atomic one into place.
    ///
    /// # Errors
    /// Same as [`write`](Writer::write). An older file of an atomic writer is then intact.
    ///
    /// # Cancel safety
    /// A call dropped before the flush to the disk loses unwritten bytes, and an older file of an atomic writer is intact. Once
    /// the flush has started, it runs to its end.
    pub async fn finish(self) -> Result<(), Error> {
        self.end(Sink::finish).await
    }

    /// Finishes like [`finish`](Self::finish), but replaces no file that was created or changed since the writer was opened.
    ///
    /// In that case the output gets a free name in the same folder, such as `results-2.jsonl`. Returns the final path.
    ///
    /// # Errors
    /// Same as [`finish`](Self::finish).
    ///
    /// # Cancel safety
    /// Same as [`finish`](Self::finish).
    pub async fn finish_beside(self) -> Result<PathBuf, Error> {
        let path = self.path.clone();
        self.end(move |sink| match sink {
            Sink::Atomic(new) => {
                new.sync().and_then(|()| new.rename_beside()).map(|beside| beside.unwrap_or(path))
            }
            sink => sink.finish().map(|()| path),
        })
        .await
    }

    async fn end<T: Send + 'static>(
        mut self,
        end: impl FnOnce(Sink) -> io::Result<T> + Send + 'static,
    ) -> Result<T, Error> {
        self.flush().await?;
        let path = self.path.clone();
        let State::Idle(sink) = std::mem::replace(&mut self.state, State::Finished) else {
            return Err(Error::new(ErrorKind::Broken, "write", path));
        };
        run_blocking("write", &path.clone(), move || {
            end(sink).map_err(|err| Error::from_io(err, "write", path))
        })
        .await
    }

    /// Starts to write the buffer in the background, unless a block is being written.
    fn write_behind(&mut self) {
        match std::mem::replace(&mut self.state, State::Broken) {
            State::Idle(mut sink) if !self.buffer.is_empty() => {
                let mut block = std::mem::take(&mut self.buffer);
                self.state = State::Writing(tokio::task::spawn_blocking(move || {
                    let done = sink.write_all(&block);
                    block.clear();
                    (sink, block, done)
                }));
            }
            other => self.state = other,
        }
    }

    /// Waits for the block that is being written.
    async fn settle(&mut self) -> Result<(), Error> {
        let State::Writing(task) = &mut self.state else { return self.check() };
        let joined = task.await;
        self.state = State::Broken;
        match joined {
            Ok((sink, block, Ok(()))) => {
                self.state = State::Idle(sink);
                if self.buffer.capacity() == 0 {
                    self.buffer = block;
                }
                Ok(())
            }
            Ok((_, _, Err(err))) => Err(Error::from_io(err, "write", &self.path)),
            Err(join) if join.is_panic() => std::panic::resume_unwind(join.into_panic()),
            Err(_) => Err(Error::new(ErrorKind::Cancelled, "write", &self.path)),
        }
    }

    fn check(&self) -> Result<(), Error> {
        match self.state {
            State::Broken | State::Finished => Err(Error::new(ErrorKind::Broken, "write", &self.path)),
            State::Idle(_) | State::Writing(_) => Ok(()),
        }
    }
}

fn plain(options: &OpenOptions, path: &Path) -> Result<Sink, Error> {
    if is_pipe(path) {
        // Opening a pipe would wait for a reader.
        return Err(Error::new(ErrorKind::NotAFile, "write", path));
    }
    options.open(path).map(Sink::Plain).map_err(|err| Error::from_io(err, "write", path))
}

/// The kind of an output path, with symbolic links followed.
enum TargetKind {
    /// A regular file, or a path that does not exist.
    File,
    Folder,
    /// A device or a pipe.
    Direct,
}

#[expect(clippy::disallowed_methods, reason = "runs on a blocking thread")]
fn target_kind(path: &Path) -> TargetKind {
    match std::fs::metadata(path) {
        Ok(found) if found.is_dir() => TargetKind::Folder,
        Ok(found) if !found.is_file() => TargetKind::Direct,
        _ => TargetKind::File,
    }
}

#[cfg(unix)]
#[expect(clippy::disallowed_methods, reason = "runs on a blocking thread")]
fn is_pipe(path: &Path) -> bool {
    use std::os::unix::fs::FileTypeExt;
    std::fs::metadata(path).is_ok_and(|found| found.file_type().is_fifo() || found.file_type().is_socket())
}

#[cfg(not(unix))]
fn is_pipe(_: &Path) -> bool {
    false
}

impl Drop for Writer {
    fn drop(&mut self) {
        let loses = match &self.state {
            State::Idle(Sink::Plain(_) | Sink::Direct(_)) => !self.buffer.is_empty(),
            State::Idle(Sink::Atomic(_)) => self.is_used,
            State::Writing(_) => true,
            State::Broken | State::Finished => false,
        };
        if loses {
            let path = self.path.display();
            tracing::warn!(%path, "a writer was dropped before it was finished: unwritten bytes are lost");
        }
    }
}

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tokio::task::JoinHandle;

use crate::blocking::run_blocking;
use crate::error::{Error, ErrorKind};
use crate::temp::Replacement;

/// Writes a file bit by bit: pieces are gathered and written behind the caller's back, in blocks of 256 KiB.
///
/// [`create`](Writer::create) and [`append`](Writer::append) show the file as it grows; with
/// [`atomic`](Writer::atomic) it takes its name only when it is finished, and so it does with [`output`](Writer::output),
/// for a place that a user named, which may also be a device or a pipe. A file is whole only after
/// [`finish`](Writer::finish): dropping a writer before loses what was not written yet, which is logged.
///
/// An error is reported once, by the call that first sees it: since blocks are written behind, that may be a later
/// call than the one that brought the bytes. After it every call is `Broken`.
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
#[must_use = "a file is whole only when its writer is finished"]
pub struct Writer {
    path: PathBuf,
    buffer: Vec<u8>,
    state: State,
    /// Whether anything was added.
    is_used: bool,
}

#[derive(Debug)]
enum State {
    Idle(Sink),
    /// A block is being written; the buffer it was in comes back with the file.
    Writing(JoinHandle<(Sink, Vec<u8>, io::Result<()>)>),
    Broken,
    Finished,
}

#[derive(Debug)]
enum Sink {
    Plain(File),
    /// A device or a pipe, of which nothing is flushed to a disk.
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
    /// A new file, or an old one cut to nothing.
    ///
    /// # Errors
    /// `NotFound` for a missing folder, `PermissionDenied`, `NotAFile`, `StorageFull` or `Io`.
    ///
    /// # Cancel safety
    /// A dropped call may have made the file.
    pub async fn create(path: impl AsRef<Path>) -> Result<Self, Error> {
        Self::open(path.as_ref(), |path| {
            plain(OpenOptions::new().write(true).create(true).truncate(true), path)
        })
        .await
    }

    /// The end of a file, which is made if it is not there.
    ///
    /// # Errors
    /// As [`create`](Writer::create).
    ///
    /// # Cancel safety
    /// A dropped call may have made the file.
    pub async fn append(path: impl AsRef<Path>) -> Result<Self, Error> {
        Self::open(path.as_ref(), |path| plain(OpenOptions::new().append(true).create(true), path)).await
    }

    /// A file that takes its name, and the place of an older one, when it is finished.
    ///
    /// # Errors
    /// As [`create`](Writer::create).
    ///
    /// # Cancel safety
    /// A dropped call leaves nothing behind.
    pub async fn atomic(path: impl AsRef<Path>) -> Result<Self, Error> {
        Self::open(path.as_ref(), |path| Replacement::of(path).map(Sink::Atomic)).await
    }

    /// A place that a user named for output. A file takes its name, and the place of an older one, when it is finished, as that
    /// of [`atomic`](Self::atomic) does; until then it has a random name in the same folder. A link stays, and what it leads to
    /// is written or made. A device or a pipe is opened as it is, which for a pipe waits for a reader: see
    /// [`is_direct`](Self::is_direct). Whether the disk has room is tried.
    ///
    /// # Errors
    /// As [`create`](Writer::create), and `IsAFolder`.
    ///
    /// # Cancel safety
    /// A dropped call leaves nothing behind; where it waits for the reader of a pipe, its thread waits on.
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

    /// Whether a device or a pipe is written to: its readers see what was written after a [`flush`](Self::flush).
    #[must_use]
    pub fn is_direct(&self) -> bool {
        matches!(self.state, State::Idle(Sink::Direct(_)))
    }

    /// Whether the place of an older file is taken in the end.
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

    /// Adds `bytes` at the end. Waits only while a whole block is full and another is still being written.
    ///
    /// # Errors
    /// What an earlier block ran into: `StorageFull` or `Io`; after that `Broken`.
    ///
    /// # Cancel safety
    /// A dropped call has added nothing.
    pub async fn write(&mut self, bytes: impl AsRef<[u8]>) -> Result<(), Error> {
        self.add([bytes.as_ref(), b""]).await
    }

    /// Adds `line` and a line end.
    ///
    /// # Errors
    /// As [`write`](Writer::write).
    ///
    /// # Cancel safety
    /// A dropped call has added nothing.
    pub async fn write_line(&mut self, line: &str) -> Result<(), Error> {
        self.add([line.as_bytes(), b"\n"]).await
    }

    /// Adds both or neither.
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

    /// Waits until the system has everything that was added, so that others who read the file see it.
    ///
    /// # Errors
    /// As [`write`](Writer::write).
    ///
    /// # Cancel safety
    /// A dropped call loses nothing; call it again to wait further.
    pub async fn flush(&mut self) -> Result<(), Error> {
        self.settle().await?;
        self.write_behind();
        self.settle().await
    }

    /// Writes what is left, flushes the file to the disk, and gives an atomic one its name.
    ///
    /// # Errors
    /// As [`write`](Writer::write). An atomic writer's older file is then still whole.
    ///
    /// # Cancel safety
    /// Dropped while it still writes, what was not written is lost and an older file of an atomic writer is whole. Once
    /// the flush to the disk has begun, it goes on to the end.
    pub async fn finish(self) -> Result<(), Error> {
        self.end(Sink::finish).await
    }

    /// [`finish`](Self::finish) that takes the place of no file that was not there when the writer was opened, and of none that
    /// has changed since: then it takes a free name beside it, such as `results-2.jsonl`. Returns the path that it has.
    ///
    /// # Errors
    /// As [`finish`](Self::finish).
    ///
    /// # Cancel safety
    /// As [`finish`](Self::finish).
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

    /// Begins to write what is gathered, unless something is being written.
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
        let State::Writing(hop) = &mut self.state else { return self.check() };
        let joined = hop.await;
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
        // Opening it would wait for a reader.
        return Err(Error::new(ErrorKind::NotAFile, "write", path));
    }
    options.open(path).map(Sink::Plain).map_err(|err| Error::from_io(err, "write", path))
}

/// What output finds at a path, links followed.
enum TargetKind {
    /// A regular file, or nothing.
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
            tracing::warn!(%path, "a writer was dropped before it was finished: some of what was written is lost");
        }
    }
}

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tokio::task::JoinHandle;
use tracing::Span;

use crate::blocking::run_blocking_in;
use crate::error::{Error, ErrorKind};
use crate::span::{file_span, record_error, record_size};
use crate::temp::Replacement;

/// A buffered writer of one file, which writes blocks of 256 KiB in the background (write-behind).
///
/// | constructor | the file |
/// |---|---|
/// | [`create`](Writer::create) | is truncated, and visible while it grows |
/// | [`append`](Writer::append) | keeps its content, and is visible while it grows |
/// | [`atomic`](Writer::atomic) | is renamed into place by [`finish`](Writer::finish), replacing an older one |
/// | [`output`](Writer::output) | the same, or a device or pipe, for a path that a user has chosen |
///
/// A file is complete only after [`finish`](Writer::finish). Dropping a writer before that loses the bytes that were not yet
/// written, and logs a warning. If the whole content is in memory, [`write`](crate::write()) is shorter.
///
/// An error is returned once, by the first call that observes it. Since blocks are written in the background, that may be a later
/// call than the one that added the bytes. Every call after that returns `Broken`.
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
    /// The number of bytes that were added.
    added: u64,
    /// The span of all writes, from the opening to the end of the last one.
    span: Span,
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
    /// Creates a file for writing, or truncates an existing one. The folder must exist.
    ///
    /// # Errors
    /// `NotFound` for a missing folder, `PermissionDenied`, `NotAFile` for a folder, pipe or socket, `StorageFull` or `Io`.
    ///
    /// # Cancel safety
    /// A dropped call may have created the file.
    pub async fn create(path: impl AsRef<Path>) -> Result<Self, Error> {
        Self::open(path.as_ref(), |path| {
            plain(OpenOptions::new().write(true).create(true).truncate(true), path)
        })
        .await
    }

    /// Opens a file for appending at its end, and creates it if it does not exist.
    ///
    /// # Errors
    /// Same as [`create`](Writer::create).
    ///
    /// # Cancel safety
    /// A dropped call may have created the file.
    pub async fn append(path: impl AsRef<Path>) -> Result<Self, Error> {
        Self::open(path.as_ref(), |path| plain(OpenOptions::new().append(true).create(true), path)).await
    }

    /// Creates a file that [`finish`](Writer::finish) renames into place, replacing an older file.
    ///
    /// Until then, the bytes are in a temporary file in the same folder, and an older file is unchanged. A symbolic link at the path
    /// is replaced itself, and its target stays: for a path that a user has chosen, use [`output`](Self::output).
    ///
    /// # Errors
    /// Those of [`create`](Writer::create), and `NotAFile` for a device.
    ///
    /// # Cancel safety
    /// Dropping the future leaves no file.
    pub async fn atomic(path: impl AsRef<Path>) -> Result<Self, Error> {
        Self::open(path.as_ref(), |path| Replacement::in_place(path).map(Sink::Atomic)).await
    }

    /// Opens the output path that a user has chosen: a file, a device such as `/dev/null`, or a named pipe.
    ///
    /// A file is written as by [`atomic`](Self::atomic), with two differences: a symbolic link at the path stays and its target is
    /// replaced, and the disk is first checked for at least 4 KiB of room. A device or a pipe is opened directly, which for a pipe
    /// waits for its reader; [`is_direct`](Self::is_direct) returns whether the path is one.
    ///
    /// # Errors
    /// Those of [`create`](Writer::create), and `IsAFolder` if the path is a folder.
    ///
    /// # Cancel safety
    /// Dropping the future leaves no file. If it was waiting for the reader of a pipe, its blocking thread continues to wait.
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
    ///
    /// Call it before the first write: `false` while a block is being written in the background.
    #[must_use]
    pub fn is_direct(&self) -> bool {
        matches!(self.state, State::Idle(Sink::Direct(_)))
    }

    /// Returns whether [`finish`](Self::finish) replaces a file that existed when the writer was opened.
    ///
    /// Call it before the first write: `false` while a block is being written in the background.
    #[must_use]
    pub fn replaces(&self) -> bool {
        matches!(&self.state, State::Idle(Sink::Atomic(new)) if new.has_older())
    }

    async fn open(
        path: &Path,
        open: impl FnOnce(&Path) -> Result<Sink, Error> + Send + 'static,
    ) -> Result<Self, Error> {
        let path = path.to_owned();
        let span = file_span("write", &path);
        let sink = run_blocking_in(&span, "write", &path.clone(), {
            let path = path.clone();
            move || open(&path)
        })
        .await?;
        let (buffer, state) = (Vec::with_capacity(BLOCK), State::Idle(sink));
        Ok(Self { path, buffer, state, is_used: false, added: 0, span })
    }

    /// Appends `bytes` to the buffer.
    ///
    /// Waits only if the buffer is full while another block is still being written (backpressure). Other processes see the bytes
    /// after [`flush`](Self::flush) at the latest.
    ///
    /// # Errors
    /// The error of a block that was written in the background, such as `StorageFull` or `Io`; after that, `Broken`.
    ///
    /// # Cancel safety
    /// A call that is dropped before it returns has appended nothing.
    pub async fn write(&mut self, bytes: impl AsRef<[u8]>) -> Result<(), Error> {
        self.add([bytes.as_ref(), b""]).await
    }

    /// Appends `line` and a line end (`\n`) to the buffer, as for NDJSON.
    ///
    /// # Errors
    /// Those of [`write`](Writer::write).
    ///
    /// # Cancel safety
    /// A call that is dropped before it returns has appended nothing, not even a part of the line.
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
        for piece in pieces {
            self.buffer.extend_from_slice(piece);
            self.added += piece.len() as u64;
        }
        if self.buffer.len() >= BLOCK {
            self.write_behind();
        }
        Ok(())
    }

    /// Passes all buffered bytes to the operating system and waits until that is done.
    ///
    /// Other processes that read the file then see them, unless the writer is atomic. The bytes are not flushed to the disk (no
    /// fsync): after a power failure they may be lost.
    ///
    /// # Errors
    /// Same as [`write`](Writer::write).
    ///
    /// # Cancel safety
    /// Dropping the future loses no bytes; call it again to continue waiting.
    pub async fn flush(&mut self) -> Result<(), Error> {
        self.settle().await?;
        self.write_behind();
        self.settle().await
    }

    /// Writes the remaining bytes and flushes the file to the disk (fsync). For an atomic writer, then renames it into place.
    ///
    /// A device or pipe is not flushed to a disk.
    ///
    /// # Errors
    /// Those of [`write`](Writer::write). The older file of an atomic writer is then intact, unless only the last step failed,
    /// the flush of the folder.
    ///
    /// # Cancel safety
    /// If the future is dropped before the flush to the disk has started, unwritten bytes are lost, and the older file of an
    /// atomic writer is intact. A flush that has started runs to its end, including the rename.
    pub async fn finish(self) -> Result<(), Error> {
        self.end(Sink::finish).await
    }

    /// Finishes like [`finish`](Self::finish), but does not replace a file that was created or changed in the meantime.
    ///
    /// Returns the path of the output. If, since the writer was opened, another process has created or changed a file at the
    /// path of an atomic writer, the output gets a free name next to it, such as `results-2.jsonl`.
    ///
    /// # Errors
    /// Those of [`finish`](Self::finish).
    ///
    /// # Cancel safety
    /// As for [`finish`](Self::finish).
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
        let (path, span) = (self.path.clone(), self.span.clone());
        record_size(&span, self.added);
        let State::Idle(sink) = std::mem::replace(&mut self.state, State::Finished) else {
            return Err(Error::new(ErrorKind::Broken, "write", path));
        };
        run_blocking_in(&span, "write", &path.clone(), move || {
            end(sink).map_err(|err| Error::from_io(err, "write", path))
        })
        .await
    }

    /// Starts to write the buffer in the background, unless a block is being written.
    fn write_behind(&mut self) {
        match std::mem::replace(&mut self.state, State::Broken) {
            State::Idle(mut sink) if !self.buffer.is_empty() => {
                let mut block = std::mem::take(&mut self.buffer);
                let span = self.span.clone();
                self.state = State::Writing(tokio::task::spawn_blocking(move || {
                    let done = span.in_scope(|| sink.write_all(&block));
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
            Ok((_, _, Err(err))) => {
                let err = Error::from_io(err, "write", &self.path);
                record_error(&self.span, &err);
                Err(err)
            }
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

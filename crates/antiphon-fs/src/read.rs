use std::fs::{File, OpenOptions};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use futures_util::stream::FuturesOrdered;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::{Span, dispatcher};

use crate::below::ReadBelow;
use crate::blocking::run_sized;
use crate::error::{Error, ErrorKind};
use crate::metadata::stat;
use crate::span::{file_span, record_error, record_size};
use crate::text::{NotText, Text, decode};

/// Options of [`read_many`]: limits on file size, batch size and concurrency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReadOptions {
    /// The maximum length of a file in bytes. A larger file is not read and yields a `TooLarge` error. Default 256 MiB.
    pub max_bytes: u64,
    /// The number of files that one blocking task reads (batch size); 0 counts as 1. Default 64: for small files, this takes a
    /// third of the time that one task per file would take.
    pub files_per_batch: usize,
    /// The number of batches in progress (concurrency limit); 0 counts as 1. Default 2.
    ///
    /// A batch ends early, after the file with which it exceeds 64 MiB. A batch therefore holds at most 64 MiB and one more file.
    pub max_concurrency: usize,
}

impl Default for ReadOptions {
    fn default() -> Self {
        Self { max_bytes: 256 << 20, files_per_batch: 64, max_concurrency: 2 }
    }
}

impl ReadOptions {
    /// Sets the number of files that one blocking task reads (batch size); 0 counts as 1. Default 64.
    #[must_use]
    pub fn files_per_batch(mut self, files: usize) -> Self {
        self.files_per_batch = files;
        self
    }

    /// Sets the number of batches in progress (concurrency limit); 0 counts as 1. Default 2.
    #[must_use]
    pub fn max_concurrency(mut self, max_concurrency: usize) -> Self {
        self.max_concurrency = max_concurrency;
        self
    }

    /// Sets the maximum length of a file, in bytes. Default 256 MiB.
    #[must_use]
    pub fn max_bytes(mut self, max_bytes: u64) -> Self {
        self.max_bytes = max_bytes;
        self
    }
}

/// The result of [`read_many`] for one file.
#[derive(Debug)]
#[non_exhaustive]
pub struct FileRead {
    /// The path, as it was passed.
    pub path: PathBuf,
    /// The bytes of the file, or the error of reading it.
    pub bytes: Result<Vec<u8>, Error>,
}

/// Reads a whole file of at most 256 MiB into memory.
///
/// For many files, [`read_many`] has a higher throughput. For text, use [`read_to_string`]; for a larger file or another limit,
/// use [`Reader`](crate::Reader).
///
/// # Errors
/// `NotFound`, `PermissionDenied`, `NotAFile` (folders, pipes and devices are rejected before they are opened),
/// `TooLarge`, or `Io`.
///
/// # Cancel safety
/// A dropped call changes nothing; a read in progress finishes on its blocking thread.
pub async fn read(path: impl AsRef<Path>) -> Result<Vec<u8>, Error> {
    let path = path.as_ref().to_owned();
    run_sized(
        "read",
        &path.clone(),
        |bytes: &Vec<u8>| bytes.len() as u64,
        move || read_whole(&path, ReadOptions::default().max_bytes),
    )
    .await
}

/// Reads a whole text file of at most 256 MiB and decodes it as [`decode`] does: UTF-8, UTF-16 or Latin-1.
///
/// # Errors
/// Those of [`read`], and `NotText` for binary data (without a line) or for UTF-8 text with an invalid byte (with its line).
///
/// # Cancel safety
/// A dropped call changes nothing; a read in progress finishes on its blocking thread.
pub async fn read_to_string(path: impl AsRef<Path>) -> Result<Text<'static>, Error> {
    let path = path.as_ref().to_owned();
    let read = run_sized(
        "read",
        &path.clone(),
        |(_, read)| *read,
        move || {
            let bytes = read_whole(&path, ReadOptions::default().max_bytes)?;
            match decode(&bytes) {
                Ok(Text { text, encoding }) => {
                    Ok((Text { text: text.into_owned().into(), encoding }, bytes.len() as u64))
                }
                Err(NotText { line, .. }) => Err(Error::new(ErrorKind::NotText { line }, "read", path)),
            }
        },
    )
    .await;
    read.map(|(text, _)| text)
}

/// Reads many whole files in batches and yields one result per file, in order.
///
/// A file that cannot be read yields a [`FileRead`] with an error and does not end the stream. Files are read ahead, while the
/// stream is polled, within the limits of `options`.
///
/// # Panics
/// When polled outside a tokio runtime.
///
/// # Cancel safety
/// After `cancel` is cancelled, each file that was not yet read yields a `Cancelled` error, so that there is still one result per
/// path. Dropping the stream stops the reads after the current files. Dropping the future of a single `next` call loses no file.
///
/// ```
/// use futures_util::StreamExt;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let mut files = antiphon_fs::read_many(["no-such-file".into()], Default::default(), Default::default());
/// let first = files.next().await.expect("one outcome for each path");
/// assert_eq!(first.bytes.unwrap_err().kind(), antiphon_fs::ErrorKind::NotFound);
/// assert!(files.next().await.is_none());
/// # }
/// ```
pub fn read_many<I>(paths: I, options: ReadOptions, cancel: CancellationToken) -> ReadMany
where
    I: IntoIterator<Item = PathBuf>,
    I::IntoIter: Send + 'static,
{
    read_many_below(paths.into_iter().map(ReadBelow::anywhere), options, cancel)
}

/// Reads many whole files like [`read_many`], of which each has to be in the folder where it was found.
///
/// A walk sees names, and by the time a file is read its name may be a link to something else. Here each file is opened by a way
/// from its root that has no link, or only links that its [`Links`](crate::Links) allow; any other yields a `LinkNotFollowed`
/// error. Where the system cannot open a file relative to a folder (Windows), links are checked just before.
///
/// # Panics
/// When polled outside a tokio runtime.
///
/// # Cancel safety
/// As for [`read_many`].
///
/// ```
/// use antiphon_fs::{Links, ReadBelow};
/// use futures_util::StreamExt;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), antiphon_fs::Error> {
/// let folder = antiphon_fs::temp_dir()?;
/// antiphon_fs::write(folder.path().join("a.txt"), "a").await?;
/// let root = Some(folder.path().into());
/// let from = ReadBelow { path: folder.path().join("a.txt"), root, links: Links::Inside, hidden: false };
/// let mut files = antiphon_fs::read_many_below([from], Default::default(), Default::default());
/// assert_eq!(files.next().await.expect("one outcome for each path").bytes?, b"a");
/// # Ok(())
/// # }
/// ```
pub fn read_many_below<I>(files: I, options: ReadOptions, cancel: CancellationToken) -> ReadMany
where
    I: IntoIterator<Item = ReadBelow>,
    I::IntoIter: Send + 'static,
{
    let cancel = cancel.child_token();
    ReadMany {
        files: Box::new(files.into_iter()),
        options,
        reads: FuturesOrdered::new(),
        ready: Vec::new().into_iter(),
        cancel: cancel.clone(),
        span: tracing::debug_span!("read_many"),
        _on_drop: cancel.drop_guard(),
    }
}

/// The stream returned by [`read_many`].
#[must_use = "streams do nothing unless polled"]
pub struct ReadMany {
    files: Box<dyn Iterator<Item = ReadBelow> + Send>,
    options: ReadOptions,
    reads: FuturesOrdered<JoinHandle<ReadBatch>>,
    ready: std::vec::IntoIter<FileRead>,
    cancel: CancellationToken,
    span: Span,
    _on_drop: DropGuard,
}

impl ReadMany {
    fn start_reads(&mut self) {
        while self.reads.len() < self.options.max_concurrency.max(1) {
            let batch: Vec<ReadBelow> =
                self.files.by_ref().take(self.options.files_per_batch.max(1)).collect();
            if batch.is_empty() {
                return;
            }
            let batch = self.start_read(batch);
            self.reads.push_back(batch);
        }
    }

    fn start_read(&self, batch: Vec<ReadBelow>) -> JoinHandle<ReadBatch> {
        let (cancel, max_bytes, span) = (self.cancel.clone(), self.options.max_bytes, self.span.clone());
        // The blocking thread may have another subscriber than the caller's, or none.
        let subscriber = dispatcher::get_default(Clone::clone);
        tokio::task::spawn_blocking(move || {
            dispatcher::with_default(&subscriber, || span.in_scope(|| read_batch(batch, max_bytes, &cancel)))
        })
    }
}

impl Stream for ReadMany {
    type Item = FileRead;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<FileRead>> {
        loop {
            if let Some(file) = self.ready.next() {
                return Poll::Ready(Some(file));
            }
            self.start_reads();
            match ready!(Pin::new(&mut self.reads).poll_next(cx)) {
                Some(Ok(ReadBatch { files, unread })) => {
                    self.ready = files.into_iter();
                    if !unread.is_empty() {
                        let batch = self.start_read(unread);
                        self.reads.push_front(batch);
                    }
                }
                Some(Err(join)) if join.is_panic() => std::panic::resume_unwind(join.into_panic()),
                // The runtime is shutting down and dropped a batch before its start: no one will read the rest.
                Some(Err(_)) | None => return Poll::Ready(None),
            }
        }
    }
}

impl std::fmt::Debug for ReadMany {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReadMany").field("options", &self.options).field("reads", &self.reads.len()).finish()
    }
}

/// The result of one blocking task.
struct ReadBatch {
    files: Vec<FileRead>,
    /// The files left when the batch exceeded its memory limit.
    unread: Vec<ReadBelow>,
}

/// The number of bytes after which a batch ends early, so that a few large files do not fill the memory.
const MAX_BATCH_BYTES: usize = 64 << 20;

fn read_batch(batch: Vec<ReadBelow>, max_bytes: u64, cancel: &CancellationToken) -> ReadBatch {
    let (mut files, mut batch, mut read) = (Vec::with_capacity(batch.len()), batch.into_iter(), 0);
    while read < MAX_BATCH_BYTES
        && let Some(file) = batch.next()
    {
        let bytes = if cancel.is_cancelled() {
            Err(Error::new(ErrorKind::Cancelled, "read", &file.path))
        } else {
            read_in_span(&file, max_bytes)
        };
        read += bytes.as_ref().map_or(0, Vec::len);
        files.push(FileRead { path: file.path, bytes });
    }
    ReadBatch { files, unread: batch.collect() }
}

/// Reads a file of a batch in a span of its own.
fn read_in_span(file: &ReadBelow, max_bytes: u64) -> Result<Vec<u8>, Error> {
    let span = file_span("read", &file.path);
    let read = span.in_scope(|| {
        let (opened, len) = file.open()?;
        read_rest(&opened, len, max_bytes, &file.path)
    });
    read.inspect(|bytes| record_size(&span, bytes.len() as u64)).inspect_err(|err| record_error(&span, err))
}

fn read_whole(path: &Path, max_bytes: u64) -> Result<Vec<u8>, Error> {
    let (file, len) = open_regular(path)?;
    read_rest(&file, len, max_bytes, path)
}

/// Opens a regular file and returns it with its length.
pub(crate) fn open_regular(path: &Path) -> Result<(File, u64), Error> {
    // Opening a pipe waits for its writer, and opening a device may do something, so the type is checked first.
    let not_a_file = || Error::new(ErrorKind::NotAFile, "read", path);
    if !stat(path)?.is_file {
        return Err(not_a_file());
    }
    let failed = |err| Error::from_io(err, "read", path);
    let file = without_waiting().read(true).open(path).map_err(failed)?;
    // Another file may have got the name since.
    let found = file.metadata().map_err(failed)?;
    if found.is_file() { Ok((file, found.len())) } else { Err(not_a_file()) }
}

/// Returns options by which a pipe that has taken the place of a file is opened without waiting for its writer.
fn without_waiting() -> OpenOptions {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;

        use rustix::fs::OFlags;
        let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits();
        options.custom_flags(flags.cast_signed());
    }
    options
}

/// Reads the rest of a file; `len` is the expected length.
pub(crate) fn read_rest(file: &File, len: u64, max_bytes: u64, path: &Path) -> Result<Vec<u8>, Error> {
    let too_large = || Error::new(ErrorKind::TooLarge { limit: max_bytes }, "read", path);
    if len > max_bytes {
        return Err(too_large());
    }
    let mut bytes = Vec::with_capacity(usize::try_from(len).unwrap_or(0) + 1);
    // Reading one byte beyond the limit detects a file that has grown meanwhile.
    let read = file.take(max_bytes.saturating_add(1)).read_to_end(&mut bytes);
    read.map_err(|err| Error::from_io(err, "read", path))?;
    if bytes.len() as u64 > max_bytes { Err(too_large()) } else { Ok(bytes) }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests prepare their files with std")]
mod tests {
    use futures_util::StreamExt;

    use super::{CancellationToken, ErrorKind, PathBuf, ReadOptions, read, read_many};

    fn files(count: usize) -> (tempfile::TempDir, Vec<PathBuf>) {
        let folder = tempfile::tempdir().unwrap();
        let paths: Vec<_> = (0..count).map(|i| folder.path().join(format!("{i}.txt"))).collect();
        for (i, path) in paths.iter().enumerate() {
            std::fs::write(path, i.to_string()).unwrap();
        }
        (folder, paths)
    }

    #[tokio::test]
    async fn read_many_yields_one_result_per_file_in_order() {
        let (_folder, mut paths) = files(300);
        std::fs::remove_file(&paths[130]).unwrap();
        paths.push(_folder.path().to_owned());
        let read: Vec<_> =
            read_many(paths.clone(), ReadOptions::default(), CancellationToken::new()).collect().await;
        assert_eq!(read.iter().map(|file| file.path.clone()).collect::<Vec<_>>(), paths);
        for (i, file) in read.iter().enumerate() {
            match (i, &file.bytes) {
                (130, Err(err)) => assert_eq!(err.kind(), ErrorKind::NotFound),
                (300, Err(err)) => assert_eq!(err.kind(), ErrorKind::NotAFile),
                (_, bytes) => assert_eq!(bytes.as_ref().unwrap(), i.to_string().as_bytes()),
            }
        }
    }

    #[tokio::test]
    async fn file_over_the_limit_is_rejected_and_one_at_the_limit_read() {
        let (_folder, paths) = files(11);
        let options = ReadOptions::default().max_bytes(1);
        let read: Vec<_> = read_many(paths, options, CancellationToken::new()).collect().await;
        assert_eq!(read[9].bytes.as_ref().unwrap(), b"9");
        assert_eq!(read[10].bytes.as_ref().unwrap_err().kind(), ErrorKind::TooLarge { limit: 1 });
    }

    #[tokio::test]
    async fn cancelled_read_yields_an_error_per_unread_file() {
        let (_folder, paths) = files(3);
        let cancel = CancellationToken::new();
        cancel.cancel();
        let read: Vec<_> = read_many(paths, ReadOptions::default(), cancel).collect().await;
        let kinds: Vec<_> = read.iter().map(|file| file.bytes.as_ref().unwrap_err().kind()).collect();
        assert_eq!(kinds, [ErrorKind::Cancelled; 3]);
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn device_is_rejected_before_it_is_opened() {
        assert_eq!(read("/dev/zero").await.unwrap_err().kind(), ErrorKind::NotAFile);
    }

    #[tokio::test]
    async fn large_files_are_read_in_smaller_batches_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let paths: Vec<_> = (0..5).map(|i| folder.path().join(format!("{i}"))).collect();
        for path in &paths {
            std::fs::File::create(path).unwrap().set_len(40 << 20).unwrap();
        }
        let files: Vec<_> = read_many(paths.clone(), ReadOptions::default(), CancellationToken::new())
            .map(|file| (file.path, file.bytes.unwrap().len()))
            .collect()
            .await;
        assert_eq!(files, paths.into_iter().map(|path| (path, 40 << 20)).collect::<Vec<_>>());
    }
}

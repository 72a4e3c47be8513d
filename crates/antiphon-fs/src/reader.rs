//! Reading of one file in chunks or lines.

mod blocks;
mod chunks;
mod lines;

use std::fs::File;
use std::io::{Read, Seek};
use std::path::{Path, PathBuf};

use blocks::Blocks;
pub use chunks::FileChunks;
pub use lines::FileLines;

use tracing::Span;

use crate::below::ReadBelow;
use crate::blocking::run_blocking_in;
use crate::error::Error;
use crate::read::read_rest;
use crate::span::{file_span, record_size};

/// A reader of one file: as a whole, in chunks, or line by line (such as NDJSON).
///
/// Chunks and lines are read ahead by one block, so that the next one is read while the caller works on the present one. For a
/// whole file of moderate size, [`read`](crate::read()) is shorter; for many files, use [`read_many`](crate::read_many).
///
/// ```
/// use antiphon_fs::Reader;
/// use futures_util::TryStreamExt;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), antiphon_fs::Error> {
/// # let folder = antiphon_fs::temp_dir()?;
/// # let path = folder.path().join("rows.csv");
/// # antiphon_fs::write(&path, "name,age\nAda,36\n").await?;
/// let rows: Vec<String> = Reader::open(&path).await?.lines().try_collect().await?;
/// assert_eq!(rows, ["name,age", "Ada,36"]);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Reader {
    path: PathBuf,
    file: File,
    /// The length at the opening, by which a file over the limit is rejected before it is read.
    len: u64,
    max_bytes: u64,
    max_line: usize,
    /// The span of all reads, from the opening to the end of the last one.
    span: Span,
}

impl Reader {
    /// Opens a regular file for reading.
    ///
    /// # Errors
    /// `NotFound`, `PermissionDenied`, `NotAFile` (folders, pipes and devices are rejected before they are opened) or
    /// `Io`.
    ///
    /// # Cancel safety
    /// Dropping the future leaves no file open.
    pub async fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        Self::open_below(ReadBelow::anywhere(path.as_ref())).await
    }

    /// Opens a regular file that has to be in the folder where it was found; see [`read_many_below`](crate::read_many_below).
    ///
    /// # Errors
    /// `LinkNotFollowed` for a link that leads elsewhere, otherwise those of [`open`](Self::open).
    ///
    /// # Cancel safety
    /// Dropping the future leaves no file open.
    pub async fn open_below(from: ReadBelow) -> Result<Self, Error> {
        let path = from.path.clone();
        let span = file_span("read", &path);
        let (file, len) = run_blocking_in(&span, "read", &path, move || from.open()).await?;
        record_size(&span, len);
        Ok(Self { path, file, len, max_bytes: 256 << 20, max_line: 16 << 20, span })
    }

    /// Sets the maximum length of a file for [`bytes`](Reader::bytes), in bytes. Default 256 MiB. Does not apply to streams.
    #[must_use]
    pub fn max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// Sets the maximum length of a line for [`lines`](Reader::lines), in bytes without the line end. Default 16 MiB.
    #[must_use]
    pub fn max_line(mut self, bytes: usize) -> Self {
        self.max_line = bytes;
        self
    }

    /// Passes the content of the file to `visit` in blocks of at most 1 MiB, and rewinds the file.
    ///
    /// Use it to read a file twice without opening it twice: for example, to hash it first and then to parse it. `visit` runs on
    /// a blocking thread; it changes `state`, which is returned with the reader, and returns `false` to stop the scan.
    ///
    /// # Errors
    /// `Io`, which loses the reader.
    ///
    /// # Cancel safety
    /// Dropping the future loses the reader. The scan runs to its end on its blocking thread, and the file is then closed.
    pub async fn scan<T: Send + 'static>(
        self,
        state: T,
        visit: impl Fn(&mut T, &[u8]) -> bool + Send + 'static,
    ) -> Result<(Self, T), Error> {
        let (path, span) = (self.path.clone(), self.span.clone());
        run_blocking_in(&span, "read", &path.clone(), move || {
            let (mut reader, mut state) = (self, state);
            let failed = |err| Error::from_io(err, "read", &path);
            let mut block = vec![0; 1 << 20];
            loop {
                let count = reader.file.read(&mut block).map_err(failed)?;
                if count == 0 || !visit(&mut state, &block[..count]) {
                    break;
                }
            }
            reader.file.rewind().map_err(failed)?;
            Ok((reader, state))
        })
        .await
    }

    /// Reads the whole file into memory.
    ///
    /// # Errors
    /// `TooLarge` above [`max_bytes`](Reader::max_bytes), or `Io`.
    ///
    /// # Cancel safety
    /// A dropped call changes nothing.
    pub async fn bytes(self) -> Result<Vec<u8>, Error> {
        let Self { path, file, len, max_bytes, span, .. } = self;
        run_blocking_in(&span, "read", &path.clone(), move || read_rest(&file, len, max_bytes, &path)).await
    }

    /// Returns a stream of chunks of `size` bytes; 0 counts as 1. The last chunk may be shorter.
    ///
    /// Memory does not depend on the length of the file: the stream holds one chunk that is read ahead. An `Io` error ends the
    /// stream.
    ///
    /// # Panics
    /// When polled outside a tokio runtime.
    ///
    /// # Cancel safety
    /// Dropping the stream closes the file. Dropping the future of a single `next` call loses no chunk.
    pub fn chunks(self, size: usize) -> FileChunks {
        FileChunks::new(Blocks::new(self.file, self.path, self.span), size.max(1))
    }

    /// Returns a stream of lines, without their ends (`\n` or `\r\n`) and without a byte order mark.
    ///
    /// Memory does not depend on the length of the file: the stream holds about two blocks, each of 1 MiB or of the longest line.
    ///
    /// An invalid line yields an error with its number and does not end the stream: `NotText` if it is not UTF-8, `LineTooLong`
    /// above [`max_line`](Reader::max_line), in which case its rest is skipped without being stored. [`Error::excerpt`] returns
    /// the bytes of such a line. An `Io` error ends the stream. For other encodings, use
    /// [`read_to_string`](crate::read_to_string).
    ///
    /// # Panics
    /// When polled outside a tokio runtime.
    ///
    /// # Cancel safety
    /// Dropping the stream closes the file. Dropping the future of a single `next` call loses no line.
    pub fn lines(self) -> FileLines {
        FileLines::new(Blocks::new(self.file, self.path, self.span), self.max_line)
    }
}

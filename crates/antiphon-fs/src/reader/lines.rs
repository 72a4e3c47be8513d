use std::fs::File;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use futures_core::Stream;

use super::blocks::{Blocks, Piece, fill};
use crate::error::{Error, ErrorKind};

const BLOCK: usize = 1 << 20;
/// The maximum number of bytes stored of a line that is too long.
const EXCERPT: usize = 4 << 10;

/// The stream returned by [`Reader::lines`](super::Reader::lines).
#[derive(Debug)]
#[must_use = "streams do nothing unless polled"]
pub struct FileLines {
    blocks: Blocks<Block>,
    cutter: Arc<Cutter>,
    block: Block,
    at: usize,
    number: u64,
}

/// A block of whole lines, including the last line end.
#[derive(Debug)]
pub(super) enum Block {
    /// Valid UTF-8.
    Text(String),
    /// Bytes with at least one line that is not UTF-8.
    Bytes(Vec<u8>),
    /// The beginning of a line that exceeds the limit.
    TooLong(Vec<u8>),
}

/// Splits a file into blocks at line ends, on blocking threads.
#[derive(Debug)]
struct Cutter {
    rest: Mutex<Rest>,
    /// The buffer of a finished block, for reuse.
    spare: Mutex<Vec<u8>>,
    max_line: usize,
}

/// Bytes left over from a block: the beginning of the next one.
#[derive(Debug, Default)]
struct Rest {
    bytes: Vec<u8>,
    /// Whether the rest of a line that is too long must be skipped first.
    is_skipping: bool,
}

impl Cutter {
    fn next_block(&self, file: &File) -> io::Result<Piece<Block>> {
        let rest = &mut *lock(&self.rest);
        let mut block = std::mem::take(&mut *lock(&self.spare));
        if rest.is_skipping {
            return rest.skip(file, block);
        }
        block.append(&mut rest.bytes);
        let mut searched = 0;
        let is_last = loop {
            let before = block.len();
            let is_last = fill(file, &mut block, before + BLOCK)?;
            if is_last {
                break true;
            }
            if let Some(end) = memchr::memrchr(b'\n', &block[searched..]) {
                let end = searched + end + 1;
                rest.bytes.extend_from_slice(&block[end..]);
                block.truncate(end);
                break false;
            }
            searched = block.len();
            // Allows for a line end and a byte order mark, which do not count.
            if block.len() > self.max_line.saturating_add(4) {
                rest.is_skipping = true;
                return Ok(Piece { block: Some(Block::TooLong(excerpt(&block))), is_last: false });
            }
        };
        if block.is_empty() {
            return Ok(Piece { block: None, is_last });
        }
        let block = String::from_utf8(block).map_or_else(|err| Block::Bytes(err.into_bytes()), Block::Text);
        Ok(Piece { block: Some(block), is_last })
    }
}

impl Rest {
    /// Reads the next block of a line that is too long, and stores what follows the line end.
    fn skip(&mut self, file: &File, mut block: Vec<u8>) -> io::Result<Piece<Block>> {
        let is_last = fill(file, &mut block, BLOCK)?;
        if let Some(end) = memchr::memchr(b'\n', &block) {
            self.is_skipping = false;
            if is_last {
                block.drain(..=end);
                let rest = String::from_utf8(block);
                let block = rest.map_or_else(|err| Block::Bytes(err.into_bytes()), Block::Text);
                return Ok(Piece { block: Some(block), is_last });
            }
            self.bytes.extend_from_slice(&block[end + 1..]);
        }
        Ok(Piece { block: Some(Block::Bytes(Vec::new())), is_last })
    }
}

/// Returns the beginning of a line, without a byte order mark and cut between characters.
fn excerpt(line: &[u8]) -> Vec<u8> {
    let line = line.strip_prefix("\u{feff}".as_bytes()).unwrap_or(line);
    let cut = &line[..line.len().min(EXCERPT)];
    // An error without a length means that the last character is incomplete.
    let end = std::str::from_utf8(cut).err().filter(|err| err.error_len().is_none());
    cut[..end.map_or(cut.len(), |err| err.valid_up_to())].to_vec()
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl FileLines {
    pub(super) fn new(blocks: Blocks<Block>, max_line: usize) -> Self {
        let cutter = Arc::new(Cutter { rest: Mutex::default(), spare: Mutex::default(), max_line });
        Self { blocks, cutter, block: Block::Text(String::new()), at: 0, number: 0 }
    }

    /// Returns the next line, or `None` at the end of the file. The same as `next` of `StreamExt`, without importing it.
    ///
    /// # Errors
    /// Those of [`Reader::lines`](super::Reader::lines). After `NotText` and `LineTooLong`, the next call returns the next line.
    ///
    /// # Cancel safety
    /// Dropping the future loses no line.
    pub async fn next_line(&mut self) -> Option<Result<String, Error>> {
        std::future::poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }

    /// Creates the error for the current line, which exceeds the limit.
    fn too_long(&self, excerpt: Vec<u8>) -> Error {
        let kind = ErrorKind::LineTooLong { line: self.number, limit: self.cutter.max_line };
        Error::new(kind, "read", self.blocks.path()).with_excerpt(excerpt)
    }

    /// Returns the next line of the current block; `None` at the end of the block.
    fn cut_line(&mut self) -> Option<Result<String, Error>> {
        let bytes = match &self.block {
            Block::Text(text) => text.as_bytes(),
            Block::Bytes(bytes) => bytes,
            Block::TooLong(_) => return None,
        };
        let from = self.at;
        let rest = &bytes[from..];
        if rest.is_empty() {
            return None;
        }
        self.number += 1;
        let line = match memchr::memchr(b'\n', rest) {
            Some(end) => {
                self.at += end + 1;
                rest[..end].strip_suffix(b"\r").unwrap_or(&rest[..end])
            }
            None => {
                self.at = bytes.len();
                rest
            }
        };
        let mark = if self.number == 1 && line.starts_with("\u{feff}".as_bytes()) { 3 } else { 0 };
        let (from, line) = (from + mark, &line[mark..]);
        if line.len() > self.cutter.max_line {
            return Some(Err(self.too_long(excerpt(line))));
        }
        let text = match &self.block {
            Block::Text(text) => text.get(from..from + line.len()),
            Block::Bytes(_) | Block::TooLong(_) => std::str::from_utf8(line).ok(),
        };
        let Some(text) = text else {
            let kind = ErrorKind::NotText { line: Some(self.number) };
            return Some(Err(Error::new(kind, "read", self.blocks.path()).with_excerpt(line)));
        };
        Some(Ok(text.to_owned()))
    }
}

impl Stream for FileLines {
    type Item = Result<String, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            if let Some(line) = this.cut_line() {
                return Poll::Ready(Some(line));
            }
            let cutter = &this.cutter;
            let read = || {
                let cutter = cutter.clone();
                move |file: &File| cutter.next_block(file)
            };
            match ready!(this.blocks.poll_next(cx, read)) {
                Some(Ok(Block::TooLong(excerpt))) => {
                    this.number += 1;
                    return Poll::Ready(Some(Err(this.too_long(excerpt))));
                }
                Some(Ok(block)) => {
                    let mut spare = match std::mem::replace(&mut this.block, block) {
                        Block::Text(text) => text.into_bytes(),
                        Block::Bytes(bytes) => bytes,
                        Block::TooLong(_) => Vec::new(),
                    };
                    spare.clear();
                    *lock(&this.cutter.spare) = spare;
                    this.at = 0;
                }
                Some(Err(err)) => return Poll::Ready(Some(Err(err))),
                None => return Poll::Ready(None),
            }
        }
    }
}

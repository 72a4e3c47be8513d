use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::task::JoinHandle;
use tracing::Span;

use crate::error::{Error, ErrorKind};
use crate::span::record_error;

/// The pieces of a file, with one read ahead on a blocking thread.
#[derive(Debug)]
pub(super) struct Blocks<T> {
    path: PathBuf,
    state: State<T>,
    span: Span,
}

#[derive(Debug)]
enum State<T> {
    Ready(File),
    Reading(JoinHandle<(File, io::Result<Piece<T>>)>),
    Finished,
}

/// A piece of a file; no block if nothing was left.
#[derive(Debug)]
pub(super) struct Piece<T> {
    pub(super) block: Option<T>,
    /// Whether the end of the file was reached. Bytes appended after that are not read.
    pub(super) is_last: bool,
}

impl<T: Send + 'static> Blocks<T> {
    pub(super) fn new(file: File, path: PathBuf, span: Span) -> Self {
        Self { path, state: State::Ready(file), span }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the next piece as produced by `read`; after the last one, or after an error, always `None`.
    pub(super) fn poll_next<R>(
        &mut self,
        cx: &mut Context<'_>,
        read: impl Fn() -> R,
    ) -> Poll<Option<Result<T, Error>>>
    where
        R: FnOnce(&File) -> io::Result<Piece<T>> + Send + 'static,
    {
        loop {
            match std::mem::replace(&mut self.state, State::Finished) {
                State::Finished => return Poll::Ready(None),
                State::Ready(file) => self.start(file, read()),
                State::Reading(mut task) => {
                    let Poll::Ready(joined) = Pin::new(&mut task).poll(cx) else {
                        self.state = State::Reading(task);
                        return Poll::Pending;
                    };
                    return Poll::Ready(match joined {
                        Ok((file, Ok(Piece { block, is_last }))) => {
                            if !is_last {
                                self.start(file, read());
                            }
                            block.map(Ok)
                        }
                        Ok((_, Err(err))) => Some(Err(self.failed(err))),
                        Err(join) if join.is_panic() => std::panic::resume_unwind(join.into_panic()),
                        Err(_) => Some(Err(Error::new(ErrorKind::Cancelled, "read", &self.path))),
                    });
                }
            }
        }
    }

    fn failed(&self, err: io::Error) -> Error {
        let err = Error::from_io(err, "read", &self.path);
        record_error(&self.span, &err);
        err
    }

    fn start<R>(&mut self, file: File, read: R)
    where
        R: FnOnce(&File) -> io::Result<Piece<T>> + Send + 'static,
    {
        let span = self.span.clone();
        self.state = State::Reading(tokio::task::spawn_blocking(move || {
            let block = span.in_scope(|| read(&file));
            (file, block)
        }));
    }
}

/// Fills `block` up to `size` bytes, or fewer at the end of the file, and returns whether the end was reached.
pub(super) fn fill(file: &File, block: &mut Vec<u8>, size: usize) -> io::Result<bool> {
    let missing = size.saturating_sub(block.len());
    // A huge size must not allocate before the bytes are read.
    block.reserve_exact(missing.min(1 << 20));
    file.take(missing as u64).read_to_end(block)?;
    Ok(block.len() < size)
}

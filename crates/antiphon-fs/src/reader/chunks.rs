use std::fs::File;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;

use super::blocks::{Blocks, Piece, fill};
use crate::error::Error;

/// The stream returned by [`Reader::chunks`](super::Reader::chunks).
#[derive(Debug)]
#[must_use = "streams do nothing unless polled"]
pub struct FileChunks {
    blocks: Blocks<Vec<u8>>,
    size: usize,
}

impl FileChunks {
    pub(super) fn new(blocks: Blocks<Vec<u8>>, size: usize) -> Self {
        Self { blocks, size }
    }
}

impl Stream for FileChunks {
    type Item = Result<Vec<u8>, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let size = self.size;
        self.blocks.poll_next(cx, || {
            move |file: &File| {
                let mut chunk = Vec::new();
                let is_last = fill(file, &mut chunk, size)?;
                Ok(Piece { block: Some(chunk).filter(|chunk| !chunk.is_empty()), is_last })
            }
        })
    }
}

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use pin_project::pin_project;

use crate::batch::MAX_RESERVED;

/// The stream returned by [`window`](crate::BackpressureExt::window).
#[pin_project]
#[derive(Debug)]
#[must_use = "streams do nothing unless polled"]
pub struct Window<S: Stream> {
    #[pin]
    source: S,
    size: usize,
    step: usize,
    /// Buffered items. The current window begins at `start`; items before it are removed only when the buffer is full, so
    /// that a window is one copy of contiguous memory.
    items: Vec<S::Item>,
    start: usize,
    /// Items to skip before the next window.
    gap: usize,
}

impl<S: Stream<Item: Clone>> Window<S> {
    pub(crate) fn new(source: S, size: usize, step: usize) -> Self {
        Self { source, size: size.max(1), step: step.max(1), items: Vec::new(), start: 0, gap: 0 }
    }
}

impl<S: Stream<Item: Clone>> Stream for Window<S> {
    type Item = Vec<S::Item>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Vec<S::Item>>> {
        let mut this = self.project();
        loop {
            let Some(item) = ready!(this.source.as_mut().poll_next(cx)) else { return Poll::Ready(None) };
            if *this.gap > 0 {
                *this.gap -= 1;
                continue;
            }
            if this.items.len() == this.items.capacity() {
                let passed = std::mem::take(this.start);
                this.items.drain(..passed);
                // Room for another window: the next removal then comes after as many items as it moves.
                this.items.reserve((*this.size).min(MAX_RESERVED));
            }
            this.items.push(item);
            let Some(window) = this.items.get(*this.start..*this.start + *this.size) else { continue };
            let window = window.to_vec();
            if *this.step < *this.size {
                *this.start += *this.step;
            } else {
                *this.gap = *this.step - *this.size;
                *this.start = 0;
                this.items.clear();
            }
            return Poll::Ready(Some(window));
        }
    }
}

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use futures_util::stream::{Fuse, StreamExt as _};
use pin_project::pin_project;

/// Most items for which memory is reserved at once; a larger group grows, so that a huge `size` costs nothing.
pub(crate) const MAX_RESERVED: usize = 1024;

/// The stream returned by [`batch`](crate::BackpressureExt::batch).
#[pin_project]
#[derive(Debug)]
#[must_use = "streams do nothing unless polled"]
pub struct Batch<S: Stream> {
    #[pin]
    source: Fuse<S>,
    size: usize,
    items: Vec<S::Item>,
}

impl<S: Stream> Batch<S> {
    pub(crate) fn new(source: S, size: usize) -> Self {
        Self { source: source.fuse(), size: size.max(1), items: Vec::new() }
    }
}

impl<S: Stream> Stream for Batch<S> {
    type Item = Vec<S::Item>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Vec<S::Item>>> {
        let mut this = self.project();
        loop {
            match ready!(this.source.as_mut().poll_next(cx)) {
                Some(item) => {
                    if this.items.is_empty() {
                        this.items.reserve_exact((*this.size).min(MAX_RESERVED));
                    }
                    this.items.push(item);
                    if this.items.len() >= *this.size {
                        return Poll::Ready(Some(std::mem::take(this.items)));
                    }
                }
                None if this.items.is_empty() => return Poll::Ready(None),
                None => return Poll::Ready(Some(std::mem::take(this.items))),
            }
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let (least, most) = self.source.size_hint();
        let groups =
            |items: usize| items.checked_add(self.items.len()).map(|items| items.div_ceil(self.size));
        (groups(least).unwrap_or(usize::MAX / self.size), most.and_then(groups))
    }
}

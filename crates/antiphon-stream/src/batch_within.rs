use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_core::Stream;
use futures_util::stream::{Fuse, StreamExt as _};
use pin_project::pin_project;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::batch::MAX_RESERVED;

/// The stream returned by [`batch_within`](crate::BackpressureExt::batch_within).
#[pin_project]
#[derive(Debug)]
#[must_use = "streams do nothing unless polled"]
pub struct BatchWithin<S: Stream> {
    #[pin]
    source: Fuse<S>,
    size: usize,
    time: Duration,
    items: Vec<S::Item>,
    /// Deadline of the group that is being filled.
    #[pin]
    deadline: Option<Sleep>,
}

impl<S: Stream> BatchWithin<S> {
    pub(crate) fn new(source: S, size: usize, time: Duration) -> Self {
        Self { source: source.fuse(), size: size.max(1), time, items: Vec::new(), deadline: None }
    }
}

impl<S: Stream> Stream for BatchWithin<S> {
    type Item = Vec<S::Item>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Vec<S::Item>>> {
        let mut this = self.project();
        // The clock must be checked even if the source is always ready.
        let is_past = |deadline: &Option<Pin<&mut Sleep>>| {
            deadline.as_ref().is_some_and(|deadline| Instant::now() >= deadline.deadline())
        };
        loop {
            match this.source.as_mut().poll_next(cx) {
                Poll::Ready(Some(item)) => {
                    if this.items.is_empty() {
                        this.items.reserve_exact((*this.size).min(MAX_RESERVED));
                        // A `time` that overflows the clock is no deadline.
                        this.deadline.set(Instant::now().checked_add(*this.time).map(sleep_until));
                    }
                    this.items.push(item);
                    let looks = this.items.len().is_multiple_of(32);
                    if this.items.len() >= *this.size
                        || looks && is_past(&this.deadline.as_mut().as_pin_mut())
                    {
                        break;
                    }
                }
                Poll::Ready(None) if this.items.is_empty() => return Poll::Ready(None),
                Poll::Ready(None) => break,
                Poll::Pending => {
                    // A deadline exists only while a group is being filled. It is also compared with the clock, since
                    // timers report pending to a task that has used up tokio's cooperative budget.
                    let Some(deadline) = this.deadline.as_mut().as_pin_mut() else { return Poll::Pending };
                    if Instant::now() < deadline.deadline() {
                        ready!(deadline.poll(cx));
                    }
                    break;
                }
            }
        }
        this.deadline.set(None);
        Poll::Ready(Some(std::mem::take(this.items)))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let (least, most) = self.source.size_hint();
        let held = usize::from(!self.items.is_empty());
        (least.div_ceil(self.size).max(held), most.and_then(|most| most.checked_add(held)))
    }
}

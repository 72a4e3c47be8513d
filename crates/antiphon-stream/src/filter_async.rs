use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use futures_util::stream::{Fuse, StreamExt as _};
use pin_project::pin_project;

use crate::in_flight::InFlight;

/// The stream returned by [`filter_async`](crate::BackpressureExt::filter_async).
#[pin_project]
#[must_use = "streams do nothing unless polled"]
pub struct FilterAsync<S: Stream, F, Fut: Future<Output = bool>> {
    #[pin]
    source: Fuse<S>,
    limit: usize,
    f: F,
    in_flight: InFlight<Judged<S::Item, Fut>>,
}

/// An item, and the call that decides whether it is kept.
#[pin_project]
struct Judged<T, Fut> {
    item: Option<T>,
    #[pin]
    stays: Fut,
}

impl<T, Fut: Future<Output = bool>> Future for Judged<T, Fut> {
    type Output = Option<T>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let this = self.project();
        let stays = ready!(this.stays.poll(cx));
        Poll::Ready(this.item.take().filter(|_| stays))
    }
}

impl<S: Stream, F, Fut: Future<Output = bool>> FilterAsync<S, F, Fut> {
    pub(crate) fn new(source: S, limit: usize, f: F) -> Self {
        let span = tracing::debug_span!("filter_async", limit);
        Self { source: source.fuse(), limit: limit.max(1), f, in_flight: InFlight::ordered(span) }
    }
}

impl<S, F, Fut> Stream for FilterAsync<S, F, Fut>
where
    S: Stream,
    F: FnMut(&S::Item) -> Fut,
    Fut: Future<Output = bool>,
{
    type Item = S::Item;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        let mut this = self.project();
        loop {
            let source = |cx: &mut Context<'_>| {
                let item = ready!(this.source.as_mut().poll_next(cx));
                Poll::Ready(item.map(|item| Judged { stays: (this.f)(&item), item: Some(item) }))
            };
            match ready!(this.in_flight.poll_next(*this.limit, cx, source)) {
                Some(Some(item)) => return Poll::Ready(Some(item)),
                Some(None) => {}
                None => return Poll::Ready(None),
            }
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, self.source.size_hint().1.and_then(|most| most.checked_add(self.in_flight.len())))
    }
}

impl<S: Stream + fmt::Debug, F, Fut: Future<Output = bool>> fmt::Debug for FilterAsync<S, F, Fut> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FilterAsync")
            .field("source", &self.source)
            .field("limit", &self.limit)
            .field("in_flight", &self.in_flight)
            .finish_non_exhaustive()
    }
}

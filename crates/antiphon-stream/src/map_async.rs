use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;
use futures_util::stream::{Fuse, StreamExt as _};
use pin_project::pin_project;

use crate::in_flight::InFlight;

/// The stream returned by [`map_async`](crate::BackpressureExt::map_async).
#[pin_project]
#[must_use = "streams do nothing unless polled"]
pub struct MapAsync<S, F, Fut: Future> {
    #[pin]
    source: Fuse<S>,
    limit: usize,
    f: F,
    in_flight: InFlight<Fut>,
}

impl<S: Stream, F, Fut: Future> MapAsync<S, F, Fut> {
    pub(crate) fn new(source: S, limit: usize, f: F) -> Self {
        let span = tracing::debug_span!("map_async", limit);
        Self { source: source.fuse(), limit: limit.max(1), f, in_flight: InFlight::ordered(span) }
    }
}

impl<S, F, Fut> Stream for MapAsync<S, F, Fut>
where
    S: Stream,
    F: FnMut(S::Item) -> Fut,
    Fut: Future,
{
    type Item = Fut::Output;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Fut::Output>> {
        let mut this = self.project();
        let source =
            |cx: &mut Context<'_>| this.source.as_mut().poll_next(cx).map(|item| item.map(&mut *this.f));
        this.in_flight.poll_next(*this.limit, cx, source)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let (least, most) = self.source.size_hint();
        let held = self.in_flight.len();
        (least.saturating_add(held), most.and_then(|most| most.checked_add(held)))
    }
}

impl<S: fmt::Debug, F, Fut: Future> fmt::Debug for MapAsync<S, F, Fut> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MapAsync")
            .field("source", &self.source)
            .field("limit", &self.limit)
            .field("in_flight", &self.in_flight)
            .finish_non_exhaustive()
    }
}

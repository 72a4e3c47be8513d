use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use antiphon_resilience::{Deadline, RatePermit};
use bytes::{Bytes, BytesMut};
use futures_core::Stream;
use http_body::Body as _;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::endpoint::Endpoint;
use crate::error::{Error, ErrorKind, RequestPhase};
use crate::hosts::ConnectionSlot;

/// How long a body may take, and how large it may be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BodyLimits {
    pub(crate) idle: Duration,
    pub(crate) max_body: usize,
    pub(crate) deadline: Deadline,
}

/// What a request takes up until its body has been read.
#[derive(Debug)]
pub(crate) struct Guards {
    _slot: ConnectionSlot,
    _rate: Option<RatePermit>,
}

impl Guards {
    pub(crate) fn new(slot: ConnectionSlot, rate: Option<RatePermit>) -> Self {
        Self { _slot: slot, _rate: rate }
    }
}

/// How a stream ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamEnd {
    /// As it should: at the end of the body, and between two items.
    Complete,
    /// Before that: the connection broke, or the body ended within an item. What came is whole.
    Truncated,
    /// Otherwise: it came to a halt, or was not what it should be.
    Failed,
}

/// A body on its way.
pub(crate) struct Body {
    inner: reqwest::Body,
    guards: Option<Guards>,
    /// What comes after all that is left of `inner`.
    failure: Option<Error>,
    pub(crate) endpoint: Endpoint,
    pub(crate) limits: BodyLimits,
    /// When something came last, and a clock that is only set again when it rings: setting it for each piece would cost
    /// more than reading it.
    last_chunk_at: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Body {
    pub(crate) fn new(inner: reqwest::Body, guards: Guards, endpoint: Endpoint, limits: BodyLimits) -> Self {
        Self {
            inner,
            guards: Some(guards),
            failure: None,
            endpoint,
            limits,
            last_chunk_at: None,
            timer: None,
        }
    }

    pub(crate) fn size_hint(&self) -> Option<u64> {
        self.inner.size_hint().exact()
    }

    /// What was read of it, and how it ended, stands for all of it from now on; the connection is free.
    pub(crate) fn replace(&mut self, read: Bytes, failure: Option<Error>) {
        (self.inner, self.failure) = (read.into(), failure);
        self.guards = None;
    }

    pub(crate) fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Error>> {
        let chunk = ready!(self.poll_inner(cx));
        if !matches!(chunk, Ok(Some(_))) {
            self.guards = None;
        }
        Poll::Ready(chunk)
    }

    fn poll_inner(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Error>> {
        // A reader that is slower than the network always finds something, and its time runs out all the same.
        if self.limits.deadline.instant().is_some_and(|at| Instant::now().into_std() >= at) {
            return Poll::Ready(Err(Error::timeout(RequestPhase::NextByte, self.endpoint.clone())));
        }
        loop {
            match Pin::new(&mut self.inner).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => {
                    // Trailers are no part of the body.
                    if let Ok(bytes) = frame.into_data() {
                        self.last_chunk_at = None;
                        return Poll::Ready(Ok(Some(bytes)));
                    }
                }
                Poll::Ready(Some(Err(err))) => {
                    return Poll::Ready(Err(Error::of_reqwest(
                        err,
                        self.endpoint.clone(),
                        RequestPhase::NextByte,
                    )));
                }
                Poll::Ready(None) => return Poll::Ready(self.failure.take().map_or(Ok(None), Err)),
                Poll::Pending => {
                    ready!(self.poll_timeout(cx));
                    return Poll::Ready(Err(Error::timeout(RequestPhase::NextByte, self.endpoint.clone())));
                }
            }
        }
    }

    /// Whether nothing has come for too long.
    fn poll_timeout(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let now = Instant::now();
        let last_chunk_at = *self.last_chunk_at.get_or_insert(now);
        let idle_at = last_chunk_at.checked_add(self.limits.idle);
        let deadline = self.limits.deadline.instant().map(Instant::from_std);
        let Some(expires_at) = idle_at.into_iter().chain(deadline).min() else { return Poll::Pending };
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(expires_at)));
        loop {
            // It may ring too early, for a piece that has come since; never too late, but for a nearer deadline.
            if timer.deadline() > expires_at {
                timer.as_mut().reset(expires_at);
            }
            ready!(timer.as_mut().poll(cx));
            if Instant::now() >= expires_at {
                return Poll::Ready(());
            }
            timer.as_mut().reset(expires_at);
        }
    }

    pub(crate) async fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        std::future::poll_fn(|cx| self.poll_chunk(cx)).await
    }

    /// The whole of it, if it is no larger than it may be.
    pub(crate) async fn collect(mut self) -> Result<Bytes, Error> {
        let limit = self.limits.max_body;
        let Some(first) = self.chunk().await? else { return Ok(Bytes::new()) };
        let too_large =
            |endpoint| Error::new(ErrorKind::TooLarge { limit }, RequestPhase::NextByte, endpoint, "");
        if first.len() > limit {
            return Err(too_large(self.endpoint));
        }
        let Some(second) = self.chunk().await? else { return Ok(first) };
        let mut body = BytesMut::from(first);
        let mut next = Some(second);
        while let Some(chunk) = next {
            if body.len() + chunk.len() > limit {
                return Err(too_large(self.endpoint));
            }
            body.extend_from_slice(&chunk);
            next = self.chunk().await?;
        }
        Ok(body.freeze())
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body").field("place", &self.endpoint).finish_non_exhaustive()
    }
}

/// A body piece by piece; the stream of [`Response::chunks`](crate::Response::chunks). Dropping it hangs up.
#[derive(Debug)]
#[must_use = "streams do nothing unless polled"]
pub struct BodyChunks {
    body: Body,
    end: Option<StreamEnd>,
}

impl BodyChunks {
    pub(crate) fn new(body: Body) -> Self {
        Self { body, end: None }
    }

    /// How it ended; `None` while it has not.
    #[must_use]
    pub fn end(&self) -> Option<StreamEnd> {
        self.end
    }
}

impl Stream for BodyChunks {
    type Item = Result<Bytes, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.end.is_some() {
            return Poll::Ready(None);
        }
        let chunk = ready!(self.body.poll_chunk(cx));
        self.end = ended(&chunk);
        Poll::Ready(chunk.transpose())
    }
}

/// How a stream has ended, if this was its last piece.
pub(crate) fn ended(chunk: &Result<Option<Bytes>, Error>) -> Option<StreamEnd> {
    match chunk {
        Ok(Some(_)) => None,
        Ok(None) => Some(StreamEnd::Complete),
        Err(err) => Some(match err.kind() {
            ErrorKind::Interrupted | ErrorKind::Truncated => StreamEnd::Truncated,
            _ => StreamEnd::Failed,
        }),
    }
}

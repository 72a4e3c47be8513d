//! The body of a response: pieces with timeouts and limits, and the permits that it holds.
//!
//! A request counts as in flight until its body has been read. So the body owns the connection slot and the rate
//! limiter's permit, and gives them back at its end, with an error, or when it is dropped. The timeouts are checked
//! here and not by reqwest, so that they end with an error of this crate in the right phase.

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

/// The limits on a body's time and size.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BodyLimits {
    /// Maximum time between two pieces.
    pub(crate) idle: Duration,
    /// Maximum size in bytes, after decompression, of a body that is read as a whole, or of an event or line.
    pub(crate) max_body: usize,
    /// Deadline of the whole request.
    pub(crate) deadline: Deadline,
}

/// The permits that a request holds until its body has been read.
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

/// The way in which a stream ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamEnd {
    /// The body ended after a complete item. For [`BodyLines`](crate::BodyLines) this includes a last line without a line feed,
    /// which may have been cut: parse its JSON to find out.
    Complete,
    /// The connection broke, or the body ended within an event. All items that the stream returned before are complete.
    Truncated,
    /// The stream failed for another reason: a timeout, the size limit, or a body that does not match its headers.
    Failed,
}

/// A response body that is being received.
pub(crate) struct Body {
    inner: reqwest::Body,
    /// Permits; `None` once the body has ended.
    guards: Option<Guards>,
    /// The error to return after the rest of `inner`.
    failure: Option<Error>,
    pub(crate) endpoint: Endpoint,
    pub(crate) limits: BodyLimits,
    /// The status of the response, for errors.
    status: u16,
    /// The bytes of the pieces so far, after decompression.
    pub(crate) received: u64,
    /// The time of the last piece. The timer is reset only when it fires, because a reset for each piece would cost more than
    /// reading the piece.
    last_chunk_at: Option<Instant>,
    /// Timer, created when a piece is first waited for.
    timer: Option<Pin<Box<Sleep>>>,
}

impl Body {
    pub(crate) fn new(
        inner: reqwest::Body,
        status: u16,
        guards: Guards,
        endpoint: Endpoint,
        limits: BodyLimits,
    ) -> Self {
        Self {
            inner,
            guards: Some(guards),
            failure: None,
            endpoint,
            limits,
            status,
            received: 0,
            last_chunk_at: None,
            timer: None,
        }
    }

    /// Returns the exact length of the body if it is known: not for a compressed or chunked one.
    pub(crate) fn size_hint(&self) -> Option<u64> {
        self.inner.size_hint().exact()
    }

    /// Replaces the rest of the body by what was read and the error that ended it, and releases the connection.
    pub(crate) fn replace(&mut self, read: Bytes, failure: Option<Error>) {
        (self.inner, self.failure) = (read.into(), failure);
        self.guards = None;
    }

    /// Polls the next piece, and releases the permits at the end of the body or with an error.
    pub(crate) fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Error>> {
        let chunk = ready!(self.poll_inner(cx));
        if !matches!(chunk, Ok(Some(_))) {
            self.guards = None;
        }
        Poll::Ready(chunk)
    }

    /// Polls the next piece of data, with the timeouts. Trailers are skipped.
    fn poll_inner(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Error>> {
        // A reader that is slower than the network always finds data, so the deadline is checked before the data.
        if self.is_past_deadline() {
            return Poll::Ready(Err(self.timed_out()));
        }
        loop {
            match Pin::new(&mut self.inner).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => {
                    // Trailers are not part of the body.
                    if let Ok(bytes) = frame.into_data() {
                        self.last_chunk_at = None;
                        self.received += bytes.len() as u64;
                        return Poll::Ready(Ok(Some(bytes)));
                    }
                }
                Poll::Ready(Some(Err(err))) => {
                    let err = Error::of_reqwest(err, self.endpoint.clone(), RequestPhase::NextByte);
                    return Poll::Ready(Err(err.with_status(self.status)));
                }
                Poll::Ready(None) => return Poll::Ready(self.failure.take().map_or(Ok(None), Err)),
                Poll::Pending => {
                    ready!(self.poll_timeout(cx));
                    return Poll::Ready(Err(self.timed_out()));
                }
            }
        }
    }

    /// Waits until the idle timeout or the deadline has passed.
    fn poll_timeout(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(expires_at) = self.expires_at() else { return Poll::Pending };
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(expires_at)));
        loop {
            // The timer may fire too early, because a piece came since it was set. It is too late only for a nearer deadline.
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

    /// Returns the earlier of the idle timeout and the deadline; `None` if there is neither. The idle time begins with
    /// the first call after a piece.
    fn expires_at(&mut self) -> Option<Instant> {
        let last_chunk_at = *self.last_chunk_at.get_or_insert(Instant::now());
        let idle_at = last_chunk_at.checked_add(self.limits.idle);
        let deadline = self.limits.deadline.instant().map(Instant::from_std);
        idle_at.into_iter().chain(deadline).min()
    }

    /// Returns whether the deadline of the whole request has passed.
    fn is_past_deadline(&self) -> bool {
        self.limits.deadline.instant().is_some_and(|at| Instant::now().into_std() >= at)
    }

    /// Creates the error for a piece that did not arrive in time: before the deadline, if that has passed, or within the idle
    /// timeout.
    fn timed_out(&self) -> Error {
        if self.is_past_deadline() {
            self.error(ErrorKind::DeadlineExceeded)
        } else {
            self.error(ErrorKind::Timeout { phase: RequestPhase::NextByte })
        }
    }

    /// Creates an error of the body, with the status of its response.
    pub(crate) fn error(&self, kind: ErrorKind) -> Error {
        Error::new(kind, RequestPhase::NextByte, self.endpoint.clone(), "").with_status(self.status)
    }

    /// Returns the next piece; `None` at the end. After the end, or an error, the permits are released; do not call it
    /// again.
    ///
    /// # Cancel safety
    /// A dropped call loses nothing: the next call returns the piece.
    pub(crate) async fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        std::future::poll_fn(|cx| self.poll_chunk(cx)).await
    }

    /// Returns the whole body, or `TooLarge` if it exceeds `max_body`.
    pub(crate) async fn collect(mut self) -> Result<Bytes, Error> {
        let limit = self.limits.max_body;
        let Some(first) = self.chunk().await? else { return Ok(Bytes::new()) };
        if first.len() > limit {
            return Err(self.too_large());
        }
        let Some(second) = self.chunk().await? else { return Ok(first) };
        let mut body = BytesMut::from(first);
        let mut next = Some(second);
        while let Some(chunk) = next {
            if body.len() + chunk.len() > limit {
                return Err(self.too_large());
            }
            body.extend_from_slice(&chunk);
            next = self.chunk().await?;
        }
        Ok(body.freeze())
    }

    /// Returns the body up to `max_body` bytes, and the error that ended it early, if one did.
    pub(crate) async fn collect_beginning(mut self) -> (BytesMut, Option<Error>) {
        let (limit, mut body) = (self.limits.max_body, BytesMut::new());
        loop {
            match self.chunk().await {
                Ok(None) => return (body, None),
                Err(err) => return (body, Some(err)),
                Ok(Some(chunk)) => {
                    let room = limit - body.len();
                    body.extend_from_slice(&chunk[..room.min(chunk.len())]);
                    if chunk.len() > room {
                        return (body, Some(self.too_large()));
                    }
                }
            }
        }
    }

    /// Creates the error for a body that exceeds `max_body`.
    fn too_large(&self) -> Error {
        self.error(ErrorKind::TooLarge { limit: self.limits.max_body })
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let endpoint = format_args!("{}", self.endpoint);
        f.debug_struct("Body")
            .field("endpoint", &endpoint)
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

/// A stream of the pieces of a body, returned by [`Response::chunks`](crate::Response::chunks). Dropping the stream closes the
/// connection.
///
/// Use [`Events`](crate::Events) or [`BodyLines`](crate::BodyLines) for a body of events or lines.
#[must_use = "streams do nothing unless polled"]
pub struct BodyChunks {
    body: Body,
    end: Option<StreamEnd>,
}

impl BodyChunks {
    pub(crate) fn new(body: Body) -> Self {
        Self { body, end: None }
    }

    /// Returns how the stream ended; `None` while items may follow.
    #[must_use]
    pub fn end(&self) -> Option<StreamEnd> {
        self.end
    }
}

impl fmt::Debug for BodyChunks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BodyChunks").field("body", &self.body).field("end", &self.end).finish()
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

/// Returns how the stream ended, if this was its last piece.
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

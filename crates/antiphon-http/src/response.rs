use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_core::Stream;
use futures_core::future::BoxFuture;
use tokio::time::timeout;

use crate::error::{Error, ErrorKind, Phase};
use crate::shards::Place;
use crate::sse::{Decoder, Event};

/// The head of an answer, and its body on the way. Dropping it hangs up.
#[derive(Debug)]
pub struct Response {
    inner: reqwest::Response,
    // The place on the connection is taken until the body has been read.
    _connection: Place,
    place: String,
    limits: Limits,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) idle: Duration,
    pub(crate) max_body: usize,
}

impl Response {
    pub(crate) fn new(inner: reqwest::Response, connection: Place, place: String, limits: Limits) -> Self {
        Self { inner, _connection: connection, place, limits }
    }

    /// The status code.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.inner.status().as_u16()
    }

    /// A header's value, if it is there and plain text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.inner.headers().get(name)?.to_str().ok()
    }

    /// The HTTP version spoken, such as `HTTP/2.0`.
    #[must_use]
    pub fn version(&self) -> &'static str {
        match self.inner.version() {
            reqwest::Version::HTTP_10 => "HTTP/1.0",
            reqwest::Version::HTTP_11 => "HTTP/1.1",
            reqwest::Version::HTTP_2 => "HTTP/2.0",
            _ => "HTTP",
        }
    }

    /// Method and host of the request, for messages.
    #[must_use]
    pub fn place(&self) -> &str {
        &self.place
    }

    /// The next piece of the body, unpacked; `None` at its end.
    ///
    /// # Errors
    /// `Timeout` when it comes to a halt, or `Interrupted` when the connection breaks before the end.
    ///
    /// # Cancel safety
    /// A dropped call loses nothing: the piece is there for the next call.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        match timeout(self.limits.idle, self.inner.chunk()).await {
            Ok(chunk) => chunk.map_err(|err| Error::of_reqwest(err, &self.place, true)),
            Err(_) => Err(Error::new(ErrorKind::Timeout { phase: Phase::NextByte }, &self.place, "")),
        }
    }

    /// The whole body as text, invalid UTF-8 replaced by U+FFFD.
    ///
    /// # Errors
    /// As [`Response::chunk`], and `TooLarge`.
    ///
    /// # Cancel safety
    /// Hangs up; what was read is lost.
    pub async fn text(mut self) -> Result<String, Error> {
        let mut body = Vec::new();
        while let Some(chunk) = self.chunk().await? {
            if body.len() + chunk.len() > self.limits.max_body {
                let kind = ErrorKind::TooLarge { limit: self.limits.max_body };
                return Err(Error::new(kind, self.place, ""));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(String::from_utf8(body).unwrap_or_else(|err| String::from_utf8_lossy(err.as_bytes()).into_owned()))
    }

    /// The body as server-sent events.
    pub fn events(self) -> Events {
        let decoder = Decoder::new(self.limits.max_body);
        Events { state: State::Ready(self), decoder, decoded: VecDeque::new() }
    }
}

/// The stream of [`Response::events`]. It ends where the body ends: only the protocol above can tell whether it was whole.
#[must_use = "streams do nothing unless polled"]
pub struct Events {
    state: State,
    decoder: Decoder,
    decoded: VecDeque<Event>,
}

enum State {
    Ready(Response),
    Reading(BoxFuture<'static, (Response, Result<Option<Bytes>, Error>)>),
    Ended,
}

impl Stream for Events {
    type Item = Result<Event, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            if let Some(event) = this.decoded.pop_front() {
                return Poll::Ready(Some(Ok(event)));
            }
            match std::mem::replace(&mut this.state, State::Ended) {
                State::Ended => return Poll::Ready(None),
                State::Ready(mut response) => {
                    let read = async move {
                        let chunk = response.chunk().await;
                        (response, chunk)
                    };
                    this.state = State::Reading(Box::pin(read));
                }
                State::Reading(mut reading) => {
                    let Poll::Ready((response, chunk)) = reading.as_mut().poll(cx) else {
                        this.state = State::Reading(reading);
                        return Poll::Pending;
                    };
                    match chunk {
                        Ok(None) => {}
                        Err(err) => return Poll::Ready(Some(Err(err))),
                        Ok(Some(chunk)) => match this.decoder.push(&chunk, &mut this.decoded) {
                            Ok(()) => this.state = State::Ready(response),
                            Err(_) => {
                                let kind = ErrorKind::TooLarge { limit: response.limits.max_body };
                                return Poll::Ready(Some(Err(Error::new(kind, response.place, ""))));
                            }
                        },
                    }
                }
            }
        }
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events").field("decoded", &self.decoded.len()).finish_non_exhaustive()
    }
}

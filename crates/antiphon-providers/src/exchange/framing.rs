//! The framing of a streamed body: server-sent events (WHATWG HTML, section 9.2) or lines such as NDJSON.
//!
//! Servers do not always declare what they send: some stream under `application/json`, and some answer a
//! streaming request with one JSON value. [`Framing::is_of`] judges by the content type, and
//! [`Framing::begins`] by the body.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};

use antiphon_http::{BodyLines, Error, Events, sse};
use futures_util::Stream;

/// The framing that separates the pieces of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    /// Server-sent events.
    Events,
    /// Lines, such as NDJSON.
    Lines,
}

impl Framing {
    /// Returns whether a body of this content type has this framing; one without a type does.
    ///
    /// Parameters after the type, such as `charset`, are ignored. Server-sent events are accepted for lines as
    /// well, because lines are also how Gemini's events are read.
    pub(super) fn is_of(self, content_type: &str) -> bool {
        content_type.is_empty()
            || content_type.starts_with("text/event-stream")
            || (self == Self::Lines && content_type.contains("ndjson"))
    }

    /// Returns whether a body begins like one with this framing.
    pub(super) fn begins(self, body: &str) -> bool {
        let body = body.trim_start();
        body.starts_with("data:") || body.starts_with(if self == Self::Events { "event:" } else { "{" })
    }
}

/// Returns a body without the byte order mark that some servers put before it (RFC 8259, section 8.1: a parser may ignore it).
pub(super) fn without_mark(body: &str) -> &str {
    body.trim_start().trim_start_matches('\u{feff}')
}

/// The pieces of a body, as a stream.
///
/// A piece that is larger than the limit of its response is an error of the connection.
pub(super) enum Pieces {
    /// Server-sent events as they arrive.
    Events(Events),
    /// Lines as they arrive, without their line feeds.
    Lines(BodyLines),
    /// Pieces of a body that has been read as a whole.
    Ready(VecDeque<Piece>),
    /// Pieces at given times, for tests on the paused clock.
    #[cfg(test)]
    #[cfg(feature = "_chat")]
    Timed(futures_util::stream::BoxStream<'static, Piece>),
}

/// One piece: an event's type, if it has one, and its data.
pub(super) struct Piece {
    /// The event's type; empty for a line, and for an event without a type.
    pub(super) event: String,
    /// The event's data, whose lines are joined by line feeds, or the line.
    pub(super) data: String,
}

impl Pieces {
    /// Splits a whole body into its pieces; none where it does not have this framing.
    ///
    /// An event without the empty line that ends it is left out, as the standard demands.
    pub(super) fn of_body(framing: Framing, body: &str) -> Self {
        Self::Ready(match framing {
            Framing::Events => {
                let mut events = Vec::new();
                let _ = sse::SseDecoder::new(body.len().max(1)).push(body.as_bytes(), &mut events);
                events.into_iter().map(|event| Piece { event: event.event, data: event.data }).collect()
            }
            Framing::Lines => {
                body.lines().map(|line| Piece { event: String::new(), data: line.to_owned() }).collect()
            }
        })
    }

    /// Returns the beginning of a body that does not have this framing; nothing of an empty one.
    pub(super) fn unframed(&self) -> Option<&[u8]> {
        match self {
            Self::Events(events) => events.unframed(),
            Self::Lines(lines) => lines.unframed(),
            _ => None,
        }
    }

    /// Returns the bytes of the body that have arrived, those without a piece included; 0 for one that was read as a whole.
    pub(super) fn received_bytes(&self) -> u64 {
        match self {
            Self::Events(events) => events.received_bytes(),
            Self::Lines(lines) => lines.received_bytes(),
            _ => 0,
        }
    }

    /// Polls for the next piece; `None` after the last.
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Piece, Error>>> {
        match self {
            Self::Events(events) => Pin::new(events).poll_next(cx).map(|next| {
                next.map(|event| event.map(|event| Piece { event: event.event, data: event.data }))
            }),
            Self::Lines(lines) => Pin::new(lines)
                .poll_next(cx)
                .map(|next| next.map(|line| line.map(|data| Piece { event: String::new(), data }))),
            Self::Ready(pieces) => Poll::Ready(pieces.pop_front().map(Ok)),
            #[cfg(test)]
            #[cfg(feature = "_chat")]
            Self::Timed(pieces) => pieces.as_mut().poll_next(cx).map(|next| next.map(Ok)),
        }
    }
}

use std::pin::Pin;
use std::task::{Context, Poll};

use antiphon_http::{Error, Events, Lines};
use futures_util::Stream;

/// How the pieces of an answer are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    /// Server-sent events.
    Events,
    /// Lines.
    Lines,
}

/// The pieces of a body.
pub(super) enum Pieces {
    Events(Events),
    Lines(Lines),
    /// An answer that came all at once and has been taken.
    None,
}

/// One piece: an event's type, if it has one, and its data.
pub(super) struct Piece {
    pub(super) event: String,
    pub(super) data: String,
}

impl Pieces {
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Piece, Error>>> {
        match self {
            Self::Events(events) => Pin::new(events).poll_next(cx).map(|next| {
                next.map(|event| event.map(|event| Piece { event: event.event, data: event.data }))
            }),
            Self::Lines(lines) => Pin::new(lines)
                .poll_next(cx)
                .map(|next| next.map(|line| line.map(|data| Piece { event: String::new(), data }))),
            Self::None => Poll::Ready(None),
        }
    }
}

//! Streams of decoded items: server-sent events and NDJSON lines.
//!
//! Both are a body with a decoder. A piece of the body may complete any number of items, which are returned one at a
//! time before the next piece is read (backpressure). An error comes after all items that were complete before it.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_core::Stream;

use crate::body::{Body, StreamEnd, ended};
use crate::error::{Error, ErrorKind};
use crate::{ndjson, sse};

/// A stream of the server-sent events of a body, returned by [`Response::events`](crate::Response::events). Dropping the stream
/// closes the connection.
///
/// The stream ends with the body. SSE has no end marker: only the application's protocol, such as OpenAI's `[DONE]`, shows
/// whether the server had sent everything.
#[must_use = "streams do nothing unless polled"]
pub struct Events(Decoded<sse::SseDecoder>);

/// A stream of the NDJSON lines of a body, returned by [`Response::lines`](crate::Response::lines). Dropping the stream closes
/// the connection.
///
/// A last line without a line feed is returned as it is, and may have been cut: parse its JSON to find out.
#[must_use = "streams do nothing unless polled"]
pub struct BodyLines(Decoded<ndjson::NdjsonDecoder>);

/// A body whose pieces are decoded into complete items.
struct Decoded<D: Decode> {
    body: Body,
    decoder: D,
    /// Items that were decoded and not returned yet.
    items: VecDeque<D::Item>,
    /// The error to return after the items.
    failure: Option<Error>,
    /// The way in which the body ended; decoded items may still be waiting.
    end: Option<StreamEnd>,
    /// Whether the body begins like one in the decoder's format; `None` before its first byte that is neither space nor a byte order
    /// mark.
    is_framed: Option<bool>,
    /// The beginning of a body that does not.
    unframed: Vec<u8>,
}

/// The maximum length in bytes of the beginning of a body in another format.
const MAX_UNFRAMED: usize = 1 << 20;

/// An incremental decoder of items from bytes.
trait Decode {
    /// A complete item, such as an event or a line.
    type Item;

    /// Returns whether a body that begins with these bytes may have this format.
    fn may_begin(bytes: &[u8]) -> bool;

    /// Takes the next bytes; the error is the limit in bytes.
    fn push(&mut self, bytes: &[u8], items: &mut VecDeque<Self::Item>) -> Result<(), usize>;

    /// Ends the input and returns whether it ended between two items.
    fn finish(&mut self, items: &mut VecDeque<Self::Item>) -> bool;
}

impl Decode for sse::SseDecoder {
    type Item = sse::Event;

    fn may_begin(bytes: &[u8]) -> bool {
        const FIELDS: [&[u8]; 5] = [b":", b"data", b"event", b"id", b"retry"];
        FIELDS.iter().any(|field| bytes.starts_with(field) || field.starts_with(bytes))
    }

    fn push(&mut self, bytes: &[u8], items: &mut VecDeque<sse::Event>) -> Result<(), usize> {
        self.push(bytes, items).map_err(|err| err.limit)
    }

    fn finish(&mut self, _: &mut VecDeque<sse::Event>) -> bool {
        self.finish().is_ok()
    }
}

impl Decode for ndjson::NdjsonDecoder {
    type Item = String;

    fn may_begin(bytes: &[u8]) -> bool {
        // Any text is a line; a page is none of NDJSON.
        !bytes.starts_with(b"<")
    }

    fn push(&mut self, bytes: &[u8], items: &mut VecDeque<String>) -> Result<(), usize> {
        self.push(bytes, items).map_err(|err| err.limit)
    }

    fn finish(&mut self, items: &mut VecDeque<String>) -> bool {
        items.extend(self.finish());
        true
    }
}

/// Returns the beginning of a body without a byte order mark and the space after it; nothing of a part of such a mark.
fn without_mark(bytes: &[u8]) -> &[u8] {
    const MARK: &[u8] = b"\xef\xbb\xbf";
    match bytes.strip_prefix(MARK) {
        Some(rest) => rest.trim_ascii_start(),
        None if MARK.starts_with(bytes) => &[],
        None => bytes,
    }
}

impl<D: Decode> Decoded<D> {
    fn new(body: Body, decoder: D) -> Self {
        Self {
            body,
            decoder,
            items: VecDeque::new(),
            failure: None,
            end: None,
            is_framed: None,
            unframed: Vec::new(),
        }
    }

    /// Polls the next item: those that were decoded, then the error that ended the stream, then `None`.
    fn poll_item(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<D::Item, Error>>> {
        loop {
            if let Some(item) = self.items.pop_front() {
                return Poll::Ready(Some(Ok(item)));
            }
            if self.end.is_some() {
                return Poll::Ready(self.failure.take().map(Err));
            }
            let chunk = ready!(self.body.poll_chunk(cx));
            self.decode(chunk);
        }
    }

    /// Decodes a piece of the body, or ends the stream with the body.
    fn decode(&mut self, chunk: Result<Option<Bytes>, Error>) {
        self.end = ended(&chunk);
        match chunk {
            Ok(Some(chunk)) => {
                self.look_at(&chunk);
                if let Err(limit) = self.decoder.push(&chunk, &mut self.items) {
                    self.fail(ErrorKind::TooLarge { limit }, StreamEnd::Failed);
                }
            }
            Ok(None) if self.decoder.finish(&mut self.items) => {}
            Ok(None) => self.fail(ErrorKind::Truncated, StreamEnd::Truncated),
            Err(err) => self.failure = Some(err),
        }
    }

    /// Keeps the beginning of a body in another format.
    fn look_at(&mut self, chunk: &[u8]) {
        if self.is_framed == Some(true) {
            return;
        }
        // White space before a body decides nothing, however much it is.
        let chunk = if self.unframed.is_empty() { chunk.trim_ascii_start() } else { chunk };
        if self.unframed.is_empty() && D::may_begin(without_mark(chunk)) && !without_mark(chunk).is_empty() {
            self.is_framed = Some(true);
            return;
        }
        let room = MAX_UNFRAMED.saturating_sub(self.unframed.len()).min(chunk.len());
        self.unframed.extend_from_slice(&chunk[..room]);
        if self.is_framed.is_none() {
            let begins = without_mark(&self.unframed);
            self.is_framed = (!begins.is_empty()).then(|| D::may_begin(begins));
            if self.is_framed == Some(true) {
                self.unframed = Vec::new();
            }
        }
    }

    /// Returns the beginning of a body in another format.
    fn unframed(&self) -> Option<&[u8]> {
        (self.is_framed != Some(true)).then_some(self.unframed.as_slice())
    }

    /// Ends the stream after its complete items, and closes the connection.
    fn fail(&mut self, kind: ErrorKind, end: StreamEnd) {
        self.body.replace(Bytes::new(), None);
        self.end = Some(end);
        self.failure = Some(self.body.error(kind));
    }

    /// Returns how the stream ended, once all items and the error have been returned.
    fn end(&self) -> Option<StreamEnd> {
        self.end.filter(|_| self.items.is_empty() && self.failure.is_none())
    }
}

impl Events {
    pub(crate) fn new(body: Body) -> Self {
        let decoder = sse::SseDecoder::new(body.limits.max_body);
        Self(Decoded::new(body, decoder))
    }

    /// Returns how the stream ended; `None` before its end.
    #[must_use]
    pub fn end(&self) -> Option<StreamEnd> {
        self.0.end()
    }

    /// Returns the beginning of a body that is not an event stream, such as the page of a proxy: at most 1 MiB of what has arrived, and
    /// nothing of an empty body. `None` for a body that begins like an event stream.
    #[must_use]
    pub fn unframed(&self) -> Option<&[u8]> {
        self.0.unframed()
    }

    /// Returns the number of bytes of the body that have arrived, after decompression, those without an event included.
    #[must_use]
    pub fn received_bytes(&self) -> u64 {
        self.0.body.received
    }

    /// Returns the last event id of the events decoded so far, for `Last-Event-ID` after a reconnection; empty if there was
    /// none. Events that were decoded and not yet returned count. See [`SseDecoder::last_event_id`](sse::SseDecoder::last_event_id).
    #[must_use]
    pub fn last_event_id(&self) -> &str {
        self.0.decoder.last_event_id()
    }

    /// Returns the reconnection time that the server sent last, if any.
    #[must_use]
    pub fn retry(&self) -> Option<Duration> {
        self.0.decoder.retry()
    }
}

impl BodyLines {
    pub(crate) fn new(body: Body) -> Self {
        let decoder = ndjson::NdjsonDecoder::new(body.limits.max_body);
        Self(Decoded::new(body, decoder))
    }

    /// Returns how the stream ended; `None` before its end.
    #[must_use]
    pub fn end(&self) -> Option<StreamEnd> {
        self.0.end()
    }

    /// Returns the number of bytes of the body that have arrived, after decompression, those of empty lines included.
    #[must_use]
    pub fn received_bytes(&self) -> u64 {
        self.0.body.received
    }

    /// Returns the beginning of a body that is not lines of text, such as the page of a proxy: at most 1 MiB of what has arrived, and
    /// nothing of an empty body. `None` for a body that begins like lines of text.
    #[must_use]
    pub fn unframed(&self) -> Option<&[u8]> {
        self.0.unframed()
    }
}

impl Stream for Events {
    type Item = Result<sse::Event, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_item(cx)
    }
}

impl Stream for BodyLines {
    type Item = Result<String, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_item(cx)
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events").field("body", &self.0.body).field("end", &self.end()).finish_non_exhaustive()
    }
}

impl fmt::Debug for BodyLines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BodyLines")
            .field("body", &self.0.body)
            .field("end", &self.end())
            .finish_non_exhaustive()
    }
}

//! Server-sent events (SSE), decoded as by a browser (WHATWG HTML, section 9.2, "Server-sent events").
//!
//! A stream is UTF-8 text. Its lines end with a line feed, a carriage return, or both; an empty line ends an event:
//!
//! ```text
//! event: delta
//! data: {"text": "hel"}
//! id: 7
//!
//! : a comment, as servers send to keep the connection open
//! ```
//!
//! | field | meaning |
//! |---|---|
//! | `data` | a line of the event's data; an event without any is discarded |
//! | `event` | the event's type |
//! | `id` | the last event id, for this event and all later ones; ignored if it has a NUL |
//! | `retry` | the reconnection time in milliseconds; ignored unless it has digits only |
//!
//! Reconnecting, after the reconnection time and with `Last-Event-ID`, is left to the caller.
//!
//! # Examples
//! ```
//! let mut decoder = antiphon_http::sse::SseDecoder::new(1024);
//! let mut events = Vec::new();
//! decoder.push(b"data: hel", &mut events)?;
//! decoder.push(b"lo\n\n", &mut events)?;
//! assert_eq!(events[0].data, "hello");
//! # Ok::<(), antiphon_http::sse::EventTooLarge>(())
//! ```

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use memchr::memchr2;

/// One event of a stream.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Event {
    /// The event's type; empty for an ordinary message.
    pub event: String,
    /// The event's data: its `data` lines, joined by line feeds.
    pub data: String,
    /// The last event id that the stream had sent when the event ended; empty if there was none. Later events share the
    /// allocation until the id changes.
    pub id: Arc<str>,
    /// The reconnection time that the stream had last sent (`retry`), if any.
    pub retry: Option<Duration>,
}

/// The error for an event that is larger than the decoder's limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventTooLarge {
    /// The limit in bytes.
    pub limit: usize,
}

impl fmt::Display for EventTooLarge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an event is larger than {} bytes", self.limit)
    }
}

impl std::error::Error for EventTooLarge {}

/// An incremental decoder of server-sent events, for bytes in pieces of any size.
///
/// Use [`Response::events`](crate::Response::events) for the body of a response. Only a line that spans two pieces is buffered.
#[derive(Debug)]
pub struct SseDecoder {
    limit: usize,
    /// Bytes of a line that has not ended yet.
    partial: Vec<u8>,
    /// Whether a line feed is skipped: right after a carriage return it belongs to the same line ending, even in the
    /// next piece.
    skip_line_feed: bool,
    /// Whether no line was decoded yet: only before the first one a byte order mark is allowed.
    at_start: bool,
    /// Type, data and presence of data of the event that is being decoded.
    event: String,
    data: String,
    has_data: bool,
    /// Last event id and reconnection time of the stream, which outlive an event.
    id: Arc<str>,
    retry: Option<Duration>,
}

/// The error for input that ends within an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Incomplete;

impl fmt::Display for Incomplete {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the stream ended within an event")
    }
}

impl std::error::Error for Incomplete {}

impl SseDecoder {
    /// Creates a decoder that accepts events of at most `limit` bytes, with type, data and id together.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            partial: Vec::new(),
            skip_line_feed: false,
            at_start: true,
            event: String::new(),
            data: String::new(),
            has_data: false,
            id: Arc::default(),
            retry: None,
        }
    }

    /// Decodes the next bytes and adds the events that they complete to `events`.
    ///
    /// An incomplete event is kept until the next call. [`finish`](Self::finish) reports one that is still incomplete when the
    /// input ends.
    ///
    /// # Errors
    /// [`EventTooLarge`]; the decoder cannot be used afterwards.
    pub fn push(&mut self, bytes: &[u8], events: &mut impl Extend<Event>) -> Result<(), EventTooLarge> {
        let mut rest = bytes;
        if self.skip_line_feed && !rest.is_empty() {
            self.skip_line_feed = false;
            rest = rest.strip_prefix(b"\n").unwrap_or(rest);
        }
        while let Some(end) = memchr2(b'\n', b'\r', rest) {
            let (line, ended) = (&rest[..end], rest[end]);
            rest = &rest[end + 1..];
            if ended == b'\r' {
                self.skip_line_feed = rest.is_empty();
                rest = rest.strip_prefix(b"\n").unwrap_or(rest);
            }
            self.end_line(line, events)?;
        }
        self.partial.extend_from_slice(rest);
        self.check(0)
    }

    /// Decodes a line whose end has arrived, after the part of it that came in earlier pieces, if any. The buffer of
    /// that part is kept for later lines.
    fn end_line(&mut self, line: &[u8], events: &mut impl Extend<Event>) -> Result<(), EventTooLarge> {
        if self.partial.is_empty() {
            return self.line(line, events);
        }
        let mut whole = std::mem::take(&mut self.partial);
        whole.extend_from_slice(line);
        self.line(&whole, events)?;
        whole.clear();
        self.partial = whole;
        Ok(())
    }

    /// Ends the input and resets the decoder. An incomplete event is discarded, as the standard requires, and reported.
    ///
    /// # Errors
    /// [`Incomplete`] if the empty line that ends an event is missing after its data, or if the last line is incomplete and not
    /// a comment.
    pub fn finish(&mut self) -> Result<(), Incomplete> {
        let partial = std::mem::take(&mut self.partial);
        let in_data = self.has_data || partial.first().is_some_and(|first| *first != b':');
        *self = Self::new(self.limit);
        if in_data { Err(Incomplete) } else { Ok(()) }
    }

    /// Decodes a complete line: an empty one ends the event, any other one is a field or a comment.
    fn line(&mut self, line: &[u8], events: &mut impl Extend<Event>) -> Result<(), EventTooLarge> {
        let line = self.without_byte_order_mark(line);
        if line.is_empty() {
            self.dispatch(events);
            return Ok(());
        }
        self.check(line.len())?;
        let (name, value) = match line.iter().position(|byte| *byte == b':') {
            Some(colon) => (&line[..colon], &line[colon + 1..]),
            None => (line, &[][..]),
        };
        self.field(name, text(value.strip_prefix(b" ").unwrap_or(value)));
        Ok(())
    }

    /// Removes a byte order mark before the first line of the input.
    fn without_byte_order_mark<'l>(&mut self, line: &'l [u8]) -> &'l [u8] {
        if std::mem::take(&mut self.at_start) {
            line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line)
        } else {
            line
        }
    }

    /// Takes a field of the event; comments, whose name is empty, and fields of later versions are ignored.
    fn field(&mut self, name: &[u8], value: Cow<'_, str>) {
        match name {
            b"data" => self.add_data(value),
            b"event" => self.event = value.into_owned(),
            b"id" if !value.contains('\0') => self.id = value.into(),
            b"retry" if value.bytes().all(|byte| byte.is_ascii_digit()) => {
                self.retry = value.parse().ok().map(Duration::from_millis).or(self.retry);
            }
            _ => {}
        }
    }

    /// Adds a line of data. Most events have one line, which is not copied twice.
    fn add_data(&mut self, value: Cow<'_, str>) {
        if self.has_data {
            self.data.push('\n');
            self.data.push_str(&value);
        } else {
            self.data = value.into_owned();
        }
        self.has_data = true;
    }

    /// Ends the event. An event without data is discarded, with its type; the last id and the reconnection time stay.
    fn dispatch(&mut self, events: &mut impl Extend<Event>) {
        let event = std::mem::take(&mut self.event);
        let data = std::mem::take(&mut self.data);
        if std::mem::take(&mut self.has_data) {
            events.extend([Event { event, data, id: self.id.clone(), retry: self.retry }]);
        }
    }

    /// Refuses an event that exceeds the limit with `more` bytes.
    fn check(&self, more: usize) -> Result<(), EventTooLarge> {
        if self.data.len() + self.event.len() + self.id.len() + self.partial.len() + more > self.limit {
            Err(EventTooLarge { limit: self.limit })
        } else {
            Ok(())
        }
    }
}

/// Decodes UTF-8 and replaces invalid bytes by U+FFFD. Valid text, the usual case, is not copied.
fn text(bytes: &[u8]) -> Cow<'_, str> {
    std::str::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes), Cow::Borrowed)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Event, EventTooLarge, SseDecoder};

    fn decode<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<Event> {
        let (mut decoder, mut events) = (SseDecoder::new(1 << 20), Vec::new());
        pieces.into_iter().for_each(|piece| decoder.push(piece, &mut events).unwrap());
        events
    }

    /// Decodes a text split in two at every position; events as (type, data, id).
    #[track_caller]
    fn check(text: &str, expected: &[(&str, &str, &str)]) {
        let expected: Vec<_> = expected
            .iter()
            .map(|(event, data, id)| Event {
                event: (*event).to_owned(),
                data: (*data).to_owned(),
                id: (*id).into(),
                retry: None,
            })
            .collect();
        for cut in 0..=text.len() {
            let (one, two) = text.as_bytes().split_at(cut);
            assert_eq!(decode([one, two]), expected, "{text:?} cut at {cut}");
        }
    }

    #[test]
    fn the_rules_of_the_standard() {
        check("data: a\n\n", &[("", "a", "")]);
        check("data:a\r\ndata:  b\r\n\r\n", &[("", "a\n b", "")]);
        check("data: a\rdata: b\r\r", &[("", "a\nb", "")]);
        check("\u{feff}data: a\n\n\u{feff}data: b\n\n", &[("", "a", "")]);
        check(": ping\n\nevent: x\ndata: 1\n\n", &[("x", "1", "")]);
        check("event: lost\n\ndata\n\n", &[("", "", "")]);
        check("id: 7\ndata: a\n\nid: b\0\ndata: b\n\n", &[("", "a", "7"), ("", "b", "7")]);
        check("data: a\nother: x\nDATA: y\nretry: soon\n\n", &[("", "a", "")]);
        check("data: cut", &[]);
        check("data: cut\n", &[]);
        check("data: é😀\n\n", &[("", "é😀", "")]);
    }

    #[test]
    fn a_reconnection_time_belongs_to_every_later_event() {
        let events = decode([&b"retry: 250\ndata: a\n\nretry: x1\ndata: b\n\nretry: 9\n\ndata: c\n\n"[..]]);
        let waits = events.iter().map(|event| event.retry.unwrap().as_millis());
        assert_eq!(waits.collect::<Vec<_>>(), [250, 250, 9]);
    }

    #[test]
    fn an_end_within_an_event_is_reported() {
        for (text, complete) in [
            ("data: a\n\n", true),
            ("data: a\n\n: ping", true),
            ("data: a\n\nid: 1\n", true),
            ("", true),
            ("data: a\n", false),
            ("data: a", false),
            ("data: a\n\nda", false),
        ] {
            let mut decoder = SseDecoder::new(100);
            decoder.push(text.as_bytes(), &mut Vec::new()).unwrap();
            assert_eq!(decoder.finish().is_ok(), complete, "{text:?}");
        }
    }

    #[test]
    fn invalid_utf8_is_replaced() {
        assert_eq!(decode([&b"data: \xff\xe2\x82\n\n"[..]])[0].data, "\u{fffd}\u{fffd}");
    }

    #[test]
    fn an_event_over_the_limit_is_an_error() {
        let mut decoder = SseDecoder::new(16);
        let result = (0..4).try_for_each(|_| decoder.push(b"data: x\n", &mut Vec::new()));
        assert_eq!(result, Ok(()));
        let result = (0..9).try_for_each(|_| decoder.push(b"data: x\n", &mut Vec::new()));
        assert_eq!(result, Err(EventTooLarge { limit: 16 }));
        assert!(SseDecoder::new(16).push(&[b'x'; 17], &mut Vec::new()).is_err());
    }

    proptest! {
        #[test]
        fn pieces_of_any_size_give_the_same_events(
            text in "[\u{feff}dat:e vn\\x00\n\ri]{0,80}",
            sizes in proptest::collection::vec(1_usize..7, 1..40),
        ) {
            let mut rest = text.as_bytes();
            let mut pieces: Vec<&[u8]> = Vec::new();
            for size in sizes.iter().cycle() {
                if rest.is_empty() { break }
                let (piece, after) = rest.split_at((*size).min(rest.len()));
                pieces.push(piece);
                rest = after;
            }
            prop_assert_eq!(decode(pieces), decode([text.as_bytes()]));
        }
    }
}

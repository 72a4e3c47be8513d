//! Server-sent events (SSE), decoded as by a browser.
//!
//! The source is the WHATWG HTML Living Standard, section 9.2, [Server-sent events]: 9.2.5 for the format, 9.2.6 for the fields.
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
//! Reconnecting is left to the caller: after the reconnection time ([`SseDecoder::retry`]), with the last event id
//! ([`SseDecoder::last_event_id`]) in the header `Last-Event-ID`.
//!
//! [Server-sent events]: https://html.spec.whatwg.org/multipage/server-sent-events.html
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
#[derive(Clone, PartialEq, Eq, Default)]
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

impl fmt::Debug for Event {
    /// Writes the lengths of type, data and id in bytes. Their values are the body's, which may hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event")
            .field("event_bytes", &self.event.len())
            .field("data_bytes", &self.data.len())
            .field("id_bytes", &self.id.len())
            .field("retry", &self.retry)
            .finish()
    }
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
    /// Id of the last `id` field, and reconnection time; both outlive an event.
    id: Arc<str>,
    retry: Option<Duration>,
    /// Last event id: `id` as it was when an event ended last.
    last_event_id: Arc<str>,
}

impl fmt::Debug for SseDecoder {
    /// Writes the number of bytes that are buffered, and none of them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let buffered = self.partial.len() + self.data.len() + self.event.len();
        f.debug_struct("SseDecoder")
            .field("limit", &self.limit)
            .field("buffered_bytes", &buffered)
            .field("retry", &self.retry)
            .finish_non_exhaustive()
    }
}

/// The error for input that ends within an event, with what was left of it.
///
/// A browser discards both parts; use them to report or log what was cut.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Incomplete {
    /// The fields of the event that had arrived as whole lines.
    pub event: Event,
    /// The last line, which has no line ending, without a byte order mark; empty if the input ended after one. Invalid UTF-8 is
    /// replaced by U+FFFD.
    pub line: String,
}

impl fmt::Debug for Incomplete {
    /// Writes the lengths in bytes of the parts. Their values are the body's, which may hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Incomplete")
            .field("event", &self.event)
            .field("line_bytes", &self.line.len())
            .finish()
    }
}

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
            last_event_id: Arc::default(),
        }
    }

    /// Returns the last event id, for the header `Last-Event-ID` after a reconnection; empty if there was none.
    ///
    /// An id counts once an empty line has ended its event, also an event without data (9.2.6, "dispatch the event"): after a
    /// cut, the server sends the incomplete event again. The id is kept after [`finish`](Self::finish).
    #[must_use]
    pub fn last_event_id(&self) -> &str {
        &self.last_event_id
    }

    /// Returns the reconnection time that the stream sent last (`retry`), if any. A `retry` field counts at once, also within
    /// an event that is not complete. The time is kept after [`finish`](Self::finish).
    #[must_use]
    pub fn retry(&self) -> Option<Duration> {
        self.retry
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

    /// Ends the input. The decoder is then ready for the next connection's input: last event id and reconnection time are
    /// kept, all else is reset. An incomplete event is not an event, as the standard requires, and is reported.
    ///
    /// An input that is empty, has comments only, or is a byte order mark alone ends well.
    ///
    /// # Errors
    /// [`Incomplete`], with what was left, if the empty line that ends an event is missing after its data, or if the last line
    /// is incomplete and not a comment.
    ///
    /// # Examples
    /// ```
    /// let mut decoder = antiphon_http::sse::SseDecoder::new(1024);
    /// let mut events = Vec::new();
    /// decoder.push(b"id: 7\nretry: 250\ndata: whole\n\nid: 8\ndata: cut\nda", &mut events)?;
    /// let left = decoder.finish().unwrap_err();
    /// assert_eq!((left.event.data.as_str(), left.line.as_str()), ("cut", "da"));
    /// assert_eq!((decoder.last_event_id(), decoder.retry().unwrap().as_millis()), ("7", 250));
    /// # Ok::<(), antiphon_http::sse::EventTooLarge>(())
    /// ```
    pub fn finish(&mut self) -> Result<(), Incomplete> {
        let partial = std::mem::take(&mut self.partial);
        let line = self.without_byte_order_mark(&partial);
        let is_cut = self.has_data || line.first().is_some_and(|first| *first != b':');
        let left = std::mem::replace(self, Self::new(self.limit));
        (self.retry, self.last_event_id) = (left.retry, left.last_event_id);
        self.id = self.last_event_id.clone();
        if !is_cut {
            return Ok(());
        }
        let event = Event { event: left.event, data: left.data, id: left.id, retry: left.retry };
        Err(Incomplete { event, line: text(line).into_owned() })
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
        self.last_event_id = self.id.clone();
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
    fn an_input_of_a_byte_order_mark_alone_ends_well() {
        for text in ["\u{feff}", "\u{feff}: ping", "\u{feff}\n", "\u{feff}data: a\n\n"] {
            let mut decoder = SseDecoder::new(100);
            decoder.push(text.as_bytes(), &mut Vec::new()).unwrap();
            assert_eq!(decoder.finish(), Ok(()), "{text:?}");
        }
        let mut decoder = SseDecoder::new(100);
        decoder.push("\u{feff}data: a".as_bytes(), &mut Vec::new()).unwrap();
        assert_eq!(decoder.finish().unwrap_err().line, "data: a");
        decoder.push("\u{feff}data: a\n\n".as_bytes(), &mut Vec::new()).unwrap();
        assert_eq!(decoder.finish(), Ok(()), "the next connection may begin with a mark, too");
    }

    /// Decodes a text; returns the last event id, the reconnection time in milliseconds, and what was left: data and line.
    fn state_after(text: &str) -> (String, Option<u128>, Option<(String, String)>) {
        let mut decoder = SseDecoder::new(100);
        decoder.push(text.as_bytes(), &mut Vec::new()).unwrap();
        let left = decoder.finish().err().map(|left| (left.event.data, left.line));
        (decoder.last_event_id().to_owned(), decoder.retry().map(|retry| retry.as_millis()), left)
    }

    #[test]
    fn id_and_retry_are_kept_and_an_id_counts_once_its_event_has_ended() {
        let left = |data: &str, line: &str| Some((data.to_owned(), line.to_owned()));
        for (text, id, retry, expected) in [
            ("", "", None, None),
            ("id: 7\nretry: 250\ndata: a\n\n", "7", Some(250), None),
            ("id: 7\n\n", "7", None, None),
            ("id: 7\ndata: a\n\nid: 8\nretry: 9\ndata: b\ndata: c\ndat", "7", Some(9), left("b\nc", "dat")),
            ("id: 7\ndata: a\n\nid\n\n", "", None, None),
            ("id: 7", "", None, left("", "id: 7")),
        ] {
            assert_eq!(state_after(text), (id.to_owned(), retry, expected), "{text:?}");
        }
    }

    #[test]
    fn the_next_connection_begins_with_the_last_event_id() {
        let (mut decoder, mut events) = (SseDecoder::new(100), Vec::new());
        decoder.push(b"id: 7\ndata: a\n\nid: 8\ndata: cut", &mut events).unwrap();
        decoder.finish().unwrap_err();
        decoder.push(b"data: b\n\n", &mut events).unwrap();
        assert_eq!((events.len(), &*events[1].id, &*events[1].data), (2, "7", "b"));
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

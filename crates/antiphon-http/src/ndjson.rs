//! Newline-delimited JSON (NDJSON, JSON Lines): one value per line, as in Ollama's streams and many logs.
//!
//! ```
//! let mut decoder = antiphon_http::ndjson::NdjsonDecoder::new(1024);
//! let mut lines = Vec::new();
//! decoder.push(b"{\"done\": false}\n{\"do", &mut lines)?;
//! decoder.push(b"ne\": true}", &mut lines)?;
//! lines.extend(decoder.finish());
//! assert_eq!(lines, ["{\"done\": false}", "{\"done\": true}"]);
//! # Ok::<(), antiphon_http::ndjson::LineTooLong>(())
//! ```

use std::fmt;

use memchr::memchr;

/// The error for a line that is longer than the decoder's limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LineTooLong {
    /// The limit in bytes.
    pub limit: usize,
}

impl fmt::Display for LineTooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a line is longer than {} bytes", self.limit)
    }
}

impl std::error::Error for LineTooLong {}

/// An incremental decoder of NDJSON lines, for bytes in pieces of any size.
///
/// Use [`Response::lines`](crate::Response::lines) for the body of a response. The decoder splits lines and does not parse
/// their JSON. It skips empty lines, removes a carriage return at the end of a line, and replaces invalid UTF-8 by U+FFFD.
pub struct NdjsonDecoder {
    limit: usize,
    partial: Vec<u8>,
}

impl fmt::Debug for NdjsonDecoder {
    /// Writes the number of bytes that are buffered, and none of them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NdjsonDecoder")
            .field("limit", &self.limit)
            .field("buffered_bytes", &self.partial.len())
            .finish()
    }
}

impl NdjsonDecoder {
    /// Creates a decoder that accepts lines of at most `limit` bytes.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { limit, partial: Vec::new() }
    }

    /// Decodes the next bytes and adds the lines that they complete to `lines`.
    ///
    /// # Errors
    /// [`LineTooLong`]; the decoder cannot be used afterwards.
    pub fn push(&mut self, bytes: &[u8], lines: &mut impl Extend<String>) -> Result<(), LineTooLong> {
        let mut rest = bytes;
        while let Some(end) = memchr(b'\n', rest) {
            let line = &rest[..end];
            rest = &rest[end + 1..];
            self.check(line.len())?;
            if self.partial.is_empty() {
                lines.extend(text(line));
            } else {
                self.partial.extend_from_slice(line);
                lines.extend(text(&self.partial));
                self.partial.clear();
            }
        }
        self.check(rest.len())?;
        self.partial.extend_from_slice(rest);
        Ok(())
    }

    /// Ends the input and returns the last line, if no line feed follows it; `None` if the input ended with a line feed. A line
    /// without a line feed may have been cut: parse its JSON to find out.
    pub fn finish(&mut self) -> Option<String> {
        text(&std::mem::take(&mut self.partial))
    }

    fn check(&self, more: usize) -> Result<(), LineTooLong> {
        if self.partial.len() + more > self.limit { Err(LineTooLong { limit: self.limit }) } else { Ok(()) }
    }
}

fn text(line: &[u8]) -> Option<String> {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let owned = || match std::str::from_utf8(line) {
        Ok(line) => line.to_owned(),
        Err(_) => String::from_utf8_lossy(line).into_owned(),
    };
    (!line.is_empty()).then(owned)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{LineTooLong, NdjsonDecoder};

    fn decode<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<String> {
        let (mut decoder, mut lines) = (NdjsonDecoder::new(1 << 20), Vec::new());
        pieces.into_iter().for_each(|piece| decoder.push(piece, &mut lines).unwrap());
        lines.extend(decoder.finish());
        lines
    }

    #[test]
    fn empty_lines_and_carriage_returns_are_removed_and_invalid_utf8_is_replaced() {
        assert_eq!(decode([&b"{}\r\n\n\r\n[1]\nx\xff"[..]]), ["{}", "[1]", "x\u{fffd}"]);
        assert_eq!(decode([&b""[..]]), Vec::<String>::new());
    }

    #[test]
    fn a_line_over_the_limit_is_an_error() {
        let mut decoder = NdjsonDecoder::new(4);
        assert_eq!(decoder.push(b"1234\n123", &mut Vec::new()), Ok(()));
        assert_eq!(decoder.push(b"45", &mut Vec::new()), Err(LineTooLong { limit: 4 }));
        assert!(NdjsonDecoder::new(4).push(b"12345\n", &mut Vec::new()).is_err());
    }

    proptest! {
        #[test]
        fn every_split_gives_the_same_lines(text in "[a\r\n\u{e9}]{0,40}") {
            let whole = decode([text.as_bytes()]);
            let expected: Vec<&str> = text.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line)).filter(|line| !line.is_empty()).collect();
            prop_assert_eq!(&whole, &expected);
            for cut in 0..=text.len() {
                let (one, two) = text.as_bytes().split_at(cut);
                prop_assert_eq!(&decode([one, two]), &whole);
            }
        }
    }
}

use std::borrow::Cow;

use encoding_rs::{UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};

/// The character encoding of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Encoding {
    /// UTF-8, with or without a byte order mark.
    Utf8,
    /// UTF-16, little-endian.
    Utf16Le,
    /// UTF-16, big-endian.
    Utf16Be,
    /// Latin-1, decoded as its superset windows-1252. A guess: the bytes themselves do not show the encoding.
    Latin1,
}

impl Encoding {
    /// Returns the name of the encoding in the WHATWG Encoding Standard, such as `UTF-8` or `windows-1252`.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.codec().name()
    }

    fn codec(self) -> &'static encoding_rs::Encoding {
        match self {
            Self::Utf8 => UTF_8,
            Self::Utf16Le => UTF_16LE,
            Self::Utf16Be => UTF_16BE,
            Self::Latin1 => WINDOWS_1252,
        }
    }
}

/// Decoded text, with the encoding that was detected.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Text<'a> {
    /// The text, without a byte order mark; line ends are unchanged.
    pub text: Cow<'a, str>,
    /// The encoding that was detected.
    pub encoding: Encoding,
}

/// The error of [`decode`]: the bytes are not text in a supported encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct NotText {
    /// The line of the first invalid byte, from 1; `None` for binary data.
    pub line: Option<u64>,
}

impl std::fmt::Display for NotText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.line {
            Some(line) => write!(f, "line {line} has a byte that is not valid UTF-8"),
            None => f.write_str("binary data, not text"),
        }
    }
}

impl std::error::Error for NotText {}

/// Decodes bytes as text in UTF-8, UTF-16 or Latin-1, and detects the encoding.
///
/// A byte order mark decides; UTF-16 is detected only by it. Otherwise the bytes are decoded as UTF-8, and if they are not valid
/// UTF-8, as Latin-1. Text with a NUL, or with more than 2 % control characters in its first 64 KiB, counts as binary data.
///
/// ```
/// use antiphon_fs::{Encoding, decode};
///
/// let old = decode(b"caf\xe9")?;
/// assert_eq!((&*old.text, old.encoding), ("caf\u{e9}", Encoding::Latin1));
/// # Ok::<(), antiphon_fs::NotText>(())
/// ```
///
/// # Errors
/// [`NotText`] without a line for binary data. [`NotText`] with a line for bytes that are not valid UTF-8, but contain valid
/// non-ASCII characters of UTF-8: decoding them as Latin-1 would garble those characters.
pub fn decode(bytes: &[u8]) -> Result<Text<'_>, NotText> {
    let (encoding, bytes) = match bytes {
        [0xef, 0xbb, 0xbf, rest @ ..] => (Encoding::Utf8, rest),
        [0xff, 0xfe, rest @ ..] => (Encoding::Utf16Le, rest),
        [0xfe, 0xff, rest @ ..] => (Encoding::Utf16Be, rest),
        _ => match std::str::from_utf8(bytes) {
            Ok(text) if looks_binary(text) => return Err(NotText { line: None }),
            Ok(text) => return Ok(Text { text: Cow::Borrowed(text), encoding: Encoding::Utf8 }),
            Err(err) => {
                let has_letters = || bytes.utf8_chunks().any(|chunk| !chunk.valid().is_ascii());
                if !bytes.contains(&0) && has_letters() {
                    let line = memchr::memchr_iter(b'\n', &bytes[..err.valid_up_to()]).count() as u64 + 1;
                    return Err(NotText { line: Some(line) });
                }
                (Encoding::Latin1, bytes)
            }
        },
    };
    let (text, had_errors) = encoding.codec().decode_without_bom_handling(bytes);
    if had_errors || looks_binary(&text) { Err(NotText { line: None }) } else { Ok(Text { text, encoding }) }
}

/// Returns whether a text has a NUL, or more than 2 % control characters in its first 64 KiB.
fn looks_binary(text: &str) -> bool {
    let start: &str = &text[..text.floor_char_boundary(64 << 10)];
    let is_strange = |c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t' | '\u{c}');
    let strange = if start.is_ascii() {
        // By bytes instead of characters: eight times as fast.
        start.bytes().filter(|byte| is_strange(char::from(*byte))).count()
    } else {
        start.chars().filter(|c| is_strange(*c)).count()
    };
    memchr::memchr(0, text.as_bytes()).is_some() || strange * 50 > start.len()
}

#[cfg(test)]
mod tests {
    use super::{Encoding, NotText, decode};

    #[track_caller]
    fn check(bytes: &[u8], expected: Result<(&str, Encoding), Option<u64>>) {
        let decoded = decode(bytes);
        let found =
            decoded.as_ref().map(|found| (&*found.text, found.encoding)).map_err(|NotText { line }| *line);
        assert_eq!(found, expected);
    }

    #[test]
    fn decodes_byte_order_marks_and_latin1() {
        check("café\r\n".as_bytes(), Ok(("café\r\n", Encoding::Utf8)));
        check(b"", Ok(("", Encoding::Utf8)));
        check(b"\xef\xbb\xbfa", Ok(("a", Encoding::Utf8)));
        check(b"\xff\xfea\0b\0", Ok(("ab", Encoding::Utf16Le)));
        check(b"\xfe\xff\0a\0b", Ok(("ab", Encoding::Utf16Be)));
        check(b"caf\xe9 \x80 5", Ok(("café € 5", Encoding::Latin1)));
    }

    #[test]
    fn rejects_binary_data_and_locates_an_invalid_byte() {
        check(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", Err(None));
        check(b"\x01\x02\x03\x04\x05", Err(None));
        check(b"\xff\xfea\0\x00\xd8", Err(None));
        check(&["café\nthé\n".as_bytes(), &[0xe9, b'\n']].concat(), Err(Some(3)));
        check(&[b"caf\xe9\n", "thé\n".as_bytes()].concat(), Err(Some(1)));
    }
}

//! Decoding of files to text with uniform line ends.
//!
//! | beginning of the file | encoding |
//! |---|---|
//! | a byte order mark of UTF-8 or UTF-16 | the mark's |
//! | anything else that is valid UTF-8 | `UTF-8` |
//! | anything else, without a valid non-ASCII character of UTF-8 | `windows-1252`, a superset of Latin-1 |
//!
//! The rules, and those for binary data, are those of [`antiphon_fs::decode`]. A file with both valid and invalid UTF-8
//! is rejected with the line of the first invalid byte, since any guess would garble one part of it.

use std::borrow::Cow;

use antiphon_fs::NotText;

use crate::error::Malformed;

/// The text of a file, with the encoding that was detected.
pub(crate) struct Decoded<'a> {
    /// The text without a byte order mark. Borrowed for UTF-8 without `\r`.
    pub(crate) text: Cow<'a, str>,
    /// The WHATWG name of the encoding.
    pub(crate) encoding: &'static str,
}

/// Decodes bytes to text and normalises line ends to `\n`: `\r\n` and a lone `\r` each count as one line end.
///
/// # Errors
/// A failure of the whole file for binary data, or of the line with the first invalid byte for a mixture of encodings.
pub(crate) fn decode(bytes: &[u8]) -> Result<Decoded<'_>, Malformed> {
    let decoded = antiphon_fs::decode(bytes).map_err(|NotText { line, .. }| match line {
        Some(line) => {
            let line = u32::try_from(line).unwrap_or(u32::MAX);
            Malformed::at(line, "this line has a byte that is not valid UTF-8")
        }
        None => Malformed::whole("binary data, not text"),
    })?;
    let text = match decoded.text {
        text if text.contains('\r') => Cow::Owned(text.replace("\r\n", "\n").replace('\r', "\n")),
        text => text,
    };
    Ok(Decoded { text, encoding: decoded.encoding.name() })
}

#[cfg(test)]
mod tests {
    use super::decode;

    #[test]
    fn line_ends_are_normalised_and_the_encoding_is_reported() {
        let decoded = decode(b"caf\xe9\r\nau lait\rnoir").ok();
        let found = decoded.as_ref().map(|found| (&*found.text, found.encoding));
        assert_eq!(found, Some(("café\nau lait\nnoir", "windows-1252")));
    }
}

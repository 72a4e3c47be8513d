use std::borrow::Cow;

use encoding_rs::{Encoding, UTF_8, WINDOWS_1252};

use crate::error::Malformed;

pub(crate) struct Decoded<'a> {
    pub(crate) text: Cow<'a, str>,
    pub(crate) encoding: &'static str,
}

/// Bytes to text with plain line ends: by byte order mark, else UTF-8, else the old Western code page.
pub(crate) fn decode(bytes: &[u8]) -> Result<Decoded<'_>, Malformed> {
    let (encoding, bytes) = match (Encoding::for_bom(bytes), std::str::from_utf8(bytes)) {
        (Some((encoding, mark)), _) => (encoding, &bytes[mark..]),
        (None, Ok(_)) => (UTF_8, bytes),
        (None, Err(err)) => {
            let valid = &bytes[..err.valid_up_to()];
            // A file with letters in UTF-8 is no old one: a broken byte would turn all of them into nonsense.
            if !valid.is_ascii() && !valid.contains(&0) {
                let line = valid.iter().filter(|byte| **byte == b'\n').count() + 1;
                let line = u32::try_from(line).unwrap_or(u32::MAX);
                return Err(Malformed::at(line, "this line has a byte that is not valid UTF-8"));
            }
            (WINDOWS_1252, bytes)
        }
    };
    let (text, had_errors) = encoding.decode_without_bom_handling(bytes);
    if had_errors || looks_binary(&text) {
        return Err(Malformed::whole("this is no text but binary data"));
    }
    let text =
        if text.contains('\r') { Cow::Owned(text.replace("\r\n", "\n").replace('\r', "\n")) } else { text };
    Ok(Decoded { text, encoding: encoding.name() })
}

/// Text has no NUL, and next to no other control characters.
fn looks_binary(text: &str) -> bool {
    let start: &str = &text[..text.floor_char_boundary(64 << 10)];
    let strange =
        start.chars().filter(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t' | '\u{c}')).count();
    text.contains('\0') || strange * 50 > start.len()
}

#[cfg(test)]
mod tests {
    use super::decode;

    #[track_caller]
    fn check(bytes: &[u8], expected: Option<(&str, &str)>) {
        let decoded = decode(bytes).ok();
        assert_eq!(decoded.as_ref().map(|found| (&*found.text, found.encoding)), expected);
    }

    #[test]
    fn marks_are_obeyed_and_old_files_read() {
        check("café\r\nau lait".as_bytes(), Some(("café\nau lait", "UTF-8")));
        check(b"\xef\xbb\xbfa", Some(("a", "UTF-8")));
        check(b"\xff\xfea\0b\0", Some(("ab", "UTF-16LE")));
        check(b"caf\xe9 \x80 5", Some(("café € 5", "windows-1252")));
    }

    #[test]
    fn binary_data_is_no_text() {
        check(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", None);
        check(b"\x01\x02\x03\x04\x05", None);
        check("café\n\u{e9}\n".bytes().chain([0xe9, b'\n']).collect::<Vec<_>>().as_slice(), None);
    }
}

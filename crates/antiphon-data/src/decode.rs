//! Decoding of files to text with uniform line ends.
//!
//! | the file | encoding |
//! |---|---|
//! | begins with a byte order mark of UTF-8 or UTF-16 | the mark's |
//! | is valid UTF-8 | `UTF-8` |
//! | has an encoding that the caller named | that one |
//! | is a web page that declares an encoding | that one |
//! | has the letters of western languages | `windows-1252`, a superset of Latin-1 |
//!
//! Any other file is rejected: words in wrong letters would look like the participants' own. The rules, and those for
//! binary data, are those of [`antiphon_fs::decode`] and [`antiphon_fs::decode_as`]. A file with both valid and invalid
//! UTF-8 is rejected with the line of the first invalid byte, since any guess would garble one part of it.

use std::borrow::Cow;

use antiphon_fs::{Encoding, NotText, Text};

use crate::document::Format;
use crate::error::{FailureKind, Malformed};

/// The text of a file, with the encoding that was detected or named.
pub(crate) struct Decoded<'a> {
    /// The text without a byte order mark. Borrowed for UTF-8 without `\r`.
    pub(crate) text: Cow<'a, str>,
    /// The WHATWG name of the encoding.
    pub(crate) encoding: &'static str,
}

/// Decodes bytes to text and normalises line ends to `\n`: `\r\n` and a lone `\r` each count as one line end.
///
/// # Errors
/// A failure of the whole file for binary data and for an encoding that is not known, or of the line with the first
/// invalid byte for a mixture of encodings.
pub(crate) fn decode(
    bytes: &[u8],
    encoding: Option<Encoding>,
    format: Option<Format>,
) -> Result<Decoded<'_>, Malformed> {
    let declared = || if format == Some(Format::Html) { declared(bytes) } else { None };
    let named = encoding.or_else(declared);
    let decoded =
        named.map_or_else(|| antiphon_fs::decode(bytes), |named| antiphon_fs::decode_as(bytes, named));
    let Text { text, encoding, .. } = decoded.map_err(|err| not_text(err, named))?;
    Ok(Decoded { text: with_line_feeds(text), encoding: encoding.name() })
}

/// Decodes the beginning of a file, which may end within a character, and normalises its line ends.
pub(crate) fn sample(bytes: &[u8], encoding: Option<Encoding>) -> String {
    let even = &bytes[..bytes.len() - bytes.len() % 2];
    let decoded = match encoding {
        Some(encoding) => antiphon_fs::decode_as(even, encoding),
        None => antiphon_fs::decode(even),
    };
    let text = decoded.map_or_else(|_| String::from_utf8_lossy(bytes), |decoded| decoded.text);
    with_line_feeds(text).into_owned()
}

/// Replaces each `\r\n` and each lone `\r` by `\n`.
fn with_line_feeds(text: Cow<'_, str>) -> Cow<'_, str> {
    if text.contains('\r') { Cow::Owned(text.replace("\r\n", "\n").replace('\r', "\n")) } else { text }
}

/// Returns the failure of bytes that are not text, or not in the encoding that was named.
fn not_text(err: NotText, named: Option<Encoding>) -> Malformed {
    let NotText { line, is_legacy, probably, .. } = err;
    let malformed = match (line, named, probably) {
        (Some(line), named, _) => {
            let line = u32::try_from(line).unwrap_or(u32::MAX);
            let name = named.map_or("UTF-8", Encoding::name);
            let advice = match named {
                Some(_) => "",
                None => ". If the file has another encoding, name it",
            };
            Malformed::at(line, format!("this line has a byte that is not valid {name}{advice}"))
        }
        (None, _, Some(probably)) => {
            let name = probably.name();
            let reason = format!("not UTF-8, and probably {name}. Name the encoding");
            Malformed { encoding: Some(name), ..Malformed::whole(reason) }
        }
        (None, _, None) if is_legacy => {
            Malformed::whole("not UTF-8, and in an encoding that is not known. Name the encoding")
        }
        (None, ..) => return Malformed::whole("binary data, not text").of_kind(FailureKind::NotText),
    };
    malformed.of_kind(FailureKind::Encoding)
}

/// The bytes in which a page has to declare its encoding (HTML Standard, "Prescan a byte stream").
const PRESCAN: usize = 1024;

/// Returns the encoding that a page declares, as in `<meta charset=koi8-r>` or `<?xml version="1.0" encoding="koi8-r"?>`.
/// A page whose declaration could be read is not UTF-16, whatever it declares.
fn declared(bytes: &[u8]) -> Option<Encoding> {
    let head = String::from_utf8_lossy(&bytes[..bytes.len().min(PRESCAN)]).to_ascii_lowercase();
    let in_meta = head.match_indices("<meta").filter_map(|(at, _)| {
        let tag = head[at..].split('>').next()?;
        value_behind(tag, "charset")
    });
    let in_xml = head
        .trim_start()
        .strip_prefix("<?xml")
        .and_then(|xml| value_behind(xml.split('>').next()?, "encoding"));
    let found = in_xml.into_iter().chain(in_meta).find_map(Encoding::of_label)?;
    let is_utf16 = found == Encoding::UTF_16LE || found == Encoding::UTF_16BE;
    Some(if is_utf16 { Encoding::UTF_8 } else { found })
}

/// Returns the value behind a name and `=`, without quotes.
fn value_behind<'a>(tag: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = tag.split_once(name)?;
    let rest = rest.trim_start().strip_prefix('=')?.trim_start().trim_start_matches(['"', '\'']);
    rest.split(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | ';' | '/' | '?')).next()
}

#[cfg(test)]
mod tests {
    use super::{Encoding, Format, decode};

    #[track_caller]
    fn check(bytes: &[u8], named: Option<&str>, format: Format, expected: Result<(&str, &str), &str>) {
        let decoded =
            decode(bytes, named.and_then(Encoding::of_label), Some(format)).map_err(|err| err.reason);
        let found = decoded.as_ref().map(|found| (&*found.text, found.encoding)).map_err(String::as_str);
        assert_eq!(found, expected);
    }

    #[test]
    fn line_ends_are_normalised_and_the_encoding_is_reported() {
        check(b"caf\xe9\r\nau lait\rnoir", None, Format::Text, Ok(("café\nau lait\nnoir", "windows-1252")));
        check(b"\xff\xfea\0\r\0\n\0b\0", None, Format::Csv, Ok(("a\nb", "UTF-16LE")));
    }

    #[test]
    fn an_unknown_encoding_is_an_error_that_a_name_settles() {
        let (cyrillic, text) = (
            b"\xc0\xed\xe0: \xdf \xef\xe8\xf8\xf3 \xed\xe0 \xf5\xee\xeb\xee\xe4\xe8\xeb\xfc\xed\xe8\xea\xe5.",
            "Ана: Я пишу на холодильнике.",
        );
        let reason = "not UTF-8, and probably windows-1251. Name the encoding";
        check(cyrillic, None, Format::Text, Err(reason));
        check(cyrillic, Some("cp1251"), Format::Text, Ok((text, "windows-1251")));
        check(text.as_bytes(), Some("cp1251"), Format::Text, Ok((text, "UTF-8")));
        check(b"a\n\x8f", Some("euc-jp"), Format::Text, Err("this line has a byte that is not valid EUC-JP"));
    }

    #[test]
    fn a_page_declares_its_encoding() {
        for head in [
            "<meta charset=windows-1251>",
            "<META CharSet = 'windows-1251' />",
            "<meta name=x><meta http-equiv=\"Content-Type\" content=\"text/html; charset=windows-1251\">",
            "<?xml version=\"1.0\" encoding=\"windows-1251\"?>",
        ] {
            let page = [head.as_bytes(), b"<p>\xc4\xe0"].concat();
            check(&page, None, Format::Html, Ok((&format!("{head}<p>Да"), "windows-1251")));
        }
        check(
            "<meta charset=utf-16><p>é".as_bytes(),
            None,
            Format::Html,
            Ok(("<meta charset=utf-16><p>é", "UTF-8")),
        );
    }
}

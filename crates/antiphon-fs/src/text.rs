use std::borrow::Cow;

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};

/// A character encoding of the WHATWG Encoding Standard.
///
/// ```
/// use antiphon_fs::Encoding;
/// let encoding = Encoding::of_label("cp1251").map(Encoding::name);
/// assert_eq!(encoding, Some("windows-1251"));
/// assert_eq!(Encoding::of_label("no-such-encoding"), None);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Encoding(&'static encoding_rs::Encoding);

impl Encoding {
    /// UTF-8, with or without a byte order mark.
    pub const UTF_8: Self = Self(UTF_8);
    /// UTF-16, little-endian.
    pub const UTF_16LE: Self = Self(UTF_16LE);
    /// UTF-16, big-endian.
    pub const UTF_16BE: Self = Self(UTF_16BE);
    /// A superset of Latin-1. Bytes that are decoded without a name have it by a guess: they do not show the encoding.
    pub const WINDOWS_1252: Self = Self(WINDOWS_1252);

    /// Returns the encoding for a label of the standard, such as `latin1`, `Shift_JIS` or `cp1251`, ignoring case; `None` for a
    /// text that is no label.
    #[must_use]
    pub fn of_label(label: &str) -> Option<Self> {
        encoding_rs::Encoding::for_label_no_replacement(label.as_bytes()).map(Self)
    }

    /// Returns the name of the encoding in the WHATWG Encoding Standard, such as `UTF-8` or `windows-1252`.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.0.name()
    }
}

/// Decoded text, with the encoding that was detected or named.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Text<'a> {
    /// The text, without a byte order mark; line ends are unchanged.
    pub text: Cow<'a, str>,
    /// The encoding.
    pub encoding: Encoding,
}

/// The error of [`decode`]: the bytes are not text, or not in an encoding that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct NotText {
    /// The line of the first invalid byte, from 1; `None` for binary data.
    pub line: Option<u64>,
    /// Whether the bytes are text in an encoding that only their author knows.
    pub is_legacy: bool,
    /// The encoding that such bytes probably have.
    pub probably: Option<Encoding>,
}

impl NotText {
    /// Binary data.
    const BINARY: Self = Self { line: None, is_legacy: false, probably: None };
}

impl std::fmt::Display for NotText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.line, self.probably) {
            (_, Some(probably)) => write!(f, "text that is not UTF-8, probably {}", probably.name()),
            (_, None) if self.is_legacy => f.write_str("text that is not UTF-8, in an unknown encoding"),
            (Some(line), None) => write!(f, "line {line} has a byte that is not valid UTF-8"),
            (None, None) => f.write_str("binary data, not text"),
        }
    }
}

impl std::error::Error for NotText {}

/// Decodes bytes as text in UTF-8, UTF-16 or Latin-1, and detects the encoding.
///
/// A byte order mark decides; UTF-16 is detected only by it. Otherwise the bytes are decoded as UTF-8, and if they are not valid
/// UTF-8, as Latin-1, unless they are probably in another legacy encoding, such as one for Cyrillic. Text with a NUL, or with
/// more than 2 % control characters in its first 64 KiB, counts as binary data.
///
/// ```
/// use antiphon_fs::{Encoding, decode};
///
/// let old = decode(b"caf\xe9")?;
/// assert_eq!((&*old.text, old.encoding), ("caf\u{e9}", Encoding::WINDOWS_1252));
/// # Ok::<(), antiphon_fs::NotText>(())
/// ```
///
/// # Errors
/// [`NotText`] without a line for binary data. [`NotText`] with a line for bytes that are not valid UTF-8, but contain valid
/// non-ASCII characters of UTF-8: decoding them as Latin-1 would garble those characters. [`NotText`] with `is_legacy` for bytes
/// in another encoding; use [`decode_as`].
pub fn decode(bytes: &[u8]) -> Result<Text<'_>, NotText> {
    if let Some((encoding, bytes)) = marked(bytes) {
        return decoded(bytes, encoding);
    }
    match std::str::from_utf8(bytes) {
        Ok(text) if looks_binary(text) => Err(NotText::BINARY),
        Ok(text) => Ok(Text { text: Cow::Borrowed(text), encoding: Encoding::UTF_8 }),
        Err(_) if bytes.contains(&0) => Err(NotText::BINARY),
        Err(err) if bytes.utf8_chunks().any(|chunk| !chunk.valid().is_ascii()) && !is_all_legacy(bytes) => {
            let line = memchr::memchr_iter(b'\n', &bytes[..err.valid_up_to()]).count() as u64 + 1;
            Err(NotText { line: Some(line), ..NotText::BINARY })
        }
        Err(_) => {
            let text = decoded(bytes, Encoding::WINDOWS_1252)?;
            check_western(bytes, &text.text)?;
            Ok(text)
        }
    }
}

/// Decodes bytes as text in an encoding that the caller knows. A byte order mark has precedence, and bytes that are valid UTF-8
/// with non-ASCII characters are UTF-8.
///
/// ```
/// use antiphon_fs::{Encoding, decode_as};
///
/// let cyrillic = Encoding::of_label("windows-1251").unwrap_or(Encoding::UTF_8);
/// assert_eq!(decode_as(b"\xc4\xe0", cyrillic)?.text, "\u{414}\u{430}");
/// # Ok::<(), antiphon_fs::NotText>(())
/// ```
///
/// # Errors
/// [`NotText`] for binary data, or with the line of the first byte that the encoding does not have.
pub fn decode_as(bytes: &[u8], encoding: Encoding) -> Result<Text<'_>, NotText> {
    if let Some((encoding, bytes)) = marked(bytes) {
        return decoded(bytes, encoding);
    }
    let is_utf8 = !bytes.is_ascii() && std::str::from_utf8(bytes).is_ok();
    decoded(bytes, if is_utf8 { Encoding::UTF_8 } else { encoding })
}

/// Returns the encoding of a byte order mark, and the bytes behind it.
fn marked(bytes: &[u8]) -> Option<(Encoding, &[u8])> {
    let (encoding, length) = encoding_rs::Encoding::for_bom(bytes)?;
    Some((Encoding(encoding), &bytes[length..]))
}

/// Decodes bytes without a byte order mark.
fn decoded(bytes: &[u8], encoding: Encoding) -> Result<Text<'_>, NotText> {
    let (text, had_errors) = encoding.0.decode_without_bom_handling(bytes);
    if had_errors && !looks_binary(&text) && encoding.0.is_ascii_compatible() {
        let before = text.split('\u{fffd}').next().unwrap_or_default();
        let line = memchr::memchr_iter(b'\n', before.as_bytes()).count() as u64 + 1;
        return Err(NotText { line: Some(line), ..NotText::BINARY });
    }
    if had_errors || looks_binary(&text) { Err(NotText::BINARY) } else { Ok(Text { text, encoding }) }
}

/// The bytes that are examined to guess an encoding.
const SAMPLE: usize = 64 << 10;
/// The most letters with accents of a text that says nothing about its language.
const FEW: usize = 2;
/// Signs of typography, which texts in all western languages have.
const SIGNS: &str = "‘’“”„–—…·•«»‹›€£©®™°¡¿½¼¾\u{a0}\u{ad}";

/// Returns whether the characters of bytes that look like UTF-8 are a coincidence: few among many invalid ones, as in text in
/// a legacy encoding.
fn is_all_legacy(bytes: &[u8]) -> bool {
    let sample = &bytes[..bytes.len().min(SAMPLE)];
    let (mut valid, mut invalid) = (0_usize, 0_usize);
    for chunk in sample.utf8_chunks() {
        valid += chunk.valid().chars().filter(|c| !c.is_ascii()).count();
        invalid += chunk.invalid().len();
    }
    valid * 10 < invalid
}

/// Rejects bytes that are probably in another encoding than windows-1252; `text` is what they are in that one.
fn check_western(bytes: &[u8], text: &str) -> Result<(), NotText> {
    let sample = &bytes[..bytes.len().min(SAMPLE)];
    let is_western = is_plausible(&text[..text.floor_char_boundary(SAMPLE)]);
    let others = || text[..text.floor_char_boundary(SAMPLE)].chars().filter(|c| !c.is_ascii());
    let letters = others().filter(|c| c.is_alphabetic()).take(FEW + 1).count();
    let has_signs = others().any(|c| !c.is_alphabetic() && !SIGNS.contains(c));
    if is_western && letters <= FEW && !has_signs {
        return Ok(());
    }
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
    detector.feed(sample, true);
    let guess = detector.guess(None, Utf8Detection::Deny);
    let is_known = guess == WINDOWS_1252;
    if is_known && is_western {
        return Ok(());
    }
    let probably = (!is_known).then_some(Encoding(guess));
    Err(NotText { line: None, is_legacy: true, probably })
}

/// Returns whether the words of a text are those of a western language: letters with accents stand between others.
fn is_plausible(text: &str) -> bool {
    let is_accented = |c: &char| !c.is_ascii() && c.is_alphabetic();
    let words = text.split(|c: char| !c.is_alphabetic()).filter(|word| !word.is_ascii());
    let is_foreign = |word: &str| {
        let accented = word.chars().filter(is_accented).count();
        accented > 2 && accented * 2 > word.chars().count()
    };
    let (mut all, mut foreign) = (0_usize, 0_usize);
    for word in words {
        all += 1;
        foreign += usize::from(is_foreign(word));
    }
    // Signs that stand within words are letters of another encoding.
    let letters: Vec<char> = text.chars().take(SAMPLE).collect();
    let is_sign = |c: char| !c.is_ascii() && !c.is_alphabetic() && !SIGNS.contains(c);
    let within = letters
        .windows(3)
        .filter(|three| three[0].is_alphabetic() && is_sign(three[1]) && three[2].is_lowercase());
    foreign * 10 <= all && within.count() == 0
}

/// Returns whether a text has a NUL, or more than 2 % control characters in its first 64 KiB.
fn looks_binary(text: &str) -> bool {
    let start: &str = &text[..text.floor_char_boundary(64 << 10)];
    let is_strange = |c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t' | '\u{c}');
    let strange = if start.is_ascii() {
        // By bytes, many at a time: most texts have none.
        let is_strange = |byte: u8| (byte < b' ' && !matches!(byte, 9 | 10 | 12 | 13)) || byte == 0x7f;
        let has_strange = |bytes: &[u8]| bytes.iter().fold(false, |found, byte| found | is_strange(*byte));
        let blocks = start.as_bytes().chunks(256).filter(|bytes| has_strange(bytes));
        blocks.map(|bytes| bytes.iter().filter(|byte| is_strange(**byte)).count()).sum()
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
        let found = decoded
            .as_ref()
            .map(|found| (&*found.text, found.encoding))
            .map_err(|NotText { line, .. }| *line);
        assert_eq!(found, expected);
    }

    #[test]
    fn decodes_byte_order_marks_and_latin1() {
        check("café\r\n".as_bytes(), Ok(("café\r\n", Encoding::UTF_8)));
        check(b"", Ok(("", Encoding::UTF_8)));
        check(b"\xef\xbb\xbfa", Ok(("a", Encoding::UTF_8)));
        check(b"\xff\xfea\0b\0", Ok(("ab", Encoding::UTF_16LE)));
        check(b"\xfe\xff\0a\0b", Ok(("ab", Encoding::UTF_16BE)));
        check(b"caf\xe9 \x80 5", Ok(("café € 5", Encoding::WINDOWS_1252)));
    }

    #[test]
    fn rejects_binary_data_and_locates_an_invalid_byte() {
        check(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", Err(None));
        check(b"\x01\x02\x03\x04\x05", Err(None));
        check(b"\xff\xfea\0\x00\xd8", Err(None));
        check(&["café\nthé\n".as_bytes(), &[0xe9, b'\n']].concat(), Err(Some(3)));
        check(&[b"caf\xe9\n", "thé\n".as_bytes()].concat(), Err(Some(1)));
    }

    /// Checks that bytes are read in this encoding or rejected, never read as other letters.
    #[track_caller]
    fn check_legacy(text: &str, label: &str) {
        let encoding = Encoding::of_label(label).unwrap();
        let (bytes, _, had_errors) = encoding.0.encode(text);
        assert!(!had_errors, "{text}");
        match decode(&bytes) {
            Ok(found) => assert_eq!(found.text, text, "{label}"),
            Err(err) => assert!(err.is_legacy || err.line.is_some(), "{label}: {err}"),
        }
        assert_eq!(super::decode_as(&bytes, encoding).unwrap().text, text, "{label}");
    }

    #[test]
    fn other_legacy_encodings_are_never_read_as_other_letters() {
        let russian = "Ведущий: Как вы планируете неделю?\nАна: Я пишу на холодильнике.\n";
        for label in ["windows-1251", "koi8-r", "iso-8859-5", "ibm866"] {
            check_legacy(russian, label);
        }
        check_legacy("Ана: Да.\n", "windows-1251");
        check_legacy("Ana: 冷蔵庫に書きます。妹が破ります。\n", "shift_jis");
        check_legacy("Ana: 冷蔵庫に書きます。妹が破ります。\n", "euc-jp");
        check_legacy("我把它写在冰箱上。我妹妹把它撕了。\n", "gbk");
        check_legacy("나는 냉장고에 적는다. 동생이 찢는다.\n", "euc-kr");
        check_legacy("Άννα: Το γράφω στο ψυγείο.\n", "windows-1253");
        check_legacy("אני כותבת את זה על המקרר.\n", "windows-1255");
        check_legacy("أكتبها على الثلاجة.\n", "windows-1256");
        check_legacy(
            "Piszę to na lodówce, a moja siostra ją zrywa, więc zaczynamy jeszcze raz.\n",
            "windows-1250",
        );
    }

    #[test]
    fn western_letters_are_still_read_as_windows_1252() {
        let texts = [
            "Ich schreibe es an den Kühlschrank. Meine Schwester reißt es ab. Schöne Grüße!\n",
            "Je l’écris sur le frigo, là où ma sœur l’arrache après le déjeuner.\n",
            "La escribo en la nevera. ¿Y luego? Mi hermana la rompe mañana.\n",
            "Escrevo na geladeira; a minha irmã não lê e arranca, então é isso.\n",
            "Jag skriver det på kylskåpet. Min syster river ner det på måndag.\n",
            "He said “no” – I wait… it costs £5 or 5 €.\n",
            "Já.\n",
        ];
        for text in texts {
            let (bytes, _, _) = encoding_rs::WINDOWS_1252.encode(text);
            check(&bytes, Ok((text, Encoding::WINDOWS_1252)));
        }
    }
}

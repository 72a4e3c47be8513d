//! The characters of a text, with escapes read: those of JSON, of addresses and of HTML.

/// A character at the beginning of a text.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unit {
    /// A character, and its length in bytes.
    Char(char, usize),
    /// The text ends before the character does.
    Unfinished,
}

/// Returns the first character of a text as it is.
pub(super) fn plain(text: &str) -> Unit {
    text.chars().next().map_or(Unit::Unfinished, |c| Unit::Char(c, c.len_utf8()))
}

/// Returns the first character of a text after its escape has been read.
pub(super) fn escaped(text: &str) -> Unit {
    match text.bytes().next() {
        Some(b'\\') => of_backslash(text),
        Some(b'%') => of_percent(text),
        Some(b'&') => of_reference(text),
        _ => plain(text),
    }
}

/// The maximum number of backslashes before an escape: those of JSON within JSON within JSON, each level of which doubles them. More
/// are characters, so that a text of backslashes is read once, and not held back.
const MAX_SLASHES: usize = 16;

/// Reads `\u006b`, `\x6b`, `\/` or `\"`. Several backslashes are those of JSON within JSON.
fn of_backslash(text: &str) -> Unit {
    let slashes = text.bytes().take(MAX_SLASHES).take_while(|byte| *byte == b'\\').count();
    let rest = &text[slashes..];
    if slashes == MAX_SLASHES && (rest.is_empty() || rest.starts_with('\\')) {
        return Unit::Char('\\', 1);
    }
    let in_hex = |digits: usize| hex(&rest[1..], digits, slashes + 1);
    match rest.bytes().next() {
        None => Unit::Unfinished,
        Some(b'u' | b'U') if rest[1..].starts_with('{') => braced(rest, slashes),
        Some(b'u' | b'U') => in_hex(4).unwrap_or(Unit::Char('\\', 1)),
        Some(b'x' | b'X') => in_hex(2).unwrap_or(Unit::Char('\\', 1)),
        Some(byte @ (b'/' | b'"' | b'\'')) => Unit::Char(char::from(byte), slashes + 1),
        Some(_) => Unit::Char('\\', slashes.min(2)),
    }
}

/// Reads the digits of `\u{6b}`, after the backslashes.
fn braced(rest: &str, slashes: usize) -> Unit {
    let digits: String = rest[2..].chars().take(7).take_while(char::is_ascii_hexdigit).collect();
    let end = 2 + digits.len();
    match rest[end..].chars().next() {
        None => Unit::Unfinished,
        Some('}') if (1..=6).contains(&digits.len()) => {
            Unit::Char(char_of(u32::from_str_radix(&digits, 16).ok()), slashes + end + 1)
        }
        Some(_) => Unit::Char('\\', 1),
    }
}

/// Reads `%2F`, or `%252F`.
fn of_percent(text: &str) -> Unit {
    let mut at = 1;
    while text[at..].starts_with("25") && at < 9 {
        at += 2;
    }
    match hex(&text[at..], 2, at) {
        // A percent sign itself, which nothing follows.
        None if at > 1 => Unit::Char('%', at),
        None => Unit::Char('%', 1),
        Some(unit) => unit,
    }
}

/// Reads `&#107;`, `&#x6b;` or `&amp;`.
fn of_reference(text: &str) -> Unit {
    const NAMED: [(&str, char); 5] =
        [("&amp;", '&'), ("&lt;", '<'), ("&gt;", '>'), ("&quot;", '"'), ("&apos;", '\'')];
    if let Some((name, c)) = NAMED.iter().find(|(name, _)| text.starts_with(name)) {
        return Unit::Char(*c, name.len());
    }
    if NAMED.iter().any(|(name, _)| name.starts_with(text)) || text == "&#" {
        return Unit::Unfinished;
    }
    let Some(number) = text.strip_prefix("&#") else { return Unit::Char('&', 1) };
    let (digits, radix, begin) = match number.strip_prefix(['x', 'X']) {
        Some(digits) => (digits, 16, 3),
        None => (number, 10, 2),
    };
    let length = digits.bytes().take_while(u8::is_ascii_hexdigit).count();
    match digits[length..].chars().next() {
        None if length <= 7 => Unit::Unfinished,
        Some(';') if (1..=7).contains(&length) => {
            Unit::Char(char_of(u32::from_str_radix(&digits[..length], radix).ok()), begin + length + 1)
        }
        _ => Unit::Char('&', 1),
    }
}

/// Reads a number of hexadecimal digits; `None` where the text has something else. `before` is the length of the escape so far.
fn hex(text: &str, digits: usize, before: usize) -> Option<Unit> {
    let found = text.bytes().take(digits).take_while(u8::is_ascii_hexdigit).count();
    if found == text.len() && found < digits {
        return Some(Unit::Unfinished);
    }
    let code = (found == digits).then(|| u32::from_str_radix(&text[..digits], 16).ok())?;
    Some(Unit::Char(char_of(code), before + digits))
}

/// Returns the character of a code; a replacement for one that has none.
fn char_of(code: Option<u32>) -> char {
    code.and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER)
}

/// Returns whether a character within a secret is not seen, so that the secret can be read nevertheless.
pub(super) fn is_invisible(c: char) -> bool {
    (c.is_control() && !matches!(c, '\n' | '\t' | '\r'))
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(c, '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fe00}'..='\u{fe0f}' | '\u{e0000}'..='\u{e0fff}')
}

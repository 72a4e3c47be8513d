//! Characters that are not seen and that change how other text is shown, in the form of an escape.
//!
//! | characters | would |
//! |---|---|
//! | C0 and C1 controls, DEL | move the cursor, rename the window, write to the clipboard, erase lines (ECMA-48) |
//! | U+2028, U+2029 | begin lines |
//! | U+061C, U+200E, U+200F, U+202A to U+202E, U+2066 to U+206F | reorder the text that follows ("Trojan Source") |
//! | U+200B to U+200D, U+2060 to U+2064, U+FEFF, U+180E, fillers | make two different names look the same |
//! | U+E0000 to U+E007F | hide text |
//!
//! A joiner between two characters of a script that needs it, or of an emoji, is kept.

use std::borrow::Cow;
use std::fmt::Write;

/// Returns a text in which characters that act on a terminal or on other text are escaped, as in `\u{1b}`. Line feeds and tabs are
/// kept, and a line end of two characters becomes a line feed.
///
/// Use it for every text of a model, a server, a file or a name before it is shown. A text without such characters is not copied.
///
/// ```
/// use antiphon_render::visible;
/// assert_eq!(visible("a\tb\r\nc"), "a\tb\nc");
/// assert_eq!(visible("\u{1b}]0;x\u{7} \u{202e}txt.exe"), "\\u{1b}]0;x\\u{7} \\u{202e}txt.exe");
/// ```
#[must_use]
pub fn visible(text: &str) -> Cow<'_, str> {
    escaped(text, acts, escape)
}

/// Returns JSON in which the characters that [`visible`] escapes have the escapes of JSON, so that a terminal can show it. Its values
/// are the same.
///
/// ```
/// assert_eq!(antiphon_render::visible_json("[\"a\u{9b}\"]\n"), "[\"a\\u009b\"]\n");
/// ```
#[must_use]
pub fn visible_json(json: &str) -> Cow<'_, str> {
    escaped(json, acts, |c, out| {
        for unit in c.encode_utf16(&mut [0; 2]) {
            // Writing to a String cannot fail.
            let _ = write!(out, "\\u{unit:04x}");
        }
    })
}

/// Returns a text in which control characters are visible, and no others: a page isolates those that reorder text.
pub(crate) fn without_controls(text: &str) -> Cow<'_, str> {
    escaped(text, controls, escape)
}

/// Writes the escape of a character, as in `\u{1b}`.
fn escape(c: char, out: &mut String) {
    match c {
        '\u{0}'..='\u{7f}' => out.extend(c.escape_default()),
        c => out.extend(c.escape_unicode()),
    }
}

/// Returns whether a character reorders the text that follows.
pub(crate) fn reorders(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{206f}')
}

/// Returns a text in which `escape` writes each character that `acts`.
fn escaped(
    text: &str,
    acts: impl Fn(char) -> bool + Copy,
    escape: impl Fn(char, &mut String),
) -> Cow<'_, str> {
    let Some(first) = text.find(acts) else { return Cow::Borrowed(text) };
    let mut shown = text[..first].to_owned();
    let mut before = text[..first].chars().next_back();
    let mut rest = text[first..].chars().peekable();
    while let Some(c) = rest.next() {
        let is_line_end = c == '\r' && rest.peek() == Some(&'\n');
        let joins = matches!(c, '\u{200c}' | '\u{200d}')
            && is_of_script(before)
            && is_of_script(rest.peek().copied());
        match c {
            _ if is_line_end => {}
            c if acts(c) && !joins => escape(c, &mut shown),
            c => shown.push(c),
        }
        before = Some(c);
    }
    Cow::Owned(shown)
}

/// Returns whether a character is one of a script with joiners, or of an emoji.
fn is_of_script(c: Option<char>) -> bool {
    c.is_some_and(|c| c > '\u{2ff}' && !acts(c))
}

/// Returns whether a character is a control character other than a line feed and a tab.
fn controls(c: char) -> bool {
    c.is_control() && !matches!(c, '\n' | '\t')
}

/// Returns whether a character acts on a terminal or on other text.
fn acts(c: char) -> bool {
    controls(c)
        || reorders(c)
        || matches!(c, '\u{200b}'..='\u{200d}' | '\u{2028}' | '\u{2029}' | '\u{2060}'..='\u{2065}')
        || matches!(c, '\u{feff}' | '\u{180e}' | '\u{3164}' | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}')
        || matches!(c, '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::{visible, visible_json, without_controls};

    #[test]
    fn everything_that_acts_is_escaped_and_everything_else_is_kept() {
        let acts = ('\0'..=char::MAX).filter(|c| visible(&c.to_string()) != c.to_string());
        let acts: Vec<u32> = acts.map(u32::from).collect();
        assert_eq!(acts.iter().filter(|code| **code < 0xa0).count(), 30 + 1 + 32);
        for code in
            [0, 7, 8, 13, 0x1b, 0x7f, 0x90, 0x9b, 0x61c, 0x200b, 0x2028, 0x202e, 0x2066, 0xfeff, 0xe0041]
        {
            assert!(acts.contains(&code), "{code:x}");
        }
        for text in
            ["plain\ttext\n", "é ß — “q” ٣ עברית", "👩\u{200d}💻", "می\u{200c}خواهم", "e\u{301}\u{fe0f}"]
        {
            assert_eq!(visible(text), text);
            assert_eq!(visible_json(text), text);
        }
        assert_eq!(visible("a\u{200d}b\rc\r\n"), "a\\u{200d}b\\rc\n");
        assert_eq!(without_controls("a\u{1b}\u{9b}\u{202e}\r\n"), "a\\u{1b}\\u{9b}\u{202e}\n");
    }

    #[test]
    fn json_keeps_its_values() {
        let value = serde_json::json!({ "a\u{202e}": "\u{9b}\u{7f}\u{e0041}\u{200b}\u{1b}\r\n" });
        let text = visible_json(&value.to_string()).into_owned();
        assert!(text.is_ascii(), "{text}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), value);
    }
}

//! Labels of Japanese, Chinese and Korean texts, and short labels before a full stop.
//!
//! | line | label | words |
//! |---|---|---|
//! | `佐藤「はい」` | `佐藤` | `はい` |
//! | `佐藤　はい` | `佐藤` | `はい` |
//! | `問／なぜですか`, `Ｑ．なぜですか` | `問`, `Ｑ` | `なぜですか` |
//! | `――なぜですか` | `――` | `なぜですか` |
//! | `Q. Why?` | `Q` | `Why?` |

use super::label::{Mark, MarkKind, has_no_case};
use super::sides::Side;

/// The longest name, in characters.
const LONGEST: usize = 8;
/// Signs between a name and words.
const SIGNS: [char; 6] = ['「', '『', '\u{3000}', '／', '．', '）'];
/// Dashes that begin a question, as magazines have them; longer ones first.
pub(super) const DASHES: [&str; 6] = ["――", "——", "──", "―", "—", "─"];

/// Returns the mark of a text that begins with such a label. Its `words` count from the end.
pub(super) fn mark_of(text: &str) -> Option<Mark<'_>> {
    if text.starts_with(|c: char| c.is_ascii()) {
        return with_stop(text);
    }
    if let Some(dashes) = DASHES.iter().find(|dashes| text.starts_with(**dashes)) {
        let words = text[dashes.len()..]
            .trim_start_matches(|c: char| c.is_whitespace() || matches!(c, '―' | '—' | '─'));
        return words.starts_with(has_no_case).then(|| weak(&text[..dashes.len()], words));
    }
    let (at, sign) = text.char_indices().take(LONGEST + 1).find(|(_, c)| SIGNS.contains(c))?;
    let (label, words) = (&text[..at], text[at + sign.len_utf8()..].trim_start());
    let is_side = Side::of(label).is_some_and(|side| side != Side::Speaks);
    let is_name = match sign {
        '「' => ends_quoted(words, '」') && is_name(label),
        '『' => ends_quoted(words, '』') && is_name(label),
        '\u{3000}' => is_name(label),
        _ => is_side,
    };
    (!words.is_empty() && (is_name || (is_side && sign != '「' && sign != '『'))).then(|| weak(label, words))
}

/// Returns whether a line that begins a quotation ends with it, or does not end it at all.
fn ends_quoted(words: &str, close: char) -> bool {
    words.trim_end().ends_with(close) || !words.contains(close)
}

/// Returns whether a text can be a name: letters of a script without capitals, and no particle at its end.
fn is_name(label: &str) -> bool {
    !label.is_empty()
        && label.chars().all(|c| has_no_case(c) || matches!(c, '・' | '々' | 'ー'))
        && (label.chars().count() < 2
            || !label.ends_with(['は', 'が', 'も', 'を', 'に', 'と', 'の', 'で', 'て']))
}

/// Returns the mark of a question or an answer before a full stop: `Q. Why?`.
fn with_stop(text: &str) -> Option<Mark<'_>> {
    let words = text.strip_prefix("Q. ").or_else(|| text.strip_prefix("A. "))?.trim_start();
    (!words.is_empty()).then(|| weak(&text[..1], words))
}

/// Returns a mark that counts only in a dialogue.
fn weak<'a>(label: &'a str, words: &'a str) -> Mark<'a> {
    Mark { label, time: None, words: words.len(), kind: MarkKind::Weak }
}

#[cfg(test)]
mod tests {
    use super::mark_of;

    #[test]
    fn labels_of_other_scripts_are_found() {
        let check = |text: &str, expected: Option<&str>| {
            assert_eq!(mark_of(text).map(|mark| mark.label), expected, "{text}");
        };
        check("佐藤「はい」", Some("佐藤"));
        check("佐藤　はい", Some("佐藤"));
        check("問／なぜ", Some("問"));
        check("Ｑ．なぜ", Some("Ｑ"));
        check("――なぜ", Some("――"));
        check("Q. Why?", Some("Q"));
        check("彼は「はい」と言った", None);
        check("今日は　はい", None);
        check("B. Why?", None);
    }
}

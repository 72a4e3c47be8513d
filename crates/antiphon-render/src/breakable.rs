//! Texts in pages: places at which a long name or address may continue on the next line, and characters that reorder text.

use std::borrow::Cow;

use minijinja::{Error, HtmlEscape, Output, State, Value, escape_formatter};

use crate::visible::{reorders, without_controls};

/// The number of characters from which a word has such places: a shorter one fits on any line.
const LONG: usize = 20;

/// Returns a text as HTML in which long words, such as paths and addresses, may break after `/`, `_`, `-`, `.` and
/// other punctuation: by `<wbr>` (HTML Standard, 4.5.27), which is not part of the text. All else is as [`isolated`] returns it.
///
/// Browsers break a longer word anywhere, since it would otherwise leave the page; this finds a better place.
pub(crate) fn breakable(text: &str) -> Value {
    let mut html = String::with_capacity(text.len());
    for word in text.split_inclusive(char::is_whitespace) {
        let (word, space) = word.split_at(word.trim_end().len());
        let is_long = word.chars().nth(LONG).is_some();
        let parts = word.split_inclusive(|c: char| is_long && "/_-.:?&=,".contains(c));
        let escaped: Vec<String> = parts.map(html_of).collect();
        html.push_str(&escaped.join("<wbr>"));
        html.push_str(&without_controls(space));
    }
    Value::from_safe_string(html)
}

/// Returns a text as HTML that cannot reorder the text around it: each character that would is in an element of its own, which
/// browsers isolate (HTML Standard, 15.3.5). All else is escaped, and control characters are visible.
pub(crate) fn isolated(text: &Value) -> Value {
    let html = text.as_str().map_or_else(|| html_of(&text.to_string()), html_of);
    Value::from_safe_string(html)
}

/// Returns a text as HTML, for a place between tags.
fn html_of(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for part in text.split_inclusive(reorders) {
        let plain = part.trim_end_matches(reorders);
        html.push_str(&HtmlEscape(&without_controls(plain)).to_string());
        for c in part[plain.len()..].chars() {
            html.push_str(&format!("<span dir=\"auto\">{c}</span>"));
        }
    }
    html
}

/// Writes a value of a template as minijinja does, with visible control characters.
pub(crate) fn formatted(out: &mut Output<'_>, state: &mut State<'_, '_>, value: &Value) -> Result<(), Error> {
    match value.as_str().map(without_controls) {
        Some(Cow::Owned(shown)) if !value.is_safe() => escape_formatter(out, state, &Value::from(shown)),
        _ => escape_formatter(out, state, value),
    }
}

#[cfg(test)]
mod tests {
    use super::{breakable, isolated};

    #[test]
    fn long_words_may_break_after_punctuation() {
        assert_eq!(breakable("a_b c-d 1.2").to_string(), "a_b c-d 1.2");
        let path = "see interviews/bakers_and_goats.txt:2, then <b>";
        let html = "see interviews/<wbr>bakers_<wbr>and_<wbr>goats.<wbr>txt:<wbr>2, then &lt;b&gt;";
        assert_eq!(breakable(path).to_string().replace("&#x2f;", "/"), html);
    }

    #[test]
    fn characters_that_reorder_text_are_isolated() {
        let html = "a<span dir=\"auto\">\u{202e}</span>&lt;b\\u{1b}<span dir=\"auto\">\u{2069}</span>";
        assert_eq!(isolated(&"a\u{202e}<b\u{1b}\u{2069}".into()).to_string(), html);
        assert_eq!(breakable("a\u{202e}<b\u{1b}\u{2069}").to_string(), html);
    }
}

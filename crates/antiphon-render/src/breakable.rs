//! Places at which a long name or address may continue on the next line.

use minijinja::{HtmlEscape, Value};

/// The number of characters from which a word has such places: a shorter one fits on any line.
const LONG: usize = 20;

/// Returns a text as HTML in which long words, such as paths and addresses, may break after `/`, `_`, `-`, `.` and
/// other punctuation: by `<wbr>` (HTML Standard, 4.5.27), which is not part of the text. All else is escaped.
///
/// Browsers break a longer word anywhere, since it would otherwise leave the page; this finds a better place.
pub(crate) fn breakable(text: &str) -> Value {
    let mut html = String::with_capacity(text.len());
    for word in text.split_inclusive(char::is_whitespace) {
        let (word, space) = word.split_at(word.trim_end().len());
        let is_long = word.chars().nth(LONG).is_some();
        let parts = word.split_inclusive(|c: char| is_long && "/_-.:?&=,".contains(c));
        let escaped: Vec<String> = parts.map(|part| HtmlEscape(part).to_string()).collect();
        html.push_str(&escaped.join("<wbr>"));
        html.push_str(space);
    }
    Value::from_safe_string(html)
}

#[cfg(test)]
mod tests {
    use super::breakable;

    #[test]
    fn long_words_may_break_after_punctuation() {
        assert_eq!(breakable("a_b c-d 1.2").to_string(), "a_b c-d 1.2");
        let path = "see interviews/bakers_and_goats.txt:2, then <b>";
        let html = "see interviews/<wbr>bakers_<wbr>and_<wbr>goats.<wbr>txt:<wbr>2, then &lt;b&gt;";
        assert_eq!(breakable(path).to_string().replace("&#x2f;", "/"), html);
    }
}

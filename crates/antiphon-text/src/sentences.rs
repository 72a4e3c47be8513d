use std::ops::Range;

/// Splits a text into sentences and returns their byte ranges in order, without surrounding white space.
///
/// A sentence ends with `.`, `!`, `?` or `…` and any closing quotes or `)` after it, if white space and the beginning
/// of a sentence follow: an upper-case letter, a digit, an opening quote, `(` or `£`. The end of the text ends a
/// sentence as well. The abbreviations `Mr.`, `Mrs.`, `Dr.`, `e.g.`, `i.e.` and `etc.` do not end one. Line ends count
/// as white space only.
///
/// ```
/// let text = "I pay £9.50 a tray. It hurts.";
/// let found: Vec<_> = antiphon_text::sentences(text).map(|span| &text[span]).collect();
/// assert_eq!(found, ["I pay £9.50 a tray.", "It hurts."]);
/// ```
pub fn sentences(words: &str) -> impl Iterator<Item = Range<usize>> {
    let mut start = 0;
    let mut ends = ends_of(words).into_iter();
    std::iter::from_fn(move || {
        loop {
            let end = ends.next()?;
            let piece = words.get(start..end).unwrap_or_default();
            let from = start + (piece.len() - piece.trim_start().len());
            let span = from..from + piece.trim().len();
            start = start.max(end);
            if !span.is_empty() {
                return Some(span);
            }
        }
    })
}

/// Returns the byte offsets at which sentences end, in order; the last one is the end of the text.
fn ends_of(words: &str) -> Vec<usize> {
    words
        .char_indices()
        .filter(|(_, c)| matches!(c, '.' | '!' | '?' | '…'))
        .map(|(at, c)| at + c.len_utf8())
        .filter_map(|end| ends_at(words, end))
        .chain([words.len()])
        .collect()
}

/// Returns the end of a sentence whose last mark ends at `end`, including closing quotes; `None` if no new sentence
/// starts.
fn ends_at(words: &str, end: usize) -> Option<usize> {
    let rest = words.get(end..)?;
    let closing = rest.len() - rest.trim_start_matches(['"', '”', '’', '\'', ')']).len();
    let after = &rest[closing..];
    let next = after.trim_start();
    let starts =
        |c: char| c.is_uppercase() || c.is_numeric() || matches!(c, '"' | '“' | '‘' | '\'' | '£' | '(');
    let abbreviated =
        ["Mr.", "Mrs.", "Dr.", "e.g.", "i.e.", "etc."].iter().any(|word| words[..end].ends_with(word));
    let is_end = next.is_empty() || (after.starts_with(char::is_whitespace) && next.starts_with(starts));
    (is_end && !abbreviated).then_some(end + closing)
}

#[cfg(test)]
mod tests {
    use super::sentences;

    #[track_caller]
    fn check(words: &str, expected: &[&str]) {
        let found: Vec<_> = sentences(words).map(|span| &words[span]).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn sentences_end_where_a_new_one_starts() {
        check(
            "I pay £9.50 a tray. It hurts… and more. “Why?” she said.",
            &["I pay £9.50 a tray.", "It hurts… and more.", "“Why?” she said."],
        );
        check("He said “No.” Then left, e.g. Monday", &["He said “No.”", "Then left, e.g. Monday"]);
        check("One\nline. \n Two", &["One\nline.", "Two"]);
        check("", &[]);
    }
}

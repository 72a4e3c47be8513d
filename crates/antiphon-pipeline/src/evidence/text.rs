use std::ops::Range;

use unicode_normalization::UnicodeNormalization;

/// White space as single blanks, none at the ends.
pub(super) fn folded(text: &str) -> String {
    let words: Vec<_> = text.split_whitespace().collect();
    words.join(" ")
}

/// The words of a text with their places: runs of letters and digits, in small letters, apostrophes left out, letters
/// in their compatible composed form (Unicode NFKC). So `Don’t` and `dont` are one word.
pub(super) fn words(text: &str) -> impl Iterator<Item = (Range<usize>, String)> {
    let mut chars = text.char_indices().peekable();
    std::iter::from_fn(move || {
        while chars.next_if(|(_, c)| !c.is_alphanumeric()).is_some() {}
        let (start, _) = *chars.peek()?;
        let mut end = start;
        let mut word = String::new();
        while let Some((at, c)) =
            chars.next_if(|(_, c)| c.is_alphanumeric() || is_apostrophe(*c) || is_mark(*c))
        {
            if !is_apostrophe(c) {
                word.push(c);
                end = at + c.len_utf8();
            }
        }
        let word = match word.is_ascii() {
            true => word.to_ascii_lowercase(),
            false => word.nfkc().flat_map(char::to_lowercase).collect(),
        };
        Some((start..end, word))
    })
}

fn is_apostrophe(c: char) -> bool {
    matches!(c, '\'' | '’' | 'ʼ')
}

/// A mark that belongs to the letter before it.
fn is_mark(c: char) -> bool {
    unicode_normalization::char::is_combining_mark(c)
}

/// A passage widened by the marks that belong to its ends: currency and opening quotes, full stops and closing quotes.
pub(super) fn widened(text: &str, span: Range<usize>) -> Range<usize> {
    const OPENING: [char; 9] = ['£', '$', '€', '"', '“', '‘', '\'', '(', '#'];
    const CLOSING: [char; 10] = ['.', '!', '?', '…', '"', '”', '’', '\'', ')', '%'];
    let before = text[..span.start].trim_end_matches(OPENING).len();
    let behind = &text[span.end..];
    let after = span.end + (behind.len() - behind.trim_start_matches(CLOSING).len());
    before..after
}

//! Words of a text, normalised, with their byte ranges.

use std::ops::Range;

use unicode_normalization::UnicodeNormalization;

/// Collapses white space to single spaces, and removes it at both ends.
pub(super) fn folded(text: &str) -> String {
    let words: Vec<_> = text.split_whitespace().collect();
    words.join(" ")
}

/// Calls `take` with the byte range and the normalised form of each word of a text. A word is a run of letters and digits;
/// normalised, it is in lower case, without apostrophes, and in Unicode's compatibility composition (NFKC). So `Don’t` and
/// `dont` are the same word.
///
/// Words of plain ASCII are the common case, and are read without a look at Unicode's tables. A word that has or is
/// followed by an apostrophe or a character beyond ASCII is left to `any_word`.
pub(super) fn each_word(text: &str, mut take: impl FnMut(Range<usize>, &str)) {
    let bytes = text.as_bytes();
    let mut word = String::new();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let run = bytes[at..].iter().take_while(|byte| byte.is_ascii_alphanumeric()).count();
        let is_plain = match bytes.get(at + run) {
            None => true,
            Some(next) => next.is_ascii() && *next != b'\'',
        };
        word.clear();
        if run > 0 && is_plain {
            word.push_str(&text[at..at + run]);
            word.make_ascii_lowercase();
            take(at..at + run, &word);
            at += run;
        } else if run == 0 && byte.is_ascii() {
            at += 1;
        } else {
            let (end, next) = any_word(text, at, &mut word);
            if !word.is_empty() {
                take(at..end, &word);
            }
            at = next;
        }
    }
}

/// Reads the word that begins at `start` into `word`. Returns its end, and the offset from which to continue.
fn any_word(text: &str, start: usize, word: &mut String) -> (usize, usize) {
    let mut end = start;
    let belongs = |c: char| c.is_alphanumeric() || is_apostrophe(c) || is_mark(c);
    let Some(first) = text[start..].chars().next() else { return (start, text.len()) };
    let mut next = start + first.len_utf8();
    if !first.is_alphanumeric() {
        return (start, next);
    }
    for (at, c) in text[start..].char_indices().take_while(|(_, c)| belongs(*c)) {
        next = start + at + c.len_utf8();
        if !is_apostrophe(c) {
            word.push(c);
            end = next;
        }
    }
    normalise(word);
    (end, next)
}

/// Puts a word into lower case and compatibility composition (NFKC), in place if it is ASCII.
fn normalise(word: &mut String) {
    if word.is_ascii() {
        word.make_ascii_lowercase()
    } else {
        *word = word.nfkc().flat_map(char::to_lowercase).collect()
    }
}

/// Returns the normalised words of a text.
pub(super) fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    each_word(text, |_, word| words.push(word.to_owned()));
    words
}

/// Returns whether a character is an apostrophe: those of typewriters, of typography and of linguistics are the same.
fn is_apostrophe(c: char) -> bool {
    matches!(c, '\'' | '’' | 'ʼ')
}

/// Returns whether a character is a combining mark, which belongs to the letter before it.
fn is_mark(c: char) -> bool {
    unicode_normalization::char::is_combining_mark(c)
}

/// Widens a passage by the marks that belong to its ends: currency signs and opening quotes, full stops and closing quotes.
pub(super) fn widened(text: &str, span: Range<usize>) -> Range<usize> {
    const OPENING: [char; 9] = ['£', '$', '€', '"', '“', '‘', '\'', '(', '#'];
    const CLOSING: [char; 10] = ['.', '!', '?', '…', '"', '”', '’', '\'', ')', '%'];
    let before = text[..span.start].trim_end_matches(OPENING).len();
    let behind = &text[span.end..];
    let after = span.end + (behind.len() - behind.trim_start_matches(CLOSING).len());
    before..after
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use unicode_normalization::UnicodeNormalization;

    use super::{Range, each_word, is_apostrophe, is_mark};

    /// A reference implementation of [`each_word`].
    fn reference_words(text: &str) -> Vec<(Range<usize>, String)> {
        let mut chars = text.char_indices().peekable();
        let mut words = Vec::new();
        loop {
            while chars.next_if(|(_, c)| !c.is_alphanumeric()).is_some() {}
            let Some((start, _)) = chars.peek().copied() else { return words };
            let (mut end, mut word) = (start, String::new());
            let belongs = |c: char| c.is_alphanumeric() || is_apostrophe(c) || is_mark(c);
            while let Some((at, c)) = chars.next_if(|(_, c)| belongs(*c)) {
                if !is_apostrophe(c) {
                    word.push(c);
                    end = at + c.len_utf8();
                }
            }
            words.push((start..end, word.nfkc().flat_map(char::to_lowercase).collect()));
        }
    }

    proptest! {
        #[test]
        fn each_word_agrees_with_the_reference(text in "([a-zA-Z0-9 .,'’é\u{301}ﬁß-]|\\PC){0,40}") {
            let mut words = Vec::new();
            each_word(&text, |span, word| words.push((span, word.to_owned())));
            prop_assert_eq!(words, reference_words(&text));
        }
    }
}

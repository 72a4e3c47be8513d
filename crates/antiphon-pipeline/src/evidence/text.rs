//! Words of a text, normalised, with their byte ranges.
//!
//! Chinese, Japanese, Korean, Thai, Lao, Khmer and Burmese are read by characters: most of them have no spaces between words,
//! and Korean is written with and without them. A character is a letter with its marks.

use std::ops::Range;

use unicode_normalization::UnicodeNormalization;

/// A family of scripts that is read by characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Script {
    /// Chinese characters, also in Japanese.
    Han,
    /// Hiragana and katakana.
    Kana,
    /// The syllables of Korean.
    Hangul,
    /// Thai, Lao, Khmer and Burmese.
    Thai,
}

impl Script {
    /// Returns the script of a character; `None` for one whose words are separated by spaces.
    pub(super) fn of(c: char) -> Option<Self> {
        Some(match u32::from(c) {
            ..0x0E00 => return None,
            0x0E00..=0x0EFF | 0x1000..=0x109F | 0x1780..=0x17FF => Self::Thai,
            0x1100..=0x11FF | 0x3130..=0x318F | 0xA960..=0xA97F | 0xAC00..=0xD7FF | 0xFFA0..=0xFFDC => {
                Self::Hangul
            }
            0x3040..=0x30FF | 0x31F0..=0x31FF | 0xFF66..=0xFF9F => Self::Kana,
            0x2E80..=0x2FDF | 0x3005..=0x3007 | 0x3021..=0x3029 | 0x3400..=0x4DBF | 0x4E00..=0x9FFF => {
                Self::Han
            }
            0xF900..=0xFAFF | 0x2_0000..=0x3_FFFF => Self::Han,
            _ => return None,
        })
    }
}

/// Puts a text on one line: collapses white space to single spaces, and removes it at both ends and beside characters of a
/// script without spaces, as well as marks that are never seen, such as soft hyphens.
pub(super) fn folded(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        let close = |c: Option<char>| c.is_none_or(|c| Script::of(c).is_some() || is_wide_mark(c));
        let (last, first) = (folded.chars().next_back(), word.chars().next());
        if !close(last) && !close(first) {
            folded.push(' ');
        }
        folded.extend(word.chars().filter(|c| !is_unseen(*c)));
    }
    folded
}

/// Returns whether a character is punctuation of East Asian scripts, in full width.
fn is_wide_mark(c: char) -> bool {
    matches!(u32::from(c), 0x3000..=0x3004 | 0x3008..=0x3020 | 0x30FB | 0xFF01..=0xFF0F | 0xFF1A..=0xFF20 | 0xFF5B..=0xFF65)
}

/// Calls `take` with the byte range and the normalised form of each word of a text. A word is a run of letters and digits, one
/// character of a script without spaces, or a sign of a currency or of a share; normalised, it is in lower case, without
/// apostrophes, and in Unicode's compatibility composition (NFKC). So `Don’t` and `dont` are the same word. A number below
/// zero keeps its sign.
///
/// Words of plain ASCII are the common case, and are read without a look at Unicode's tables. A word that has or is
/// followed by an apostrophe or a character beyond ASCII is left to `any_word`.
pub(super) fn each_word(text: &str, mut take: impl FnMut(Range<usize>, &str)) {
    let bytes = text.as_bytes();
    let mut word = String::new();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let run = bytes[at..].iter().take_while(|byte| byte.is_ascii_alphanumeric()).count();
        let is_plain =
            bytes.get(at + run).is_none_or(|next| next.is_ascii() && !matches!(next, b'\'' | b'`'));
        word.clear();
        if byte.is_ascii_digit() && is_below_zero(text, at) {
            word.push('-');
        }
        if run > 0 && is_plain {
            word.push_str(&text[at..at + run]);
            word.make_ascii_lowercase();
            take(at..at + run, &word);
            at += run;
        } else if run == 0 && byte.is_ascii() && !matches!(byte, b'$' | b'%') {
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

/// Returns whether the digit at `at` follows a minus sign, which a dash between two words or numbers is not.
fn is_below_zero(text: &str, at: usize) -> bool {
    let mut before = text[..at].chars().rev();
    before.next().is_some_and(|c| matches!(c, '-' | '−' | '–' | '－'))
        && before.next().is_none_or(|c| c.is_whitespace() || c == '(')
}

/// Appends the word that begins at `start` to `word`. Returns its end, and the offset from which to continue.
fn any_word(text: &str, start: usize, word: &mut String) -> (usize, usize) {
    let mut chars = text[start..].char_indices();
    let Some((_, first)) = chars.next() else { return (start, text.len()) };
    let mut end = start + first.len_utf8();
    let mut next = end;
    if is_sign(first) {
        word.push(first);
    } else if is_unseen(first) || !first.is_alphanumeric() {
        return (start, next);
    } else if Script::of(first).is_some() {
        let mut last = first;
        word.push(first);
        for (at, c) in chars.take_while(|(_, c)| {
            let belongs = is_part(last, *c);
            last = *c;
            belongs
        }) {
            word.push(c);
            end = start + at + c.len_utf8();
        }
        next = end;
    } else {
        word.push(first);
        for (at, c) in chars.take_while(|(_, c)| is_in_word(*c)) {
            next = start + at + c.len_utf8();
            if !is_apostrophe(c) && !is_unseen(c) {
                word.push(c);
                end = next;
            }
        }
    }
    normalise(word);
    (end, next)
}

/// Returns whether a character continues a word of a script with spaces.
fn is_in_word(c: char) -> bool {
    (c.is_alphanumeric() || is_apostrophe(c) || is_mark(c) || is_unseen(c)) && Script::of(c).is_none()
}

/// Returns whether a character belongs to the one before it, in a script that is read by characters: as a mark, as a vowel or
/// final consonant of a syllable in parts (Korean), or as the second half of a Thai or Lao vowel.
fn is_part(last: char, c: char) -> bool {
    is_mark(c)
        || matches!(c, '\u{FF9E}' | '\u{FF9F}' | '\u{0E33}' | '\u{0EB3}' | '\u{1160}'..='\u{11FF}')
        || matches!((last, c), ('\u{0E4D}', '\u{0E32}') | ('\u{0ECD}', '\u{0EB2}'))
}

/// Puts a word into lower case and compatibility composition (NFKC), in place if it is ASCII. Letters that are the same in
/// capitals are the same: `ß` is `ss`, the dotless `ı` is `i`, and the final `ς` is `σ`. Russian `ё` is `е`, as it is mostly printed.
pub(super) fn normalise(word: &mut String) {
    if word.is_ascii() {
        word.make_ascii_lowercase();
        return;
    }
    let lower = word.nfkc().flat_map(char::to_lowercase);
    let mut folded = String::with_capacity(word.len());
    for c in lower {
        match c {
            'ß' => folded.push_str("ss"),
            'ı' => folded.push('i'),
            'ς' => folded.push('σ'),
            'ё' => folded.push('е'),
            // Vowel signs of Arabic and points of Hebrew, which most texts leave out.
            '\u{64B}'..='\u{652}' | '\u{591}'..='\u{5C7}' => {}
            // The dot of a Turkish capital İ.
            '\u{307}' if folded.ends_with('i') => {}
            c => folded.push(c),
        }
    }
    *word = folded;
}

/// Returns the normalised words of a text.
pub(super) fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    each_word(text, |_, word| words.push(word.to_owned()));
    words
}

/// Returns the first normalised word of a text; empty if there is none.
pub(super) fn word(text: &str) -> String {
    words(text).into_iter().next().unwrap_or_default()
}

/// Returns whether a character is an apostrophe: those of typewriters, of typography, of linguistics and of keyboards are the
/// same.
pub(super) fn is_apostrophe(c: char) -> bool {
    matches!(c, '\'' | '’' | 'ʼ' | '‘' | '‛' | '`' | '´' | '′' | '＇')
}

/// Returns whether a character is a combining mark, which belongs to the letter before it.
pub(super) fn is_mark(c: char) -> bool {
    unicode_normalization::char::is_combining_mark(c)
}

/// Returns whether a character is never seen, or only lengthens a word: soft hyphens, marks of no width that only say where a
/// line may end or which way a text runs, selectors of a glyph, and the tatweel of Arabic.
pub(super) fn is_unseen(c: char) -> bool {
    matches!(
        c,
        '\u{AD}' | '\u{61C}' | '\u{640}' | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'
            | '\u{2066}'..='\u{2069}' | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}'
    )
}

/// Returns whether a character is a sign that gives a number another meaning: a currency, or a share.
fn is_sign(c: char) -> bool {
    matches!(
        c,
        '$' | '%' | '‰' | '£' | '¥' | '฿' | '\u{20A0}'..='\u{20CF}' | '％' | '＄' | '￡' | '￥' | '￦'
    )
}

/// Widens a passage by the marks that belong to its ends: currency signs and opening quotes, full stops and closing quotes.
pub(super) fn widened(text: &str, span: Range<usize>) -> Range<usize> {
    const OPENING: [char; 13] = ['£', '$', '€', '"', '“', '‘', '\'', '(', '#', '「', '『', '（', '«'];
    const CLOSING: [char; 18] =
        ['.', '!', '?', '…', '"', '”', '’', '\'', ')', '%', '。', '！', '？', '」', '』', '）', '»', '．'];
    let before = text[..span.start].trim_end_matches(OPENING).len();
    let behind = &text[span.end..];
    let after = span.end + (behind.len() - behind.trim_start_matches(CLOSING).len());
    before..after
}

#[cfg(test)]
mod tests {
    use super::{Range, Script, each_word, folded, is_apostrophe, is_mark, is_unseen, words};
    use proptest::prelude::*;

    /// A reference implementation of [`each_word`] for scripts with spaces.
    fn reference_words(text: &str) -> Vec<(Range<usize>, String)> {
        let mut chars = text.char_indices().peekable();
        let mut words = Vec::new();
        loop {
            while chars.next_if(|(_, c)| !c.is_alphanumeric()).is_some() {}
            let Some((start, _)) = chars.peek().copied() else { return words };
            let (mut end, mut word) = (start, String::new());
            let belongs = |c: char| c.is_alphanumeric() || is_apostrophe(c) || is_mark(c) || is_unseen(c);
            while let Some((at, c)) = chars.next_if(|(_, c)| belongs(*c)) {
                if !is_apostrophe(c) && !is_unseen(c) {
                    word.push(c);
                    end = at + c.len_utf8();
                }
            }
            super::normalise(&mut word);
            words.push((start..end, word));
        }
    }

    proptest! {
        #[test]
        fn each_word_agrees_with_the_reference(text in "([a-zA-Z0-9 .,'’é\u{301}ﬁßжÄ\u{AD}]|\\p{Latin}|\\p{Cyrillic}){0,40}") {
            let mut words = Vec::new();
            each_word(&text, |span, word| words.push((span, word.to_owned())));
            prop_assert_eq!(words, reference_words(&text));
        }

        /// Ranges ascend, are at character boundaries, and no word is empty, whatever the script.
        #[test]
        fn words_of_any_text_are_in_order(text in "\\PC{0,40}") {
            let mut last = 0;
            each_word(&text, |span, word| {
                assert!(span.start >= last && !word.is_empty() && text.get(span.clone()).is_some());
                last = span.end;
            });
        }
    }

    #[test]
    fn scripts_without_spaces_are_read_by_characters() {
        assert_eq!(words("ｶﾞｽ代を払う"), ["ガ", "ス", "代", "を", "払", "う"]);
        assert_eq!(words("안 사요 AI로"), ["안", "사", "요", "ai", "로"]);
        assert_eq!(words("น้ำ"), words("น\u{0E49}\u{0E4D}\u{0E32}"));
        assert_eq!(words("\u{1112}\u{1161}\u{11AB}"), ["한"]);
        assert_eq!(Script::of('々'), Some(Script::Han));
        assert_eq!(folded("毎朝、\n予定 を\n書く it  is"), "毎朝、予定を書くit is");
    }

    #[test]
    fn signs_and_numbers_below_zero_are_words() {
        assert_eq!(words("£9, 5% at -3 (−2) 5-7"), ["£", "9", "5", "%", "at", "-3", "-2", "5", "7"]);
        assert_eq!(words("can‘t don`t Kühl\u{AD}schrank"), ["cant", "dont", "kühlschrank"]);
    }
}

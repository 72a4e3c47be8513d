//! Contractions of English, written out for a fuzzy match: "don't" is "do not", and "we're" is "we are".
//!
//! Only those with one meaning are written out. "I'd" is "I would" or "I had", and "it's" is "it is" or "it has", by the word
//! behind them.

use super::matcher::Token;
use super::sense::has;
use super::text::{is_apostrophe, word};

/// Verbs that are denied by an ending: "don't", "isn't".
const DENIABLE: &str = "do does did is was are were has have had could would should must need might";
/// Words before "'ll" and "'s".
const SUBJECTS: &str = "i you he she it we they that there who what here where";
/// Contractions that are other words without their apostrophe.
const AMBIGUOUS: &str = "were well ill shell hell wed id its lets shed";
/// Words behind "it's" that make it "it has".
const AFTER_HAS: &str = "been got had become";
/// Words behind "I'd" that make it "I had".
const AFTER_HAD: &str = "better been";
/// Words behind "I'd" that make it "I would".
const AFTER_WOULD: &str = "like love rather prefer be have say want need buy go pay take use do get make give think see try probably";

/// Two words that are contracted into one.
struct Pair {
    first: String,
    second: &'static str,
    /// The number of letters of the second word in the contraction.
    letters: usize,
}

impl Pair {
    fn new(first: &str, second: &'static str, letters: usize) -> Self {
        Self { first: first.to_owned(), second, letters }
    }
}

/// Returns the words of a text with its contractions written out, each part with its own byte range; `None` if there are none.
pub(super) fn written_out(
    text: &str,
    tokens: &[Token],
    mut number: impl FnMut(&str) -> u32,
) -> Option<Vec<Token>> {
    let mut written: Option<Vec<Token>> = None;
    for (at, token) in tokens.iter().enumerate() {
        let pair = may_be_contracted(token.text(text)).then(|| pair(text, tokens, at)).flatten();
        match pair {
            Some(pair) => {
                let whole = token.span.clone();
                let middle = whole.start + cut(token.text(text), pair.letters);
                let written = written.get_or_insert_with(|| tokens[..at].to_vec());
                written.push(Token { number: number(&pair.first), span: whole.start..middle });
                written.push(Token { number: number(pair.second), span: middle..whole.end });
            }
            None => written.iter_mut().for_each(|written| written.push(token.clone())),
        }
    }
    written
}

/// Returns whether a word as written may be a contraction: a cheap check before the exact one.
fn may_be_contracted(said: &str) -> bool {
    let (first, last) = (said.chars().next(), said.as_bytes().last_chunk::<2>());
    let ends = |last: &[u8; 2]| {
        let last = last.map(|byte| byte.to_ascii_lowercase());
        [b"nt", b"ot", b"na", b"ta", b"re", b"ve", b"ll", b"im", b"yd", b"ud", b"ts", b"es"].contains(&&last)
    };
    first.is_some_and(char::is_alphabetic)
        && said.len() < 40
        && (said.contains(is_apostrophe) || !said.is_ascii() || last.is_some_and(ends))
}

/// Returns the byte offset in a word at which its last letters begin.
fn cut(said: &str, letters: usize) -> usize {
    let is_letter = |(_, c): &(usize, char)| c.is_alphanumeric();
    said.char_indices().rev().filter(is_letter).nth(letters - 1).map_or(said.len(), |(at, _)| at)
}

/// Returns the two words that the one at `at` is contracted from.
fn pair(text: &str, tokens: &[Token], at: usize) -> Option<Pair> {
    let said = tokens[at].text(text);
    let short = word(said);
    if has(AMBIGUOUS, &short) && !said.contains(is_apostrophe) {
        return None;
    }
    let next = || tokens.get(at + 1).map(|next| word(next.text(text))).unwrap_or_default();
    match &*short {
        "cannot" => return Some(Pair::new("can", "not", 3)),
        "cant" => return Some(Pair::new("can", "not", 2)),
        "wont" => return Some(Pair::new("will", "not", 2)),
        "shant" => return Some(Pair::new("shall", "not", 2)),
        "gonna" => return Some(Pair::new("going", "to", 2)),
        "wanna" => return Some(Pair::new("want", "to", 2)),
        "gotta" => return Some(Pair::new("got", "to", 2)),
        "lets" => return Some(Pair::new("let", "us", 1)),
        "im" => return Some(Pair::new("i", "am", 1)),
        _ => {}
    }
    let before = |ending: &str, firsts: &str| short.strip_suffix(ending).filter(|first| has(firsts, first));
    if let Some(first) = before("nt", DENIABLE) {
        return Some(Pair::new(first, "not", 2));
    }
    if let Some(first) = before("re", "you we they") {
        return Some(Pair::new(first, "are", 2));
    }
    if let Some(first) = before("ve", "i you we they could would should might must") {
        return Some(Pair::new(first, "have", 2));
    }
    if let Some(first) = before("ll", SUBJECTS) {
        return Some(Pair::new(first, "will", 2));
    }
    if let Some(first) = before("s", "he she it that there what who here where") {
        return Some(Pair::new(first, if has(AFTER_HAS, &next()) { "has" } else { "is" }, 1));
    }
    let first = before("d", "i you he she it we they")?;
    let next = next();
    if has(AFTER_HAD, &next) {
        return Some(Pair::new(first, "had", 1));
    }
    has(AFTER_WOULD, &next).then(|| Pair::new(first, "would", 1))
}

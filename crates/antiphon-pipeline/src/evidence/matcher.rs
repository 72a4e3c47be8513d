//! The search for one quote in the words of one turn.
//!
//! The words of all quotes are numbered once (`Vocabulary`), so that a document is split into words once for all
//! quotes, and quotes are compared with numbers instead of text. A quote is first searched word for word. Only if that
//! fails, the approximate search runs, over the regions that can have a match at all: most turns have none, and cost
//! one pass over their numbers.

use std::collections::HashMap;
use std::ops::Range;

use super::text::{each_word, folded, widened, words};
use crate::persona::Match;

/// The words of all needles, numbered; every other word of a text is `OTHER`.
pub(super) struct Vocabulary {
    numbers: HashMap<String, u32>,
    /// For each first byte, a bit set of word lengths: most other words are recognised by it, without a look-up in `numbers`.
    shapes: [u32; 256],
}

/// The number of a word that is in no needle.
const OTHER: u32 = u32::MAX;
/// Minimum number of words for a fuzzy match: with four words, one that differs may reverse the meaning.
const MIN_FUZZY: usize = 5;
/// Minimum number of words; a shorter needle matches only a whole turn.
const MIN_WORDS: usize = 3;
/// Words that must not differ in a fuzzy match, since they reverse the meaning or carry it. Numbers in digits count as
/// decisive, too; contractions are listed without their apostrophe, such as `dont`.
const DECISIVE: [&str; 34] = [
    "no", "not", "never", "nothing", "nobody", "none", "without", "hardly", "cannot", "dont", "doesnt",
    "didnt", "cant", "couldnt", "wont", "wouldnt", "isnt", "wasnt", "arent", "havent", "hasnt", "one", "two",
    "three", "four", "five", "six", "seven", "eight", "nine", "ten", "twenty", "hundred", "thousand",
];

/// A word of a text: its number, and its byte range.
pub(super) struct Token {
    number: u32,
    span: Range<usize>,
}

/// A quote to find, as numbered words.
pub(super) struct Needle {
    words: Vec<u32>,
    /// Whether a number is among the words, by number.
    mine: Vec<bool>,
    /// The quote on one line, for the comparison of characters.
    text: String,
    /// The words that must not differ, in order.
    decisive_words: Vec<String>,
}

/// A passage that matches a needle, with the number of words that differ.
#[derive(Debug, Clone)]
pub(super) struct Hit {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) matched: Match,
    distance: usize,
}

impl Hit {
    /// Returns whether this is the better match, or of the same kind with fewer words that differ.
    pub(super) fn is_better_than(&self, other: &Self) -> bool {
        (self.matched, self.distance) < (other.matched, other.distance)
    }
}

impl Default for Vocabulary {
    fn default() -> Self {
        Self { numbers: HashMap::new(), shapes: [0; 256] }
    }
}

/// Returns the first byte of a word, and the bit of its length.
fn shape(word: &str) -> (usize, u32) {
    let first = word.as_bytes().first().copied().unwrap_or_default();
    (usize::from(first), 1 << word.len().min(31))
}

impl Vocabulary {
    /// Creates the needle of a quote, and numbers its words.
    pub(super) fn needle(&mut self, text: &str) -> Needle {
        let number = |word: String| {
            let (first, length) = shape(&word);
            self.shapes[first] |= length;
            let next = u32::try_from(self.numbers.len()).unwrap_or(OTHER - 1);
            *self.numbers.entry(word).or_insert(next)
        };
        let words: Vec<u32> = words(text).into_iter().map(number).collect();
        let mut mine = vec![false; words.iter().max().map_or(0, |most| *most as usize + 1)];
        words.iter().for_each(|word| mine[*word as usize] = true);
        Needle { words, mine, text: bare(text), decisive_words: decisive_words(text) }
    }

    /// Splits a passage into words, with the numbers of those that are in any needle. Create all needles first.
    pub(super) fn tokens(&self, text: &str, span: Range<usize>) -> Vec<Token> {
        let offset = span.start;
        // A word with its space takes about six bytes.
        let mut tokens = Vec::with_capacity(span.len() / 6);
        each_word(&text[span], |span, word| {
            let (first, length) = shape(word);
            let number = match self.shapes[first] & length {
                0 => None,
                _ => self.numbers.get(word).copied(),
            };
            let span = span.start + offset..span.end + offset;
            tokens.push(Token { number: number.unwrap_or(OTHER), span });
        });
        tokens
    }
}

impl Needle {
    pub(super) fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// Returns whether the needle has too few words to be evidence, unless it is a whole turn.
    pub(super) fn is_short(&self) -> bool {
        self.words.len() < MIN_WORDS
    }

    /// Returns the best passage among the tokens of one turn: word for word, else fuzzy.
    pub(super) fn find(&self, text: &str, tokens: &[Token]) -> Option<Hit> {
        self.verbatim(text, tokens).or_else(|| self.fuzzy(text, tokens))
    }

    /// Returns the passage with the same words in the same order; of several the first exact one, or else the first.
    fn verbatim(&self, text: &str, tokens: &[Token]) -> Option<Hit> {
        if self.is_short() && tokens.len() != self.words.len() {
            return None;
        }
        let same = |window: &&[Token]| window.iter().map(|token| token.number).eq(self.words.iter().copied());
        let hits = tokens.windows(self.words.len().max(1)).filter(same).map(|window| {
            let span = widened(text, window[0].span.start..window[window.len() - 1].span.end);
            let matched =
                if bare(&text[span.clone()]) == self.text { Match::Exact } else { Match::Normalised };
            Hit { start: span.start, end: span.end, matched, distance: 0 }
        });
        hits.min_by_key(|hit| hit.matched)
    }

    /// Returns the passage with the smallest edit distance in words, if that is at most a fifth of the needle: P. H. Sellers,
    /// "The Theory and Computation of Evolutionary Distances: Pattern Recognition", Journal of Algorithms 1, 1980.
    fn fuzzy(&self, text: &str, tokens: &[Token]) -> Option<Hit> {
        let length = self.words.len();
        let most = length / 5;
        if length < MIN_FUZZY || tokens.len() + most < length {
            return None;
        }
        let mut best: Option<(usize, usize, usize)> = None;
        for region in self.regions(tokens, most) {
            self.nearest(tokens, region, most, &mut best);
        }
        let (distance, start, end) = best?;
        let first = tokens.get(start)?;
        let span = widened(text, first.span.start..tokens[end].span.end);
        if decisive_words(&text[span.clone()]) != self.decisive_words {
            return None;
        }
        Some(Hit { start: span.start, end: span.end, matched: Match::Fuzzy, distance })
    }
}

impl Needle {
    /// Returns the regions that contain enough of the needle's words close together. A passage with at most `most` differing
    /// words has all the other words within its own length, so that no match is outside these regions.
    fn regions(&self, tokens: &[Token], most: usize) -> Vec<Range<usize>> {
        let (window, needed) = (self.words.len() + most, self.words.len() - most);
        let is_mine = |token: &Token| self.mine.get(token.number as usize).copied().unwrap_or(false);
        let mut regions: Vec<Range<usize>> = Vec::new();
        let mut found = 0;
        for (at, token) in tokens.iter().enumerate() {
            found += usize::from(is_mine(token));
            if let Some(left) = at.checked_sub(window) {
                found -= usize::from(is_mine(&tokens[left]));
            }
            if found < needed {
                continue;
            }
            let start = (at + 1).saturating_sub(window);
            match regions.last_mut().filter(|last| last.end >= start) {
                Some(last) => last.end = at + 1,
                None => regions.push(start..at + 1),
            }
        }
        regions
    }

    /// Updates `best` (distance, first and last token) with the nearest passage of a region, if it is as near as the best so far.
    /// Takes time in proportion to the words of the needle times those of the region.
    fn nearest(
        &self,
        tokens: &[Token],
        region: Range<usize>,
        most: usize,
        best: &mut Option<(usize, usize, usize)>,
    ) {
        let length = self.words.len();
        // For the first `i` words of the needle: the distance to a passage that ends here, and the start of that passage.
        let mut column: Vec<(usize, usize)> = (0..=length).map(|i| (i, region.start)).collect();
        for at in region {
            let mut diagonal = std::mem::replace(&mut column[0], (0, at + 1));
            for i in 1..=length {
                let differs = usize::from(self.words[i - 1] != tokens[at].number);
                let replaced = (diagonal.0 + differs, diagonal.1);
                let inserted = (column[i].0 + 1, column[i].1);
                let left_out = (column[i - 1].0 + 1, column[i - 1].1);
                let cheapest = replaced.min_by_distance(inserted).min_by_distance(left_out);
                diagonal = std::mem::replace(&mut column[i], cheapest);
            }
            let (distance, start) = column[length];
            if distance <= most && best.is_none_or(|(least, ..)| distance <= least) {
                *best = Some((distance, start, at));
            }
        }
    }
}

/// The choice between two passages, as (distance, start).
trait MinByDistance {
    /// Returns the nearer of two; if both are equally near, the first.
    fn min_by_distance(self, other: Self) -> Self;
}

impl MinByDistance for (usize, usize) {
    fn min_by_distance(self, other: Self) -> Self {
        if other.0 < self.0 { other } else { self }
    }
}

/// Returns the decisive words of a text, in order.
fn decisive_words(text: &str) -> Vec<String> {
    let is_decisive =
        |word: &String| DECISIVE.contains(&word.as_str()) || word.starts_with(|c: char| c.is_numeric());
    words(text).into_iter().filter(is_decisive).collect()
}

/// Returns the words on one line without the punctuation around them, which is not spoken.
fn bare(text: &str) -> String {
    folded(text).trim_matches(|c: char| !c.is_alphanumeric()).to_owned()
}

use std::collections::HashMap;
use std::ops::Range;

use super::text::{each_word, folded, widened, words};
use crate::persona::Match;

/// The words of all needles as numbers; a text's other words are all alike.
pub(super) struct Vocabulary {
    numbers: HashMap<String, u32>,
    /// For each first byte a bit for each length: most words of a text are told to be others by these alone.
    shapes: [u32; 256],
}

const OTHER: u32 = u32::MAX;
/// Fewer words than this must agree all: of four, one that differs may turn the sense round.
const MIN_FUZZY: usize = 5;
/// Fewer words than this count only as a whole turn.
const MIN_WORDS: usize = 3;
/// Words that turn the sense round, or are the whole point, and so may not differ in a passage that agrees otherwise.
/// Figures belong to them, too, and contractions such as `dont`.
const DECISIVE: [&str; 34] = [
    "no", "not", "never", "nothing", "nobody", "none", "without", "hardly", "cannot", "dont", "doesnt",
    "didnt", "cant", "couldnt", "wont", "wouldnt", "isnt", "wasnt", "arent", "havent", "hasnt", "one", "two",
    "three", "four", "five", "six", "seven", "eight", "nine", "ten", "twenty", "hundred", "thousand",
];

/// A word of a text: its number, and its place.
pub(super) struct Token {
    number: u32,
    span: Range<usize>,
}

/// Words to be found.
pub(super) struct Needle {
    words: Vec<u32>,
    /// Which numbers are among them.
    mine: Vec<bool>,
    text: String,
    decisive_words: Vec<String>,
}

/// A passage that agrees with a needle, and in how many words it does not.
#[derive(Debug, Clone)]
pub(super) struct Hit {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) matched: Match,
    distance: usize,
}

impl Hit {
    pub(super) fn is_better_than(&self, other: &Self) -> bool {
        (self.matched, self.distance) < (other.matched, other.distance)
    }
}

impl Default for Vocabulary {
    fn default() -> Self {
        Self { numbers: HashMap::new(), shapes: [0; 256] }
    }
}

/// The first byte of a word, and the bit of its length.
fn shape(word: &str) -> (usize, u32) {
    let first = word.as_bytes().first().copied().unwrap_or_default();
    (usize::from(first), 1 << word.len().min(31))
}

impl Vocabulary {
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

    pub(super) fn tokens(&self, text: &str, span: Range<usize>) -> Vec<Token> {
        let offset = span.start;
        // A word and its blank have about six bytes.
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

    /// Whether the words prove nothing by themselves.
    pub(super) fn is_short(&self) -> bool {
        self.words.len() < MIN_WORDS
    }

    /// The best passage among the tokens of one turn.
    pub(super) fn find(&self, text: &str, tokens: &[Token]) -> Option<Hit> {
        self.verbatim(text, tokens).or_else(|| self.fuzzy(text, tokens))
    }

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

    /// The passage with the smallest edit distance in words, if that is a fifth of the needle at most: P. H. Sellers,
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
    /// Where enough of the words stand close together: a passage that agrees but for `most` words has all others of them
    /// within its own length.
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

    /// The nearest passage in a region, if it is as near as the best so far: distance, first and last token.
    fn nearest(
        &self,
        tokens: &[Token],
        region: Range<usize>,
        most: usize,
        best: &mut Option<(usize, usize, usize)>,
    ) {
        let length = self.words.len();
        // Of the needle's first `i` words: the distance to a passage that ends here, and where that passage starts.
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

trait MinByDistance {
    fn min_by_distance(self, other: Self) -> Self;
}

impl MinByDistance for (usize, usize) {
    /// The nearer of two; of equally near ones the first.
    fn min_by_distance(self, other: Self) -> Self {
        if other.0 < self.0 { other } else { self }
    }
}

/// The decisive words of a text, in order.
fn decisive_words(text: &str) -> Vec<String> {
    let is_decisive =
        |word: &String| DECISIVE.contains(&word.as_str()) || word.starts_with(|c: char| c.is_numeric());
    words(text).into_iter().filter(is_decisive).collect()
}

/// Words on one line without the punctuation around them, which nobody speaks.
fn bare(text: &str) -> String {
    folded(text).trim_matches(|c: char| !c.is_alphanumeric()).to_owned()
}

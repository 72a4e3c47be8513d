//! The search for one quote in the words of one turn.
//!
//! The words of all quotes are numbered once (`Vocabulary`), so that a document is split into words once for all
//! quotes, and quotes are compared with numbers instead of text. A quote is first searched word for word. Only if that
//! fails, and the turn has enough of the quote's words, the two are compared without fillers and articles. Both searches
//! take time in proportion to the words of the turn.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use super::contractions::written_out;
use super::edges::is_cut;
use super::languages::{ENGLISH, LANGUAGES};
use super::pauses::pauses_agree;
use super::sense::{are_alike, languages_of};
use super::skips::Skips;
use super::text::{Script, each_word, folded, widened, word};
use crate::persona::Match;

/// The words of all needles, numbered; every other word of a text is `OTHER`.
pub(super) struct Vocabulary {
    numbers: HashMap<String, u32>,
    /// For each first byte, a bit set of word lengths: most other words are recognised by it, without a look-up in `numbers`.
    shapes: [u32; 256],
    /// The fillers and articles of the needles' languages, by the index of the language.
    skips: BTreeMap<usize, Skips>,
}

/// Returns the words as a language has them: in English with its contractions written out.
fn in_language<'w>(tokens: &'w [Token], written: Option<&'w Vec<Token>>, language: usize) -> &'w [Token] {
    written.filter(|_| language == ENGLISH).map_or(tokens, |written| written)
}

/// The number of a word that is in no needle.
const OTHER: u32 = u32::MAX;
/// Minimum length of a needle, in sixths of a word; a shorter needle matches only a whole turn.
const MIN_LENGTH: usize = 3 * WORD;
/// The length of a word that is written between spaces.
const WORD: usize = 6;
/// A fuzzy match may have one form or spelling of another word among this many words.
const WORDS_FOR_A_FORM: usize = 5;

/// A word of a text: its number, and its byte range.
#[derive(Debug, Clone)]
pub(super) struct Token {
    pub(super) number: u32,
    pub(super) span: Range<usize>,
}

impl Token {
    /// Returns the word as it is in the text.
    pub(super) fn text<'t>(&self, text: &'t str) -> &'t str {
        &text[self.span.clone()]
    }
}

/// The words of one turn.
pub(super) struct Spoken<'t> {
    /// The text of the document.
    pub(super) text: &'t str,
    /// The byte range of the turn.
    pub(super) turn: Range<usize>,
    /// The words of the turn.
    pub(super) tokens: Vec<Token>,
    /// The words with the contractions of English written out, if there are any.
    written: Option<Vec<Token>>,
}

/// A quote to find, as numbered words.
pub(super) struct Needle {
    /// The quote as it was given.
    quoted: String,
    tokens: Vec<Token>,
    /// The words with the contractions of English written out, if there are any and the needle may be in English.
    written: Option<Vec<Token>>,
    /// For each word, the length of the longest beginning of the needle that ends there, for the search word for word: D. Knuth,
    /// J. Morris, V. Pratt, "Fast Pattern Matching in Strings", SIAM Journal on Computing 6, 1977.
    borders: Vec<usize>,
    /// The quote on one line, for the comparison of characters.
    bare: String,
    /// The length in sixths of a word.
    length: usize,
    /// The quote as it is in each of the languages that it may be in.
    readings: Vec<Reading>,
}

/// A needle in one language, without its fillers and articles.
struct Reading {
    /// The index of the language.
    language: usize,
    /// The indices of the words that are no fillers and no articles.
    kept: Vec<usize>,
    /// Whether a number is among the kept words, by number.
    mine: Vec<bool>,
    /// The length of the kept words in sixths of a word.
    length: usize,
}

/// A reading of a needle beside a window of a turn's words.
struct Compared<'c> {
    reading: &'c Reading,
    skips: &'c Skips,
    /// The text of the document.
    text: &'c str,
    /// The words of the turn, as the reading's language has them.
    said: &'c [Token],
    /// The indices of as many of these words as the reading has.
    window: &'c [usize],
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

/// The result of a search in one turn.
#[derive(Debug, Default)]
pub(super) struct Sought {
    /// The best passage.
    pub(super) hit: Option<Hit>,
    /// Whether there is a passage that was cut so that it says something else.
    pub(super) is_cut: bool,
}

impl Default for Vocabulary {
    fn default() -> Self {
        Self { numbers: HashMap::new(), shapes: [0; 256], skips: BTreeMap::new() }
    }
}

/// Returns the first byte of a word, and the bit of its length.
fn shape(word: &str) -> (usize, u32) {
    let first = word.as_bytes().first().copied().unwrap_or_default();
    (usize::from(first), 1 << word.len().min(31))
}

/// Returns the length of a word in sixths: a character of a script without spaces is a part of a word, as many as words of that
/// script have on average.
fn length(word: &str) -> usize {
    match word.chars().next().and_then(Script::of) {
        Some(Script::Han) => 5,
        Some(Script::Hangul) => 4,
        Some(Script::Kana) => 3,
        Some(Script::Thai) => 2,
        None if word.chars().any(char::is_alphanumeric) => WORD,
        None => 0,
    }
}

impl Vocabulary {
    /// Returns the number of a word, which is a new one for a new word.
    fn number(&mut self, word: &str) -> u32 {
        let (first, length) = shape(word);
        self.shapes[first] |= length;
        let next = u32::try_from(self.numbers.len()).unwrap_or(OTHER - 1);
        match self.numbers.get(word) {
            Some(number) => *number,
            None => *self.numbers.entry(word.to_owned()).or_insert(next),
        }
    }

    /// Creates the needle of a quote, and numbers its words.
    pub(super) fn needle(&mut self, text: &str) -> Needle {
        let (mut tokens, mut words) = (Vec::new(), Vec::new());
        each_word(text, |span, word| {
            tokens.push(Token { number: self.number(word), span });
            words.push(word.to_owned());
        });
        let languages = languages_of(&words);
        let written = languages
            .contains(&ENGLISH)
            .then(|| written_out(text, &tokens, |word| self.number(word)))
            .flatten();
        let readings = languages
            .into_iter()
            .map(|language| {
                let tokens = in_language(&tokens, written.as_ref(), language);
                let kept = self.skips(language).kept(text, tokens);
                let length = kept.iter().map(|index| length(&word(tokens[*index].text(text)))).sum();
                Reading { language, mine: mine(tokens, &kept), kept, length }
            })
            .collect();
        Needle {
            written,
            borders: borders(&tokens),
            bare: bare(text),
            length: words.iter().map(|word| length(word)).sum(),
            readings,
            tokens,
            quoted: text.to_owned(),
        }
    }

    /// Returns the fillers and articles of a language; numbers them if this is the first needle in it.
    fn skips(&mut self, language: usize) -> &Skips {
        if !self.skips.contains_key(&language) {
            let skips = Skips::new(language, |phrase| {
                let mut numbers = Vec::new();
                each_word(phrase, |_, word| numbers.push(self.number(word)));
                numbers
            });
            self.skips.insert(language, skips);
        }
        &self.skips[&language]
    }

    /// Splits a turn into words, with the numbers of those that are in any needle. Create all needles first.
    pub(super) fn spoken<'t>(&self, text: &'t str, turn: Range<usize>) -> Spoken<'t> {
        let offset = turn.start;
        // A word with its space takes about six bytes.
        let mut tokens = Vec::with_capacity(turn.len() / 6);
        each_word(&text[turn.clone()], |span, word| {
            let (first, length) = shape(word);
            let number = match self.shapes[first] & length {
                0 => None,
                _ => self.numbers.get(word).copied(),
            };
            let span = span.start + offset..span.end + offset;
            tokens.push(Token { number: number.unwrap_or(OTHER), span });
        });
        let number = |word: &str| self.numbers.get(word).copied().unwrap_or(OTHER);
        let is_english = self.skips.contains_key(&ENGLISH);
        let written = is_english.then(|| written_out(text, &tokens, number)).flatten();
        Spoken { text, turn, tokens, written }
    }
}

impl Spoken<'_> {
    /// Returns the range of the turn's words that these words in a language are of; `None` if it begins or ends within a
    /// contraction.
    fn whole(&self, tokens: &[Token], range: Range<usize>) -> Option<Range<usize>> {
        let (start, end) = (tokens[range.start].span.start, tokens[range.end - 1].span.end);
        let first = self.tokens.binary_search_by_key(&start, |token| token.span.start).ok()?;
        let last = self.tokens.binary_search_by_key(&end, |token| token.span.end).ok()?;
        Some(first..last + 1)
    }
}

/// Returns whether each number is among the kept words, by number.
fn mine(tokens: &[Token], kept: &[usize]) -> Vec<bool> {
    let numbers = kept.iter().map(|index| tokens[*index].number);
    let mut mine = vec![false; numbers.clone().max().map_or(0, |most| most as usize + 1)];
    numbers.for_each(|number| mine[number as usize] = true);
    mine
}

/// Returns the longest proper beginning of the needle that ends at each word.
fn borders(tokens: &[Token]) -> Vec<usize> {
    let mut borders = vec![0; tokens.len()];
    let mut length = 0;
    for at in 1..tokens.len() {
        while length > 0 && tokens[at].number != tokens[length].number {
            length = borders[length - 1];
        }
        length += usize::from(tokens[at].number == tokens[length].number);
        borders[at] = length;
    }
    borders
}

impl Needle {
    pub(super) fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }

    /// Returns whether the needle has too few words to be evidence, unless it is a whole turn.
    pub(super) fn is_short(&self) -> bool {
        self.length < MIN_LENGTH
    }

    /// Returns the best passage in one turn: word for word, else fuzzy.
    pub(super) fn find(&self, vocabulary: &Vocabulary, spoken: &Spoken<'_>) -> Sought {
        let mut sought = Sought::default();
        self.verbatim(spoken, &mut sought);
        if sought.hit.is_none() {
            for reading in &self.readings {
                self.fuzzy(reading, vocabulary, spoken, &mut sought);
            }
        }
        sought
    }

    /// Looks for the same words in the same order; of several passages the first exact one, or else the first.
    fn verbatim(&self, spoken: &Spoken<'_>, sought: &mut Sought) {
        let length = self.tokens.len();
        if length == 0 || self.is_short() && spoken.tokens.len() != length {
            return;
        }
        let mut same = 0;
        for (at, token) in spoken.tokens.iter().enumerate() {
            while same > 0 && token.number != self.tokens[same].number {
                same = self.borders[same - 1];
            }
            same += usize::from(token.number == self.tokens[same].number);
            if same < length {
                continue;
            }
            same = self.borders[same - 1];
            let range = at + 1 - length..at + 1;
            let texts = [&*self.quoted, spoken.text];
            if pauses_agree(texts, [&self.tokens, &spoken.tokens], (0..length).zip(range.clone())) {
                sought.add(spoken, range, |passage| self.hit(spoken, passage));
            }
            if sought.hit.as_ref().is_some_and(|hit| hit.matched == Match::Exact) {
                return;
            }
        }
    }

    /// Returns the hit for a passage with the same words.
    fn hit(&self, spoken: &Spoken<'_>, span: Range<usize>) -> Hit {
        let matched =
            if bare(&spoken.text[span.clone()]) == self.bare { Match::Exact } else { Match::Normalised };
        Hit { start: span.start, end: span.end, matched, distance: 0 }
    }

    /// Looks for the passage with the same words but for fillers and articles, and for other forms and spellings of at most one
    /// word in five; of several passages the one with the fewest of those.
    fn fuzzy(&self, reading: &Reading, vocabulary: &Vocabulary, spoken: &Spoken<'_>, sought: &mut Sought) {
        let Some(skips) = vocabulary.skips.get(&reading.language) else { return };
        let (length, tokens) = (reading.kept.len(), self.in_language(reading));
        let said = in_language(&spoken.tokens, spoken.written.as_ref(), reading.language);
        if self.is_short() || reading.length < MIN_LENGTH || !reading.may_be_in(said) {
            return;
        }
        let kept = skips.kept(spoken.text, said);
        for (position, window) in kept.windows(length).enumerate() {
            let before = position.checked_sub(1).map_or(0, |last| kept[last] + 1);
            let before = &said[before..window[0]];
            let compared = Compared { reading, skips, text: spoken.text, said, window };
            let Some(distance) = self.distance(&compared) else { continue };
            if !skips.articles_agree(before, &tokens[..reading.kept[0]]) {
                continue;
            }
            let range = window[0] - self.lead(reading, before)..window[length - 1] + 1;
            let Some(range) = spoken.whole(said, range) else {
                sought.is_cut = true;
                continue;
            };
            sought.add(spoken, range, |span| Hit {
                start: span.start,
                end: span.end,
                matched: Match::Fuzzy,
                distance,
            });
        }
    }

    /// Returns the needle's words as the language of a reading has them.
    fn in_language(&self, reading: &Reading) -> &[Token] {
        in_language(&self.tokens, self.written.as_ref(), reading.language)
    }

    /// Returns how many of the words right before a passage are those before the needle's first kept word: its article.
    fn lead(&self, reading: &Reading, before: &[Token]) -> usize {
        let mine = self.in_language(reading)[..reading.kept[0]].iter().rev();
        before.iter().rev().zip(mine).take_while(|(said, mine)| said.number == mine.number).count()
    }

    /// Returns the number of words of a window that differ from the needle's; `None` if one is another word, if they are too many,
    /// or if the articles between them differ.
    fn distance(&self, compared: &Compared<'_>) -> Option<usize> {
        let Compared { reading, skips, text, said: spoken, window } = compared;
        let tokens = self.in_language(reading);
        let indices = || reading.kept.iter().copied().zip(window.iter().copied());
        let pairs = || indices().map(|(mine, said)| (&tokens[mine], &spoken[said]));
        let (most, mut different) = (reading.max_forms(), 0);
        for (mine, said) in pairs() {
            different += usize::from(mine.number != said.number);
            if different > most {
                return None;
            }
        }
        let are_forms = |(mine, said): (&Token, &Token)| {
            let (quoted, said) = (mine.text(&self.quoted), said.text(text));
            let is_name = starts_with_capital(quoted) && starts_with_capital(said);
            !is_name && are_alike(&word(quoted), &word(said), &LANGUAGES[reading.language])
        };
        let gaps_agree = |(mine, said): (&[usize], &[usize])| {
            let (mine, said) = (mine[0] + 1..mine[1], said[0] + 1..said[1]);
            skips.articles_agree(&spoken[said], &tokens[mine])
        };
        let mut others = pairs().filter(|(mine, said)| mine.number != said.number);
        let agree = others.all(are_forms)
            && reading.kept.windows(2).zip(window.windows(2)).all(gaps_agree)
            && pauses_agree([&self.quoted, text], [tokens, spoken], indices());
        agree.then_some(different)
    }
}

impl Reading {
    /// Returns the maximum number of kept words that may be forms or spellings of others.
    fn max_forms(&self) -> usize {
        if LANGUAGES[self.language].endings.is_empty() { 0 } else { self.length / WORD / WORDS_FOR_A_FORM }
    }

    /// Returns whether a turn has enough of the needle's words, in any order: first by their number, which is cheap, and then by
    /// the number of different ones.
    fn may_be_in(&self, tokens: &[Token]) -> bool {
        let forms = self.max_forms();
        let is_mine = |token: &&Token| self.mine.get(token.number as usize).copied().unwrap_or(false);
        let needed = self.kept.len().saturating_sub(forms);
        if needed == 0 || tokens.len() < needed || tokens.iter().filter(is_mine).nth(needed - 1).is_none() {
            return false;
        }
        let mut unseen = self.mine.clone();
        tokens.iter().filter(is_mine).for_each(|token| unseen[token.number as usize] = false);
        unseen.iter().filter(|unseen| **unseen).count() <= forms
    }
}

impl Sought {
    /// Adds the passage of the words in `range`, unless it was cut from its clause. A better one is kept.
    fn add(&mut self, spoken: &Spoken<'_>, range: Range<usize>, hit: impl FnOnce(Range<usize>) -> Hit) {
        if is_cut(spoken.text, &spoken.turn, &spoken.tokens, range.clone()) {
            self.is_cut = true;
            return;
        }
        let tokens = &spoken.tokens;
        let hit = hit(widened(spoken.text, tokens[range.start].span.start..tokens[range.end - 1].span.end));
        if self.hit.as_ref().is_none_or(|best| hit.is_better_than(best)) {
            self.hit = Some(hit);
        }
    }
}

/// Returns whether a word begins with a capital letter, as names do.
fn starts_with_capital(word: &str) -> bool {
    word.chars().next().is_some_and(char::is_uppercase)
}

/// Returns the words on one line without the punctuation around them, which is not spoken.
fn bare(text: &str) -> String {
    folded(text).trim_matches(|c: char| !c.is_alphanumeric()).to_owned()
}

//! The words that a fuzzy match passes over: fillers and, in languages that have them, articles.

use super::languages::{CHARACTER_ASIDES, CHARACTER_FILLERS, HESITATIONS, LANGUAGES, Language, OPENERS};
use super::matcher::Token;
use super::sense::{has, is_degree};
use super::text::{Script, word};

/// The fillers and articles of one language, as numbers of a vocabulary.
pub(super) struct Skips {
    /// The sequences of words, the longest first among those with one first word; one word but for phrases and for languages that
    /// are read by characters.
    sequences: Vec<Sequence>,
    /// Whether a sequence begins with a word, by the word's number.
    begins: Vec<bool>,
    language: &'static Language,
}

/// Words that may be left out together.
struct Sequence {
    numbers: Vec<u32>,
    kind: Kind,
}

/// The place at which words may be left out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A hesitation: anywhere.
    Filler,
    /// A word that is a filler only between marks.
    Aside,
    /// A word that is a filler at the beginning of a sentence, too.
    Opener,
    /// An article: anywhere but before a degree.
    Article,
    /// An article that says who does what to whom: behind a preposition.
    CaseArticle,
}

impl Kind {
    /// Returns whether this is an article of either kind.
    fn is_article(self) -> bool {
        matches!(self, Self::Article | Self::CaseArticle)
    }
}

impl Skips {
    /// Creates the fillers and articles of a language, by its index; `number` gives each word its number.
    pub(super) fn new(language: usize, mut number: impl FnMut(&str) -> Vec<u32>) -> Self {
        let mut sequences = Vec::new();
        let mut add = |list: &str, kind: Kind| {
            for phrase in list.split_whitespace() {
                let is_opener = kind == Kind::Aside && has(OPENERS, phrase);
                let is_case = kind == Kind::Article && has(LANGUAGES[language].case_articles, phrase);
                let kind = match kind {
                    _ if is_opener => Kind::Opener,
                    _ if is_case => Kind::CaseArticle,
                    kind => kind,
                };
                sequences.push(Sequence { numbers: number(&phrase.replace('_', " ")), kind });
            }
        };
        add(HESITATIONS, Kind::Filler);
        if language == 0 {
            add(CHARACTER_FILLERS, Kind::Filler);
            add(CHARACTER_ASIDES, Kind::Aside);
        }
        let words: &'static Language = &LANGUAGES[language];
        add(words.fillers, Kind::Filler);
        add(words.asides, Kind::Aside);
        add(words.articles, Kind::Article);
        sequences.sort_by_key(|sequence| std::cmp::Reverse(sequence.numbers.len()));
        let mut begins = Vec::new();
        for first in sequences.iter().filter_map(|sequence| sequence.numbers.first()) {
            let first = *first as usize;
            begins.resize(begins.len().max(first + 1), false);
            begins[first] = true;
        }
        Self { sequences, begins, language: words }
    }

    /// Returns the indices of the words that are neither fillers nor articles, in order.
    pub(super) fn kept(&self, text: &str, tokens: &[Token]) -> Vec<usize> {
        let mut kept = Vec::with_capacity(tokens.len());
        let mut at = 0;
        while at < tokens.len() {
            match self.skipped(text, tokens, at) {
                0 => {
                    kept.push(at);
                    at += 1;
                }
                skipped => at += skipped,
            }
        }
        kept
    }

    /// Returns the number of words at `at` that may be left out together; 0 if that word has to be said.
    fn skipped(&self, text: &str, tokens: &[Token], at: usize) -> usize {
        let Some(sequence) = self.sequence(text, tokens, at) else { return 0 };
        let length = sequence.numbers.len();
        if !sequence.kind.is_article() {
            return length;
        }
        let before = at.checked_sub(1).map(|before| word(tokens[before].text(text))).unwrap_or_default();
        if sequence.kind == Kind::CaseArticle && !has(self.language.prepositions, &before) {
            return 0;
        }
        let mut next = at + length;
        while let Some(filler) = self.sequence(text, tokens, next).filter(|next| !next.kind.is_article()) {
            next += filler.numbers.len();
        }
        if tokens.get(next).is_some_and(|next| is_degree(&word(next.text(text)))) { 0 } else { length }
    }

    /// Returns the filler or article that begins at `at`.
    fn sequence(&self, text: &str, tokens: &[Token], at: usize) -> Option<&Sequence> {
        let first = tokens.get(at)?.number as usize;
        if !self.begins.get(first).copied().unwrap_or(false) {
            return None;
        }
        self.sequences.iter().find(|sequence| {
            let said = tokens.get(at..at + sequence.numbers.len()).unwrap_or_default();
            said.iter().map(|token| &token.number).eq(&sequence.numbers)
                && match sequence.kind {
                    Kind::Filler | Kind::Article | Kind::CaseArticle => true,
                    Kind::Aside => is_set_off(text, said),
                    Kind::Opener => is_set_off(text, said) || begins_sentence(text, said),
                }
        })
    }

    /// Returns whether the articles between two kept words are those of the quote, but for some that only one of the two has.
    pub(super) fn articles_agree(&self, said: &[Token], quoted: &[Token]) -> bool {
        let (said, quoted) = (self.articles(said), self.articles(quoted));
        let (fewer, more) = if said.len() < quoted.len() { (&said, &quoted) } else { (&quoted, &said) };
        let mut rest = more.iter();
        self.language.articles_are_alike || fewer.iter().all(|article| rest.any(|other| other == article))
    }

    /// Returns the articles among words.
    fn articles(&self, words: &[Token]) -> Vec<u32> {
        let is_article = |number: &u32| {
            let mut articles = self.sequences.iter().filter(|sequence| sequence.kind.is_article());
            articles.any(|sequence| sequence.numbers == [*number])
        };
        words.iter().map(|token| token.number).filter(is_article).collect()
    }
}

/// Returns whether words are the first of a sentence.
fn begins_sentence(text: &str, words: &[Token]) -> bool {
    let before = words.first().map_or("", |first| text[..first.span.start].trim_end());
    before
        .chars()
        .next_back()
        .is_none_or(|c| matches!(c, '.' | '!' | '?' | '…' | ':' | '"' | '“' | '„' | '«'))
}

/// Returns whether words are between two marks, or between a mark and an end of the text. In Thai and its neighbours, which have
/// no commas, spaces are marks.
fn is_set_off(text: &str, words: &[Token]) -> bool {
    let (Some(first), Some(last)) = (words.first(), words.last()) else { return false };
    let spaces = text[first.span.clone()].chars().next().and_then(Script::of) == Some(Script::Thai);
    let is_mark = |rest: &str, c: Option<char>| {
        c.is_none_or(|c| !c.is_alphanumeric())
            || spaces && rest.chars().next().is_some_and(char::is_whitespace)
    };
    let (before, behind) = (&text[..first.span.start], &text[last.span.end..]);
    let is_start = before.trim_end().chars().next_back();
    let behind_mark = is_mark(behind, behind.trim_start().chars().next());
    let spaced = spaces && before.ends_with(char::is_whitespace);
    (spaced || is_start.is_none_or(|c| !c.is_alphanumeric())) && behind_mark
}

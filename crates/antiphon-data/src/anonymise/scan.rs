//! The scan of one text for known names: every word is looked up, and its place in the sentence decides on the doubtful
//! ones.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::common::{is_month, is_word_too};
use super::context::{is_act, is_article, is_date, is_title, starts_sentence, word_after, word_before};
use super::inflected::{Form, Tongue};
use super::names::{Hit, Names, Sign, folded};
use super::patterns::{introduced, pattern};

/// Words of letters, also with combining marks, apostrophes and hyphens; each is looked up in the known names.
static WORD: LazyLock<Regex> = LazyLock::new(|| pattern(r"\p{L}[\p{L}\p{M}'’-]*"));

/// The names in a text, and the words that may be names.
#[derive(Default)]
pub(super) struct Scanned<'n> {
    /// The ranges of names, in order, each with the whole name.
    pub(super) places: Vec<Place<'n>>,
    /// The ranges of words that may be names, in order.
    pub(super) misses: Vec<Range<usize>>,
}

/// The range of a part of a name.
pub(super) struct Place<'n> {
    pub(super) range: Range<usize>,
    pub(super) name: &'n str,
}

/// A word of the text with its hit.
struct Word<'n> {
    start: usize,
    /// The end of the whole word, with endings that are no part of the name.
    end: usize,
    hit: Hit<'n>,
}

/// The decision on a word.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Decision {
    Name,
    Doubtful,
    NoName,
}

/// Scans a text for names.
pub(super) fn scan<'n>(text: &str, names: &'n Names) -> Scanned<'n> {
    let mut scan = Scan { text, words: Vec::new(), introduced: introduced(text).collect(), tongue: None };
    let mut unknown = Vec::new();
    for word in WORD.find_iter(text) {
        match names.hit(word.as_str()) {
            Some(hit) => scan.words.push(Word { start: word.start(), end: word.end(), hit }),
            None if word.as_str().starts_with(char::is_uppercase) => unknown.push(word.range()),
            None if names.has_uncased && word.as_str().starts_with(is_uncased) => {
                scan.words.extend(within(word.as_str(), word.start(), names));
            }
            None => {}
        }
    }
    let mut found = Scanned::default();
    for index in 0..scan.words.len() {
        match scan.decide(index) {
            Decision::Name => found.places.push(scan.place(index)),
            Decision::Doubtful => found.misses.push(scan.words[index].start..scan.words[index].end),
            Decision::NoName => {}
        }
    }
    let is_miss = |range: &Range<usize>| {
        let may_be = || !starts_sentence(text, range.start) && names.may_be_name(&text[range.clone()]);
        follows(&found.places, text, range) || may_be()
    };
    let misses: Vec<Range<usize>> = unknown.into_iter().filter(is_miss).collect();
    found.misses.extend(misses);
    found.misses.sort_by_key(|range| range.start);
    found
}

/// The most characters of a name without spaces.
const LONGEST_UNCASED: usize = 8;

/// Returns whether a character is a letter of a script without capitals.
pub(super) fn is_uncased(c: char) -> bool {
    c.is_alphabetic() && !c.is_lowercase() && !c.is_uppercase()
}

/// Returns the names within a word of a script without spaces between words, or with particles behind them: the longest
/// first, two characters at least.
fn within<'n>(word: &str, start: usize, names: &'n Names) -> Vec<Word<'n>> {
    let bounds: Vec<usize> = word.char_indices().map(|(at, _)| at).chain([word.len()]).collect();
    let (mut found, mut at) = (Vec::new(), 0);
    while at + 2 < bounds.len() {
        let most = (at + LONGEST_UNCASED).min(bounds.len() - 1);
        let hit =
            (at + 2..=most).rev().find_map(|end| Some((end, names.hit(&word[bounds[at]..bounds[end]])?)));
        let hit = hit.filter(|(_, hit)| hit.sign == Sign::Name);
        let is_whole = |(end, hit): &(usize, Hit<'n>)| hit.length == bounds[*end] - bounds[at];
        match hit.filter(is_whole) {
            Some((end, hit)) => {
                found.push(Word { start: start + bounds[at], end: start + bounds[end], hit });
                at = end;
            }
            None => at += 1,
        }
    }
    found
}

/// Returns whether a capitalised word follows a name directly: it may be the other part of that name.
fn follows(places: &[Place<'_>], text: &str, range: &Range<usize>) -> bool {
    let before = places.partition_point(|place| place.range.end < range.start);
    let place = before.checked_sub(1).map(|index| &places[index]);
    place.is_some_and(|place| &text[place.range.end..range.start] == " " && range.len() > 2)
}

/// A text whose words were looked up.
struct Scan<'t, 'n> {
    text: &'t str,
    words: Vec<Word<'n>>,
    /// The ranges of introduced names, in order.
    introduced: Vec<Range<usize>>,
    /// The language of the text, once a form has needed it.
    tongue: Option<Tongue>,
}

impl<'n> Scan<'_, 'n> {
    /// Decides whether a word is a name at its place.
    fn decide(&mut self, index: usize) -> Decision {
        match self.words[index].hit.sign {
            Sign::Name => Decision::Name,
            Sign::LowerCase if self.has_neighbour(index) => Decision::Name,
            Sign::LowerCase => Decision::NoName,
            Sign::Word => self.decide_word(index),
            Sign::Form(form) => self.decide_form(index, form),
        }
    }

    /// Decides on a name that begins sentences as another word, such as `Will`.
    fn decide_word(&self, index: usize) -> Decision {
        let (text, word) = (self.text, &self.words[index]);
        let (before, after) = (word_before(text, word.start), word_after(text, word.end));
        let is_possessive = word.start + word.hit.length < word.end;
        let is_month = is_month(&folded(&text[word.start..word.start + word.hit.length]));
        if self.has_neighbour(index) || self.is_introduced(word.start) || is_title(&before) {
            return Decision::Name;
        }
        if is_article(&before) || (is_month && is_date(&before, &after)) {
            return Decision::NoName;
        }
        let is_called = text[word.end..].starts_with([',', '?']) && !is_month;
        let is_shown = is_possessive || is_called || is_act(&after);
        if starts_sentence(text, word.start) && !is_shown { Decision::Doubtful } else { Decision::Name }
    }

    /// Decides on an inflected form. A genitive is one in every language, other forms only where names are inflected.
    fn decide_form(&mut self, index: usize, form: Form<'_>) -> Decision {
        let (text, range) = (self.text, self.words[index].start..self.words[index].end);
        let is_first = starts_sentence(text, range.start);
        let is_capital = text[range.clone()].starts_with(char::is_uppercase);
        if form.is_genitive && is_capital && !is_word_too(form.name) {
            return Decision::Name;
        }
        let is_inflected = self.tongue_at(&range) == Tongue::Inflecting;
        if is_inflected && !is_word_too(&folded(&text[range])) && !(form.is_short && is_first) {
            return Decision::Name;
        }
        if is_capital && !is_first { Decision::Doubtful } else { Decision::NoName }
    }

    /// Returns the language of the line around a range, or of the whole text if the line is too short to say.
    fn tongue_at(&mut self, range: &Range<usize>) -> Tongue {
        const NEAR: usize = 400;
        let text = self.text;
        let near =
            floor(text, range.start.saturating_sub(NEAR))..floor(text, (range.end + NEAR).min(text.len()));
        let (before, after) = (&text[near.start..range.start], &text[range.end..near.end]);
        let start = before.rfind('\n').map_or(near.start, |end| near.start + end + 1);
        let end = after.find('\n').map_or(near.end, |end| range.end + end);
        match Tongue::of(&text[start..end]) {
            Tongue::Unknown => *self.tongue.get_or_insert_with(|| Tongue::of(&text[..floor(text, 8_192)])),
            known => known,
        }
    }

    /// Returns whether a word of the same name is beside a word, and one of them is written as a name.
    fn has_neighbour(&self, index: usize) -> bool {
        let before = index.checked_sub(1).map(|before| (before, index));
        let after = (index + 1 < self.words.len()).then_some((index, index + 1));
        [before, after].into_iter().flatten().any(|(first, second)| self.is_pair(first, second))
    }

    /// Returns whether two words are parts of one name, one directly behind the other.
    fn is_pair(&self, first: usize, second: usize) -> bool {
        let (one, other) = (&self.words[first], &self.words[second]);
        let is_sure = |word: &Word<'_>| !matches!(word.hit.sign, Sign::LowerCase);
        one.hit.name == other.hit.name
            && (is_sure(one) || is_sure(other))
            && one.start + one.hit.length == one.end
            && is_link(&self.text[one.end..other.start])
    }

    /// Returns whether a word is part of an introduction.
    fn is_introduced(&self, at: usize) -> bool {
        let before = self.introduced.partition_point(|range| range.start <= at);
        before.checked_sub(1).is_some_and(|index| self.introduced[index].contains(&at))
    }

    /// Returns the range of a name with the initials beside it: `S. Lee` and `Sam L.` as a whole.
    fn place(&self, index: usize) -> Place<'n> {
        let word = &self.words[index];
        let (start, end) = (word.start, word.start + word.hit.length);
        let start = initials_before(&self.text[..start], &word.hit);
        let end = if end == word.end { end + initial_after(&self.text[end..], &word.hit) } else { end };
        Place { range: start..end, name: word.hit.name }
    }
}

/// Returns whether the text between two words of a name is a space, an initial or a hyphen.
pub(super) fn is_link(between: &str) -> bool {
    static LINK: LazyLock<Regex> =
        LazyLock::new(|| pattern(r"^(?:[ \u{a0}]|[ \u{a0}](?:\p{Lu}\.[ \u{a0}]?){1,2}|-)$"));
    LINK.is_match(between)
}

/// Returns the start of the initials of a name before one of its words, or the end of `before`.
fn initials_before(before: &str, hit: &Hit<'_>) -> usize {
    static INITIALS: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"(?:^|[^\p{L}\p{N}.])((?:\p{Lu}\.[ \u{a0}-]?){1,3}(?:(?:van|von|der|den|de|del|la|di|da|zu) ){0,3})$",
        )
    });
    const NEAR: usize = 24;
    let from = floor(before, before.len().saturating_sub(NEAR));
    let found = INITIALS.captures(&before[from..]).and_then(|found| found.get(1));
    let is_own = |letter: char| letter.to_lowercase().any(|letter| hit.initials.contains(&letter));
    found
        .filter(|found| found.as_str().chars().any(is_own))
        .map_or(before.len(), |found| from + found.start())
}

/// Returns the length of an initial of a name behind one of its words: ` L.` in `Sam L. said`, without a dot that may end
/// the sentence.
fn initial_after(after: &str, hit: &Hit<'_>) -> usize {
    let mut letters = after.chars();
    let (space, initial, dot) = (letters.next(), letters.next(), letters.next());
    let (Some(' '), Some(initial), Some('.')) = (space, initial, dot) else { return 0 };
    let is_own =
        initial.is_uppercase() && initial.to_lowercase().any(|letter| hit.initials.contains(&letter));
    let goes_on = letters.as_str().trim_start().starts_with(|c: char| c.is_lowercase() || c == ',');
    if is_own { 1 + initial.len_utf8() + usize::from(goes_on) } else { 0 }
}

/// Returns the largest character boundary that is not behind a byte offset.
fn floor(text: &str, at: usize) -> usize {
    let at = at.min(text.len());
    (at.saturating_sub(3)..=at).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

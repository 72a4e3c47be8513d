//! Renderings of the same words, of which one is read.

use std::collections::HashMap;

use super::{Part, joined};
use crate::formats::record::Field;

/// The part of a rendering's words that another one has to have, as a fraction: 4 of 5. Services write numbers and
/// names differently in their renderings.
const COVERED: (usize, usize) = (4, 5);
/// Normalised keys under which services have renderings of the words.
const RENDERINGS: [&str; 29] = [
    "text",
    "transcript",
    "transcripts",
    "transcription",
    "transcriptions",
    "fulltranscript",
    "fulltext",
    "content",
    "message",
    "segments",
    "audiosegments",
    "utterances",
    "sentences",
    "paragraphs",
    "words",
    "wordsegments",
    "tokens",
    "chunks",
    "items",
    "elements",
    "blocks",
    "monologues",
    "channels",
    "speakers",
    "results",
    "phrases",
    "recognizedphrases",
    "combinedphrases",
    "combinedrecognizedphrases",
];
/// More such keys.
const MORE_RENDERINGS: [&str; 3] = ["sentimentanalysisresults", "timestamps", "display"];

/// Keys of lists of single words, which are read only where nothing else has the speakers.
const WORDS: [&str; 4] = ["words", "tokens", "wordsegments", "timestamps"];

/// The parts of the value under a key.
pub(super) struct Group<'n> {
    /// The key, normalised.
    pub(super) key: String,
    pub(super) parts: Vec<Part<'n>>,
}

impl Group<'_> {
    /// Returns whether the value may be a rendering of the words of another one.
    fn is_rendering(&self) -> bool {
        let key = &*self.key;
        let has_words = || self.parts.iter().any(|part| text_of(part).is_some());
        (RENDERINGS.contains(&key) || MORE_RENDERINGS.contains(&key)) && has_words()
    }
}

/// Returns whether the lists under a normalised key have renderings.
pub(super) fn is_rendering(key: &str) -> bool {
    RENDERINGS.contains(&key)
}

/// Returns the parts of all groups, without the words of those that the best rendering has as well.
///
/// The best one names speakers, and is complete; of several, the one with the fewest rows.
pub(super) fn pick(groups: Vec<Group<'_>>) -> Vec<Part<'_>> {
    let candidates: Vec<usize> = (0..groups.len()).filter(|at| groups[*at].is_rendering()).collect();
    if candidates.len() < 2 {
        return joined(groups.into_iter().map(|group| group.parts));
    }
    let bags: Vec<Bag> = candidates.iter().map(|at| Bag::of(&groups[*at].parts)).collect();
    let named = bags.iter().any(Bag::is_named);
    let most = bags.iter().filter(|bag| bag.is_named() == named).map(|bag| bag.total).max().unwrap_or(0);
    let is_whole = |bag: &Bag| bag.is_named() == named && bag.total * COVERED.1 >= most * COVERED.0;
    let has_words = |at: usize| WORDS.contains(&&*groups[candidates[at]].key);
    let whole = bags.iter().enumerate().filter(|(_, bag)| is_whole(bag));
    let Some((at, best)) = whole.min_by_key(|(at, bag)| (has_words(*at), bag.rows)) else {
        return joined(groups.into_iter().map(|group| group.parts));
    };
    let is_again = |(other, bag): (usize, &Bag)| other != at && (has_words(other) || best.covers(bag));
    let mut again = vec![false; groups.len()];
    for (candidate, bag) in candidates.iter().zip(bags.iter().enumerate()) {
        again[*candidate] = is_again(bag);
    }
    let parts = groups.into_iter().enumerate();
    joined(parts.map(|(number, group)| if again[number] { silent(group.parts) } else { group.parts }))
}

/// Returns the parts of a list without the rows that have no speaker, if those with speakers have all their words.
pub(super) fn prefer_named(parts: Vec<Part<'_>>) -> Vec<Part<'_>> {
    let is_unnamed = |part: &Part<'_>| matches!(part, Part::Row(row) if !row.is_named());
    let (unnamed, named): (Vec<&Part<'_>>, Vec<&Part<'_>>) =
        parts.iter().filter(|part| text_of(part).is_some()).partition(|part| is_unnamed(part));
    if unnamed.is_empty() || named.is_empty() || !Bag::of(named).covers(&Bag::of(unnamed)) {
        return parts;
    }
    parts.into_iter().filter(|part| !is_unnamed(part)).collect()
}

/// Returns the parts without their words: only their notes.
fn silent(parts: Vec<Part<'_>>) -> Vec<Part<'_>> {
    let notes = |part| match part {
        Part::Note(field) => vec![Part::Note(field)],
        Part::Row(row) => row.notes().into_iter().map(Part::Note).collect(),
    };
    let is_kept = |part: &Part<'_>| !matches!(part, Part::Note(Field { is_text: false, .. }));
    parts.into_iter().flat_map(notes).filter(is_kept).collect()
}

/// Returns the words of a row that has a field for them.
fn text_of<'p>(part: &'p Part<'_>) -> Option<&'p str> {
    match part {
        Part::Row(row) => row.text().map(|field| &*field.text),
        Part::Note(_) => None,
    }
}

/// The words of a rendering, each with its count. Numbers, and the word before them in `Speaker 1`, do not count.
#[derive(Default)]
struct Bag {
    words: HashMap<String, usize>,
    total: usize,
    rows: usize,
    /// The number of rows that name their speaker.
    named: usize,
}

impl Bag {
    /// Counts the words of parts.
    fn of<'p, 'n: 'p>(parts: impl IntoIterator<Item = &'p Part<'n>>) -> Self {
        let mut bag = Self::default();
        for part in parts {
            let Part::Row(row) = part else { continue };
            let Some(field) = row.text() else { continue };
            bag.rows += 1;
            bag.named += usize::from(row.is_named());
            field.text.split(|c: char| !c.is_alphanumeric()).for_each(|word| bag.add(word));
        }
        bag
    }

    /// Adds a word; of a script without spaces, each of its characters.
    fn add(&mut self, word: &str) {
        if word.contains(|c| c >= '\u{2e80}') {
            return word.chars().for_each(|c| self.count(c.to_string()));
        }
        let word = word.to_lowercase();
        if !word.is_empty() && word != "speaker" && !word.bytes().all(|byte| byte.is_ascii_digit()) {
            self.count(word);
        }
    }

    /// Counts a word.
    fn count(&mut self, word: String) {
        *self.words.entry(word).or_default() += 1;
        self.total += 1;
    }

    /// Returns whether most rows name their speaker.
    fn is_named(&self) -> bool {
        self.rows > 0 && self.named * 2 >= self.rows
    }

    /// Returns whether most words of another rendering are among these.
    fn covers(&self, other: &Self) -> bool {
        let known =
            other.words.iter().map(|(word, count)| self.words.get(word).map_or(0, |here| *count.min(here)));
        other.total > 0 && known.sum::<usize>() * COVERED.1 >= other.total * COVERED.0
    }
}

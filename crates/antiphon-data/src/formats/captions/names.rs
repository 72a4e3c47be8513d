//! The labels of captions that count as speakers.
//!
//! Cues wrap sentences, so that a line may begin with any word, and with a colon behind it:
//!
//! ```text
//! Ana: I kept asking myself one
//! question: who tears it down?
//! ```
//!
//! The rules of [`accepted_labels`](speakers::accepted_labels) apply, with these additions:
//!
//! - a label in lower case counts only at the beginning of a cue, and if others begin with a capital, only if it occurs
//!   twice;
//! - a label that is the only one of the file, and occurs once, does not count;
//! - the label of the first words counts, since no one else can have said them, and so does one behind `>>`;
//! - if one speaker counts, so do the labels at the beginnings of cues between two of this speaker's, and behind a
//!   question;
//! - if no label would count, all labels at the beginnings of cues do, if the first words have one.

use std::collections::BTreeSet;

use crate::formats::captions::segments::{Mark, Segment};
use crate::speakers;

/// Words before a colon that name a text, not a speaker.
const TITLES: [&str; 11] = [
    "note",
    "warning",
    "disclaimer",
    "transcript",
    "subtitles",
    "captions",
    "translation",
    "title",
    "chapter",
    "part",
    "recorded",
];

/// The labels and marks that count as speakers in a file.
pub(super) struct Names<'a> {
    labels: BTreeSet<&'a str>,
    /// Whether dashes at the beginning of lines mark speakers.
    has_dashes: bool,
    /// Whether the file distinguishes speakers at all.
    pub(super) has_speakers: bool,
}

impl<'a> Names<'a> {
    /// Chooses the labels of a file's segments.
    pub(super) fn of(segments: &[Segment<'a>]) -> Self {
        let counted: Vec<&'a str> = counted(segments);
        let mut labels = speakers::accepted_labels(counted.iter().copied());
        drop_wrapped(&mut labels, &counted);
        drop_only_one(&mut labels, &counted);
        add_certain(&mut labels, segments);
        add_others(&mut labels, segments);
        let has_dashes = segments.iter().filter(|segment| segment.mark == Mark::Dash).count() > 1
            || segments.iter().any(|segment| segment.mark == Mark::Dash && is_in(&labels, segment));
        let is_marked = |segment: &Segment<'_>| segment.voice.is_some() || segment.mark == Mark::Arrows;
        let has_speakers = !labels.is_empty() || has_dashes || segments.iter().any(is_marked);
        Self { labels, has_dashes, has_speakers }
    }

    /// Returns the speaker whom a segment names, and the byte offset of the words.
    pub(super) fn speaker_in<'s>(&self, segment: &Segment<'s>) -> Option<(&'s str, usize)> {
        if let Some(voice) = segment.voice {
            return Some((voice, 0));
        }
        let label = segment.label.as_ref().filter(|_| is_in(&self.labels, segment))?;
        Some((label.name, label.end))
    }

    /// Returns whether a segment begins the words of another speaker, whether or not it names one.
    pub(super) fn changes_in(&self, segment: &Segment<'_>) -> bool {
        match segment.mark {
            Mark::None => false,
            Mark::Dash => self.has_dashes,
            Mark::Arrows => true,
        }
    }
}

/// Returns whether a segment's label counts.
fn is_in(labels: &BTreeSet<&str>, segment: &Segment<'_>) -> bool {
    segment.label.is_some_and(|label| labels.contains(label.name))
}

/// Returns the labels that may be speakers, each as often as it occurs.
fn counted<'a>(segments: &[Segment<'a>]) -> Vec<&'a str> {
    let mut is_cue_in_small = false;
    let mut found = Vec::new();
    for (index, segment) in segments.iter().enumerate() {
        let label =
            segment.label.as_ref().filter(|label| has_words(segments, index, label.end, label.is_bracketed));
        let is_in_small = label.is_some_and(|label| is_small(label.name));
        if segment.is_first {
            is_cue_in_small = is_in_small;
        }
        let Some(label) = label else { continue };
        if segment.is_first || segment.mark != Mark::None || !is_in_small || is_cue_in_small {
            found.push(label.name);
        }
    }
    found
}

/// Returns whether words follow a label within its cue. A label with a colon needs none.
fn has_words(segments: &[Segment<'_>], index: usize, end: usize, is_bracketed: bool) -> bool {
    let segment = &segments[index];
    let follows =
        |next: &Segment<'_>| next.cue == segment.cue && next.mark == Mark::None && next.label.is_none();
    !is_bracketed || end < segment.words.len() || segments.get(index + 1).is_some_and(follows)
}

/// Returns whether a label begins with a small letter.
fn is_small(label: &str) -> bool {
    label.starts_with(char::is_lowercase)
}

/// Removes labels in lower case that occur once, if others begin with a capital.
fn drop_wrapped(labels: &mut BTreeSet<&str>, counted: &[&str]) {
    if labels.iter().all(|label| is_small(label)) {
        return;
    }
    let mut seen = BTreeSet::new();
    let twice: BTreeSet<&str> = counted.iter().copied().filter(|label| !seen.insert(*label)).collect();
    labels.retain(|label| !is_small(label) || twice.contains(label));
}

/// Removes the only label of a file if it occurs once: it would take the words behind it, and leave no one for those
/// before it.
fn drop_only_one(labels: &mut BTreeSet<&str>, counted: &[&str]) {
    let occurrences = counted.iter().filter(|label| labels.contains(*label)).take(2).count();
    if occurrences == 1 {
        labels.clear();
    }
}

/// Adds labels that count although they occur once.
fn add_certain<'a>(labels: &mut BTreeSet<&'a str>, segments: &[Segment<'a>]) {
    let named = |segment: &Segment<'a>| {
        let label = segment.label.as_ref().filter(|label| !is_title(label.name))?;
        (!label.is_bracketed || label.end < segment.words.len()).then_some(label.name)
    };
    let is_unknown = labels.is_empty();
    labels.extend(segments.iter().filter(|segment| segment.mark == Mark::Arrows).filter_map(named));
    let Some(first) = segments.first().and_then(named) else { return };
    labels.insert(first);
    if is_unknown {
        let begin = segments.iter().filter(|segment| segment.is_first).filter_map(named);
        labels.extend(begin.filter(|label| !is_small(label)));
    }
}

/// Adds the labels of those with whom the only speaker talks: at the beginning of cues behind a question, or between two
/// cues of this speaker. Behind a line that continues, a label may be a word of it.
fn add_others<'a>(labels: &mut BTreeSet<&'a str>, segments: &[Segment<'a>]) {
    let [only] = labels.iter().copied().collect::<Vec<_>>()[..] else { return };
    let is_only = |segment: &Segment<'a>| segment.label.is_some_and(|label| label.name == only);
    let Some(last) = segments.iter().rposition(is_only) else { return };
    let ends = |segment: &Segment<'_>| speakers::ends_sentence(segment.words);
    let has_ends = segments.iter().any(ends);
    let mut is_begun = false;
    for (at, segment) in segments.iter().enumerate() {
        if is_only(segment) {
            is_begun = true;
            continue;
        }
        let above = at.checked_sub(1).and_then(|above| segments.get(above));
        let follows = above.is_some_and(|above| ends(above) || !has_ends);
        let is_answer = above.is_some_and(|above| is_only(above) && speakers::is_question(above.words));
        let Some(label) = segment.label.filter(|_| segment.is_first && is_begun && follows) else { continue };
        let is_name = !is_small(label.name) && !is_title(label.name) && !speakers::is_topic(label.name);
        if is_name && (at < last || is_answer) && has_words(segments, at, label.end, label.is_bracketed) {
            labels.insert(label.name);
        }
    }
}

/// Returns whether a label names a text.
fn is_title(label: &str) -> bool {
    let label = label.to_lowercase();
    let word = label.split_whitespace().next().unwrap_or_default();
    TITLES.contains(&word)
}

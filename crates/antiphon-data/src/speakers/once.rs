//! Groups in which every name occurs once.
//!
//! ```text
//! Maria: How do you plan your week?
//! Tom: I write it on the fridge.
//! Ana: In an app.
//! ```
//!
//! A list of topics looks the same, so that one of the first lines has to ask, with answers behind it, and no label may be a word
//! for a thing or a key of notes.

use super::label::{Mark, MarkKind, is_note_key};
use super::lines::Line;
use super::settle::is_question;
use super::topic::is_topic;

/// The fewest names.
const FEWEST: usize = 3;
/// More names than a group has.
const MOST: usize = 30;
/// The most words of a name.
const MOST_WORDS: usize = 3;
/// The fewest words of a question.
const QUESTION: usize = 3;
/// The fewest words of an answer.
const ANSWER: usize = 2;

/// Returns whether the labels of a text are those of a group: nearly all lines, or paragraphs if they are `blocks`, begin with one.
pub(super) fn is_group(lines: &[Line<'_>], are_blocks: bool) -> bool {
    let speech = || lines.iter().filter(|line| !line.is_noise() && (line.begins_block || !are_blocks));
    let is_marked = |line: &&Line<'_>| line.mark.as_ref().is_some_and(Mark::is_inline);
    let count = speech().filter(is_marked).count();
    if count < FEWEST || count * 5 < speech().count() * 4 {
        return false;
    }
    let marked: Vec<(&Line<'_>, &Mark<'_>)> =
        speech().filter(is_marked).filter_map(|line| Some((line, line.mark.as_ref()?))).collect();
    let is_plain = |(_, mark): &(&Line<'_>, &Mark<'_>)| {
        let is_short = mark.label.split(' ').nth(MOST_WORDS).is_none();
        mark.kind == MarkKind::Colon && mark.time.is_none() && is_short && !is_topic(mark.label)
    };
    let mut labels: Vec<&str> = marked.iter().map(|(_, mark)| mark.label).collect();
    labels.sort_unstable();
    labels.dedup();
    let has_notes = || lines.iter().any(|line| line.mark.is_none() && begins_with_key(line.text));
    labels.len() >= FEWEST
        && labels.len() < MOST
        && marked.iter().all(is_plain)
        && !has_notes()
        && is_answered(&marked)
}

/// Returns the words of a line behind its mark.
fn words<'t>((line, mark): &(&Line<'t>, &Mark<'_>)) -> &'t str {
    line.text.get(mark.words..).unwrap_or_default()
}

/// Returns whether one of the first lines asks, and others behind it answer.
fn is_answered(marked: &[(&Line<'_>, &Mark<'_>)]) -> bool {
    let count = |words: &str| match words.split_whitespace().count() {
        // Some scripts set no spaces between words.
        1 if !words.is_ascii() => words.chars().count() / 2,
        count => count,
    };
    let asks = |said: &(&Line<'_>, &Mark<'_>)| is_question(words(said)) && count(words(said)) >= QUESTION;
    let first = marked.iter().take(marked.len().div_ceil(2)).position(asks);
    first.is_some_and(|at| {
        let asker = marked[at].1.label;
        let others = marked[at + 1..].iter().filter(|(_, mark)| mark.label != asker);
        let answers = others.filter(|said| !is_question(words(said)) && count(words(said)) >= ANSWER);
        answers.count() >= FEWEST - 1
    })
}

/// Returns whether a line begins with a key of notes and a colon: `Date: today`.
fn begins_with_key(line: &str) -> bool {
    line.split_once([':', '：'])
        .is_some_and(|(key, _)| is_note_key(key.trim_matches(|c: char| !c.is_alphanumeric())))
}

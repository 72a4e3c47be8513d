//! Sentences, and who said them.

use std::collections::BTreeMap;
use std::ops::Range;

use antiphon_llm::{Document, Side};

/// One participant and everything they said, over all documents.
pub(super) struct Participant<'a> {
    pub(super) code: &'a str,
    pub(super) sentences: Vec<Sentence<'a>>,
}

/// A sentence of a participant's, as it stands in its document.
#[derive(Clone)]
pub(super) struct Sentence<'a> {
    pub(super) document: usize,
    pub(super) source: &'a str,
    /// Whether it belongs to the first answers, where people say who they are.
    pub(super) introduces: bool,
}

impl Sentence<'_> {
    /// The words on one line.
    pub(super) fn text(&self) -> String {
        let words: Vec<_> = self.source.split_whitespace().collect();
        words.join(" ")
    }
}

/// Turns that count as an introduction.
const INTRODUCTION: usize = 2;

/// The participants in the order of their codes.
pub(super) fn participants(documents: &[Document]) -> Vec<Participant<'_>> {
    let mut by_code: BTreeMap<&str, Vec<Sentence<'_>>> = BTreeMap::new();
    for (index, document) in documents.iter().enumerate() {
        let mut turns: BTreeMap<&str, usize> = BTreeMap::new();
        for turn in document.turns.iter().filter(|turn| turn.side == Side::Participant) {
            let Some(words) = document.text.get(turn.span.clone()) else { continue };
            let turns = turns.entry(&turn.speaker).or_default();
            *turns += 1;
            let introduces = *turns <= INTRODUCTION;
            let sentences =
                sentences(words).map(|span| Sentence { document: index, source: &words[span], introduces });
            by_code.entry(&turn.speaker).or_default().extend(sentences);
        }
    }
    by_code
        .into_iter()
        .filter(|(_, sentences)| !sentences.is_empty())
        .map(|(code, sentences)| Participant { code, sentences })
        .collect()
}

/// The sentences of some words: up to a full stop, question or exclamation mark that a blank and a new start follow.
pub(super) fn sentences(words: &str) -> impl Iterator<Item = Range<usize>> {
    let mut start = 0;
    let mut ends = words
        .char_indices()
        .filter(|(_, c)| matches!(c, '.' | '!' | '?' | '…'))
        .map(|(at, c)| at + c.len_utf8())
        .filter_map(|end| ends_at(words, end))
        .chain([words.len()])
        .collect::<Vec<_>>()
        .into_iter();
    std::iter::from_fn(move || {
        loop {
            let end = ends.next()?;
            let piece = words.get(start..end).unwrap_or_default();
            let from = start + (piece.len() - piece.trim_start().len());
            let span = from..from + piece.trim().len();
            start = start.max(end);
            if !span.is_empty() {
                return Some(span);
            }
        }
    })
}

/// Where a sentence ends whose last mark ends at `end`: behind closing quotes, if a new sentence starts there.
fn ends_at(words: &str, end: usize) -> Option<usize> {
    let rest = words.get(end..)?;
    let closing = rest.len() - rest.trim_start_matches(['"', '”', '’', '\'', ')']).len();
    let after = &rest[closing..];
    let next = after.trim_start();
    let starts =
        |c: char| c.is_uppercase() || c.is_numeric() || matches!(c, '"' | '“' | '‘' | '\'' | '£' | '(');
    let abbreviated =
        ["Mr.", "Mrs.", "Dr.", "e.g.", "i.e.", "etc."].iter().any(|word| words[..end].ends_with(word));
    let is_end = next.is_empty() || (after.starts_with(char::is_whitespace) && next.starts_with(starts));
    (is_end && !abbreviated).then_some(end + closing)
}

#[cfg(test)]
mod tests {
    use super::sentences;

    #[track_caller]
    fn check(words: &str, expected: &[&str]) {
        let found: Vec<_> = sentences(words).map(|span| &words[span]).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn sentences_end_where_a_new_one_starts() {
        check(
            "I pay £9.50 a tray. It hurts… and more. “Why?” she said.",
            &["I pay £9.50 a tray.", "It hurts… and more.", "“Why?” she said."],
        );
        check("He said “No.” Then left, e.g. Monday", &["He said “No.”", "Then left, e.g. Monday"]);
        check("One\nline. \n Two", &["One\nline.", "Two"]);
        check("", &[]);
    }
}

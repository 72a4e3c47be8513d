//! Sentences by participant.

use std::collections::BTreeMap;

use antiphon_llm::{DocumentPart, Side};
use antiphon_text::sentences;

/// A participant and all their sentences, from all documents.
pub(super) struct Participant<'a> {
    pub(super) code: &'a str,
    pub(super) sentences: Vec<Sentence<'a>>,
}

/// A sentence of a participant, verbatim as in its document.
#[derive(Clone)]
pub(super) struct Sentence<'a> {
    pub(super) document: usize,
    pub(super) source: &'a str,
    /// The sentence with the one behind it in the same turn; the sentence alone at the end of one.
    pub(super) with_next: &'a str,
    /// Whether the sentence belongs to the participant's first turns, in which people introduce themselves.
    pub(super) introduces: bool,
}

impl Sentence<'_> {
    /// Returns the sentence on one line.
    pub(super) fn text(&self) -> String {
        let words: Vec<_> = self.source.split_whitespace().collect();
        words.join(" ")
    }
}

/// The number of first turns that count as an introduction.
const INTRODUCTION: usize = 2;

/// Returns the participants with at least one sentence, in the order of their codes.
pub(super) fn participants(documents: &[DocumentPart]) -> Vec<Participant<'_>> {
    let mut by_code: BTreeMap<&str, Vec<Sentence<'_>>> = BTreeMap::new();
    for (index, document) in documents.iter().enumerate() {
        let mut turns: BTreeMap<&str, usize> = BTreeMap::new();
        for turn in document.turns.iter().filter(|turn| answers(turn.side)) {
            let Some(words) = document.text.get(turn.span.clone()) else { continue };
            let turns = turns.entry(&turn.speaker).or_default();
            *turns += 1;
            let introduces = *turns <= INTRODUCTION;
            let spans: Vec<_> = sentences(words).collect();
            let ends = spans.iter().skip(1).chain(spans.last()).map(|span| span.end);
            let sentences = spans.iter().zip(ends).map(|(span, end)| Sentence {
                document: index,
                source: &words[span.clone()],
                with_next: &words[span.start..end],
                introduces,
            });
            by_code.entry(&turn.speaker).or_default().extend(sentences);
        }
    }
    by_code
        .into_iter()
        .filter(|(_, sentences)| !sentences.is_empty())
        .map(|(code, sentences)| Participant { code, sentences })
        .collect()
}

/// Returns all that the participants of a document say, or the whole document if no one of them speaks.
pub(super) fn answers_of(document: &DocumentPart) -> String {
    let turns = document.turns.iter().filter(|turn| answers(turn.side));
    let said: Vec<&str> = turns.filter_map(|turn| document.text.get(turn.span.clone())).collect();
    if said.is_empty() { document.text.to_string() } else { said.join("\n") }
}

/// Returns whether a side's turns are used: those of participants.
fn answers(side: Side) -> bool {
    match side {
        Side::Participant => true,
        Side::Interviewer => false,
    }
}

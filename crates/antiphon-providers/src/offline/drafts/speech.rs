//! Sentences, and who said them.

use std::collections::BTreeMap;

use antiphon_llm::{DocumentPart, Side};
use antiphon_text::sentences;

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
pub(super) fn participants(documents: &[DocumentPart]) -> Vec<Participant<'_>> {
    let mut by_code: BTreeMap<&str, Vec<Sentence<'_>>> = BTreeMap::new();
    for (index, document) in documents.iter().enumerate() {
        let mut turns: BTreeMap<&str, usize> = BTreeMap::new();
        for turn in document.turns.iter().filter(|turn| answers(turn.side)) {
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

/// Whether a side's words are material: those of whoever answers.
fn answers(side: Side) -> bool {
    match side {
        Side::Participant => true,
        Side::Interviewer => false,
    }
}

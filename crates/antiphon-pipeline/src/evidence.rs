//! Whether participants said what is put into their mouths.

mod matcher;
mod text;

use antiphon_data::{Document, Role};

use crate::persona::Match;
use matcher::{Hit, Needle, Vocabulary};

/// Words to be found, and the document they are said to be from.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    pub(crate) words: String,
    pub(crate) document: Option<usize>,
}

/// Where words were found.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Found {
    pub(crate) document: usize,
    pub(crate) speaker: String,
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) matched: Match,
}

/// Why words count as not said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Missing {
    Nowhere,
    /// Only the interviewer said them.
    Interviewer,
    NoWords,
    /// One or two words stand in every interview and prove nothing.
    TooShort,
}

impl Missing {
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::Nowhere => "no participant said this",
            Self::Interviewer => "the interviewer said this, no participant did",
            Self::NoWords => "there are no words to look for",
            Self::TooShort => "one or two words prove nothing unless they are a whole answer",
        }
    }
}

/// Looks each of `wanted` up: first in the document it names, then in all others.
pub(crate) fn verify(wanted: &[Wanted], documents: &[Document]) -> Vec<Result<Found, Missing>> {
    let mut vocabulary = Vocabulary::default();
    let needles: Vec<Needle> = wanted.iter().map(|wanted| vocabulary.needle(&wanted.words)).collect();
    let mut best: Vec<Option<Found>> = vec![None; wanted.len()];
    let search = |document: usize, indices: &[usize], role: Role, best: &mut [Option<Found>]| {
        let some: Vec<&Needle> = indices.iter().map(|index| &needles[*index]).collect();
        for (index, hit) in indices.iter().zip(in_document(&vocabulary, &some, &documents[document], role)) {
            let better = |found: &Found| hit.as_ref().is_some_and(|(_, hit)| hit.matched < found.matched);
            if let Some((speaker, hit)) = &hit
                && best[*index].as_ref().is_none_or(better)
            {
                best[*index] = Some(Found {
                    document,
                    speaker: speaker.clone(),
                    start: hit.start,
                    end: hit.end,
                    matched: hit.matched,
                });
            }
        }
    };
    for (document, indices) in by_document(wanted) {
        if document < documents.len() {
            search(document, &indices, Role::Participant, &mut best);
        }
    }
    let mut interviewer: Vec<Option<Found>> = vec![None; wanted.len()];
    for document in 0..documents.len() {
        let left = |found: &[Option<Found>]| -> Vec<usize> {
            let open =
                |index: &usize| found[*index].as_ref().is_none_or(|found| found.matched == Match::Fuzzy);
            (0..wanted.len()).filter(open).collect()
        };
        let indices = left(&best);
        if indices.is_empty() {
            break;
        }
        search(document, &indices, Role::Participant, &mut best);
        search(document, &left(&best), Role::Interviewer, &mut interviewer);
    }
    let outcome = |index: usize, found: Option<Found>| {
        found.ok_or(match (&needles[index], &interviewer[index]) {
            (needle, _) if needle.is_empty() => Missing::NoWords,
            (needle, None) if needle.is_short() => Missing::TooShort,
            (_, Some(_)) => Missing::Interviewer,
            _ => Missing::Nowhere,
        })
    };
    best.into_iter().enumerate().map(|(index, found)| outcome(index, found)).collect()
}

/// A passage's words on one line.
pub(crate) fn passage(document: &Document, start: usize, end: usize) -> String {
    text::folded(document.text.get(start..end).unwrap_or_default())
}

fn by_document(wanted: &[Wanted]) -> std::collections::BTreeMap<usize, Vec<usize>> {
    let mut by_document = std::collections::BTreeMap::<usize, Vec<usize>>::new();
    for (index, wanted) in wanted.iter().enumerate() {
        if let Some(document) = wanted.document {
            by_document.entry(document).or_default().push(index);
        }
    }
    by_document
}

/// The best hit of each needle in one document, within single turns of one side.
fn in_document(
    vocabulary: &Vocabulary,
    needles: &[&Needle],
    document: &Document,
    role: Role,
) -> Vec<Option<(String, Hit)>> {
    let mut best: Vec<Option<(String, Hit)>> = vec![None; needles.len()];
    for turn in document.turns.iter().filter(|turn| turn.role == role) {
        let tokens = vocabulary.tokens(&document.text, turn.span.clone());
        for (needle, best) in needles.iter().zip(&mut best) {
            let Some(hit) = needle.find(&document.text, &tokens) else { continue };
            if best.as_ref().is_none_or(|(_, best)| hit.is_better_than(best)) {
                *best = Some((turn.speaker.to_string(), hit));
            }
        }
    }
    best
}

#[cfg(test)]
mod tests;

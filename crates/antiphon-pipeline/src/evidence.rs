//! Verification of citations against what participants said.
//!
//! Each quote of an answer is looked up in the documents, so that a hallucination is never shown as evidence. Only words of
//! participants count; words of the interviewer do not.
//!
//! | [`Match`] | requirement |
//! |---|---|
//! | `Exact` | the same characters, but for white space and marks around the passage |
//! | `Normalised` | the same words in compatibility composition (NFKC), ignoring case, apostrophes and punctuation |
//! | `Fuzzy` | at least five words, of which at most one in five differs, and none that negates or is a number |
//!
//! A quote of one or two words is verified only as a whole turn. Quotes, not claims, are verified: whether a claim
//! follows from its quote is left to the reader.
//!
//! # Examples
//! ```
//! use antiphon_data::Document;
//! use antiphon_pipeline::evidence::{Missing, Wanted, verify};
//!
//! let document = Document::parse("a.txt", b"Interviewer: Are you tired?\nP1: I don't want\nto sleep, I want to weave.\n")?;
//! let wanted = [Wanted::new("I don’t want to sleep"), Wanted::new("are you tired"), Wanted::new("I love to sleep all day")];
//! let found = verify(&wanted, std::slice::from_ref(&document));
//! let place = found[0].as_ref().map_err(|missing| missing.reason())?;
//! assert_eq!((place.speaker.as_str(), &document.text[place.start..place.end]), ("P1", "I don't want\nto sleep"));
//! assert_eq!((&found[1], &found[2]), (&Err(Missing::Interviewer), &Err(Missing::Nowhere)));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod matcher;
mod text;

use std::collections::{BTreeMap, BTreeSet};

use antiphon_data::{Document, SpeakerRole};

use crate::persona::Match;
use matcher::{Hit, Needle, Vocabulary};

/// A quote to look up, with the document that it cites.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Wanted {
    /// The quoted words.
    pub words: String,
    /// The index of the document that is searched first; an index without a document is ignored. Default: none.
    pub document: Option<usize>,
}

impl Wanted {
    /// Creates a quote that cites no document.
    #[must_use]
    pub fn new(words: impl Into<String>) -> Self {
        Self { words: words.into(), document: None }
    }

    /// Sets the index of the document that is searched first.
    #[must_use]
    pub fn document(mut self, document: Option<usize>) -> Self {
        self.document = document;
        self
    }
}

/// A verified citation: the passage that a quote was found in.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Found {
    /// The index of the document.
    pub document: usize,
    /// The participant who said the words, as named in the document.
    pub speaker: String,
    /// The start of the passage, as a byte offset in the document's text.
    pub start: usize,
    /// The end of the passage, exclusive, as a byte offset in the document's text.
    pub end: usize,
    /// The kind of match: exact, normalised or fuzzy.
    pub matched: Match,
}

/// The reason why a quote is not verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Missing {
    /// The words are in no participant's turn, as with a hallucination.
    Nowhere,
    /// The words are only in the interviewer's turns.
    Interviewer,
    /// The quote has no words.
    NoWords,
    /// The quote has only one or two words, which could occur in any interview. (So short a quote is verified only if it is a
    /// whole turn.)
    TooShort,
}

impl Missing {
    /// Returns the reason as a sentence for reports.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::Nowhere => "no participant said this",
            Self::Interviewer => "the interviewer said this, no participant did",
            Self::NoWords => "there are no words to look for",
            Self::TooShort => "one or two words prove nothing unless they are a whole answer",
        }
    }
}

/// Looks up each quote of `wanted`: first in the document that it cites, then in all others.
///
/// A passage lies within one turn of a participant. It matches the quote word for word (exact or normalised), or with at most one
/// word in five different (fuzzy): see [`Match`]. Returns one result for each quote, in order.
///
/// This function is CPU-bound, in proportion to the size of the documents: in async code, call it on a blocking thread.
#[must_use]
pub fn verify(wanted: &[Wanted], documents: &[Document]) -> Vec<Result<Found, Missing>> {
    let mut search = Search::new(wanted, documents);
    search.look_up_cited(wanted);
    search.look_up_open();
    search.outcomes()
}

/// A search for quotes, with the best passages so far.
struct Search<'d> {
    vocabulary: Vocabulary,
    /// One needle for each quote.
    needles: Vec<Needle>,
    documents: &'d [Document],
    /// The best passage of a participant for each quote.
    best: Vec<Option<Found>>,
    /// The best passage of an interviewer for quotes without an exact or normalised passage of a participant, for the
    /// reason why a quote is not verified.
    interviewer: Vec<Option<Found>>,
}

impl<'d> Search<'d> {
    /// Numbers the words of all quotes. Nothing is looked up yet.
    fn new(wanted: &[Wanted], documents: &'d [Document]) -> Self {
        let mut vocabulary = Vocabulary::default();
        let labels = labels(wanted, documents);
        let words = wanted.iter().map(|wanted| without_label(&wanted.words, &labels));
        let needles: Vec<Needle> = words.map(|words| vocabulary.needle(words)).collect();
        let (best, interviewer) = (vec![None; wanted.len()], vec![None; wanted.len()]);
        Self { vocabulary, needles, documents, best, interviewer }
    }

    /// Looks up each quote in the document that it cites. An index without a document is ignored.
    fn look_up_cited(&mut self, wanted: &[Wanted]) {
        for (document, indices) in by_document(wanted) {
            if document < self.documents.len() {
                self.look_up(document, &indices, SpeakerRole::Participant);
            }
        }
    }

    /// Looks up the open quotes in one document after the other, until none is open.
    fn look_up_open(&mut self) {
        for document in 0..self.documents.len() {
            let open = self.open();
            if open.is_empty() {
                break;
            }
            self.look_up(document, &open, SpeakerRole::Participant);
            let still_open = self.open();
            self.look_up(document, &still_open, SpeakerRole::Interviewer);
        }
    }

    /// Returns the indices of the quotes without a passage, or with a fuzzy one: another document may have the exact
    /// words.
    fn open(&self) -> Vec<usize> {
        let is_open =
            |index: &usize| self.best[*index].as_ref().is_none_or(|found| found.matched == Match::Fuzzy);
        (0..self.best.len()).filter(is_open).collect()
    }

    /// Looks up quotes, by their indices, in the turns of one side of a document. A passage replaces an earlier one
    /// only if its match is better, so that of equally good ones the cited document's, or the first, is kept.
    fn look_up(&mut self, document: usize, indices: &[usize], role: SpeakerRole) {
        let needles: Vec<&Needle> = indices.iter().map(|index| &self.needles[*index]).collect();
        let hits = in_document(&self.vocabulary, &needles, &self.documents[document], role);
        let best = match role {
            SpeakerRole::Participant | SpeakerRole::Unclear => &mut self.best,
            SpeakerRole::Interviewer => &mut self.interviewer,
        };
        for (index, hit) in indices.iter().zip(hits) {
            let Some((speaker, Hit { start, end, matched, .. })) = hit else { continue };
            if best[*index].as_ref().is_none_or(|found| matched < found.matched) {
                best[*index] = Some(Found { document, speaker, start, end, matched });
            }
        }
    }

    /// Returns the passage of each quote, or the reason why there is none.
    fn outcomes(self) -> Vec<Result<Found, Missing>> {
        let Self { needles, best, interviewer, .. } = self;
        let missing = |index: usize| match (&needles[index], &interviewer[index]) {
            (needle, _) if needle.is_empty() => Missing::NoWords,
            (needle, None) if needle.is_short() => Missing::TooShort,
            (_, Some(_)) => Missing::Interviewer,
            _ => Missing::Nowhere,
        };
        best.into_iter().enumerate().map(|(index, found)| found.ok_or_else(|| missing(index))).collect()
    }
}

/// Returns the speakers' names, which a quote may begin with, as in a transcript. Empty if no quote has a colon.
fn labels<'a>(wanted: &[Wanted], documents: &'a [Document]) -> BTreeSet<&'a str> {
    if !wanted.iter().any(|wanted| wanted.words.contains(':')) {
        return BTreeSet::new();
    }
    documents.iter().flat_map(|document| &document.turns).map(|turn| &*turn.speaker).collect()
}

/// Returns the words without a speaker's name before them, which is not part of the quote.
fn without_label<'w>(words: &'w str, labels: &BTreeSet<&str>) -> &'w str {
    match words.split_once(':') {
        Some((label, rest)) if labels.contains(label.trim().trim_matches('*')) => rest,
        _ => words,
    }
}

/// Returns the words of a passage on one line.
pub(crate) fn passage(document: &Document, start: usize, end: usize) -> String {
    text::folded(document.text.get(start..end).unwrap_or_default())
}

/// Returns the indices of the quotes that cite each document, so that a document is split into words once for all of
/// them.
fn by_document(wanted: &[Wanted]) -> BTreeMap<usize, Vec<usize>> {
    let mut by_document = BTreeMap::<usize, Vec<usize>>::new();
    for (index, wanted) in wanted.iter().enumerate() {
        if let Some(document) = wanted.document {
            by_document.entry(document).or_default().push(index);
        }
    }
    by_document
}

/// Returns the best hit of each needle in one document, within single turns of speakers with `role`.
fn in_document(
    vocabulary: &Vocabulary,
    needles: &[&Needle],
    document: &Document,
    role: SpeakerRole,
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

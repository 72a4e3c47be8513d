//! The search for many quotes in many documents: which document and which side of an interview counts for each.
//!
//! A quote that cites a document is looked up there first, and in the others only to say where its words are. A document is
//! split into words once for all quotes that are looked up in it.

use std::collections::{BTreeMap, BTreeSet};

use antiphon_data::{Document, SpeakerRole, Turn};

use super::matcher::{Hit, Needle, Spoken, Vocabulary};
use super::{Found, Missing, Unfound, Wanted};
use crate::persona::Match;

/// A search for quotes, with the best passages so far.
pub(super) struct Search<'d> {
    vocabulary: Vocabulary,
    documents: &'d [Document],
    quotes: Vec<Quote<'d>>,
}

/// A quote, and the best passages for it so far.
struct Quote<'d> {
    needle: Needle,
    /// The document that is cited; any if there is none.
    cited: Option<usize>,
    /// The best passage of a participant that counts.
    found: Option<Place<'d>>,
    /// The best passage of a speaker whose side is unclear, in a document that counts.
    unclear: Option<Place<'d>>,
    /// The best passage of either in another document than the cited one.
    elsewhere: Option<Place<'d>>,
    /// Whether an interviewer said the words.
    is_asked: bool,
    /// Whether a participant's words were cut so that they say something else.
    is_cut: bool,
}

/// A passage for a quote.
struct Place<'d> {
    hit: Hit,
    /// The index of the document.
    document: usize,
    turn: &'d Turn,
}

impl<'d> Search<'d> {
    /// Numbers the words of all quotes. Nothing is looked up yet.
    pub(super) fn new(wanted: &[Wanted], documents: &'d [Document]) -> Self {
        let mut vocabulary = Vocabulary::default();
        let labels = labels(wanted, documents);
        let quote = |wanted: &Wanted| Quote {
            needle: vocabulary.needle(without_label(&wanted.words, &labels)),
            cited: wanted.document,
            found: None,
            unclear: None,
            elsewhere: None,
            is_asked: false,
            is_cut: false,
        };
        let quotes = wanted.iter().map(quote).collect();
        Self { vocabulary, documents, quotes }
    }

    /// Looks up each quote in the document that it cites.
    pub(super) fn look_up_cited(&mut self) {
        let mut by_document = BTreeMap::<usize, Vec<usize>>::new();
        for (index, quote) in self.quotes.iter().enumerate() {
            if let Some(document) = quote.cited.filter(|document| *document < self.documents.len()) {
                by_document.entry(document).or_default().push(index);
            }
        }
        for (document, indices) in by_document {
            self.look_up(document, &indices);
        }
    }

    /// Looks up the open quotes in one document after the other, until none is open.
    pub(super) fn look_up_open(&mut self) {
        for document in 0..self.documents.len() {
            let is_open = |index: &usize| self.quotes[*index].is_open(document);
            let open: Vec<usize> = (0..self.quotes.len()).filter(is_open).collect();
            self.look_up(document, &open);
        }
    }

    /// Looks up quotes, by their indices, in all turns of a document.
    fn look_up(&mut self, document: usize, indices: &[usize]) {
        if indices.is_empty() {
            return;
        }
        let documents = self.documents;
        for turn in &documents[document].turns {
            let spoken = self.vocabulary.spoken(&documents[document].text, turn.span.clone());
            for index in indices {
                self.quotes[*index].look_up(&self.vocabulary, &spoken, document, turn);
            }
        }
    }

    /// Returns the passage of each quote, or the reason why there is none.
    pub(super) fn outcomes(self) -> Vec<Result<Found, Unfound>> {
        self.quotes.into_iter().map(Quote::outcome).collect()
    }
}

impl<'d> Quote<'d> {
    /// Returns whether the quote is to be looked up in a document that it does not cite. A fuzzy passage in one document does not
    /// end the search: another one may have the exact words.
    fn is_open(&self, document: usize) -> bool {
        let is_final =
            |place: &Option<Place<'_>>| place.as_ref().is_some_and(|place| place.hit.matched != Match::Fuzzy);
        match self.cited {
            None => !is_final(&self.found),
            Some(cited) => {
                cited != document
                    && self.found.is_none()
                    && self.unclear.is_none()
                    && !is_final(&self.elsewhere)
            }
        }
    }

    /// Looks for the quote in one turn. A passage replaces an earlier one only if its match is better, so that of equally good
    /// ones the first is kept.
    fn look_up(&mut self, vocabulary: &Vocabulary, spoken: &Spoken<'_>, document: usize, turn: &'d Turn) {
        if turn.role == SpeakerRole::Interviewer && (self.is_asked || self.found.is_some()) {
            return;
        }
        let sought = self.needle.find(vocabulary, spoken);
        let counts = self.cited.is_none_or(|cited| cited == document);
        let best = match turn.role {
            SpeakerRole::Interviewer => {
                self.is_asked |= sought.hit.is_some();
                return;
            }
            _ if !counts => &mut self.elsewhere,
            SpeakerRole::Participant => &mut self.found,
            SpeakerRole::Unclear => &mut self.unclear,
        };
        self.is_cut |= counts && sought.is_cut;
        let Some(hit) = sought.hit else { return };
        if best.as_ref().is_none_or(|best| hit.is_better_than(&best.hit)) {
            *best = Some(Place { hit, document, turn });
        }
    }

    /// Returns the passage, or the reason why there is none.
    fn outcome(self) -> Result<Found, Unfound> {
        if let Some(place) = self.found.or(self.unclear) {
            return Ok(place.found());
        }
        let missing = if self.needle.is_empty() {
            Missing::NoWords
        } else if self.is_cut {
            Missing::Cut
        } else if self.elsewhere.is_some() {
            Missing::Misattributed
        } else if self.is_asked {
            Missing::Interviewer
        } else if self.needle.is_short() {
            Missing::TooShort
        } else {
            Missing::Nowhere
        };
        let place = self.elsewhere.filter(|_| missing == Missing::Misattributed);
        Err(Unfound { missing, place: place.map(Place::found) })
    }
}

impl Place<'_> {
    /// Returns the passage as evidence.
    fn found(self) -> Found {
        let (Hit { start, end, matched, .. }, turn) = (self.hit, self.turn);
        let (speaker, time) = (turn.speaker.to_string(), turn.time.as_ref().map(ToString::to_string));
        Found { document: self.document, speaker, role: turn.role, time, start, end, matched }
    }
}

/// Returns the speakers' names, which a quote may begin with, as in a transcript. Empty if no quote has a colon.
fn labels<'a>(wanted: &[Wanted], documents: &'a [Document]) -> BTreeSet<&'a str> {
    if !wanted.iter().any(|wanted| wanted.words.contains([':', '：'])) {
        return BTreeSet::new();
    }
    documents.iter().flat_map(|document| &document.turns).map(|turn| &*turn.speaker).collect()
}

/// Returns the words without a speaker's name before them, which is not part of the quote.
fn without_label<'w>(words: &'w str, labels: &BTreeSet<&str>) -> &'w str {
    match words.split_once([':', '：']) {
        Some((label, rest)) if labels.contains(label.trim().trim_matches('*')) => rest,
        _ => words,
    }
}

//! Coverage: the number of participants behind each persona, and the documents that no persona cites.
//!
//! Counts are by passage (document, start, end), so that one quote behind two claims of a persona counts once. In
//! `run.json`:
//!
//! ```json
//! {
//!   "personas": [{ "persona": "persona-001", "claims": 9, "supported": 8, "documents": 3, "speakers": 4 }],
//!   "documents": [{ "document": "p1.txt", "passages": 5, "personas": ["persona-001"] }]
//! }
//! ```

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::types::Persona;
use crate::report::DocumentReport;

/// The evidence behind each persona, and the use of each document.
///
/// Coverage shows which personas rest on few participants, and which documents no persona cites.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Coverage {
    /// The evidence of each persona, in order.
    pub personas: Vec<PersonaCoverage>,
    /// The use of each document, in order.
    pub documents: Vec<DocumentCoverage>,
}

/// The evidence behind one persona.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PersonaCoverage {
    /// The persona's id.
    pub persona: String,
    /// Number of claims.
    pub claims: usize,
    /// Number of claims with evidence in a participant's words: at most `claims`, and zero without grounding.
    pub supported: usize,
    /// Number of documents that its evidence and quotes are from.
    pub documents: usize,
    /// Number of speakers who are cited. A name that occurs in several documents is counted once for each of them.
    pub speakers: usize,
}

/// The use of one document as evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DocumentCoverage {
    /// The document's name.
    pub document: String,
    /// Number of passages that are cited, as a quote or as evidence. A passage that several personas cite is counted once for
    /// each of them.
    pub passages: usize,
    /// The ids of the personas that cite the document.
    pub personas: Vec<String>,
}

/// A cited passage: the document's name, and the start and the end of the passage in its text.
type Passage = (String, usize, usize);

impl Coverage {
    /// Counts the evidence of each persona and the use of each document. Takes time in proportion to the number of
    /// documents times the number of cited passages.
    pub(crate) fn of(personas: &[Persona], documents: &[DocumentReport]) -> Self {
        let cited: Vec<BTreeSet<Passage>> = personas.iter().map(passages).collect();
        let persona =
            |(persona, passages): (&Persona, &BTreeSet<Passage>)| PersonaCoverage::of(persona, passages);
        let document = |document: &DocumentReport| DocumentCoverage::of(document, personas, &cited);
        Self {
            personas: personas.iter().zip(&cited).map(persona).collect(),
            documents: documents.iter().map(document).collect(),
        }
    }

    /// Returns the names of the documents that no persona cites. An empty list does not mean that every participant is
    /// represented: a document may have several speakers, of whom one is cited.
    pub fn unquoted(&self) -> impl Iterator<Item = &str> {
        let unquoted = self.documents.iter().filter(|document| document.passages == 0);
        unquoted.map(|document| document.document.as_str())
    }
}

impl PersonaCoverage {
    /// Counts the evidence of a persona that cites `passages`.
    fn of(persona: &Persona, passages: &BTreeSet<Passage>) -> Self {
        let documents: BTreeSet<&String> = passages.iter().map(|(document, ..)| document).collect();
        Self {
            persona: persona.id.clone(),
            claims: persona.claims().count(),
            supported: persona.supported(),
            documents: documents.len(),
            speakers: count_speakers(persona),
        }
    }
}

impl DocumentCoverage {
    /// Counts the passages of a document. `cited` has the passages of each persona, in the order of `personas`.
    fn of(document: &DocumentReport, personas: &[Persona], cited: &[BTreeSet<Passage>]) -> Self {
        let count = |passages: &BTreeSet<Passage>| {
            passages.iter().filter(|(name, ..)| *name == document.name).count()
        };
        let citing = personas.iter().zip(cited).filter(|(_, passages)| count(passages) > 0);
        Self {
            document: document.name.clone(),
            passages: cited.iter().map(count).sum(),
            personas: citing.map(|(persona, _)| persona.id.clone()).collect(),
        }
    }
}

/// Returns the passages that a persona cites, each once: a quote may also be the evidence of a claim.
fn passages(persona: &Persona) -> BTreeSet<Passage> {
    let quotes = persona.quotes.iter().map(|quote| (quote.document.clone(), quote.start, quote.end));
    let evidence = persona.evidence.iter().map(|found| (found.document.clone(), found.start, found.end));
    quotes.chain(evidence).collect()
}

/// Counts the speakers whom a persona cites. Evidence in files of earlier versions names no speaker, and is not
/// counted.
fn count_speakers(persona: &Persona) -> usize {
    let quoted = persona.quotes.iter().map(|quote| (&quote.document, &quote.speaker));
    let behind = persona.evidence.iter().map(|found| (&found.document, &found.speaker));
    let speakers: BTreeSet<_> = quoted.chain(behind).filter(|(_, speaker)| !speaker.is_empty()).collect();
    speakers.len()
}

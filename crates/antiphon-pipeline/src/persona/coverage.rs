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
    /// Number of claims with evidence in a participant's words.
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

impl Coverage {
    pub(crate) fn of(personas: &[Persona], documents: &[DocumentReport]) -> Self {
        let passages = |persona: &Persona| {
            let quotes = persona.quotes.iter().map(|quote| (quote.document.clone(), quote.start, quote.end));
            let evidence =
                persona.evidence.iter().map(|found| (found.document.clone(), found.start, found.end));
            quotes.chain(evidence).collect::<BTreeSet<_>>()
        };
        let all: Vec<_> = personas.iter().map(passages).collect();
        let persona = |(persona, passages): (&Persona, &BTreeSet<(String, usize, usize)>)| {
            let documents: BTreeSet<&String> = passages.iter().map(|(document, ..)| document).collect();
            let quoted = persona.quotes.iter().map(|quote| (&quote.document, &quote.speaker));
            let behind = persona.evidence.iter().map(|found| (&found.document, &found.speaker));
            let speakers: BTreeSet<_> =
                quoted.chain(behind).filter(|(_, speaker)| !speaker.is_empty()).collect();
            let lists = [&persona.goals, &persona.pain_points, &persona.behaviours, &persona.motivations];
            let claims: Vec<&String> = lists.into_iter().flatten().collect();
            let is_supported =
                |claim: &&&String| persona.evidence.iter().any(|found| found.claim == ***claim);
            PersonaCoverage {
                persona: persona.id.clone(),
                claims: claims.len(),
                supported: claims.iter().filter(is_supported).count(),
                documents: documents.len(),
                speakers: speakers.len(),
            }
        };
        let document = |document: &DocumentReport| {
            let of = |passages: &BTreeSet<(String, usize, usize)>| {
                passages.iter().filter(|(name, ..)| *name == document.name).count()
            };
            let cited = personas.iter().zip(&all).filter(|(_, passages)| of(passages) > 0);
            DocumentCoverage {
                document: document.name.clone(),
                passages: all.iter().map(of).sum(),
                personas: cited.map(|(persona, _)| persona.id.clone()).collect(),
            }
        };
        Self {
            personas: personas.iter().zip(&all).map(persona).collect(),
            documents: documents.iter().map(document).collect(),
        }
    }

    /// Returns the names of the documents that no persona cites.
    pub fn unquoted(&self) -> impl Iterator<Item = &str> {
        let unquoted = self.documents.iter().filter(|document| document.passages == 0);
        unquoted.map(|document| document.document.as_str())
    }
}

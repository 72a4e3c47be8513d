use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::types::Persona;
use crate::report::DocumentReport;

/// What personas rest on, and what none of them does.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Coverage {
    /// One for each persona, in order.
    pub personas: Vec<PersonaCoverage>,
    /// One for each document, in order.
    pub documents: Vec<DocumentCoverage>,
}

/// What one persona rests on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PersonaCoverage {
    /// Its id.
    pub persona: String,
    /// Claims in all.
    pub claims: usize,
    /// Claims with a participant's words behind them.
    pub supported: usize,
    /// Documents that its evidence and its quotes are from.
    pub documents: usize,
    /// People whose words they are, by document.
    pub speakers: usize,
}

/// What rests on one document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DocumentCoverage {
    /// Its name.
    pub document: String,
    /// Passages that are quoted or given as evidence.
    pub passages: usize,
    /// The ids of the personas that do.
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

    /// Documents that no persona quotes or rests on.
    pub fn unquoted(&self) -> impl Iterator<Item = &str> {
        let unquoted = self.documents.iter().filter(|document| document.passages == 0);
        unquoted.map(|document| document.document.as_str())
    }
}

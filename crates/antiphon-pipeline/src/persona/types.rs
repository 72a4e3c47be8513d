use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The content of `personas.json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Personas {
    /// Always `antiphon.personas/1`.
    pub schema: String,
    /// The run that made them.
    pub run_id: String,
    /// The personas.
    pub personas: Vec<Persona>,
}

impl Personas {
    /// The personas of a run.
    #[must_use]
    pub fn new(run_id: impl Into<String>, personas: Vec<Persona>) -> Self {
        Self { schema: "antiphon.personas/1".to_owned(), run_id: run_id.into(), personas }
    }
}

/// A kind of user, drawn from what participants said.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Persona {
    /// `persona-001` and so on.
    pub id: String,
    /// What to call it.
    pub name: String,
    /// What it is about, in one line.
    pub title: String,
    /// What is known of the people behind it; what was not said is not there.
    pub demographics: BTreeMap<String, String>,
    /// What they want.
    pub goals: Vec<String>,
    /// What is in their way.
    pub pain_points: Vec<String>,
    /// What they do.
    pub behaviours: Vec<String>,
    /// Why they do it.
    pub motivations: Vec<String>,
    /// What they said, each verified.
    pub quotes: Vec<Quote>,
    /// Where the claims above are from.
    pub evidence: Vec<Evidence>,
    /// What was claimed or quoted and not found in any participant's words.
    pub unverified: Vec<Unverified>,
}

/// A participant's words, as they stand in a document.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Quote {
    /// The words, on one line.
    pub text: String,
    /// Who said them.
    pub speaker: String,
    /// The document's path from the input's root.
    pub document: String,
    /// The line of the document, from 1; of a DOCX the paragraph.
    pub line: u32,
    /// The first byte in the document's text as it was read, which is the file's own for text and Markdown alone.
    pub start: usize,
    /// The byte behind the last one.
    pub end: usize,
    /// How closely the words that were given as a quote agree with them.
    #[serde(rename = "match")]
    pub matched: Match,
}

/// The passage behind a claim.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Evidence {
    /// The claim, as it stands among goals, pain points, behaviours or motivations.
    pub claim: String,
    /// The document's path from the input's root.
    pub document: String,
    /// The line of the document, from 1; of a DOCX the paragraph.
    pub line: u32,
    /// The first byte in the document's text as it was read, which is the file's own for text and Markdown alone.
    pub start: usize,
    /// The byte behind the last one.
    pub end: usize,
    /// The participant's words there, on one line.
    pub quote: String,
    /// Who said them.
    #[serde(default)]
    pub speaker: String,
    /// How closely the words that were given as evidence agree with them.
    #[serde(rename = "match")]
    pub matched: Match,
}

/// How closely given words agree with a passage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Match {
    /// The same characters, white space aside.
    Exact,
    /// The same words; case, punctuation or the dress of letters differ.
    Normalised,
    /// At most one word in five differs. The passage's own words are kept, not those given.
    Fuzzy,
}

/// Something that no participant is known to have said.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Unverified {
    /// The field it was in, such as `quotes` or `goals`.
    pub field: String,
    /// The claim it was to support; `None` for a quote. The claim stays in its field.
    pub claim: Option<String>,
    /// The words that were given.
    pub quote: String,
    /// Why they count as unverified.
    pub reason: String,
}

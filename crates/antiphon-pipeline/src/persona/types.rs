//! The personas of a run, as they are written to `personas.json`:
//!
//! ```json
//! {
//!   "schema": "antiphon.personas/1",
//!   "run_id": "0190f5fe-7c00-7000-8000-000000000000",
//!   "personas": [{
//!     "id": "persona-001", "name": "The early riser", "title": "Bakes at night",
//!     "demographics": { "occupation": "baker" },
//!     "goals": ["Sleep"], "pain_points": [], "behaviours": [], "motivations": [],
//!     "quotes": [],
//!     "evidence": [{
//!       "claim": "Sleep", "field": "goals", "document": "p1.txt", "line": 2, "start": 32, "end": 48,
//!       "quote": "I want to sleep.", "speaker": "P1", "time": "12:41", "match": "exact"
//!     }],
//!     "unverified": [{
//!       "field": "quotes", "claim": null, "quote": "I bake", "missing": "nowhere", "reason": "no participant said this"
//!     }]
//!   }]
//! }
//! ```

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::evidence::Missing;

/// The content of `personas.json`: the personas of one run. Read one with
/// [`read_personas`](crate::runs::read_personas).
#[derive(Debug, Clone, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Personas {
    /// Always `antiphon.personas/1`.
    pub schema: String,
    /// The id of the run that generated them.
    pub run_id: String,
    /// The personas.
    pub personas: Vec<Persona>,
}

impl Personas {
    /// Creates the document for the personas of a run, with the current schema.
    #[must_use]
    pub fn new(run_id: impl Into<String>, personas: Vec<Persona>) -> Self {
        Self { schema: "antiphon.personas/1".to_owned(), run_id: run_id.into(), personas }
    }
}

/// A kind of user, drawn from what participants said.
///
/// Claims are the entries of [`goals`](Self::goals), [`pain_points`](Self::pain_points),
/// [`behaviours`](Self::behaviours) and [`motivations`](Self::motivations). With grounding, each claim is in
/// [`evidence`](Self::evidence) or in [`unverified`](Self::unverified).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Persona {
    /// The id: `persona-001` and so on, by the position in the answer. Unique within a run only.
    pub id: String,
    /// The name.
    pub name: String,
    /// A description in one line.
    pub title: String,
    /// Facts about the people behind the persona, by name; facts that no one mentioned are absent.
    pub demographics: BTreeMap<String, String>,
    /// Goals.
    pub goals: Vec<String>,
    /// Pain points: obstacles and frustrations.
    pub pain_points: Vec<String>,
    /// Behaviours: habits and ways of working.
    pub behaviours: Vec<String>,
    /// Motivations: the reasons behind the behaviours.
    pub motivations: Vec<String>,
    /// Verified quotes of participants.
    pub quotes: Vec<Quote>,
    /// The verified citations behind the claims above.
    pub evidence: Vec<Evidence>,
    /// Citations that are not verified: possible hallucinations, kept for the reader to judge.
    pub unverified: Vec<Unverified>,
}

impl Persona {
    /// Returns the claims: goals, pain points, behaviours and motivations, in this order.
    ///
    /// ```
    /// use antiphon_pipeline::Persona;
    /// let mut persona = Persona::default();
    /// (persona.goals, persona.motivations) = (vec!["Sleep".to_owned()], vec!["Health".to_owned()]);
    /// assert_eq!(persona.claims().collect::<Vec<_>>(), ["Sleep", "Health"]);
    /// assert!(!persona.has_evidence("Sleep"));
    /// ```
    pub fn claims(&self) -> impl Iterator<Item = &str> {
        let lists = [&self.goals, &self.pain_points, &self.behaviours, &self.motivations];
        lists.into_iter().flatten().map(String::as_str)
    }

    /// Returns the claims in the order of [`claims`](Self::claims), each with its field, such as `goals`. The same claim in two
    /// fields is two claims, each with evidence of its own.
    pub fn claims_by_field(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let lists = [
            ("goals", &self.goals),
            ("pain_points", &self.pain_points),
            ("behaviours", &self.behaviours),
            ("motivations", &self.motivations),
        ];
        lists.into_iter().flat_map(|(field, claims)| claims.iter().map(move |claim| (field, claim.as_str())))
    }

    /// Returns whether a verified citation supports a claim, in whichever field it is. A claim without evidence may be a
    /// hallucination, whether its citation was not found or none was requested.
    #[must_use]
    pub fn has_evidence(&self, claim: &str) -> bool {
        self.evidence.iter().any(|found| found.claim == claim)
    }

    /// Returns the verified citations that support a claim of a field, such as `goals`.
    pub fn evidence_of(&self, field: &str, claim: &str) -> impl Iterator<Item = &Evidence> {
        self.evidence.iter().filter(move |found| found.supports(field, claim))
    }

    /// Returns the number of claims with evidence in their field.
    #[must_use]
    pub fn supported(&self) -> usize {
        self.claims_by_field()
            .filter(|(field, claim)| self.evidence_of(field, claim).next().is_some())
            .count()
    }
}

/// A verified quote: a participant's words, as they are in a document.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Quote {
    /// The quoted words, as the document has them, on one line.
    pub text: String,
    /// The participant who said the words, as named in the document.
    pub speaker: String,
    /// The time at which the speaker's turn begins, such as `12:41`; `None` if the document has no times.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    /// Whether the speaker may be an interviewer: the document does not say who asks. Never in strict grounding.
    #[serde(default, skip_serializing_if = "is_false")]
    pub speaker_unclear: bool,
    /// The document's path from the input's root.
    pub document: String,
    /// The line of the document, from 1; in a DOCX file, the paragraph.
    pub line: u32,
    /// The start of the passage, as a byte offset in the document's extracted text. It is an offset in the file itself only for
    /// plain text and Markdown.
    pub start: usize,
    /// The end of the passage, exclusive, as a byte offset in the same text.
    pub end: usize,
    /// The agreement between the model's quote and these words.
    #[serde(rename = "match")]
    pub matched: Match,
}

/// The evidence of a claim: the passage that its citation was found in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Evidence {
    /// The claim, as it is listed among the goals, pain points, behaviours or motivations.
    pub claim: String,
    /// The field of the claim, such as `goals`; empty in files of earlier versions, for all fields with that claim.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub field: String,
    /// The document's path from the input's root.
    pub document: String,
    /// The line of the document, from 1; in a DOCX file, the paragraph.
    pub line: u32,
    /// The start of the passage, as a byte offset in the document's extracted text. It is an offset in the file itself only for
    /// plain text and Markdown.
    pub start: usize,
    /// The end of the passage, exclusive, as a byte offset in the same text.
    pub end: usize,
    /// The participant's words in that passage, on one line.
    pub quote: String,
    /// The participant who said the words; empty in files of earlier versions.
    #[serde(default)]
    pub speaker: String,
    /// The time at which the speaker's turn begins, such as `12:41`; `None` if the document has no times.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    /// Whether the speaker may be an interviewer: the document does not say who asks. Never in strict grounding.
    #[serde(default, skip_serializing_if = "is_false")]
    pub speaker_unclear: bool,
    /// The agreement between the model's citation and these words.
    #[serde(rename = "match")]
    pub matched: Match,
}

impl Evidence {
    /// Returns whether this is evidence of a claim of a field.
    #[must_use]
    pub fn supports(&self, field: &str, claim: &str) -> bool {
        self.claim == claim && (self.field.is_empty() || self.field == field)
    }
}

/// Returns whether a value is `false`, the default that is not written.
fn is_false(value: &bool) -> bool {
    !value
}

/// The agreement between a citation and the passage in the document.
///
/// All matches have the participant's words in the quoted order; a fuzzy one may lack fillers and articles, or have another form
/// of a word, and is worth a look where the wording matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Match {
    /// The characters are the same, apart from white space.
    Exact,
    /// The words are the same; case, punctuation or the form of letters (such as full width) differs.
    Normalised,
    /// The words are the same but for fillers, articles, contractions of English, and, in English, other forms or spellings of one
    /// word in five, in French plurals. The words of the passage are kept, not those of the citation.
    Fuzzy,
}

/// A citation that is not verified: not found in any participant's words, or not in the document that it names.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Unverified {
    /// The field in which it was cited, such as `quotes` or `goals`.
    pub field: String,
    /// The claim that the citation was meant to support; `None` for a quote. With [`Grounding::Strict`](crate::Grounding::Strict)
    /// the claim is removed from its field.
    pub claim: Option<String>,
    /// The words of the citation.
    pub quote: String,
    /// The reason why the citation is not verified, for programs; `None` in files of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missing: Option<Missing>,
    /// The reason as a sentence.
    pub reason: String,
    /// The place of the words, if they are misattributed or the speaker is unclear.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<SourcePlace>,
}

/// A place in a document, for a citation that is not verified.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SourcePlace {
    /// The document's path from the input's root.
    pub document: String,
    /// The line of the document, from 1; in a DOCX file, the paragraph.
    pub line: u32,
    /// The speaker, as named in the document.
    pub speaker: String,
    /// The time at which the speaker's turn begins; `None` if the document has no times.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
}

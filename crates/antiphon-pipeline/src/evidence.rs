//! Verification of citations against what participants said.
//!
//! Each quote of an answer is looked up in the documents, so that a hallucination is never shown as evidence. Only words of
//! participants count; words of the interviewer do not.
//!
//! | [`Match`] | requirement |
//! |---|---|
//! | `Exact` | the same characters, but for white space and marks around the passage |
//! | `Normalised` | the same words in compatibility composition (NFKC), ignoring case, apostrophes and punctuation |
//! | `Fuzzy` | the same words in the same order, but for fillers ("um"), articles, contractions of English ("don't" and "do not"), and other forms or spellings of one word in five in English, and plurals in French |
//!
//! Chinese, Japanese, Korean, Thai, Lao, Khmer and Burmese are compared by characters, whatever the spaces between them. In a
//! fuzzy match, numbers, negations, limiting words ("rarely") and names are the same: see `words` and `languages` for the lists.
//!
//! These are never evidence, although the words are in the documents: a quote of one or two words, unless it is a whole turn; a
//! passage that leaves out a limiting word or a part of a number right beside it, or a negation of its clause, as "pay for it" in
//! "I would never in my right mind pay for it"; and a passage of another document than the one that is cited. Quotes, not claims, are verified: whether a claim
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
//! let place = found[0].as_ref().map_err(|unfound| unfound.missing.reason())?;
//! assert_eq!((place.speaker.as_str(), &document.text[place.start..place.end]), ("P1", "I don't want\nto sleep"));
//! let missing = |index: usize| found[index].as_ref().err().map(|unfound| unfound.missing);
//! assert_eq!((missing(1), missing(2)), (Some(Missing::Interviewer), Some(Missing::Nowhere)));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod characters;
mod contractions;
mod edges;
mod languages;
mod matcher;
mod pauses;
mod search;
mod sense;
mod skips;
mod text;
mod tongues;
mod words;

use antiphon_data::{Document, SpeakerRole};
use serde::{Deserialize, Serialize};

use crate::persona::Match;
use search::Search;

/// A quote to look up, with the document that it cites.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Wanted {
    /// The quoted words.
    pub words: String,
    /// The index of the document that is cited: the words count only there. An index without a document cites a document that
    /// does not exist. Default: none, so that the words count in each document.
    pub document: Option<usize>,
}

impl Wanted {
    /// Creates a quote that cites no document.
    #[must_use]
    pub fn new(words: impl Into<String>) -> Self {
        Self { words: words.into(), document: None }
    }

    /// Sets the index of the document that is cited.
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
    /// The speaker who said the words, as named in the document.
    pub speaker: String,
    /// The speaker's side: a participant, or [`SpeakerRole::Unclear`]. Strict grounding does not accept the latter.
    pub role: SpeakerRole,
    /// The time at which the speaker's turn begins, if the document has it.
    pub time: Option<String>,
    /// The start of the passage, as a byte offset in the document's text.
    pub start: usize,
    /// The end of the passage, exclusive, as a byte offset in the document's text.
    pub end: usize,
    /// The kind of match: exact, normalised or fuzzy.
    pub matched: Match,
}

/// A quote that is not verified: the reason, and where the words are if they are somewhere.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Unfound {
    /// The reason.
    pub missing: Missing,
    /// The passage with the words, for [`Missing::Misattributed`].
    pub place: Option<Found>,
}

/// The reason why a quote is not verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Missing {
    /// The words are in no participant's turn, as with a hallucination.
    Nowhere,
    /// The words are only in the interviewer's turns.
    Interviewer,
    /// The words are in another document than the one that is cited.
    Misattributed,
    /// The words are only in turns of speakers whose side is unclear, which strict grounding does not accept.
    UnclearSpeaker,
    /// The words are in a participant's turn, and a negation, a limiting word or a part of a number right beside them is left out.
    Cut,
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
            Self::Misattributed => "misattributed: this was said in another document than the cited one",
            Self::UnclearSpeaker => "speaker unclear: this may be a question or an answer",
            Self::Cut => "cut: the words beside it, which deny or limit it, are left out",
            Self::NoWords => "there are no words to look for",
            Self::TooShort => "one or two words prove nothing unless they are a whole answer",
        }
    }
}

/// Looks up each quote of `wanted` in the document that it cites, or in all documents if it cites none.
///
/// A passage lies within one turn of a participant, or of a speaker whose side is unclear if no participant said the words: see
/// [`Found::role`]. For the kinds of matches see [`Match`]. Returns one result for each quote, in order.
///
/// This function is CPU-bound, in proportion to the size of the documents: in async code, call it on a blocking thread.
#[must_use]
pub fn verify(wanted: &[Wanted], documents: &[Document]) -> Vec<Result<Found, Unfound>> {
    let mut search = Search::new(wanted, documents);
    search.look_up_cited();
    search.look_up_open();
    search.outcomes()
}

/// Returns the words of a passage on one line.
pub(crate) fn passage(document: &Document, start: usize, end: usize) -> String {
    let words: Vec<&str> = document.text.get(start..end).unwrap_or_default().split_whitespace().collect();
    words.join(" ")
}

#[cfg(test)]
mod tests;

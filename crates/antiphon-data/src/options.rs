//! Options of reading that only a user can know.

use std::collections::BTreeSet;

use crate::document::{Document, SpeakerRole, Turn};
use crate::speakers;

/// Options for reading a document, for what its file does not say: who asks, and who answers.
///
/// A name matches a speaker's whole name or first name, ignoring case. Names that occur in no file change nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ParseOptions {
    interviewers: Vec<String>,
    participants: Vec<String>,
}

impl ParseOptions {
    /// Creates options that leave everything to the files.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes an interviewer of the speakers with this name. Can be called for several names.
    #[must_use]
    pub fn interviewer(mut self, name: impl Into<String>) -> Self {
        self.interviewers.push(name.into());
        self
    }

    /// Makes a participant of the speakers with this name, also where a file says otherwise. Can be called for several
    /// names.
    #[must_use]
    pub fn participant(mut self, name: impl Into<String>) -> Self {
        self.participants.push(name.into());
        self
    }

    /// Returns the names that no speaker of these documents has, such as misspelt ones.
    #[must_use]
    pub fn unknown_names(&self, documents: &[Document]) -> Vec<String> {
        let speakers: BTreeSet<&str> =
            documents.iter().flat_map(|document| &document.turns).map(|turn| &*turn.speaker).collect();
        let is_unknown = |name: &&String| !speakers.iter().any(|speaker| is_meant(speaker, name));
        self.interviewers.iter().chain(&self.participants).filter(is_unknown).cloned().collect()
    }

    /// Sets the sides of the speakers that are named. A participant's name has precedence.
    pub(crate) fn settle(&self, turns: &mut [Turn]) {
        let named = |names: &[String], turn: &Turn| names.iter().any(|name| is_meant(&turn.speaker, name));
        for turn in turns {
            if named(&self.participants, turn) {
                turn.role = SpeakerRole::Participant;
            } else if named(&self.interviewers, turn) {
                turn.role = SpeakerRole::Interviewer;
            }
        }
    }
}

/// Returns whether a speaker is the one whom a user names: by the whole name, the first name, or the label in the file.
fn is_meant(speaker: &str, name: &str) -> bool {
    let is_label = || speaker.strip_suffix(name).is_some_and(|person| person.ends_with(' '));
    speakers::is_called(speaker, name) || speakers::is_called(name, speaker) || is_label()
}

//! Options of reading that only a user can know.

use crate::document::{SpeakerRole, Turn};
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

    /// Sets the sides of the speakers that are named. A participant's name has precedence.
    pub(crate) fn settle(&self, turns: &mut [Turn]) {
        let named =
            |names: &[String], turn: &Turn| names.iter().any(|name| speakers::is_called(&turn.speaker, name));
        for turn in turns {
            if named(&self.participants, turn) {
                turn.role = SpeakerRole::Participant;
            } else if named(&self.interviewers, turn) {
                turn.role = SpeakerRole::Interviewer;
            }
        }
    }
}

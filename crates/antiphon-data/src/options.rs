//! Options of reading for what a file does not say.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use antiphon_fs::Encoding;

use crate::document::{Document, SpeakerRole, Turn};
use crate::speakers;

/// Options for reading a document, for what its file does not say: who asks, who answers, and its encoding.
///
/// A name matches a speaker's whole name or first name, ignoring case. Names that occur in no file change nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ParseOptions {
    interviewers: Vec<String>,
    participants: Vec<String>,
    pub(crate) encoding: Option<Encoding>,
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

    /// Sets the encoding of files that are not UTF-8 and have no byte order mark; `None` to detect it. Default: none.
    ///
    /// Without it, such files are read in the encoding that they declare, as windows-1252 if they have the letters of
    /// western languages, or not at all; [`Document::encoding`] says how. See [`Encoding::of_label`] for names.
    ///
    /// ```
    /// use antiphon_data::{Document, Encoding, ParseOptions};
    /// let options = ParseOptions::new().encoding(Encoding::of_label("windows-1251"));
    /// let document = Document::parse_with("p1.txt", b"P1: \xc4\xe0.\n", &options)?;
    /// assert_eq!(&*document.text, "P1: Да.\n");
    /// # Ok::<(), antiphon_data::Failure>(())
    /// ```
    #[must_use]
    pub fn encoding(mut self, encoding: impl Into<Option<Encoding>>) -> Self {
        self.encoding = encoding.into();
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

    /// Sets the sides of the speakers that are named.
    pub(crate) fn settle(&self, turns: &mut [Turn]) {
        if self.interviewers.is_empty() && self.participants.is_empty() {
            return;
        }
        let mut roles: BTreeMap<Arc<str>, Option<SpeakerRole>> = BTreeMap::new();
        for turn in turns {
            let role = match roles.get(&turn.speaker) {
                Some(role) => *role,
                None => *roles.entry(turn.speaker.clone()).or_insert(self.role_of(&turn.speaker)),
            };
            turn.role = role.unwrap_or(turn.role);
        }
    }

    /// Returns the side of a speaker who is named; a participant's name has precedence.
    fn role_of(&self, speaker: &str) -> Option<SpeakerRole> {
        let is_named = |names: &[String]| names.iter().any(|name| is_meant(speaker, name));
        if is_named(&self.participants) {
            Some(SpeakerRole::Participant)
        } else {
            is_named(&self.interviewers).then_some(SpeakerRole::Interviewer)
        }
    }
}

/// Returns whether a speaker is the one whom a user names: by the whole name, the first name, or the label in the file.
fn is_meant(speaker: &str, name: &str) -> bool {
    let is_label = || speaker.strip_suffix(name).is_some_and(|person| person.ends_with(' '));
    speakers::is_called(speaker, name) || speakers::is_called(name, speaker) || is_label()
}

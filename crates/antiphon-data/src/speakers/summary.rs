//! The speakers of a document, for showing who was taken for what.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::settle::is_question;
use crate::document::{Document, SpeakerRole};

/// A speaker of a document, with the number of turns and of questions. Returned by [`Document::speakers`].
///
/// The text form says who was taken for what: `Sam Lee: interviewer, asks 31 of 34 questions`.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct Speaker {
    /// The name, as in [`Turn::speaker`](crate::Turn::speaker).
    pub name: Arc<str>,
    /// The side that most of the turns have.
    pub role: SpeakerRole,
    /// The number of turns.
    pub turns: usize,
    /// The number of turns that are questions.
    pub questions: usize,
    /// The number of questions of all speakers of the document.
    pub all_questions: usize,
}

impl Speaker {
    /// Returns the speakers of a document in the order of their first turns.
    pub(crate) fn of(document: &Document) -> Vec<Self> {
        let mut speakers: Vec<Self> = Vec::new();
        let mut places: BTreeMap<(&str, SpeakerRole), usize> = BTreeMap::new();
        for turn in &document.turns {
            let place = *places.entry((&*turn.speaker, turn.role)).or_insert_with(|| {
                let (name, role) = (turn.speaker.clone(), turn.role);
                speakers.push(Self { name, role, turns: 0, questions: 0, all_questions: 0 });
                speakers.len() - 1
            });
            if let Some(speaker) = speakers.get_mut(place) {
                speaker.turns += 1;
                speaker.questions += usize::from(is_question(document.words(turn)));
            }
        }
        let all_questions = speakers.iter().map(|speaker| speaker.questions).sum();
        speakers.iter_mut().for_each(|speaker| speaker.all_questions = all_questions);
        speakers
    }
}

impl fmt::Display for Speaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let role = match self.role {
            SpeakerRole::Participant => "participant",
            SpeakerRole::Interviewer => "interviewer",
            SpeakerRole::Unclear => "unclear",
        };
        write!(f, "{}: {role}", self.name)?;
        match (self.role, self.all_questions) {
            (SpeakerRole::Participant, _) | (_, 0) => Ok(()),
            (_, 1) => write!(f, ", asks {} of 1 question", self.questions),
            (_, all) => write!(f, ", asks {} of {all} questions", self.questions),
        }
    }
}

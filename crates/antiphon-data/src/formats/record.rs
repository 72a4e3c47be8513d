//! Rows of tables and trees: which field is the speaker, which is the text, and which are answers.
//!
//! | the row has | a turn is | other fields |
//! |---|---|---|
//! | a field for the text, such as `text` or `answer` | that field | lines without a speaker, such as `age: 40` |
//! | none, as in a survey | each field of two or more words, after the question that is its key | the same |
//!
//! The speaker is in a field such as `speaker` or `name`, or else in `role` or `type`. Without one, the speaker is the
//! file's person. Keys are compared ignoring case; the first known key whose field is not empty counts. Numbers, dates
//! and other scalars are never speech.

use crate::builder::{Body, Voice, Words};
use crate::document::SpeakerRole;
use crate::speakers;

/// Keys for the speaker in tables and JSON, in order of preference.
const SPEAKER_KEYS: [&str; 9] = [
    "speaker",
    "participant",
    "who",
    "name",
    "author",
    "respondent",
    "participant_id",
    "respondent_id",
    "user",
];
/// Keys for the speaker's side.
const ROLE_KEYS: [&str; 2] = ["role", "type"];
/// Keys for the words, in order of preference.
const TEXT_KEYS: [&str; 9] =
    ["text", "content", "utterance", "words", "transcript", "message", "quote", "response", "answer"];

/// One field of a row or an object.
pub(crate) struct Field<'a> {
    /// The column's name, or the key of the object.
    pub(crate) key: &'a str,
    /// The text of the value, and its line.
    pub(crate) value: Words<'a>,
    /// Whether the value is words: numbers and dates are not speech.
    pub(crate) is_text: bool,
}

/// Returns whether a key is one for the words.
pub(crate) fn is_text_key(key: &str) -> bool {
    TEXT_KEYS.iter().any(|known| known.eq_ignore_ascii_case(key))
}

/// Returns whether a key is one for the speaker, or `role`.
pub(crate) fn is_person_key(key: &str) -> bool {
    SPEAKER_KEYS.iter().chain(&ROLE_KEYS[..1]).any(|known| known.eq_ignore_ascii_case(key))
}

/// Adds a row: its text if it has a field for that, else every field as an answer to the question that is its key.
/// Fields that are not speech become lines without a speaker.
pub(crate) fn add(body: &mut Body, fields: &[Field<'_>], person: &str) {
    let columns = Columns::of(fields);
    let label = columns.label(fields).unwrap_or(person);
    let name = speakers::speaker_of(label, person);
    let voice = Voice { speaker: &name, role: columns.side(fields), time: None };
    for (at, field) in fields.iter().enumerate() {
        match columns.text {
            Some(text) if text == at => body.say(label, voice, field.value),
            Some(_) if columns.speaker == Some(at) => {}
            None if columns.is_answer(at, field) => body.say(field.key, voice, field.value),
            _ => body.note(field.key, field.value),
        }
    }
}

/// The positions of a row's fields with a known key; `None` for a field that the row does not have, or that is empty.
struct Columns {
    speaker: Option<usize>,
    /// The field for the speaker's side.
    role: Option<usize>,
    /// The field for the words; `None` as well if it is a number, for example.
    text: Option<usize>,
}

impl Columns {
    /// Finds the fields by their keys.
    fn of(fields: &[Field<'_>]) -> Self {
        let find = |keys: &[&str]| {
            let named = |key: &&str| fields.iter().position(|field| field.key.eq_ignore_ascii_case(key));
            keys.iter().filter_map(named).find(|at| !fields[*at].value.text.trim().is_empty())
        };
        let text = find(&TEXT_KEYS).filter(|at| fields[*at].is_text);
        Self { speaker: find(&SPEAKER_KEYS), role: find(&ROLE_KEYS), text }
    }

    /// Returns the label of the row's speaker: the name, or the side of a speaker without a name.
    fn label<'a>(&self, fields: &[Field<'a>]) -> Option<&'a str> {
        self.speaker.or(self.role).map(|at| fields[at].value.text.trim())
    }

    /// Returns the speaker's side. A name or a role makes an interviewer; the field's key does not.
    fn side(&self, fields: &[Field<'_>]) -> SpeakerRole {
        let mut sides =
            [self.speaker, self.role].into_iter().flatten().map(|at| fields[at].value.text.trim());
        if sides.any(|label| speakers::role_of(label) == SpeakerRole::Interviewer) {
            SpeakerRole::Interviewer
        } else {
            SpeakerRole::Participant
        }
    }

    /// Returns whether a field of a row without a text is speech: two words or more, and not the speaker's name or
    /// side.
    fn is_answer(&self, at: usize, field: &Field<'_>) -> bool {
        field.is_text
            && self.speaker != Some(at)
            && self.role != Some(at)
            && field.value.text.split_whitespace().nth(1).is_some()
    }
}

use crate::builder::{Body, Voice, Words};
use crate::document::SpeakerRole;
use crate::speakers;

/// Keys for the speaker in tables and JSON.
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
/// Keys for the words.
const TEXT_KEYS: [&str; 9] =
    ["text", "content", "utterance", "words", "transcript", "message", "quote", "response", "answer"];

/// One field of a row or an object.
pub(crate) struct Field<'a> {
    pub(crate) key: &'a str,
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
    let find = |keys: &[&str]| {
        let named = |key: &&str| fields.iter().position(|field| field.key.eq_ignore_ascii_case(key));
        keys.iter().filter_map(named).find(|at| !fields[*at].value.text.trim().is_empty())
    };
    let (speaker, role) = (find(&SPEAKER_KEYS), find(&ROLE_KEYS));
    let label = speaker.or(role).map_or(person, |at| fields[at].value.text.trim());
    // A name or a role makes an interviewer; the field's key does not.
    let asks = [speaker, role]
        .into_iter()
        .flatten()
        .any(|at| speakers::role_of(fields[at].value.text.trim()) == SpeakerRole::Interviewer);
    let name = speakers::speaker_of(label, person);
    let voice = Voice {
        speaker: &name,
        role: if asks { SpeakerRole::Interviewer } else { SpeakerRole::Participant },
    };
    let text = find(&TEXT_KEYS).filter(|at| fields[*at].is_text);
    for (at, field) in fields.iter().enumerate() {
        let is_answer = text.is_none()
            && field.is_text
            && speaker != Some(at)
            && role != Some(at)
            && field.value.text.split_whitespace().nth(1).is_some();
        match text {
            Some(text) if text == at => body.say(label, voice, field.value),
            Some(_) if speaker == Some(at) => {}
            None if is_answer => body.say(field.key, voice, field.value),
            _ => body.note(field.key, field.value),
        }
    }
}

use crate::builder::Body;
use crate::speakers;

/// Names under which tables and JSON keep who spoke, and what was said.
const SPEAKER_KEYS: [&str; 9] =
    ["speaker", "participant", "who", "name", "author", "role", "respondent", "participant_id", "user"];
const TEXT_KEYS: [&str; 9] =
    ["text", "content", "utterance", "words", "transcript", "message", "quote", "response", "answer"];

/// One field of a row or an object.
pub(crate) struct Field<'a> {
    pub(crate) key: &'a str,
    pub(crate) value: &'a str,
    /// The source line where the value begins.
    pub(crate) line: u32,
    /// Whether the value is words: numbers and the like are nobody's speech.
    pub(crate) is_text: bool,
}

/// Adds a row: its text if it has a field for that, else every field as an answer to its own name.
pub(crate) fn add(body: &mut Body, fields: &[Field<'_>], stem: &str) {
    let find =
        |keys: &[&str]| keys.iter().find_map(|key| fields.iter().find(|f| f.key.eq_ignore_ascii_case(key)));
    let label = find(&SPEAKER_KEYS).filter(|field| !field.value.trim().is_empty());
    if let Some(words) = find(&TEXT_KEYS).filter(|field| field.is_text) {
        return match label {
            Some(label) => {
                let name = label.value.trim();
                body.say(name, speakers::speaker_of(name, stem), words.value, words.line);
            }
            None => body.say(stem, stem, words.value, words.line),
        };
    }
    let speaker = label.map_or(stem, |field| field.value.trim());
    for field in fields.iter().filter(|field| !field.value.trim().is_empty()) {
        let is_label = label.is_some_and(|label| label.key == field.key);
        if field.is_text && !is_label && field.value.split_whitespace().nth(1).is_some() {
            body.say(field.key, speaker, field.value, field.line);
        } else {
            body.note(&format!("{}: {}", field.key, field.value), field.line);
        }
    }
}

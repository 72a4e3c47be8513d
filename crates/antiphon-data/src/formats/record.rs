//! Rows of tables and trees: which field is the speaker, which is the text, and which are answers.
//!
//! | the row has | a turn is | other fields |
//! |---|---|---|
//! | a field for the text, such as `text` or `answer` | that field | lines without a speaker, such as `age: 40` |
//! | none, as in a survey | each field of two or more words, after the question that is its key | the same |
//!
//! The speaker is in a field such as `speaker` or `name`, or else in `role`. Without one, the speaker is the
//! one of the values around the row, or the file's person. Keys are compared without case, `_`, `-` and spaces; the first
//! known key whose field is not empty counts. Numbers, dates and other scalars are never speech.
//!
//! In the messages of a chat with a program, the words of the program are lines without a speaker, and its instructions
//! are left out.

use std::borrow::Cow;

use crate::builder::{Body, Voice, Words};
use crate::document::SpeakerRole;
use crate::formats::clock::{self, Unit};
use crate::formats::foreign;
use crate::formats::people::People;
use crate::speakers;

/// Keys for the speaker in tables and trees, normalised, in order of preference: names, then numbers and codes.
const SPEAKER_KEYS: [&str; 40] = [
    "speakername",
    "speakerdisplayname",
    "speaker",
    "participantname",
    "participant",
    "who",
    "name",
    "author",
    "respondent",
    "participantid",
    "respondentid",
    "user",
    "username",
    "displayname",
    "sendername",
    "sender",
    "from",
    "speakerlabel",
    "speakertag",
    "speakerid",
    "by",
    "person",
    "character",
    "nickname",
    "sprecher",
    "hablante",
    "locuteur",
    "wer",
    "redner",
    "quien",
    "quién",
    "qui",
    "chi",
    "quem",
    "кто",
    "спикер",
    "говорящий",
    "話者",
    "发言人",
    "화자",
];
/// Keys for a speaker only in a row that has a text: in a survey, they are questions.
const SPEAKER_OF_TEXT: [&str; 21] = [
    "username",
    "displayname",
    "sendername",
    "sender",
    "from",
    "by",
    "person",
    "character",
    "wer",
    "redner",
    "quien",
    "quién",
    "qui",
    "chi",
    "quem",
    "кто",
    "спикер",
    "говорящий",
    "話者",
    "发言人",
    "화자",
];
/// Keys for the channel of a recording, which takes the place of a speaker if there are several.
const CHANNEL_KEYS: [&str; 3] = ["channel", "channellabel", "channeltag"];
/// Keys for the speaker's side.
const ROLE_KEYS: [&str; 3] = ["role", "participantrole", "type"];
/// Values of `type` that are sides; others are types of messages and events.
const SIDES: [&str; 9] = [
    "interviewer",
    "moderator",
    "question",
    "answer",
    "participant",
    "respondent",
    "interviewee",
    "customer",
    "user",
];
/// Keys for the words, normalised, in order of preference.
const TEXT_KEYS: [&str; 36] = [
    "text",
    "content",
    "utterance",
    "sentence",
    "words",
    "transcript",
    "transcription",
    "display",
    "displaytext",
    "message",
    "quote",
    "response",
    "answer",
    "fulltranscript",
    "fulltext",
    "body",
    "said",
    "speech",
    "dialogue",
    "statement",
    "line",
    "texto",
    "texte",
    "testo",
    "aussage",
    "value",
    "wortlaut",
    "beitrag",
    "redebeitrag",
    "текст",
    "реплика",
    "発言",
    "発話",
    "发言",
    "内容",
    "발화",
];
/// Keys for the words that count only beside another key.
const TEXT_BESIDE: [(&str, &str); 2] = [("value", "from"), ("display", "lexical")];
/// Keys whose words are a participant's, whatever the name of the speaker.
const ANSWER_KEYS: [&str; 3] = ["answer", "response", "quote"];
/// Authors of messages that a program wrote.
const PROGRAMS: [&str; 6] = ["assistant", "model", "gpt", "ai", "bot", "chatgpt"];
/// Authors of messages that no one reads: instructions, and results for a program.
const INSTRUCTIONS: [&str; 4] = ["system", "developer", "tool", "function"];
/// Authors of messages who are the user of a program.
const USERS: [&str; 2] = ["user", "human"];

/// One field of a row or an object.
#[derive(Debug, Clone)]
pub(crate) struct Field<'a> {
    /// The column's name, or the key of the object.
    pub(crate) key: &'a str,
    /// The value.
    pub(crate) text: Cow<'a, str>,
    /// The source line of the value.
    pub(crate) line: u32,
    /// Whether a line end in the value is one in the source.
    pub(crate) lines_count: bool,
    /// Whether the value is words: numbers and dates are not speech.
    pub(crate) is_text: bool,
}

impl Field<'_> {
    /// Returns the words of the value.
    pub(crate) fn words(&self) -> Words<'_> {
        Words { text: &self.text, line: self.line, lines_count: self.lines_count }
    }
}

/// Returns a key without case, spaces and signs: `speakername` for `Speaker_Name` and `speakerName`.
pub(crate) fn normal(key: &str) -> String {
    key.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// Returns a cell's text without white space and the colon behind a name.
#[cfg(any(feature = "csv", feature = "docx", feature = "html"))]
pub(crate) fn without_colon(cell: &str) -> &str {
    cell.trim().trim_end_matches(':').trim_end()
}

/// Returns whether a normalised key is one for the words.
pub(crate) fn is_text_key(key: &str) -> bool {
    TEXT_KEYS.contains(&key) || foreign::is_text(key)
}

/// Returns whether a normalised key is one for a speaker that also speaks in the values inside.
pub(crate) fn is_speaker_around(key: &str) -> bool {
    key.starts_with("speaker")
        || key.starts_with("participant")
        || key.starts_with("respondent")
        || key == "who"
        || CHANNEL_KEYS.contains(&key)
}

/// Returns whether a key, normalised, is this one.
pub(crate) fn is_key(key: &str, known: &str) -> bool {
    known.chars().eq(key.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase))
}

/// Returns whether a value of `type` is a side of the interview.
pub(crate) fn is_side(value: &str) -> bool {
    SIDES.contains(&&*normal(value))
}

/// Returns whether the row is a message of a program, or an instruction for one.
pub(crate) fn is_of_program(row: &Row<'_>) -> bool {
    matches!(row.author(), Author::Program | Author::Instruction)
}

/// Returns whether a normalised key is one for a speaker, a role or a channel.
pub(crate) fn is_person_key(key: &str) -> bool {
    SPEAKER_KEYS.contains(&key) || foreign::is_speaker(key) || key == "role" || CHANNEL_KEYS.contains(&key)
}

/// A row, with what its keys mean.
#[derive(Debug, Clone)]
pub(crate) struct Row<'a> {
    pub(crate) fields: Vec<Field<'a>>,
    /// The label of the speaker in the values around the row.
    pub(crate) around: Option<Cow<'a, str>>,
    /// The time, if the row or the values around it have one.
    pub(crate) time: Option<String>,
    places: Places,
}

/// The positions of [`Columns`] as a large file has them in memory, for millions of rows; `u32::MAX` for none.
#[derive(Debug, Clone, Copy)]
struct Places([u32; 4]);

impl From<Columns> for Places {
    fn from(Columns { speaker, role, text, time }: Columns) -> Self {
        let place = |at: Option<usize>| at.and_then(|at| u32::try_from(at).ok()).unwrap_or(u32::MAX);
        Self([speaker, role, text, time].map(place))
    }
}

impl From<Places> for Columns {
    fn from(Places(places): Places) -> Self {
        let at = |place: u32| usize::try_from(place).ok().filter(|_| place != u32::MAX);
        let [speaker, role, text, time] = places.map(at);
        Self { speaker, role, text, time }
    }
}

/// The positions of a row's fields with a known key; `None` for a field that the row does not have, or that is empty.
#[derive(Debug, Clone, Copy)]
struct Columns {
    speaker: Option<usize>,
    /// The field for the speaker's side.
    role: Option<usize>,
    /// The field for the words; `None` as well if it is a number, for example.
    text: Option<usize>,
    /// The field for the time.
    time: Option<usize>,
}

/// The author of a message.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Author {
    Person,
    /// The user of a program, who is the file's person.
    User,
    Program,
    Instruction,
}

impl<'a> Row<'a> {
    /// Creates a row of fields, whose bare times are in this unit.
    pub(crate) fn new(fields: Vec<Field<'a>>, unit: Unit, people: &People<'_>) -> Self {
        let keys: Vec<String> = fields.iter().map(|field| normal(field.key)).collect();
        let columns = Columns::of(&fields, &keys, people);
        let time = columns.time.and_then(|at| clock::time_of(&keys[at], &fields[at].text, unit));
        let columns = Columns { time: columns.time.filter(|_| time.is_some()), ..columns };
        Self { fields, around: None, time, places: columns.into() }
    }

    /// Returns the positions of the fields with a known key.
    fn columns(&self) -> Columns {
        self.places.into()
    }

    /// Returns the words of a row that has a field for them.
    pub(crate) fn text(&self) -> Option<&Field<'a>> {
        self.columns().text.map(|at| &self.fields[at])
    }

    /// Takes the fields out of the row. Words under a key that counts only beside another one get a key that always does.
    pub(crate) fn take_fields(&mut self) -> Vec<Field<'a>> {
        let mut fields = std::mem::take(&mut self.fields);
        let text = self.columns().text.and_then(|at| fields.get_mut(at));
        if let Some(field) = text.filter(|field| TEXT_BESIDE.iter().any(|(key, _)| is_key(field.key, key))) {
            field.key = "text";
        }
        fields
    }

    /// Returns what is left of a row whose words another one has: the fields that are neither the speaker nor the time.
    /// A row with a time is one of a service, whose other fields are about the words.
    pub(crate) fn notes(self) -> Vec<Field<'a>> {
        let Columns { speaker, role, text, time } = self.columns();
        let is_used = |at: &usize| [speaker, role, text, time].contains(&Some(*at));
        let others =
            self.fields.into_iter().enumerate().filter(|(at, _)| self.time.is_none() && !is_used(at));
        others.map(|(_, field)| field).collect()
    }

    /// Returns whether the row, or the values around it, name the speaker.
    pub(crate) fn is_named(&self) -> bool {
        self.columns().speaker.is_some() || self.around.is_some()
    }

    /// Returns whether the row itself names the speaker or the side.
    pub(crate) fn names_speaker(&self) -> bool {
        self.columns().speaker.or(self.columns().role).is_some()
    }

    /// Returns whether the row has words that someone said.
    pub(crate) fn is_speech(&self) -> bool {
        let mut fields = self.fields.iter().enumerate();
        self.columns().text.is_some() || fields.any(|(at, field)| self.columns().is_answer(at, field))
    }

    /// Returns the label of the row's speaker: the name, or the side of a speaker without a name.
    pub(crate) fn label(&self, people: &People<'_>) -> Option<Cow<'a, str>> {
        let at = self.columns().speaker.or(self.columns().role.filter(|_| self.around.is_none()));
        let own = at.map(|at| people.label(&normal(self.fields[at].key), &self.fields[at].text));
        own.or_else(|| self.around.clone())
    }

    /// Returns whether a field is another name or number of the speaker, in a row of a service.
    fn is_other_id(&self, at: usize) -> bool {
        let key = normal(self.fields[at].key);
        let is_id = key.starts_with("speaker") || CHANNEL_KEYS.contains(&&*key) || key == "userid";
        is_id && self.time.is_some() && self.is_named()
    }

    /// Returns who wrote the row, if it is a message.
    fn author(&self) -> Author {
        let named = self.columns().speaker.map(|at| &self.fields[at]);
        let is_sender = |field: &&Field<'_>| matches!(&*normal(field.key), "sender" | "from" | "author");
        let is_content = self.text().is_some_and(|text| matches!(&*normal(text.key), "content" | "parts"));
        let role = self.columns().role.filter(|_| named.is_none() && is_content).map(|at| &self.fields[at]);
        match named.filter(is_sender).or(role).map(|field| field.text.trim()) {
            Some(name) if PROGRAMS.contains(&name) => Author::Program,
            Some(name) if INSTRUCTIONS.contains(&name) => Author::Instruction,
            Some(name) if USERS.contains(&name) => Author::User,
            _ => Author::Person,
        }
    }

    /// Returns the speaker's side. A name or a role decides; the field's key does so only for answers.
    fn side(&self, label: Option<&str>) -> SpeakerRole {
        let role = self.columns().role.map(|at| self.fields[at].text.trim());
        let sides = || [label, role].into_iter().flatten().map(speakers::role_of);
        let has = |wanted: SpeakerRole| sides().any(|side| side == wanted);
        let is_answer = self.text().is_none_or(|text| ANSWER_KEYS.contains(&&*normal(text.key)));
        if has(SpeakerRole::Interviewer) {
            SpeakerRole::Interviewer
        } else if is_answer || has(SpeakerRole::Participant) || self.author() == Author::User {
            SpeakerRole::Participant
        } else {
            speakers::role_of(label.unwrap_or_default())
        }
    }
}

/// Adds a row: its text if it has a field for that, else every field as an answer to the question that is its key.
/// Fields that are not speech become lines without a speaker.
pub(crate) fn add(body: &mut Body, row: &Row<'_>, people: &People<'_>) {
    let author = row.author();
    let label = row.label(people).filter(|_| author != Author::User);
    match author {
        Author::Instruction => return,
        Author::Program => {
            let label = label.unwrap_or_default();
            return row.text().into_iter().for_each(|text| body.note(&label, text.words()));
        }
        Author::Person | Author::User => {}
    }
    let name = label.as_deref().map_or(Cow::Borrowed(people.person), |label| people.name(label));
    let side = row.side(label.as_deref());
    let voice = Voice { speaker: &name, role: side, time: row.time.as_deref() };
    let label = label.as_deref().unwrap_or(people.person);
    let columns = row.columns();
    for (at, field) in row.fields.iter().enumerate() {
        match columns.text {
            Some(text) if text == at => body.say(label, voice, field.words()),
            _ if columns.time == Some(at) => {}
            Some(_) if columns.speaker == Some(at) || row.is_other_id(at) => {}
            None if columns.is_answer(at, field) => {
                body.say(field.key, voice_of(field.key, voice), field.words());
            }
            _ => body.note(field.key, field.words()),
        }
    }
}

/// Returns the voice of an answer under a key: that of the row, but for a column such as `Interviewer` or `Pregunta`. A
/// key with a number is a question of a survey.
fn voice_of<'a>(key: &'a str, row: Voice<'a>) -> Voice<'a> {
    let has_number = key.contains(|c: char| c.is_ascii_digit());
    match speakers::role_of(key) {
        SpeakerRole::Interviewer if !has_number => {
            Voice { speaker: key, role: SpeakerRole::Interviewer, ..row }
        }
        _ => row,
    }
}

impl Columns {
    /// Finds the fields by their normalised keys.
    fn of(fields: &[Field<'_>], keys: &[String], people: &People<'_>) -> Self {
        let has = |at: &usize| !fields[*at].text.trim().is_empty();
        let find = |known: &[&str], wanted: &dyn Fn(&str) -> bool| {
            let named = |key: &&str| keys.iter().position(|other| other == key);
            known.iter().filter(|key| wanted(key)).filter_map(named).find(has)
        };
        let is_beside = |key: &str| {
            let needed = TEXT_BESIDE.iter().find(|(text, _)| *text == key);
            needed.is_none_or(|(_, beside)| keys.iter().any(|key| key == beside))
        };
        let foreign = |is_word: fn(&str) -> bool| keys.iter().position(|key| is_word(key)).filter(has);
        let text = find(&TEXT_KEYS, &is_beside).or_else(|| foreign(foreign::is_text));
        let text = text.filter(|at| fields[*at].is_text);
        let speaker = find(&SPEAKER_KEYS, &|key| text.is_some() || !SPEAKER_OF_TEXT.contains(&key));
        let speaker = speaker.or_else(|| foreign(foreign::is_speaker).filter(|_| text.is_some()));
        // A column of answers may be called after who gives them.
        let is_name = |at: &usize| {
            let value = fields[*at].text.trim();
            !matches!(&*keys[*at], "participant" | "respondent")
                || !fields[*at].is_text
                || value.split_whitespace().nth(4).is_none() && !value.ends_with(['.', '?', '!'])
        };
        let speaker = speaker.filter(is_name);
        let channel = || find(&CHANNEL_KEYS, &|_| people.has_channels);
        let is_side = |at: &usize| keys[*at] != "type" || is_side(&fields[*at].text);
        let times = keys.iter().enumerate().filter(|(at, _)| has(at));
        let time = times.filter_map(|(at, key)| Some((clock::rank_of(key)?, at))).min();
        Self {
            speaker: speaker.or_else(channel),
            role: find(&ROLE_KEYS, &|_| true).filter(is_side),
            text,
            time: time.map(|(_, at)| at),
        }
    }

    /// Returns whether a field of a row without a text is speech: two words or more, and not the speaker's name or
    /// side.
    fn is_answer(&self, at: usize, field: &Field<'_>) -> bool {
        field.is_text
            && self.speaker != Some(at)
            && self.role != Some(at)
            && field.text.split_whitespace().nth(1).is_some()
    }
}

//! The sides of speakers whom neither a label nor a head settles: those whose turns are questions ask.
//!
//! | the file | is read as |
//! |---|---|
//! | some speakers mostly ask, others do not | the first are interviewers, the others participants |
//! | an interviewer is named, all others are not | they are participants |
//! | one of a group asks in the first two turns, and no one else; the others speak once each | the same |
//! | one speaker, or many who each speak once, as in a table of reviews | participants |
//! | several speakers talk, and none asks more than the others | all unclear |
//! | paragraphs without names, a quarter of them questions | unclear |

use std::collections::BTreeMap;

use super::label_map::LabelMap;
use crate::document::{SpeakerRole, Turn};

/// The share of questions among the turns of one who mostly asks, as a divisor: one half.
const MOST: usize = 2;
/// The share of questions among the paragraphs of a text without names from which on it is a dialogue, as a divisor.
const SOME: usize = 4;
/// The most words of a turn that asks although its last sentence is no question.
const SHORT: usize = 30;

/// The first turns of a group of whose people each speaks once, in which one has to ask; and the most people of it.
const FIRST: usize = 2;
const MOST_SPEAKERS: usize = 30;

/// The end of the name, behind that of the file, for words that no one is known to have said.
pub(crate) const UNNAMED: &str = "unnamed speaker";

/// The turns and questions of one speaker.
#[derive(Debug, Clone, Copy)]
struct Count {
    role: SpeakerRole,
    turns: usize,
    questions: usize,
    /// The number of the first turn among those of all, from 0.
    first: usize,
}

impl Count {
    /// Returns whether at least half of the turns are questions.
    fn mostly_asks(self) -> bool {
        self.questions > 0 && self.questions * MOST >= self.turns
    }
}

/// Settles the sides of all speakers that are still unclear. `person` is the name of those whom the file does not name.
pub(crate) fn settle(turns: &mut [Turn], text: &str, person: &str) {
    if turns.iter().all(|turn| turn.role != SpeakerRole::Unclear) {
        return;
    }
    let counts = count(turns, text);
    let roles = match counts.iter().next() {
        Some((speaker, _)) if counts.values().nth(1).is_none() => {
            // The words of a file that names no one, whose lines may be those of several people.
            let is_of_file =
                speaker.strip_prefix(person).is_some_and(|rest| matches!(rest.trim_start(), "" | UNNAMED));
            let is_mixed = is_of_file && asks_often(turns, text);
            let role = if is_mixed { SpeakerRole::Unclear } else { SpeakerRole::Participant };
            BTreeMap::from([(speaker.to_owned(), role)])
        }
        _ => roles(&counts),
    };
    // The words of no one in particular stay so beside answers that have no label either.
    let has_asker = turns.iter().any(|turn| turn.role == SpeakerRole::Interviewer);
    let is_open = |turn: &&mut Turn| {
        turn.role == SpeakerRole::Unclear && !(has_asker && turn.speaker.ends_with(UNNAMED))
    };
    for turn in turns.iter_mut().filter(is_open) {
        turn.role = roles.get(&*turn.speaker).copied().unwrap_or(turn.role);
    }
}

/// Returns whether a quarter of the lines of all turns are questions, two at least.
fn asks_often(turns: &[Turn], text: &str) -> bool {
    let words = turns.iter().filter_map(|turn| text.get(turn.span.clone()));
    let lines = words.flat_map(str::lines).filter(|line| !line.trim().is_empty());
    let (mut all, mut asked) = (0_usize, 0_usize);
    for line in lines {
        all += 1;
        asked += usize::from(is_question(line));
    }
    asked > 1 && asked * SOME >= all
}

/// Counts the turns and questions of each speaker.
fn count<'t>(turns: &'t [Turn], text: &str) -> LabelMap<'t, Count> {
    let mut counts: LabelMap<'t, Count> = LabelMap::default();
    for (first, turn) in turns.iter().enumerate() {
        let asks = text.get(turn.span.clone()).is_some_and(is_question);
        let new = || Count { role: turn.role, turns: 0, questions: 0, first };
        let count = counts.get_or_insert_with(&turn.speaker, new);
        count.turns += 1;
        count.questions += usize::from(asks);
        if count.role == SpeakerRole::Unclear {
            count.role = turn.role;
        }
    }
    counts
}

/// Returns the roles of several speakers.
fn roles(counts: &LabelMap<'_, Count>) -> BTreeMap<String, SpeakerRole> {
    let speakers = counts.values().count();
    let is_named = |role| counts.values().any(|count| count.role == role);
    let questions: usize = counts.values().map(|count| count.questions).sum();
    // A group in which others speak once each.
    let is_round = counts.values().filter(|count| count.turns > 1).count() <= 1;
    let asks_all = |count: &Count| {
        let others =
            || counts.values().filter(|count| count.turns > 1).all(|other| other.first == count.first);
        is_round
            && others()
            && count.questions == questions
            && count.first < FIRST
            && speakers <= MOST_SPEAKERS
    };
    let asks = |count: &Count| {
        count.role == SpeakerRole::Unclear
            && count.mostly_asks()
            && (count.questions > 1 || speakers == 2 || asks_all(count))
            && count.questions * speakers >= questions
    };
    let asking = counts.values().filter(|count| asks(count)).count();
    let is_settled = is_named(SpeakerRole::Interviewer) || (asking > 0 && asking < speakers);
    // Each speaks once, and no one asks: no conversation.
    let is_collection = questions == 0 && counts.values().all(|count| count.turns == 1);
    let role = |speaker: &str, count: &Count| match count.role {
        // No one is known to have said these words.
        SpeakerRole::Unclear if speaker.ends_with(UNNAMED) => SpeakerRole::Unclear,
        SpeakerRole::Unclear if is_settled && asks(count) => SpeakerRole::Interviewer,
        SpeakerRole::Unclear if is_settled || is_collection => SpeakerRole::Participant,
        role => role,
    };
    counts.iter().map(|(speaker, count)| (speaker.to_owned(), role(speaker, count))).collect()
}

/// Returns whether words are a question: the last sentence is one, or any sentence of a short turn.
pub(crate) fn is_question(words: &str) -> bool {
    let words = words.trim_end_matches(|c: char| {
        c.is_whitespace() || matches!(c, '"' | '”' | '»' | '」' | ')' | '*' | '_')
    });
    if words.is_ascii() {
        return ascii_asks(words);
    }
    // Greek asks with a semicolon.
    let is_greek = words.contains(|c: char| ('\u{370}'..='\u{3ff}').contains(&c));
    let is_mark = |c: char| matches!(c, '?' | '？' | '؟' | '՞' | '\u{37e}') || (is_greek && c == ';');
    words.ends_with(is_mark)
        || (words.contains(is_mark)
            && words.split_whitespace().nth(SHORT).is_none()
            && words.chars().count() < SHORT * 8)
        || ends_with_particle(words)
        || begins_as_question(words)
}

/// Returns whether words of ASCII letters alone, which are most, are a question.
fn ascii_asks(words: &str) -> bool {
    let is_short = || words.len() < SHORT * 8 && words.split_whitespace().nth(SHORT).is_none();
    let is_marked = memchr::memchr(b'?', words.as_bytes()).is_some();
    is_marked && (words.ends_with('?') || is_short()) || begins_as_question(words)
}

/// Returns whether words end with a particle that makes a question, in Japanese, Chinese or Korean.
fn ends_with_particle(words: &str) -> bool {
    let words = words.trim_end_matches(['。', '.', '．', ' ']);
    ["か", "かね", "吗", "嗎", "呢", "까", "나요", "가요"].iter().any(|end| words.ends_with(end))
}

/// Beginnings of questions that transcripts without punctuation have, in lower case.
const BEGINNINGS: [&str; 62] = [
    "how do",
    "how did",
    "how does",
    "how is",
    "how are",
    "how was",
    "how often",
    "how many",
    "how much",
    "how long",
    "how would",
    "how come",
    "what is",
    "what was",
    "what are",
    "what were",
    "what do",
    "what did",
    "what does",
    "what would",
    "what kind",
    "what makes",
    "what's",
    "why do",
    "why did",
    "why is",
    "why does",
    "why not",
    "when do",
    "when did",
    "where do",
    "where did",
    "who do",
    "who did",
    "who is",
    "which",
    "do you",
    "did you",
    "are you",
    "were you",
    "have you",
    "can you",
    "could you",
    "would you",
    "will you",
    "tell me",
    "walk me through",
    "describe",
    "wie ",
    "warum",
    "wieso",
    "was ist",
    "können sie",
    "erzählen sie",
    "comment ",
    "pourquoi",
    "est-ce que",
    "pouvez-vous",
    "¿",
    "por qué",
    "cómo",
    "perché",
];

/// The first letters of the beginnings, and of the fillers before them.
const FIRST_LETTERS: &str = "acdehkopstuw";
/// The words before a beginning, in lower case.
const FILLERS: [&str; 7] = ["so ", "and ", "okay ", "ok ", "well ", "und ", "et "];
/// The most characters of a beginning, with a filler before it.
const BEGINNING: usize = 40;

/// Returns whether words without punctuation begin as a question does.
fn begins_as_question(words: &str) -> bool {
    let words_start = words.trim_start();
    // Most words begin with a letter that no beginning has.
    if words_start
        .starts_with(|c: char| c.is_ascii_alphabetic() && !FIRST_LETTERS.contains(c.to_ascii_lowercase()))
        || words.contains('.')
        || words.chars().nth(SHORT * 6).is_some()
    {
        return false;
    }
    let words = words_start;
    let end = words.char_indices().nth(BEGINNING).map_or(words.len(), |(at, _)| at);
    let words = words[..end].to_lowercase();
    let words = FILLERS.iter().find_map(|filler| words.strip_prefix(filler)).unwrap_or(&words);
    BEGINNINGS.iter().any(|start| words.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::{BEGINNINGS, FILLERS, FIRST_LETTERS};

    #[test]
    fn every_beginning_has_a_first_letter() {
        let firsts = BEGINNINGS.iter().chain(&FILLERS).filter_map(|words| words.chars().next());
        let missing: Vec<char> = firsts.filter(|c| c.is_ascii() && !FIRST_LETTERS.contains(*c)).collect();
        assert!(missing.is_empty(), "{missing:?}");
    }
}

//! The head of a transcript: lines above the interview that say who takes part, and front matter.
//!
//! ```text
//! ---
//! title: Stalls
//! ---
//! Participants: Anna Keller (AK), Bo
//! Moderator - Jo Marsh
//!
//! JM: Well?
//! ```

use std::collections::HashSet;
use std::sync::LazyLock;

use super::label::{self, in_brackets};
use super::sides::{Side, is_code};
use super::{is_called, is_heading, lines_of};

/// Keys that make a block of `Key: value` lines at the start of a file a head. Names of people alone do not: a dialogue
/// of two lines looks the same.
const KEYS: &str = "title date study project topic duration location recorded session time language subject place id \
    titel datum studie projekt thema dauer ort aufnahme título titulo fecha estudio proyecto tema duración lugar titre \
    étude projet sujet durée lieu titolo data studio progetto durata luogo estudo projeto duração local onderwerp duur \
    plaats absent apologies regrets chair chairperson purpose venue agenda abwesend entschuldigt tagesordnung absents excusés \
    ausentes assenti afwezig datum tytuł temat czas miejsce дата тема место время проект длительность 日付 日時 場所 件名 日期 时间 地点 主题 날짜 장소";
/// Keys of those who are at a meeting, of either side, and of other lists above a transcript.
const LISTS: &str = "attendees attendee present invitees invited speakers members attendance keywords summary_keywords \
    anwesend anwesende teilnehmerliste présents asistentes presentes presenti aanwezig aanwezigen obecni присутствовали \
    出席者 参会人员 与会者 참석자 recorder scribe note_taker notetaker minute_taker minutes_taken_by taken_by protokoll \
    protokollant protokollführung protokollführer sitzungsleitung absent apologies regrets agenda abwesend entschuldigt \
    tagesordnung outline";
/// The keys of heads, and those of lists, as sets.
static HEAD_KEYS: LazyLock<HashSet<&str>> = LazyLock::new(|| KEYS.split_whitespace().collect());
static LIST_KEYS: LazyLock<HashSet<&str>> = LazyLock::new(|| LISTS.split_ascii_whitespace().collect());
/// The most lines of a head, so that a long list of other things is none.
const MOST_LINES: usize = 60;

/// The most names of a head: each label of the text is compared with all of them.
const MOST_NAMES: usize = 256;

/// The head of a text. The default is none: an empty one at the beginning of the text.
#[derive(Debug, Clone, Default)]
pub(super) struct Head<'a> {
    /// The byte offset behind the head's last line; 0 without a head.
    pub(super) end: usize,
    /// The names of those who ask.
    askers: Vec<Name<'a>>,
    /// The names of those who answer.
    answerers: Vec<Name<'a>>,
}

/// The name of a person in a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Name<'a> {
    full: &'a str,
    /// The initials or the code behind the name, as in `Anna Keller (AK)`.
    short: Option<&'a str>,
}

impl<'a> Head<'a> {
    /// Reads the head of a text; the default if there is none.
    pub(super) fn read(text: &'a str) -> Self {
        let mut front = Self { end: front_matter(text), ..Self::default() };
        let fields = lines_of(&text[..front.end]).filter_map(|(_, line)| line.split_once(':'));
        fields.for_each(|(key, value)| front.add(key.trim(), value.trim().trim_matches(['"', '\''])));
        let block = Block::read(&text[front.end..]);
        let mut head = Self { end: front.end + block.end, ..front.clone() };
        block.fields.iter().for_each(|(key, value)| head.add(key, value));
        if block.is_head(&text[head.end..], &head) { head } else { front }
    }

    /// Keeps the names under a key that is a word for a side. A side in brackets behind a name has precedence.
    fn add(&mut self, key: &'a str, value: &'a str) {
        if let Some((full, side)) = legend(key, value) {
            let names = if side == Side::Asks { &mut self.askers } else { &mut self.answerers };
            return names.push(Name { full, short: Some(key) });
        }
        let Some(side) = Side::of(key).filter(|_| self.askers.len() + self.answerers.len() < MOST_NAMES)
        else {
            return;
        };
        for name in names_in(value) {
            let own =
                name.short.and_then(Side::of).filter(|_| name.short.is_some_and(|short| short.len() > 3));
            match own.unwrap_or(side) {
                Side::Asks => self.askers.push(name),
                Side::Answers => self.answerers.push(name),
                Side::Speaks => {}
            }
        }
    }

    /// Returns the side of a label that is one of the names, or initials of one.
    pub(super) fn side_of(&self, label: &str) -> Option<Side> {
        let outer = in_brackets(label).map_or(label, |(outer, _)| outer);
        let is_one = |names: &[Name<'_>]| names.iter().any(|name| name.is_called(outer));
        let initial = self.initial_of(outer);
        let is_one = |names: &[Name<'_>]| {
            is_one(names) || initial.is_some_and(|initial| names.iter().any(|name| name == initial))
        };
        match (is_one(&self.askers), is_one(&self.answerers)) {
            (true, false) => Some(Side::Asks),
            (false, true) => Some(Side::Answers),
            _ => None,
        }
    }

    /// Returns the whole name for a label that is the initials of one.
    pub(super) fn name_of(&self, label: &str) -> Option<&'a str> {
        let mut names = self.askers.iter().chain(&self.answerers);
        names
            .find(|name| name.has_short(label) && !name.full.eq_ignore_ascii_case(label))
            .or_else(|| self.initial_of(label))
            .map(|name| name.full)
    }

    /// Returns the only name that begins with a capital letter, if that is the label and no word for a side.
    fn initial_of(&self, label: &str) -> Option<&Name<'a>> {
        let is_letter = label.chars().count() == 1 && label.chars().all(char::is_uppercase);
        if !is_letter || Side::of(label).is_some() {
            return None;
        }
        let mut names = self.askers.iter().chain(&self.answerers).filter(|name| name.full.starts_with(label));
        names.next().filter(|_| names.next().is_none())
    }

    /// Returns the name of the participant, if there is exactly one: it replaces labels such as `Participant`.
    pub(super) fn participant(&self) -> Option<&'a str> {
        match self.answerers[..] {
            [name] => Some(name.full),
            _ => None,
        }
    }
}

impl Name<'_> {
    /// Returns whether a label is the whole name, the first name, or the initials.
    fn is_called(&self, label: &str) -> bool {
        is_called(label, self.full) || self.has_short(label)
    }

    /// Returns whether a label is the short form in the head, or the initials of a name of two words or more.
    fn has_short(&self, label: &str) -> bool {
        let initials =
            || self.full.split_whitespace().filter_map(|word| word.chars().next()).collect::<String>();
        let is_initials =
            label.chars().count() > 1 && label.chars().all(char::is_uppercase) && initials() == label;
        is_initials || self.short.is_some_and(|short| short.eq_ignore_ascii_case(label))
    }
}

/// The block of `Key: value` lines at the beginning of a text, headings and empty lines skipped.
struct Block<'a> {
    /// The byte offset behind the last line; 0 without a line.
    end: usize,
    fields: Vec<(&'a str, &'a str)>,
}

impl<'a> Block<'a> {
    /// Reads lines up to the first that is none of a head. An empty line ends the block unless a line with a known key
    /// follows.
    fn read(text: &'a str) -> Self {
        let mut block = Self { end: 0, fields: Vec::new() };
        let (mut is_interrupted, mut list) = (false, None);
        for (start, line) in lines_of(text).take(MOST_LINES) {
            if line.trim().is_empty() || is_heading(line) {
                is_interrupted = !block.fields.is_empty();
                continue;
            }
            if let Some(key) = list_key(line) {
                (list, is_interrupted) = (Some(key), false);
                block.end = (start + line.len() + 1).min(text.len());
                continue;
            }
            let listed = |key| item(line).or_else(|| listed_in(line, key)).map(|value| (key, value));
            let item = list.and_then(listed).filter(|_| !is_interrupted);
            let Some((key, value)) = item.or_else(|| field(line)) else {
                // A title may precede the head.
                if block.fields.is_empty() && is_title(line) {
                    continue;
                }
                break;
            };
            if is_interrupted && !is_known_key(key) || is_speech(key, value) {
                break;
            }
            block.fields.push((key, value));
            block.end = (start + line.len() + 1).min(text.len());
        }
        block
    }

    /// Returns whether the block is a head: it has a key that is no speaker, or its names speak in the text below it.
    fn is_head(&self, below: &str, head: &Head<'_>) -> bool {
        // The first words of an interview are followed by others without an empty line.
        let is_set_apart =
            below.is_empty() || below.starts_with('\n') || is_heading(below.lines().next().unwrap_or(""));
        let is_legend = self.fields.iter().all(|(key, value)| legend(key, value).is_some());
        let has_key = is_legend || self.fields.iter().any(|(key, _)| holds_key(key) || is_list(key));
        let keys_speak =
            || speaks(below, |label| self.fields.iter().any(|(key, _)| key.eq_ignore_ascii_case(label)));
        is_set_apart
            && !self.fields.is_empty()
            && (has_key
                || (!keys_speak()
                    && self.fields.len() > 1
                    && names_only(&self.fields)
                    && speaks(below, |_| true))
                || speaks(below, |label| head.side_of(label).is_some()))
    }
}

/// Returns the word for a side, or for a list, that has a line for itself above names: `Participants:`.
fn list_key(line: &str) -> Option<&str> {
    let key = line.trim().trim_matches(['*', '_', ':', ' ']);
    let is_side = || key.chars().all(char::is_alphabetic) && Side::of(key).is_some();
    ((key.chars().count() > 4 && is_side()) || is_list(key)).then_some(key)
}

/// Returns whether a key is that of a list of people, or of another list above a transcript.
fn is_list(key: &str) -> bool {
    LIST_KEYS.contains(&*key.to_lowercase().replace(' ', "_"))
}

/// Returns the words of a line below the key of a list that has no sign of an item: names, or words between commas.
fn listed_in<'a>(line: &'a str, key: &str) -> Option<&'a str> {
    let line = line.trim();
    let mut parts = line.split([',', ';']).map(str::trim);
    let is_words = || is_list(key) && line.split(',').nth(2).is_some() && !line.ends_with(['.', '?', '!']);
    let is_named = (is_list(key) || line.contains(','))
        && parts.all(|part| is_full_name(part) || part.is_empty())
        && label::mark_of(line).is_none();
    (is_named || (is_words() && label::mark_of(line).is_none())).then_some(line)
}

/// Returns the text of an item of a list.
fn item(line: &str) -> Option<&str> {
    let line = line.trim();
    let behind = line.trim_start_matches(|c: char| c.is_ascii_digit());
    let numbered = (behind.len() < line.len()).then_some(behind);
    let numbered = numbered.and_then(|rest| rest.strip_prefix(". ").or_else(|| rest.strip_prefix(") ")));
    let bulleted = || ["- ", "* ", "• ", "– "].iter().find_map(|bullet| line.strip_prefix(bullet));
    numbered.or_else(bulleted).map(str::trim)
}

/// Returns whether a line can be a title above a head: a few words that end no sentence and are no label.
fn is_title(line: &str) -> bool {
    let line = line.trim();
    line.split_whitespace().nth(8).is_none()
        && !line.ends_with(['.', '?', '!', ':'])
        && label::mark_of(line).is_none()
}

/// Returns the name and the side of a line that explains a short label: `AK: Anna Keller (interviewer)`.
fn legend<'a>(key: &str, value: &'a str) -> Option<(&'a str, Side)> {
    let (full, side) = in_brackets(value)?;
    let side = Side::of(side).filter(|side| *side != Side::Speaks)?;
    (super::is_short(key) && is_full_name(full)).then_some((full, side))
}

/// Returns whether all fields are sides with names.
fn names_only(fields: &[(&str, &str)]) -> bool {
    fields.iter().all(|(key, value)| Side::of(key).is_some() && names_in(value).next().is_some())
}

/// Returns whether any label in a text fulfils a condition.
fn speaks(text: &str, is_wanted: impl Fn(&str) -> bool) -> bool {
    let label = |line| label::mark_of(line).map(|mark| mark.label).or_else(|| label::heading_label(line));
    text.lines().filter_map(label).any(is_wanted)
}

/// Splits a line into a key and a value: `Moderator - Jo Marsh`, `**Date:** today`, `- Participants: Anna, Bo`.
fn field(line: &str) -> Option<(&str, &str)> {
    let line = line.trim().trim_start_matches(['*', '_', '•', '|']).trim_start();
    let line = line.strip_prefix("- ").unwrap_or(line).trim_start_matches(['*', '_']);
    let colon = line.split_once([':', '：']).filter(|(key, _)| key.split_whitespace().count() <= 4);
    let dash = || {
        let parts = line.split_once(" - ").or_else(|| line.split_once(" – "));
        parts.filter(|(key, _)| is_known_key(key.trim()))
    };
    let (key, value) = colon.or_else(dash)?;
    let marks = |c: char| matches!(c, '*' | '_' | ' ' | '\t' | '|');
    Some((key.trim_matches(marks), value.trim_matches(marks)))
}

/// Returns whether a key is one of a head, or a word for a side.
fn is_known_key(key: &str) -> bool {
    holds_key(key) || is_list(key) || Side::of(key).is_some()
}

/// Returns whether a key is one of a head that is no speaker.
fn holds_key(key: &str) -> bool {
    HEAD_KEYS.contains(&*key.to_lowercase())
}

/// Returns whether a field is the beginning of the interview itself: a code such as `P1`, or a side with a sentence
/// instead of names.
fn is_speech(key: &str, value: &str) -> bool {
    let is_plural = key.to_lowercase().ends_with(['s', 'n', 'i', 'e', 'ы', 'и']);
    let has_names = || {
        let mut names = value.split([',', ';', '&']).map(str::trim).filter(|name| !name.is_empty());
        names.all(is_full_name) && !value.is_empty()
    };
    let is_list = is_plural && value.is_empty();
    let is_sentence =
        value.split_whitespace().nth(6).is_some() || value.ends_with(['.', '?', '!', '。', '？']);
    let is_said = !is_known_key(key) && value.split_whitespace().nth(2).is_some() && is_sentence;
    is_said
        || (is_code(key) && legend(key, value).is_none())
        || (Side::of(key).is_some() && !has_names() && !is_list && is_sentence)
}

/// Returns the names in a list, each with its short form: `Anna Keller (AK), Bo and Cy`.
fn names_in(value: &str) -> impl Iterator<Item = Name<'_>> {
    let split = value
        .split([',', ';', '&', '、', '，'])
        .flat_map(|part| part.split(" and "))
        .flat_map(|part| part.split(" und "));
    let names = split.flat_map(|part| part.split(" y ")).flat_map(|part| part.split(" et "));
    names.map(str::trim).filter(|name| is_full_name(name)).map(|name| match in_brackets(name) {
        Some((full, short)) => Name { full, short: Some(short) },
        None => Name { full: name, short: None },
    })
}

/// Returns whether a text can be the name of a person: one to four words that begin like names and do not end a
/// sentence, or a code.
pub(super) fn is_full_name(name: &str) -> bool {
    let plain = in_brackets(name).map_or(name, |(full, _)| full);
    (1..=4).contains(&plain.split_whitespace().count())
        && !name.ends_with(['.', '?', '!', '。', '？'])
        && label::can_be_label(plain)
}

/// Returns the byte offset behind front matter, between two lines of `---` or `+++` (YAML, TOML); 0 without it.
fn front_matter(text: &str) -> usize {
    let mut lines = lines_of(text).take(MOST_LINES * 4);
    let Some((_, fence)) = lines.next().filter(|(_, line)| matches!(line.trim_end(), "---" | "+++")) else {
        return 0;
    };
    let is_end = |line: &str| line.trim_end() == fence.trim_end();
    // Between two rules there may be a dialogue, too.
    let is_said = |line: &str| {
        let field = line.split_once(':').filter(|(key, _)| is_code(key.trim()) || Side::of(key).is_some());
        field.is_some_and(|(_, value)| {
            value.trim().contains(' ') && value.trim_end().ends_with(['.', '?', '!', '。', '？'])
        })
    };
    let end = lines.take_while(|(_, line)| !is_said(line)).find(|(_, line)| is_end(line));
    end.map_or(0, |(start, line)| (start + line.len() + 1).min(text.len()))
}

#[cfg(test)]
mod tests {
    use super::{Head, Side};

    #[test]
    fn heads_name_both_sides_in_many_forms() {
        for (text, asks, answers) in [
            ("Date: x\nInterviewer: Sam Lee\nParticipant: Ana Berg\n\nSL: Why?", "Sam Lee", "Ana Berg"),
            ("Moderator - Sam Lee\nRespondent - Ana Berg\n\nSam: Why?\nAna: So.", "Sam Lee", "Ana Berg"),
            (
                "---\ntitle: x\ninterviewer: Sam Lee\nparticipant: Ana Berg\n---\n\nSam: Why?",
                "Sam Lee",
                "Ana Berg",
            ),
            (
                "**Fecha:** hoy\n**Entrevistadora:** Sam Lee\n**Entrevistado:** Ana Berg\n\nAna: Sí.",
                "Sam Lee",
                "Ana Berg",
            ),
            ("日時: 今日\n聞き手: 小林\n話し手: 阿部\n\n小林: はい", "小林", "阿部"),
        ] {
            let head = Head::read(text);
            let sides = (head.side_of(asks), head.participant());
            assert_eq!(sides, (Some(Side::Asks), Some(answers)), "{text}");
        }
        assert_eq!(Head::read("Interviewer: How?\nP1: So.\n\nInterviewer: Why?").end, 0);
        assert_eq!(Head::read("Interviewer: Hello Anna\nParticipant: Hi\n\nInterviewer: Why?").end, 0);
    }
}

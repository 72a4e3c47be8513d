//! Speakers in plain text: labels, headers and paragraphs.
//!
//! Transcripts have no common format. This module recognises the forms that people and transcription tools write: a
//! label and a colon at the start of a line, with or without markup and times, and a header of `Key: value` lines above
//! the interview.
//!
//! | line | label | text |
//! |---|---|---|
//! | `P1: I bake.` | `P1` | `I bake.` |
//! | `**Interviewer:** Why?` | `Interviewer` | `Why?` |
//! | `[00:01:02] Anna Lee: So` | `Anna Lee` | `So` |
//! | `Here's the thing: it broke` | none: `the` does not begin like a name | the whole line |
//! | `Right: I mean it`, once | none: a name has to occur twice | the whole line |
//!
//! Prose has colons, too, so that a label that looks like a name counts only if it occurs twice in the file; see
//! `accepted_labels`. A false label would split a turn and attribute its rest to a person who does not exist, which is
//! worse than a speaker who is missed. All rules are the same for captions, rows and the anonymiser, which use this
//! module as well.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use crate::document::{SpeakerRole, Turn};

/// Labels of interviewers, also with a number or a name behind them: "Interviewer 2", "Moderator (Sam)".
const INTERVIEWERS: [&str; 6] = ["interviewer", "moderator", "facilitator", "researcher", "question", "host"];
/// Short forms, also with a number: "Q1".
const INTERVIEWERS_SHORT: [&str; 4] = ["i", "int", "q", "mod"];
/// Labels that do not identify a person: the same label in two files means two people.
const NO_SPEAKER_LABELS: [&str; 9] =
    ["participant", "respondent", "interviewee", "answer", "a", "r", "p", "speaker", "customer"];
/// Keys that make a block of `Key: value` lines at the start of a file a header. Names of people alone do not: a
/// dialogue of two lines looks the same.
const HEADER_KEYS: [&str; 9] =
    ["title", "date", "study", "project", "topic", "duration", "location", "recorded", "session"];

/// Returns the side of a label, ignoring case: `Moderator (Sam)` and `Q1` ask; `Hostetler` and every other label
/// answer.
pub(crate) fn role_of(label: &str) -> SpeakerRole {
    let label = label.to_lowercase();
    let behind = |name: &str| label.strip_prefix(name).map(|rest| !rest.starts_with(char::is_alphabetic));
    let long = INTERVIEWERS.iter().any(|name| behind(name) == Some(true));
    if long || INTERVIEWERS_SHORT.contains(&unnumbered(&label)) {
        SpeakerRole::Interviewer
    } else {
        SpeakerRole::Participant
    }
}

/// Returns the name of a speaker: the label, or `person` if the label does not identify a person. A numbered label such
/// as "Speaker 2" keeps its number.
pub(crate) fn speaker_of<'a>(label: &'a str, person: &'a str) -> Cow<'a, str> {
    let lower = label.to_lowercase();
    match unnumbered(&lower) {
        _ if is_code(label) && label.len() > 1 && label.starts_with('P') => Cow::Borrowed(label),
        name if name == lower && NO_SPEAKER_LABELS.contains(&name) => Cow::Borrowed(person),
        name if NO_SPEAKER_LABELS.contains(&name) && name.len() > 1 => {
            Cow::Owned(format!("{person} {label}"))
        }
        _ => Cow::Borrowed(label),
    }
}

/// Strips a number and its separators from the end of a label: `speaker` for `speaker #2`.
fn unnumbered(label: &str) -> &str {
    label.trim_end_matches(|c: char| c.is_ascii_digit() || matches!(c, ' ' | '#' | '-' | '_' | '.'))
}

/// Returns the turns of a text with speaker labels at the start of lines, as in `P01: …` or `**Interviewer:** …`.
///
/// A turn extends from the label's end to the next accepted label, the next heading or the end of the text; a line that
/// is neither belongs to the turn before it. Text above the first label belongs to no turn, nor does the header.
/// `person` is the speaker for labels such as `Participant`, unless the header has the participant's name. Empty if no
/// label is accepted.
pub(crate) fn turns(text: &str, person: &str) -> Vec<Turn> {
    let header = Header::read(text);
    let labels = header.labels(text);
    let mut reader = TurnReader::new(text, &header, person);
    for (start, line) in lines_of(text).skip_while(|(start, _)| *start < header.end) {
        match label_of(line).filter(|(label, _)| labels.contains(label)) {
            Some((label, words)) => {
                reader.close(start);
                reader.begin(label, start + words);
            }
            // A heading belongs to no turn, and ends one.
            None if is_heading(line) => reader.close(start),
            None => {}
        }
    }
    reader.close(text.len());
    reader.turns
}

/// The turns of a text that is read line by line.
struct TurnReader<'a> {
    text: &'a str,
    header: &'a Header<'a>,
    /// The speaker for labels that identify no person.
    person: &'a str,
    /// The speakers by their labels. A few people speak thousands of lines: their names are shared.
    people: BTreeMap<&'a str, (Arc<str>, SpeakerRole)>,
    /// The turn whose end is not known yet, with an empty range at its start.
    open: Option<Turn>,
    turns: Vec<Turn>,
}

impl<'a> TurnReader<'a> {
    /// Creates a reader of a text with this header; a participant whom the header names replaces `person`.
    fn new(text: &'a str, header: &'a Header<'a>, person: &'a str) -> Self {
        let person = header.participant.unwrap_or(person);
        Self { text, header, person, people: BTreeMap::new(), open: None, turns: Vec::new() }
    }

    /// Begins the turn of a label, whose text begins at the byte offset `start`.
    fn begin(&mut self, label: &'a str, start: usize) {
        let (header, person) = (self.header, self.person);
        let (speaker, role) = self
            .people
            .entry(label)
            .or_insert_with(|| (Arc::from(speaker_of(label, person)), header.role_of(label)));
        self.open = Some(Turn { speaker: speaker.clone(), role: *role, time: None, span: start..start });
    }

    /// Ends the open turn, if there is one, at the byte offset `end`. A turn without text is dropped.
    fn close(&mut self, end: usize) {
        let Some(turn) = self.open.take() else { return };
        let span = trimmed(self.text, turn.span.start..end);
        if !span.is_empty() {
            self.turns.push(Turn { span, ..turn });
        }
    }
}

/// Returns the paragraphs of a text without speakers, headings left out: byte ranges without surrounding white space,
/// in order. Empty lines and headings separate paragraphs.
pub(crate) fn paragraphs(text: &str) -> impl Iterator<Item = Range<usize>> {
    let mut spans: Vec<Range<usize>> = Vec::new();
    let mut ended = true;
    for (start, line) in lines_of(text) {
        let span = trimmed(text, start..start + line.len());
        if span.is_empty() || is_heading(line) {
            ended = true;
        } else if ended {
            spans.push(span);
            ended = false;
        } else if let Some(last) = spans.last_mut() {
            last.end = span.end;
        }
    }
    spans.into_iter()
}

/// Returns whether a line is a heading: `## Topic` is one, `#1 thing I hate` is not.
fn is_heading(line: &str) -> bool {
    let rest = line.trim_start_matches('#');
    rest.len() < line.len() && (rest.is_empty() || rest.starts_with(' '))
}

/// A block of `Key: value` lines before the first empty line, at least one with a key that is no speaker's name.
///
/// ```text
/// Study: stalls
/// Participant: Anna Keller
/// Interviewer: Jo Marsh
///
/// Jo: Well?
/// ```
///
/// The default is no header: an empty one at the beginning of the text.
#[derive(Default)]
struct Header<'a> {
    /// The byte offset behind the header's last line; 0 without a header.
    end: usize,
    /// The participant's name, which replaces labels such as `Participant`.
    participant: Option<&'a str>,
    /// The interviewer's name; labels with it, or with its first name, ask.
    interviewer: Option<&'a str>,
}

impl<'a> Header<'a> {
    /// Reads the header of a text; the default if there is none. Headings and empty lines above it are skipped.
    fn read(text: &'a str) -> Self {
        // A heading may precede the header.
        let is_above = |line: &&str| line.trim().is_empty() || line.starts_with('#');
        let start: usize = text.split_inclusive('\n').take_while(is_above).map(str::len).sum();
        let Some(end) = text[start..].find("\n\n").map(|at| start + at + 1) else { return Self::default() };
        let Some(fields) = header_fields(&text[start..end]) else { return Self::default() };
        let named = |key: &str| fields.get(key).copied().filter(|name| is_full_name(name));
        // Names alone make a header if one of them speaks below.
        let is_header = HEADER_KEYS.iter().any(|key| fields.contains_key(*key))
            || named("interviewer").is_some_and(|name| has_speaker(&text[end..], name));
        if !is_header {
            return Self::default();
        }
        Self { end, participant: named("participant"), interviewer: named("interviewer") }
    }

    /// Returns the labels that count as speakers in the text below the header.
    fn labels<'t>(&self, text: &'t str) -> BTreeSet<&'t str> {
        let seen = || lines_of(&text[self.end..]).filter_map(|(_, line)| Some(label_of(line)?.0));
        let mut labels = accepted_labels(seen());
        // As in `accepted_labels`, for an interviewer whom only the header names.
        let is_asked = labels.iter().all(|label| self.role_of(label) == SpeakerRole::Interviewer);
        if is_asked && !labels.is_empty() {
            labels.extend(seen());
        }
        labels
    }

    /// Returns the side of a label: the interviewer's whom the header names, otherwise that of [`role_of`].
    fn role_of(&self, label: &str) -> SpeakerRole {
        if self.names_interviewer(label) { SpeakerRole::Interviewer } else { role_of(label) }
    }

    /// Returns whether a label is the header's interviewer: `Sam` and `Sam Jones` are for `Interviewer: Sam Jones`.
    fn names_interviewer(&self, label: &str) -> bool {
        self.interviewer.is_some_and(|name| is_called(label, name))
    }
}

/// Returns the values of a block of `Key: value` lines by their keys in lower case.
///
/// `None` if a line has no colon, if a key occurs twice, or if a line is the beginning of the interview itself: a code
/// such as `P1`, or a side of the interview with a sentence instead of a name.
fn header_fields(block: &str) -> Option<BTreeMap<String, &str>> {
    let mut fields = BTreeMap::new();
    for line in block.lines() {
        let (key, value) = line.split_once(':').map(|(key, value)| (key.trim(), value.trim()))?;
        // The first words of the interview itself are no header.
        let is_speech = is_code(key) || (is_known(key) && !is_full_name(value));
        if is_speech || fields.insert(key.to_lowercase(), value).is_some() {
            return None;
        }
    }
    Some(fields)
}

/// Returns whether a text can be the name of a person: one to four words that do not end a sentence.
fn is_full_name(name: &str) -> bool {
    (1..=4).contains(&name.split_whitespace().count()) && !name.ends_with(['.', '?', '!'])
}

/// Returns whether a line of a text has the label of this person.
fn has_speaker(text: &str, name: &str) -> bool {
    let mut labels = text.lines().filter_map(|line| Some(label_of(line)?.0));
    labels.any(|label| is_called(label, name))
}

/// Returns whether the value of a key names an interviewer, as in `{"moderator": "Jo"}`; used for trees such as JSON.
pub(crate) fn names_asker(key: &str) -> bool {
    ["interviewer", "moderator", "facilitator", "researcher"].contains(&&*key.to_lowercase())
}

/// Returns whether a label is a person's whole name, or the first name, ignoring case.
pub(crate) fn is_called(label: &str, name: &str) -> bool {
    let first = |name: &str| name.split_whitespace().next().map(str::to_lowercase);
    name.eq_ignore_ascii_case(label) || (!label.contains(' ') && first(name) == first(label))
}

/// Returns the labels that count as speakers: known roles, codes such as `P07`, and labels that occur at least twice.
///
/// If these are only interviewers, all labels count, so that a dialogue of one question and one answer is read as such.
pub(crate) fn accepted_labels<'a>(labels: impl Iterator<Item = &'a str>) -> BTreeSet<&'a str> {
    let mut counts: BTreeMap<&'a str, usize> = BTreeMap::new();
    for label in labels {
        *counts.entry(label).or_default() += 1;
    }
    let is_believed = |(label, count): &(&&'a str, &usize)| **count > 1 || is_known(label);
    let found: BTreeSet<&'a str> = counts.iter().filter(is_believed).map(|(label, _)| *label).collect();
    // An interviewer alone makes no interview: in a short one each label may occur only once.
    if !found.is_empty() && found.iter().all(|label| role_of(label) == SpeakerRole::Interviewer) {
        counts.into_keys().collect()
    } else {
        found
    }
}

/// Returns whether a label counts as a speaker even if it occurs only once, ignoring case.
fn is_known(label: &str) -> bool {
    let lower = label.to_lowercase();
    role_of(label) == SpeakerRole::Interviewer
        || is_code(label)
        || NO_SPEAKER_LABELS.contains(&unnumbered(&lower))
}

/// Returns whether a speaker's label may be a person's name: no code, no side of the interview, and no `Speaker 2`.
#[cfg(feature = "anonymise")]
pub(crate) fn is_speaker(label: &str) -> bool {
    !is_no_speaker(label) && can_be_label(label)
}

/// Returns whether a speaker's label is a code or a side of the interview, so that it names no one.
#[cfg(feature = "anonymise")]
pub(crate) fn is_no_speaker(label: &str) -> bool {
    let label_in_small = label.to_lowercase();
    let plain = unnumbered(&label_in_small);
    is_code(label)
        || [&INTERVIEWERS[..], &INTERVIEWERS_SHORT, &NO_SPEAKER_LABELS]
            .iter()
            .any(|names| names.contains(&plain))
}

/// Returns whether a label is a code: one to three ASCII letters and a number, as in `P07`, `INT 3` or `S-12`.
fn is_code(label: &str) -> bool {
    let letters = label.bytes().take_while(u8::is_ascii_alphabetic).count();
    let digits = label[letters..].trim_start_matches(['-', '_', ' ']);
    (1..=3).contains(&letters) && !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
}

/// Returns a line's label and the byte offset of its words: for `[00:01] **P02:** I'm a`, `P02` and the offset of
/// `I'm`.
///
/// White space or the end of the line has to follow the colon, so that times and addresses are no labels. Whether the
/// label is a speaker's depends on the other lines; see [`accepted_labels`].
fn label_of(line: &str) -> Option<(&str, usize)> {
    let rest = without_time(line.trim_start_matches([' ', '\t', '>']));
    let rest = rest.trim_start_matches(['*', '_']);
    let (label, words) = rest.split_once(':')?;
    let words = words.trim_start_matches(['*', '_']);
    let label = label.trim_end_matches(['*', '_', ' ']);
    let spaced = words.is_empty() || words.starts_with([' ', '\t']);
    (spaced && can_be_label(label)).then(|| (label, line.len() - words.trim_start().len()))
}

/// Returns whether a text can be a label: up to four words that each begin like a name, or a known label in lower case.
/// At most 40 bytes.
pub(crate) fn can_be_label(label: &str) -> bool {
    let like_name =
        |word: &str| word.starts_with(|c: char| c.is_uppercase() || c.is_numeric() || matches!(c, '(' | '#'));
    (1..=40).contains(&label.len())
        && label.split(' ').count() <= 4
        && label.starts_with(char::is_alphabetic)
        && label.chars().all(|c| c.is_alphanumeric() || " .-_'’()#/".contains(c))
        && (label.split(' ').all(like_name) || is_known(label))
}

/// Strips a time such as `00:01:02`, `[00:01]` or `(0:01.5)` from the beginning of a line.
fn without_time(line: &str) -> &str {
    let inner = line.trim_start_matches(['[', '(']);
    let end =
        inner.find(|c: char| !c.is_ascii_digit() && !matches!(c, ':' | '.' | ',')).unwrap_or(inner.len());
    let behind = inner[end..].trim_start_matches([']', ')']);
    if inner[..end].contains(':') && behind.starts_with(' ') { behind.trim_start() } else { line }
}

/// Returns the lines of a text, each with the byte offset of its beginning.
fn lines_of(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut start = 0;
    text.split('\n').map(move |line| {
        let at = start;
        start += line.len() + 1;
        (at, line)
    })
}

/// Returns a byte range of a text without the white space at its ends.
fn trimmed(text: &str, span: Range<usize>) -> Range<usize> {
    let piece = &text[span.clone()];
    let start = span.start + (piece.len() - piece.trim_start().len());
    start..(start + piece.trim().len())
}

#[cfg(test)]
mod tests {
    use super::{SpeakerRole, paragraphs, role_of, speaker_of, turns};

    #[track_caller]
    fn check(text: &str, expected: &[(&str, &str)]) {
        let found = turns(text, "file");
        let found: Vec<_> = found.iter().map(|turn| (&*turn.speaker, &text[turn.span.clone()])).collect();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn labels_are_found_in_every_markup() {
        check("Interviewer: Hi\nP1: Yes:\nno", &[("Interviewer", "Hi"), ("P1", "Yes:\nno")]);
        check("**Interviewer:** Hi\n\n**P1**: Yes", &[("Interviewer", "Hi"), ("P1", "Yes")]);
        check(
            "[00:01:02] P1: Yes\n00:05 P1: No\n(0:07.5) P1: So",
            &[("P1", "Yes"), ("P1", "No"), ("P1", "So")],
        );
        check("interviewer: Hi\nparticipant: Yes", &[("interviewer", "Hi"), ("file", "Yes")]);
        check(
            "Interviewer: How is it?\nLea: I hate it",
            &[("Interviewer", "How is it?"), ("Lea", "I hate it")],
        );
        check("Interviewer #1: Hi\nP1: Yes", &[("Interviewer #1", "Hi"), ("P1", "Yes")]);
        check(
            "Anna Lee: One\nBo: Two\nAnna Lee: x\nBo: y",
            &[("Anna Lee", "One"), ("Bo", "Two"), ("Anna Lee", "x"), ("Bo", "y")],
        );
    }

    #[test]
    fn interviewers_are_recognised_by_many_labels() {
        for label in ["Interviewer", "INTERVIEWER 2", "Moderator (Sam)", "Q", "Q1", "INT 3", "Host"] {
            assert_eq!(role_of(label), SpeakerRole::Interviewer, "{label}");
        }
        for label in ["Hostetler", "P1", "Ian", "Quentin", "Participant 1"] {
            assert_eq!(role_of(label), SpeakerRole::Participant, "{label}");
        }
    }

    #[test]
    fn unnamed_speakers_of_two_files_are_two_people() {
        assert_eq!(speaker_of("Participant", "a/talk"), "a/talk");
        assert_eq!(speaker_of("Speaker 2", "a/talk"), "a/talk Speaker 2");
        assert_eq!(speaker_of("P2", "a/talk"), "P2");
    }

    #[test]
    fn prose_with_a_colon_is_not_a_label() {
        check(
            "P1: I said\nHere's the thing: it broke\nAnd then: gone\nAnd then: gone",
            &[("P1", "I said\nHere's the thing: it broke\nAnd then: gone\nAnd then: gone")],
        );
        check(
            "P1: At\nUrl: 9:30 it\nhttps://x.example\n#1 thing",
            &[("P1", "At\nUrl: 9:30 it\nhttps://x.example\n#1 thing")],
        );
    }

    #[test]
    fn a_header_is_not_speech_and_names_the_people() {
        check(
            "Date: today\nParticipant: P9\nInterviewer: Sam Lee\n\nSam: Hi\nParticipant: Yes\nSam: Why?",
            &[("Sam", "Hi"), ("P9", "Yes"), ("Sam", "Why?")],
        );
        let roles: Vec<_> = turns("Date: x\nInterviewer: Sam Lee\n\nSam: Hi\nP1: Yes\nSam: Why?", "f");
        assert_eq!(
            roles.iter().map(|turn| turn.role).collect::<Vec<_>>(),
            [SpeakerRole::Interviewer, SpeakerRole::Participant, SpeakerRole::Interviewer,]
        );
        let below_heading =
            "# Talk\n\nDate: x\nParticipant: P5\nInterviewer: Sam Lee\n\nSam: Hi\nP5: Yes\nSam: Why?\nP5: So";
        assert_eq!(
            turns(below_heading, "f").iter().map(|turn| turn.role).collect::<Vec<_>>(),
            [
                SpeakerRole::Interviewer,
                SpeakerRole::Participant,
                SpeakerRole::Interviewer,
                SpeakerRole::Participant,
            ]
        );
        check(
            "Title: Talk\nInterviewer: How?\nP1: So.\n\nInterviewer: Why?",
            &[("Interviewer", "How?"), ("P1", "So."), ("Interviewer", "Why?")],
        );
        check("# Talk\n\nR: Yes\n# Next\nloose\nR: No", &[("file", "Yes"), ("file", "No")]);
        check(
            "Interviewer: How are you?\nParticipant: Fine.\n\nInterviewer: Why?",
            &[("Interviewer", "How are you?"), ("file", "Fine."), ("Interviewer", "Why?")],
        );
    }

    #[test]
    fn paragraphs_leave_headings_out() {
        let text = "# Head\none\ntwo\n\n  three  \n";
        let found: Vec<_> = paragraphs(text).map(|span| &text[span]).collect();
        assert_eq!(found, ["one\ntwo", "three"]);
    }
}

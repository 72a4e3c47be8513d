//! Who speaks in plain text: labels, headers and paragraphs.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use crate::document::{Role, Turn};

/// Labels of those who ask. A label that begins with one of the long ones counts too: "Interviewer 2".
const INTERVIEWERS: [&str; 6] = ["interviewer", "moderator", "facilitator", "researcher", "question", "host"];
const INTERVIEWERS_SHORT: [&str; 4] = ["i", "int", "q", "mod"];
/// Labels that name no person: two files that use them speak of two people.
const NOBODY: [&str; 9] =
    ["participant", "respondent", "interviewee", "answer", "a", "r", "p", "speaker", "customer"];
/// Keys that make a block of `Key: value` lines at the start of a file a header.
const HEADER_KEYS: [&str; 12] = [
    "title",
    "date",
    "participant",
    "study",
    "project",
    "topic",
    "subject",
    "duration",
    "location",
    "recorded",
    "session",
    "id",
];

pub(crate) fn role_of(label: &str) -> Role {
    let label = label.to_lowercase();
    let asks =
        INTERVIEWERS.iter().any(|name| label.starts_with(name)) || INTERVIEWERS_SHORT.contains(&&*label);
    if asks { Role::Interviewer } else { Role::Participant }
}

/// The name of a speaker: the label, or `person` where the label names nobody.
pub(crate) fn speaker_of<'a>(label: &'a str, person: &'a str) -> &'a str {
    if NOBODY.contains(&&*label.to_lowercase()) { person } else { label }
}

/// The turns of a text whose speakers stand at the start of lines, as in `P01: …` or `**Interviewer:** …`.
pub(crate) fn turns(text: &str, stem: &str) -> Vec<Turn> {
    let header = Header::read(text);
    let labels = labels_of(&text[header.end..]);
    let person = header.participant.unwrap_or(stem);
    let mut turns: Vec<Turn> = Vec::new();
    let mut open: Option<(Arc<str>, Role, usize)> = None;
    let mut close = |open: &mut Option<(Arc<str>, Role, usize)>, end: usize| {
        if let Some((speaker, role, start)) = open.take() {
            let span = trimmed(text, start..end);
            if !span.is_empty() {
                turns.push(Turn { speaker, role, span });
            }
        }
    };
    for (start, line) in lines_of(text).skip_while(|(start, _)| *start < header.end) {
        match label_of(line).filter(|(label, _)| labels.contains(label)) {
            Some((label, words)) => {
                close(&mut open, start);
                let asks = header.interviewer.is_some_and(|name| name.eq_ignore_ascii_case(label));
                let role = if asks { Role::Interviewer } else { role_of(label) };
                open = Some((Arc::from(speaker_of(label, person)), role, start + words));
            }
            // A heading belongs to no turn, and ends one.
            None if line.starts_with('#') => close(&mut open, start),
            None => {}
        }
    }
    close(&mut open, text.len());
    turns
}

/// The paragraphs of a text without speakers, headings left out.
pub(crate) fn paragraphs(text: &str) -> impl Iterator<Item = Range<usize>> {
    let mut spans: Vec<Range<usize>> = Vec::new();
    let mut ended = true;
    for (start, line) in lines_of(text) {
        let span = trimmed(text, start..start + line.len());
        if span.is_empty() || line.starts_with('#') {
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

/// A block of `Key: value` lines before the first empty line, of which one is a key that interviews have.
#[derive(Default)]
struct Header<'a> {
    end: usize,
    participant: Option<&'a str>,
    interviewer: Option<&'a str>,
}

impl<'a> Header<'a> {
    fn read(text: &'a str) -> Self {
        let end = text.find("\n\n").map_or(text.len(), |at| at + 1);
        let mut fields = BTreeMap::new();
        for line in text[..end].lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
            match line.split_once(':') {
                Some((key, value)) if fields.insert(key.trim().to_lowercase(), value.trim()).is_none() => {}
                _ => return Self::default(),
            }
        }
        if !HEADER_KEYS.iter().any(|key| fields.contains_key(*key)) {
            return Self::default();
        }
        let named = |key: &str| fields.get(key).copied().filter(|name| !name.is_empty());
        Self { end, participant: named("participant"), interviewer: named("interviewer") }
    }
}

/// The labels that can be believed: known roles, codes such as `P07`, and whatever leads two lines or more.
fn labels_of(text: &str) -> BTreeSet<&str> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for (label, _) in lines_of(text).filter_map(|(_, line)| label_of(line)) {
        *counts.entry(label).or_default() += 1;
    }
    let known =
        |label: &str| role_of(label) == Role::Interviewer || is_code(label) || speaker_of(label, "") != label;
    counts.into_iter().filter(|(label, count)| *count > 1 || known(label)).map(|(label, _)| label).collect()
}

fn is_code(label: &str) -> bool {
    let letters = label.bytes().take_while(u8::is_ascii_alphabetic).count();
    let digits = label[letters..].trim_start_matches(['-', '_', ' ']);
    (1..=3).contains(&letters) && !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
}

/// A line's label, and where its words begin: `[00:01] **P02:** I'm a` gives `P02` and the place of `I'm`.
fn label_of(line: &str) -> Option<(&str, usize)> {
    let rest = line.trim_start_matches([' ', '\t', '>']);
    let rest = match rest.strip_prefix('[').and_then(|inner| inner.split_once(']')) {
        Some((time, rest)) if time.bytes().all(|b| b.is_ascii_digit() || b":.,".contains(&b)) => {
            rest.trim_start()
        }
        _ => rest,
    };
    let rest = rest.trim_start_matches(['*', '_']);
    let (label, words) = rest.split_once(':')?;
    let words = words.trim_start_matches(['*', '_']);
    let label = label.trim_end_matches(['*', '_', ' ']);
    let fits = (1..=40).contains(&label.len())
        && label.split(' ').count() <= 4
        && label
            .split(' ')
            .all(|word| word.starts_with(|c: char| c.is_uppercase() || c.is_numeric() || c == '('))
        && label.starts_with(char::is_alphabetic)
        && label.chars().all(|c| c.is_alphanumeric() || " .-_'’()".contains(c));
    let spaced = words.is_empty() || words.starts_with([' ', '\t']);
    (fits && spaced).then(|| (label, line.len() - words.trim_start().len()))
}

fn lines_of(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut start = 0;
    text.split('\n').map(move |line| {
        let at = start;
        start += line.len() + 1;
        (at, line)
    })
}

fn trimmed(text: &str, span: Range<usize>) -> Range<usize> {
    let piece = &text[span.clone()];
    let start = span.start + (piece.len() - piece.trim_start().len());
    start..(start + piece.trim().len())
}

#[cfg(test)]
mod tests {
    use super::{paragraphs, turns};

    #[track_caller]
    fn check(text: &str, expected: &[(&str, &str)]) {
        let found = turns(text, "file");
        let found: Vec<_> = found.iter().map(|turn| (&*turn.speaker, &text[turn.span.clone()])).collect();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn labels_in_their_many_dresses() {
        check("Interviewer: Hi\nP1: Yes:\nno", &[("Interviewer", "Hi"), ("P1", "Yes:\nno")]);
        check("**Interviewer:** Hi\n\n**P1**: Yes", &[("Interviewer", "Hi"), ("P1", "Yes")]);
        check("[00:01:02] P1: Yes\n[00:01:05] P1: No", &[("P1", "Yes"), ("P1", "No")]);
        check(
            "Anna Lee: One\nBo: Two\nAnna Lee: x\nBo: y",
            &[("Anna Lee", "One"), ("Bo", "Two"), ("Anna Lee", "x"), ("Bo", "y")],
        );
    }

    #[test]
    fn prose_with_a_colon_is_no_label() {
        check(
            "P1: I said\nHere's the thing: it broke\nAnd then: gone\nAnd then: gone",
            &[("P1", "I said\nHere's the thing: it broke\nAnd then: gone\nAnd then: gone")],
        );
        check("P1: At\nUrl: 9:30 it\nhttps://x.example", &[("P1", "At\nUrl: 9:30 it\nhttps://x.example")]);
    }

    #[test]
    fn a_header_is_no_speech_and_names_the_people() {
        check(
            "Date: today\nParticipant: P9\nInterviewer: Sam\n\nSam: Hi\nParticipant: Yes\nSam: Why?",
            &[("Sam", "Hi"), ("P9", "Yes"), ("Sam", "Why?")],
        );
        check("# Talk\n\nR: Yes\n# Next\nloose\nR: No", &[("file", "Yes"), ("file", "No")]);
    }

    #[test]
    fn paragraphs_leave_headings_out() {
        let text = "# Head\none\ntwo\n\n  three  \n";
        let found: Vec<_> = paragraphs(text).map(|span| &text[span]).collect();
        assert_eq!(found, ["one\ntwo", "three"]);
    }
}

//! Speakers in plain text: labels, heads and paragraphs.
//!
//! Transcripts have no common format. This module recognises the forms that people and transcription services write: a
//! label and a colon at the start of a line, with or without markup and times; a name and a time on a line above the
//! words; headings; and a head above the interview that says who takes part.
//!
//! | module | recognises |
//! |---|---|
//! | `stamp` | times, as in `[00:01:02]` or `0:07 - 0:09` |
//! | `date` | dates in words beside times |
//! | `lines` | the lines, and names above or below times |
//! | `label`, `recent` | labels at the beginning of lines |
//! | `columns` | labels between tabs and bars |
//! | `scripts` | labels of Japanese, Chinese and Korean texts |
//! | `direction` | stage directions beside names |
//! | `sides` | words for who asks and who answers, in many languages |
//! | `accept` | which labels count as speakers |
//! | `topic` | labels that are topics within an answer |
//! | `lists` | labels of verses, logs, timetables and opening hours |
//! | `once` | groups in which every name occurs once |
//! | `dashes` | questions behind dashes, whose answers have no label |
//! | `head` | the names of both sides above an interview |
//! | `boilerplate` | lines that are no speech |
//! | `notice` | notices of chats and meetings, rules, and marks behind words |
//! | `placeholder` | lines of chats instead of words |
//! | `settle` | who asks, where no word and no head settles it |
//!
//! Prose has colons, too, so that a label that looks like a name counts only if it occurs twice in the file; see
//! `accepted_labels`. A false label would split a turn and attribute its rest to a person who does not exist, which is
//! worse than a speaker who is missed. All rules are the same for captions, rows and the anonymiser, which use this
//! module as well.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::ops::Range;

use crate::document::{SpeakerRole, Turn};

mod accept;
mod boilerplate;
mod columns;
mod dashes;
mod date;
mod direction;
mod head;
mod label;
mod label_map;
mod lines;
mod lists;
mod notice;
mod once;
mod placeholder;
mod reader;
mod recent;
mod scripts;
mod settle;
mod sides;
mod stamp;
mod summary;
#[cfg(test)]
mod tests;
mod topic;

use head::Head;
#[cfg(feature = "csv")]
pub(crate) use label::can_be_name;
pub(crate) use label::{begins_quotation, can_be_label};
use label::{in_brackets, side_of};
use label_map::LabelMap;
pub(crate) use settle::is_question;
pub(crate) use settle::{UNNAMED, settle};
use sides::{Side, is_code};
pub use summary::Speaker;
pub(crate) use topic::is_topic;

/// Returns the side of a label, ignoring case: `Moderator (Sam)` and `Q1` ask, `Respondent 2` and `P1` answer. A name,
/// or a label such as `Speaker 2`, is unclear; see [`settle`].
pub(crate) fn role_of(label: &str) -> SpeakerRole {
    side_of(label).map_or(SpeakerRole::Unclear, Side::role)
}

/// Returns the name of a speaker: the label, or `person` if the label does not identify a person. A numbered label such
/// as "Speaker 2" keeps its number. Brackets that have a name or a code, or that have the side, are resolved:
/// `Respondent (R1)` is `R1`, and `Anna Lee (Interviewer)` is `Anna Lee`.
pub(crate) fn speaker_of<'a>(label: &'a str, person: &'a str) -> Cow<'a, str> {
    if let Some((outer, inner)) = in_brackets(label) {
        match (Side::of(outer), Side::of(inner)) {
            (None, Some(_)) => return Cow::Borrowed(outer),
            // What someone does is no name: `P1 (laughing)`.
            (_, None) if inner.starts_with(char::is_lowercase) => return Cow::Borrowed(outer),
            (Some(Side::Asks), _) if !is_short(inner) => return Cow::Borrowed(inner),
            (Some(Side::Asks), _) => return Cow::Borrowed(outer),
            (Some(_), _) => return Cow::Borrowed(inner),
            // A pronoun or a company belongs to no name.
            (None, None) if inner.contains('/') || is_short(inner) => return Cow::Borrowed(outer),
            (None, None) => {}
        }
    }
    match Side::of(label) {
        _ if is_code(label) && label.len() > 1 => Cow::Borrowed(label),
        // A service knows the others: this one is not the file's person.
        Some(Side::Speaks) if label.to_lowercase().contains("unknown") => {
            Cow::Owned(format!("{person} {label}"))
        }
        Some(Side::Answers | Side::Speaks) => of_file(label, person),
        Some(Side::Asks) | None => Cow::Borrowed(label),
    }
}

/// Returns the name of a speaker whose label identifies no person: the file's, and the label if it has a number.
fn of_file<'a>(label: &'a str, person: &'a str) -> Cow<'a, str> {
    let lower = label.to_lowercase();
    if sides::unnumbered(&lower) == lower || label.chars().count() == 1 {
        Cow::Borrowed(person)
    } else {
        Cow::Owned(format!("{person} {label}"))
    }
}

/// Returns whether a text in brackets is a short form of the name before it: `R1`, `AK`.
fn is_short(inner: &str) -> bool {
    is_code(inner) || (inner.chars().count() <= 3 && inner.chars().all(char::is_uppercase))
}

/// Returns the turns of a text with speaker labels at the start of lines, as in `P01: …` or `**Interviewer:** …`.
///
/// A turn extends from the label's end to the next accepted label, the next heading or the end of the text; a line that
/// is neither belongs to the turn before it. Neither the head nor a line that a service added belongs to a turn. A
/// longer text above the first label, and text below a heading, are turns of `person` whose side is unclear.
/// `person` is also the speaker for labels such as `Participant`, unless the head has the participant's name. Empty if
/// no label is accepted.
pub(crate) fn turns(text: &str, person: &str) -> Vec<Turn> {
    let head = Head::read(text);
    reader::read(text, &head, person)
}

/// Returns the paragraphs of a text without speakers, headings, head and lines that are no speech left out: byte ranges
/// without surrounding white space, in order. Empty lines and headings separate paragraphs.
pub(crate) fn paragraphs(text: &str) -> impl Iterator<Item = Range<usize>> {
    paragraphs_from(text, Head::read(text).end).into_iter()
}

/// Returns the paragraphs from a byte offset on; see [`paragraphs`].
fn paragraphs_from(text: &str, from: usize) -> Vec<Range<usize>> {
    let mut spans: Vec<Range<usize>> = Vec::new();
    let mut ended = true;
    for (at, line) in lines_of(&text[from..]) {
        let start = from + at;
        let mut span = trimmed(text, start..start + line.len());
        // A machine's transcript without names: `[00:00.000 --> 00:03.000] So.`
        if line.starts_with('[')
            && let Some(stamp) = stamp::Stamp::lead(line)
        {
            span = trimmed(text, start + line.len() - stamp.rest.len()..start + line.len());
            ended = true;
        }
        let is_apart = || is_heading(line) || notice::is_rule(line) || notice::is_notice(line, false);
        if span.is_empty() || is_apart() || boilerplate::is_boilerplate(line) {
            ended = true;
        } else if ended {
            spans.push(span);
            ended = false;
        } else if let Some(last) = spans.last_mut() {
            last.end = span.end;
        }
    }
    spans
}

/// Returns whether a line is a heading: `## Topic` is one, `#1 thing I hate` is not.
fn is_heading(line: &str) -> bool {
    let rest = line.trim_start_matches('#');
    rest.len() < line.len() && (rest.is_empty() || rest.starts_with(' '))
}

/// Returns whether the value of a key names an interviewer, as in `{"moderator": "Jo"}`; used for trees such as JSON.
pub(crate) fn names_asker(key: &str) -> bool {
    key.chars().count() > 4
        && !key.contains(|c: char| c.is_ascii_digit())
        && Side::of(key) == Some(Side::Asks)
        && !key.eq_ignore_ascii_case("question")
}

/// Returns whether a label is a person's whole name, or the first name, ignoring case.
pub(crate) fn is_called(label: &str, name: &str) -> bool {
    let first = |name: &str| name.split_whitespace().next().map(str::to_lowercase);
    name.to_lowercase() == label.to_lowercase() || (!label.contains(' ') && first(name) == first(label))
}

/// Returns the labels that count as speakers: known sides, codes such as `P07`, and labels that occur at least twice.
///
/// If these are only interviewers, all labels count, so that a dialogue of one question and one answer is read as such.
pub(crate) fn accepted_labels<'a>(labels: impl Iterator<Item = &'a str>) -> BTreeSet<&'a str> {
    let mut counts: LabelMap<'a, usize> = LabelMap::default();
    for label in labels {
        *counts.get_or_default(label) += 1;
    }
    let is_believed = |(label, count): &(&'a str, &usize)| **count > 1 || is_known(label);
    let found: BTreeSet<&'a str> = counts.iter().filter(is_believed).map(|(label, _)| label).collect();
    // An interviewer alone makes no interview: in a short one each label may occur only once.
    if !found.is_empty() && found.iter().all(|label| role_of(label) == SpeakerRole::Interviewer) {
        counts.keys().collect()
    } else {
        found
    }
}

/// Returns whether words end a sentence: by a mark, or by what closes a quotation, brackets or a song.
pub(crate) fn ends_sentence(words: &str) -> bool {
    words.trim_end().ends_with(['.', '?', '!', '…', '"', '”', '»', ')', ']', '♪', '。', '？', '！'])
}

/// Returns whether a label counts as a speaker even if it occurs only once, ignoring case.
fn is_known(label: &str) -> bool {
    is_code(label) || side_of(label).is_some()
}

/// Returns whether a label is a code or a word for a side or a speaker, ignoring case.
#[cfg(feature = "csv")]
pub(crate) fn is_side(label: &str) -> bool {
    is_known(label)
}

/// Returns whether a speaker's label may be a person's name: no code, no side of the interview, and no `Speaker 2`.
#[cfg(feature = "anonymise")]
pub(crate) fn is_speaker(label: &str) -> bool {
    !is_no_speaker(label) && can_be_label(label)
}

/// Returns whether a speaker's label is a code or a side of the interview, so that it names no one.
#[cfg(feature = "anonymise")]
pub(crate) fn is_no_speaker(label: &str) -> bool {
    is_code(label) || Side::of(label).is_some()
}

/// Returns whether a line has a name and nothing else.
pub(crate) fn is_name_alone(line: &str) -> bool {
    label::name_alone(line).is_some()
}

/// Returns whether a text is a time and nothing else, such as `0:03` or `[00:01:02.5]`.
#[cfg(any(feature = "csv", feature = "docx", feature = "html"))]
pub(crate) fn is_time(text: &str) -> bool {
    stamp::Stamp::alone(text).is_some()
}

/// Returns the lines of a text, each with the byte offset of its beginning.
fn lines_of(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut start = 0;
    let ends = memchr::memchr_iter(b'\n', text.as_bytes()).chain(std::iter::once(text.len()));
    ends.map(move |end| {
        let at = std::mem::replace(&mut start, end + 1);
        (at, &text[at..end])
    })
}

/// Returns a byte range of a text without the white space and the marks of direction at its ends.
fn trimmed(text: &str, span: Range<usize>) -> Range<usize> {
    let piece = &text[span.clone()];
    let is_edge = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_graphic);
    if is_edge(piece.as_bytes().first()) && is_edge(piece.as_bytes().last()) {
        return span;
    }
    let start = span.start + (piece.len() - piece.trim_start_matches(is_blank).len());
    start..(start + piece.trim_matches(is_blank).len())
}

/// Returns whether a character is white space, or a mark of direction or of a line's beginning that no one sees.
fn is_blank(c: char) -> bool {
    c.is_whitespace()
        || matches!(c, '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{61c}' | '\u{feff}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

//! The lines of a text, each with the mark of its label and with what else it may be.

use std::borrow::Cow;

use super::boilerplate::{NoteKind, is_advert, is_boilerplate, is_section, note_kind};
use super::label::{self, Mark, MarkKind};
use super::notice;
use super::recent::RecentLabels;
use super::stamp::Stamp;
use super::{ends_sentence, is_heading, lines_of};

/// A line of the text below the head that is not empty.
pub(super) struct Line<'a> {
    /// The byte offset from the end of the head.
    pub(super) start: usize,
    pub(super) text: &'a str,
    /// The label at its beginning, or of its heading.
    pub(super) mark: Option<Mark<'a>>,
    /// The time that the line has and nothing else.
    pub(super) time: Option<Cow<'a, str>>,
    /// Whether the line before it is empty.
    pub(super) begins_block: bool,
    /// Whether the lines before and behind it are empty.
    is_alone: bool,
    /// Whether it is a notice of a chat or a meeting, or a mark of the window that shows it.
    pub(super) is_notice: bool,
    /// The kind of the note that it is, if it is no part of a message of a chat.
    note: Option<NoteKind>,
}

impl<'a> Line<'a> {
    /// Reads the marks of all lines but the empty ones. A name above a line with a time, or below one, is a mark as
    /// well.
    pub(super) fn read(text: &'a str) -> Vec<Self> {
        let count = memchr::memchr_iter(b'\n', text.as_bytes()).count() + 1;
        let mut lines: Vec<Self> = Vec::with_capacity(count);
        let (mut begins_block, mut recent) = (true, RecentLabels::default());
        for (start, text) in lines_of(text) {
            if text.trim_start().is_empty() {
                begins_block = true;
                continue;
            }
            if let Some(last) = lines.last_mut().filter(|_| !begins_block) {
                last.is_alone = false;
            }
            let (mark, time, note) = match recent.again(text) {
                Some(mark) => (Some(mark), None, None),
                None => (mark(text, &mut recent), time_alone(text), note_kind(text)),
            };
            let is_alone = begins_block;
            lines.push(Self { start, text, mark, time, begins_block, is_alone, is_notice: false, note });
            begins_block = false;
        }
        stack_names(&mut lines);
        find_notices(&mut lines);
        name_blocks(&mut lines);
        find_notes(&mut lines);
        lines
    }

    /// Returns whether the line is no speech: a notice or a rule.
    pub(super) fn is_noise(&self) -> bool {
        self.is_notice || notice::is_rule(self.text)
    }

    /// Returns whether the line begins a message of a chat: a name and a time that are on the line, or above the words.
    fn is_message(&self) -> bool {
        self.mark.as_ref().is_some_and(|mark| mark.time.is_some())
    }

    /// Returns whether the line begins with a nickname in angle brackets, behind a time or not.
    fn has_nick(&self) -> bool {
        if memchr::memchr(b'<', self.text.as_bytes()).is_none() {
            return false;
        }
        let text = self.text.trim_start();
        let text = Stamp::lead(text).map_or(text, |stamp| stamp.rest);
        self.mark.is_some() && text.starts_with('<')
    }

    /// Returns whether the line ends a sentence.
    fn ends_sentence(&self) -> bool {
        ends_sentence(self.text)
    }

    /// Returns whether this line is directly above another one.
    fn is_above(&self, next: &Self) -> bool {
        self.start + self.text.len() + 1 == next.start
    }

    /// Returns whether the line belongs to no turn and ends the one before it: a heading, or what a service added.
    pub(super) fn ends_turn(&self) -> bool {
        self.is_apart()
            || self.is_noise()
            || label::is_dated_without_name(self.text)
            || is_advert(self.text)
            || (self.is_alone && is_boilerplate(self.text))
    }

    /// Returns whether the line is a heading or a note, behind which another may speak.
    pub(super) fn is_apart(&self) -> bool {
        let is_note = self.note.is_some() && self.begins_block;
        is_heading(self.text) || is_note || (self.begins_block && is_section(self.text))
    }

    /// Returns whether the line is a note within a turn, whose speaker continues behind it.
    pub(super) fn is_aside(&self) -> bool {
        self.note == Some(NoteKind::Observed) && !self.begins_block
    }
}

/// Returns the mark of a line, or of a heading.
fn mark<'a>(line: &'a str, recent: &mut RecentLabels<'a>) -> Option<Mark<'a>> {
    let of_heading = |label, time| Mark { label, time, words: line.len(), kind: MarkKind::Heading };
    if is_heading(line) {
        let timed = recent.mark_of(line.trim_start_matches('#')).filter(|mark| mark.kind == MarkKind::Time);
        let timed = timed.and_then(|mark| Some(of_heading(mark.label, Some(mark.time?))));
        return timed.or_else(|| label::heading_label(line).map(|label| of_heading(label, None)));
    }
    let mark = recent.mark_of(line);
    mark.iter().for_each(|mark| recent.keep(line, mark));
    mark.or_else(|| label::heading_label(line).map(|label| of_heading(label, None)))
}

/// Marks the notices of chats and meetings: lines that begin like one, unless unlabelled words continue them.
fn find_notices(lines: &mut [Line<'_>]) {
    let is_chat = lines.iter().filter(|line| line.is_message()).nth(1).is_some();
    let is_of_nicks = lines.iter().filter(|line| line.has_nick()).nth(1).is_some();
    for at in (0..lines.len()).rev() {
        let line = &lines[at];
        if line.mark.as_ref().is_some_and(|mark| mark.kind != MarkKind::Weak) || line.time.is_some() {
            continue;
        }
        let text = if line.text.trim_start().starts_with(['[', '(', '0', '1', '2']) {
            Stamp::lead(line.text.trim_start()).map_or(line.text, |stamp| stamp.rest)
        } else {
            line.text
        };
        let ends = lines.get(at + 1).is_none_or(|next| {
            next.begins_block || next.mark.is_some() || next.time.is_some() || next.is_noise()
        });
        let is_sole =
            || ends || is_chat || at.checked_sub(1).is_none_or(|above| lines[above].ends_sentence());
        // The count of a reaction.
        let is_count = || {
            let is_number = text.trim().len() < 4 && text.trim().bytes().all(|byte| byte.is_ascii_digit());
            is_chat
                && is_number
                && at.checked_sub(1).is_some_and(|above| notice::is_reaction(lines[above].text))
        };
        let is_instead = || notice::is_instead(text);
        // Directly below a name and a time, such a word is what someone says.
        let is_window = || {
            is_chat
                && notice::is_of_window(text)
                && at.checked_sub(1).is_some_and(|above| !is_header(lines, above))
        };
        let is_notice = (notice::is_notice(text, is_chat) && is_sole())
            || (is_of_nicks && notice::is_gesture(text))
            || is_instead()
            || is_count()
            || is_window();
        lines[at].is_notice = is_notice;
    }
}

/// Clears the notes of a text whose messages have dates: a chat, in which no researcher writes.
fn find_notes(lines: &mut [Line<'_>]) {
    let is_dated = |line: &&Line<'_>| {
        let time = line.mark.as_ref().and_then(|mark| mark.time.as_deref()).unwrap_or_default();
        let time = time.trim_end_matches(|c: char| c.is_alphabetic() || matches!(c, ' ' | '.' | '\u{202f}'));
        time.contains(|c: char| !(c.is_ascii_digit() || c == ':'))
    };
    if lines.iter().filter(is_dated).nth(1).is_some() {
        lines.iter_mut().for_each(|line| line.note = None);
    }
}

/// Returns the time of a line that has nothing else.
fn time_alone(line: &str) -> Option<Cow<'_, str>> {
    Stamp::alone(line).map(|stamp| stamp.time)
}

/// Marks names that have a line for themselves directly above or below a line with a time.
fn stack_names(lines: &mut [Line<'_>]) {
    for at in 0..lines.len() {
        stack_badge(lines, at);
        if lines[at].time.is_none() {
            continue;
        }
        let touches = |at: usize, next: usize| match (lines.get(at), lines.get(next)) {
            (Some(line), Some(next)) => line.is_above(next),
            _ => false,
        };
        let above = at.checked_sub(1).filter(|above| touches(*above, at) && is_name(&lines[*above]));
        let is_below =
            |below: &usize| touches(at, *below) && touches(*below, below + 1) && is_name(&lines[*below]);
        let Some(named) = above.or_else(|| Some(at + 1).filter(is_below)) else { continue };
        let (first, last) = (at.min(named), at.max(named));
        let label = label::name_alone(lines[named].text).unwrap_or_default();
        let words = lines[last].start + lines[last].text.len() - lines[first].start;
        let time = lines[at].time.take();
        lines[first].mark = Some(Mark { label, time, words, kind: MarkKind::Time });
    }
}

/// Returns whether a line has nothing but a name or its time, or both, above the words.
fn is_header(lines: &[Line<'_>], at: usize) -> bool {
    let end = lines[at].start + lines[at].text.trim_end().len();
    let reaches = |line: &Line<'_>| line.mark.as_ref().is_some_and(|mark| line.start + mark.words >= end);
    lines[at.saturating_sub(3)..=at].iter().any(reaches)
}

/// Joins the badge of a program and its time to the name above it: `Polly` above `APP  10:17 AM`.
fn stack_badge(lines: &mut [Line<'_>], at: usize) {
    let is_badge = |line: &Line<'_>| line.mark.as_ref().is_some_and(|mark| notice::is_program(mark.label));
    let Some(above) =
        at.checked_sub(1).filter(|above| is_badge(&lines[at]) && lines[*above].is_above(&lines[at]))
    else {
        return;
    };
    if is_name(&lines[above]) {
        let (start, end) = (lines[above].start, lines[at].start + lines[at].text.len());
        let badge = lines[at].mark.take();
        lines[above].mark = badge.map(|mark| Mark { words: end - start, ..mark });
    }
}

/// Marks names that have the first line of a paragraph for themselves, above its words.
fn name_blocks(lines: &mut [Line<'_>]) {
    for at in 0..lines.len() {
        let has_words = lines.get(at + 1).is_some_and(|next| lines[at].is_above(next));
        if !(has_words && lines[at].begins_block && is_name(&lines[at])) {
            continue;
        }
        let (text, words) = (lines[at].text, lines[at].text.len());
        let label = label::name_alone(text).unwrap_or_default();
        lines[at].mark = Some(Mark { label, time: None, words, kind: MarkKind::Alone });
    }
}

/// Returns whether a line can be a name beside a time.
fn is_name(line: &Line<'_>) -> bool {
    line.mark.is_none() && line.time.is_none() && label::name_alone(line.text).is_some()
}

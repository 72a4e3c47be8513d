//! The turns of a text, from the labels of its lines.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::accept::Labels;
use super::boilerplate::{NoteKind, is_advert, is_boilerplate, is_section, note_kind};
use super::head::Head;
use super::label::{self, Mark, MarkKind, RecentLabels};
use super::notice;
use super::settle::UNNAMED;
use super::sides::{Side, is_code};
use super::stamp::Stamp;
use super::{
    ends_sentence, in_brackets, is_heading, is_short, lines_of, paragraphs_from, side_of, speaker_of, trimmed,
};
use crate::document::{SpeakerRole, Turn};

/// The number of words above the first label from which on they are speech, and not the file's title.
const PREAMBLE_WORDS: usize = 25;

/// The usual bytes of a line, from which the number of lines is estimated.
const LINE_BYTES: usize = 48;

/// Returns the turns of a text below its head; empty if no label is accepted.
pub(super) fn read<'a>(text: &'a str, head: &'a Head<'a>, person: &'a str) -> Vec<Turn> {
    let lines = Line::read(&text[head.end..]);
    let labels = Labels::accept(&lines, head);
    if !labels.make_dialogue(&lines) {
        return Vec::new();
    }
    let mut reader = TurnReader::new(text, head, person);
    reader.has_asker = labels.has_asker;
    reader.has_sides = labels.has_sides;
    for line in &lines {
        let (start, end) = (head.end + line.start, head.end + line.start + line.text.len());
        match (&line.mark, &line.time) {
            (Some(mark), _) if labels.holds(mark) => {
                reader.close(start);
                if mark.time.is_some() && notice::is_program(mark.label) {
                    continue;
                }
                reader.begin(mark, start + mark.words);
                if notice::is_instead(&line.text[mark.words.min(line.text.len())..]) {
                    reader.skip(start, end);
                }
            }
            (_, Some(time)) => reader.go_on(time, start, end),
            _ if line.is_notice => reader.skip(start, end),
            _ if notice::is_rule(line.text) => reader.rule(start, end),
            _ if labels.only_ask && reader.is_answered(line, start) => reader.answer(start),
            _ if line.is_aside() => reader.skip(start, end),
            _ if line.is_apart() => reader.pause(start, end),
            _ if line.ends_turn() => reader.skip(start, end),
            _ => {}
        }
        let length = notice::without_mark(line.text);
        if length < line.text.len() {
            reader.skip(start + length, end);
        }
    }
    reader.finish();
    reader.turns
}

/// A line of the text below the head that is not empty.
pub(super) struct Line<'a> {
    /// The byte offset from the end of the head.
    start: usize,
    pub(super) text: &'a str,
    /// The label at its beginning, or of its heading.
    pub(super) mark: Option<Mark<'a>>,
    /// The time that the line has and nothing else.
    time: Option<Cow<'a, str>>,
    /// Whether the line before it is empty.
    pub(super) begins_block: bool,
    /// Whether the lines before and behind it are empty.
    is_alone: bool,
    /// Whether it is a notice of a chat or a meeting, or a mark of the window that shows it.
    is_notice: bool,
    /// The kind of the note that it is, if it is no part of a message of a chat.
    note: Option<NoteKind>,
}

impl<'a> Line<'a> {
    /// Reads the marks of all lines but the empty ones. A name above a line with a time, or below one, is a mark as
    /// well.
    fn read(text: &'a str) -> Vec<Self> {
        let mut lines: Vec<Self> = Vec::with_capacity(text.len() / LINE_BYTES);
        let (mut begins_block, mut recent) = (true, RecentLabels::default());
        for (start, text) in lines_of(text) {
            if text.trim().is_empty() {
                begins_block = true;
                continue;
            }
            if let Some(last) = lines.last_mut().filter(|_| !begins_block) {
                last.is_alone = false;
            }
            let (mark, time) = (mark(text, &mut recent), time_alone(text));
            let is_alone = begins_block;
            lines.push(Self {
                start,
                text,
                mark,
                time,
                begins_block,
                is_alone,
                is_notice: false,
                note: note_kind(text),
            });
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
    fn is_apart(&self) -> bool {
        let is_note = self.note.is_some() && self.begins_block;
        is_heading(self.text) || is_note || (self.begins_block && is_section(self.text))
    }

    /// Returns whether the line is a note within a turn, whose speaker continues behind it.
    fn is_aside(&self) -> bool {
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
    recent.mark_of(line).or_else(|| label::heading_label(line).map(|label| of_heading(label, None)))
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

/// The turns of a text that is read line by line.
struct TurnReader<'a> {
    text: &'a str,
    head: &'a Head<'a>,
    /// The speaker for labels that identify no person.
    person: &'a str,
    /// The speaker of text below headings and above the first label.
    file: Arc<str>,
    /// Whether a label asks, so that short labels such as `R` are known to answer.
    has_asker: bool,
    /// Whether the head has the sides of its names.
    has_sides: bool,
    /// Whether the open turn follows a rule, so that a few words behind it are a signature.
    is_ruled: bool,
    /// The speakers by their labels. A few people speak thousands of lines: their names are shared.
    people: BTreeMap<&'a str, (Arc<str>, SpeakerRole)>,
    /// The turn whose end is not known yet, with an empty range at its start.
    open: Option<Turn>,
    turns: Vec<Turn>,
}

impl<'a> TurnReader<'a> {
    /// Creates a reader of a text with this head; a participant whom the head names replaces `person`.
    fn new(text: &'a str, head: &'a Head<'a>, person: &'a str) -> Self {
        let file: Arc<str> = Arc::from(format!("{person} {UNNAMED}"));
        let person = head.participant().unwrap_or(person);
        let mut reader = Self {
            text,
            head,
            person,
            file,
            has_asker: true,
            has_sides: true,
            is_ruled: false,
            people: BTreeMap::new(),
            open: None,
            turns: Vec::new(),
        };
        reader.open = Some(reader.unclear(head.end));
        reader
    }

    /// Returns the turn of text without a label.
    fn unclear(&self, start: usize) -> Turn {
        Turn { speaker: self.file.clone(), role: SpeakerRole::Unclear, time: None, span: start..start }
    }

    /// Begins the turn of a label, whose text begins at the byte offset `start`.
    fn begin(&mut self, mark: &Mark<'a>, start: usize) {
        self.is_ruled = false;
        let (speaker, role) = self.person_of(mark.label);
        self.open =
            Some(Turn { speaker, role, time: mark.time.as_deref().map(Arc::from), span: start..start });
    }

    /// Returns the speaker of a label, and its side: that of the head, or that of the label.
    fn person_of(&mut self, label: &'a str) -> (Arc<str>, SpeakerRole) {
        if let Some(known) = self.people.get(label) {
            return known.clone();
        }
        // Without one who asks, `R` may be a researcher.
        let may_ask = label.chars().count() == 1 || (label.starts_with(['R', 'r']) && is_code(label));
        let is_vague = !self.has_asker && may_ask && side_of(label) == Some(Side::Answers);
        let named = self.head.side_of(label).filter(|_| self.has_sides);
        let side = named.or_else(|| side_of(label).filter(|_| !is_vague));
        let name = match self.head.name_of(label) {
            Some(name) => Cow::Borrowed(name),
            None if is_vague => Cow::Owned(format!("{} {label}", self.person)),
            None => speaker_of(label, self.person),
        };
        let person = (Arc::from(name), side.map_or(SpeakerRole::Unclear, Side::role));
        self.people.insert(label, person.clone());
        // `Respondent (R1)` introduces `R1`, and `Anna Lee (Interviewer)` introduces `Anna Lee`.
        if let Some((outer, inner)) = in_brackets(label) {
            let other = if is_short(inner) || inner.chars().count() == 1 { inner } else { outer };
            self.people.entry(other).or_insert_with(|| person.clone());
        }
        person
    }

    /// Returns whether a line without a label answers the open turn, which asks: it begins a paragraph, or the question
    /// has ended.
    fn is_answered(&self, line: &Line<'_>, start: usize) -> bool {
        let asked = self.open.as_ref().filter(|open| open.role == SpeakerRole::Interviewer);
        // Only the end is trimmed: white space at the beginning would be passed again for each line.
        let words = asked.map(|open| self.text[open.span.start.min(start)..start].trim_end());
        words.is_some_and(|words| {
            !words.is_empty() && (line.begins_block || words.ends_with(['?', '？', '؟']))
        })
    }

    /// Begins the answer of the participant, who has no label.
    fn answer(&mut self, start: usize) {
        self.close(start);
        let speaker = Arc::from(self.person);
        self.open = Some(Turn { speaker, role: SpeakerRole::Participant, time: None, span: start..start });
    }

    /// Ends the open turn at a line with a time alone; the same speaker continues behind it.
    fn go_on(&mut self, time: &str, start: usize, end: usize) {
        let Some(open) = &self.open else { return };
        let next = Turn { time: Some(Arc::from(time)), span: end..end, ..open.clone() };
        self.close(start);
        self.open = Some(next);
    }

    /// Leaves out a line that is no speech; the same speaker continues behind it.
    fn skip(&mut self, start: usize, end: usize) {
        let Some(open) = &self.open else { return };
        let next = Turn { span: end..end, ..open.clone() };
        self.close(start);
        self.open = Some(next);
    }

    /// Ends the open turn at a rule; directly below a label, a rule is a part of it.
    fn rule(&mut self, start: usize, end: usize) {
        let is_empty = |open: &Turn| self.text[open.span.start.min(start)..start].trim().is_empty();
        if self.open.as_ref().is_some_and(is_empty) {
            return self.skip(start, end);
        }
        self.pause(start, end);
        self.is_ruled = true;
    }

    /// Ends the last turn. A few words behind the last rule are a signature, and no speech.
    fn finish(&mut self) {
        let is_short =
            |open: &Turn| self.text[open.span.start..].split_whitespace().nth(PREAMBLE_WORDS).is_none();
        if self.is_ruled && self.open.as_ref().is_some_and(is_short) {
            self.open = None;
        }
        self.close(self.text.len());
    }

    /// Ends the open turn at a line that is no speech. The speaker behind it is not known.
    fn pause(&mut self, start: usize, end: usize) {
        self.is_ruled = false;
        self.close(start);
        self.open = Some(self.unclear(end));
    }

    /// Ends the open turn, if there is one, at the byte offset `end`. A turn without text is dropped.
    fn close(&mut self, end: usize) {
        let Some(turn) = self.open.take() else { return };
        let mut span = trimmed(self.text, turn.span.start.min(end)..end);
        // Quotation marks around the words are those of a label.
        let opens = |sign: char| self.text[..turn.span.start.min(end)].ends_with(sign);
        if (opens('「') && self.text[span.clone()].ends_with('」'))
            || (opens('『') && self.text[span.clone()].ends_with('』'))
        {
            span.end -= '」'.len_utf8();
        }
        if span.is_empty() {
            return;
        }
        if self.turns.is_empty() && turn.speaker == self.file && turn.role == SpeakerRole::Unclear {
            self.add_preamble(&turn, span.end);
        } else {
            self.turns.push(Turn { span, ..turn });
        }
    }

    /// Adds the text above the first label by paragraphs, unless it is as short as a title.
    fn add_preamble(&mut self, turn: &Turn, end: usize) {
        let above = &self.text[..end];
        if above[turn.span.start..].split_whitespace().nth(PREAMBLE_WORDS).is_none() {
            return;
        }
        let spans = paragraphs_from(above, turn.span.start);
        self.turns.extend(spans.into_iter().map(|span| Turn { span, ..turn.clone() }));
    }
}

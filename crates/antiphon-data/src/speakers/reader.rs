//! The turns of a text, from the labels of its lines.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::boilerplate::is_boilerplate;
use super::head::Head;
use super::label::{self, Mark, MarkKind};
use super::sides::Side;
use super::stamp::Stamp;
use super::{
    accepted_labels, in_brackets, is_heading, is_known, is_short, lines_of, mark_of, paragraphs_from,
    side_of, speaker_of, trimmed,
};
use crate::document::{SpeakerRole, Turn};

/// The number of words above the first label from which on they are speech, and not the file's title.
const PREAMBLE_WORDS: usize = 25;

/// Returns the turns of a text below its head; empty if no label is accepted.
pub(super) fn read<'a>(text: &'a str, head: &'a Head<'a>, person: &'a str) -> Vec<Turn> {
    let lines = Line::read(&text[head.end..]);
    let labels = Labels::accept(&lines, head);
    if !labels.make_dialogue(&lines) {
        return Vec::new();
    }
    let mut reader = TurnReader::new(text, head, person);
    for line in &lines {
        let start = head.end + line.start;
        match (&line.mark, &line.time) {
            (Some(mark), _) if labels.holds(mark) => {
                reader.close(start);
                reader.begin(mark, start + mark.words);
            }
            (_, Some(time)) => reader.go_on(time, start, start + line.text.len()),
            _ if line.ends_turn() => reader.pause(start, start + line.text.len()),
            _ => {}
        }
    }
    reader.close(text.len());
    reader.turns
}

/// A line of the text below the head.
struct Line<'a> {
    /// The byte offset from the end of the head.
    start: usize,
    text: &'a str,
    /// The label at its beginning, or of its heading.
    mark: Option<Mark<'a>>,
    /// The time that the line has and nothing else.
    time: Option<Cow<'a, str>>,
    /// Whether the lines before and behind it are empty.
    is_alone: bool,
}

impl<'a> Line<'a> {
    /// Reads the marks of all lines but the empty ones. A name above a line with a time, or below one, is a mark as
    /// well.
    fn read(text: &'a str) -> Vec<Self> {
        let mut lines: Vec<Self> = Vec::new();
        let mut is_alone = true;
        for (start, text) in lines_of(text) {
            if text.trim().is_empty() {
                is_alone = true;
                continue;
            }
            if let Some(last) = lines.last_mut().filter(|_| !is_alone) {
                last.is_alone = false;
            }
            lines.push(Self { start, text, mark: mark(text), time: time_alone(text), is_alone });
            is_alone = false;
        }
        stack_names(&mut lines);
        lines
    }

    /// Returns whether this line is directly above another one.
    fn is_above(&self, next: &Self) -> bool {
        self.start + self.text.len() + 1 == next.start
    }

    /// Returns whether the line belongs to no turn and ends the one before it: a heading, or what a service added.
    fn ends_turn(&self) -> bool {
        is_heading(self.text) || (self.is_alone && is_boilerplate(self.text))
    }
}

/// Returns the mark of a line, or of a heading.
fn mark(line: &str) -> Option<Mark<'_>> {
    let heading = || {
        let label = label::heading_label(line)?;
        Some(Mark { label, time: None, words: line.len(), kind: MarkKind::Heading })
    };
    mark_of(line).filter(|_| !is_heading(line)).or_else(heading)
}

/// Returns the time of a line that has nothing else.
fn time_alone(line: &str) -> Option<Cow<'_, str>> {
    Stamp::alone(line).map(|stamp| stamp.time)
}

/// Marks names that have a line for themselves directly above or below a line with a time.
fn stack_names(lines: &mut [Line<'_>]) {
    for at in 0..lines.len() {
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

/// Returns whether a line can be a name beside a time.
fn is_name(line: &Line<'_>) -> bool {
    line.mark.is_none() && line.time.is_none() && label::name_alone(line.text).is_some()
}

/// The labels that count as speakers.
struct Labels<'a> {
    /// Labels at the beginning of lines.
    inline: BTreeSet<&'a str>,
    /// Labels of headings; empty if lines have labels.
    headings: BTreeSet<&'a str>,
}

impl<'a> Labels<'a> {
    /// Decides which of the marked labels count.
    fn accept(lines: &[Line<'a>], head: &Head<'_>) -> Self {
        let marks = || lines.iter().filter_map(|line| line.mark.as_ref());
        let of = |kind: MarkKind| marks().filter(move |mark| mark.kind == kind);
        let inline = || marks().filter(|mark| matches!(mark.kind, MarkKind::Colon | MarkKind::Time));
        let mut accepted = accepted_labels(inline().map(|mark| mark.label));
        accepted.extend(inline().map(|mark| mark.label).filter(|label| head.side_of(label).is_some()));
        let introduced: BTreeSet<&str> =
            accepted.iter().filter_map(|label| in_brackets(label)).flat_map(<[_; 2]>::from).collect();
        accepted.extend(inline().map(|mark| mark.label).filter(|label| introduced.contains(label)));
        // Two lines of a name and a time, and nothing else, are no chance.
        if of(MarkKind::Time).nth(1).is_some() {
            accepted.extend(of(MarkKind::Time).map(|mark| mark.label));
        }
        let is_asked = accepted.iter().all(|label| is_asker(label, head));
        if is_asked && !accepted.is_empty() {
            accepted.extend(inline().map(|mark| mark.label));
        }
        if is_dense(lines) {
            accepted.extend(marks().filter(|mark| mark.kind != MarkKind::Heading).map(|mark| mark.label));
        }
        let headings = if accepted.is_empty() { headings(of(MarkKind::Heading)) } else { BTreeSet::new() };
        Self { inline: accepted, headings }
    }

    /// Returns whether a mark is that of a speaker.
    fn holds(&self, mark: &Mark<'_>) -> bool {
        match mark.kind {
            MarkKind::Heading => self.headings.contains(mark.label),
            MarkKind::Colon | MarkKind::Time | MarkKind::Small => self.inline.contains(mark.label),
        }
    }

    /// Returns whether the labels make a dialogue: one label alone does only where the text begins.
    fn make_dialogue(&self, lines: &[Line<'_>]) -> bool {
        let is_marked = |line: &&Line<'_>| line.mark.as_ref().is_some_and(|mark| self.holds(mark));
        let first = lines.iter().find(|line| !line.ends_turn());
        match lines.iter().filter(is_marked).take(2).count() {
            0 => false,
            1 => first.is_some_and(|line| is_marked(&line)),
            _ => true,
        }
    }
}

/// Returns whether a label is an interviewer's.
fn is_asker(label: &str, head: &Head<'_>) -> bool {
    head.side_of(label).or_else(|| side_of(label)) == Some(Side::Asks)
}

/// Returns whether nearly every line begins with a label, so that names in small letters are names, too. At least four
/// lines.
fn is_dense(lines: &[Line<'_>]) -> bool {
    let small = lines
        .iter()
        .filter(|line| line.mark.as_ref().is_some_and(|mark| mark.kind == MarkKind::Small))
        .count();
    let marked = lines.iter().filter(|line| line.mark.is_some()).count();
    small > 1 && marked > 3 && marked * 5 >= lines.len() * 4
}

/// Returns the labels of headings that name speakers: known ones, and ones that occur twice. Two different ones at
/// least, since a topic may have a heading such as `Question`, too.
fn headings<'m, 'a: 'm>(marks: impl Iterator<Item = &'m Mark<'a>>) -> BTreeSet<&'a str> {
    let mut counts: BTreeMap<&'a str, usize> = BTreeMap::new();
    for mark in marks {
        *counts.entry(mark.label).or_default() += 1;
    }
    let is_believed = |(label, count): &(&'a str, usize)| *count > 1 || is_known(label);
    let found: BTreeSet<&'a str> = counts.into_iter().filter(is_believed).map(|(label, _)| label).collect();
    if found.len() > 1 { found } else { BTreeSet::new() }
}

/// The turns of a text that is read line by line.
struct TurnReader<'a> {
    text: &'a str,
    head: &'a Head<'a>,
    /// The speaker for labels that identify no person.
    person: &'a str,
    /// The speaker of text below headings and above the first label.
    file: Arc<str>,
    /// The speakers by their labels. A few people speak thousands of lines: their names are shared.
    people: BTreeMap<&'a str, (Arc<str>, SpeakerRole)>,
    /// The turn whose end is not known yet, with an empty range at its start.
    open: Option<Turn>,
    turns: Vec<Turn>,
}

impl<'a> TurnReader<'a> {
    /// Creates a reader of a text with this head; a participant whom the head names replaces `person`.
    fn new(text: &'a str, head: &'a Head<'a>, person: &'a str) -> Self {
        let file: Arc<str> = Arc::from(person);
        let person = head.participant().unwrap_or(person);
        let mut reader =
            Self { text, head, person, file, people: BTreeMap::new(), open: None, turns: Vec::new() };
        reader.open = Some(reader.unclear(head.end));
        reader
    }

    /// Returns the turn of text without a label.
    fn unclear(&self, start: usize) -> Turn {
        Turn { speaker: self.file.clone(), role: SpeakerRole::Unclear, time: None, span: start..start }
    }

    /// Begins the turn of a label, whose text begins at the byte offset `start`.
    fn begin(&mut self, mark: &Mark<'a>, start: usize) {
        let (speaker, role) = self.person_of(mark.label);
        self.open =
            Some(Turn { speaker, role, time: mark.time.as_deref().map(Arc::from), span: start..start });
    }

    /// Returns the speaker of a label, and its side: that of the head, or that of the label.
    fn person_of(&mut self, label: &'a str) -> (Arc<str>, SpeakerRole) {
        if let Some(known) = self.people.get(label) {
            return known.clone();
        }
        let side = self.head.side_of(label).or_else(|| side_of(label));
        let name = match self.head.name_of(label) {
            Some(name) => Cow::Borrowed(name),
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

    /// Ends the open turn at a line with a time alone; the same speaker continues behind it.
    fn go_on(&mut self, time: &str, start: usize, end: usize) {
        let Some(open) = &self.open else { return };
        let next = Turn { time: Some(Arc::from(time)), span: end..end, ..open.clone() };
        self.close(start);
        self.open = Some(next);
    }

    /// Ends the open turn at a line that is no speech. The speaker behind it is not known.
    fn pause(&mut self, start: usize, end: usize) {
        self.close(start);
        self.open = Some(self.unclear(end));
    }

    /// Ends the open turn, if there is one, at the byte offset `end`. A turn without text is dropped.
    fn close(&mut self, end: usize) {
        let Some(turn) = self.open.take() else { return };
        let span = trimmed(self.text, turn.span.start.min(end)..end);
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

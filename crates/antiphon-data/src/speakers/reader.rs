//! The turns of a text, from the labels of its lines.

use std::borrow::Cow;
use std::sync::Arc;

use super::accept::Labels;
use super::dashes::{has_ended, is_dash};
use super::head::Head;
use super::label::Mark;
use super::label_map::LabelMap;
use super::lines::Line;
use super::notice;
use super::settle::UNNAMED;
use super::sides::{Side, is_code};
use super::stamp::Stamp;
use super::{in_brackets, is_short, paragraphs_from, side_of, speaker_of, trimmed};
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
    reader.turns.reserve(lines.iter().filter(|line| line.mark.is_some()).count() + 1);
    reader.has_asker = labels.has_asker;
    reader.has_sides = labels.has_sides;
    reader.only_ask = labels.only_ask;
    for line in &lines {
        let (start, end) = (head.end + line.start, head.end + line.start + line.text.len());
        match (&line.mark, &line.time) {
            (Some(mark), _) if labels.holds(mark) => {
                reader.close(start);
                if mark.time.is_some() && notice::is_program(mark.label) {
                    continue;
                }
                let above = reader.time_above(start);
                reader.begin(mark, start + mark.words, above);
                if notice::is_instead(&line.text[mark.words.min(line.text.len())..]) {
                    reader.skip(start, end);
                }
            }
            (_, Some(time)) => reader.go_on(time, start, end),
            _ if line.is_notice => reader.skip(start, end),
            _ if notice::is_rule(line.text) => reader.rule(start, end),
            // An empty line of a quotation in Markdown.
            _ if line.text.trim_matches([' ', '>', '\t', '\r']).is_empty() => reader.skip(start, end),
            _ if labels.only_ask && reader.is_answered(line, start) => reader.answer(start),
            _ if line.is_aside() => reader.skip(start, end),
            _ if line.is_apart() => reader.pause(start, end),
            _ if line.ends_turn() => reader.skip(start, end),
            _ => {}
        }
        let length = notice::without_mark(line.text);
        if length < line.text.len() {
            reader.stamp(&line.text[length..]);
            reader.skip(start + length, end);
        }
    }
    reader.finish();
    reader.turns
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
    /// Whether all labels ask, so that answers have none.
    only_ask: bool,
    /// Whether the open turn follows a rule, so that a few words behind it are a signature.
    is_ruled: bool,
    /// The speakers by their labels. A few people speak thousands of lines: their names are shared.
    people: LabelMap<'a, (Arc<str>, SpeakerRole)>,
    /// The turn whose end is not known yet, with an empty range at its start.
    open: Option<Turn>,
    /// The last time on a line of its own, and the byte offset behind it.
    alone: Option<(Arc<str>, usize)>,
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
            only_ask: false,
            is_ruled: false,
            people: LabelMap::default(),
            open: None,
            alone: None,
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
    /// Without a time beside the label, the turn has the one above it.
    fn begin(&mut self, mark: &Mark<'a>, start: usize, above: Option<Arc<str>>) {
        self.is_ruled = false;
        let (speaker, role) = self.person_of(mark.label);
        self.open = Some(Turn {
            speaker,
            role,
            time: mark.time.as_deref().map(Arc::from).or(above),
            span: start..start,
        });
    }

    /// Returns the time that has the line directly above a byte offset for itself.
    fn time_above(&mut self, start: usize) -> Option<Arc<str>> {
        let (time, end) = self.alone.take()?;
        self.text.get(end..start)?.trim().is_empty().then_some(time)
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
        let side = side.or_else(|| (self.only_ask && is_dash(label)).then_some(Side::Asks));
        let name = match self.head.name_of(label) {
            Some(name) => Cow::Borrowed(name),
            None if is_vague => Cow::Owned(format!("{} {label}", self.person)),
            None => speaker_of(label, self.person),
        };
        let person = (Arc::from(name), side.map_or(SpeakerRole::Unclear, Side::role));
        self.people.get_or_insert_with(label, || person.clone());
        // `Respondent (R1)` introduces `R1`, and `Anna Lee (Interviewer)` introduces `Anna Lee`.
        if let Some((outer, inner)) = in_brackets(label) {
            let other = if is_short(inner) || inner.chars().count() == 1 { inner } else { outer };
            self.people.get_or_insert_with(other, || person.clone());
        }
        person
    }

    /// Returns whether a line without a label answers the open turn, which asks: it begins a paragraph, or the question
    /// has ended.
    fn is_answered(&self, line: &Line<'_>, start: usize) -> bool {
        let asked = self.open.as_ref().filter(|open| open.role == SpeakerRole::Interviewer);
        // Only the end is trimmed: white space at the beginning would be passed again for each line.
        let words = asked.map(|open| (open, self.text[open.span.start.min(start)..start].trim_end()));
        words.is_some_and(|(open, words)| {
            let has_ended =
                || words.ends_with(['?', '？', '؟']) || (is_dash(&open.speaker) && has_ended(words));
            !words.is_empty() && (line.begins_block || has_ended())
        })
    }

    /// Begins the answer of the participant, who has no label.
    fn answer(&mut self, start: usize) {
        let asked = self.open.as_ref();
        let is_dashed = || asked.is_some_and(|open| is_dash(&open.speaker));
        let speaker = if self.head.participant().is_none() && is_dashed() {
            self.file.clone()
        } else {
            Arc::from(self.person)
        };
        self.close(start);
        self.open = Some(Turn { speaker, role: SpeakerRole::Participant, time: None, span: start..start });
    }

    /// Ends the open turn at a line with a time alone; the same speaker continues behind it.
    fn go_on(&mut self, time: &str, start: usize, end: usize) {
        self.alone = Some((Arc::from(time), end));
        let Some(open) = &self.open else { return };
        let next = Turn { time: Some(Arc::from(time)), span: end..end, ..open.clone() };
        self.close(start);
        self.open = Some(next);
    }

    /// Gives the open turn the time behind its words, as f4 has it, unless it has one.
    fn stamp(&mut self, mark: &str) {
        let Some(open) = self.open.as_mut().filter(|open| open.time.is_none()) else { return };
        open.time = Stamp::lead(mark).map(|stamp| Arc::from(&*stamp.time));
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

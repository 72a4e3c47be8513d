//! The body of a document under construction: text, turns and source lines, which the readers of the formats add in
//! order.
//!
//! The readers know the grammar of a format; this module knows the shape of a document. A reader adds a turn
//! ([`Body::say`]), a line that no one said ([`Body::note`]), or more text of the last turn ([`Body::go_on`]). The body
//! writes the labels, keeps the index of source lines in step with the text, and finds speakers within the text of a
//! turn.
//!
//! For `{"who": "P1", "age": 40, "text": "I bake."}` on line 3, the text and the index are:
//!
//! ```text
//! age: 40          offset 0: line 3
//! P1: I bake.      offset 8: line 3, with a turn of P1 from offset 12 to 19
//! ```

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use crate::document::{LineStart, SpeakerRole, Turn};
use crate::speakers;

/// The text, turns and lines that a format's reader makes of a file. The fields become those of
/// [`Document`](crate::Document).
#[derive(Debug, Default)]
pub(crate) struct Body {
    /// The text so far; each line ends with `\n`.
    pub(crate) text: String,
    /// The turns so far, in ascending order of their ranges.
    pub(crate) turns: Vec<Turn>,
    /// The starts of source lines so far, in ascending order of their offsets.
    pub(crate) lines: Vec<LineStart>,
}

/// Words of a source, and the line on which they begin.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Words<'a> {
    /// The text as the source has it, decoded and possibly with white space around it.
    pub(crate) text: &'a str,
    /// The source line of the first byte of `text`, from 1.
    pub(crate) line: u32,
    /// Whether a line end in the words is one in the source, as in a table; an escaped one is not.
    pub(crate) lines_count: bool,
}

impl Words<'_> {
    /// Returns the words without surrounding white space, and with the line on which they then begin.
    fn trimmed(self) -> Self {
        let (text, rest) = (self.text.trim(), self.text.trim_start());
        let before = &self.text[..self.text.len() - rest.len()];
        let skipped = u32::try_from(before.matches('\n').count()).unwrap_or(0);
        let line = self.line + if self.lines_count { skipped } else { 0 };
        Self { text, line, ..self }
    }
}

/// A speaker's name and side.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Voice<'a> {
    /// The name for the turns; the label in the text may differ from it.
    pub(crate) speaker: &'a str,
    /// The side for the turns.
    pub(crate) role: SpeakerRole,
    /// The time at which the words begin, in the form of [`Turn::time`].
    pub(crate) time: Option<&'a str>,
}

/// The number of turns among which a speaker's name is looked for.
const RECENT: usize = 16;

/// The byte offset before which a label has to begin for words to count as a dialogue.
const DIALOGUE_START: usize = 48;

impl Body {
    /// Marks the end of the text so far: what is pushed next comes from `line` of the source.
    pub(crate) fn mark(&mut self, line: u32) {
        // A line is found from its first byte on.
        if self.lines.last().is_none_or(|last| last.line != line) {
            self.lines.push(LineStart { offset: self.text.len(), line });
        }
    }

    /// Adds a line that no one said, such as an age or a date, after a label. Such lines are in the text but in no
    /// turn, so that they are never quoted. White space alone adds nothing.
    pub(crate) fn note(&mut self, label: &str, words: Words<'_>) {
        if words.text.trim().is_empty() {
            return;
        }
        self.lead(label, words.line);
        self.push_lines(words);
        self.text.push('\n');
    }

    /// Adds a turn on a separate line, after a label. Words that name their own speakers become turns of these: a cell
    /// of a table may have a whole interview. White space alone adds nothing.
    pub(crate) fn say(&mut self, label: &str, voice: Voice<'_>, words: Words<'_>) {
        if words.text.trim().is_empty() {
            return;
        }
        let words = words.trimmed();
        self.lead(label, words.line);
        let start = self.text.len();
        self.push_lines(words);
        let inner = dialogue_in(words.text, voice);
        if inner.is_empty() {
            let speaker = self.shared(voice.speaker);
            let time = voice.time.map(Arc::from);
            self.turns.push(Turn { speaker, role: voice.role, time, span: start..self.text.len() });
        }
        let shift = |turn: Turn| Turn { span: turn.span.start + start..turn.span.end + start, ..turn };
        self.turns.extend(inner.into_iter().map(shift));
        self.text.push('\n');
    }

    /// Adds words to the last turn, as another caption of the same speaker does. Does nothing before the first turn.
    pub(crate) fn go_on(&mut self, words: &str, line: u32) {
        let Some(mut turn) = self.turns.pop() else { return };
        // A space replaces the line end of the turn.
        self.text.truncate(turn.span.end);
        self.text.push(' ');
        self.mark(line);
        self.text.push_str(words.trim());
        turn.span.end = self.text.len();
        self.turns.push(turn);
        self.text.push('\n');
    }

    /// Makes interviewers of the speakers with these names: whole names, or first names. Called at the end, since a
    /// file may name its interviewer behind the turns.
    pub(crate) fn asked_by(&mut self, names: &BTreeSet<&str>) {
        // One look-up for each turn: a file may name its interviewer in each of its rows.
        let whole: HashSet<String> = names.iter().map(|name| name.to_ascii_lowercase()).collect();
        let first_of = |name: &str| name.split_whitespace().next().map(str::to_lowercase);
        let first: HashSet<String> = names.iter().filter_map(|name| first_of(name)).collect();
        for turn in &mut self.turns {
            let is_first = || first_of(&turn.speaker).is_some_and(|name| first.contains(&name));
            if whole.contains(&turn.speaker.to_ascii_lowercase())
                || (!turn.speaker.contains(' ') && is_first())
            {
                turn.role = SpeakerRole::Interviewer;
            }
        }
    }

    /// Takes turns from the speaker labels in the text itself, or from its paragraphs; replaces all turns so far.
    pub(crate) fn spoken(mut self, person: &str) -> Self {
        self.turns = speakers::turns(&self.text, person);
        self.or_unlabelled(person)
    }

    /// Makes every paragraph a turn of one participant if no speaker is named.
    pub(crate) fn or_unlabelled(mut self, person: &str) -> Self {
        if self.turns.is_empty() {
            let speaker: Arc<str> = Arc::from(person);
            self.turns = speakers::paragraphs(&self.text)
                .map(|span| Turn { speaker: speaker.clone(), role: SpeakerRole::Unclear, time: None, span })
                .collect();
        }
        self
    }

    /// Returns the name of a speaker, shared with the last turns: a few people speak thousands of them.
    fn shared(&self, speaker: &str) -> Arc<str> {
        let last = self.turns.iter().rev().take(RECENT).map(|turn| &turn.speaker);
        last.into_iter().find(|name| &***name == speaker).map_or_else(|| Arc::from(speaker), Arc::clone)
    }

    /// Begins a line of the text with a label and a colon; an empty label adds neither.
    fn lead(&mut self, label: &str, line: u32) {
        self.mark(line);
        if !label.is_empty() {
            self.text.push_str(label);
            self.text.push_str(": ");
        }
    }

    /// Adds words, and marks the source line of each of their lines.
    fn push_lines(&mut self, words: Words<'_>) {
        for (ends, piece) in (0..).zip(words.text.split('\n')) {
            if ends > 0 {
                self.text.push('\n');
            }
            self.mark(words.line + if words.lines_count { ends } else { 0 });
            self.text.push_str(piece);
        }
    }
}

/// Returns the turns of words that are a dialogue; empty if all of the words are the voice's.
///
/// Labels in words that an interviewer reads out, or far behind the words' beginning, are no speakers.
fn dialogue_in(words: &str, voice: Voice<'_>) -> Vec<Turn> {
    let turns = match voice.role {
        // A label begins a line.
        SpeakerRole::Participant | SpeakerRole::Unclear if words.contains('\n') => {
            speakers::turns(words, voice.speaker)
        }
        _ => Vec::new(),
    };
    let is_dialogue = turns.len() > 1 && turns.first().is_some_and(|turn| turn.span.start < DIALOGUE_START);
    if is_dialogue { turns } else { Vec::new() }
}

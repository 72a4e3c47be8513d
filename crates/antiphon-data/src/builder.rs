use std::sync::Arc;

use crate::document::{LineStart, SpeakerRole, Turn};
use crate::speakers;

/// The text, turns and lines that a format's reader makes of a file.
#[derive(Debug, Default)]
pub(crate) struct Body {
    pub(crate) text: String,
    pub(crate) turns: Vec<Turn>,
    pub(crate) lines: Vec<LineStart>,
}

/// Words of a source, and the line on which they begin.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Words<'a> {
    pub(crate) text: &'a str,
    pub(crate) line: u32,
    /// Whether a line end in the words is one in the source, as in a table; an escaped one is not.
    pub(crate) lines_count: bool,
}

/// A speaker's name and side.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Voice<'a> {
    pub(crate) speaker: &'a str,
    pub(crate) role: SpeakerRole,
}

impl Body {
    /// Marks the end of the text so far: what is pushed next comes from `line` of the source.
    pub(crate) fn mark(&mut self, line: u32) {
        self.lines.push(LineStart { offset: self.text.len(), line });
    }

    /// Adds a line that no one said.
    pub(crate) fn note(&mut self, label: &str, words: Words<'_>) {
        if words.text.trim().is_empty() {
            return;
        }
        self.lead(label, words.line);
        self.push_lines(words);
        self.text.push('\n');
    }

    /// Adds a turn on a line of its own, after a label. Words that name their own speakers become turns of these.
    pub(crate) fn say(&mut self, label: &str, voice: Voice<'_>, words: Words<'_>) {
        let trimmed = words.text.trim();
        if trimmed.is_empty() {
            return;
        }
        let before = &words.text[..words.text.len() - words.text.trim_start().len()];
        let skipped = u32::try_from(before.matches('\n').count()).unwrap_or(0);
        let line = words.line + if words.lines_count { skipped } else { 0 };
        self.lead(label, line);
        let start = self.text.len();
        self.push_lines(Words { text: trimmed, line, ..words });
        // Labels in words that an interviewer reads out, or far behind the words' beginning, are no speakers.
        let inner = match voice.role {
            SpeakerRole::Participant => speakers::turns(trimmed, voice.speaker),
            SpeakerRole::Interviewer => Vec::new(),
        };
        if inner.len() > 1 && inner[0].span.start < 48 {
            let shift = |turn: Turn| Turn { span: turn.span.start + start..turn.span.end + start, ..turn };
            self.turns.extend(inner.into_iter().map(shift));
        } else {
            self.turns.push(Turn {
                speaker: Arc::from(voice.speaker),
                role: voice.role,
                span: start..self.text.len(),
            });
        }
        self.text.push('\n');
    }

    /// Adds words to the last turn, as another caption of the same speaker does.
    pub(crate) fn go_on(&mut self, words: &str, line: u32) {
        let Some(turn) = self.turns.last_mut() else { return };
        // A space replaces the line end of the turn.
        self.text.truncate(turn.span.end);
        self.text.push(' ');
        self.lines.push(LineStart { offset: self.text.len(), line });
        self.text.push_str(words.trim());
        turn.span.end = self.text.len();
        self.text.push('\n');
    }

    /// Makes interviewers of the speakers with these names: whole names, or first names.
    pub(crate) fn asked_by(&mut self, names: &[&str]) {
        for turn in &mut self.turns {
            if names.iter().any(|name| speakers::is_called(&turn.speaker, name)) {
                turn.role = SpeakerRole::Interviewer;
            }
        }
    }

    /// Takes turns from the speaker labels in the text itself.
    pub(crate) fn spoken(mut self, person: &str) -> Self {
        self.turns = speakers::turns(&self.text, person);
        self.or_unlabelled(person)
    }

    /// Makes every paragraph a turn of one participant if no speaker is named.
    pub(crate) fn or_unlabelled(mut self, person: &str) -> Self {
        if self.turns.is_empty() {
            let speaker: Arc<str> = Arc::from(person);
            self.turns = speakers::paragraphs(&self.text)
                .map(|span| Turn { speaker: speaker.clone(), role: SpeakerRole::Participant, span })
                .collect();
        }
        self
    }

    fn lead(&mut self, label: &str, line: u32) {
        self.mark(line);
        if !label.is_empty() {
            self.text.push_str(label);
            self.text.push_str(": ");
        }
    }

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

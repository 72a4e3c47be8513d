use std::sync::Arc;

use crate::document::{LineStart, Role, Turn};
use crate::speakers;

/// What a format's reader makes of a file.
#[derive(Debug, Default)]
pub(crate) struct Body {
    pub(crate) text: String,
    pub(crate) turns: Vec<Turn>,
    pub(crate) lines: Vec<LineStart>,
}

impl Body {
    /// The text so far ends here; what is pushed next comes from `line` of the source.
    pub(crate) fn mark(&mut self, line: u32) {
        self.lines.push(LineStart { offset: self.text.len(), line });
    }

    /// Adds a line that nobody said.
    pub(crate) fn note(&mut self, text: &str, line: u32) {
        self.push_lines(text, line);
        self.text.push('\n');
    }

    /// Adds a turn on a line of its own, led by its `label`; `line` is the source line where the words begin.
    pub(crate) fn say(&mut self, label: &str, speaker: &str, words: &str, line: u32) {
        let words = words.trim();
        self.mark(line);
        self.text.push_str(label);
        self.text.push_str(": ");
        let start = self.text.len();
        self.push_lines(words, line);
        let turn = Turn {
            speaker: Arc::from(speaker),
            role: speakers::role_of(label),
            span: start..self.text.len(),
        };
        self.text.push('\n');
        if !words.is_empty() {
            self.turns.push(turn);
        }
    }

    /// Adds words to the last turn, as another caption of the same speaker does.
    pub(crate) fn go_on(&mut self, words: &str, line: u32) {
        let Some(turn) = self.turns.last_mut() else { return };
        // The line end of the turn gives way to a space.
        self.text.truncate(turn.span.end);
        self.text.push(' ');
        self.lines.push(LineStart { offset: self.text.len(), line });
        self.text.push_str(words.trim());
        turn.span.end = self.text.len();
        self.text.push('\n');
    }

    /// Where nobody is named, every paragraph counts as said by one participant.
    pub(crate) fn or_unlabelled(mut self, speaker: &str) -> Self {
        if self.turns.is_empty() {
            let speaker: Arc<str> = Arc::from(speaker);
            self.turns = speakers::paragraphs(&self.text)
                .map(|span| Turn { speaker: speaker.clone(), role: Role::Participant, span })
                .collect();
        }
        self
    }

    fn push_lines(&mut self, text: &str, line: u32) {
        for (number, piece) in (line..).zip(text.split('\n')) {
            if number > line {
                self.text.push('\n');
            }
            self.mark(number);
            self.text.push_str(piece);
        }
    }
}

//! The labels that were read last, since a few people speak thousands of lines.

use super::boilerplate::note_kind;
use super::label::{Mark, MarkKind, can_be_label, is_small_name, marked};

/// The number of labels that are kept.
const KEPT: usize = 8;

/// The labels of the last lines: a look into the lists of words for each line would take most of the time.
#[derive(Debug, Default)]
pub(super) struct RecentLabels<'a> {
    kinds: [Option<(&'a str, Option<MarkKind>)>; KEPT],
    next_kind: usize,
    beginnings: [Option<Beginning<'a>>; KEPT],
    next_beginning: usize,
}

/// The beginning of a line up to its words: `Ana Berg: `.
#[derive(Debug, Clone, Copy)]
struct Beginning<'a> {
    text: &'a str,
    label: &'a str,
    kind: MarkKind,
}

impl<'a> RecentLabels<'a> {
    /// Returns the mark of a line; see [`mark_of`](super::label::mark_of).
    pub(super) fn mark_of(&mut self, line: &'a str) -> Option<Mark<'a>> {
        marked(line, self)
    }

    /// Returns the mark of a line that begins as an earlier one did, with a label and a colon alone. Such a line is neither
    /// a time nor a note.
    ///
    /// The first word has to begin with a letter, so that the words have neither a time in brackets nor markup.
    pub(super) fn again(&self, line: &'a str) -> Option<Mark<'a>> {
        let found =
            self.beginnings.iter().map_while(Option::as_ref).find(|known| line.starts_with(known.text))?;
        let words = found.text.len();
        let is_word = line.as_bytes().get(words).is_some_and(u8::is_ascii_alphabetic);
        is_word.then_some(Mark { label: found.label, time: None, words, kind: found.kind })
    }

    /// Keeps the beginning of a line with this mark, if it is a label and a colon alone.
    pub(super) fn keep(&mut self, line: &'a str, mark: &Mark<'a>) {
        let Some(text) = line.get(..mark.words) else { return };
        let is_plain = text.strip_suffix(": ") == Some(mark.label)
            && text.starts_with(|c: char| c.is_ascii_alphabetic())
            && mark.time.is_none()
            && matches!(mark.kind, MarkKind::Colon | MarkKind::Weak)
            && note_kind(line).is_none();
        let is_known = || self.beginnings.iter().flatten().any(|known| known.text == text);
        if is_plain && !is_known() {
            self.beginnings[self.next_beginning] =
                Some(Beginning { text, label: mark.label, kind: mark.kind });
            self.next_beginning = (self.next_beginning + 1) % KEPT;
        }
    }

    /// Returns the kind of a label before a colon; `None` if the text can be no label.
    pub(super) fn kind_of(&mut self, label: &'a str) -> Option<MarkKind> {
        if let Some((_, kind)) = self.kinds.iter().flatten().find(|(known, _)| *known == label) {
            return *kind;
        }
        let kind = if can_be_label(label) {
            Some(MarkKind::Colon)
        } else {
            is_small_name(label).then_some(MarkKind::Weak)
        };
        self.kinds[self.next_kind] = Some((label, kind));
        self.next_kind = (self.next_kind + 1) % KEPT;
        kind
    }
}

#[cfg(test)]
mod tests {
    use super::{RecentLabels, note_kind};
    use crate::speakers::label::mark_of;
    use crate::speakers::stamp::Stamp;

    #[test]
    fn a_known_beginning_gives_the_mark_that_the_whole_line_has() {
        let labels = [
            "Ana",
            "P1",
            "Speaker 2",
            "Dr. O'Neil",
            "anna",
            "Ana (laughs)",
            "Room 5",
            "Monday",
            "Note",
            "Ana 12/03",
            "12",
        ];
        let words = [
            "so.",
            "Why?",
            "At 10:30 we open",
            "a: b",
            "[00:03] so",
            "*so*",
            "12:30",
            "(0:03) so",
            " so",
            "",
            "in 5 minutes",
            "\"so\" he said: no",
        ];
        for label in labels {
            let mut recent = RecentLabels::default();
            let first = format!("{label}: first words");
            if let Some(mark) = mark_of(&first) {
                recent.keep(&first, &mark);
            }
            for line in words.map(|words| format!("{label}: {words}")) {
                if let Some(mark) = recent.again(&line) {
                    assert_eq!(Some(mark), mark_of(&line), "{line}");
                    assert!(note_kind(&line).is_none() && Stamp::alone(&line).is_none(), "{line}");
                }
            }
        }
        let mut recent = RecentLabels::default();
        let first = "Ana Berg: so";
        recent.keep(first, &mark_of(first).unwrap());
        assert!(recent.again("Ana Berg: Why?").is_some() && recent.again("Ana Berg: [0:03] so").is_none());
    }
}

//! Rewriting of a document with replaced ranges: the text, and all offsets into it.
//!
//! A substitute may be shorter or longer than the original, so every offset behind it moves. The turns and the source
//! lines are moved by the same map, so that [`Document::line_at`] returns the same lines as before.

use std::ops::Range;
use std::sync::Arc;

use super::names::PARTICLES;
use super::scan::is_link;
use crate::document::{Document, LineStart, Turn};

/// Joins adjacent words of one name into one replacement: `Anna Lee` becomes `Person 1` and not `Person 1 Person 1`.
pub(super) fn joined(text: &str, cuts: Vec<(Range<usize>, String)>) -> Vec<(Range<usize>, String)> {
    let mut joined: Vec<(Range<usize>, String)> = Vec::with_capacity(cuts.len());
    for (range, substitute) in cuts {
        match joined.last_mut() {
            Some((last, before)) if *before == substitute && is_within(&text[last.end..range.start]) => {
                last.end = range.end;
            }
            _ => joined.push((range, substitute)),
        }
    }
    joined
}

/// Returns whether the text between two words of one name belongs to the name: a space, an initial or particles, as in
/// `Anna van der Berg`.
fn is_within(between: &str) -> bool {
    is_link(between) || {
        let mut words = between.trim_matches(' ').split(' ');
        between.len() > 2 && between.starts_with(' ') && words.all(|word| PARTICLES.contains(&word))
    }
}

/// Returns a document with the ranges of `cuts`, which are in ascending order, replaced.
///
/// `name` is the copy's name, and `speaker` returns the substitute for the speaker of a turn.
pub(super) fn replaced(
    document: &Document,
    cuts: &[(Range<usize>, String)],
    name: String,
    speaker: impl FnMut(&str) -> String,
) -> Document {
    let new = Rewritten::new(&document.text, cuts);
    Document {
        name,
        turns: new.turns(&document.turns, speaker),
        lines: new.lines(&document.lines),
        text: new.text.as_str().into(),
        ..document.clone()
    }
}

/// Returns a text with the ranges of `cuts`, which are in ascending order, replaced.
pub(super) fn text_without(text: &str, cuts: &[(Range<usize>, String)]) -> String {
    Rewritten::new(text, cuts).text
}

/// A text with replaced ranges, and the map from the offsets of the old text to those of the new one.
struct Rewritten {
    text: String,
    /// The old and the new offset at which each stretch of the text begins, in ascending order: stretches that were
    /// kept and substitutes alternate.
    moves: Vec<(usize, usize)>,
}

impl Rewritten {
    /// Replaces the ranges of `cuts`, which are in ascending order and do not overlap.
    fn new(old: &str, cuts: &[(Range<usize>, String)]) -> Self {
        let mut text = String::with_capacity(old.len());
        let mut moves: Vec<(usize, usize)> = vec![(0, 0)];
        let mut from = 0;
        for (range, substitute) in cuts {
            text.push_str(&old[from..range.start]);
            moves.push((range.start, text.len()));
            text.push_str(substitute);
            from = range.end;
            moves.push((from, text.len()));
        }
        text.push_str(&old[from..]);
        Self { text, moves }
    }

    /// Returns the new offset for an old one. An offset within a replaced range moves to the same distance from the
    /// start of its substitute, but at most to the end of the substitute.
    fn offset(&self, old: usize) -> usize {
        let at = self.moves.partition_point(|(start, _)| *start <= old).saturating_sub(1);
        let (start, new) = self.moves[at];
        let next = self.moves.get(at + 1).map_or(self.text.len(), |(_, new)| *new);
        (new + (old - start)).min(next)
    }

    /// Returns the turns with the substitutes for their speakers and with their new ranges.
    fn turns(&self, turns: &[Turn], mut speaker: impl FnMut(&str) -> String) -> Vec<Turn> {
        let moved = |turn: &Turn| Turn {
            speaker: Arc::from(speaker(&turn.speaker)),
            role: turn.role,
            time: turn.time.clone(),
            span: self.offset(turn.span.start)..self.offset(turn.span.end),
        };
        turns.iter().map(moved).collect()
    }

    /// Returns the starts of source lines with their new offsets.
    fn lines(&self, lines: &[LineStart]) -> Vec<LineStart> {
        let moved = |start: &LineStart| LineStart { offset: self.offset(start.offset), line: start.line };
        lines.iter().map(moved).collect()
    }
}

//! Rolling captions: each cue repeats lines of the one before it.
//!
//! Video sites show two lines, of which the upper one is the last cue's lower one, so that the file has each line two or
//! three times. Whether a file rolls is decided once, since people do say the same words twice:
//!
//! - words have times within a line, as in `we<00:00:01.400><c> plan</c>`, or
//! - at least two cues, and half of all, begin with the line on which the cue before them ended, without a pause.

use std::borrow::Cow;

use crate::formats::captions::cues::Cues;
use crate::formats::captions::markup::{Shown, ShownLine};

/// The most lines that a cue repeats: no screen shows more captions.
const MAX_LINES: usize = 4;
/// The longest pause before a cue that repeats lines, in milliseconds.
const MAX_PAUSE: u64 = 100;
/// The longest cue that only keeps the words on the screen, in milliseconds.
const BRIEF: u64 = 50;

/// The beginning of a cue that repeats the end of the one before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Overlap {
    /// Lines that are repeated as a whole.
    lines: usize,
    /// Bytes of the next line that are repeated: in some files lines grow word by word.
    grown_from: usize,
}

/// Returns what cues repeat, each with the index of its cue, in order; empty if the captions do not roll.
///
/// The markup of each cue is removed on the way and again when the cue is read: to keep all of them would take several
/// times the memory of the file.
pub(super) fn overlaps(cues: &Cues<'_>) -> Vec<(usize, Overlap)> {
    let is_timed = is_timed(cues);
    let (mut found, mut is_evident) = (Vec::new(), false);
    let mut shown = cues.with_lines().map(Shown::of);
    let Some(mut last) = shown.next() else { return found };
    for (index, next) in (1..).zip(shown) {
        if let Some(overlap) = overlap(&last, &next, is_timed) {
            let Evidence { is_brief, has_more } = Evidence::of(&last, &next, overlap);
            is_evident |= is_brief || has_more;
            found.push((index, overlap));
        }
        last = next;
    }
    // Without times of words, the captions roll if two cues, and half of all, repeat the one before them.
    let is_rolling = is_timed || (found.len() >= 2 && found.len() * 2 >= cues.cues.len() - 1 && is_evident);
    if is_rolling { found } else { Vec::new() }
}

/// Returns whether words within a line have times.
fn is_timed(cues: &Cues<'_>) -> bool {
    let lines = cues.with_lines().flat_map(|(_, lines)| lines).filter(|(_, line)| line.contains('<'));
    lines.map(ShownLine::of).any(|line| line.is_timed && !line.is_empty())
}

impl Overlap {
    /// Removes what a cue repeats.
    pub(super) fn remove(self, cue: &mut Shown<'_>) {
        cue.lines.drain(..self.lines);
        if let Some(line) = cue.lines.first_mut().filter(|_| self.grown_from > 0) {
            line.text = Cow::Owned(line.text[self.grown_from..].to_owned());
            for piece in &mut line.pieces {
                piece.words.clone_from(&line.text);
            }
        }
    }
}

/// The evidence that a cue repeats the one before it, and is not said again.
struct Evidence {
    /// Whether the cue is too short to be read, or begins with the one before it.
    is_brief: bool,
    /// Whether the cue has more than the repeated lines.
    has_more: bool,
}

impl Evidence {
    /// Examines two consecutive cues.
    fn of(last: &Shown<'_>, next: &Shown<'_>, overlap: Overlap) -> Self {
        let length = next.times.end.saturating_sub(next.times.start);
        let has_more = overlap.lines < next.lines.len();
        Self { is_brief: length <= BRIEF || next.times.start == last.times.start, has_more }
    }
}

/// Returns the longest end of a cue that is the beginning of the next one.
fn overlap(last: &Shown<'_>, next: &Shown<'_>, is_timed: bool) -> Option<Overlap> {
    if !is_timed && next.times.start > last.times.end.saturating_add(MAX_PAUSE) {
        return None;
    }
    let most = last.lines.len().min(next.lines.len()).min(MAX_LINES);
    (1..=most).rev().find_map(|count| {
        let (ends, begins) = (&last.lines[last.lines.len() - count..], &next.lines[..count]);
        let (whole, grown) =
            (repeats(&ends[..count - 1], &begins[..count - 1]), grown(&ends[count - 1], &begins[count - 1]));
        match grown {
            _ if !whole => None,
            Some(0) => Some(Overlap { lines: count, grown_from: 0 }),
            Some(bytes) if !is_timed => Some(Overlap { lines: count - 1, grown_from: bytes }),
            _ => None,
        }
    })
}

/// Returns whether lines are the same, and none of the later ones is spoken word by word.
fn repeats(earlier: &[ShownLine<'_>], later: &[ShownLine<'_>]) -> bool {
    earlier.iter().zip(later).all(|(earlier, later)| earlier.text == later.text && !later.is_timed)
}

/// Returns the bytes of a line that repeat an earlier one and its space; 0 if it repeats it as a whole, and `None` if
/// the lines differ.
fn grown(earlier: &ShownLine<'_>, later: &ShownLine<'_>) -> Option<usize> {
    let rest = later.text.strip_prefix(&*earlier.text).filter(|_| !later.is_timed)?;
    let is_one_voice = later.pieces.len() == 1 && later.pieces[0].voice.is_none();
    match rest {
        "" => Some(0),
        rest => (rest.starts_with(' ') && is_one_voice && !earlier.text.is_empty())
            .then(|| later.text.len() - rest.len() + 1),
    }
}

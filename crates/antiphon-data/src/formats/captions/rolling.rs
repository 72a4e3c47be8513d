//! Rolling captions: each cue repeats lines of the one before it.
//!
//! Video sites show two lines, of which the upper one is the last cue's lower one, so that the file has each line two or
//! three times. Whether a file rolls is decided once, since people do say the same words twice:
//!
//! - words have times within a line, as in `we<00:00:01.400><c> plan</c>`, or
//! - at least two cues, and half of all, begin with the line on which the cue before them ended, without a pause.

use crate::formats::captions::markup::{Shown, ShownLine};

/// The most lines that a cue repeats: no screen shows more captions.
const MAX_LINES: usize = 4;
/// The longest pause before a cue that repeats lines, in milliseconds.
const MAX_PAUSE: u64 = 100;
/// The longest cue that only keeps the words on the screen, in milliseconds.
const BRIEF: u64 = 50;

/// The beginning of a cue that repeats the end of the one before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Overlap {
    /// Lines that are repeated as a whole.
    lines: usize,
    /// Bytes of the next line that are repeated: in some files lines grow word by word.
    grown_from: usize,
}

/// Removes the lines that cues repeat, if the captions roll.
pub(super) fn remove_repeated(cues: &mut [Shown<'_>]) {
    let is_timed = cues.iter().flat_map(|cue| &cue.lines).any(|line| line.is_timed);
    let overlaps: Vec<Option<Overlap>> =
        cues.windows(2).map(|pair| overlap(&pair[0], &pair[1], is_timed)).collect();
    if !is_timed && !is_rolling(cues, &overlaps) {
        return;
    }
    for (cue, overlap) in cues.iter_mut().skip(1).zip(overlaps) {
        let Some(overlap) = overlap else { continue };
        cue.lines.drain(..overlap.lines);
        if let Some(line) = cue.lines.first_mut().filter(|_| overlap.grown_from > 0) {
            line.text.drain(..overlap.grown_from);
            for piece in &mut line.pieces {
                piece.words.clone_from(&line.text);
            }
        }
    }
}

/// Returns whether captions without times of words roll.
fn is_rolling(cues: &[Shown<'_>], overlaps: &[Option<Overlap>]) -> bool {
    let found = overlaps.iter().flatten().count();
    let is_evident = cues.windows(2).zip(overlaps).any(|(pair, overlap)| {
        let Evidence { is_brief, has_more } = Evidence::of(pair, *overlap);
        overlap.is_some() && (is_brief || has_more)
    });
    found >= 2 && found * 2 >= overlaps.len() && is_evident
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
    fn of(pair: &[Shown<'_>], overlap: Option<Overlap>) -> Self {
        let (last, next) = (&pair[0], &pair[1]);
        let length = next.times.end.saturating_sub(next.times.start);
        let has_more = overlap.is_some_and(|overlap| overlap.lines < next.lines.len());
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
fn repeats(earlier: &[ShownLine], later: &[ShownLine]) -> bool {
    earlier.iter().zip(later).all(|(earlier, later)| earlier.text == later.text && !later.is_timed)
}

/// Returns the bytes of a line that repeat an earlier one and its space; 0 if it repeats it as a whole, and `None` if
/// the lines differ.
fn grown(earlier: &ShownLine, later: &ShownLine) -> Option<usize> {
    let rest = later.text.strip_prefix(earlier.text.as_str()).filter(|_| !later.is_timed)?;
    let is_one_voice = later.pieces.len() == 1 && later.pieces[0].voice.is_none();
    match rest {
        "" => Some(0),
        rest => (rest.starts_with(' ') && is_one_voice && !earlier.text.is_empty())
            .then(|| later.text.len() - rest.len() + 1),
    }
}

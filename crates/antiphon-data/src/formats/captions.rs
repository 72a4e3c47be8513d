//! Captions: WebVTT and SubRip, whose cues become turns of their speakers.
//!
//! A cue is an optional name or number, its times, and its text on one line or more.
//!
//! ```text
//! 00:00:01.000 --> 00:00:04.000
//! <v Anna>I bake.</v>
//! ```
//!
//! | step | module |
//! |---|---|
//! | lines become cues | `cues`, with `times` |
//! | tags are removed, character references decoded | `markup` |
//! | lines that a cue repeats from the one before it are removed | `rolling` |
//! | lines become segments: the words of one voice, with the label or mark before them | `segments` |
//! | labels that count as speakers are chosen | `names` |
//! | segments become turns | `read` |
//!
//! Cues break sentences for the screen, so that the consecutive cues of one speaker are joined by spaces into one turn,
//! which begins at the time of its first cue. A speaker keeps the words until the next name or change of speaker.
//! Words before the first name, and those behind a change of speaker without a name, belong to an unnamed speaker whose
//! side is unclear. Only a file that names no speaker at all belongs to the file's person.

mod cues;
mod markup;
mod names;
mod read;
mod rolling;
mod segments;
#[cfg(test)]
mod tests;
mod times;

pub(crate) use cues::{has_names_above, looks_like};
pub(crate) use read::{srt, vtt};

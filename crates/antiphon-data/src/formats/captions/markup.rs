//! The markup within the lines of cues: tags and character references.
//!
//! | in the line | effect |
//! |---|---|
//! | `<v Anna>`, `<v.loud Anna>` | begins the words of a voice |
//! | `<i>`, `<c.yellow>`, `<font color="red">`, `</v>` | none |
//! | `<00:00:01.400>` | none, but shows that the line is spoken word by word for the first time |
//! | `{\an8}` | none (the position, in SubRip) |
//! | `&amp;`, `&#39;`, `&#x2014;` | a character (WebVTT, section 6.4: those of HTML) |
//!
//! Any other `<` is text.

use crate::formats::captions::cues::{Cue, NumberedLine};
use crate::formats::captions::times::Times;

/// A cue as it is shown: its lines without markup.
pub(super) struct Shown<'a> {
    pub(super) times: Times,
    pub(super) id: &'a str,
    pub(super) lines: Vec<ShownLine>,
}

/// A line of a cue without markup.
pub(super) struct ShownLine {
    /// The line of the source, from 1.
    pub(super) number: u32,
    /// The words of each voice in the line.
    pub(super) pieces: Vec<Piece>,
    /// All words, separated by single spaces, to compare lines by.
    pub(super) text: String,
    /// Whether words of the line have times.
    pub(super) is_timed: bool,
}

/// The words behind a voice tag, or those before the first one.
#[derive(Default)]
pub(super) struct Piece {
    /// The name in the voice tag.
    pub(super) voice: Option<String>,
    pub(super) words: String,
}

impl<'a> Shown<'a> {
    /// Removes the markup of a cue, and lines without words.
    pub(super) fn of(cue: &Cue<'a>) -> Self {
        let lines = cue.lines.iter().map(ShownLine::of).filter(|line| !line.is_empty()).collect();
        Self { times: cue.times, id: cue.id, lines }
    }
}

impl ShownLine {
    /// Removes the markup of a line.
    fn of((number, line): &NumberedLine<'_>) -> Self {
        let mut shown = Self { number: *number, pieces: Vec::new(), text: String::new(), is_timed: false };
        let mut open = Piece::default();
        let mut rest = *line;
        while let Some(at) = rest.find(['<', '{']) {
            open.words.push_str(&rest[..at]);
            rest = &rest[at..];
            let Some(length) = tag_length(rest) else {
                open.words.push_str(&rest[..1]);
                rest = &rest[1..];
                continue;
            };
            let tag = &rest[1..length - 1];
            shown.is_timed |= is_timestamp(tag);
            if let Some(voice) = voice_of(tag) {
                shown.push(std::mem::replace(&mut open, Piece { voice: Some(voice), words: String::new() }));
            }
            rest = &rest[length..];
        }
        open.words.push_str(rest);
        shown.push(open);
        let words: Vec<&str> = shown.pieces.iter().flat_map(|piece| piece.words.split_whitespace()).collect();
        shown.text = words.join(" ");
        shown
    }

    /// Adds a piece, with its character references decoded.
    fn push(&mut self, mut piece: Piece) {
        if piece.words.contains('&') {
            piece.words = htmlize::unescape(piece.words.as_str()).into_owned();
        }
        if piece.voice.is_some() || !piece.words.trim().is_empty() {
            self.pieces.push(piece);
        }
    }

    /// Returns whether the line has neither words nor a voice.
    fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }
}

/// Returns the bytes of the tag at the beginning of a text; `None` if the character is text.
fn tag_length(text: &str) -> Option<usize> {
    let (close, is_tag): (_, fn(&str) -> bool) =
        if text.starts_with('{') { ('}', |tag| tag.starts_with('\\')) } else { ('>', is_tag) };
    // The search ends at the next opening character, so that unclosed ones take no more than linear time.
    let end = text[1..].find(['<', '{', close])? + 1;
    (text[end..].starts_with(close) && is_tag(&text[1..end])).then_some(end + 1)
}

/// Returns whether the text between `<` and `>` is a tag: a name, with classes or an annotation, or a time.
fn is_tag(tag: &str) -> bool {
    let name = tag.strip_prefix('/').unwrap_or(tag);
    let rest = name.trim_start_matches(|c: char| c.is_ascii_alphanumeric());
    let is_named = name.is_empty() || name.starts_with(|c: char| c.is_ascii_alphabetic());
    is_timestamp(tag) || (is_named && (rest.is_empty() || rest.starts_with(['.', ' ', '\t', '/'])))
}

/// Returns whether the text of a tag is the time of the words behind it.
fn is_timestamp(tag: &str) -> bool {
    let is_part = |c: char| c.is_ascii_digit() || matches!(c, ':' | '.' | ',');
    tag.contains(':') && tag.starts_with(|c: char| c.is_ascii_digit()) && tag.chars().all(is_part)
}

/// Returns the name in a voice tag, as in `v.loud Anna`.
fn voice_of(tag: &str) -> Option<String> {
    let rest = tag.strip_prefix('v')?;
    let (_, name) =
        rest.split_once([' ', '\t']).filter(|(classes, _)| classes.is_empty() || classes.starts_with('.'))?;
    let name = htmlize::unescape(name.trim()).into_owned();
    (!name.is_empty()).then_some(name)
}

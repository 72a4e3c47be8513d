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

use std::borrow::Cow;

use crate::formats::captions::cues::{Cue, NumberedLine};
use crate::formats::captions::times::Times;

/// A cue as it is shown: its lines without markup.
pub(super) struct Shown<'a> {
    pub(super) times: Times,
    pub(super) id: &'a str,
    pub(super) lines: Vec<ShownLine<'a>>,
}

/// A line of a cue without markup.
pub(super) struct ShownLine<'a> {
    /// The line of the source, from 1.
    pub(super) number: u32,
    /// The words of each voice in the line.
    pub(super) pieces: Vec<Piece<'a>>,
    /// All words, separated by single spaces, to compare lines by.
    pub(super) text: Cow<'a, str>,
    /// Whether words of the line have times.
    pub(super) is_timed: bool,
}

/// The words behind a voice tag, or those before the first one.
#[derive(Default)]
pub(super) struct Piece<'a> {
    /// The name in the voice tag.
    pub(super) voice: Option<Cow<'a, str>>,
    pub(super) words: Cow<'a, str>,
}

impl<'a> Shown<'a> {
    /// Removes the markup of a cue with these lines, and lines without words.
    pub(super) fn of((cue, lines): (Cue<'a>, &[NumberedLine<'a>])) -> Self {
        let lines = lines.iter().map(ShownLine::of).filter(|line| !line.is_empty()).collect();
        Self { times: cue.times, id: cue.id, lines }
    }
}

impl<'a> ShownLine<'a> {
    /// Removes the markup of a line.
    pub(super) fn of((number, line): &NumberedLine<'a>) -> Self {
        let mut shown =
            Self { number: *number, pieces: Vec::new(), text: Cow::Borrowed(""), is_timed: false };
        let mut open = Piece::default();
        let mut rest = *line;
        while let Some(at) = rest.find(['<', '{']) {
            open.add(&rest[..at]);
            rest = &rest[at..];
            let Some(length) = tag_length(rest) else {
                open.add(&rest[..1]);
                rest = &rest[1..];
                continue;
            };
            let tag = &rest[1..length - 1];
            shown.is_timed |= is_timestamp(tag);
            if let Some(voice) = voice_of(tag) {
                shown.push(std::mem::replace(
                    &mut open,
                    Piece { voice: Some(voice), words: Cow::Borrowed("") },
                ));
            }
            rest = &rest[length..];
        }
        open.add(rest);
        shown.push(open);
        shown.text = words_of(&shown.pieces);
        shown
    }

    /// Adds a piece, with its character references decoded.
    fn push(&mut self, mut piece: Piece<'a>) {
        if piece.words.contains('&') {
            piece.words = Cow::Owned(htmlize::unescape(&*piece.words).into_owned());
        }
        if piece.voice.is_some() || !piece.words.trim().is_empty() {
            self.pieces.push(piece);
        }
    }

    /// Returns whether the line has neither words nor a voice.
    pub(super) fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }
}

impl<'a> Piece<'a> {
    /// Adds words, which are copied only if others precede them.
    fn add(&mut self, words: &'a str) {
        if self.words.is_empty() {
            self.words = Cow::Borrowed(words);
        } else if !words.is_empty() {
            self.words.to_mut().push_str(words);
        }
    }
}

/// Returns all words of pieces, separated by single spaces.
fn words_of<'a>(pieces: &[Piece<'a>]) -> Cow<'a, str> {
    if let [Piece { words: Cow::Borrowed(words), .. }] = pieces {
        let words = words.trim();
        let is_other = |c: char| c.is_whitespace() && c != ' ';
        if !words.contains("  ") && !words.contains(is_other) {
            return Cow::Borrowed(words);
        }
    }
    let words: Vec<&str> = pieces.iter().flat_map(|piece| piece.words.split_whitespace()).collect();
    Cow::Owned(words.join(" "))
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
fn voice_of(tag: &str) -> Option<Cow<'_, str>> {
    let rest = tag.strip_prefix('v')?;
    let (_, name) =
        rest.split_once([' ', '\t']).filter(|(classes, _)| classes.is_empty() || classes.starts_with('.'))?;
    let name = htmlize::unescape(name.trim());
    (!name.is_empty()).then_some(name)
}

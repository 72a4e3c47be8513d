//! Segments: the words of one voice within a line of a cue, with the label and the mark before them.
//!
//! | at the beginning of the words | is |
//! |---|---|
//! | `Ana: so`, `[Ana] so`, `(Ana): so` | a label; whether it counts is decided by [`Names`](super::names::Names) |
//! | `>> so`, `>> ANA: so` | a change of speaker, also within a line |
//! | `- so`, `- Ana: so` | a change of speaker in a dialogue |
//! | `[Music] so`, `(laughs) so` | words: sounds are no speakers |

use crate::formats::captions::cues::Cues;
use crate::formats::captions::markup::{Piece, Shown, ShownLine};
use crate::formats::captions::rolling;
use crate::formats::texts::Texts;
use crate::speakers;

/// Words in brackets that describe sounds, or what is missing.
const SOUNDS: [&str; 38] = [
    "applause",
    "audio",
    "background",
    "beep",
    "bell",
    "blank",
    "cheering",
    "cheers",
    "chuckles",
    "clapping",
    "coughs",
    "cough",
    "crosstalk",
    "foreign",
    "gasps",
    "groans",
    "inaudible",
    "indistinct",
    "laugh",
    "laughing",
    "laughs",
    "laughter",
    "music",
    "noise",
    "pause",
    "phone",
    "playing",
    "redacted",
    "ringing",
    "sighs",
    "sigh",
    "silence",
    "singing",
    "sniffs",
    "sound",
    "static",
    "unintelligible",
    "video",
];

/// The words of one voice within a line.
#[derive(Debug)]
pub(super) struct Segment<'a> {
    /// The line of the source, from 1.
    pub(super) line: u32,
    /// The index of the cue.
    pub(super) cue: usize,
    /// Whether the words are the first ones of their cue.
    pub(super) is_first: bool,
    pub(super) mark: Mark,
    /// The name in a voice tag.
    pub(super) voice: Option<&'a str>,
    pub(super) label: Option<Label<'a>>,
    /// The words, with the label and the dash, but without other marks.
    pub(super) words: &'a str,
    /// The byte offset of the words behind the dash.
    pub(super) begin: usize,
}

/// The marks for a change of speaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    None,
    /// `-`, which also begins lines of a list.
    Dash,
    /// `>>`, or `>>>` for a change of topic.
    Arrows,
}

/// A label at the beginning of words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Label<'a> {
    pub(super) name: &'a str,
    /// The byte offset of the words behind the label.
    pub(super) end: usize,
    /// Whether the name is in brackets, without a colon.
    pub(super) is_bracketed: bool,
}

/// Returns the segments of cues, in order, without what rolling captions repeat. Words that are no part of the file, such
/// as those with character references, are added to `texts`.
pub(super) fn segments<'a>(cues: &Cues<'a>, texts: &'a Texts) -> Vec<Segment<'a>> {
    let mut found = Vec::new();
    let mut overlaps = rolling::overlaps(cues).into_iter().peekable();
    for (index, mut cue) in cues.with_lines().map(Shown::of).enumerate() {
        if let Some((_, overlap)) = overlaps.next_if(|(at, _)| *at == index) {
            overlap.remove(&mut cue);
        }
        let dashes = Dashes::of(&cue);
        let mut reader = CueReader { cue: index, is_first: true, dashes, found: &mut found, texts };
        // Webex writes the name into the cue's: `12 "Ana Berg" (123)`.
        let named =
            cue.id.split_once('"').and_then(|(_, rest)| rest.split_once('"')).map(|(name, _)| name.trim());
        if let (Some(name), Some(line)) = (named.filter(|name| !name.is_empty()), cue.lines.first()) {
            reader.push(line.number, Mark::None, Some(name), "");
        }
        cue.lines.into_iter().for_each(|line| reader.add(line));
    }
    found
}

/// The dashes that mark speakers in a cue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dashes {
    /// None: voice tags mark the speakers.
    None,
    /// Hyphens before a space: a wrapped line may begin with a hyphen or a longer dash.
    Spaced,
    /// Hyphens: the first line begins with one.
    Hyphens,
    /// Dashes of all lengths: several lines begin with a longer one.
    All,
}

impl Dashes {
    /// Examines the lines of a cue.
    fn of(cue: &Shown<'_>) -> Self {
        let is_led = |line: &ShownLine<'_>, dashes| behind_dash(&line.text, dashes).is_some();
        let is_long = |line: &&ShownLine<'_>| is_led(line, Self::All) && !is_led(line, Self::Hyphens);
        if cue.lines.iter().flat_map(|line| &line.pieces).any(|piece| piece.voice.is_some()) {
            Self::None
        } else if cue.lines.iter().filter(is_long).count() > 1 {
            Self::All
        } else if cue.lines.first().is_some_and(|line| is_led(line, Self::Hyphens)) {
            Self::Hyphens
        } else {
            Self::Spaced
        }
    }
}

/// The segments of one cue.
struct CueReader<'s, 'a> {
    cue: usize,
    is_first: bool,
    dashes: Dashes,
    found: &'s mut Vec<Segment<'a>>,
    texts: &'a Texts,
}

impl<'a> CueReader<'_, 'a> {
    /// Adds the segments of a line.
    fn add(&mut self, line: ShownLine<'a>) {
        for (index, Piece { voice, words }) in line.pieces.into_iter().enumerate() {
            let words = self.texts.keep(words);
            if let Some(voice) = voice {
                let voice = self.texts.keep(voice);
                self.push(line.number, Mark::None, Some(voice), words);
                continue;
            }
            for (part, (is_changed, words)) in parts(words).into_iter().enumerate() {
                let behind = behind_dash(words, self.dashes).filter(|_| index + part == 0 || is_changed);
                match (is_changed, behind) {
                    (true, behind) => self.push(line.number, Mark::Arrows, None, behind.unwrap_or(words)),
                    (false, Some(_)) => self.push(line.number, Mark::Dash, None, words),
                    (false, None) => self.push(line.number, Mark::None, None, words),
                }
            }
        }
    }

    /// Adds a segment, unless it has neither a speaker nor words.
    fn push(&mut self, line: u32, mark: Mark, voice: Option<&'a str>, words: &'a str) {
        let words = words.trim();
        if words.is_empty() && mark == Mark::None && voice.is_none() {
            return;
        }
        let is_dash = mark == Mark::Dash;
        let behind = behind_dash(words, Dashes::All).filter(|_| is_dash).unwrap_or(words);
        let begin = words.len() - behind.len();
        let label = label_in(behind).filter(|_| voice.is_none());
        self.found.push(Segment {
            line,
            cue: self.cue,
            is_first: self.is_first,
            mark,
            voice,
            label: label.map(|label| Label { end: label.end + begin, ..label }),
            words,
            begin,
        });
        self.is_first = false;
    }
}

/// Splits words at marks such as `>>`, each part with whether it begins with one.
fn parts(words: &str) -> Vec<(bool, &str)> {
    let mut found = Vec::new();
    let (mut start, mut is_changed) = (0, false);
    for (at, _) in words.match_indices(">>") {
        let before = &words[start..at];
        if at > 0 && !before.ends_with(char::is_whitespace) {
            continue;
        }
        found.push((is_changed, before.trim_start_matches('>')));
        (start, is_changed) = (at, true);
    }
    let rest = &words[start..];
    found.push((is_changed, if is_changed { rest.trim_start_matches('>') } else { rest }));
    found
}

/// Returns the words behind a dash that begins a line of a dialogue: `- so` and `-So`, but neither `-5` nor `--`.
fn behind_dash(words: &str, dashes: Dashes) -> Option<&str> {
    let words = words.trim_start();
    let rest = match dashes {
        Dashes::None => return None,
        Dashes::Spaced => words.strip_prefix('-').filter(|rest| rest.starts_with(char::is_whitespace))?,
        Dashes::Hyphens => words.strip_prefix('-')?,
        Dashes::All => words.strip_prefix(['-', '\u{2010}', '\u{2013}', '\u{2014}'])?,
    };
    let is_mark =
        |c: char| c.is_whitespace() || c.is_alphabetic() || "[(\"'\u{201c}\u{2018}\u{bf}\u{a1}".contains(c);
    rest.starts_with(is_mark).then(|| rest.trim_start())
}

/// Returns the label at the beginning of words.
fn label_in(words: &str) -> Option<Label<'_>> {
    label_at(words).filter(|label| !speakers::begins_quotation(words, label.end))
}

/// Returns the label at the beginning of words, within a quotation or not.
fn label_at(words: &str) -> Option<Label<'_>> {
    if let Some(close) = closing(words) {
        let end = words[1..].find(close)? + 1;
        let name = words[1..end].trim();
        let behind = &words[end + close.len_utf8()..];
        let rest = behind.trim_start();
        let is_bracketed = !rest.starts_with([':', '\u{ff1a}']);
        let rest = if is_bracketed { rest } else { rest.trim_start_matches([':', '\u{ff1a}']).trim_start() };
        let is_label = speakers::can_be_label(name) && !is_sound(name);
        return is_label.then(|| Label { name, end: words.len() - rest.len(), is_bracketed });
    }
    let at = words.find([':', '\u{ff1a}'])?;
    let (name, behind) = (words[..at].trim(), &words[at..]);
    let rest = behind.strip_prefix('\u{ff1a}').or_else(|| {
        behind.strip_prefix(':').filter(|rest| rest.is_empty() || rest.starts_with(char::is_whitespace))
    })?;
    let end = words.len() - rest.trim_start().len();
    speakers::can_be_label(name).then_some(Label { name, end, is_bracketed: false })
}

/// Returns the closing bracket of words in brackets.
fn closing(words: &str) -> Option<char> {
    match words.chars().next()? {
        '[' => Some(']'),
        '(' => Some(')'),
        _ => None,
    }
}

/// Returns whether a name in brackets is a sound: `Music Playing`, `BLANK_AUDIO`.
fn is_sound(name: &str) -> bool {
    let name = name.to_lowercase();
    name.split(|c: char| !c.is_alphanumeric()).any(|word| SOUNDS.contains(&word))
}

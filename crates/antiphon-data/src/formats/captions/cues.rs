//! The cues of a caption file, from its lines.
//!
//! Empty lines should separate cues, but editors leave them within a cue, too, and tools forget them. A cue therefore
//! begins at its times, with the line above them if that is a number or a name, and extends to the next cue. Notes,
//! styles and regions of WebVTT are blocks of their own, which end at an empty line.

use crate::error::Malformed;
use crate::formats::captions::times::{LineKind, Times};
use crate::speakers;

/// The syntaxes of captions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Syntax {
    WebVtt,
    SubRip,
}

/// A line of the file with its number, from 1.
pub(super) type NumberedLine<'a> = (u32, &'a str);

/// A cue as it is in the file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cue<'a> {
    pub(super) times: Times,
    /// The name or number above the times; empty without one.
    pub(super) id: &'a str,
    /// The index of the first line of the text among those of all cues.
    first: usize,
}

/// The cues of a file, and the lines before the first one, which no one says.
#[derive(Debug, Default)]
pub(super) struct Cues<'a> {
    pub(super) before: Vec<NumberedLine<'a>>,
    pub(super) cues: Vec<Cue<'a>>,
    /// The lines of the texts of all cues that are not empty.
    lines: Vec<NumberedLine<'a>>,
}

impl<'a> Cues<'a> {
    /// Returns the cues, each with the lines of its text that are not empty.
    pub(super) fn with_lines(&self) -> impl Iterator<Item = (Cue<'a>, &[NumberedLine<'a>])> {
        let ends = self.cues.iter().skip(1).map(|cue| cue.first).chain([self.lines.len()]);
        self.cues.iter().zip(ends).map(|(cue, end)| (*cue, &self.lines[cue.first..end]))
    }
}

/// The number of lines with text within which captions without a header have to begin.
const BEGINS_WITHIN: usize = 8;
/// The number of lines with text within which captions behind a header have to begin.
const HEADER_WITHIN: usize = 64;

/// Returns whether a text is captions: within the first lines are the times of a cue. Examples between the fences of a
/// Markdown text are none.
pub(crate) fn looks_like(text: &str) -> bool {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty()).peekable();
    let limit = if lines.peek().is_some_and(|line| is_header(line)) { HEADER_WITHIN } else { BEGINS_WITHIN };
    lines
        .take(limit)
        .take_while(|line| !line.starts_with("```") && !line.starts_with("~~~"))
        .any(|line| matches!(LineKind::of(line), LineKind::Times(_)))
}

/// Returns whether most of the times have a name alone on the next line and words below it, as a meeting's transcript has
/// them that is no captions.
pub(crate) fn has_names_above(text: &str) -> bool {
    let mut lines = text.lines().map(str::trim).peekable();
    let (mut times, mut named) = (0_usize, 0_usize);
    while let Some(line) = lines.next() {
        if !matches!(LineKind::of(line), LineKind::Times(_)) {
            continue;
        }
        times += 1;
        let name = lines.next_if(|line| speakers::is_name_alone(line));
        named += usize::from(name.is_some() && lines.peek().is_some_and(|line| !line.is_empty()));
    }
    named > 1 && named * 2 > times
}

/// Splits a file into its cues.
///
/// # Errors
/// The first line with malformed times, a numbered cue without times, or a file without a cue.
pub(super) fn split(text: &str, syntax: Syntax) -> Result<Cues<'_>, Malformed> {
    let mut blocks = blocks(text).peekable();
    let has_header = blocks.peek().is_some_and(|block| is_header(block[0].1));
    let syntax = if has_header { Syntax::WebVtt } else { syntax };
    let mut splitter = Splitter { syntax, found: Cues::default(), number: None, has_lone_number: false };
    for (index, block) in blocks.enumerate() {
        if index == 0 && has_header {
            // The header's lines extend to the first empty line; some tools forget it.
            let is_times = |(_, line): &NumberedLine<'_>| matches!(LineKind::of(line), LineKind::Times(_));
            let end = block.iter().position(is_times).unwrap_or(block.len());
            splitter.add(&block[end..])?;
        } else if syntax == Syntax::SubRip || !is_comment(&block) {
            splitter.add(&block)?;
        }
    }
    splitter.finish(has_header)
}

/// The cues so far.
struct Splitter<'a> {
    syntax: Syntax,
    found: Cues<'a>,
    /// The number of the last cue, if cues are numbered.
    number: Option<u64>,
    /// Whether the last line is a number between empty lines, which may be that of the next cue.
    has_lone_number: bool,
}

impl<'a> Splitter<'a> {
    /// Adds a block of lines between empty ones: cues, or more words of the last one.
    fn add(&mut self, block: &[NumberedLine<'a>]) -> Result<(), Malformed> {
        let mut added = 0;
        for (index, (number, line)) in block.iter().enumerate() {
            // Only the first two lines of a block have to be times; below them, a line may look like times.
            let is_place = added == 0 && index < 2;
            let times = match LineKind::of(line) {
                LineKind::Times(times) => times,
                LineKind::Rough(times) if is_place => times,
                LineKind::Invalid if is_place => {
                    return Err(Malformed::at(*number, format!("invalid cue times: {}", line.trim())));
                }
                _ => continue,
            };
            let above = &block[added..index];
            let id = self.id_in(above, is_place);
            self.go_on(&above[..above.len() - usize::from(id.is_some())]);
            self.begin(times, id);
            added = index + 1;
        }
        if added == 0 {
            self.add_words(block)
        } else {
            self.go_on(&block[added..]);
            Ok(())
        }
    }

    /// Returns the name or number of a cue, from the lines above its times.
    fn id_in(&mut self, above: &[NumberedLine<'a>], is_place: bool) -> Option<&'a str> {
        let Some((_, line)) = above.last() else {
            // An empty line between the number and the times.
            if self.has_lone_number && !self.found.cues.is_empty() {
                self.found.lines.pop();
            }
            return None;
        };
        let number = number_of(line);
        let is_id = if is_place && (self.syntax == Syntax::WebVtt || self.found.cues.is_empty()) {
            true
        } else if is_place || self.found.cues.is_empty() {
            number.is_some()
        } else {
            number.is_some_and(|number| self.is_next(number))
        };
        is_id.then(|| line.trim())
    }

    /// Begins a cue.
    fn begin(&mut self, times: Times, id: Option<&'a str>) {
        self.number = id.and_then(number_of).or(self.number.map(|number| number + 1));
        self.has_lone_number = false;
        let first = self.found.lines.len();
        self.found.cues.push(Cue { times, id: id.unwrap_or(""), first });
    }

    /// Adds a block without times: words behind an empty line of the last cue, unless its number shows that it is a cue
    /// without times.
    fn add_words(&mut self, block: &[NumberedLine<'a>]) -> Result<(), Malformed> {
        let Some((line, first)) = block.first() else { return Ok(()) };
        let number = number_of(first);
        let is_next = number.is_some_and(|number| self.found.cues.is_empty() || self.is_next(number));
        if is_next && block.len() > 1 {
            return Err(without_times(*line));
        }
        self.go_on(block);
        self.has_lone_number = is_next;
        Ok(())
    }

    /// Adds lines to the last cue, or before the first one.
    fn go_on(&mut self, lines: &[NumberedLine<'a>]) {
        self.has_lone_number = false;
        let found = &mut self.found;
        if found.cues.is_empty() { found.before.extend(lines) } else { found.lines.extend(lines) }
    }

    /// Returns whether a number is that of the next cue, or of the one behind a cue without a number.
    fn is_next(&self, number: u64) -> bool {
        self.number.is_some_and(|last| number == last + 1 || number == last + 2)
    }

    /// Returns the cues; an error if there are none.
    fn finish(self, has_header: bool) -> Result<Cues<'a>, Malformed> {
        match self.found.before.first() {
            _ if !self.found.cues.is_empty() => Ok(self.found),
            _ if self.syntax == Syntax::WebVtt && !has_header => {
                Err(Malformed::at(1, "a WebVTT file must begin with a line WEBVTT"))
            }
            Some((line, _)) => Err(without_times(*line)),
            None => Ok(self.found),
        }
    }
}

/// Returns the failure of a cue without times.
fn without_times(line: u32) -> Malformed {
    Malformed::at(line, "a cue without times, such as 00:00:01.000 --> 00:00:04.000")
}

/// Returns the number of a cue.
fn number_of(line: &str) -> Option<u64> {
    let line = line.trim();
    line.bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| line.parse().ok())?
        .filter(|n| *n < u64::from(u32::MAX))
}

/// Returns whether a line is the first one of a WebVTT file (WebVTT, section 4.1).
fn is_header(line: &str) -> bool {
    let rest = line.trim().strip_prefix("WEBVTT");
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t']))
}

/// Returns whether a block is a note, a style or a region (WebVTT, section 4.1).
fn is_comment(block: &[NumberedLine<'_>]) -> bool {
    let (_, line) = block[0];
    let is_note =
        line.strip_prefix("NOTE").is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t']));
    is_note || matches!(line.trim_end(), "STYLE" | "REGION")
}

/// Returns the blocks of lines between empty ones, each line with its number. No block is empty.
fn blocks(text: &str) -> impl Iterator<Item = Vec<NumberedLine<'_>>> {
    let mut lines = (1_u32..).zip(text.split('\n')).peekable();
    std::iter::from_fn(move || {
        while lines.next_if(|(_, line)| line.trim().is_empty()).is_some() {}
        let mut block = Vec::new();
        while let Some(line) = lines.next_if(|(_, line)| !line.trim().is_empty()) {
            block.push(line);
        }
        (!block.is_empty()).then_some(block)
    })
}

//! The turns of captions, from the segments of their cues.

use crate::builder::{Body, Voice, Words};
use crate::document::SpeakerRole;
use crate::error::Malformed;
use crate::formats::captions::cues::{self, Syntax};
use crate::formats::captions::names::Names;
use crate::formats::captions::segments::{self, Segment};
use crate::formats::captions::times::Times;
use crate::formats::texts::Texts;
use crate::speakers;

/// The label in the text for words without a name.
const UNNAMED: &str = "Unnamed speaker";

/// Reads WebVTT (W3C, "WebVTT: The Web Video Text Tracks Format", section 4): cues after a `WEBVTT` line, which may be
/// missing. Notes, styles and regions are skipped.
///
/// # Errors
/// The first cue with malformed times, or a file with neither cues nor a `WEBVTT` line.
pub(crate) fn vtt(text: &str, person: &str) -> Result<Body, Malformed> {
    read(text, Syntax::WebVtt, person)
}

/// Reads SubRip: cues that are numbered, which is not required.
///
/// # Errors
/// The first cue without valid times.
pub(crate) fn srt(text: &str, person: &str) -> Result<Body, Malformed> {
    read(text, Syntax::SubRip, person)
}

/// Reads cues. All segments are collected first, since the labels that count depend on all of them.
fn read(text: &str, syntax: Syntax, person: &str) -> Result<Body, Malformed> {
    let texts = Texts::default();
    let mut cues = cues::split(text, syntax)?;
    let segments = segments::segments(&cues, &texts);
    let times: Vec<Times> = cues.cues.iter().map(|cue| cue.times).collect();
    let before = std::mem::take(&mut cues.before);
    // The segments have all that the turns need: the lines of a long file do not stay beside them.
    drop(cues);
    let names = Names::of(&segments);
    let mut spoken = segments.iter().filter_map(|segment| names.speaker_in(segment)).peekable();
    let only_ask = spoken.peek().is_some()
        && spoken.all(|(label, _)| speakers::role_of(label) == SpeakerRole::Interviewer);
    let mut captions = Captions {
        body: Body::default(),
        person,
        names,
        speaker: Speaker::Unknown,
        only_ask,
        is_open: false,
    };
    for (line, words) in before {
        captions.body.note("", Words { text: words, line, lines_count: false });
    }
    for segment in &segments {
        captions.add(segment, times[segment.cue]);
    }
    Ok(captions.body)
}

/// The speaker of the next words.
#[derive(Debug, PartialEq, Eq)]
enum Speaker<'s> {
    /// No one was named or marked so far.
    Unknown,
    /// A mark began the words of someone without a name.
    Unnamed,
    Named(&'s str),
    /// The participant, who has no label, behind a question of one who has.
    Answering,
}

/// The turns so far.
struct Captions<'a> {
    body: Body,
    /// The speaker of a file that names no one.
    person: &'a str,
    names: Names<'a>,
    speaker: Speaker<'a>,
    /// Whether all speakers with names are interviewers.
    only_ask: bool,
    /// Whether the last turn is the speaker's, so that the next words continue it.
    is_open: bool,
}

impl<'a> Captions<'a> {
    /// Adds a segment of a cue with these times: to the open turn if it has the same speaker, otherwise as another
    /// turn.
    fn add(&mut self, segment: &Segment<'a>, time: Times) {
        let named = self.names.speaker_in(segment);
        let (next, start) = match named {
            Some((name, start)) => (Some(Speaker::Named(name)), start),
            None if self.names.changes_in(segment) => (Some(Speaker::Unnamed), segment.begin),
            None if segment.is_first && self.has_asked() => (Some(Speaker::Answering), 0),
            None => (None, 0),
        };
        if let Some(next) = next {
            // Two changes without a name are two speakers.
            self.is_open &= next == self.speaker && next != Speaker::Unnamed;
            self.speaker = next;
        }
        let words = segment.words[start..].trim();
        if words.is_empty() {
            return;
        }
        if self.is_open {
            return self.body.go_on(words, segment.line);
        }
        self.begin(Words { text: words, line: segment.line, lines_count: false }, &time.clock());
        self.is_open = true;
    }

    /// Returns whether the open turn is a question, in a file in which only those who ask have labels.
    fn has_asked(&self) -> bool {
        self.only_ask
            && self.is_open
            && matches!(self.speaker, Speaker::Named(_))
            && self.body.text.trim_end().ends_with(['?', '？', '؟'])
    }

    /// Begins a turn of the speaker.
    fn begin(&mut self, words: Words<'_>, time: &str) {
        let time = Some(time);
        match self.speaker {
            Speaker::Named(label) => {
                let speaker = speakers::speaker_of(label, self.person);
                let role = speakers::role_of(label);
                self.body.say(label, Voice { speaker: &speaker, role, time }, words);
            }
            Speaker::Answering => self.answer(words, time),
            Speaker::Unknown if !self.names.has_speakers => self.answer(words, time),
            Speaker::Unknown | Speaker::Unnamed => {
                let speaker = format!("{} {}", self.person, speakers::UNNAMED);
                self.body.say(UNNAMED, Voice { speaker: &speaker, role: SpeakerRole::Unclear, time }, words);
            }
        }
    }

    /// Begins a turn of the participant, whom the file does not name.
    fn answer(&mut self, words: Words<'_>, time: Option<&str>) {
        let voice = Voice { speaker: self.person, role: SpeakerRole::Participant, time };
        self.body.say(self.person, voice, words);
    }
}

//! Captions: WebVTT and SubRip, whose cues become turns of their speakers.
//!
//! A cue is a block of lines between empty ones: an optional name or number, its times, and its text.
//!
//! ```text
//! 00:00:01.000 --> 00:00:04.000
//! <v Anna>I bake.</v>
//! ```
//!
//! Cues break sentences for the screen, so that the consecutive cues of one speaker are joined by spaces into one turn.
//! A cue without a speaker continues that of the cue before it. The times are checked but not kept: the line of each
//! cue leads back to them. Tags for formatting are removed, and the four most frequent entities are decoded.

use std::collections::BTreeSet;

use crate::builder::{Body, Voice, Words};
use crate::error::Malformed;
use crate::speakers;

/// Reads WebVTT (W3C, "WebVTT: The Web Video Text Tracks Format", section 4): cues after a `WEBVTT` line.
/// Notes, styles and regions are skipped.
///
/// # Errors
/// A file that does not begin with `WEBVTT`, or the first cue without valid times.
pub(crate) fn vtt(text: &str, person: &str) -> Result<Body, Malformed> {
    if !text.starts_with("WEBVTT") {
        return Err(Malformed::at(1, "a WebVTT file must begin with a line WEBVTT"));
    }
    let is_cue = |block: &Vec<(u32, &str)>| {
        !["NOTE", "STYLE", "REGION"].iter().any(|kind| block[0].1.starts_with(kind))
    };
    read(text, blocks(text).skip(1).filter(is_cue), person)
}

/// Reads SubRip: numbered cues, whose first words may be a speaker's label, as in `P05: …`. The numbers are not
/// checked.
///
/// # Errors
/// The first cue without valid times.
pub(crate) fn srt(text: &str, person: &str) -> Result<Body, Malformed> {
    read(text, blocks(text), person)
}

/// Reads cues. The labels of all lines are counted first, since one that occurs only once may be prose.
fn read<'a>(
    text: &'a str,
    cues: impl Iterator<Item = Vec<(u32, &'a str)>>,
    person: &'a str,
) -> Result<Body, Malformed> {
    let labels = speakers::accepted_labels(text.lines().filter_map(|line| Some(label_of(line)?.0)));
    let mut captions = Captions { body: Body::default(), person, labels, speaker: None, is_open: false };
    for cue in cues {
        captions.add(&cue)?;
    }
    Ok(captions.body)
}

/// The turns of the cues so far.
struct Captions<'a> {
    body: Body,
    /// The speaker of cues before the first name.
    person: &'a str,
    /// The labels that count as speakers.
    labels: BTreeSet<&'a str>,
    /// The label of the last speaker who was named.
    speaker: Option<String>,
    /// Whether the last turn is the speaker's, so that the next words continue it.
    is_open: bool,
}

impl Captions<'_> {
    /// Adds a cue: an optional name, its times, and its words on one line or more.
    fn add(&mut self, cue: &[(u32, &str)]) -> Result<(), Malformed> {
        let timing = cue.iter().take(2).position(|(_, line)| line.contains("-->"));
        let Some(timing) = timing else {
            let reason = "a cue without times, such as 00:00:01.000 --> 00:00:04.000";
            return Err(Malformed::at(cue[0].0, reason));
        };
        let (line, times) = cue[timing];
        if !are_times(times) {
            return Err(Malformed::at(line, format!("invalid cue times: {}", times.trim())));
        }
        cue[timing + 1..].iter().for_each(|(line, words)| self.add_line(*line, words));
        Ok(())
    }

    /// Adds a line of a cue. One line may have several voices, each after its tag.
    fn add_line(&mut self, line: u32, words: &str) {
        let mut rest = words;
        while let Some(next) = rest.match_indices("<v").map(|(at, _)| at).find(|at| *at > 0) {
            self.say(line, &rest[..next]);
            rest = &rest[next..];
        }
        self.say(line, rest);
    }

    /// Adds the words of one voice: to the open turn if it has the same speaker, otherwise as another turn.
    fn say(&mut self, line: u32, words: &str) {
        let (speaker, words) = self.voice(words);
        self.change_speaker(speaker);
        let words = words.trim();
        if words.is_empty() {
            return;
        }
        if self.is_open {
            return self.body.go_on(words, line);
        }
        let label = self.speaker.as_deref().unwrap_or(self.person);
        let name = speakers::speaker_of(label, self.person);
        let voice = Voice { speaker: &name, role: speakers::role_of(label), time: None };
        self.body.say(label, voice, Words { text: words, line, lines_count: true });
        self.is_open = true;
    }

    /// Ends the open turn if another speaker than the last one is named.
    fn change_speaker(&mut self, speaker: Option<String>) {
        if speaker.is_some() && speaker != self.speaker {
            self.speaker = speaker;
            self.is_open = false;
        }
    }

    /// Returns the speaker of a voice tag or a label, and the words without tags and entities.
    fn voice(&self, words: &str) -> (Option<String>, String) {
        let tag = words.find("<v").and_then(|start| {
            let (head, _) = words[start..].split_once('>')?;
            // `<v.loud Anna>`: the name follows the classes.
            let (_, name) = head.split_once(' ')?;
            Some(name.trim().to_owned())
        });
        if tag.is_some() {
            return (tag, without_tags(words));
        }
        match label_of(words).filter(|(label, _)| self.labels.contains(label)) {
            Some((label, rest)) => (Some(label.to_owned()), without_tags(rest)),
            None => (None, without_tags(words)),
        }
    }
}

/// Splits a label from its words: `P05: so`, or a line of `P05:` alone.
fn label_of(line: &str) -> Option<(&str, &str)> {
    let (label, rest) = line.trim_start_matches(['-', ' ']).split_once(':')?;
    let spaced = rest.is_empty() || rest.starts_with(' ');
    (spaced && speakers::can_be_label(label)).then_some((label, rest))
}

/// Returns words without tags such as `<i>`, and with decoded entities. A `<` that no `>` closes is text.
fn without_tags(words: &str) -> String {
    let mut plain = String::with_capacity(words.len());
    let mut rest = words;
    while let Some((before, tag)) = rest.split_once('<') {
        let Some((_, after)) = tag.split_once('>') else { break };
        plain.push_str(before);
        rest = after;
    }
    plain.push_str(rest);
    if !plain.contains('&') {
        return plain;
    }
    plain.replace("&lt;", "<").replace("&gt;", ">").replace("&nbsp;", " ").replace("&amp;", "&")
}

/// Returns whether a line has two valid times: `01:02:03.004 --> 01:02:05.000`, and optional settings behind them.
fn are_times(times: &str) -> bool {
    let (from, to) = times.split_once("-->").unwrap_or((times, ""));
    let to = to.split_whitespace().next().unwrap_or("");
    is_time(from.trim()) && is_time(to)
}

/// Returns whether a text is a time: `01:02:03.004`, `02:03.004`, or with a comma as SubRip writes it.
fn is_time(text: &str) -> bool {
    let Some((clock, millis)) = text.split_once(['.', ',']) else { return false };
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    (2..=3).contains(&clock.split(':').count()) && clock.split(':').all(digits) && digits(millis)
}

/// Returns the blocks of lines between empty ones, each line with its number.
fn blocks(text: &str) -> impl Iterator<Item = Vec<(u32, &str)>> {
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

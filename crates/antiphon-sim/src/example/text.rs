//! Texts that fit a schema: by a pattern, by a format, or by their length alone, in this order.
//!
//! A pattern is written by walking its syntax tree: a random branch of each alternation, a random character of each
//! class, and few repetitions. Its length cannot be foreseen, so that attempts with more and more repetitions follow
//! until one fits. Assertions such as `^` and word boundaries add nothing, and are not checked.

use std::ops::RangeInclusive;

use rand::RngExt;
use rand::rngs::SmallRng;
use regex_syntax::hir::{Class, ClassUnicodeRange, Hir, HirKind, Repetition};
use serde_json::{Map, Value};

use super::keywords::bound;

/// The maximum length of a text, even if the schema requires more.
const MAX_LETTERS: usize = 100_000;
/// The maximum repetitions beyond the minimum of a pattern, for one attempt after another until the length fits.
const REPETITIONS: [u32; 8] = [2, 2, 4, 8, 16, 64, 256, 1_024];
/// The words of a text without a pattern or a format.
const WORDS: [&str; 7] = ["quick", "brown", "fox", "lazy", "dog", "over", "jumps"];

/// Returns a text that fits a schema, as far as `room` allows. Each character, and each part of a pattern, even an
/// empty one, takes from `room`.
pub(super) fn fitting(object: &Map<String, Value>, rng: &mut SmallRng, room: &mut usize) -> String {
    let least = bound(object, "minLength").unwrap_or(0).min(MAX_LETTERS).min(*room);
    let lengths = least..=bound(object, "maxLength").unwrap_or(usize::MAX).max(least);
    if let Some(pattern) = object.get("pattern").and_then(Value::as_str)
        && let Ok(pattern) = regex_syntax::parse(pattern)
    {
        return of_pattern(&pattern, &lengths, rng, room);
    }
    let format = object.get("format").and_then(Value::as_str).unwrap_or_default();
    if let Some(text) = of_format(format, rng) {
        let is_fit = lengths.contains(&text.chars().count());
        // A short address for a small `maxLength`.
        return if is_fit || format != "uri" { text } else { format!("a:{}", rng.random_range(0..100)) };
    }
    let text = of_words(&lengths, rng);
    *room = room.saturating_sub(text.len());
    text
}

/// Returns a text that matches a pattern: the first attempt with optional repetitions whose length fits, or else the
/// one without them, if its length fits, or else the last.
fn of_pattern(
    pattern: &Hir,
    lengths: &RangeInclusive<usize>,
    rng: &mut SmallRng,
    room: &mut usize,
) -> String {
    let (mut least_one, mut text) = (None, String::new());
    for more in [0].into_iter().chain(REPETITIONS) {
        text = String::new();
        Writer { rng, more, room, text: &mut text }.write(pattern);
        if lengths.contains(&text.chars().count()) {
            if more > 0 {
                return text;
            }
            least_one = Some(text.clone());
        }
    }
    least_one.unwrap_or(text)
}

/// Returns words of a length within the bounds: up to about 24 characters, or more if the minimum is higher.
fn of_words(lengths: &RangeInclusive<usize>, rng: &mut SmallRng) -> String {
    let (least, most) = (*lengths.start(), *lengths.end());
    let mut text = String::new();
    while text.len() < least.max(1) || (text.len() < 24 && rng.random_range(0..3) > 0) {
        text.push_str(WORDS[rng.random_range(0..WORDS.len())]);
        text.push(' ');
    }
    text.truncate(text.trim_end().len().max(least).min(most));
    text
}

/// Returns a text of a format of JSON Schema; `None` for an unknown one. Names and addresses are those that are
/// reserved for documentation (RFC 2606, RFC 5737, RFC 3849).
fn of_format(format: &str, rng: &mut SmallRng) -> Option<String> {
    let day = rng.random_range(1..29);
    let number: u32 = rng.random_range(0..100);
    Some(match format {
        "date" => format!("2026-01-{day:02}"),
        "date-time" => format!("2026-01-{day:02}T12:00:00Z"),
        "time" => "12:00:00Z".to_owned(),
        "duration" => format!("P{day}D"),
        "email" => format!("fox{number}@example.org"),
        "hostname" => format!("host{number}.example.org"),
        "uri" | "url" => format!("https://example.org/{number}"),
        "ipv4" => format!("192.0.2.{number}"),
        "ipv6" => format!("2001:db8::{number:x}"),
        "uuid" => format!("00000000-0000-4000-8000-{number:012}"),
        _ => return None,
    })
}

/// A writer of a text that matches a pattern, in one attempt.
struct Writer<'w> {
    rng: &'w mut SmallRng,
    /// The maximum repetitions beyond the minimum.
    more: u32,
    /// The number of characters and parts that may still be written.
    room: &'w mut usize,
    text: &'w mut String,
}

impl Writer<'_> {
    /// Writes a text that matches a part of the pattern, until the room is used up.
    fn write(&mut self, pattern: &Hir) {
        if self.is_full() {
            return;
        }
        *self.room -= 1;
        match pattern.kind() {
            HirKind::Literal(literal) => {
                *self.room = self.room.saturating_sub(literal.0.len());
                self.text.push_str(&String::from_utf8_lossy(&literal.0));
            }
            HirKind::Class(Class::Unicode(class)) => {
                let letter = self.letter(class.ranges());
                self.text.extend(letter);
            }
            HirKind::Class(Class::Bytes(class)) => {
                self.text.extend(class.ranges().first().map(|range| char::from(range.start())));
            }
            HirKind::Repetition(repetition) => self.repeat(repetition),
            HirKind::Capture(capture) => self.write(&capture.sub),
            HirKind::Concat(parts) => parts.iter().for_each(|part| self.write(part)),
            HirKind::Alternation(branches) => {
                let at = self.rng.random_range(0..branches.len());
                self.write(&branches[at]);
            }
            HirKind::Empty | HirKind::Look(_) => {}
        }
    }

    /// Writes a part as often as its minimum asks for, and at random up to `more` times more often.
    fn repeat(&mut self, repetition: &Repetition) {
        let most = repetition.max.unwrap_or(u32::MAX).min(repetition.min.saturating_add(self.more));
        for _ in 0..self.rng.random_range(repetition.min..=most.max(repetition.min)) {
            if self.is_full() {
                break;
            }
            self.write(&repetition.sub);
        }
    }

    /// Returns whether nothing more can be written.
    fn is_full(&self) -> bool {
        *self.room == 0 || self.text.len() > MAX_LETTERS
    }

    /// Returns a character of the ranges, printable ASCII if they have any.
    fn letter(&mut self, ranges: &[ClassUnicodeRange]) -> Option<char> {
        let is_readable = |range: &&ClassUnicodeRange| range.start().is_ascii_graphic();
        let readable = ranges.iter().filter(is_readable).count();
        if readable == 0 {
            return ranges.first().map(ClassUnicodeRange::start);
        }
        let range = ranges.iter().filter(is_readable).nth(self.rng.random_range(0..readable))?;
        Some(self.rng.random_range(range.start()..=range.end().min('~')))
    }
}

//! Times in transcripts: `[00:01:02]`, `0:07.5 - 0:09`, `10:30 AM`, `[05/01/2026, 10:30]`, `3 minutes 5 seconds`,
//! `Today at 10:30`, `#00:01:02-3#`.
//!
//! Services write them before a name, behind it, or on a line of their own. Only the beginning of a range is kept.

use std::borrow::Cow;

use super::date;
use crate::turn_time;

/// A time at the beginning of a text, and the text behind it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Stamp<'a> {
    /// The time in the form of [`Turn::time`](crate::Turn::time).
    pub(super) time: Cow<'a, str>,
    /// The text behind the time, its bracket and the white space that follows.
    pub(super) rest: &'a str,
    /// Whether the time is in brackets.
    pub(super) is_bracketed: bool,
    /// Whether the time has a date, as in a chat.
    pub(super) is_dated: bool,
}

/// Brackets around times, by their opening ones.
const BRACKETS: [(char, char); 8] =
    [('[', ']'), ('(', ')'), ('{', '}'), ('<', '>'), ('#', '#'), ('【', '】'), ('（', '）'), ('［', '］')];
/// Signs between the two times of a range.
const RANGES: [&str; 7] = ["-->", "->", "–", "—", "-", "~", "to "];

/// Words between a date in numbers and a clock, as chats have them in several languages.
const CLOCK_WORDS: [&str; 9] = ["à", "at", "um", "alle", "às", "a las", "kl.", "om", "в"];

impl<'a> Stamp<'a> {
    /// Returns the time at the beginning of a text; `None` if it begins with anything else, or if the time is a part of
    /// a longer word.
    pub(super) fn lead(text: &'a str) -> Option<Self> {
        let bracket = BRACKETS.iter().find(|(open, _)| text.starts_with(*open));
        let inner = bracket.map_or(text, |(open, _)| &text[open.len_utf8()..]);
        let moment = Moment::lead(inner.trim_start())?;
        let behind = after_range(moment.rest);
        let rest = match bracket {
            // Tenths of a second: `#00:00:07-1#`.
            Some((_, '#')) => {
                behind.trim_start_matches(|c: char| c == '-' || c.is_ascii_digit()).strip_prefix('#')?
            }
            Some((_, close)) => behind.trim_start().strip_prefix(*close)?,
            None => behind,
        };
        let is_whole =
            bracket.is_some() || !rest.starts_with(|c: char| c.is_alphanumeric() || c == '/' || c == '%');
        is_whole.then(|| Self {
            time: moment.time,
            rest: rest.trim_start(),
            is_bracketed: bracket.is_some(),
            is_dated: moment.is_dated,
        })
    }

    /// Returns the time of a line that has nothing else.
    pub(super) fn alone(line: &'a str) -> Option<Self> {
        Self::lead(line.trim().trim_matches(['*', '_']))
            .filter(|stamp| stamp.rest.trim_matches(['*', '_']).is_empty())
    }
}

/// A time without brackets.
struct Moment<'a> {
    time: Cow<'a, str>,
    /// The text directly behind the time.
    rest: &'a str,
    /// Whether a date precedes the clock.
    is_dated: bool,
}

impl<'a> Moment<'a> {
    /// Returns the time at the beginning of a text, with its date if it has one.
    fn lead(text: &'a str) -> Option<Self> {
        let in_words = date::after(text);
        // Most lines begin with a letter.
        let text_of_clock = before_half(text);
        let begins = |c: char| c.is_ascii_digit() || matches!(c, ' ' | ',');
        if in_words.is_none() && text_of_clock.len() == text.len() && !text.starts_with(begins) {
            return None;
        }
        if let Some(spoken) = Self::in_words(text) {
            return Some(spoken);
        }
        let behind_date = before_half(in_words.unwrap_or_else(|| after_date(text)));
        let clock = Clock::lead(behind_date)?;
        let rest = after_half(clock.rest);
        let written = text[..text.len() - rest.len()].trim_end();
        let is_plain = behind_date.len() == text.len() && rest.len() == clock.rest.len();
        let time =
            if is_plain { Cow::Owned(turn_time::clock(clock.seconds)) } else { Cow::Borrowed(written) };
        Some(Self { time, rest, is_dated: behind_date.len() < text_of_clock.len() })
    }

    /// Returns a time in words, as in `1 hour 2 minutes 3 seconds`.
    fn in_words(text: &'a str) -> Option<Self> {
        let (mut seconds, mut rest, mut is_found) = (0_u64, text, false);
        for (unit, length) in [("hour", 3600), ("minute", 60), ("second", 1)] {
            let Some((count, behind)) = counted(rest, unit) else { continue };
            seconds = seconds.saturating_add(count.saturating_mul(length));
            (rest, is_found) = (behind, true);
        }
        is_found.then(|| Self {
            time: Cow::Owned(turn_time::clock(seconds)),
            rest: rest.trim_start_matches(','),
            is_dated: false,
        })
    }
}

/// Returns a count of a unit at the beginning of a text, and the text behind it: 3 for `3 minutes 5`.
fn counted<'a>(text: &'a str, unit: &str) -> Option<(u64, &'a str)> {
    let text = text.trim_start_matches([' ', ',']);
    let (digits, rest) = leading_digits(text);
    let rest = rest.strip_prefix(' ')?.strip_prefix(unit)?;
    let rest = rest.strip_prefix('s').unwrap_or(rest);
    let is_whole = !rest.starts_with(char::is_alphanumeric);
    digits.parse().ok().filter(|_| is_whole).map(|count| (count, rest))
}

/// A clock of two or three numbers: `1:02`, `00:01:02.345`.
struct Clock<'a> {
    seconds: u64,
    rest: &'a str,
}

impl<'a> Clock<'a> {
    /// Returns the clock at the beginning of a text.
    fn lead(text: &'a str) -> Option<Self> {
        let (first, mut rest) = leading_digits(text);
        let mut seconds: u64 = first.parse().ok().filter(|_| (1..=3).contains(&first.len()))?;
        let mut parts = 1;
        while let Some(behind) = rest.strip_prefix(':').filter(|_| parts < 3) {
            let (digits, after) = leading_digits(behind);
            if digits.is_empty() {
                break;
            }
            let part: u64 = digits.parse().ok().filter(|part| digits.len() <= 2 && *part < 60)?;
            seconds = seconds.checked_mul(60)?.checked_add(part)?;
            (rest, parts) = (after, parts + 1);
        }
        let fraction = rest.strip_prefix(['.', ',', ';']).map(leading_digits);
        if let Some((_, behind)) = fraction.filter(|(digits, _)| !digits.is_empty()) {
            rest = behind;
        }
        (parts > 1).then_some(Self { seconds, rest })
    }
}

/// Strips a date such as `2026-01-05`, `5/1/26` or `5.1.2026`, and the separators between it and the clock.
fn after_date(text: &str) -> &str {
    let mut rest = text;
    for part in 0..3 {
        let (digits, behind) = leading_digits(rest);
        if !(1..=4).contains(&digits.len()) {
            return text;
        }
        // Arabic texts have marks of direction between the numbers.
        rest = behind.trim_start_matches(['\u{200e}', '\u{200f}']);
        if part < 2 {
            let Some(behind) = rest.strip_prefix(['-', '/', '.']) else {
                return if part == 1 { without_year(text, rest) } else { text };
            };
            rest = behind.trim_start();
        }
    }
    let behind = rest.trim_start_matches([',', ' ', '\u{202f}', '\u{a0}']);
    let link = CLOCK_WORDS
        .iter()
        .find_map(|link| behind.strip_prefix(link)?.strip_prefix(' '))
        .filter(|_| behind.len() < rest.len());
    link.or_else(|| behind.strip_prefix('T')).unwrap_or(behind)
}

/// Returns the clock behind a date without a year, such as `12/03 10:15`; the whole text without one.
fn without_year<'a>(text: &'a str, behind: &'a str) -> &'a str {
    let is_short = text.bytes().take(3).any(|byte| byte == b'/');
    let clock = behind.trim_start_matches([',', ' ']);
    if is_short && clock.len() < behind.len() && Clock::lead(clock).is_some() { clock } else { text }
}

/// Strips the half of the day before a clock, as in Korean, Japanese and Chinese.
fn before_half(text: &str) -> &str {
    let halves = ["오전", "오후", "午前", "午後", "上午", "下午", "凌晨", "早上", "晚上"];
    // Most texts begin with an ASCII letter.
    if text.starts_with(|c: char| c.is_ascii()) {
        return text;
    }
    halves.iter().find_map(|half| text.strip_prefix(half)).map_or(text, str::trim_start)
}

/// Strips the half of the day, or the word for hours: `AM`, `p.m.`, `Uhr`.
fn after_half(text: &str) -> &str {
    let trimmed = text.trim_start_matches([' ', '\u{202f}', '\u{a0}']);
    const HALVES: [&str; 16] = [
        "AM",
        "PM",
        "am",
        "pm",
        "a.m.",
        "p.m.",
        "a. m.",
        "p. m.",
        "a.\u{a0}m.",
        "p.\u{a0}m.",
        "a.\u{202f}m.",
        "p.\u{202f}m.",
        "Uhr",
        "uur",
        "ص",
        "م",
    ];
    let half = HALVES.iter().find_map(|half| trimmed.strip_prefix(half));
    half.filter(|rest| !rest.starts_with(char::is_alphanumeric)).unwrap_or(text)
}

/// Strips the end of a range: ` --> 00:00:05.000`.
fn after_range(text: &str) -> &str {
    let trimmed = text.trim_start();
    let behind = RANGES.iter().find_map(|sign| trimmed.strip_prefix(sign)).map(str::trim_start);
    behind.and_then(Clock::lead).map_or(text, |clock| after_half(clock.rest))
}

/// Splits the ASCII digits from the beginning of a text.
fn leading_digits(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use super::Stamp;

    #[test]
    fn times_are_read_as_services_write_them() {
        let read = |text| Stamp::lead(text).map(|stamp| (stamp.time.into_owned(), stamp.rest));
        for (text, time, rest) in [
            ("00:00:03 Ana", "0:03", "Ana"),
            ("[00:12:41] Ana", "12:41", "Ana"),
            ("(1:02:41.250) Ana", "1:02:41", "Ana"),
            ("0:07.5 - 0:09 so", "0:07", "so"),
            ("[00:00:03,120 --> 00:00:05,000] so", "0:03", "so"),
            ("10:30 AM", "10:30 AM", ""),
            ("10:30 Uhr", "10:30 Uhr", ""),
            ("[오전 10:30] so", "오전 10:30", "so"),
            ("2/2/26, 1:03 p. m. - Ana", "2/2/26, 1:03 p. m.", "- Ana"),
            ("[05/01/2026, 10:30:12] Ana", "05/01/2026, 10:30:12", "Ana"),
            ("2026-01-05 10:30 so", "2026-01-05 10:30", "so"),
            ("05/01/2026 à 10:30 - Ana", "05/01/2026 à 10:30", "- Ana"),
            ("[12/03 10:30 AM] Ana", "12/03 10:30 AM", "Ana"),
            ("Today at 10:30", "Today at 10:30", ""),
            ("Mar 12, 2024 at 10:30:02 AM", "Mar 12, 2024 at 10:30:02 AM", ""),
            ("#00:12:41-7# so", "12:41", "so"),
            ("[10:30 AM]ana: so", "10:30 AM", "ana: so"),
            ("0 minutes 3 seconds", "0:03", ""),
            ("1 hour 2 minutes 3 seconds", "1:02:03", ""),
        ] {
            assert_eq!(read(text), Some((time.to_owned(), rest)), "{text}");
        }
        for text in ["9 to 5", "10:30ish", "3:75", "2026-01-05", "16:9/4", "[00:03 Ana", "Ana 0:03"] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}

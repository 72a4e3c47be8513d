//! The times of cues: `01:02:03.004 --> 01:02:05.000`, with a dot or a comma, and with or without hours.

use crate::turn_time;

/// The beginning and the end of a cue, in milliseconds from the beginning of the recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Times {
    pub(super) start: u64,
    pub(super) end: u64,
}

/// The kinds of lines of a caption file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LineKind {
    /// Times with fractions of seconds, which begin a cue wherever they are.
    Times(Times),
    /// Times without fractions, which may be words: `10:30 --> 11:00`.
    Rough(Times),
    /// Times that are malformed, or words that look like times.
    Invalid,
    /// Any other line, also one with an arrow.
    Words,
}

impl Times {
    /// Returns the beginning in the form of [`Turn::time`](crate::Turn::time): `0:03` or `1:02:41`.
    pub(super) fn clock(self) -> String {
        turn_time::clock(self.start / 1000)
    }
}

impl LineKind {
    /// Returns the kind of a line. Settings behind the times are allowed.
    pub(super) fn of<'t>(line: &'t str) -> Self {
        let first = |text: &'t str| text.split_whitespace().next().unwrap_or("");
        let Some((from, to)) = line.split_once("-->") else {
            // `->` and other arrows between times.
            let is_arrow = line.contains('>') && matches!(time(first(line)), Some((_, true)));
            return if is_arrow { Self::Invalid } else { Self::Words };
        };
        let (from, to) = (from.trim(), first(to));
        match (time(from), time(to)) {
            (Some((start, true)), Some((end, true))) => Self::Times(Times { start, end }),
            (Some((start, _)), Some((end, _))) => Self::Rough(Times { start, end }),
            _ if is_like_time(from) => Self::Invalid,
            _ if is_like_time(to) && !from.contains(char::is_whitespace) => Self::Invalid,
            _ => Self::Words,
        }
    }
}

/// Returns whether a text without white space begins as a time does.
fn is_like_time(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_digit())
        && text.contains(':')
        && !text.contains(char::is_whitespace)
}

/// Returns a time in milliseconds, and whether it has a fraction: `01:02:03.004`, `02:03.004`, `02:03`; `None` for any
/// other text.
fn time(text: &str) -> Option<(u64, bool)> {
    let (clock, fraction) = match text.split_once(['.', ',']) {
        Some((clock, fraction)) => (clock, Some(fraction)),
        None => (text, None),
    };
    let millis = fraction.map_or(Some(0), millis)?;
    let (first, rest) = clock.split_once(':')?;
    let seconds = match rest.split_once(':') {
        None => number(first)?.checked_mul(60)?.checked_add(sixty(rest)?)?,
        Some((minutes, seconds)) => {
            number(first)?.checked_mul(3600)?.checked_add(sixty(minutes)? * 60 + sixty(seconds)?)?
        }
    };
    Some((seconds.checked_mul(1000)?.checked_add(millis)?, fraction.is_some()))
}

/// Returns a number of ASCII digits.
fn number(digits: &str) -> Option<u64> {
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().ok())?
}

/// Returns minutes or seconds below sixty.
fn sixty(digits: &str) -> Option<u64> {
    number(digits).filter(|number| *number < 60)
}

/// Returns the milliseconds of a fraction, whose digits beyond the third are dropped.
fn millis(digits: &str) -> Option<u64> {
    number(digits)?;
    let kept = digits.get(..3).unwrap_or(digits);
    let scale = [100, 10, 1][kept.len() - 1];
    Some(number(kept)? * scale)
}

#[cfg(test)]
mod tests {
    use super::{LineKind, Times};

    #[track_caller]
    fn check(line: &str, expected: LineKind) {
        assert_eq!(LineKind::of(line), expected, "{line}");
    }

    #[test]
    fn times_have_commas_or_dots_and_hours_are_optional() {
        let times = LineKind::Times(Times { start: 62_500, end: 3_723_004 });
        check("01:02.500 --> 01:02:03.004", times);
        check("00:01:02,5 --> 1:02:03,0049 align:start position:0%", times);
        check("  01:02.500-->62:03.004 ", times);
    }

    #[test]
    fn malformed_times_are_not_words() {
        check("00:00:01,000 --> soon", LineKind::Invalid);
        check("soon --> 00:00:01,000", LineKind::Invalid);
        check("00:00:75.000 --> 00:01:02.000", LineKind::Invalid);
        check("00:00:01:02 --> 00:00:02:00", LineKind::Invalid);
        check("00:00:01,000 -> 00:00:02,000", LineKind::Invalid);
        check("99999999999999999999:00.0 --> 00:01.0", LineKind::Invalid);
    }

    #[test]
    fn an_arrow_in_words_is_not_a_time() {
        check("the fridge --> the phone", LineKind::Words);
        check("we met at 10:30 --> 11:00", LineKind::Words);
        check("--> so", LineKind::Words);
        check("10:30 --> 11:00", LineKind::Rough(Times { start: 630_000, end: 660_000 }));
    }
}

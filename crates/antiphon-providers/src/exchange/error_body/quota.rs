//! Quotas of a day or a month, and the waits that an error has outside of headers.

use std::time::{Duration, SystemTime};

use antiphon_llm::{parse_reset, parse_retry_info, parse_wait_in_message};
use serde_json::Value;

use super::shape::normalised;

/// The period of a quota that is too long to wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum QuotaPeriod {
    /// A day.
    Day,
    /// A month.
    Month,
}

/// Names of a quota's period in messages, as whole words: see [`words_of`].
const DAY: [&str; 19] = [
    "per day",
    "by day",
    "a day",
    "each day",
    "every day",
    "per 24h",
    "per 24 h",
    "per 24 hour",
    "per 1d",
    "per 1 day",
    "per 86400s",
    "per 86400 second",
    "24 hour",
    "24hour",
    "daily",
    "for today",
    "limit today",
    "/ day",
    "/ 24h",
];
const MONTH: [&str; 12] = [
    "per month",
    "by month",
    "a month",
    "each month",
    "every month",
    "monthly limit",
    "monthly quota",
    "monthly request",
    "monthly token",
    "monthly usage",
    "monthly cap",
    "/ month",
];
/// Short windows, whose limits are worth a wait.
const SHORT: [&str; 16] = [
    "per minute",
    "per min",
    "a minute",
    "by minute",
    "/ minute",
    "/ min",
    "per second",
    "per sec",
    "a second",
    "/ second",
    "/ sec",
    "per hour",
    "by hour",
    "/ hour",
    "hourly",
    "per 60s",
];
/// Names that only a limit of a day has.
const OF_DAY: [&str; 2] = ["rpd", "tpd"];

/// A wait at whose end a call succeeds again: a quota that is used up for a day or a month has none as short.
const SHORT_WAIT: Duration = Duration::from_hours(1);

/// Returns the period of the quota that an error reports as used up.
///
/// Google's ids of quotas decide (`quotaId`, `quota_limit`), wherever they are in `body`; otherwise the message, by the first
/// window that it names: later ones are advice, as in "upgrade for 1,000 requests per day". A `wait` below an hour contradicts
/// the message, except where it names the limit itself as one of a day (RPD): OpenAI gives back a call of the day's after minutes.
pub(super) fn period_of(message: &str, body: &str, wait: Option<Duration>) -> Option<QuotaPeriod> {
    let mut ids = body.split("uota").skip(1).filter_map(|after| {
        let rest = after
            .strip_prefix("Id")
            .or_else(|| after.strip_prefix("_limit"))
            .or_else(|| after.strip_prefix("_id"))?;
        let end = rest.char_indices().nth(200).map_or(rest.len(), |(end, _)| end);
        let value = rest[..end].trim_start_matches(|c: char| !c.is_ascii_alphanumeric());
        Some(normalised(value.split(['"', '\'', '\\', ',']).next()?))
    });
    let of_ids = ids.find_map(|id| {
        let of = |name: &str, period| id.contains(name).then_some(period);
        of("perday", QuotaPeriod::Day).or_else(|| of("permonth", QuotaPeriod::Month))
    });
    let words = words_of(message);
    let is_short = wait.is_some_and(|wait| wait < SHORT_WAIT) && first_of(&OF_DAY, &words).is_none();
    of_ids.or_else(|| period_in(&words).filter(|_| !is_short))
}

/// Returns a text as words in lower case with a space around each: those of `freeModels_per-day` are four, and `/` is one.
fn words_of(text: &str) -> String {
    let mut words = String::from(" ");
    let mut before = ' ';
    for c in text.chars() {
        if c.is_uppercase() && before.is_lowercase() {
            words.push(' ');
        }
        match c {
            '/' => words.push_str(" / "),
            c if c.is_alphanumeric() => words.extend(c.to_lowercase()),
            _ => words.push(' '),
        }
        before = c;
    }
    let words: Vec<_> = words.split_whitespace().collect();
    format!(" {} ", words.join(" "))
}

/// Returns the place of the first of some names in [`words_of`] a text, each also in the plural.
fn first_of(names: &[&str], words: &str) -> Option<usize> {
    let place = |name: &&str| {
        [format!(" {name} "), format!(" {name}s ")].iter().filter_map(|name| words.find(name)).min()
    };
    names.iter().filter_map(place).min()
}

/// Returns the period that a message, as its words, names first.
fn period_in(words: &str) -> Option<QuotaPeriod> {
    let of_day = first_of(&OF_DAY, words).map(|_| usize::MAX - 1);
    let day = first_of(&DAY, words).or(of_day);
    let month = first_of(&MONTH, words);
    let short = first_of(&SHORT, words).unwrap_or(usize::MAX);
    match (day, month) {
        (Some(day), month) if day < short && month.is_none_or(|month| day < month) => Some(QuotaPeriod::Day),
        (_, Some(month)) if month < short => Some(QuotaPeriod::Month),
        _ => None,
    }
}

/// Returns the wait that an error itself has: Google's `RetryInfo`, a field of its own, or in its words.
pub(super) fn wait_in(message: &str, body: &Value, text: &str) -> Option<Duration> {
    let now = SystemTime::now();
    parse_retry_info(text)
        .or_else(|| wait_in_fields(body, now))
        .or_else(|| parse_wait_in_message(message, now))
}

/// The fields with a wait, and their unit in milliseconds.
const WAITS: [(&str, u32); 10] = [
    ("retry_after_ms", 1),
    ("retryAfterMs", 1),
    ("retry_after", 1_000),
    ("retryAfter", 1_000),
    ("retry-after", 1_000),
    ("retry_after_seconds", 1_000),
    ("retryAfterSeconds", 1_000),
    ("resets_in_seconds", 1_000),
    ("wait_seconds", 1_000),
    ("estimated_time", 1_000),
];

/// Reads the wait in a field of an error, of its metadata, or of what contains them.
fn wait_in_fields(body: &Value, now: SystemTime) -> Option<Duration> {
    let body = body.get(0).unwrap_or(body);
    let objects = ["", "/error", "/error/metadata", "/error/details", "/error/0", "/detail", "/metadata"];
    objects.iter().filter_map(|place| body.pointer(place)).find_map(|object| {
        WAITS.iter().find_map(|(name, millis)| match object.get(name)? {
            Value::Number(number) => {
                let millis = number.as_f64()? * f64::from(*millis);
                Duration::try_from_secs_f64(millis / 1_000.0).ok().filter(|wait| wait.as_secs() < 31_536_000)
            }
            Value::String(text) if *millis == 1 => parse_reset(&format!("{}ms", text.trim()), now),
            Value::String(text) => parse_reset(text, now),
            _ => None,
        })
    })
}

impl QuotaPeriod {
    /// Returns the beginning of the message of a used-up quota, with the time of its reset, where it is known.
    pub(super) fn describe(self, resets_in: Option<Duration>, is_google: bool) -> String {
        let name = match self {
            Self::Day => "daily",
            Self::Month => "monthly",
        };
        match resets_in {
            Some(wait) => format!("the {name} quota is used up and resets in {}", shown(wait)),
            // <https://ai.google.dev/gemini-api/docs/rate-limits>
            None if is_google && self == Self::Day => {
                "the daily quota is used up and resets at midnight Pacific time".to_owned()
            }
            None => format!("the {name} quota is used up"),
        }
    }
}

/// Returns a wait in its two largest units: `8 h 12 min`.
fn shown(wait: Duration) -> String {
    let seconds = wait.as_secs();
    let units = [("d", 86_400, 3_600, "h"), ("h", 3_600, 60, "min"), ("min", 60, 1, "s")];
    let Some((name, unit, next, name_of_next)) = units.into_iter().find(|(_, unit, ..)| seconds >= *unit)
    else {
        return format!("{} s", seconds.max(1));
    };
    match seconds % unit / next {
        0 => format!("{} {name}", seconds / unit),
        rest => format!("{} {name} {rest} {name_of_next}", seconds / unit),
    }
}

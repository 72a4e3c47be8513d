//! Quotas of a day or a month, and the waits that an error has outside of headers.

use std::time::{Duration, SystemTime};

use antiphon_llm::{parse_reset, parse_retry_info, parse_wait_in_message};
use serde_json::Value;

use crate::exchange::is_about;
use crate::exchange::text::normalised;

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
    "per calendar day",
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
    "for the day",
    "limit today",
    "quota today",
    "/ day",
    "/ 24h",
];
const MONTH: [&str; 11] = [
    "per month",
    "by month",
    "per calendar month",
    "for this month",
    "monthly limit",
    "monthly quota",
    "monthly request",
    "monthly token",
    "monthly usage",
    "monthly cap",
    "/ month",
];
/// Names of a period that may be those of a rate, too, over which calls are spread evenly.
const RATE_OF_DAY: [&str; 5] = ["a day", "each day", "every day", "24 hour", "24hour"];
const RATE_OF_MONTH: [&str; 3] = ["a month", "each month", "every month"];
/// Short windows, whose limits are worth a wait.
const SHORT: [&str; 18] = [
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
    "rpm",
    "tpm",
];
/// Names that only a limit of a day has: requests, tokens, audio seconds, images and neurons per day.
const OF_DAY: [&str; 6] = ["rpd", "tpd", "asd", "ipd", "npd", "itpd"];
/// Names that only a limit of a minute has.
const OF_MINUTE: [&str; 3] = ["rpm", "tpm", "rps"];
/// Words about days that are no limit's.
const OTHER_DAYS: [&str; 6] =
    [" daily plan ", " daily active ", " daily user ", " daily users ", " day pass ", " day plan "];
/// Words by which a sentence says that a limit is reached, as a part of one.
const REACHED: [&str; 19] = [
    "exceed",
    "reached",
    "hit your",
    "hit the",
    "used up",
    "exhaust",
    "over the",
    "over your",
    "out of",
    "too many",
    "used all",
    "all your",
    "no more",
    "no remaining",
    "none left",
    "depleted",
    "consumed",
    "limit: ",
    "limited to",
];
/// Words after which a sentence is advice, and a window in it that of another plan.
const ADVICE: [&str; 13] = [
    "contact ",
    "learn more",
    "see our",
    "upgrade",
    "upgrading",
    "unlock",
    "purchase",
    "subscribe",
    "to get ",
    "to increase",
    "need more",
    "other plans",
    "pricing",
];
/// Words of clauses about another limit of a plan.
const PLANS: [&str; 6] =
    ["plan has", "plans have", "plan includes", "plans include", "plan allows", "plan offers"];

/// A wait at whose end a call succeeds again: a rate that is spread over a day or a month has one as short.
const SHORT_WAIT: Duration = Duration::from_hours(1);

/// Returns the period of the quota that an error reports as used up.
///
/// Google's ids of quotas decide (`quotaId`, `quota_limit`), wherever they are in `body`, then the vendor's `code`; otherwise the
/// message, by the first window that it names outside of advice such as "upgrade for 1,000 requests per day". A `wait` below an hour
/// contradicts only a message that does not say that the quota itself is used up: servers suggest waits of seconds, too, when a
/// day's quota is.
pub(super) fn period_of(
    message: &str,
    code: Option<&str>,
    body: &str,
    wait: Option<Duration>,
) -> Option<QuotaPeriod> {
    let of_code = || period_in(&words_of(code?), &DAY, &MONTH);
    let is_short = wait.is_some_and(|wait| wait < SHORT_WAIT);
    period_of_ids(body).or_else(of_code).or_else(|| {
        let counted = counted_sentences(message);
        let all = words_of(&counted.join(" . "));
        if first_of(&OF_DAY, &all).is_some() && first_of(&OF_MINUTE, &all).is_none() {
            Some(QuotaPeriod::Day)
        } else if is_short {
            counted.iter().find_map(|sentence| used_up_in(sentence))
        } else {
            let days = [&DAY[..], &RATE_OF_DAY].concat();
            period_in(&all, &days, &[&MONTH[..], &RATE_OF_MONTH].concat())
        }
    })
}

/// Returns the period whose quota a sentence says is used up. One that names a short window, too, may be about that.
fn used_up_in(sentence: &str) -> Option<QuotaPeriod> {
    let words = words_of(sentence);
    let is_definite = is_about(sentence, &REACHED) && first_of(&SHORT, &words).is_none();
    period_in(&words, &DAY, &MONTH).filter(|_| is_definite)
}

/// Returns the period in Google's ids of quotas.
fn period_of_ids(body: &str) -> Option<QuotaPeriod> {
    let mut ids = body.split("uota").skip(1).filter_map(|after| {
        let rest = after
            .strip_prefix("Id")
            .or_else(|| after.strip_prefix("_limit"))
            .or_else(|| after.strip_prefix("_id"))?;
        let end = rest.char_indices().nth(200).map_or(rest.len(), |(end, _)| end);
        let value = rest[..end].trim_start_matches(|c: char| !c.is_ascii_alphanumeric());
        Some(normalised(value.split(['"', '\'', '\\', ',']).next()?))
    });
    ids.find_map(|id| {
        let of = |name: &str, period| id.contains(name).then_some(period);
        of("perday", QuotaPeriod::Day).or_else(|| of("permonth", QuotaPeriod::Month))
    })
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

/// Returns the sentences of a message without addresses, each up to the advice in it.
fn counted_sentences(message: &str) -> Vec<String> {
    const MOST: usize = 4_000;
    let beginning: String = message.chars().take(MOST).collect();
    let words = beginning.split(' ').filter(|word| !word.contains("://"));
    let message = words.collect::<Vec<_>>().join(" ");
    let sentences = message.split(['\n', '!', '?', ';']).flat_map(|line| line.split(". "));
    let without_advice = |sentence: &str| {
        let lower = sentence.to_ascii_lowercase();
        let of_advice = ADVICE.iter().filter_map(|word| lower.find(word));
        // The clause about a plan begins before its verb.
        let of_plans = PLANS.iter().filter_map(|word| lower.find(word));
        let of_plans = of_plans.map(|at| lower[..at].rfind([',', ':', '(']).unwrap_or(0));
        let end = of_advice.chain(of_plans).min();
        sentence[..end.unwrap_or(sentence.len())].to_owned()
    };
    sentences.map(without_advice).collect()
}

/// Returns the period that a message, as its words, names before any short window.
fn period_in(words: &str, days: &[&str], months: &[&str]) -> Option<QuotaPeriod> {
    let words = OTHER_DAYS.iter().fold(words.to_owned(), |words, other| words.replace(other, " "));
    let words = words.as_str();
    let (day, month) = (first_of(days, words), first_of(months, words));
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

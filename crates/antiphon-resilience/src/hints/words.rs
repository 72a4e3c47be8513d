use std::time::{Duration, SystemTime};

use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::wait::{of_seconds, parse_reset, seconds_of, until};

/// Words after which a message has its wait.
const ANCHORS: [&str; 22] = [
    "again",
    "retry",
    "retrying",
    "retries",
    "wait",
    "waiting",
    "reset",
    "resets",
    "available",
    "back",
    "later",
    "replenished",
    "replenishes",
    "renews",
    "renewed",
    "restored",
    "refreshed",
    "refreshes",
    "access",
    "resume",
    "cooldown",
    "delay",
];

/// Words that may be between such a word and the wait.
const FILLERS: [&str; 30] = [
    "in",
    "after",
    "for",
    "at",
    "on",
    "least",
    "about",
    "around",
    "approximately",
    "approx",
    "roughly",
    "another",
    "the",
    "next",
    "please",
    "your",
    "request",
    "requests",
    "this",
    "it",
    "until",
    "of",
    "is",
    "be",
    "will",
    "to",
    "time",
    "up",
    "only",
    "once",
];

/// The maximum number of words between an anchor and the wait.
const MAX_FILLERS: usize = 6;

/// Parses the wait in the message of an error, such as `Please try again in 6m59.56s.`
///
/// Servers that send no header often have the wait in their text. These forms are accepted, after a word such as "again", "retry",
/// "wait", "reset" or "available":
/// - a span with units, short or in full: `8h12m`, `20s`, `120ms`, `3 seconds`, `about 2 hours`, `1 hour and 5 minutes`, `a minute`;
/// - a clock's span, `12:34:56`;
/// - a number alone, in seconds; from 10⁹ it is a Unix timestamp;
/// - a date with a time, as in `2026-04-01T00:00:00Z` or `2026-04-01 at 00:00 UTC`.
///
/// Dates are converted to a wait relative to `now`. As in [`parse_reset`](crate::parse_reset), a time in the past is a wait of
/// zero, and the maximum is a year. `None` for a message without a wait: the window of a limit, as in "60 requests per 10 s", is
/// none.
///
/// ```
/// use std::time::{Duration, SystemTime};
/// let wait = antiphon_resilience::parse_wait_in_message("Please try again in 8h12m.", SystemTime::now());
/// assert_eq!(wait, Some(Duration::from_secs(29_520)));
/// ```
#[must_use]
pub fn parse_wait_in_message(message: &str, now: SystemTime) -> Option<Duration> {
    let words = words(message);
    let anchored = (0..words.len())
        .filter(|at| ANCHORS.contains(&words[*at].as_str()))
        .find_map(|at| wait_at(after_fillers(&words[at + 1..]), now));
    // "Rate limited. In 20s.": the last words of a message.
    anchored.or_else(|| {
        let at = words.iter().rposition(|word| word == "in")?;
        let (wait, rest) = span(&words[at + 1..])?;
        rest.is_empty().then_some(wait)
    })
}

/// Splits a message into lower-case words and numbers: `in 6m59.56s` becomes `in`, `6`, `m`, `59.56`, `s`.
fn words(message: &str) -> Vec<String> {
    let (mut words, mut word) = (Vec::new(), String::new());
    let chars: Vec<char> = message.chars().collect();
    for (at, c) in chars.iter().copied().enumerate() {
        let follows_digit = word.ends_with(|last: char| last.is_ascii_digit());
        let precedes_digit = chars.get(at + 1).is_some_and(char::is_ascii_digit);
        let is_number = c.is_ascii_digit() || (".:-".contains(c) && follows_digit && precedes_digit);
        let continues = match word.chars().next() {
            Some(first) => first.is_ascii_digit() == is_number,
            None => true,
        };
        let is_part = is_number || c.is_alphabetic();
        if !word.is_empty() && (!is_part || !continues) {
            words.push(std::mem::take(&mut word));
        }
        if is_part {
            word.extend(c.to_lowercase());
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

/// Returns the words after those that may be between an anchor and its wait.
fn after_fillers(words: &[String]) -> &[String] {
    let fillers = words.iter().take(MAX_FILLERS).take_while(|word| FILLERS.contains(&word.as_str()));
    &words[fillers.count()..]
}

/// Parses the wait with which the words begin.
fn wait_at(words: &[String], now: SystemTime) -> Option<Duration> {
    span(words).map(|(wait, _)| wait).or_else(|| date(words, now)).or_else(|| {
        let first = words.first()?;
        if !first.starts_with(|c: char| c.is_ascii_digit()) {
            return None;
        }
        clock(first).or_else(|| parse_reset(first, now).filter(|_| is_alone(words)))
    })
}

/// Returns whether a number has no unit after it that is no time, as in "retry 3 times".
fn is_alone(words: &[String]) -> bool {
    const UNITS_OF_NO_TIME: [&str; 9] =
        ["times", "time", "requests", "request", "tokens", "token", "attempts", "more", "calls"];
    words.get(1).is_none_or(|word| !UNITS_OF_NO_TIME.contains(&word.as_str()))
}

/// Parses numbers with units, as in `1 hour and 5 minutes`. Returns the words after them, too.
fn span(words: &[String]) -> Option<(Duration, &[String])> {
    let (mut rest, mut seconds, mut has_any) = (words, 0.0, false);
    while let [number, unit, after @ ..] = rest {
        let Some((number, unit)) = count(number).zip(unit_of(unit)) else { break };
        seconds += number * unit;
        has_any = true;
        rest = match after {
            // Only the next number and its unit are looked at: to parse all that follows would take exponential time.
            [and, number, unit, ..] if and == "and" && count(number).is_some() && unit_of(unit).is_some() => {
                &after[1..]
            }
            after => after,
        };
    }
    if has_any { Some((of_seconds(seconds)?, rest)) } else { None }
}

/// Parses a number, in digits or as a word.
fn count(word: &str) -> Option<f64> {
    const NUMBERS: [&str; 11] =
        ["a", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"];
    if word == "an" {
        return Some(1.0);
    }
    match NUMBERS.iter().position(|number| *number == word) {
        Some(at) => u32::try_from(at.max(1)).ok().map(f64::from),
        None if word.starts_with(|c: char| c.is_ascii_digit()) => word.parse().ok(),
        None => None,
    }
}

/// Returns the seconds of a unit, short or in full.
fn unit_of(word: &str) -> Option<f64> {
    seconds_of(match word {
        "days" | "day" => "d",
        "hours" | "hour" | "hrs" | "hr" => "h",
        "minutes" | "minute" | "mins" | "min" => "m",
        "seconds" | "second" | "secs" | "sec" => "s",
        "milliseconds" | "millisecond" | "msecs" | "msec" | "millis" => "ms",
        "weeks" | "week" => return Some(7.0 * 86_400.0),
        "months" | "month" => return Some(30.0 * 86_400.0),
        short => short,
    })
}

/// Parses a clock's span, `12:34:56` or `34:56`.
fn clock(word: &str) -> Option<Duration> {
    let parts: Vec<f64> = word.split(':').map(str::parse).collect::<Result<_, _>>().ok()?;
    match parts[..] {
        [hours, minutes, seconds] => of_seconds(hours * 3_600.0 + minutes * 60.0 + seconds),
        [minutes, seconds] => of_seconds(minutes * 60.0 + seconds),
        _ => None,
    }
}

/// Parses a date, with a time after `T`, `at` or a space. A date without a zone is taken as UTC.
fn date(words: &[String], now: SystemTime) -> Option<Duration> {
    let (day, rest) = words.split_first().filter(|(day, _)| day.len() == 10 && day.contains('-'))?;
    let rest = match rest {
        [between, rest @ ..] if between == "t" || between == "at" => rest,
        rest => rest,
    };
    let time = rest.first().filter(|time| time.contains(':')).map_or("00:00", String::as_str);
    let at: DateTime = format!("{day}T{time}").parse().ok()?;
    Some(until(at.to_zoned(TimeZone::UTC).ok()?.timestamp().into(), now))
}

#[cfg(test)]
mod tests {
    use super::{Duration, SystemTime, parse_wait_in_message};

    /// 2026-03-31T22:00:00Z
    fn now() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_774_994_400)
    }

    #[track_caller]
    fn check(message: &str, millis: u64) {
        let wait = parse_wait_in_message(message, now());
        assert_eq!(wait, Some(Duration::from_millis(millis)), "{message}");
    }

    #[test]
    fn spans_are_read_in_the_words_of_many_servers() {
        check(
            "Rate limit reached for m on requests per min. Limit: 3 / min. Please try again in 20s. Contact us",
            20_000,
        );
        check("Limit 200, Used 200, Requested 1. Please try again in 8h12m.", 29_520_000);
        check("Limit 6000, Used 5800. Please try again in 6m59.56s. Visit the console", 419_560);
        check("Please try again in 120ms.", 120);
        check("exceeded token rate limit. Please retry after 3 seconds. Go here to increase it", 3_000);
        check("Please retry after 86400 seconds.", 86_400_000);
        check("you can try again in about 2 hours", 7_200_000);
        check("Please retry in 34.074s.", 34_074);
        check("Your quota will reset after 2h13m5s.", 7_985_000);
        check("No deployments available for selected model, Try again in 5 seconds. Passed model=m", 5_000);
        check("Request was throttled. Expected available in 17 seconds.", 17_000);
        check("Too many requests; wait 1 hour and 5 minutes, please", 3_900_000);
        check("please try again in a minute", 60_000);
        check("retry your request after one hour", 3_600_000);
        check("Retry-After: 30", 30_000);
        check("retry_after=2.5", 2_500);
        check("Please wait 30127 seconds before retrying.", 30_127_000);
        check("Out of call volume quota. Quota will be replenished in 12:34:56.", 45_296_000);
        check("Limit reached; come back in 2 days", 172_800_000);
        check("slow down: in 20s", 20_000);
        check(&format!("please retry in {}1 s", "1 s and ".repeat(200)), 201_000);
    }

    #[test]
    fn dates_are_waits_from_now() {
        check("You will regain access on 2026-04-01 at 00:00 UTC.", 7_200_000);
        check("Remaining: 0. Limit resets at: 2026-04-01 01:00:00 UTC", 10_800_000);
        check("try again after 2026-03-31T22:00:07Z", 7_000);
        check("try again after 1774994405", 5_000);
    }

    #[test]
    fn a_window_of_a_limit_is_no_wait() {
        for message in [
            "",
            "Please try again later.",
            "If you created the deployment within the last 5 minutes, please wait a moment and try again.",
            "60 requests in 10 seconds are allowed for this key",
            "Limit 3 / min",
            "you may retry 3 times",
            "unable to get a response in less than 60 second(s), please retry",
        ] {
            assert_eq!(parse_wait_in_message(message, now()), None, "{message}");
        }
    }
}

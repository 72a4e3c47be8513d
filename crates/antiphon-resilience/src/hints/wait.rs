use std::time::{Duration, SystemTime};

use jiff::Timestamp;

/// The longest wait: a longer one is a mistake or an attack, but is no permission to call at once.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Numbers of at least this size are seconds, or milliseconds, since 1970: as a wait they would be decades.
const EPOCH_SECONDS: f64 = 1e9;
const EPOCH_MILLIS: f64 = 1e12;

/// Parses the wait in a `Retry-After` header.
///
/// The value is either a number of seconds or an HTTP date in one of its three forms (RFC 9110, sections 10.2.3 and 5.6.7).
/// Fractions of a second are accepted, since some vendors send them, and so are Unix timestamps (from 10⁹), and the spans and dates of
/// [`parse_reset`]. A date is converted to a wait relative to `now`: pass the
/// time in the answer's `Date` header if it has one, since the clocks of two machines differ.
///
/// A date in the past returns a wait of zero. A wait of more than a year is reduced to a year. Returns `None` for a value that
/// cannot be parsed, is negative or is not finite. To read all headers about limits at once, use
/// [`LimitHints::read`](crate::LimitHints::read).
///
/// ```
/// use std::time::{Duration, SystemTime};
/// let wait = antiphon_resilience::parse_retry_after("1.5", SystemTime::now());
/// assert_eq!(wait, Some(Duration::from_millis(1500)));
/// ```
#[must_use]
pub fn parse_retry_after(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    match value.parse::<f64>() {
        Ok(seconds) => of_number(seconds, now),
        Err(_) => of_text(value, now),
    }
}

/// Parses a span with units, or a date.
fn of_text(value: &str, now: SystemTime) -> Option<Duration> {
    let of_date = || Some(until(value.parse::<Timestamp>().ok()?.into(), now));
    let of_http_date = || Some(until(httpdate::parse_http_date(value).ok()?, now));
    parse_span(value).or_else(of_date).or_else(of_http_date)
}

/// Converts a number of seconds to wait, or a Unix timestamp in seconds or milliseconds.
fn of_number(number: f64, now: SystemTime) -> Option<Duration> {
    match number {
        number if !number.is_finite() => None,
        millis if millis >= EPOCH_MILLIS => Some(until(since_epoch(millis / 1000.0), now)),
        seconds if seconds >= EPOCH_SECONDS => Some(until(since_epoch(seconds), now)),
        seconds => of_seconds(seconds),
    }
}

/// Parses the wait in a rate limit's reset header.
///
/// These forms are accepted:
/// - a span with units, such as `6m0s`, `1.5s` or `20ms`;
/// - a number of seconds to wait, below 10⁹;
/// - a Unix timestamp in seconds (from 10⁹) or milliseconds (from 10¹²);
/// - an RFC 3339 date or an HTTP date.
///
/// Timestamps and dates are converted to a wait relative to `now`. As in [`parse_retry_after`], a time in the past is a wait
/// of zero, the maximum is a year, and a value that cannot be parsed is `None`.
///
/// ```
/// use std::time::{Duration, SystemTime};
/// assert_eq!(antiphon_resilience::parse_reset("6m0s", SystemTime::now()), Some(Duration::from_secs(360)));
/// ```
#[must_use]
pub fn parse_reset(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    match value.parse::<f64>() {
        Ok(number) => of_number(number, now),
        Err(_) => of_text(value, now),
    }
}

/// Parses the `retryDelay` in the JSON body of a Google API error, such as `"34.07s"`.
///
/// The field is part of `google.rpc.RetryInfo` (google/rpc/error_details.proto). Google APIs send it instead of a
/// `Retry-After` header. It is found wherever it is in the body: proxies pass the error on as a text, with escaped quotes, or as a
/// Python dictionary; and where its value is an object with `seconds`. Returns `None` if the body has no such field; a wait of
/// more than a year is reduced to a year.
///
/// ```
/// let body = r#"{"error": {"details": [{"retryDelay": "1.5s"}]}}"#;
/// let wait = antiphon_resilience::parse_retry_info(body);
/// assert_eq!(wait, Some(std::time::Duration::from_millis(1500)));
/// ```
#[must_use]
pub fn parse_retry_info(body: &str) -> Option<Duration> {
    let (_, after) = body.split_once("retryDelay").or_else(|| body.split_once("retry_delay"))?;
    let is_quote = |c: char| c.is_whitespace() || "\"'\\".contains(c);
    let after = after.trim_start_matches(is_quote).trim_start_matches(':').trim_start();
    if let Some(object) = after.strip_prefix('{') {
        let (_, seconds) = object.split_once('}')?.0.split_once("seconds")?;
        let number = seconds.trim_start_matches(|c: char| is_quote(c) || c == ':');
        let end = number.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(number.len());
        return of_seconds(number[..end].parse().ok()?);
    }
    let value = after.trim_start_matches('\\').strip_prefix(['"', '\''])?;
    parse_span(&value[..value.find(['"', '\'', '\\'])?])
}

/// Parses milliseconds, as in `retry-after-ms`.
pub(super) fn parse_millis(value: &str) -> Option<Duration> {
    of_seconds(value.trim().parse::<f64>().ok()? / 1000.0)
}

/// Parses a sequence of numbers with units, in any order: `1h2m3.5s`.
fn parse_span(text: &str) -> Option<Duration> {
    let (mut rest, mut seconds) = (text, 0.0);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let letters = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
        seconds += number * seconds_of(&rest[..letters])?;
        rest = &rest[letters..];
    }
    if text.is_empty() { None } else { of_seconds(seconds) }
}

/// Returns the seconds of a unit, as Go's `time.Duration` names it; in addition there are days, which some servers
/// send.
pub(super) fn seconds_of(unit: &str) -> Option<f64> {
    match unit {
        "d" => Some(86_400.0),
        "h" => Some(3_600.0),
        "m" => Some(60.0),
        "s" => Some(1.0),
        "ms" => Some(1e-3),
        "us" | "µs" | "μs" => Some(1e-6),
        "ns" => Some(1e-9),
        _ => None,
    }
}

/// Returns a wait of at most `LONGEST`; `None` for a number that is no wait.
pub(super) fn of_seconds(seconds: f64) -> Option<Duration> {
    let is_wait = seconds.is_finite() && seconds >= 0.0;
    is_wait.then(|| Duration::from_secs_f64(seconds.min(LONGEST.as_secs_f64())))
}

/// Returns the time of a Unix timestamp in seconds.
fn since_epoch(seconds: f64) -> SystemTime {
    let at = Duration::try_from_secs_f64(seconds).ok().and_then(|at| SystemTime::UNIX_EPOCH.checked_add(at));
    // An overflow of the clock; the wait is cut to a year in any case.
    at.unwrap_or(SystemTime::UNIX_EPOCH + Duration::from_secs(u64::from(u32::MAX) * 2))
}

/// Returns the wait until a time: zero if it has passed, at most `LONGEST`.
pub(super) fn until(at: SystemTime, now: SystemTime) -> Duration {
    at.duration_since(now).unwrap_or(Duration::ZERO).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{
        Duration, LONGEST, SystemTime, parse_millis, parse_reset, parse_retry_after, parse_retry_info,
    };

    /// Sun, 06 Nov 1994 08:49:30 GMT
    fn then() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_770)
    }

    #[track_caller]
    fn check(parse: impl Fn(&str, SystemTime) -> Option<Duration>, value: &str, expected: Option<u64>) {
        assert_eq!(parse(value, then()), expected.map(Duration::from_millis), "{value}");
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        check(parse_retry_after, "7", Some(7_000));
        check(parse_retry_after, " 0.25 ", Some(250));
        check(parse_retry_after, "Sun, 06 Nov 1994 08:49:37 GMT", Some(7_000));
        check(parse_retry_after, "Sunday, 06-Nov-94 08:49:37 GMT", Some(7_000));
        check(parse_retry_after, "Sun Nov  6 08:49:37 1994", Some(7_000));
        check(parse_retry_after, "Sun, 06 Nov 1994 08:49:29 GMT", Some(0));
        const YEAR: u64 = 365 * 86_400_000;
        check(parse_retry_after, "Wed, 16 Nov 1994 08:49:30 GMT", Some(10 * 86_400_000));
        check(parse_retry_after, "1e300", Some(YEAR));
        check(parse_retry_after, "Sat, 06 Nov 2094 08:49:37 GMT", Some(YEAR));
        check(parse_retry_after, "3s", Some(3_000));
        check(parse_retry_after, "8h12m", Some((8 * 60 + 12) * 60_000));
        check(parse_retry_after, " 250ms", Some(250));
        check(parse_retry_after, "1994-11-06T08:49:31.5Z", Some(1_500));
        for nonsense in ["", "-1", "soon", "NaN", "7x", "-7s", "inf", "infinity", "-inf"] {
            check(parse_retry_after, nonsense, None);
        }
    }

    #[test]
    fn a_reset_is_a_span_a_number_or_a_date() {
        check(parse_reset, "6m0s", Some(360_000));
        check(parse_reset, "1h2m3.5s", Some(3_723_500));
        check(parse_reset, "20ms", Some(20));
        check(parse_reset, "2m59.56s", Some(179_560));
        assert_eq!(parse_reset("500µs", then()), Some(Duration::from_micros(500)));
    }

    #[test]
    fn a_reset_in_numbers_and_dates() {
        check(parse_reset, "12", Some(12_000));
        check(parse_reset, "0.5", Some(500));
        // The epoch forms need a `now` of this century.
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        assert_eq!(parse_reset("1800000005", now), Some(Duration::from_secs(5)));
        assert_eq!(parse_reset("1800000000250", now), Some(Duration::from_millis(250)));
        assert_eq!(parse_reset("1799999999", now), Some(Duration::ZERO));
        assert_eq!(parse_reset("1e300", now), Some(LONGEST));
        check(parse_reset, "1994-11-06T08:49:31.5Z", Some(1_500));
        check(parse_reset, "1994-11-06T09:49:31+01:00", Some(1_000));
        check(parse_reset, "Sun, 06 Nov 1994 08:49:37 GMT", Some(7_000));
        for nonsense in ["", "-3s", "5 apples", "1x", "s", "..s", "NaN", "inf"] {
            check(parse_reset, nonsense, None);
        }
    }

    #[test]
    fn milliseconds_and_retry_info() {
        check(|value, _| parse_millis(value), "137", Some(137));
        check(|value, _| parse_millis(value), "-1", None);
        check(|body, _| parse_retry_info(body), r#"{"retryDelay" : "34.07s"}"#, Some(34_070));
        for text in [
            r#""{\"retryDelay\": \"34.07s\"}""#,
            r#"{'@type': 'RetryInfo', 'retryDelay': '34.07s'}"#,
            r#"{\\\"retryDelay\\\":\\\"34.07s\\\"}"#,
        ] {
            check(|body, _| parse_retry_info(body), text, Some(34_070));
        }
        check(|body, _| parse_retry_info(body), r#""retryDelay": {"seconds": 34, "nanos": 7}"#, Some(34_000));
        check(|body, _| parse_retry_info(body), "retry_delay {\n  seconds: 34\n}", Some(34_000));
        for nonsense in
            ["", r#""retryDelay""#, r#""retryDelay":""#, r#""retryDelay":"soon""#, r#""retryDelay":3"#]
        {
            check(|body, _| parse_retry_info(body), nonsense, None);
        }
    }

    proptest! {
        #[test]
        fn no_wait_is_longer_than_a_year(text in "\\PC{0,24}", number: f64, seconds in 0_u64..1 << 40) {
            let now = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
            for value in [text.clone(), number.to_string(), format!("{number}s"), format!("{seconds}")] {
                for parse in [parse_retry_after, parse_reset] {
                    prop_assert!(parse(&value, now).is_none_or(|wait| wait <= LONGEST), "{value}");
                }
            }
        }
    }
}

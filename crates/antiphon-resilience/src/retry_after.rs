use std::time::{Duration, SystemTime};

/// A longer wait than a day counts as a day: it is a mistake or an attack, but no leave to call at once.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// The wait that a `Retry-After` header asks for: seconds, also fractional as some vendors send them, or an HTTP date
/// (RFC 9110, section 10.2.3), which is taken against `now`.
///
/// A date in the past is no wait, and a wait of more than a day is a day; what cannot be read or is negative is `None`.
///
/// ```
/// use std::time::{Duration, SystemTime};
/// let wait = antiphon_resilience::parse_retry_after("1.5", SystemTime::now());
/// assert_eq!(wait, Some(Duration::from_millis(1500)));
/// ```
#[must_use]
pub fn parse_retry_after(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    let wait = match value.parse::<f64>() {
        Ok(seconds) if seconds > LONGEST.as_secs_f64() => LONGEST,
        Ok(seconds) => Duration::try_from_secs_f64(seconds).ok()?,
        Err(_) => httpdate::parse_http_date(value).ok()?.duration_since(now).unwrap_or(Duration::ZERO),
    };
    Some(wait.min(LONGEST))
}

#[cfg(test)]
mod tests {
    use super::{Duration, SystemTime, parse_retry_after};

    #[track_caller]
    fn check(value: &str, expected: Option<u64>) {
        // Sun, 06 Nov 1994 08:49:30 GMT
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_770);
        assert_eq!(parse_retry_after(value, now), expected.map(Duration::from_millis), "{value}");
    }

    #[test]
    fn seconds_and_dates_are_read_and_nonsense_is_not() {
        check("7", Some(7_000));
        check(" 0.25 ", Some(250));
        check("Sun, 06 Nov 1994 08:49:37 GMT", Some(7_000));
        check("Sunday, 06-Nov-94 08:49:37 GMT", Some(7_000));
        check("Sun Nov  6 08:49:37 1994", Some(7_000));
        check("Sun, 06 Nov 1994 08:49:29 GMT", Some(0));
        check("1e300", Some(86_400_000));
        check("Sat, 06 Nov 2094 08:49:37 GMT", Some(86_400_000));
        for nonsense in ["", "-1", "soon", "NaN"] {
            check(nonsense, None);
        }
    }
}

//! Times of turns from fields: `0.27`, `1.200s`, `PT1M2.5S`, `00:01:02,500`, `{"seconds": 1}`, `2026-01-05T10:30:00Z`.
//!
//! Services write the beginning of a turn in seconds, milliseconds or ticks of 100 nanoseconds. A key such as `start_ms`
//! says which; a bare number is one of a [`Unit`] that the list as a whole decides.

use super::foreign;
use crate::turn_time::clock;

/// The unit of bare numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Unit {
    /// Seconds, with or without a fraction.
    #[default]
    Seconds,
    /// Milliseconds.
    Milliseconds,
}

/// Keys for the beginning of a turn, normalised, in order of preference.
const TIME_KEYS: [&str; 16] = [
    "start",
    "starttime",
    "startms",
    "starttimems",
    "startoffset",
    "startoffsetms",
    "startseconds",
    "tstartms",
    "begin",
    "begintime",
    "beginoffsetmillis",
    "timebegin",
    "offset",
    "offsetmilliseconds",
    "offsetms",
    "offsetinticks",
];
/// Further keys, whose bare numbers are not times of a recording: an hour, or seconds since 1970.
const UNCLEAR_KEYS: [&str; 18] = [
    "time",
    "timestamp",
    "timecode",
    "ts",
    "date",
    "datetime",
    "createdat",
    "sentat",
    "timespan",
    "timerange",
    "zeit",
    "zeitmarke",
    "hora",
    "heure",
    "время",
    "時間",
    "时间",
    "시간",
];
/// The longest recording: larger numbers are seconds since 1970. Milliseconds.
const MAX_MS: u64 = 1_000 * 3_600 * 1_000;

/// Returns the rank of a normalised key among those for the beginning of a turn; `None` for any other key.
pub(crate) fn rank_of(key: &str) -> Option<usize> {
    let known = TIME_KEYS.iter().chain(&UNCLEAR_KEYS).position(|known| *known == key);
    known.or_else(|| foreign::is_time(key).then_some(TIME_KEYS.len() + UNCLEAR_KEYS.len()))
}

/// Returns the time of a field with this normalised key; `None` if its value is not a time.
pub(crate) fn time_of(key: &str, value: &str, unit: Unit) -> Option<String> {
    let value = beginning(value.trim().trim_matches(['[', ']', '(', ')']));
    if let Some(ms) = duration(value).or_else(|| colons(value)) {
        return Some(clock(ms / 1_000));
    }
    if is_date(value) {
        return Some(value.to_owned());
    }
    let ms =
        milliseconds(key, value, unit).filter(|_| !UNCLEAR_KEYS.contains(&key) && !foreign::is_time(key))?;
    (ms <= MAX_MS).then(|| clock(ms / 1_000))
}

/// Returns a number in the unit that its key says, or in the unit of bare numbers.
pub(crate) fn milliseconds(key: &str, value: &str, unit: Unit) -> Option<u64> {
    let number = thousandths(value)?;
    if key.ends_with("ms") || key.ends_with("millis") || key.ends_with("milliseconds") {
        Some(number / 1_000)
    } else if key.ends_with("ticks") {
        Some(number / 10_000_000)
    } else if unit == Unit::Milliseconds {
        Some(number / 1_000)
    } else {
        Some(number)
    }
}

/// Returns a decimal number that is not negative, in thousandths.
pub(crate) fn thousandths(value: &str) -> Option<u64> {
    let is_number = value.starts_with(|c: char| c.is_ascii_digit() || c == '.');
    let number: f64 = value.parse().ok().filter(|_| is_number)?;
    format!("{number:.3}").replace('.', "").parse().ok()
}

/// Returns a duration such as `1.200s` or `PT1H2M3.5S` (ISO 8601) in milliseconds.
fn duration(value: &str) -> Option<u64> {
    let Some(rest) = value.strip_prefix("PT") else {
        return thousandths(value.strip_suffix('s')?.trim_end());
    };
    let (mut total, mut rest) = (0_u64, rest);
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let seconds = match rest[end..].chars().next()? {
            'H' => 3_600,
            'M' => 60,
            'S' => 1,
            _ => return None,
        };
        total = total.checked_add(thousandths(&rest[..end])?.checked_mul(seconds)?)?;
        rest = &rest[end + 1..];
    }
    Some(total)
}

/// Returns the beginning of a range such as `0:03 - 0:07`.
fn beginning(value: &str) -> &str {
    [" - ", " – ", " --> ", "-->"]
        .iter()
        .find_map(|sign| value.split_once(sign))
        .map_or(value, |(time, _)| time)
}

/// Returns a time such as `1:02`, `00:01:02.5` or `00:01:02,500` in milliseconds.
fn colons(value: &str) -> Option<u64> {
    let value = value.replace(',', ".");
    let mut parts: Vec<&str> = value.split(':').collect();
    let seconds = parts.pop().filter(|_| (1..=2).contains(&parts.len()))?;
    let mut total = 0_u64;
    for part in parts {
        total = total.checked_add(part.parse().ok()?)?.checked_mul(60)?;
    }
    total.checked_mul(1_000)?.checked_add(thousandths(seconds)?)
}

/// Returns whether a text is a date with a time, as in `2026-01-05T10:30:00Z`.
fn is_date(value: &str) -> bool {
    let is_year = value.len() >= 16 && value.bytes().take(4).all(|byte| byte.is_ascii_digit());
    is_year && value[4..].starts_with(['-', '/']) && value.contains(':') && value.len() <= 40
}

#[cfg(test)]
mod tests {
    use super::{Unit, time_of};

    #[test]
    fn times_are_read_in_the_units_of_the_services() {
        let check = |key: &str, value: &str, expected: Option<&str>| {
            assert_eq!(time_of(key, value, Unit::Seconds).as_deref(), expected, "{key} {value}");
        };
        check("start", "761.2", Some("12:41"));
        check("startms", "761200", Some("12:41"));
        check("offsetinticks", "7612000000.0", Some("12:41"));
        check("offset", "PT12M41.2S", Some("12:41"));
        check("starttime", "761.200s", Some("12:41"));
        check("timestamp", "01:02:41.100", Some("1:02:41"));
        check("start", "00:12:41,500", Some("12:41"));
        check("date", "2026-01-05T10:30:00Z", Some("2026-01-05T10:30:00Z"));
        check("ts", "1512104434.000490", None);
        check("timespan", "0:07.5 - 0:09.1", Some("0:07"));
        check("time", "9", None);
        check("start", "-1", None);
        check("start", "soon", None);
        assert_eq!(time_of("start", "761200", Unit::Milliseconds).as_deref(), Some("12:41"));
    }
}

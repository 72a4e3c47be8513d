use std::fmt;
use std::time::Duration;

/// A wait in a message, rounded up: in milliseconds below a second, else in seconds.
pub(crate) struct RoundedUp(pub(crate) Duration);

impl fmt::Display for RoundedUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_nanos().div_ceil(1_000_000) {
            millis @ 1..1_000 => write!(f, "{millis} ms"),
            millis => write!(f, "{} s", millis.div_ceil(1_000)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Duration, RoundedUp};

    #[track_caller]
    fn check(wait: Duration, expected: &str) {
        assert_eq!(RoundedUp(wait).to_string(), expected);
    }

    #[test]
    fn a_wait_below_a_second_is_in_milliseconds() {
        check(Duration::from_nanos(1), "1 ms");
        check(Duration::from_millis(30), "30 ms");
        check(Duration::from_micros(29_100), "30 ms");
        check(Duration::from_micros(999_001), "1 s");
    }

    #[test]
    fn a_longer_one_is_in_whole_seconds() {
        check(Duration::ZERO, "0 s");
        check(Duration::from_secs(60), "60 s");
        check(Duration::from_millis(59_001), "60 s");
        check(Duration::MAX, "18446744073709551616 s");
    }
}

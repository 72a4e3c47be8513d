//! Decimal numbers as they are written: a float has 17 digits, and JSON any number of them.

use std::cmp::Ordering;
use std::fmt;

use serde_json::Number;

/// A decimal number of any size: `0.d₁d₂… × 10^exponent`, where the first and the last digit are not 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Decimal {
    is_negative: bool,
    /// The digits, in ASCII; none for zero.
    digits: Vec<u8>,
    /// The exponent; 0 for zero.
    exponent: i64,
}

impl Decimal {
    /// Parses a number in JSON's form, or in that of `{:e}`; `None` if its exponent does not fit.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (is_negative, text) = text.strip_prefix('-').map_or((false, text), |text| (true, text));
        let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let exponent: i64 = exponent.parse().ok()?;
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits: Vec<u8> = whole.bytes().chain(fraction.bytes()).collect();
        if !digits.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let Some(first) = digits.iter().position(|digit| *digit != b'0') else {
            return Some(Self { is_negative, digits: Vec::new(), exponent: 0 });
        };
        let last = digits.iter().rposition(|digit| *digit != b'0').unwrap_or(first);
        let shift = i64::try_from(whole.len()).ok()?.checked_sub(i64::try_from(first).ok()?)?;
        let exponent = exponent.checked_add(shift)?;
        Some(Self { is_negative, digits: digits[first..=last].to_vec(), exponent })
    }

    /// Returns whether a float has the same value, in the shortest form that reads as this float.
    pub(crate) fn is(&self, float: f64) -> bool {
        Self::parse(&format!("{float:e}")).is_some_and(|other| other == *self)
    }

    /// Compares a number with a float by their values; `None` for a number whose exponent does not fit.
    pub(crate) fn compare(number: &Number, float: f64) -> Option<Ordering> {
        Some(Self::parse(&number.to_string())?.order(&Self::parse(&format!("{float:e}"))?))
    }

    fn order(&self, other: &Self) -> Ordering {
        let sign = |number: &Self| match (number.digits.is_empty(), number.is_negative) {
            (true, _) => 0,
            (false, true) => -1,
            (false, false) => 1,
        };
        let size = || self.exponent.cmp(&other.exponent).then_with(|| self.digits.cmp(&other.digits));
        sign(self).cmp(&sign(other)).then_with(|| if sign(self) < 0 { size().reverse() } else { size() })
    }
}

/// Writes the same text for all forms of a number.
impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { is_negative, digits, exponent } = self;
        let sign = if *is_negative && !digits.is_empty() { "-" } else { "" };
        write!(f, "{sign}0.{}e{exponent}", String::from_utf8_lossy(digits))
    }
}

#[cfg(test)]
#[cfg(feature = "arbitrary_precision")]
mod tests {
    use std::cmp::Ordering::{Equal, Greater, Less};

    use super::Decimal;

    #[test]
    fn numbers_are_compared_by_all_their_digits() {
        for (number, float, expected) in [
            ("9007199254740993", 9_007_199_254_740_992.0, Greater),
            ("-9007199254740993", -9_007_199_254_740_992.0, Less),
            ("123456789012345678901234567890", 1e29, Greater),
            ("1e400", f64::MAX, Greater),
            ("-1E400", 0.0, Less),
            ("0.1", 0.1, Equal),
            ("0.10", 0.1, Equal),
            ("0.10000000000000000001", 0.1, Greater),
            ("-0", 0.0, Equal),
            ("0e7", 0.0, Equal),
            ("100", 20.0, Greater),
            ("0.05", 0.5, Less),
        ] {
            let number: serde_json::Number = number.parse().unwrap();
            assert_eq!(Decimal::compare(&number, float), Some(expected), "{number}");
        }
        assert_eq!(Decimal::parse("1e99999999999999999999"), None);
        assert!(Decimal::parse("1.50").unwrap().is(1.5) && Decimal::parse("1e3").unwrap().is(1000.0));
        assert!(!Decimal::parse("0.1234567890123456789").unwrap().is(0.123_456_789_012_345_68));
    }
}

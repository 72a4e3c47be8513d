//! Keys that an object of JSON has twice: parsers keep the last of their values, so that the others would be lost.

use std::collections::HashSet;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use crate::formats::Borrowed;

/// The least number that `u64` does not have.
const BEYOND_INTEGERS: f64 = 18_446_744_073_709_551_616.0;

/// Checks the syntax of a JSON text, and that parsing it loses nothing: no object in it has a key twice, and no number has digits
/// that are not kept.
///
/// Keys are compared without their escapes, so that `"a"` and `"\u0061"` are the same.
///
/// ```
/// assert!(antiphon_data::check_keys(r#"{"a": {"b": 1}, "b": [2]}"#).is_ok());
/// let err = antiphon_data::check_keys(r#"{"a": 1, "a": 2}"#).unwrap_err();
/// assert!(err.to_string().starts_with(r#"the key "a" occurs twice"#));
/// ```
///
/// # Errors
/// That of serde_json: of the kind `Data` for a key that occurs twice, and for a whole number of more than 64 bits if the feature
/// `arbitrary_precision` is off.
pub fn check_keys(text: &str) -> Result<(), serde_json::Error> {
    serde_json::from_str::<Checked>(text).map(|Checked| ())
}

/// A value whose objects have each key once.
struct Checked;

impl<'de> Deserialize<'de> for Checked {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Checker)
    }
}

/// The visitor of a value, which keeps nothing of it but the keys of the open objects.
struct Checker;

impl<'de> Visitor<'de> for Checker {
    type Value = Checked;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Checked, E> {
        Ok(Checked)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Checked, E> {
        Ok(Checked)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Checked, E> {
        Ok(Checked)
    }

    /// Visits a float, or, without the feature `arbitrary_precision`, an integer of more than 64 bits, of which a float would not
    /// keep the digits.
    fn visit_f64<E: Error>(self, number: f64) -> Result<Checked, E> {
        if number.fract() == 0.0 && number.abs() >= BEYOND_INTEGERS {
            let why = "has more than 64 bits, and this build has not the feature `arbitrary_precision`";
            return Err(E::custom(format_args!("the number {number:e} {why}")));
        }
        Ok(Checked)
    }

    fn visit_str<E>(self, _: &str) -> Result<Checked, E> {
        Ok(Checked)
    }

    fn visit_unit<E>(self) -> Result<Checked, E> {
        Ok(Checked)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Checked, A::Error> {
        while items.next_element::<Checked>()?.is_some() {}
        Ok(Checked)
    }

    /// Also visits a number with more digits than `u64` has, which serde_json passes on as a map with one entry.
    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Checked, A::Error> {
        let mut keys = HashSet::new();
        while let Some(Borrowed(key)) = entries.next_key()? {
            if let Some(key) = keys.replace(key) {
                return Err(A::Error::custom(format_args!("the key {key:?} occurs twice in an object")));
            }
            entries.next_value::<Checked>()?;
        }
        Ok(Checked)
    }
}

#[cfg(test)]
mod tests {
    use super::check_keys;

    #[test]
    fn a_key_that_occurs_twice_is_refused_at_any_depth() {
        for text in [
            "{}",
            "[{\"a\":1},{\"a\":1}]",
            "{\"a\":{\"a\":{\"a\":1.5}}}",
            "18446744073709551615",
            "-0",
            "\"a\"",
            "null",
        ] {
            assert!(check_keys(text).is_ok(), "{text}");
        }
        for text in
            ["{\"a\":1,\"a\":1}", "[[{\"b\":{\"a\":1,\"c\":1.5,\"\\u0061\":null}}]]", "{\"a\":{},\"a\":[]}"]
        {
            let err = check_keys(text).unwrap_err();
            assert!(err.to_string().starts_with("the key \"a\" occurs twice"), "{text}: {err}");
        }
        assert!(check_keys("{\"a\":1").unwrap_err().is_eof());
    }

    #[test]
    fn long_numbers_are_refused_where_their_digits_are_not_kept() {
        let checked = check_keys("[12345678901234567890123]").map_err(|err| err.to_string());
        if cfg!(feature = "arbitrary_precision") {
            assert_eq!(checked, Ok(()));
        } else {
            assert!(
                checked.unwrap_err().starts_with("the number 1.2345678901234568e22 has more than 64 bits")
            );
        }
    }
}

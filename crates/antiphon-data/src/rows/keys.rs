//! Keys that an object of JSON has twice: parsers keep the last of their values, so that the others would be lost.

use std::collections::HashSet;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// Checks the syntax of a JSON text, and that no object in it has a key twice.
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
/// That of serde_json: of the kind `Data` for a key that occurs twice.
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

    fn visit_f64<E>(self, _: f64) -> Result<Checked, E> {
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
        while let Some(key) = entries.next_key::<String>()? {
            if keys.contains(&key) {
                return Err(A::Error::custom(format_args!("the key {key:?} occurs twice in an object")));
            }
            keys.insert(key);
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
            "{\"a\":{\"a\":{\"a\":1e400}}}",
            "12345678901234567890123",
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
}

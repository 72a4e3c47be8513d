//! Fields of events, read without copies: an answer has thousands of events, and most have one short text that
//! matters.
//!
//! All of them are read leniently: no odd id, count or name may lose an answer that was paid for, and text that a server sends as
//! JSON of another type is that JSON.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
#[cfg(feature = "_cloud")]
use serde::de;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

/// A text of the answer, which borrows from the event where it has no escapes; see [`text_of`] for JSON of another type.
///
/// serde's own `Cow` never borrows inside an `Option`; this wrapper does.
#[derive(Debug)]
#[cfg(feature = "_cloud")]
pub(crate) struct Text<'a>(Cow<'a, str>);

#[cfg(feature = "_cloud")]
impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let field = <&'de RawValue>::deserialize(deserializer)?;
        text_of(field.get()).map(Self).map_err(de::Error::custom)
    }
}

#[cfg(feature = "_cloud")]
impl Text<'_> {
    /// Returns the text, or an empty one where the field is missing or null.
    pub(crate) fn of<'t>(text: Option<&'t Text<'_>>) -> &'t str {
        text.map_or("", |text| &text.0)
    }
}

/// A text that does not decide about the answer, such as an id: any other JSON in its place counts as missing.
#[derive(Debug, Default)]
pub(crate) struct Label<'a>(pub(super) Option<Cow<'a, str>>);

impl Label<'_> {
    /// Returns the text, if there is one.
    pub(crate) fn as_str(&self) -> Option<&str> {
        self.0.as_deref()
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Label<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyLabel).map(Self)
    }
}

/// The visitor of a [`Label`], which accepts any JSON.
struct AnyLabel;

impl<'de> Visitor<'de> for AnyLabel {
    type Value = Option<Cow<'de, str>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Some(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Some(Cow::Owned(text.to_owned())))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Self::Value, A::Error> {
        while fields.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(None)
    }
}

/// Returns the text in a field of JSON: a string, the one string in an object such as `{"value": "…"}`, the strings of a list,
/// joined, and any other JSON as it is, so that a number or an object that a server parsed is not lost. `null` has no text.
///
/// # Errors
/// A string with an invalid escape, which a repair may make valid.
pub(crate) fn text_of(json: &str) -> Result<Cow<'_, str>, serde_json::Error> {
    // Most pieces of an answer are strings without escapes.
    let string = json.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    if let Some(plain) = string.filter(|string| !string.contains('\\')) {
        return Ok(Cow::Borrowed(plain));
    }
    Ok(match json.as_bytes().first() {
        Some(b'"') => serde_json::from_str::<Label<'_>>(json)?.0.unwrap_or_default(),
        Some(b'n') => Cow::Borrowed(""),
        Some(b'{') => match serde_json::from_str(json) {
            Ok(Wrapped { value: Label(Some(text)) }) => text,
            _ => Cow::Borrowed(json),
        },
        Some(b'[') => match serde_json::from_str::<Vec<Cow<'_, str>>>(json) {
            Ok(texts) if !texts.is_empty() => Cow::Owned(texts.concat()),
            _ => Cow::Borrowed(json),
        },
        _ => Cow::Borrowed(json),
    })
}

/// An object around a text, as OpenAI's assistants have it.
#[derive(Deserialize)]
struct Wrapped<'a> {
    #[serde(borrow, default)]
    value: Label<'a>,
}

/// Returns a label in lower case, without punctuation: `RateLimitError` and `rate_limit_error` are the same.
pub(super) fn normalised(label: &str) -> String {
    label.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// Returns the word in a field that names the end of an answer. JSON of another type is its own word, which no list has: an
/// end that cannot be understood is no natural one.
#[cfg(any(feature = "_chat", feature = "gemini", feature = "ollama"))]
pub(crate) fn word_of(field: Option<&RawValue>) -> Option<Cow<'_, str>> {
    let json = field?.get();
    let word: Label<'_> = serde_json::from_str(json).unwrap_or_default();
    word.0.or_else(|| Some(Cow::Borrowed(json)).filter(|json| json != "null"))
}

/// Returns whether a field is true; any JSON but `true`, `"true"` and `1` is not.
#[cfg(any(feature = "gemini", feature = "llamacpp", feature = "ollama"))]
pub(crate) fn is_true(field: Option<&RawValue>) -> bool {
    field.is_some_and(|field| matches!(field.get(), "true" | "\"true\"" | "1"))
}

/// Returns the number in a field with the position of an alternative or an item; `None` for any other JSON.
#[cfg(any(feature = "_chat", feature = "gemini"))]
pub(crate) fn index_of(field: Option<&RawValue>) -> Option<u64> {
    let json = field?.get();
    json.parse().ok().or_else(|| count(&serde_json::from_str(json.trim_matches('"')).ok()?))
}

/// Returns a field as any JSON; `None` where it is missing or null.
pub(crate) fn value_of(field: Option<&RawValue>) -> Option<Value> {
    serde_json::from_str(field?.get()).ok().filter(|value: &Value| !value.is_null())
}

/// Returns a number of tokens. A negative one, a fraction, a text or any other JSON is unknown; `5.0` is 5.
fn count(value: &Value) -> Option<u64> {
    let number = value.as_number()?;
    number.as_u64().or_else(|| {
        // Above 2^53 a float is no exact count.
        let float = number.as_f64().filter(|float| (0.0..9.0e15).contains(float) && float.fract() == 0.0)?;
        format!("{float:.0}").parse().ok()
    })
}

/// Returns a number of tokens as [`count`] does, from its JSON.
#[cfg(feature = "_chat")]
pub(crate) fn count_in(json: &RawValue) -> Option<u64> {
    json.get().parse().ok().or_else(|| count(&serde_json::from_str(json.get()).ok()?))
}

/// Returns the count under the first of `keys` that the object has, so that a second name does not replace an unknown count;
/// each key is a path as in [`at`]. An object with none of them has the count `missing`.
pub(crate) fn count_at(object: &Value, keys: &[&str], missing: Option<u64>) -> Option<u64> {
    keys.iter().find_map(|key| at(object, key)).map_or(missing, count)
}

/// Returns the field at a path of keys without escapes and indices, such as `/usage/prompt_tokens`.
///
/// `Value::pointer` unescapes each key into texts of their own, which the many names of counts make slow.
fn at<'v>(value: &'v Value, path: &str) -> Option<&'v Value> {
    path.split('/').skip(1).try_fold(value, |value, key| value.get(key))
}

/// Returns the size in bytes of a field's JSON: 0 where it is missing, null, `false` or empty.
///
/// Only the size of hidden output matters, for the watchdog, so the field is never parsed.
pub(crate) fn size_of(field: Option<&RawValue>) -> usize {
    field.map_or(0, |field| match field.get() {
        "null" | "\"\"" | "[]" | "{}" | "false" => 0,
        text => text.len(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Label, count, count_at, text_of};

    #[test]
    fn a_count_that_is_not_a_whole_number_is_unknown() {
        let check = |json: &str, expected: Option<u64>| {
            assert_eq!(count(&serde_json::from_str::<Value>(json).unwrap()), expected, "{json}");
        };
        check("5", Some(5));
        check("5.0", Some(5));
        check("5e2", Some(500));
        for odd in ["-35", "5.5", "\"10\"", "[1]", "null", "{}", "true", "1e300", "-0.5"] {
            check(odd, None);
        }
        let usage = json!({"prompt_tokens": -1, "input_tokens": 7});
        assert_eq!(count_at(&usage, &["/prompt_tokens", "/input_tokens"], Some(0)), None);
        assert_eq!(count_at(&usage, &["/none", "/input_tokens"], None), Some(7));
        assert_eq!(count_at(&usage, &["/none"], Some(0)), Some(0));
    }

    #[test]
    fn a_text_of_any_type_is_kept() {
        for (json, expected) in [
            (r#""a\nb""#, "a\nb"),
            ("5", "5"),
            ("1.50", "1.50"),
            ("12345678901234567890123", "12345678901234567890123"),
            ("true", "true"),
            ("null", ""),
            (r#"{"value": "a", "annotations": []}"#, "a"),
            (r#"{"a": 1}"#, r#"{"a": 1}"#),
            (r#"["a", "b\n"]"#, "ab\n"),
            (r#"["a", 1]"#, r#"["a", 1]"#),
            ("[]", "[]"),
        ] {
            assert_eq!(text_of(json).unwrap(), expected, "{json}");
        }
        assert!(text_of(r#""\ud83d""#).is_err(), "a half of a character is repaired elsewhere");
    }

    #[test]
    fn a_label_of_any_type_is_read() {
        for (json, expected) in [
            ("\"a\"", Some("a")),
            ("\"a\\nb\"", Some("a\nb")),
            ("5", None),
            ("-5", None),
            ("5.5", None),
            ("true", None),
            ("null", None),
            ("[1, {}]", None),
            ("{\"a\": {\"b\": []}}", None),
        ] {
            assert_eq!(serde_json::from_str::<Label<'_>>(json).unwrap().as_str(), expected, "{json}");
        }
    }

    #[test]
    #[cfg(any(feature = "_chat", feature = "gemini"))]
    fn an_end_of_another_type_is_its_own_word() {
        use super::{index_of, word_of};

        let word = |json: &str| {
            let raw = serde_json::from_str(json).unwrap();
            word_of(raw).map(|word| word.into_owned())
        };
        assert_eq!(word("\"stop\"").as_deref(), Some("stop"));
        assert_eq!(word("null"), None);
        assert_eq!(word("7").as_deref(), Some("7"));
        let index = |json: &str| index_of(Some(serde_json::from_str(json).unwrap()));
        assert_eq!(
            [index("1"), index("1.0"), index("\"1\""), index("[]")],
            [Some(1), Some(1), Some(1), None]
        );
    }
}

//! Finding the JSON in a model's answer, without ever guessing.
//!
//! Models put JSON into code fences, between sentences, and behind their thoughts. What is found is taken only when it
//! is whole and there is one of it: a cut answer is named as cut, and two different values are named as ambiguous.

use std::borrow::Cow;
use std::fmt;

use serde_json::Value;

/// A JSON value found in an answer.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Extracted {
    /// The value.
    pub value: Value,
    /// What stood around it or in it and was taken away.
    pub repairs: Vec<Repair>,
}

/// Something taken away from an answer to read its JSON; none of them changes a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Repair {
    /// The model's thoughts, between `<think>` and `</think>`.
    Thoughts,
    /// A code fence or words around the JSON.
    Surroundings,
    /// Commas before a closing bracket.
    TrailingCommas,
}

/// Why an answer has no JSON that can be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonError {
    kind: JsonErrorKind,
    message: String,
}

/// The ways to have no JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum JsonErrorKind {
    /// There is none.
    Missing,
    /// It ends in the middle.
    Truncated,
    /// There are several different ones.
    Ambiguous,
    /// It is broken.
    Malformed,
}

impl JsonError {
    fn new(kind: JsonErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    /// What the trouble is.
    #[must_use]
    pub fn kind(&self) -> JsonErrorKind {
        self.kind
    }
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for JsonError {}

/// Finds the one JSON object or array in an answer.
///
/// Equal copies count as one. An array of plain values, such as a footnote's `[1]`, counts only when there is nothing
/// else.
///
/// # Errors
/// `Missing`, `Truncated`, `Ambiguous` or `Malformed`.
pub fn extract(answer: &str) -> Result<Extracted, JsonError> {
    let mut repairs = Vec::new();
    let spoken = without_thoughts(answer)?;
    if matches!(spoken, Cow::Owned(_)) {
        repairs.push(Repair::Thoughts);
    }
    let text = spoken.trim();
    let found = match values(text) {
        // Blanks take the commas' places, so that lengths stay those of the answer.
        Err(err) if err.kind == JsonErrorKind::Malformed => match blank_trailing_commas(text) {
            Some(blanked) => {
                repairs.push(Repair::TrailingCommas);
                values(&blanked)
            }
            None => Err(err),
        },
        found => found,
    };
    let mut found = found?;
    if found.iter().any(|found| is_data(&found.value)) {
        found.retain(|found| is_data(&found.value));
    }
    let Some(first) = found.first() else {
        return Err(JsonError::new(JsonErrorKind::Missing, "there is no JSON in the answer"));
    };
    if found.iter().any(|other| other.value != first.value) {
        let message = format!("the answer has {} different JSON values", found.len());
        return Err(JsonError::new(JsonErrorKind::Ambiguous, message));
    }
    let first = found.swap_remove(0);
    if first.len < text.len() {
        repairs.push(Repair::Surroundings);
    }
    Ok(Extracted { value: first.value, repairs })
}

struct Found {
    value: Value,
    len: usize,
}

/// Every value in the text, in its order.
fn values(text: &str) -> Result<Vec<Found>, JsonError> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(start) = next_start(rest) {
        let candidate = &rest[start..];
        match parse_prefix(candidate) {
            Ok((value, len)) => {
                rest = &candidate[len..];
                found.push(Found { value, len });
            }
            Err(err) if err.is_eof() => {
                return Err(JsonError::new(
                    JsonErrorKind::Truncated,
                    "the JSON of the answer ends in the middle",
                ));
            }
            // "See [1-3]" is no list.
            Err(_) if is_reference(candidate) => rest = &candidate[1..],
            Err(err) => {
                let message = format!("the JSON of the answer is broken: {err}");
                return Err(JsonError::new(JsonErrorKind::Malformed, message));
            }
        }
    }
    Ok(found)
}

/// A bracket with nothing but a few figures and signs in it, as prose has them.
fn is_reference(text: &str) -> bool {
    let inside = text.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    inside.is_some_and(|(inside, _)| {
        inside.len() < 24 && inside.chars().all(|c| c.is_ascii_digit() || " ,;-–.".contains(c))
    })
}

fn parse_prefix(text: &str) -> Result<(Value, usize), serde_json::Error> {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    match values.next() {
        Some(Ok(value)) => Ok((value, values.byte_offset())),
        Some(Err(err)) => Err(err),
        None => Ok((Value::Null, text.len())),
    }
}

/// Where something that looks like JSON begins: prose has brackets, too, but seldom `{"` or `[{`.
fn next_start(text: &str) -> Option<usize> {
    let looks_like = |(at, open): &(usize, &str)| {
        let inside = text[at + 1..].trim_start();
        match (*open, inside.bytes().next()) {
            (_, None) => true,
            ("{", Some(first)) => matches!(first, b'"' | b'}'),
            (_, Some(first)) => matches!(first, b'{' | b'[' | b'"' | b']' | b'-' | b'0'..=b'9'),
        }
    };
    text.match_indices(['{', '[']).find(looks_like).map(|(at, _)| at)
}

/// An object, or an array that is empty or holds more than plain values.
fn is_data(value: &Value) -> bool {
    match value {
        Value::Array(items) => {
            items.is_empty() || items.iter().any(|item| item.is_object() || item.is_array())
        }
        value => value.is_object(),
    }
}

fn without_thoughts(answer: &str) -> Result<Cow<'_, str>, JsonError> {
    const OPEN: &str = "<think>";
    const CLOSE: &str = "</think>";
    // Some templates open the thoughts in the prompt, so that the answer has the closing tag alone.
    let begins = answer.trim_start().starts_with(OPEN);
    match answer.rfind(CLOSE) {
        Some(end) if begins || !answer[..end].contains(OPEN) => {
            Ok(Cow::Owned(answer[end + CLOSE.len()..].to_owned()))
        }
        None if begins => Err(JsonError::new(
            JsonErrorKind::Truncated,
            "the answer ends in the middle of the model's thoughts",
        )),
        _ => Ok(Cow::Borrowed(answer)),
    }
}

/// The text with blanks for commas that stand before a closing bracket, outside strings; `None` if there are none.
fn blank_trailing_commas(text: &str) -> Option<String> {
    let mut commas = Vec::new();
    let (mut comma, mut in_string, mut escaped) = (None, false, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => (in_string, comma) = (!in_string, None),
            _ if in_string => {}
            b',' => comma = Some(at),
            b'}' | b']' => commas.extend(comma.take()),
            _ if byte.is_ascii_whitespace() => {}
            _ => comma = None,
        }
    }
    let mut blanked = text.to_owned();
    for at in &commas {
        blanked.replace_range(at..&(at + 1), " ");
    }
    (!commas.is_empty()).then_some(blanked)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::{JsonErrorKind, Repair, Value, extract};

    #[track_caller]
    fn check(answer: &str, expected: Value, repairs: &[Repair]) {
        let found = extract(answer).unwrap();
        assert_eq!((found.value, &found.repairs[..]), (expected, repairs), "{answer}");
    }

    #[track_caller]
    fn check_error(answer: &str, expected: JsonErrorKind) {
        assert_eq!(extract(answer).unwrap_err().kind(), expected, "{answer}");
    }

    #[test]
    fn json_is_found_in_what_models_wrap_around_it() {
        check(" {\"a\": 1}\n", json!({"a": 1}), &[]);
        check("```json\n{\"a\": 1}\n```", json!({"a": 1}), &[Repair::Surroundings]);
        check("Sure: [{\"name\":\"A\"}] ok", json!([{"name": "A"}]), &[Repair::Surroundings]);
        check("As [1] and [2-4] say, {name}: {\"a\": [1]}", json!({"a": [1]}), &[Repair::Surroundings]);
        check("<think>{\"no\": 1}</think>{\"a\": 1}", json!({"a": 1}), &[Repair::Thoughts]);
        check("so it is</think> {\"a\": 1}", json!({"a": 1}), &[Repair::Thoughts]);
        check("{\"a\": [1, 2,],\n}", json!({"a": [1, 2]}), &[Repair::TrailingCommas]);
        check("{\"a\": \"x,}\\\",]\"}", json!({"a": "x,}\",]"}), &[]);
        check("{\"a\":1} or again {\"a\":1}", json!({"a": 1}), &[Repair::Surroundings]);
    }

    #[test]
    fn what_cannot_be_taken_is_named() {
        check_error("I cannot do that.", JsonErrorKind::Missing);
        check_error("", JsonErrorKind::Missing);
        check_error("{\"personas\": [{\"name\": \"A\"}, {\"na", JsonErrorKind::Truncated);
        check_error("Here: {", JsonErrorKind::Truncated);
        check_error("<think>let me see", JsonErrorKind::Truncated);
        check_error("{\"a\": 1} {\"a\": 2}", JsonErrorKind::Ambiguous);
        check_error("{\"a\": {\"b\": 1}, c: 2}", JsonErrorKind::Malformed);
        check_error(&"[".repeat(100_000), JsonErrorKind::Malformed);
    }

    proptest! {
        #[test]
        fn any_cut_of_an_answer_is_an_error(cut in 1_usize..58) {
            let whole = "{\"personas\":[{\"name\":\"Ada, [x]\",\"goals\":[\"a\",\"}\"]}],\"n\":1}";
            prop_assert!(extract(whole).is_ok());
            prop_assert!(extract(&whole[..cut]).is_err());
        }
    }
}

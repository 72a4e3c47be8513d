use std::fmt;

use serde_json::Value;

use super::repair;

/// A JSON value found in an answer.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Extracted {
    /// The value.
    pub value: Value,
    /// The repairs that were needed to parse the value.
    pub repairs: Vec<Repair>,
}

/// A repair of an answer's text that was needed to parse its JSON. A repair never changes a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Repair {
    /// Removal of the model's reasoning, between `<think>` and `</think>`.
    Thoughts,
    /// Removal of a code fence or text around the JSON.
    Surroundings,
    /// Removal of commas before a closing bracket.
    TrailingCommas,
    /// Removal of comments.
    Comments,
    /// Escaping of line breaks, tabs and other control characters inside a string.
    ControlCharacters,
    /// Conversion of Python's `True`, `False` and `None` to JSON's literals.
    PythonLiterals,
}

/// The strictness of the parser: its tolerance for text around the JSON and for small errors in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Strictness {
    /// Only white space around the JSON is accepted, and no [`Repair`] is made.
    Strict,
    /// Any text around the JSON is accepted, and every [`Repair`] is made.
    #[default]
    Lenient,
}

/// An error of [`extract`]: the answer has no usable JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonError {
    kind: JsonErrorKind,
    message: String,
}

/// The kinds of [`JsonError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum JsonErrorKind {
    /// No JSON in the answer.
    Missing,
    /// JSON, or reasoning before it, that ends in the middle.
    Truncated,
    /// Several different JSON values.
    Ambiguous,
    /// Broken JSON, or an answer of more than 64 MiB.
    Malformed,
}

impl JsonError {
    fn new(kind: JsonErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    /// Returns the kind of the error.
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

/// The maximum size of an answer, in bytes.
const MAX_ANSWER: usize = 64 << 20;

/// Finds the one JSON object or array in an answer.
///
/// Equal copies count as one value. An array of plain values, such as the `[1]` of a footnote, counts only if the answer has no
/// other value. Values may be nested up to 127 levels deep. Use [`extract_with`] for strict parsing.
///
/// # Errors
/// `Missing`, `Truncated`, `Ambiguous` or `Malformed`.
pub fn extract(answer: &str) -> Result<Extracted, JsonError> {
    extract_with(answer, Strictness::Lenient)
}

/// Finds the one JSON object or array in an answer, as [`extract`] does, with the tolerance of `strictness`.
///
/// # Errors
/// `Missing`, `Truncated`, `Ambiguous` or `Malformed`.
pub fn extract_with(answer: &str, strictness: Strictness) -> Result<Extracted, JsonError> {
    if answer.len() > MAX_ANSWER {
        let message = format!("the answer has more than {MAX_ANSWER} bytes");
        return Err(JsonError::new(JsonErrorKind::Malformed, message));
    }
    if strictness == Strictness::Strict {
        return parse_strict(answer);
    }
    // An answer that is JSON as a whole may have any text in its strings.
    if answer.trim_start().starts_with(['{', '['])
        && let Ok(found) = parse_strict(answer)
        && is_data(&found.value)
    {
        return Ok(found);
    }
    let mut repairs = Vec::new();
    let spoken = without_thoughts(answer)?;
    if spoken.len() < answer.len() {
        repairs.push(Repair::Thoughts);
    }
    let text = spoken.trim();
    let mut found = match values(text) {
        Err(err) if err.kind == JsonErrorKind::Malformed => repaired(text, &mut repairs, err)?,
        found => found?,
    };
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
    if !first.is_all {
        repairs.push(Repair::Surroundings);
    }
    Ok(Extracted { value: first.value, repairs })
}

fn parse_strict(answer: &str) -> Result<Extracted, JsonError> {
    let value = serde_json::from_str(answer).map_err(|err| {
        let kind = if !answer.trim_start().starts_with(['{', '[']) {
            JsonErrorKind::Missing
        } else if err.is_eof() {
            JsonErrorKind::Truncated
        } else {
            JsonErrorKind::Malformed
        };
        JsonError::new(kind, format!("the answer is no JSON: {err}"))
    })?;
    Ok(Extracted { value, repairs: Vec::new() })
}

/// Returns the values of a text that is JSON only after repairs; the error `broken` where repairs do not help.
fn repaired(text: &str, repairs: &mut Vec<Repair>, broken: JsonError) -> Result<Vec<Found>, JsonError> {
    let Some(start) = next_start(text) else { return Err(broken) };
    let Some(repaired) = repair::repair(&text[start..]) else { return Err(broken) };
    // A truncation shows only after the repairs before it.
    let mut found = values(&repaired.text)
        .map_err(|err| if err.kind == JsonErrorKind::Truncated { err } else { broken })?;
    if start > 0 {
        found.iter_mut().for_each(|found| found.is_all = false);
    }
    repairs.extend(repaired.repairs);
    Ok(found)
}

struct Found {
    value: Value,
    /// Whether nothing else is in the text.
    is_all: bool,
}

/// Returns every JSON value in the text, in order.
fn values(text: &str) -> Result<Vec<Found>, JsonError> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(start) = next_start(rest) {
        let candidate = &rest[start..];
        match parse_prefix(candidate) {
            Ok((value, len)) => {
                rest = &candidate[len..];
                found.push(Found { value, is_all: len == text.len() });
            }
            Err(err) if err.is_eof() => {
                return Err(JsonError::new(
                    JsonErrorKind::Truncated,
                    "the JSON of the answer ends in the middle",
                ));
            }
            // The "[1-3]" of "See [1-3]" is not a list.
            Err(_) if is_reference(candidate) => rest = &candidate[1..],
            Err(err) => {
                let message = format!("the JSON of the answer is broken: {err}");
                return Err(JsonError::new(JsonErrorKind::Malformed, message));
            }
        }
    }
    Ok(found)
}

/// Returns whether a text begins with a reference as in prose: brackets around a few digits and punctuation marks.
fn is_reference(text: &str) -> bool {
    let inside = text.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    inside.is_some_and(|(inside, _)| {
        inside.len() < 24 && inside.chars().all(|c| c.is_ascii_digit() || " ,;-–.".contains(c))
    })
}

/// Returns the value at the beginning of a text, and its length in bytes.
pub(super) fn parse_prefix(text: &str) -> Result<(Value, usize), serde_json::Error> {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    match values.next() {
        Some(Ok(value)) => Ok((value, values.byte_offset())),
        Some(Err(err)) => Err(err),
        None => Ok((Value::Null, text.len())),
    }
}

/// Returns the position where something that looks like JSON begins: prose has brackets, too, but seldom `{"` or `[{`.
pub(super) fn next_start(text: &str) -> Option<usize> {
    let looks_like = |(at, open): &(usize, &str)| {
        let inside = text[at + 1..].trim_start();
        match (*open, inside.bytes().next()) {
            (_, None) => true,
            ("{", Some(first)) => {
                matches!(first, b'"' | b'}') || inside.starts_with("//") || inside.starts_with("/*")
            }
            (_, Some(first)) => matches!(first, b'{' | b'[' | b'"' | b']' | b'-' | b'0'..=b'9'),
        }
    };
    text.match_indices(['{', '[']).find(looks_like).map(|(at, _)| at)
}

/// Returns whether a value is an object, or an array that is empty or holds more than plain values.
fn is_data(value: &Value) -> bool {
    match value {
        Value::Array(items) => {
            items.is_empty() || items.iter().any(|item| item.is_object() || item.is_array())
        }
        value => value.is_object(),
    }
}

pub(super) fn without_thoughts(answer: &str) -> Result<&str, JsonError> {
    const OPEN: &str = "<think>";
    const CLOSE: &str = "</think>";
    // Some templates open the reasoning in the prompt, so that the answer has the closing tag alone.
    let begins = answer.trim_start().starts_with(OPEN);
    match answer.rfind(CLOSE) {
        Some(end) if begins || !answer[..end].contains(OPEN) => Ok(&answer[end + CLOSE.len()..]),
        None if begins => Err(JsonError::new(
            JsonErrorKind::Truncated,
            "the answer ends in the middle of the model's thoughts",
        )),
        _ => Ok(answer),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::{JsonErrorKind, Repair, Strictness, Value, extract, extract_with};

    #[track_caller]
    fn check(answer: &str, expected: Value, repairs: &[Repair]) {
        let found = extract(answer).unwrap();
        assert_eq!((found.value, &found.repairs[..]), (expected, repairs), "{answer}");
    }

    #[test]
    fn an_answer_that_is_json_as_a_whole_may_contain_any_text() {
        check("{\"note\": \"ends with </think> ok\"}", json!({ "note": "ends with </think> ok" }), &[]);
    }

    #[test]
    fn a_truncation_after_a_syntax_error_is_truncated() {
        check_error("{\"p\": [1,], \"q\": \"ab", JsonErrorKind::Truncated);
    }

    #[track_caller]
    fn check_error(answer: &str, expected: JsonErrorKind) {
        assert_eq!(extract(answer).unwrap_err().kind(), expected, "{answer}");
    }

    #[test]
    fn json_is_found_within_other_text() {
        check(" {\"a\": 1}\n", json!({"a": 1}), &[]);
        check("```json\n{\"a\": 1}\n```", json!({"a": 1}), &[Repair::Surroundings]);
        check("Sure: [{\"name\":\"A\"}] ok", json!([{"name": "A"}]), &[Repair::Surroundings]);
        check("As [1] and [2-4] say, {name}: {\"a\": [1]}", json!({"a": [1]}), &[Repair::Surroundings]);
        check("<think>{\"no\": 1}</think>{\"a\": 1}", json!({"a": 1}), &[Repair::Thoughts]);
        check("so it is</think> {\"a\": 1}", json!({"a": 1}), &[Repair::Thoughts]);
        check("{\"a\": [1, 2,],\n}", json!({"a": [1, 2]}), &[Repair::TrailingCommas]);
        check("{\"a\": \"b\nc\td\"}", json!({"a": "b\nc\td"}), &[Repair::ControlCharacters]);
        check("x {\"a\": True, \"b\": [None,]}", json!({"a": true, "b": [null]}), {
            &[Repair::PythonLiterals, Repair::TrailingCommas, Repair::Surroundings]
        });
        check("{\"a\": 1,} see http://x", json!({"a": 1}), &[Repair::TrailingCommas, Repair::Surroundings]);
        check_error("{\"a\": 1,} see http://x {\"a\": 2}", JsonErrorKind::Ambiguous);
        check_error("{\"a\": \"b\\\nc\"}", JsonErrorKind::Malformed);
        check("{// why\n\"a\": \"// no\" /* b */}", json!({"a": "// no"}), &[Repair::Comments]);
        check("{\"a\": \"x,}\\\",]\"}", json!({"a": "x,}\",]"}), &[]);
        check("{\"a\":1} or again {\"a\":1}", json!({"a": 1}), &[Repair::Surroundings]);
    }

    #[test]
    fn an_unusable_answer_has_its_error_kind() {
        check_error("I cannot do that.", JsonErrorKind::Missing);
        check_error("", JsonErrorKind::Missing);
        check_error("{\"personas\": [{\"name\": \"A\"}, {\"na", JsonErrorKind::Truncated);
        check_error("Here: {", JsonErrorKind::Truncated);
        check_error("<think>let me see", JsonErrorKind::Truncated);
        check_error("{\"a\": 1} {\"a\": 2}", JsonErrorKind::Ambiguous);
        check_error("{\"a\": {\"b\": 1}, c: 2}", JsonErrorKind::Malformed);
        check_error(&"[".repeat(100_000), JsonErrorKind::Malformed);
    }

    #[test]
    fn strict_accepts_only_plain_json() {
        let kind = |answer| extract_with(answer, Strictness::Strict).map_err(|err| err.kind());
        assert_eq!(kind(" {\"a\": 1} ").unwrap().value, json!({"a": 1}));
        assert_eq!(kind("Sure: {}").unwrap_err(), JsonErrorKind::Missing);
        assert_eq!(kind("{\"a\": 1,}").unwrap_err(), JsonErrorKind::Malformed);
        assert_eq!(kind("{\"a\": ").unwrap_err(), JsonErrorKind::Truncated);
    }

    proptest! {
        #[test]
        fn every_truncation_of_an_answer_is_an_error(cut in 1_usize..58) {
            let whole = "{\"personas\":[{\"name\":\"Ada, [x]\",\"goals\":[\"a\",\"}\"]}],\"n\":1}";
            prop_assert!(extract(whole).is_ok());
            prop_assert!(extract(&whole[..cut]).is_err());
        }
    }
}

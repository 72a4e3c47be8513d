//! Errors inside errors: as JSON within a message, in the text of a proxy, or as the text of a Python dictionary.

use serde_json::Value;

use super::shape::ErrorBody;

/// Reads an error that is a value, or a text with JSON.
pub(super) fn error_in(value: &Value, depth: usize) -> Option<ErrorBody> {
    match value {
        Value::String(text) => match split(text, depth) {
            (_, Some(inner)) => Some(inner),
            (text, None) => {
                Some(ErrorBody::of_text(text, depth + 1)).filter(|inner| !inner.message.is_empty())
            }
        },
        // The status says that the value is an error, whatever its shape is.
        value => ErrorBody::at_depth(500, value, depth + 1),
    }
}

/// The maximum number of places at which a message is searched for JSON.
const MAX_PLACES: usize = 16;

/// Splits a message into its text and the error that it has as JSON, as in `VertexAIException - {"error": …}`.
pub(super) fn split(text: &str, depth: usize) -> (&str, Option<ErrorBody>) {
    let places = text.match_indices(['{', '[']).map(|(at, _)| at).take(MAX_PLACES);
    for at in places {
        let (before, json) = text.split_at(at);
        // A list of names is no error.
        let value = first_value(json).filter(|value| value.get(0).unwrap_or(value).is_object());
        if let Some(inner) = value.and_then(|value| ErrorBody::at_depth(500, &value, depth + 1)) {
            let is_joint = |c: char| c.is_whitespace() || "-:'\"".contains(c);
            let before = before.trim_end_matches(is_joint);
            // The mark of bytes in Python.
            let before = before.strip_suffix(" b").unwrap_or(before).trim_end_matches(is_joint);
            return (before.trim(), Some(inner));
        }
    }
    (text.trim(), None)
}

/// Parses the first JSON value of a text, also where its quotes or line breaks are escaped once more.
fn first_value(text: &str) -> Option<Value> {
    let parse = |text: &str| serde_json::Deserializer::from_str(text).into_iter::<Value>().next()?.ok();
    parse(text).or_else(|| parse(&text.replace("\\n", "\n"))).or_else(|| parse(&text.replace("\\\"", "\"")))
}

/// The fields whose texts are labels.
const FIELDS: [&str; 5] = ["code", "type", "status", "reason", "error_type"];

/// Returns the labels in a message: names of exceptions, as in `litellm.RateLimitError: …`, and the fields of an error that is
/// written as a Python dictionary.
pub(super) fn labels_in(text: &str) -> Vec<String> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words = text.split(|c: char| !is_name(c));
    let names = words.filter(|word| {
        // "Error" alone is a word.
        (word.ends_with("Error") || word.ends_with("Exception") || word.starts_with("Exceeded"))
            && word.len() > 9
    });
    let mut labels: Vec<String> = names.map(str::to_owned).collect();
    for field in FIELDS {
        labels.extend(values_of(text, field).filter(|label| label.len() <= 60));
    }
    labels
}

/// Returns the texts of a field, in quotes of any kind.
fn values_of(text: &str, field: &str) -> impl Iterator<Item = String> {
    text.split(field).skip(1).filter_map(|after| {
        let is_quote = |c: char| "\\\"'".contains(c);
        let after = after.strip_prefix(is_quote)?.trim_start_matches(is_quote).trim_start();
        let after = after.strip_prefix(':')?.trim_start();
        let value = after.trim_start_matches(is_quote);
        if value.len() == after.len() {
            return None;
        }
        Some(value.split(is_quote).next()?.to_owned())
    })
}

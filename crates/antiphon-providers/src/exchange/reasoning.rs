//! The text of reasoning in fields of its own, which every vendor shapes in another way.

use std::borrow::Cow;

use serde_json::Value;
use serde_json::value::RawValue;

use super::text::Label;

/// Returns the text of reasoning, in any of the shapes in use: a text, or texts in lists and objects. Encrypted reasoning and
/// signatures have none.
pub(crate) fn reasoning_of(field: Option<&RawValue>) -> Cow<'_, str> {
    let Some(json) = field.map(RawValue::get) else { return Cow::default() };
    if let Ok(Label(Some(text))) = serde_json::from_str(json) {
        return text;
    }
    serde_json::from_str(json).map_or(Cow::default(), |value: Value| Cow::Owned(texts_in(&value)))
}

/// Returns the texts in a value, joined.
pub(crate) fn texts_in(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(texts_in).collect(),
        Value::Object(fields) => {
            let of = |key: &&str| fields.get(*key).map(texts_in).filter(|text| !text.is_empty());
            ["text", "thinking", "reasoning", "summary", "content"].iter().find_map(of).unwrap_or_default()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => String::new(),
    }
}

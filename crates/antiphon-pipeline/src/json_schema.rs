//! Pieces of the JSON schemas for answers (structured output).
//!
//! The schemas keep to the subset that the structured output modes of vendors accept: OpenAI's "Structured Outputs",
//! for one, requires that each object lists all of its properties as required and allows no others. An optional text is
//! therefore `null`, not absent. The order of the keys is part of a run's fingerprint: do not change it.

use serde_json::{Map, Value, json};

/// Returns the schema of a text with at least `least` and at most `most` characters.
pub(crate) fn text(least: u32, most: u32) -> Value {
    json!({ "type": "string", "minLength": least, "maxLength": most })
}

/// Returns the schema of a text with at most `most` characters, or `null`.
pub(crate) fn nullable_text(most: u32) -> Value {
    json!({ "type": ["string", "null"], "maxLength": most })
}

/// Returns the schema of an object with exactly these properties, in this order.
pub(crate) fn object(properties: Value) -> Value {
    let required: Vec<&String> = properties.as_object().into_iter().flat_map(Map::keys).collect();
    json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false })
}

/// Returns the schema of a list with at most `most` items.
pub(crate) fn list(items: &Value, most: u32) -> Value {
    json!({ "type": "array", "items": items, "maxItems": most })
}

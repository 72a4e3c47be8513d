//! Access to the keywords of a schema.

use serde::Deserialize as _;
use serde_json::{Map, Value};

/// The schema that every value fits.
pub(super) static ANY: Value = Value::Bool(true);

/// The keywords that are read from a description where the schema itself does not have them.
const DESCRIBED: [&str; 10] = [
    "exclusiveMaximum",
    "exclusiveMinimum",
    "format",
    "maxItems",
    "maxLength",
    "maximum",
    "minItems",
    "minLength",
    "minimum",
    "pattern",
];

/// Returns whether a value is of the type, or of one of the types, that a schema has. Unknown types and none allow
/// every value.
pub(super) fn is_of_type(value: &Value, object: &Map<String, Value>) -> bool {
    let is_of = |kind: &Value| match kind.as_str() {
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("integer") => value.is_i64() || value.is_u64(),
        Some("number") => value.is_number(),
        Some("boolean") => value.is_boolean(),
        Some("null") => value.is_null(),
        _ => true,
    };
    match object.get("type") {
        Some(Value::Array(kinds)) => kinds.iter().any(is_of),
        Some(kind) => is_of(kind),
        None => true,
    }
}

/// Returns a keyword that is a list of names, such as `required`. Items that are not texts are left out.
pub(super) fn names<'o>(object: &'o Map<String, Value>, key: &str) -> Vec<&'o str> {
    object.get(key).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect()
}

/// Returns the names of `properties`, in the order of the schema.
pub(super) fn property_names(object: &Map<String, Value>) -> Vec<&str> {
    let properties = object.get("properties").and_then(Value::as_object).into_iter().flatten();
    properties.map(|(name, _)| name.as_str()).collect()
}

/// Returns a keyword that is a list of schemas or values, unless it is empty.
pub(super) fn non_empty<'o>(object: &'o Map<String, Value>, key: &str) -> Option<&'o [Value]> {
    object.get(key)?.as_array().map(Vec::as_slice).filter(|values| !values.is_empty())
}

/// Returns a keyword that is a bound on a length or a count; `None` if it is missing or not a whole number.
pub(super) fn bound(object: &Map<String, Value>, key: &str) -> Option<usize> {
    object.get(key)?.as_u64().and_then(|bound| usize::try_from(bound).ok())
}

/// Returns a schema with the keywords that only its description has, as in `maxItems: 3`: not all vendors accept all
/// keywords, and a model follows the description.
///
/// A value is the JSON that follows the key and a colon. A keyword of the schema itself has precedence.
pub(super) fn with_described_bounds(object: &Map<String, Value>) -> Map<String, Value> {
    let mut all = object.clone();
    let description = object.get("description").and_then(Value::as_str).unwrap_or_default();
    for key in DESCRIBED.into_iter().filter(|key| !object.contains_key(*key)) {
        let after = description.split_once(&format!("{key}: ")).map(|(_, after)| after);
        let value =
            after.and_then(|after| Value::deserialize(&mut serde_json::Deserializer::from_str(after)).ok());
        all.extend(value.map(|value| (key.to_owned(), value)));
    }
    all
}

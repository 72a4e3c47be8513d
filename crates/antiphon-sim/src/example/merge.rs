//! The merge of two schemas, by which `allOf`, `anyOf`, `oneOf` and keywords beside a `$ref` become a single schema.
//!
//! Each keyword that both schemas have is combined by its meaning: properties by name, required names as a union,
//! enumerations and types as an intersection, bounds as the tighter one. `title` and `description` are those of
//! the first schema; for all other keywords, the second schema replaces the first.

use serde_json::{Map, Value, json};

/// Merges the keywords of one schema into another, so that a value that fits the result fits both, as far as possible:
/// of two patterns, formats or `anyOf`, only the second is kept.
pub(super) fn merge(into: &mut Map<String, Value>, from: &Value) {
    for (key, value) in from.as_object().into_iter().flatten() {
        let Some(known) = into.get_mut(key) else {
            into.insert(key.clone(), value.clone());
            continue;
        };
        match (key.as_str(), &mut *known, value) {
            ("description" | "title", ..) => {}
            ("properties" | "$defs", Value::Object(known), Value::Object(more)) => add_all(known, more),
            ("items" | "contains" | "propertyNames" | "additionalProperties", known, more) => {
                both(known, more)
            }
            ("required", Value::Array(known), Value::Array(more)) => known.extend(more.clone()),
            ("enum", Value::Array(known), Value::Array(more)) => known.retain(|value| more.contains(value)),
            ("type", known, more) => *known = types_of_both(known, more),
            (key, known, more) if key.starts_with("min") || key == "exclusiveMinimum" => {
                if more.as_f64() > known.as_f64() {
                    *known = more.clone();
                }
            }
            (key, known, more) if key.starts_with("max") || key == "exclusiveMaximum" => {
                if more.as_f64() < known.as_f64() {
                    *known = more.clone();
                }
            }
            (_, known, more) => *known = more.clone(),
        }
    }
}

/// Adds named schemas to others. Schemas of the same name are combined.
fn add_all(known: &mut Map<String, Value>, more: &Map<String, Value>) {
    for (name, schema) in more {
        match known.get_mut(name) {
            Some(other) => both(other, schema),
            None => drop(known.insert(name.clone(), schema.clone())),
        }
    }
}

/// Replaces a schema by one whose values fit a second schema, too. `false` allows no value, and `true` allows all.
fn both(known: &mut Value, more: &Value) {
    match (&*known, more) {
        (Value::Bool(false), _) | (_, Value::Bool(true)) => {}
        (known, more) if known == more => {}
        (_, Value::Bool(false)) | (Value::Bool(true), _) => *known = more.clone(),
        (a, b) => *known = json!({ "allOf": [a, b] }),
    }
}

/// Returns the types that both allow, or those of the second if they have none in common. `number` and `integer` have
/// `integer` in common.
fn types_of_both(known: &Value, more: &Value) -> Value {
    let list = |kinds: &Value| match kinds {
        Value::Array(kinds) => kinds.clone(),
        kind => vec![kind.clone()],
    };
    let (known, more) = (list(known), list(more));
    // Every integer is a number.
    let has = |kinds: &[Value], kind: &Value| {
        kinds.contains(kind) || (kind == "integer" && kinds.iter().any(|kind| kind == "number"))
    };
    let of_known = known.iter().filter(|kind| has(&more, kind));
    let of_more = more.iter().filter(|kind| has(&known, kind) && !known.contains(kind));
    let common: Vec<Value> = of_known.chain(of_more).cloned().collect();
    if common.is_empty() { Value::Array(more) } else { Value::Array(common) }
}

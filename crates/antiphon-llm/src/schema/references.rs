//! The mistakes in the references of a schema: those that name nothing in it, and those that lead back to themselves.
//!
//! | reference | why it is a mistake |
//! |---|---|
//! | `other.json`, `https://…` | no file and no address is read for a schema |
//! | `#/$defs/Nope` | there is no such definition |
//! | `#` at the root, or `A` → `B` → `A` | nothing lies between, so it describes no value (JSON Schema, 2020-12, 9.4.1) |
//!
//! A reference below a property or an item describes a smaller value each time, and may lead back.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use crate::schema_refs::NAMED;

/// The keywords that are references.
const REFERENCES: [&str; 3] = ["$ref", "$dynamicRef", "$recursiveRef"];
/// The keywords whose schemas are of the same value.
pub(super) const IN_PLACE: [&str; 8] =
    ["allOf", "anyOf", "oneOf", "not", "if", "then", "else", "dependentSchemas"];
/// The keywords whose schemas are of a part of the value.
pub(super) const PARTS: [&str; 12] = [
    "additionalItems",
    "additionalProperties",
    "contains",
    "contentSchema",
    "items",
    "patternProperties",
    "prefixItems",
    "properties",
    "propertyNames",
    "unevaluatedItems",
    "unevaluatedProperties",
    "dependencies",
];

/// Describes the first reference that names nothing in the schema; `None` if there is none.
pub(super) fn unknown(root: &Value) -> Option<String> {
    let mut open = vec![(String::new(), root)];
    while let Some((at, schema)) = open.pop() {
        let Value::Object(object) = schema else { continue };
        if has_own_base(&at, object) {
            continue;
        }
        if let Some((keyword, reference)) = reference(object)
            && resolved(root, reference).is_none()
            && !is_of_draft(reference)
        {
            let why = if reference.starts_with('#') {
                "names no definition. Write one below $defs, or correct the name"
            } else {
                "references to other files are not read. Put it into $defs"
            };
            let separator = if reference.starts_with('#') { " " } else { ": " };
            return Some(format!("at {at}/{keyword}: {reference}{separator}{why}"));
        }
        let definitions = ["$defs", "definitions"];
        let below = below(object, &at, |key| {
            IN_PLACE.contains(&key) || PARTS.contains(&key) || definitions.contains(&key)
        });
        // The first one in the file is reported first.
        open.extend(below.into_iter().rev());
    }
    None
}

/// Describes the first reference that leads back to itself without a property or an item between; `None` if there is none.
pub(super) fn circular(root: &Value) -> Option<String> {
    let mut search = Search { root, states: BTreeMap::new() };
    let (mut seen, mut open) = (BTreeSet::new(), vec![String::new()]);
    while let Some(at) = open.pop() {
        if !seen.insert(at.clone()) {
            continue;
        }
        if let Some(place) = search.circle(&at) {
            return Some(format!(
                "at {place}: the reference leads back to itself without a property or an item between, so that it \
                 describes no value. Name a definition that has a type"
            ));
        }
        let Some(Value::Object(object)) = root.pointer(&at) else { continue };
        if has_own_base(&at, object) {
            continue;
        }
        let target = reference(object).and_then(|(_, reference)| resolved(root, reference));
        let below = below(object, &at, |key| IN_PLACE.contains(&key) || PARTS.contains(&key));
        open.extend(below.into_iter().map(|(at, _)| at).chain(target));
    }
    None
}

/// The search for circles among the schemas of one value.
struct Search<'s> {
    root: &'s Value,
    /// The schemas that were entered, by their pointers; `true` for those that were left again.
    states: BTreeMap<String, bool>,
}

impl Search<'_> {
    /// Returns the pointer of a reference by which a schema leads back to itself.
    fn circle(&mut self, at: &str) -> Option<String> {
        if self.states.contains_key(at) {
            return None;
        }
        let mut path = vec![(at.to_owned(), self.next(at))];
        self.states.insert(at.to_owned(), false);
        while let Some((at, next)) = path.last_mut() {
            let Some((from, to)) = next.pop() else {
                self.states.insert(at.clone(), true);
                path.pop();
                continue;
            };
            match self.states.get(&to) {
                Some(true) => {}
                Some(false) => return Some(from),
                None => {
                    self.states.insert(to.clone(), false);
                    let next = self.next(&to);
                    path.push((to, next));
                }
            }
        }
        None
    }

    /// Returns the schemas of the same value to which a schema leads, each after the pointer of what leads there.
    fn next(&self, at: &str) -> Vec<(String, String)> {
        let Some(Value::Object(object)) = self.root.pointer(at) else { return Vec::new() };
        if has_own_base(at, object) {
            return Vec::new();
        }
        let target = reference(object).and_then(|(keyword, reference)| {
            Some((format!("{at}/{keyword}"), resolved(self.root, reference)?))
        });
        let below = below(object, at, |key| IN_PLACE.contains(&key));
        below.into_iter().map(|(at, _)| (at.clone(), at)).chain(target).collect()
    }
}

/// Returns the reference of a schema, with its keyword.
pub(super) fn reference(object: &Map<String, Value>) -> Option<(&'static str, &str)> {
    REFERENCES.into_iter().find_map(|keyword| Some((keyword, object.get(keyword)?.as_str()?)))
}

/// Returns whether the references in a schema below the root are relative to a name of its own.
pub(super) fn has_own_base(at: &str, object: &Map<String, Value>) -> bool {
    !at.is_empty() && object.get("$id").and_then(Value::as_str).is_some_and(|id| !id.starts_with('#'))
}

/// Returns whether a reference names the schema of schemas, which is known without a file.
fn is_of_draft(reference: &str) -> bool {
    ["http://json-schema.org/", "https://json-schema.org/"].iter().any(|known| reference.starts_with(known))
}

/// Returns the schemas below the keywords that `is_wanted` selects, with their pointers.
pub(super) fn below<'s>(
    object: &'s Map<String, Value>,
    at: &str,
    is_wanted: impl Fn(&str) -> bool,
) -> Vec<(String, &'s Value)> {
    let mut found = Vec::new();
    for (key, value) in object.iter().filter(|(key, _)| is_wanted(key)) {
        let at = format!("{at}/{key}");
        match value {
            Value::Object(named) if NAMED.contains(&key.as_str()) || key == "dependencies" => {
                found.extend(named.iter().map(|(name, schema)| (format!("{at}/{}", escaped(name)), schema)));
            }
            Value::Array(schemas) => {
                found.extend(schemas.iter().enumerate().map(|(n, schema)| (format!("{at}/{n}"), schema)));
            }
            schema => found.push((at, schema)),
        }
    }
    found
}

/// Returns the pointer of the schema that a reference names; `None` for one that is not in this schema.
pub(super) fn resolved(root: &Value, reference: &str) -> Option<String> {
    let id = root["$id"].as_str().map(|id| id.trim_end_matches('#')).filter(|id| !id.is_empty());
    let own = id.and_then(|id| reference.strip_prefix(id)).unwrap_or(reference);
    let name = match own.strip_prefix('#') {
        Some(name) => decoded(name)?,
        None if own.is_empty() => String::new(),
        None => return with_name(root, "$id", own),
    };
    if name.is_empty() || name.starts_with('/') {
        return root.pointer(&name).map(|_| name);
    }
    ["$anchor", "$dynamicAnchor"]
        .into_iter()
        .find_map(|keyword| with_name(root, keyword, &name))
        .or_else(|| with_name(root, "$id", &format!("#{name}")))
}

/// Returns the pointer of the schema with a name of its own, such as an anchor.
fn with_name(root: &Value, keyword: &str, name: &str) -> Option<String> {
    let mut open = vec![(String::new(), root)];
    while let Some((at, value)) = open.pop() {
        match value {
            Value::Object(object) => {
                if object.get(keyword).and_then(Value::as_str) == Some(name) {
                    return Some(at);
                }
                open.extend(object.iter().map(|(key, value)| (format!("{at}/{}", escaped(key)), value)));
            }
            Value::Array(values) => {
                open.extend(values.iter().enumerate().map(|(n, value)| (format!("{at}/{n}"), value)));
            }
            _ => {}
        }
    }
    None
}

/// Returns a key as a part of a JSON pointer.
fn escaped(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

/// Decodes the percent signs of a fragment; `None` if it is no text.
fn decoded(fragment: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(fragment.len());
    let mut rest = fragment;
    while let Some((before, after)) = rest.split_once('%') {
        bytes.extend_from_slice(before.as_bytes());
        bytes.push(u8::from_str_radix(after.get(..2)?, 16).ok()?);
        rest = after.get(2..)?;
    }
    bytes.extend_from_slice(rest.as_bytes());
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::schema::Schema;

    #[track_caller]
    fn check(schema: Value, expected: &str) {
        let err = Schema::new("s", schema).unwrap_err().to_string();
        assert!(err.starts_with(&format!("the schema s: {expected}")), "{err}");
    }

    #[test]
    fn references_that_lead_back_to_themselves_are_refused() {
        let back = |at: &str| format!("at {at}: the reference leads back to itself");
        check(json!({ "$ref": "#" }), &back("/$ref"));
        let pair = json!({ "A": { "$ref": "#/$defs/B" }, "B": { "$ref": "#/$defs/A" } });
        check(json!({ "$ref": "#/$defs/A", "$defs": pair }), &back("/$defs/B/$ref"));
        let below =
            json!({ "type": "object", "properties": { "a": { "$ref": "#/$defs/A" } }, "$defs": pair });
        check(below, &back("/$defs/B/$ref"));
        check(json!({ "type": "object", "allOf": [{ "$ref": "#" }] }), &back("/allOf/0/$ref"));
        check(json!({ "anyOf": [{ "type": "string" }, { "$ref": "#" }] }), &back("/anyOf/1/$ref"));
        check(json!({ "$ref": "#me", "$anchor": "me" }), &back("/$ref"));
        let old = json!({ "$schema": "http://json-schema.org/draft-07/schema#", "$ref": "#/definitions/a%20b",
            "definitions": { "a b": { "$ref": "#/definitions/a%20b" } } });
        check(old, &back("/definitions/a b/$ref"));
    }

    #[test]
    fn references_with_a_part_of_the_value_between_are_fine() {
        for schema in [
            json!({ "type": "object", "properties": { "next": { "$ref": "#" } } }),
            json!({ "type": "object", "properties": { "all": { "type": "array", "items": { "$ref": "#" } } } }),
            json!({ "$ref": "#/$defs/Json", "$defs": { "Json": { "anyOf": [
                { "type": "string" }, { "type": "array", "items": { "$ref": "#/$defs/Json" } },
                { "type": "object", "additionalProperties": { "$ref": "#/$defs/Json" } },
            ] } } }),
            json!({ "type": "object", "properties": { "a": { "$ref": "#/$defs/A" }, "b": { "$ref": "#/$defs/A" } },
                "$defs": { "A": { "type": "string" } } }),
            json!({ "allOf": [{ "$ref": "#/$defs/A" }, { "$ref": "#/$defs/B" }],
                "$defs": { "A": { "$ref": "#/$defs/B" }, "B": { "type": "object" } } }),
            // No schemas: a property of that name, and values.
            json!({ "properties": { "$ref": { "type": "string" } }, "const": { "$ref": "#" }, "enum": [{ "$ref": "#" }] }),
        ] {
            Schema::new("s", schema).unwrap();
        }
    }

    #[test]
    fn references_that_name_nothing_are_explained() {
        let at =
            |reference: &str| json!({ "properties": { "a": { "$ref": reference } }, "$defs": { "b": {} } });
        check(
            at("other.json"),
            "at /properties/a/$ref: other.json: references to other files are not read. Put it into $defs",
        );
        check(
            at("https://example.org/s.json#/a"),
            "at /properties/a/$ref: https://example.org/s.json#/a: references",
        );
        check(at("#/$defs/Nope"), "at /properties/a/$ref: #/$defs/Nope names no definition");
        check(at("#nope"), "at /properties/a/$ref: #nope names no definition");
        check(
            json!({ "items": { "$ref": "#/definitions/B" } }),
            "at /items/$ref: #/definitions/B names no definition",
        );
    }
}

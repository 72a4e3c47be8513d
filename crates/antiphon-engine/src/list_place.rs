//! The list of a schema by its place in an answer, also behind references: generators write a type that has a name of its own as
//! `{"$ref": "#/$defs/Towns"}`.

use serde_json::{Map, Value};

/// The keywords beside a reference that do not change what it means.
const BESIDE: [&str; 8] =
    ["$ref", "$defs", "definitions", "$schema", "title", "description", "default", "examples"];
/// The most references in a row.
const MAX_REFERENCES: usize = 16;

/// Returns the schema of the list at a JSON pointer; references on the way to it are replaced by what they name. `None` if there is
/// no such list, or if a reference has other keywords beside it.
pub(crate) fn list_in<'s>(schema: &'s mut Value, list: &str) -> Option<&'s mut Map<String, Value>> {
    let mut place = String::new();
    resolve(schema, &place)?;
    for key in list.split('/').skip(1) {
        place.push_str("/properties/");
        place.push_str(key);
        resolve(schema, &place)?;
    }
    schema.pointer_mut(&place)?.as_object_mut()
}

/// Replaces references at a place by what they name.
fn resolve(schema: &mut Value, place: &str) -> Option<()> {
    for _ in 0..MAX_REFERENCES {
        let found = schema.pointer(place)?.as_object()?;
        let Some(reference) = found.get("$ref") else { return Some(()) };
        let is_alone = found.keys().all(|key| BESIDE.contains(&key.as_str()));
        let target = reference.as_str()?.strip_prefix('#').filter(|_| is_alone)?;
        let mut target = schema.pointer(target)?.as_object()?.clone();
        let found = schema.pointer_mut(place)?.as_object_mut()?;
        found.shift_remove("$ref");
        for (key, value) in std::mem::take(found) {
            target.entry(key).or_insert(value);
        }
        *found = target;
    }
    None
}

/// Returns a bound on the number of elements: a whole number, also as `2.0`. `None` for any other number.
pub(crate) fn count(bound: &Value) -> Option<u64> {
    let text = bound.as_number()?.to_string();
    let whole = match text.split_once('.') {
        Some((whole, fraction)) => fraction.bytes().all(|digit| digit == b'0').then_some(whole)?,
        None => &text,
    };
    whole.parse().ok()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{count, list_in};

    #[track_caller]
    fn check(mut schema: Value, list: &str, expected: Option<Value>) {
        assert_eq!(list_in(&mut schema, list).map(|found| found["items"].clone()), expected, "{list}");
    }

    #[test]
    fn a_list_is_found_behind_references() {
        let list = || json!({ "type": "array", "items": { "type": "integer" } });
        let towns = || json!({ "$ref": "#/$defs/Towns" });
        let found = || Some(json!({ "type": "integer" }));
        check(list(), "", found());
        check(json!({ "properties": { "a/b": list() } }), "/a~1b", found());
        check(json!({ "$ref": "#/$defs/Towns", "$defs": { "Towns": list() } }), "", found());
        check(json!({ "properties": { "x": towns() }, "$defs": { "Towns": list() } }), "/x", found());
        let answer = json!({ "type": "object", "properties": { "x": towns() } });
        let named = json!({ "$ref": "#/definitions/Answer", "definitions": { "Answer": answer }, "$defs": { "Towns": list() } });
        check(named, "/x", found());
        let twice = json!({ "$ref": "#/$defs/a", "$defs": { "a": { "$ref": "#/$defs/b" }, "b": list() } });
        check(twice, "", found());
        check(json!({ "$ref": "#/$defs/Towns", "minItems": 2, "$defs": { "Towns": list() } }), "", None);
        check(json!({ "$ref": "#/$defs/a", "$defs": { "a": { "$ref": "#/$defs/a" } } }), "", None);
        check(json!({ "properties": { "y": list() } }), "/x", None);
    }

    #[test]
    fn a_bound_is_a_whole_number() {
        assert_eq!(
            [json!(2), json!(2.0), json!(2.5), json!(-1), json!("2")].map(|bound| count(&bound)),
            [Some(2), Some(2), None, None, None]
        );
    }
}

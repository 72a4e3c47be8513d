//! The steps of a search for violations of a schema that refers to itself.
//!
//! Whether a value is valid is found out in steps that grow with the value, since the validator remembers what it has checked. The
//! violations, however, are those of every alternative: with two that lead back to the same definition, a value that is nested 30
//! levels deep has 2³⁰ of them. The schema is counted once, when it is compiled, and each value before the search.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};

use super::references::{IN_PLACE, PARTS, below, has_own_base, reference, resolved};

/// The most steps of a search. The validator keeps the violations of every alternative, about 8 KiB a step.
const MAX_STEPS: u64 = 4_096;
/// The most schemas that lead from a definition to one below; each of a longer chain counts as [`OFTEN`] references back.
const MAX_HOPS: usize = 256;
const OFTEN: u64 = 16;
/// The keywords whose schemas are alternatives of one value.
const ALTERNATIVES: [&str; 2] = ["anyOf", "oneOf"];
/// The keywords of which one schema at most is of the same part of a value.
const APART: [&str; 2] = ["properties", "prefixItems"];

/// The number of times that a schema refers back to itself for one part of a value, one level further down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Recursion(u64);

impl Recursion {
    /// Counts the references of a schema.
    pub(super) fn of(root: &Value) -> Self {
        let entries = entries(root);
        let mut count = Count { root, entries: &entries, known: HashMap::new() };
        Self(entries.iter().map(|at| count.schema(at, false, 0)).max().unwrap_or(0))
    }

    /// Returns whether the violations of a value can be searched for. Each of its values counts as often as it is reached.
    pub(super) fn can_search(self, value: &Value) -> bool {
        if self.0 < 2 {
            return true;
        }
        let (mut steps, mut open) = (0_u64, vec![(value, 1_u64)]);
        while let Some((value, times)) = open.pop() {
            steps = steps.saturating_add(times);
            if steps > MAX_STEPS {
                return false;
            }
            let below = times.saturating_mul(self.0);
            match value {
                Value::Array(items) => open.extend(items.iter().map(|item| (item, below))),
                Value::Object(fields) => open.extend(fields.values().map(|field| (field, below))),
                _ => {}
            }
        }
        true
    }
}

/// Returns the definitions at which the circles of a schema close.
fn entries(root: &Value) -> HashSet<String> {
    let (mut entries, mut states) = (HashSet::new(), HashMap::new());
    // A schema is left after all that it leads to.
    let mut open = vec![(String::new(), false)];
    while let Some((at, is_left)) = open.pop() {
        if is_left {
            states.insert(at, true);
            continue;
        }
        match states.get(&at) {
            Some(true) => continue,
            Some(false) => {
                entries.insert(at);
                continue;
            }
            None => {}
        }
        let Some(object) = schema_at(root, &at) else { continue };
        let all = below(object, &at, |key| IN_PLACE.contains(&key) || PARTS.contains(&key));
        let target = target(root, object);
        states.insert(at.clone(), false);
        open.push((at, true));
        open.extend(all.into_iter().map(|(at, _)| at).chain(target).map(|at| (at, false)));
    }
    entries
}

/// Returns a schema whose references are those of the whole.
fn schema_at<'s>(root: &'s Value, at: &str) -> Option<&'s Map<String, Value>> {
    root.pointer(at)?.as_object().filter(|object| !has_own_base(at, object))
}

/// Returns the pointer of the schema to which a schema refers.
fn target(root: &Value, object: &Map<String, Value>) -> Option<String> {
    resolved(root, reference(object)?.1)
}

/// The count of the references back.
struct Count<'s> {
    root: &'s Value,
    entries: &'s HashSet<String>,
    /// The count of each schema, and whether it is below the definition from which the count began.
    known: HashMap<(String, bool), u64>,
}

impl Count<'_> {
    /// Counts the references back from a schema. One that is reached below the beginning ends there; each circle has one.
    fn schema(&mut self, at: &str, is_below: bool, hops: usize) -> u64 {
        if is_below && self.entries.contains(at) {
            return 1;
        }
        let key = (at.to_owned(), is_below);
        if let Some(known) = self.known.get(&key) {
            return *known;
        }
        if hops > MAX_HOPS {
            return OFTEN;
        }
        let Some(object) = schema_at(self.root, at) else { return 0 };
        let mut count = target(self.root, object).map_or(0, |at| self.schema(&at, is_below, hops + 1));
        for keyword in IN_PLACE.into_iter().chain(PARTS) {
            let counts: Vec<(String, u64)> = below(object, at, |key| key == keyword)
                .into_iter()
                .map(|(at, _)| {
                    let count = self.schema(&at, is_below || PARTS.contains(&keyword), hops + 1);
                    (at, count)
                })
                .collect();
            count = count.saturating_add(self.together(keyword, &counts));
        }
        self.known.insert(key, count);
        count
    }

    /// Returns the count of the schemas of one keyword: the sum of those that are of the same part of a value, and the maximum of
    /// others.
    fn together(&self, keyword: &str, counts: &[(String, u64)]) -> u64 {
        if APART.contains(&keyword) {
            return counts.iter().map(|(_, count)| *count).max().unwrap_or(0);
        }
        if !ALTERNATIVES.contains(&keyword) {
            return counts.iter().fold(0, |sum, (_, count)| sum.saturating_add(*count));
        }
        let mut of_kinds: HashMap<Option<String>, u64> = HashMap::new();
        for (at, count) in counts {
            let of_kind = of_kinds.entry(self.kind(at)).or_default();
            *of_kind = of_kind.saturating_add(*count);
        }
        let of_any = of_kinds.remove(&None).unwrap_or(0);
        of_any.saturating_add(of_kinds.into_values().max().unwrap_or(0))
    }

    /// Returns the kind of value that fits an alternative: its type, and the texts that its properties have to be. The parts of
    /// values of another kind are not checked. `None` for any value.
    fn kind(&self, at: &str) -> Option<String> {
        let mut object = schema_at(self.root, at)?;
        if let Some(target) = target(self.root, object) {
            object = schema_at(self.root, &target)?;
        }
        let kind = object.get("type")?.as_str()?;
        let properties = object.get("properties").and_then(Value::as_object).into_iter().flatten();
        let texts = properties.filter_map(|(name, schema)| Some(format!("{name} {}", schema.get("const")?)));
        Some(format!("{kind} {}", texts.collect::<Vec<_>>().join(" ")))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::Recursion;
    use crate::Schema;

    /// Returns a schema of a definition that refers to itself as `#/$defs/a`.
    fn recursive(definition: &Value) -> Value {
        json!({ "$ref": "#/$defs/a", "$defs": { "a": definition } })
    }

    fn items() -> Value {
        json!({ "type": "array", "items": { "$ref": "#/$defs/a" } })
    }

    #[track_caller]
    fn check(definition: &Value, expected: u64) {
        assert_eq!(Recursion::of(&recursive(definition)), Recursion(expected), "{definition}");
    }

    #[test]
    fn references_back_for_one_part_of_a_value_are_counted() {
        let back = || json!({ "$ref": "#/$defs/a" });
        check(&json!({ "type": "integer" }), 0);
        check(&items(), 1);
        check(&json!({ "properties": { "left": back(), "right": back() } }), 1);
        for keyword in ["anyOf", "oneOf", "allOf"] {
            check(&json!({ keyword: [items(), items(), { "type": "string" }] }), 2);
        }
        check(
            &json!({ "anyOf": [{ "properties": { "x": back() } }, { "additionalProperties": back() }] }),
            2,
        );
        check(&json!({ "properties": { "x": back() }, "patternProperties": { "x": back() } }), 2);
        check(&json!({ "if": items(), "then": items() }), 2);
        // Two levels of alternatives below each other.
        let twice = json!({ "anyOf": [items(), items()] });
        check(&json!({ "type": "array", "items": { "anyOf": [twice.clone(), twice] } }), 4);
    }

    #[test]
    fn alternatives_of_other_kinds_are_not_added_up() {
        let back = || json!({ "$ref": "#/$defs/a" });
        let object = json!({ "type": "object", "additionalProperties": back() });
        check(&json!({ "anyOf": [items(), object, { "type": "string" }] }), 1);
        let sum = |name: &str| json!({ "type": "object", "properties": { "op": { "const": name }, "l": back(), "r": back() } });
        check(&json!({ "oneOf": [sum("add"), sum("mul"), sum("sub")] }), 1);
        check(&json!({ "oneOf": [sum("add"), sum("add")] }), 2);
    }

    #[test]
    fn definitions_that_lead_to_each_other_are_counted_together() {
        let schema = json!({ "$ref": "#/$defs/a", "$defs": {
            "a": { "anyOf": [{ "$ref": "#/$defs/b" }, { "$ref": "#/$defs/b" }] },
            "b": { "items": { "$ref": "#/$defs/a" } },
        } });
        assert_eq!(Recursion::of(&schema), Recursion(2));
        let dynamic = json!({ "$dynamicAnchor": "t", "anyOf": [
            { "type": "array", "items": { "$dynamicRef": "#t" } },
            { "type": "array", "items": { "$dynamicRef": "#t" }, "maxItems": 9 },
        ] });
        assert_eq!(Recursion::of(&dynamic), Recursion(2));
    }

    #[test]
    fn violations_of_too_many_alternatives_are_not_told_apart() {
        let nested = |depth: u32, inner: Value| (0..depth).fold(inner, |inner, _| json!([inner]));
        let dynamic = || json!({ "type": "array", "items": { "$dynamicRef": "#t" } });
        for schema in [
            recursive(&json!({ "anyOf": [items(), items(), { "type": "string" }] })),
            json!({ "$dynamicAnchor": "t", "anyOf": [dynamic(), dynamic(), { "type": "string" }] }),
        ] {
            let schema = Schema::new("s", schema).unwrap();
            let found = schema.violations(&nested(4, json!(1)));
            assert!(found.len() == 1 && found[0].message.contains("not valid under any"), "{found:?}");
            for depth in [15, 60, 100] {
                assert!(schema.violations(&nested(depth, json!("x"))).is_empty(), "{depth}");
                let found = schema.violations(&nested(depth, json!(1)));
                assert!(found.len() == 1 && found[0].message.contains("refers to itself"), "{found:?}");
            }
        }
        let lists = Schema::new("s", recursive(&items())).unwrap();
        assert_eq!(lists.violations(&nested(100, json!(1)))[0].pointer.len(), 200);
    }
}

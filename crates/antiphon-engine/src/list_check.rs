//! The list of an answer, checked element by element.
//!
//! A schema that asks for a number of elements is mostly broken by one of them: an invalid element, or a copy of another. Such
//! an element costs itself alone. The others are kept, and as many as are missing are asked for again:
//!
//! | answer to a schema with `minItems` and `maxItems` of 3 | what follows |
//! |---|---|
//! | three valid elements | the result |
//! | four of them | the result, of the first three; the report counts the fourth |
//! | two, and an invalid one, or with `uniqueItems` a copy | two are kept, and one more is asked for |
//! | no valid one | the whole answer is asked for again |
//!
//! Without a lower bound the number of missing elements is not known, and so a list that has as many as `minItems` demands
//! and an invalid one besides is asked for again as a whole.

use std::collections::HashSet;

use antiphon_llm::Schema;
use serde_json::{Map, Value, json};

use crate::checks::place;
use crate::decimal::Decimal;
use crate::list_place::{count, list_in};
use crate::work::{Accepted, Invalid};

/// The maximum number of reasons that are sent to the model.
const MAX_REASONS: usize = 10;

/// The key of the number of elements that were left out, in the notes of an outcome.
pub(crate) const LEFT_OUT: &str = "elements_left_out";

/// The rules of a schema for one of its lists.
#[derive(Debug)]
pub(crate) struct ListCheck {
    /// The JSON pointer (RFC 6901) of the list.
    list: String,
    /// The schema of the answer with a list of any elements.
    outer: Schema,
    /// The schema of an element, unless it may be anything.
    element: Option<Schema>,
    least: usize,
    most: usize,
    is_unique: bool,
}

/// The elements of a list by what is wrong with them.
#[derive(Debug, Default)]
struct Sorted {
    kept: Vec<Value>,
    /// The invalid elements.
    invalid: LeftOut,
    /// The copies of other elements.
    copies: LeftOut,
}

/// Elements that are left out: their number, and the reasons for the first of them.
#[derive(Debug, Default)]
struct LeftOut {
    count: usize,
    reasons: Vec<String>,
}

impl LeftOut {
    /// Adds an element. A model may write a million of them; the reason is made for the first [`MAX_REASONS`] only.
    fn add(&mut self, reason: impl FnOnce() -> String) {
        self.count += 1;
        if self.reasons.len() < MAX_REASONS {
            self.reasons.push(reason());
        }
    }
}

impl ListCheck {
    /// Returns the rules for the list at a JSON pointer; `None` if the schema has none, or if they cannot be separated from the
    /// schema: a reference may lead anywhere.
    pub(crate) fn of(schema: &Schema, list: &str) -> Option<Self> {
        let mut outer = schema.value().clone();
        let shared = ["$schema", "$defs", "definitions"]
            .map(|key| outer.get(key).map(|value| (key.to_owned(), value.clone())));
        let array = list_in(&mut outer, list)?;
        if array.get("type").is_none_or(|kind| kind != "array") {
            return None;
        }
        if ["$ref", "prefixItems", "contains", "unevaluatedItems"].iter().any(|key| array.contains_key(*key))
        {
            return None;
        }
        let (least, most) = (bound(array, "minItems", 0)?, bound(array, "maxItems", usize::MAX)?);
        let [items, _, _, unique] =
            ["items", "minItems", "maxItems", "uniqueItems"].map(|key| array.shift_remove(key));
        let element = match items {
            Some(Value::Object(items)) => Some(element_schema(schema.name(), items, shared)?),
            Some(_) => return None,
            None => None,
        };
        let outer = Schema::new(schema.name(), outer).ok()?;
        Some(Self {
            list: list.to_owned(),
            outer,
            element,
            least,
            most,
            is_unique: unique == Some(true.into()),
        })
    }

    /// Returns the schema of an answer whose list has any elements: the check of the rest.
    pub(crate) fn schema(&self) -> &Schema {
        &self.outer
    }

    /// Checks the list of an answer that fits [`schema`](Self::schema), and returns the answer with the first valid elements.
    ///
    /// # Errors
    /// [`Invalid::Partial`] if valid elements are missing, and [`Invalid::Violations`] if there are none, or if the
    /// number of missing ones is not known.
    pub(crate) fn settle(&self, mut answer: Value) -> Result<Accepted, Invalid> {
        let Some(Value::Array(elements)) = answer.pointer_mut(&self.list) else {
            return Ok(Accepted::new(answer));
        };
        let Sorted { mut kept, invalid, copies } = self.sorted(std::mem::take(elements));
        let missing = self.least.saturating_sub(kept.len());
        if missing > 0 || (invalid.count > 0 && kept.len() < self.most) {
            let what = format!(
                "{}: there are {} valid and distinct elements, and {missing} more are missing",
                place(&self.list),
                kept.len()
            );
            let mut reasons: Vec<String> = (missing > 0).then_some(what).into_iter().collect();
            reasons.extend(invalid.reasons.into_iter().chain(copies.reasons).take(MAX_REASONS));
            let reasons = reasons.join("\n");
            return Err(if missing > 0 && !kept.is_empty() {
                Invalid::Partial { kept, reasons, notes: Vec::new() }
            } else {
                Invalid::Violations(reasons)
            });
        }
        let left_out = kept.len().saturating_sub(self.most) + copies.count + invalid.count;
        kept.truncate(self.most);
        *elements = kept;
        let notes = if left_out > 0 { vec![json!({ LEFT_OUT: left_out })] } else { Vec::new() };
        Ok(Accepted::new(answer).notes(notes))
    }

    fn sorted(&self, elements: Vec<Value>) -> Sorted {
        let (mut sorted, mut seen) = (Sorted::default(), HashSet::new());
        for (index, element) in elements.into_iter().enumerate() {
            let at = || format!("{}/{index}", self.list);
            let violations =
                self.element.as_ref().map(|schema| schema.first_violations(&element, 1)).unwrap_or_default();
            if let Some(violation) = violations.first() {
                sorted.invalid.add(|| format!("{}{}: {}", at(), violation.pointer, violation.message));
            } else if self.is_unique && !seen.insert(canonical(&element)) {
                sorted.copies.add(|| format!("{}: another element is the same", at()));
            } else {
                sorted.kept.push(element);
            }
        }
        sorted
    }
}

/// Returns a bound on the number of elements, `missing` where the list has none. `None` for one that cannot be counted, which stays
/// in the schema.
fn bound(array: &Map<String, Value>, name: &str, missing: usize) -> Option<usize> {
    array.get(name).map_or(Some(missing), |bound| usize::try_from(count(bound)?).ok())
}

/// Returns the schema of an element alone, with the definitions of the whole schema; `None` if it refers to anything else.
fn element_schema(
    name: &str,
    items: Map<String, Value>,
    shared: [Option<(String, Value)>; 3],
) -> Option<Schema> {
    let mut element = items;
    if !refers_to_definitions(&element) {
        return None;
    }
    element.extend(shared.into_iter().flatten());
    Schema::new(name, Value::Object(element)).ok()
}

/// Returns whether all references of a schema lead to its definitions.
fn refers_to_definitions(schema: &Map<String, Value>) -> bool {
    schema.iter().all(|(key, value)| match (key.as_str(), value) {
        ("$ref" | "$dynamicRef", Value::String(to)) => {
            to.starts_with("#/$defs/") || to.starts_with("#/definitions/")
        }
        ("$id" | "$defs" | "definitions", _) => false,
        (_, Value::Object(inner)) => refers_to_definitions(inner),
        (_, Value::Array(all)) => all.iter().filter_map(Value::as_object).all(refers_to_definitions),
        _ => true,
    })
}

/// Returns a text that is the same for equal values, as JSON Schema compares them: numbers by value, objects without the order
/// of their keys.
fn canonical(value: &Value) -> String {
    match value {
        Value::Number(number) => {
            let text = number.to_string();
            Decimal::parse(&text).map_or(text, |decimal| decimal.to_string())
        }
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(canonical).collect();
            format!("[{}]", items.join(","))
        }
        Value::Object(entries) => {
            let mut entries: Vec<String> = entries
                .iter()
                .map(|(key, value)| format!("{}:{}", Value::from(key.as_str()), canonical(value)))
                .collect();
            entries.sort();
            format!("{{{}}}", entries.join(","))
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use antiphon_llm::Schema;
    use serde_json::{Value, json};

    use super::{Accepted, Invalid, LEFT_OUT, ListCheck};

    fn rules(list: Value) -> ListCheck {
        let schema = json!({"type": "object", "required": ["items"], "properties": {"items": list}, "$defs": {"n": {"type": "integer"}}});
        ListCheck::of(&Schema::new("s", schema).unwrap(), "/items").unwrap()
    }

    fn exactly(count: u32) -> Value {
        json!({"type": "array", "items": {"$ref": "#/$defs/n"}, "minItems": count, "maxItems": count, "uniqueItems": true})
    }

    #[track_caller]
    fn check(list: Value, items: Value, expected: Result<(Value, u64), (Value, &str)>) {
        let settled = rules(list).settle(json!({ "items": items }));
        let found = match settled {
            Ok(Accepted { value, notes, .. }) => {
                let left_out = notes.first().map_or(0, |note| note[LEFT_OUT].as_u64().unwrap());
                Ok((value["items"].clone(), left_out))
            }
            Err(Invalid::Partial { kept, reasons, .. }) => Err((Value::from(kept), reasons)),
            Err(Invalid::Violations(reasons)) => Err((Value::Null, reasons)),
            Err(Invalid::Truncated) => Err((Value::Null, String::new())),
        };
        let expected = expected.map_err(|(kept, reasons)| (kept, reasons.to_owned()));
        assert_eq!(found, expected);
    }

    #[test]
    fn an_invalid_element_or_a_copy_costs_itself_alone() {
        check(exactly(3), json!([1, 2, 3]), Ok((json!([1, 2, 3]), 0)));
        check(exactly(3), json!([1, 2, 3, 4, 5]), Ok((json!([1, 2, 3]), 2)));
        check(exactly(3), json!([1, "x", 2, 1.0, 3]), Ok((json!([1, 2, 3]), 2)));
        let one = "/items: there are 2 valid and distinct elements, and 1 more are missing";
        check(exactly(3), json!([1, 2]), Err((json!([1, 2]), one)));
        check(
            exactly(3),
            json!([1, 2, 1]),
            Err((json!([1, 2]), &format!("{one}\n/items/2: another element is the same"))),
        );
        let none = "/items: there are 0 valid and distinct elements, and 3 more are missing";
        check(exactly(3), json!([]), Err((Value::Null, none)));
    }

    #[test]
    fn a_list_without_an_upper_bound_keeps_all() {
        let open = || json!({"type": "array", "items": {"type": "string"}, "uniqueItems": true});
        check(open(), json!(["a", "b", "a"]), Ok((json!(["a", "b"]), 1)));
        let settled = rules(open()).settle(json!({"items": ["a", 1]}));
        assert!(matches!(settled, Err(Invalid::Violations(reasons)) if reasons.starts_with("/items/1: ")));
    }

    #[cfg(feature = "arbitrary_precision")]
    #[test]
    fn numbers_are_the_same_only_if_all_their_digits_are() {
        let long = json!({"type": "array", "uniqueItems": true});
        let list: Value =
            "[12345678901234567890123, 12345678901234567890124, 12345678901234567890123.0]".parse().unwrap();
        let kept: Value = "[12345678901234567890123, 12345678901234567890124]".parse().unwrap();
        check(long, list, Ok((kept, 1)));
    }

    #[test]
    fn a_list_behind_a_reference_has_its_rules_and_bounds_have_fractions_of_zero() {
        let list = json!({"type": "array", "items": {"$ref": "#/$defs/n"}, "minItems": 2.0, "maxItems": 2.0, "uniqueItems": true});
        let schema = json!({"type": "object", "properties": {"items": {"$ref": "#/$defs/list"}}, "$defs": {"n": {"type": "integer"}, "list": list}});
        let rules = ListCheck::of(&Schema::new("s", schema).unwrap(), "/items").unwrap();
        let settled = rules.settle(json!({"items": [1, "x", 1, 2, 3]})).unwrap();
        assert_eq!(settled.value, json!({"items": [1, 2]}));
        assert!(matches!(rules.settle(json!({"items": [1, 1]})), Err(Invalid::Partial { .. })));
    }

    #[test]
    fn rules_that_cannot_be_separated_are_left_in_the_schema() {
        let of =
            |schema: Value, list: &str| ListCheck::of(&Schema::new("s", schema).unwrap(), list).is_some();
        assert!(of(json!({"type": "array", "minItems": 2}), ""));
        assert!(!of(json!({"$ref": "#/$defs/n", "$defs": {"n": {"type": "integer"}}}), ""));
        assert!(!of(json!({"properties": {"items": {"anyOf": [{"type": "array"}]}}}), "/items"));
        assert!(!of(json!({"type": "array", "items": {"$ref": "#"}}), ""));
        assert!(!of(json!({"type": "array", "contains": {"type": "string"}}), ""));
        assert!(!of(json!({"type": "object", "properties": {"items": {"type": "string"}}}), "/items"));
    }
}

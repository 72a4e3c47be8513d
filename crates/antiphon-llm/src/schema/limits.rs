//! The limits of a schema, whose author may be a stranger: how deep it is nested, how many parts it has, and how many of them one
//! value is checked against.
//!
//! The last is not the length of the schema: `a0` with `allOf: [a1, a1]`, `a1` with `allOf: [a2, a2]` and so on doubles with each
//! definition. It is counted here before the schema is compiled. A value is checked against a definition that refers to itself
//! below a property as often as the value is nested, which the parser of answers limits.

use std::collections::HashMap;

use serde_json::Value;

use super::references::{IN_PLACE, PARTS, below, has_own_base, reference, resolved};

/// The most levels of a schema's JSON. A property takes two of them.
const MAX_DEPTH: usize = 96;
/// The most schemas of one value that lead to one another, by references or as parts of each other.
const MAX_CHAIN: usize = 48;
/// The most schemas below each other whose costs are counted; what is below them is checked when a value is as deep.
const MAX_COUNTED: usize = 256;
/// The most values in a schema's JSON.
const MAX_VALUES: usize = 500_000;
/// The most schemas against which one value, without its properties and items, is checked.
const MAX_IN_PLACE: u64 = 10_000;
/// The most schemas against which a value with all its properties and items is checked, each of which is there once.
const MAX_IN_ALL: u64 = 10_000_000;

/// Describes the limit that a schema exceeds, with the place; `None` if it exceeds none.
pub(super) fn exceeded(root: &Value) -> Option<String> {
    if let Some(why) = size(root) {
        return Some(why);
    }
    let of_value = |key: &str| IN_PLACE.contains(&key);
    let of_parts = |key: &str| IN_PLACE.contains(&key) || PARTS.contains(&key);
    let mut starts = vec![String::new()];
    let mut in_place =
        Costs { root, known: HashMap::new(), most: MAX_IN_PLACE, follows: &of_value, chain: Some(MAX_CHAIN) };
    while let Some(at) = starts.pop() {
        if let Err(why) = in_place.cost(&at, 0) {
            return Some(why);
        }
        if let Some(Value::Object(object)) = root.pointer(&at) {
            let definitions = |key: &str| of_parts(key) || ["$defs", "definitions"].contains(&key);
            starts.extend(below(object, &at, definitions).into_iter().map(|(at, _)| at));
        }
    }
    let mut in_all = Costs { root, known: HashMap::new(), most: MAX_IN_ALL, follows: &of_parts, chain: None };
    in_all.cost("", 0).err()
}

/// Describes the limit of nesting or of size that a value exceeds.
fn size(root: &Value) -> Option<String> {
    let (mut open, mut count) = (vec![(root, 0)], 0);
    while let Some((value, depth)) = open.pop() {
        count += 1;
        if depth > MAX_DEPTH {
            return Some(format!("it is nested more than {MAX_DEPTH} levels deep"));
        }
        if count > MAX_VALUES {
            return Some(format!("it has more than {MAX_VALUES} values"));
        }
        match value {
            Value::Array(items) => open.extend(items.iter().map(|item| (item, depth + 1))),
            Value::Object(fields) => open.extend(fields.values().map(|field| (field, depth + 1))),
            _ => {}
        }
    }
    None
}

/// The numbers of schemas that are checked for the schemas of one value.
struct Costs<'s> {
    root: &'s Value,
    /// The cost of each schema by its pointer; that of one that is being counted, which refers to itself, is 1.
    known: HashMap<String, Cost>,
    most: u64,
    follows: &'s dyn Fn(&str) -> bool,
    /// The most schemas that lead to one another; `None` where each may be of a smaller value.
    chain: Option<usize>,
}

/// The schemas to which a schema leads, itself included.
#[derive(Debug, Clone, Copy)]
struct Cost {
    schemas: u64,
    /// The length of the longest chain of them.
    chain: usize,
}

impl Costs<'_> {
    /// Counts the schemas to which a schema leads. The recursion is at most as deep as [`MAX_COUNTED`].
    fn cost(&mut self, at: &str, depth: usize) -> Result<Cost, String> {
        let single = Cost { schemas: 1, chain: 1 };
        if let Some(cost) = self.known.get(at) {
            return Ok(*cost);
        }
        let Some(Value::Object(object)) = self.root.pointer(at) else { return Ok(single) };
        if depth > MAX_COUNTED || has_own_base(at, object) {
            return Ok(single);
        }
        self.known.insert(at.to_owned(), single);
        let target = reference(object).and_then(|(_, reference)| resolved(self.root, reference));
        let below = below(object, at, self.follows);
        let mut cost = single;
        for next in below.into_iter().map(|(at, _)| at).chain(target) {
            let Cost { schemas, chain } = self.cost(&next, depth + 1)?;
            cost.schemas = cost.schemas.saturating_add(schemas);
            cost.chain = cost.chain.max(chain + 1);
        }
        if let Some(most) = self.chain.filter(|most| cost.chain > *most) {
            return Err(format!("at {at}: more than {most} schemas of one value lead to one another"));
        }
        if cost.schemas > self.most {
            let most = self.most;
            return Err(format!("at {at}: a value would be checked against more than {most} schemas"));
        }
        self.known.insert(at.to_owned(), cost);
        Ok(cost)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::Schema;

    #[track_caller]
    fn check(schema: Value, expected: &str) {
        let err = Schema::new("s", schema).unwrap_err().to_string();
        assert!(err.contains(expected), "{err}");
    }

    /// Returns definitions of which each refers to the next one as `part` says, in which `N` is the number of the next.
    fn chain(length: usize, part: &str) -> Value {
        let of = |n: usize| part.replace('N', &(n + 1).to_string());
        let mut definitions: serde_json::Map<String, Value> =
            (0..length).map(|n| (format!("a{n}"), serde_json::from_str(&of(n)).unwrap())).collect();
        definitions.insert(format!("a{length}"), json!({ "type": "integer" }));
        json!({ "$ref": "#/$defs/a0", "$defs": definitions })
    }

    const NEXT: &str = r##"{"$ref": "#/$defs/aN"}"##;

    #[test]
    fn parts_that_double_are_counted_before_they_are_checked() {
        for keyword in ["allOf", "anyOf", "oneOf"] {
            let part = format!("{{\"{keyword}\": [{NEXT}, {NEXT}]}}");
            check(chain(40, &part), "checked against more than 10000 schemas");
            assert!(Schema::new("s", chain(8, &part)).is_ok());
        }
        check(chain(40, &format!("{{\"if\": {NEXT}, \"then\": {NEXT}}}")), "more than 10000 schemas");
        let of_part =
            format!("{{\"allOf\": [{{\"properties\": {{\"a\": {NEXT}}}}}, {{\"items\": {NEXT}}}]}}");
        check(chain(40, &of_part), "more than 10000000 schemas");
        check(chain(2_000, NEXT), "more than 48 schemas of one value lead to one another");
        assert!(Schema::new("s", chain(40, NEXT)).is_ok());
        let mut below = chain(2_000, NEXT);
        below["$ref"] = json!("#/$defs/a2000");
        check(below, "more than 48 schemas of one value lead to one another");
    }

    #[test]
    fn a_schema_that_refers_to_itself_below_a_property_is_used() {
        let tree = json!({ "$ref": "#/$defs/n", "$defs": { "n": { "properties": {
            "left": { "$ref": "#/$defs/n" }, "right": { "$ref": "#/$defs/n" },
        } } } });
        assert!(Schema::new("s", tree).unwrap().is_valid(&json!({ "left": { "right": {} } })));
    }

    #[test]
    fn nesting_and_size_are_limited_on_a_small_stack_too() {
        let nested = || {
            let deep =
                |part: &str, levels: usize| (0..levels).fold(json!({}), |inner, _| json!({ part: inner }));
            check(deep("items", 1_000), "nested more than 96 levels deep");
            check(deep("not", 60), "more than 48 schemas of one value");
            for (part, levels) in [("not", 45), ("items", 90)] {
                assert!(Schema::new("s", deep(part, levels)).unwrap().violations(&json!(1)).len() < 2);
            }
        };
        std::thread::Builder::new().stack_size(2 << 20).spawn(nested).unwrap().join().unwrap();
        let names: serde_json::Map<String, Value> =
            (0..10_000).map(|n| (format!("p{n}"), json!({ "type": "string" }))).collect();
        let wide = Schema::new("s", json!({ "properties": names })).unwrap();
        assert!(wide.is_valid(&json!({ "p7": "x" })) && !wide.is_valid(&json!({ "p7": 1 })));
        check(json!({ "enum": vec![1; 600_000] }), "more than 500000 values");
    }

    #[test]
    fn numbers_out_of_reach_and_many_elements_are_checked_in_bounded_steps() {
        let valid = |schema: Value, value: Value| Schema::new("s", schema).unwrap().is_valid(&value);
        assert!(!valid(json!({ "minItems": 4_294_967_295_u32 }), json!([1])));
        assert!(valid(json!({ "multipleOf": 1e-300 }), json!(3)));
        let many: Vec<Value> = (0..100_000).map(|n| json!({ "n": n })).collect();
        assert!(valid(json!({ "uniqueItems": true }), Value::Array(many)));
    }

    /// A backtracking engine takes 2³⁰ steps for this, and gives up with an error that is none of the value.
    #[test]
    fn patterns_are_matched_in_linear_time_where_they_can_be() {
        let schema = Schema::new("s", json!({ "pattern": "^(a+)+$" })).unwrap();
        let text = format!("{}!", "a".repeat(30_000));
        let found = schema.violations(&json!(text));
        assert!(found.len() == 1 && found[0].message.contains("does not match"), "{found:?}");
        assert!(schema.is_valid(&json!("a".repeat(30_000))));
        let looks_ahead = Schema::new("s", json!({ "pattern": "^(?=.*b)(a+)+b$" })).unwrap();
        assert!(looks_ahead.is_valid(&json!("aab")));
        assert_eq!(looks_ahead.violations(&json!(format!("{}!b", "a".repeat(300)))).len(), 1);
        assert!(Schema::new("s", json!({ "pattern": "(" })).is_err());
    }
}

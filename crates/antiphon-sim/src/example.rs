//! Random values that fit a JSON schema.

mod merge;
mod numbers;
mod text;

use std::cell::Cell;

use rand::RngExt;
use rand::rngs::SmallRng;
use serde::Deserialize as _;
use serde_json::{Map, Value, json};

use self::merge::merge;

/// The depth to which recursive schemas are followed; below it, optional parts are left out.
const DEPTH: usize = 12;
/// The maximum nesting; a schema that cannot end gets null there.
const MOST_NESTED: usize = 64;
/// The number of values after which optional parts are left out.
const DEFAULT_VALUES: usize = 2_000;
/// The number of values after which the rest is null.
const MOST_VALUES: usize = 20_000;
/// The maximum length of a list and size of an object, even if the schema requires more.
const MOST_ITEMS: usize = 10_000;
/// The maximum number of characters in all texts together.
const ROOM: usize = 500_000;
/// The depth to which the shortest branch of a schema is searched.
const HEIGHT: usize = 8;
/// The number of schemas visited in all such searches.
const MOST_LOOKS: usize = 20_000;

/// Returns a value that fits a JSON schema and depends on the seed of `rng`.
///
/// Not supported are `not`, conditions, `patternProperties`, `dependentSchemas`, `unevaluated*` and anchors. Where parts of an
/// `allOf` have two patterns or two `anyOf`, only one of them is used.
pub(crate) fn fitting(schema: &Value, rng: &mut SmallRng) -> Value {
    Maker { root: schema, rng, nested: 0, values: 0, room: ROOM, looks: Cell::new(0) }.value(schema, DEPTH)
}

struct Maker<'s, 'r> {
    root: &'s Value,
    rng: &'r mut SmallRng,
    nested: usize,
    /// The number of values so far: a short schema can require more than fits in memory.
    values: usize,
    /// The rest of [`ROOM`].
    room: usize,
    looks: Cell<usize>,
}

impl Maker<'_, '_> {
    fn value(&mut self, schema: &Value, depth: usize) -> Value {
        if self.nested >= MOST_NESTED || self.values >= MOST_VALUES {
            return Value::Null;
        }
        self.nested += 1;
        self.values += 1;
        let depth = if self.values > DEFAULT_VALUES { 0 } else { depth };
        let value = self.generate(schema, depth);
        self.nested -= 1;
        value
    }

    fn generate(&mut self, schema: &Value, depth: usize) -> Value {
        let Some(object) = schema.as_object() else { return json!("any") };
        let object = &with_described_bounds(object);
        if let Some(value) = object.get("const") {
            return value.clone();
        }
        if let Some(values) = object.get("enum").and_then(Value::as_array).filter(|values| !values.is_empty())
        {
            let of_its_type: Vec<&Value> = values.iter().filter(|value| is_of_type(value, object)).collect();
            let values = if of_its_type.is_empty() { values.iter().collect() } else { of_its_type };
            return values[self.rng.random_range(0..values.len())].clone();
        }
        if object.contains_key("$ref") {
            let found = self.resolved(schema);
            // A reference to itself cannot be resolved.
            return if found == *schema { Value::Null } else { self.value(&found, depth.saturating_sub(1)) };
        }
        if let Some(parts) = object.get("allOf").and_then(Value::as_array) {
            let mut all = object.clone();
            all.remove("allOf");
            let parts: Vec<Value> = parts.iter().map(|part| self.resolved(part)).collect();
            parts.iter().for_each(|part| merge(&mut all, part));
            return self.value(&Value::Object(all), depth.saturating_sub(1));
        }
        for key in ["anyOf", "oneOf"] {
            if let Some(branches) =
                object.get(key).and_then(Value::as_array).filter(|branches| !branches.is_empty())
            {
                // At the maximum depth, the branch that ends soonest.
                let at = match depth {
                    0 => (0..branches.len()).min_by_key(|at| self.height(&branches[*at], HEIGHT)),
                    _ => Some(self.rng.random_range(0..branches.len())),
                };
                let at = at.unwrap_or(0);
                let mut all = object.clone();
                all.remove(key);
                let branch = self.resolved(&branches[at]);
                merge(&mut all, &branch);
                return self.value(&Value::Object(all), depth.saturating_sub(1));
            }
        }
        match self.kind(object, depth).as_str() {
            "object" => self.object(object, depth),
            "array" => self.array(object, depth),
            "string" => Value::String(text::fitting(object, self.rng, &mut self.room)),
            "integer" => numbers::integer(object, self.rng),
            "number" => numbers::number(object, self.rng),
            "boolean" => Value::Bool(self.rng.random_range(0..2) == 0),
            _ => Value::Null,
        }
    }

    /// Returns the nesting of the smallest value of a schema, up to `most`.
    fn height(&self, schema: &Value, most: usize) -> usize {
        self.looks.set(self.looks.get() + 1);
        let is_enough = most == 0 || self.looks.get() > MOST_LOOKS;
        let Some(object) = schema.as_object().filter(|_| !is_enough) else { return 0 };
        let below = |schema: &Value| self.height(schema, most - 1);
        if object.contains_key("$ref") {
            return 1 + below(&self.resolved(schema));
        }
        let required = names(object, "required");
        let properties = object.get("properties").and_then(Value::as_object).into_iter().flatten();
        let must = properties.filter(|(name, _)| required.contains(&name.as_str())).map(|(_, schema)| schema);
        let items = object.get("items").filter(|_| bound(object, "minItems").is_some_and(|least| least > 0));
        let own = must.chain(items).map(below).max();
        let branches = ["anyOf", "oneOf"].iter().filter_map(|key| object.get(*key)?.as_array());
        let least = branches.filter_map(|branches| branches.iter().map(below).min()).max();
        1 + own.max(least).unwrap_or(0)
    }

    /// Returns the target of a reference, merged with the keywords beside the reference.
    fn resolved(&self, schema: &Value) -> Value {
        let target = schema.get("$ref").and_then(Value::as_str).and_then(|target| target.strip_prefix('#'));
        let Some(target) = target.and_then(|pointer| self.root.pointer(pointer)) else {
            return schema.clone();
        };
        let beside = schema.as_object().filter(|beside| beside.len() > 1);
        match (target, beside) {
            (Value::Object(target), Some(beside)) => {
                let mut beside = beside.clone();
                beside.remove("$ref");
                merge(&mut beside, &Value::Object(target.clone()));
                Value::Object(beside)
            }
            (target, _) => target.clone(),
        }
    }

    fn kind(&mut self, object: &Map<String, Value>, depth: usize) -> String {
        match object.get("type") {
            Some(Value::String(kind)) => kind.clone(),
            Some(Value::Array(kinds)) if !kinds.is_empty() => {
                let ends = kinds.iter().find(|kind| *kind == "null").filter(|_| depth == 0);
                let kind = ends.unwrap_or(&kinds[self.rng.random_range(0..kinds.len())]);
                kind.as_str().unwrap_or_default().to_owned()
            }
            _ if object.contains_key("properties") => "object".to_owned(),
            _ if object.contains_key("items") || object.contains_key("prefixItems") => "array".to_owned(),
            _ => "string".to_owned(),
        }
    }

    fn object(&mut self, object: &Map<String, Value>, depth: usize) -> Value {
        let none = Map::new();
        let properties = object.get("properties").and_then(Value::as_object).unwrap_or(&none);
        let required = names(object, "required");
        let least = bound(object, "minProperties").unwrap_or(0).min(MOST_ITEMS);
        let most = bound(object, "maxProperties").unwrap_or(usize::MAX);
        let mut wanted: Vec<&str> = Vec::new();
        for name in properties.keys() {
            let is_drawn = depth > 0 && wanted.len() < most && self.rng.random_range(0..4) > 0;
            if required.contains(&name.as_str()) || (is_drawn && required.len() < most) {
                wanted.push(name);
            }
        }
        wanted.extend(required.iter().filter(|name| !properties.contains_key(**name)));
        let with = object.get("dependentRequired").and_then(Value::as_object).into_iter().flatten();
        for (name, others) in with {
            if wanted.contains(&name.as_str()) {
                wanted.extend(others.as_array().into_iter().flatten().filter_map(Value::as_str));
            }
        }
        let others = properties.keys().map(String::as_str).filter(|name| !wanted.contains(name));
        let missing: Vec<&str> = others.take(least.saturating_sub(wanted.len())).collect();
        wanted.extend(missing);
        let any = Value::Bool(true);
        let rest = object.get("additionalProperties").filter(|rest| rest.is_object()).unwrap_or(&any);
        let mut made = Map::new();
        for name in wanted {
            if !made.contains_key(name) {
                let value = self.value(properties.get(name).unwrap_or(rest), depth.saturating_sub(1));
                made.insert(name.to_owned(), value);
            }
        }
        let named = object.get("propertyNames").and_then(Value::as_object);
        // `propertyNames` may allow fewer names than `minProperties` requires.
        for at in made.len()..least.max(made.len()).saturating_mul(2) {
            if made.len() >= least {
                break;
            }
            let name = named
                .map_or_else(|| format!("key_{at}"), |named| text::fitting(named, self.rng, &mut self.room));
            let value = self.value(rest, depth.saturating_sub(1));
            made.insert(name, value);
        }
        Value::Object(made)
    }

    fn array(&mut self, object: &Map<String, Value>, depth: usize) -> Value {
        let first: &[Value] = object.get("prefixItems").and_then(Value::as_array).map_or(&[], |first| first);
        let mut items: Vec<Value> =
            first.iter().map(|schema| self.value(schema, depth.saturating_sub(1))).collect();
        let least = bound(object, "minItems").unwrap_or(0).max(items.len()).min(MOST_ITEMS);
        let most = bound(object, "maxItems").unwrap_or(usize::MAX).max(least);
        let usual = if depth == 0 { least } else { self.rng.random_range(1..4) };
        let any = Value::Bool(true);
        let schema = object.get("items").unwrap_or(&any);
        let is_unique = object.get("uniqueItems") == Some(&Value::Bool(true));
        let mut wanted = if schema == &Value::Bool(false) { items.len() } else { usual.clamp(least, most) };
        if let Some(contained) = object.get("contains").filter(|contained| contained.is_object()) {
            let both = json!({ "allOf": [schema, contained] });
            for _ in 0..bound(object, "minContains").unwrap_or(1).min(MOST_ITEMS) {
                items.push(self.value(&both, depth.saturating_sub(1)));
            }
            wanted = wanted.max(items.len());
        }
        // The schema may allow fewer distinct values than are wanted.
        for _ in 0..wanted * 20 {
            if items.len() >= wanted || self.values >= MOST_VALUES {
                break;
            }
            let item = self.value(schema, depth.saturating_sub(1));
            if !is_unique || !items.contains(&item) {
                items.push(item);
            }
        }
        Value::Array(items)
    }
}

fn is_of_type(value: &Value, object: &Map<String, Value>) -> bool {
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

fn names<'o>(object: &'o Map<String, Value>, key: &str) -> Vec<&'o str> {
    object.get(key).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect()
}

fn bound(object: &Map<String, Value>, key: &str) -> Option<usize> {
    object.get(key)?.as_u64().and_then(|bound| usize::try_from(bound).ok())
}

/// Returns a schema with the keywords that only its description has, as in `maxItems: 3`: not all vendors accept all keywords,
/// and a model follows the description.
fn with_described_bounds(object: &Map<String, Value>) -> Map<String, Value> {
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

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::SmallRng;
    use serde_json::{Value, json};

    use super::fitting;

    #[track_caller]
    fn check(schema: Value) {
        let validator = jsonschema::validator_for(&schema).unwrap();
        for seed in 0..50 {
            let value = fitting(&schema, &mut SmallRng::seed_from_u64(seed));
            let errors: Vec<_> = validator.iter_errors(&value).map(|err| err.to_string()).collect();
            assert!(errors.is_empty(), "{value}: {errors:?}");
        }
    }

    #[test]
    fn values_fit_their_schema() {
        check(json!({ "type": "object", "properties": {
            "name": { "type": "string", "minLength": 3, "maxLength": 9 },
            "age": { "type": "integer", "minimum": 18, "maximum": 99 },
            "score": { "type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1 },
            "step": { "type": "integer", "multipleOf": 5, "minimum": 7 },
            "tags": { "type": "array", "items": { "enum": ["a", "b", "c"] }, "minItems": 2, "maxItems": 3, "uniqueItems": true },
            "born": { "type": "string", "format": "date" },
            "maybe": { "type": ["string", "null"] },
            "fixed": { "const": 7 },
        }, "required": ["name", "age", "tags", "fixed"], "additionalProperties": false }));
        check(json!({ "type": "array", "items": { "$ref": "#/$defs/node" }, "minItems": 1, "$defs": {
            "node": { "type": "object", "required": ["id", "next"], "properties": {
                "id": { "type": "string", "pattern": "^[a-z]{3}-\\d{2,4}$" },
                "next": { "anyOf": [{ "$ref": "#/$defs/node" }, { "type": "null" }] },
            } },
        } }));
        check(json!({ "allOf": [
            { "type": "object", "properties": { "a": { "type": "boolean" } }, "required": ["a"] },
            { "properties": { "b": { "oneOf": [{ "type": "integer", "maximum": -5 }, { "type": "string", "pattern": "x+|y" }] } }, "required": ["b"] },
        ] }));
        check(json!({ "type": "object", "additionalProperties": { "type": "integer" }, "minProperties": 2 }));
        check(
            json!({ "type": "array", "prefixItems": [{ "type": "string" }, { "type": "number", "multipleOf": 0.5 }], "items": false, "minItems": 2 }),
        );
        check(json!({ "type": "string", "minLength": 200 }));
        check(json!({}));
    }

    #[test]
    fn merged_schemas_keep_all_their_constraints() {
        let list = json!({ "type": "array", "items": { "type": "string" } });
        check(json!({ "$ref": "#/$defs/list", "minItems": 5, "$defs": { "list": list } }));
        let property = |schema: Value| json!({ "properties": { "a": schema }, "required": ["a"] });
        check(
            json!({ "type": "object", "allOf": [property(json!({ "type": "integer" })), property(json!({ "minimum": 5 }))] }),
        );
        check(json!({ "type": "integer", "allOf": [{ "minimum": 50 }, { "minimum": 1 }] }));
        check(
            json!({ "type": ["string", "integer"], "allOf": [{ "type": "integer" }, { "enum": [1, 2, "x"] }] }),
        );
        check(json!({ "type": "integer", "minimum": 18, "description": "Not under minimum: 16 elsewhere." }));
    }

    #[test]
    fn texts_and_numbers_keep_all_their_bounds() {
        for (pattern, key, length) in [
            ("^[a-z]+$", "minLength", 5),
            ("^[a-z]*$", "maxLength", 2),
            ("^[a-z]{1500}$", "minLength", 1_500),
        ] {
            check(json!({ "type": "string", "pattern": pattern, key: length }));
        }
        check(json!({ "type": "string", "format": "uri", "maxLength": 10 }));
        check(
            json!({ "type": "array", "uniqueItems": true, "minItems": 2, "items": { "type": "string", "pattern": "^[a-z]+$" } }),
        );
        check(
            json!({ "type": "array", "uniqueItems": true, "minItems": 2, "items": { "type": "number", "multipleOf": 0.5 } }),
        );
        check(json!({ "type": "number", "multipleOf": 0.01, "minimum": 0.57 }));
        check(json!({ "type": "integer", "minimum": 0, "exclusiveMinimum": 5 }));
        check(json!({ "type": "integer", "multipleOf": 1.5 }));
        check(
            json!({ "type": "integer", "minimum": 9_007_199_254_740_993_u64, "maximum": 9_007_199_254_740_995_u64 }),
        );
    }

    #[test]
    fn objects_and_lists_keep_all_their_bounds() {
        let two = json!({ "a": { "type": "integer" }, "b": { "type": "integer" } });
        check(
            json!({ "type": "object", "properties": two, "minProperties": 2, "additionalProperties": false }),
        );
        check(json!({ "type": "object", "properties": two, "maxProperties": 1 }));
        check(json!({ "type": "object", "properties": two, "dependentRequired": { "a": ["b"] } }));
        check(json!({ "type": "object", "propertyNames": { "pattern": "^[a-z]{4}$" }, "minProperties": 3 }));
        check(
            json!({ "type": "array", "items": { "type": "integer" }, "contains": { "minimum": 7 }, "maxItems": 3 }),
        );
    }

    #[test]
    fn the_size_of_a_value_is_bounded() {
        let all: serde_json::Map<String, Value> =
            (0..20).map(|at| (format!("p{at}"), json!({ "$ref": "#" }))).collect();
        check(json!({ "type": "object", "properties": all }));
        for endless in [
            json!({ "type": "object", "minProperties": 4_000_000_000_u64 }),
            json!({ "type": "object", "required": ["a", "b"], "properties": { "a": { "$ref": "#" }, "b": { "$ref": "#" } } }),
            json!({ "type": "string", "pattern": "^(((a{1000}){1000}){100})$" }),
            json!({ "type": "string", "pattern": "^(((()){1000}){1000}){1000}$" }),
            json!({ "type": "array", "minItems": 10_000, "items": { "type": "string", "minLength": 100_000 } }),
            json!({ "type": "array", "minItems": 10_000, "items": { "pattern": "^(((()){1000}){1000}){1000}$" } }),
            json!({ "type": "number", "minimum": 1.7e308, "multipleOf": 0.01 }),
        ] {
            let length = fitting(&endless, &mut SmallRng::seed_from_u64(1)).to_string().len();
            assert!(length < 1_000_000, "{length}");
        }
    }

    #[test]
    fn recursive_schemas_end() {
        let expression = json!({ "anyOf": [{ "$ref": "#/$defs/number" }, { "$ref": "#/$defs/sum" }], "$defs": {
            "number": { "type": "object", "required": ["number"], "properties": { "number": { "type": "integer" } } },
            "sum": { "type": "object", "required": ["left", "right"], "properties": {
                "left": { "anyOf": [{ "$ref": "#/$defs/sum" }, { "$ref": "#/$defs/number" }] },
                "right": { "anyOf": [{ "$ref": "#/$defs/number" }, { "$ref": "#/$defs/sum" }] },
            } },
        } });
        check(expression);
        for endless in [
            json!({ "$ref": "#" }),
            json!({ "type": "object", "required": ["a"], "properties": { "a": { "$ref": "#" } } }),
        ] {
            fitting(&endless, &mut SmallRng::seed_from_u64(1));
        }
        let huge = json!({ "type": "array", "minItems": u64::MAX, "items": { "type": "number", "minimum": -1.7e308, "maximum": 1.7e308 } });
        assert_eq!(fitting(&huge, &mut SmallRng::seed_from_u64(1)).as_array().unwrap().len(), 10_000);
    }

    #[test]
    fn bounds_that_only_the_description_has_are_kept() {
        let text = json!({ "type": "array", "description": "Goals. (minItems: 2, maxItems: 2)",
            "items": { "type": "string", "description": "pattern: \"^d[0-9]{1,6}$\"" } });
        for seed in 0..50 {
            let value = fitting(&text, &mut SmallRng::seed_from_u64(seed));
            let items = value.as_array().unwrap();
            let is_id = |item: &Value| {
                item.as_str().unwrap().strip_prefix('d').is_some_and(|id| id.parse::<u32>().is_ok())
            };
            assert!(items.len() == 2 && items.iter().all(is_id), "{value}");
        }
    }

    #[test]
    fn a_value_is_reproducible_by_seed() {
        let schema = json!({ "type": "array", "items": { "type": "string" }, "minItems": 3 });
        let of = |seed| fitting(&schema, &mut SmallRng::seed_from_u64(seed));
        assert_eq!(of(1), of(1));
        assert_ne!(of(1), of(2));
    }
}

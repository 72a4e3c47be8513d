//! The recursive choice of a value: simplification of a schema, and the bounds on the size of the whole.

use std::cell::Cell;

use rand::RngExt;
use rand::rngs::SmallRng;
use serde_json::{Map, Value, json};

use super::keywords::{bound, is_of_type, names, non_empty, with_described_bounds};
use super::merge::merge;
use super::{numbers, text};

/// The depth to which recursive schemas are followed; below it, optional parts are left out.
const DEPTH: usize = 12;
/// The maximum nesting; a schema that cannot end gets null there.
const MOST_NESTED: usize = 64;
/// The number of values after which optional parts are left out.
const DEFAULT_VALUES: usize = 2_000;
/// The number of values after which the rest is null.
pub(super) const MOST_VALUES: usize = 20_000;
/// The maximum length of a list and size of an object, even if the schema requires more.
pub(super) const MOST_ITEMS: usize = 10_000;
/// The maximum number of characters in all texts together.
const ROOM: usize = 500_000;
/// The depth to which the shortest branch of a schema is searched.
const HEIGHT: usize = 8;
/// The number of schemas visited in all such searches.
const MOST_LOOKS: usize = 20_000;

/// Returns a value that fits a JSON schema and depends on the seed of `rng`.
///
/// Not supported are `not`, conditions, `patternProperties`, `dependentSchemas`, `unevaluated*` and anchors. Where
/// parts of an `allOf` have two patterns or two `anyOf`, only one of them is used.
pub(crate) fn fitting(schema: &Value, rng: &mut SmallRng) -> Value {
    Maker { root: schema, rng, nested: 0, values: 0, room: ROOM, looks: Cell::new(0) }.value(schema, DEPTH)
}

/// The maker of one value, with the account of what it has used of each bound.
pub(super) struct Maker<'s, 'r> {
    /// The whole schema, to which references point.
    root: &'s Value,
    pub(super) rng: &'r mut SmallRng,
    /// The current nesting.
    nested: usize,
    /// The number of values so far: a short schema can require more than fits in memory.
    pub(super) values: usize,
    /// The rest of [`ROOM`].
    pub(super) room: usize,
    /// The number of schemas visited by [`height`](Self::height), which has only a shared reference.
    looks: Cell<usize>,
}

impl Maker<'_, '_> {
    /// Returns a value that fits a schema, or null where a bound is used up. With a depth of 0, optional parts are left
    /// out.
    pub(super) fn value(&mut self, schema: &Value, depth: usize) -> Value {
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

    /// Returns a value by the first keyword that decides it: `const`, `enum`, `$ref`, a combination of schemas, or the
    /// type.
    fn generate(&mut self, schema: &Value, depth: usize) -> Value {
        let Some(object) = schema.as_object() else { return json!("any") };
        let object = &with_described_bounds(object);
        if let Some(value) = object.get("const") {
            return value.clone();
        }
        if let Some(values) = non_empty(object, "enum") {
            return self.one_of(values, object);
        }
        if object.contains_key("$ref") {
            return self.referenced(schema, depth);
        }
        match self.combined(object, depth) {
            Some(combined) => self.value(&combined, depth.saturating_sub(1)),
            None => self.of_kind(object, depth),
        }
    }

    /// Returns one of the values of an `enum`, if possible one of the schema's type.
    fn one_of(&mut self, values: &[Value], object: &Map<String, Value>) -> Value {
        let of_its_type: Vec<&Value> = values.iter().filter(|value| is_of_type(value, object)).collect();
        let values = if of_its_type.is_empty() { values.iter().collect() } else { of_its_type };
        values[self.rng.random_range(0..values.len())].clone()
    }

    /// Returns a value of the schema that a reference names; null if it names itself or nothing.
    fn referenced(&mut self, schema: &Value, depth: usize) -> Value {
        let found = self.resolved(schema);
        // A reference to itself cannot be resolved.
        if found == *schema { Value::Null } else { self.value(&found, depth.saturating_sub(1)) }
    }

    /// Returns a schema without its `allOf`, or else without its `anyOf` or `oneOf`, of which the parts or one branch
    /// are merged into it; `None` if it has none of them.
    fn combined(&mut self, object: &Map<String, Value>, depth: usize) -> Option<Value> {
        if let Some(parts) = object.get("allOf").and_then(Value::as_array) {
            return Some(self.with_parts(object, "allOf", parts));
        }
        let list = |key| Some((key, non_empty(object, key)?));
        let (key, branches) = ["anyOf", "oneOf"].into_iter().find_map(list)?;
        let branch = self.branch(branches, depth)?;
        Some(self.with_parts(object, key, std::slice::from_ref(branch)))
    }

    /// Chooses one of several branches: any, or the one that ends soonest if the depth is used up.
    fn branch<'b>(&mut self, branches: &'b [Value], depth: usize) -> Option<&'b Value> {
        if depth == 0 {
            branches.iter().min_by_key(|branch| self.height(branch, HEIGHT))
        } else {
            branches.get(self.rng.random_range(0..branches.len()))
        }
    }

    /// Returns a schema with some schemas merged into it in place of a keyword.
    fn with_parts(&self, object: &Map<String, Value>, key: &str, parts: &[Value]) -> Value {
        let mut all = object.clone();
        all.remove(key);
        let parts: Vec<Value> = parts.iter().map(|part| self.resolved(part)).collect();
        parts.iter().for_each(|part| merge(&mut all, part));
        Value::Object(all)
    }

    /// Returns a value of the type that a schema without references and combinations has.
    fn of_kind(&mut self, object: &Map<String, Value>, depth: usize) -> Value {
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
    ///
    /// Only what a value must have counts: required properties, items of a list that must not be empty, and the lowest
    /// of several branches. The search costs up to `MOST_LOOKS` visits for the whole value; after that, all schemas
    /// look equally low.
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

    /// Returns the target of a reference, merged with the keywords beside the reference. A schema without a reference,
    /// or with one that names nothing, is returned as it is.
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

    /// Chooses the type: one of the schema's types, or the one that its other keywords imply. With a depth of 0, null
    /// ends a recursion if it is allowed.
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
}

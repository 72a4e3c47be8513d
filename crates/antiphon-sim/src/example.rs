//! Values that fit a schema.

use rand::RngExt;
use rand::rngs::SmallRng;
use regex_syntax::hir::{Class, Hir, HirKind};
use serde::Deserialize as _;
use serde_json::{Map, Number, Value, json};

/// Schemas that name themselves are followed so deep; below, what may be left out is left out.
const DEPTH: usize = 12;

/// A value that fits a JSON schema, different from seed to seed. What it does not understand of a schema (`not`,
/// conditions) it does not look at.
pub(crate) fn fitting(schema: &Value, rng: &mut SmallRng) -> Value {
    Maker { root: schema, rng, nested: 0 }.value(schema, DEPTH)
}

struct Maker<'s, 'r> {
    root: &'s Value,
    rng: &'r mut SmallRng,
    nested: usize,
}

/// So deep is looked for the end of a schema.
const HEIGHT: usize = 8;
/// A schema that cannot end is given up here, with a null where it goes on.
const MOST_NESTED: usize = 64;
/// No text is longer, and no list, whatever the schema asks for.
const MOST_LETTERS: usize = 100_000;
const MOST_ITEMS: usize = 10_000;

impl Maker<'_, '_> {
    fn value(&mut self, schema: &Value, depth: usize) -> Value {
        if self.nested >= MOST_NESTED {
            return Value::Null;
        }
        self.nested += 1;
        let value = self.made(schema, depth);
        self.nested -= 1;
        value
    }

    fn made(&mut self, schema: &Value, depth: usize) -> Value {
        let Some(object) = schema.as_object() else { return json!("any") };
        let object = &heeded(object);
        if let Some(value) = object.get("const") {
            return value.clone();
        }
        if let Some(values) = object.get("enum").and_then(Value::as_array).filter(|values| !values.is_empty())
        {
            return values[self.rng.random_range(0..values.len())].clone();
        }
        if let Some(target) = object.get("$ref").and_then(Value::as_str) {
            let found = target.strip_prefix('#').and_then(|pointer| self.root.pointer(pointer)).cloned();
            return self.value(&found.unwrap_or_default(), depth.saturating_sub(1));
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
                // Deep down the one that ends soonest.
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
            "string" => Value::String(self.string(object)),
            "integer" => self.integer(object),
            "number" => self.number(object),
            "boolean" => Value::Bool(self.rng.random_range(0..2) == 0),
            _ => Value::Null,
        }
    }

    /// How many schemas deep the least value is, as far as `most`.
    fn height(&self, schema: &Value, most: usize) -> usize {
        let Some(object) = schema.as_object().filter(|_| most > 0) else { return 0 };
        let below = |schema: &Value| self.height(schema, most - 1);
        if object.contains_key("$ref") {
            return 1 + below(&self.resolved(schema));
        }
        let required: Vec<&str> = object
            .get("required")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let properties = object.get("properties").and_then(Value::as_object).into_iter().flatten();
        let must = properties.filter(|(name, _)| required.contains(&name.as_str())).map(|(_, schema)| schema);
        let items = object.get("items").filter(|_| bound(object, "minItems").is_some_and(|least| least > 0));
        let own = must.chain(items).map(below).max();
        let branches = ["anyOf", "oneOf"].iter().filter_map(|key| object.get(*key)?.as_array());
        let least = branches.filter_map(|branches| branches.iter().map(below).min()).max();
        1 + own.max(least).unwrap_or(0)
    }

    fn resolved(&self, schema: &Value) -> Value {
        let target = schema.get("$ref").and_then(Value::as_str).and_then(|target| target.strip_prefix('#'));
        target.and_then(|pointer| self.root.pointer(pointer)).unwrap_or(schema).clone()
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
        let required: Vec<&str> = object
            .get("required")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let mut made = Map::new();
        for (name, schema) in object.get("properties").and_then(Value::as_object).into_iter().flatten() {
            if required.contains(&name.as_str()) || (depth > 0 && self.rng.random_range(0..4) > 0) {
                made.insert(name.clone(), self.value(schema, depth.saturating_sub(1)));
            }
        }
        let rest = object.get("additionalProperties").filter(|rest| rest.is_object());
        let least = bound(object, "minProperties").unwrap_or(0).max(made.len());
        let missing =
            required.iter().filter(|name| !made.contains_key(**name)).map(|name| (*name).to_owned());
        let names: Vec<String> = missing.chain((made.len()..least).map(|at| format!("key_{at}"))).collect();
        for name in names {
            let value = rest.map_or(json!("any"), |schema| self.value(schema, depth.saturating_sub(1)));
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
        let wanted = if schema == &Value::Bool(false) { items.len() } else { usual.clamp(least, most) };
        let is_unique = object.get("uniqueItems") == Some(&Value::Bool(true));
        // A set of few values may have no more different ones.
        for _ in 0..wanted * 20 {
            if items.len() >= wanted {
                break;
            }
            let item = self.value(schema, depth.saturating_sub(1));
            if !is_unique || !items.contains(&item) {
                items.push(item);
            }
        }
        Value::Array(items)
    }

    fn string(&mut self, object: &Map<String, Value>) -> String {
        if let Some(pattern) = object.get("pattern").and_then(Value::as_str)
            && let Ok(pattern) = regex_syntax::parse(pattern)
        {
            let mut text = String::new();
            self.matching(&pattern, &mut text);
            return text;
        }
        let day = self.rng.random_range(1..29);
        let number: u32 = self.rng.random_range(0..100);
        let known = match object.get("format").and_then(Value::as_str).unwrap_or_default() {
            "date" => Some(format!("2026-01-{day:02}")),
            "date-time" => Some(format!("2026-01-{day:02}T12:00:00Z")),
            "time" => Some("12:00:00Z".to_owned()),
            "duration" => Some(format!("P{day}D")),
            "email" => Some(format!("fox{number}@example.org")),
            "hostname" => Some(format!("host{number}.example.org")),
            "uri" | "url" => Some(format!("https://example.org/{number}")),
            "ipv4" => Some(format!("192.0.2.{number}")),
            "ipv6" => Some(format!("2001:db8::{number:x}")),
            "uuid" => Some(format!("00000000-0000-4000-8000-{number:012}")),
            _ => None,
        };
        if let Some(known) = known {
            return known;
        }
        let least = bound(object, "minLength").unwrap_or(0).min(MOST_LETTERS);
        let most = bound(object, "maxLength").unwrap_or(usize::MAX).max(least);
        let words = ["quick", "brown", "fox", "lazy", "dog", "over", "jumps"];
        let mut text = String::new();
        while text.len() < least.max(1) || (text.len() < 24 && self.rng.random_range(0..3) > 0) {
            text.push_str(words[self.rng.random_range(0..words.len())]);
            text.push(' ');
        }
        text.truncate(text.trim_end().len().max(least).min(most));
        text
    }

    /// Writes a text that a pattern takes.
    fn matching(&mut self, pattern: &Hir, text: &mut String) {
        match pattern.kind() {
            HirKind::Literal(literal) => text.push_str(&String::from_utf8_lossy(&literal.0)),
            HirKind::Class(Class::Unicode(class)) => {
                // Letters that people can read, where there are any.
                let ranges = class.ranges();
                let readable = ranges.iter().find(|range| range.start().is_ascii_graphic());
                text.extend(readable.or(ranges.first()).map(|range| range.start()));
            }
            HirKind::Class(Class::Bytes(class)) => {
                text.extend(class.ranges().first().map(|range| char::from(range.start())));
            }
            HirKind::Repetition(repetition) => {
                let least = repetition.min.max(u32::from(repetition.max != Some(0)));
                for _ in 0..least.min(1_000) {
                    self.matching(&repetition.sub, text);
                }
            }
            HirKind::Capture(capture) => self.matching(&capture.sub, text),
            HirKind::Concat(parts) => parts.iter().for_each(|part| self.matching(part, text)),
            HirKind::Alternation(branches) => {
                let at = self.rng.random_range(0..branches.len());
                self.matching(&branches[at], text);
            }
            HirKind::Empty | HirKind::Look(_) => {}
        }
    }

    fn integer(&mut self, object: &Map<String, Value>) -> Value {
        let of = |key: &str| object.get(key).and_then(Value::as_f64);
        let step = of("multipleOf").filter(|step| *step >= 1.0).unwrap_or(1.0);
        let least = of("minimum").or_else(|| of("exclusiveMinimum").map(|least| least.floor() + 1.0));
        let most = of("maximum").or_else(|| of("exclusiveMaximum").map(|most| most.ceil() - 1.0));
        let least = least.unwrap_or_else(|| most.map_or(0.0, |most| (most - 100.0).min(0.0)));
        let first = (least / step).ceil();
        let last = most.map_or(first + 100.0, |most| (most / step).floor()).max(first).min(first + 100.0);
        #[expect(clippy::cast_possible_truncation, reason = "bounds of schemas are whole and far below 2^52")]
        Value::Number(Number::from((step * self.rng.random_range(first..=last).round()) as i64))
    }

    fn number(&mut self, object: &Map<String, Value>) -> Value {
        let of = |key: &str| object.get(key).and_then(Value::as_f64);
        let least = of("minimum").or_else(|| of("exclusiveMinimum").map(|least| least + 1e-6));
        let most = of("maximum").or_else(|| of("exclusiveMaximum").map(|most| most - 1e-6));
        let least = least.unwrap_or_else(|| most.map_or(0.0, |most| (most - 1.0).min(0.0)));
        // Far apart is far enough.
        let most = most.unwrap_or(least + 1.0).clamp(least, least + 1e9);
        let drawn = match of("multipleOf") {
            Some(step) => (least / step).ceil() * step,
            None => self.rng.random_range(least..=most),
        };
        Number::from_f64(drawn).map_or(Value::Null, Value::Number)
    }
}

fn bound(object: &Map<String, Value>, key: &str) -> Option<usize> {
    object.get(key)?.as_u64().and_then(|bound| usize::try_from(bound).ok())
}

/// The demands of a schema, with those that only its description tells of, as in `maxItems: 3`: not all vendors take all
/// keywords, and a model heeds words.
fn heeded(object: &Map<String, Value>) -> Map<String, Value> {
    const TOLD: [&str; 10] = [
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
    for key in TOLD {
        let after = description.split_once(&format!("{key}: ")).map(|(_, after)| after);
        let value =
            after.and_then(|after| Value::deserialize(&mut serde_json::Deserializer::from_str(after)).ok());
        all.extend(value.map(|value| (key.to_owned(), value)));
    }
    all
}

/// Puts the demands of one schema to those of another.
fn merge(into: &mut Map<String, Value>, from: &Value) {
    for (key, value) in from.as_object().into_iter().flatten() {
        match (into.get_mut(key), value) {
            (Some(Value::Object(known)), Value::Object(more)) if key == "properties" => {
                known.extend(more.clone());
            }
            (Some(Value::Array(known)), Value::Array(more)) if key == "required" => {
                known.extend(more.clone())
            }
            (Some(_), _) if key == "description" || key == "title" => {}
            _ => {
                into.insert(key.clone(), value.clone());
            }
        }
    }
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
    fn values_fit_whatever_is_asked_for() {
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
    fn schemas_that_name_themselves_come_to_an_end() {
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
    fn what_only_the_description_tells_is_heeded() {
        let told = json!({ "type": "array", "description": "Goals. (minItems: 2, maxItems: 2)",
            "items": { "type": "string", "description": "pattern: \"^d[0-9]{1,6}$\"" } });
        for seed in 0..50 {
            let value = fitting(&told, &mut SmallRng::seed_from_u64(seed));
            let items = value.as_array().unwrap();
            let is_id = |item: &Value| {
                item.as_str().unwrap().strip_prefix('d').is_some_and(|id| id.parse::<u32>().is_ok())
            };
            assert!(items.len() == 2 && items.iter().all(is_id), "{value}");
        }
    }

    #[test]
    fn one_seed_gives_one_value() {
        let schema = json!({ "type": "array", "items": { "type": "string" }, "minItems": 3 });
        let of = |seed| fitting(&schema, &mut SmallRng::seed_from_u64(seed));
        assert_eq!(of(1), of(1));
        assert_ne!(of(1), of(2));
    }
}

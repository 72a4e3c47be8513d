//! Objects that fit a schema.
//!
//! The names come first, then the values, so that bounds on the number of properties are met before any value takes
//! room. The names are those that are required, a random choice of the optional ones, those that others depend on, and
//! as many more as `minProperties` asks for.

use rand::RngExt;
use serde_json::{Map, Value};

use super::keywords::{ANY, bound, names, property_names};
use super::maker::{MOST_ITEMS, Maker};
use super::text;

impl Maker<'_, '_> {
    /// Returns an object that fits a schema.
    pub(super) fn object(&mut self, object: &Map<String, Value>, depth: usize) -> Value {
        let none = Map::new();
        let properties = object.get("properties").and_then(Value::as_object).unwrap_or(&none);
        let rest = object.get("additionalProperties").filter(|rest| rest.is_object()).unwrap_or(&ANY);
        let mut made = Map::new();
        for name in self.wanted_names(object, depth) {
            if !made.contains_key(name) {
                let value = self.value(properties.get(name).unwrap_or(rest), depth.saturating_sub(1));
                made.insert(name.to_owned(), value);
            }
        }
        self.add_unnamed(object, rest, depth, &mut made);
        Value::Object(made)
    }

    /// Chooses the names of an object. An optional property of the schema is wanted with a probability of three in
    /// four, unless the depth is used up. A name can occur twice.
    fn wanted_names<'o>(&mut self, object: &'o Map<String, Value>, depth: usize) -> Vec<&'o str> {
        let (properties, required) = (property_names(object), names(object, "required"));
        let most = bound(object, "maxProperties").unwrap_or(usize::MAX);
        let mut wanted: Vec<&str> = Vec::new();
        for &name in &properties {
            let is_drawn = depth > 0 && wanted.len() < most && self.rng.random_range(0..4) > 0;
            if required.contains(&name) || (is_drawn && required.len() < most) {
                wanted.push(name);
            }
        }
        wanted.extend(required.iter().copied().filter(|name| !properties.contains(name)));
        add_dependents(object, &mut wanted);
        let others = properties.iter().copied().filter(|name| !wanted.contains(name));
        let missing: Vec<&str> = others.take(least_properties(object).saturating_sub(wanted.len())).collect();
        wanted.extend(missing);
        wanted
    }

    /// Adds properties that the schema does not name until `minProperties` is reached.
    fn add_unnamed(
        &mut self,
        object: &Map<String, Value>,
        rest: &Value,
        depth: usize,
        made: &mut Map<String, Value>,
    ) {
        let least = least_properties(object);
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
    }
}

/// Returns the number of properties that an object needs, up to the maximum size.
fn least_properties(object: &Map<String, Value>) -> usize {
    bound(object, "minProperties").unwrap_or(0).min(MOST_ITEMS)
}

/// Adds the names that `dependentRequired` asks for beside those that are already wanted.
fn add_dependents<'o>(object: &'o Map<String, Value>, wanted: &mut Vec<&'o str>) {
    let dependents = object.get("dependentRequired").and_then(Value::as_object).into_iter().flatten();
    for (name, others) in dependents {
        if wanted.contains(&name.as_str()) {
            wanted.extend(others.as_array().into_iter().flatten().filter_map(Value::as_str));
        }
    }
}

//! Lists that fit a schema.

use rand::RngExt;
use serde_json::{Map, Value, json};

use super::keywords::{ANY, bound};
use super::maker::{MOST_ITEMS, MOST_VALUES, Maker};

impl Maker<'_, '_> {
    /// Returns a list that fits a schema: the items of `prefixItems`, those that `contains` asks for, and more up to
    /// the wanted number.
    pub(super) fn array(&mut self, object: &Map<String, Value>, depth: usize) -> Value {
        let below = depth.saturating_sub(1);
        let first = object.get("prefixItems").and_then(Value::as_array).into_iter().flatten();
        let mut items: Vec<Value> = first.map(|schema| self.value(schema, below)).collect();
        let wanted = self.wanted_items(object, items.len(), depth);
        items.extend(self.contained(object, below));
        self.add_items(object, wanted.max(items.len()), below, &mut items);
        Value::Array(items)
    }

    /// Chooses the number of items of a list that has the first ones already: one to three within the bounds, or as few
    /// as allowed if the depth is used up.
    fn wanted_items(&mut self, object: &Map<String, Value>, first: usize, depth: usize) -> usize {
        let least = bound(object, "minItems").unwrap_or(0).max(first).min(MOST_ITEMS);
        let most = bound(object, "maxItems").unwrap_or(usize::MAX).max(least);
        let usual = if depth == 0 { least } else { self.rng.random_range(1..4) };
        if object.get("items") == Some(&Value::Bool(false)) { first } else { usual.clamp(least, most) }
    }

    /// Returns the items that `contains` asks for: one, or `minContains`. They fit `items`, too.
    fn contained(&mut self, object: &Map<String, Value>, depth: usize) -> Vec<Value> {
        let Some(contained) = object.get("contains").filter(|contained| contained.is_object()) else {
            return Vec::new();
        };
        let both = json!({ "allOf": [object.get("items").unwrap_or(&ANY), contained] });
        let count = bound(object, "minContains").unwrap_or(1).min(MOST_ITEMS);
        (0..count).map(|_| self.value(&both, depth)).collect()
    }

    /// Adds items until there are as many as wanted. With `uniqueItems`, values that the list has already are dropped.
    fn add_items(
        &mut self,
        object: &Map<String, Value>,
        wanted: usize,
        depth: usize,
        items: &mut Vec<Value>,
    ) {
        let schema = object.get("items").unwrap_or(&ANY);
        let is_unique = object.get("uniqueItems") == Some(&Value::Bool(true));
        // The schema may allow fewer distinct values than are wanted.
        for _ in 0..wanted * 20 {
            if items.len() >= wanted || self.values >= MOST_VALUES {
                break;
            }
            let item = self.value(schema, depth);
            if !is_unique || !items.contains(&item) {
                items.push(item);
            }
        }
    }
}

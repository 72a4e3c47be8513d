//! The references of a schema, for dialects that know fewer of them than JSON Schema does.
//!
//! Generators of schemas write the same in different ways. The rewriting here keeps the meaning:
//!
//! | generator | writes | rewritten as |
//! |---|---|---|
//! | zod-to-json-schema | a root that is only a `$ref` into `definitions` | the definition itself |
//! | Pydantic 1 | `allOf` with one `$ref`, beside a description | the `$ref` with the description |
//! | Pydantic 2, zod 4 | a `$ref` with keywords beside it | a copy of the definition with these keywords |
//!
//! A definition that refers to itself cannot be copied. Its reference stays, and is reported for a dialect that has no
//! recursion.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// The references that are replaced by copies of their definitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Inlined {
    /// References with other keywords beside them.
    WithSiblings,
    /// All of them.
    All,
}

/// The maximum number of values in a schema whose references are replaced: copies of copies grow exponentially.
const MAX_VALUES: usize = 20_000;

/// The keywords whose value is a map from names to schemas.
pub(crate) const NAMED: [&str; 5] =
    ["properties", "$defs", "definitions", "patternProperties", "dependentSchemas"];

/// The keywords whose value is no schema.
const VALUES: [&str; 5] = ["enum", "const", "default", "examples", "required"];

/// The keywords that do not constrain a value.
pub(crate) const ANNOTATIONS: [&str; 12] = [
    "$comment",
    "$id",
    "$schema",
    "default",
    "deprecated",
    "description",
    // OpenAPI's, beside a `oneOf` that says the same.
    "discriminator",
    "examples",
    "id",
    "readOnly",
    "title",
    "writeOnly",
];

/// Rewrites the references of a schema. `recursive` gets the JSON pointers of the references that stay since their definitions
/// refer to themselves, or the root if the schema is too large.
pub(crate) fn inlined(schema: &Value, inlined: Inlined, recursive: &mut Vec<String>) -> Value {
    let root = hoisted(schema);
    let mut refs = Refs { root: &root, inlined, left: MAX_VALUES, active: Vec::new(), recursive: Vec::new() };
    let mut rewritten = refs.schema(&root, "");
    if refs.left == 0 {
        recursive.push(String::new());
        return root;
    }
    drop_unused(&mut rewritten);
    // Recursion in definitions that nothing refers to any more is of no consequence.
    refs.recursive.retain(|pointer| rewritten.pointer(pointer).is_some());
    recursive.append(&mut refs.recursive);
    rewritten
}

/// Replaces a root that is a reference by its definition, so that its type can be seen.
fn hoisted(schema: &Value) -> Value {
    let mut root = schema.clone();
    // Each step resolves one reference: a chain of more is circular.
    for _ in 0..8 {
        let Some(reference) = root.get("$ref").and_then(Value::as_str).filter(|at| *at != "#") else { break };
        let Some(Value::Object(target)) = target(&root, reference).cloned() else { break };
        let Value::Object(mut own) = root else { break };
        own.remove("$ref");
        root = Value::Object(merged(target, own));
    }
    root
}

/// Returns the schema that a reference within the document names, as `#/$defs/Town`.
fn target<'s>(root: &'s Value, reference: &str) -> Option<&'s Value> {
    root.pointer(reference.strip_prefix('#')?)
}

/// Returns a schema with the keywords of another one, which prevail.
fn merged(mut below: Map<String, Value>, over: Map<String, Value>) -> Map<String, Value> {
    below.extend(over);
    below
}

/// The rewriting of one schema.
struct Refs<'s> {
    root: &'s Value,
    inlined: Inlined,
    /// The number of values that may still be written.
    left: usize,
    /// The references that are being replaced, from the outermost one.
    active: Vec<String>,
    recursive: Vec<String>,
}

impl Refs<'_> {
    /// Rewrites a schema at a JSON pointer.
    fn schema(&mut self, schema: &Value, pointer: &str) -> Value {
        self.left = self.left.saturating_sub(1);
        let Value::Object(object) = schema else { return schema.clone() };
        if self.left == 0 {
            return schema.clone();
        }
        let object = without_single_all_of(object.clone());
        match self.resolved(&object, pointer) {
            Some((reference, definition)) => {
                self.active.push(reference);
                let rewritten = self.schema(&definition, pointer);
                self.active.pop();
                rewritten
            }
            None => Value::Object(self.keywords(&object, pointer)),
        }
    }

    /// Returns the reference of a schema that is replaced, and what replaces it.
    fn resolved(&mut self, object: &Map<String, Value>, pointer: &str) -> Option<(String, Value)> {
        let reference = object.get("$ref")?.as_str()?;
        let Value::Object(definition) = target(self.root, reference)? else { return None };
        if self.active.iter().any(|active| active == reference) || is_recursive(self.root, reference) {
            self.recursive.push(format!("{pointer}/$ref"));
            return None;
        }
        let has_siblings = object.keys().any(|key| !key.starts_with('$'));
        if self.inlined == Inlined::WithSiblings && !has_siblings {
            return None;
        }
        let mut own = object.clone();
        own.remove("$ref");
        Some((reference.to_owned(), Value::Object(merged(definition.clone(), own))))
    }

    /// Rewrites the schemas below the keywords of one.
    fn keywords(&mut self, object: &Map<String, Value>, pointer: &str) -> Map<String, Value> {
        let rewrite = |(key, value): (&String, &Value)| {
            let at = format!("{pointer}/{key}");
            let value = match value {
                value if VALUES.contains(&key.as_str()) => value.clone(),
                Value::Object(named) if NAMED.contains(&key.as_str()) => {
                    let named = named.iter().map(|(name, schema)| {
                        let place = name.replace('~', "~0").replace('/', "~1");
                        (name.clone(), self.schema(schema, &format!("{at}/{place}")))
                    });
                    Value::Object(named.collect())
                }
                Value::Array(schemas) => {
                    let schemas = schemas.iter().enumerate();
                    schemas.map(|(index, schema)| self.schema(schema, &format!("{at}/{index}"))).collect()
                }
                value => self.schema(value, &at),
            };
            (key.clone(), value)
        };
        object.iter().map(rewrite).collect()
    }
}

/// Replaces an `allOf` with a single schema by the keywords of that schema, unless they contradict those beside it.
fn without_single_all_of(mut object: Map<String, Value>) -> Map<String, Value> {
    let Some([Value::Object(only)]) = object.get("allOf").and_then(Value::as_array).map(Vec::as_slice) else {
        return object;
    };
    let agrees = |(key, value): (&String, &Value)| {
        ANNOTATIONS.contains(&key.as_str()) || object.get(key).is_none_or(|own| own == value)
    };
    if only.iter().all(agrees) {
        let only = only.clone();
        object.remove("allOf");
        return merged(only, object);
    }
    object
}

/// Returns whether the definition of a reference refers to itself, directly or by others.
fn is_recursive(root: &Value, reference: &str) -> bool {
    let (mut seen, mut open) = (BTreeSet::new(), vec![reference.to_owned()]);
    while let Some(next) = open.pop() {
        let mut found = BTreeSet::new();
        if let Some(definition) = target(root, &next) {
            references(definition, true, &mut found);
        }
        for found in found {
            if found == reference || found == "#" {
                return true;
            }
            if seen.insert(found.clone()) {
                open.push(found);
            }
        }
    }
    false
}

/// Collects the references in a schema; `with_definitions` is whether those of its definitions count.
fn references(value: &Value, with_definitions: bool, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(object) => {
            if let Some(reference) = object.get("$ref").and_then(Value::as_str) {
                found.insert(reference.to_owned());
            }
            for (key, value) in object {
                let is_of_definitions = matches!(key.as_str(), "$defs" | "definitions");
                if (with_definitions || !is_of_definitions) && !VALUES.contains(&key.as_str()) {
                    references(value, true, found);
                }
            }
        }
        Value::Array(values) => values.iter().for_each(|value| references(value, true, found)),
        _ => {}
    }
}

/// Removes the definitions of the root to which nothing refers any more.
fn drop_unused(schema: &mut Value) {
    let (mut used, mut open) = (BTreeSet::new(), BTreeSet::new());
    references(schema, false, &mut open);
    while let Some(next) = open.pop_first() {
        let mut further = BTreeSet::new();
        if let Some(definition) = target(schema, &next) {
            references(definition, true, &mut further);
        }
        if used.insert(next) {
            open.extend(further.into_iter().filter(|found| !used.contains(found)));
        }
    }
    for key in ["$defs", "definitions"] {
        let Some(Value::Object(definitions)) = schema.get_mut(key) else { continue };
        let is_used = |name: &String| {
            let place = format!("#/{key}/{}", name.replace('~', "~0").replace('/', "~1"));
            used.iter().any(|used| *used == place || used.starts_with(&format!("{place}/")))
        };
        definitions.retain(|name, _| is_used(name));
        if definitions.is_empty()
            && let Value::Object(root) = schema
        {
            root.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Inlined, inlined};

    #[track_caller]
    fn check(schema: &Value, all: &Value, expected: &[&str]) {
        let mut recursive = Vec::new();
        assert_eq!(inlined(schema, Inlined::All, &mut recursive), *all);
        assert_eq!(recursive, expected);
    }

    #[test]
    fn a_root_that_is_a_reference_is_its_definition() {
        let town = json!({ "type": "object", "properties": { "name": { "type": "string" } } });
        let zod = json!({ "$ref": "#/definitions/Town", "definitions": { "Town": town } });
        check(&zod, &town, &[]);
    }

    #[test]
    fn references_are_replaced_with_the_keywords_beside_them() {
        let defs = json!({ "Name": { "type": "string", "title": "Name" } });
        let schema = json!({ "$defs": defs, "properties": {
            "a": { "allOf": [{ "$ref": "#/$defs/Name" }], "description": "first" },
            "b": { "$ref": "#/$defs/Name" },
        } });
        let name = json!({ "type": "string", "title": "Name" });
        let first = json!({ "type": "string", "title": "Name", "description": "first" });
        check(&schema, &json!({ "properties": { "a": first, "b": name } }), &[]);
        let mut recursive = Vec::new();
        let some = inlined(&schema, Inlined::WithSiblings, &mut recursive);
        assert_eq!(some["properties"]["b"], json!({ "$ref": "#/$defs/Name" }));
        assert_eq!(some["properties"]["a"], first);
    }

    #[test]
    fn recursion_stays_and_is_named() {
        let node = json!({ "type": "object", "properties": { "next": { "$ref": "#/$defs/Node" } } });
        let schema = json!({ "$defs": { "Node": node, "Other": {} }, "properties": { "a": { "$ref": "#/$defs/Node" } } });
        let kept = json!({ "$defs": { "Node": node }, "properties": { "a": { "$ref": "#/$defs/Node" } } });
        check(&schema, &kept, &["/$defs/Node/properties/next/$ref", "/properties/a/$ref"]);
        let tree = json!({ "type": "object", "properties": { "children": { "type": "array", "items": { "$ref": "#" } } } });
        check(&tree, &tree, &["/properties/children/items/$ref"]);
    }

    #[test]
    fn copies_of_copies_are_bounded() {
        let mut defs = serde_json::Map::new();
        for n in 0..40 {
            let next = json!({ "$ref": format!("#/$defs/d{}", n + 1) });
            defs.insert(format!("d{n}"), json!({ "properties": { "a": next, "b": next } }));
        }
        defs.insert("d40".to_owned(), json!({ "type": "string" }));
        let schema = json!({ "$defs": defs, "properties": { "x": { "$ref": "#/$defs/d0" } } });
        check(&schema, &schema, &[""]);
    }
}

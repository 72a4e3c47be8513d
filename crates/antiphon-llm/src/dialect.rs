use serde_json::{Map, Value};

use crate::schema_refs::{ANNOTATIONS, Inlined, NAMED, inlined};

/// The key of the object around a schema whose root may be something else, for providers that accept objects only.
pub(crate) const WRAPPER: &str = "value";

/// A dialect: the subset of JSON Schema that a provider accepts for structured output.
/// [`Schema::compile`](crate::Schema::compile) rewrites a schema into it. The default accepts everything.
///
/// ```
/// use antiphon_llm::{Dialect, Schema};
/// use serde_json::json;
///
/// let dialect = Dialect::default().unsupported(&["maxLength"]).closed();
/// let schema = json!({"type": "object", "properties": {"a": {"type": "string", "maxLength": 3}}});
/// let compiled = Schema::new("s", schema)?.compile(&dialect);
/// assert_eq!(compiled.weakened, ["/properties/a/maxLength"]);
/// assert_eq!(compiled.schema["additionalProperties"], false);
/// # Ok::<(), antiphon_llm::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Dialect {
    /// The keywords that the provider does not accept. They are left out and written into the `description` instead. Default:
    /// none.
    pub unsupported: &'static [&'static str],
    /// The values of `format` that are accepted; the others are left out. Default: all.
    pub formats: Option<&'static [&'static str]>,
    /// The maximum value of `minItems` that is accepted; a `minItems` with a higher value is left out. Default: no maximum.
    pub max_min_items: Option<u64>,
    /// Whether every object must have `additionalProperties: false`; it is added where the keyword is missing. Default: no.
    pub closed: bool,
    /// Whether every property must be required. An optional property that may be null or has a default is made required.
    /// Default: no.
    pub all_required: bool,
    /// Whether an object with `$ref` must have no other keywords; one that has is replaced by a copy of its definition.
    /// Default: no.
    pub bare_refs: bool,
    /// Whether every `$ref` is replaced by a copy of its definition, except for those of definitions that refer to themselves.
    /// Default: no.
    pub inline_refs: bool,
    /// Whether a definition that refers to itself is [`inexpressible`](Compiled::inexpressible). Default: no.
    pub acyclic: bool,
    /// Whether `oneOf` is rewritten as `anyOf`. Default: no.
    pub any_of: bool,
    /// Whether `const` is rewritten as an `enum` with one value. Default: no.
    pub enum_of_one: bool,
    /// Whether the root must be an object. Any other schema is put into an object with the one key `value`, which
    /// [`extract_for`](crate::json::extract_for) removes from the answer. Default: no.
    pub object_root: bool,
}

/// A schema in a provider's dialect.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Compiled {
    /// The schema to send.
    pub schema: Value,
    /// The keywords that the provider does not enforce, as JSON pointers (RFC 6901). [`Schema::check`](crate::Schema::check)
    /// still enforces them.
    pub weakened: Vec<String>,
    /// The parts that the dialect cannot express, as JSON pointers: for example objects with arbitrary keys, or optional
    /// properties. If there is one, the request must not demand strict adherence to the schema.
    pub inexpressible: Vec<String>,
}

impl Dialect {
    /// Sets the keywords that are left out.
    #[must_use]
    pub fn unsupported(mut self, keywords: &'static [&'static str]) -> Self {
        self.unsupported = keywords;
        self
    }

    /// Sets the values of `format` that are accepted.
    #[must_use]
    pub fn formats(mut self, formats: &'static [&'static str]) -> Self {
        self.formats = Some(formats);
        self
    }

    /// Sets the maximum value of `minItems` that is accepted.
    #[must_use]
    pub fn max_min_items(mut self, most: u64) -> Self {
        self.max_min_items = Some(most);
        self
    }

    /// Requires `additionalProperties: false` of every object.
    #[must_use]
    pub fn closed(mut self) -> Self {
        self.closed = true;
        self
    }

    /// Requires that `required` names every property. An optional property that may be null or has a default is made required;
    /// others are reported as [`inexpressible`](Compiled::inexpressible).
    #[must_use]
    pub fn all_required(mut self) -> Self {
        self.all_required = true;
        self
    }

    /// Requires that an object with `$ref` has no other keywords. One that has is replaced by a copy of its definition; where
    /// there is none, or it refers to itself, the keywords are left out.
    #[must_use]
    pub fn bare_refs(mut self) -> Self {
        self.bare_refs = true;
        self
    }

    /// Replaces each `$ref` by a copy of its definition, except for definitions that refer to themselves.
    #[must_use]
    pub fn inline_refs(mut self) -> Self {
        self.inline_refs = true;
        self
    }

    /// Reports the references of definitions that refer to themselves as [`inexpressible`](Compiled::inexpressible).
    #[must_use]
    pub fn acyclic(mut self) -> Self {
        self.acyclic = true;
        self
    }

    /// Rewrites `oneOf` as `anyOf`, which does not exclude values that fit several branches.
    #[must_use]
    pub fn any_of(mut self) -> Self {
        self.any_of = true;
        self
    }

    /// Rewrites `const` as an `enum` with one value.
    #[must_use]
    pub fn enum_of_one(mut self) -> Self {
        self.enum_of_one = true;
        self
    }

    /// Requires the root to be an object: any other schema is put into one, with the key `value`.
    #[must_use]
    pub fn object_root(mut self) -> Self {
        self.object_root = true;
        self
    }

    pub(crate) fn compile(&self, schema: &Value) -> Compiled {
        let mut compiled = Compiled { schema: Value::Null, weakened: Vec::new(), inexpressible: Vec::new() };
        let mut schema = self.with_refs(schema, &mut compiled);
        if self.object_root && schema.get("type").is_none_or(|kind| kind != "object") {
            match wrapped(schema) {
                Ok(object) => schema = object,
                Err(whole) => {
                    schema = whole;
                    compiled.inexpressible.push(String::new());
                }
            }
        }
        self.visit(&mut schema, "", &mut compiled);
        compiled.schema = schema;
        compiled
    }

    /// Returns the schema with the references that the dialect knows. One that knows all of them gets the schema as it is.
    fn with_refs(&self, schema: &Value, compiled: &mut Compiled) -> Value {
        let how = match (self.inline_refs, self.bare_refs || self.closed || self.object_root) {
            (true, _) => Inlined::All,
            (false, true) => Inlined::WithSiblings,
            (false, false) => return schema.clone(),
        };
        let mut recursive = Vec::new();
        let rewritten = inlined(schema, how, &mut recursive);
        if self.acyclic {
            compiled.inexpressible = recursive;
        }
        rewritten
    }

    fn visit(&self, schema: &mut Value, pointer: &str, compiled: &mut Compiled) {
        let Value::Object(object) = schema else { return };
        self.leave_out(object, pointer, compiled);
        self.close(object, pointer, compiled);
        if self.any_of && object.contains_key("oneOf") {
            compiled.weakened.push(format!("{pointer}/oneOf"));
            match (object.contains_key("anyOf"), object.remove("oneOf")) {
                (false, Some(branches)) => drop(object.insert("anyOf".to_owned(), branches)),
                _ => compiled.inexpressible.push(format!("{pointer}/oneOf")),
            }
        }
        if self.enum_of_one
            && let Some(only) = object.remove("const")
        {
            object.insert("enum".to_owned(), Value::Array(vec![only]));
        }
        for (key, value) in object {
            let pointer = format!("{pointer}/{key}");
            if self.closed && key == "allOf" {
                compiled.inexpressible.push(pointer);
                continue;
            }
            match (key.as_str(), value) {
                ("enum" | "const" | "default" | "examples" | "required", _) => {}
                (key, Value::Object(named)) if NAMED.contains(&key) => {
                    for (name, schema) in named {
                        let name = name.replace('~', "~0").replace('/', "~1");
                        self.visit(schema, &format!("{pointer}/{name}"), compiled);
                    }
                }
                (_, Value::Array(schemas)) => {
                    for (index, schema) in schemas.iter_mut().enumerate() {
                        self.visit(schema, &format!("{pointer}/{index}"), compiled);
                    }
                }
                (_, schema) => self.visit(schema, &pointer, compiled),
            }
        }
    }

    fn leave_out(&self, object: &mut Map<String, Value>, pointer: &str, compiled: &mut Compiled) {
        let is_ref = self.bare_refs && object.contains_key("$ref");
        let mut dropped = Vec::new();
        object.retain(|key, value| {
            let keep = match key.as_str() {
                key if is_ref => key.starts_with('$'),
                "format" => self
                    .formats
                    .is_none_or(|formats| value.as_str().is_some_and(|format| formats.contains(&format))),
                "minItems" => {
                    self.max_min_items.is_none_or(|most| value.as_u64().is_some_and(|least| least <= most))
                }
                key => !self.unsupported.contains(&key),
            };
            let is_demand = !ANNOTATIONS.contains(&key.as_str()) && !is_safe_integer(key, value);
            if !keep && is_demand {
                compiled.weakened.push(format!("{pointer}/{key}"));
                dropped.push(format!("{key}: {value}"));
            }
            keep
        });
        // The model can at least read the constraints that the provider does not enforce.
        if !dropped.is_empty() && !is_ref {
            let dropped = dropped.join(", ");
            let description = match object.get("description").and_then(Value::as_str) {
                Some(description) => format!("{description} ({dropped})"),
                None => dropped,
            };
            object.insert("description".to_owned(), Value::String(description));
        }
    }

    fn close(&self, object: &mut Map<String, Value>, pointer: &str, compiled: &mut Compiled) {
        let is_object = object.get("type").is_some_and(|kind| {
            kind == "object" || kind.as_array().is_some_and(|kinds| kinds.iter().any(|kind| kind == "object"))
        });
        if !is_object && !object.contains_key("properties") {
            return;
        }
        // If closed, such parts of one object would each forbid the properties that the others require.
        let combined = ["allOf", "anyOf", "oneOf"].iter().find(|key| object.contains_key(**key));
        if let Some(key) = combined.filter(|_| self.closed) {
            compiled.inexpressible.push(format!("{pointer}/{key}"));
            return;
        }
        if self.closed {
            match object.get("additionalProperties") {
                Some(Value::Bool(false)) => {}
                None if object.contains_key("properties") => {
                    object.insert("additionalProperties".to_owned(), Value::Bool(false));
                }
                _ => compiled.inexpressible.push(format!("{pointer}/additionalProperties")),
            }
        }
        if self.all_required {
            require_all(object, pointer, compiled);
        }
    }
}

/// Returns the schema of an object with the value of a schema. Definitions stay where references look for them.
///
/// # Errors
/// The schema, if it refers to itself as a whole, or to a part of itself that is no definition.
fn wrapped(schema: Value) -> Result<Value, Value> {
    let Value::Object(mut inner) = schema else { return Err(schema) };
    if refers_elsewhere(&inner) {
        return Err(Value::Object(inner));
    }
    let mut object = Map::new();
    let shared = ["$schema", "$defs", "definitions"].map(|key| inner.shift_remove_entry(key));
    object.insert("type".to_owned(), "object".into());
    object
        .insert("properties".to_owned(), Value::Object(Map::from_iter([(WRAPPER.to_owned(), inner.into())])));
    object.insert("required".to_owned(), Value::Array(vec![WRAPPER.into()]));
    object.insert("additionalProperties".to_owned(), Value::Bool(false));
    object.extend(shared.into_iter().flatten());
    Ok(Value::Object(object))
}

/// Returns whether a schema has a reference within itself to anything but a definition, or another base for references.
fn refers_elsewhere(schema: &Map<String, Value>) -> bool {
    schema.iter().any(|(key, value)| match (key.as_str(), value) {
        ("$ref" | "$dynamicRef", Value::String(place)) => {
            !(place.starts_with("#/$defs/") || place.starts_with("#/definitions/"))
        }
        ("$id", _) => true,
        (_, Value::Object(inner)) => refers_elsewhere(inner),
        (_, Value::Array(all)) => all.iter().filter_map(Value::as_object).any(refers_elsewhere),
        _ => false,
    })
}

/// Makes the optional properties of an object required that may be null or have a default: a value of them is always valid. The
/// others are inexpressible, since a model would have to invent a value for them.
fn require_all(object: &mut Map<String, Value>, pointer: &str, compiled: &mut Compiled) {
    let Some(properties) = object.get("properties").and_then(Value::as_object) else { return };
    let required = object.get("required").and_then(Value::as_array).map_or(&[][..], |names| names);
    let is_optional = |name: &&String| !required.iter().any(|required| required == name.as_str());
    let mut all = required.to_vec();
    for name in properties.keys().filter(is_optional) {
        match properties.get(name) {
            Some(schema) if may_be_left_open(schema) => all.push(Value::String(name.clone())),
            _ => compiled.inexpressible.push(format!("{pointer}/properties/{name}")),
        }
    }
    if !all.is_empty() {
        object.insert("required".to_owned(), Value::Array(all));
    }
}

/// Returns whether a schema has a value that says that there is none: null, or a default.
fn may_be_left_open(schema: &Value) -> bool {
    let is_null = |kind: &Value| {
        kind == "null" || kind.as_array().is_some_and(|all| all.iter().any(|one| one == "null"))
    };
    let any = |key: &str, found: fn(&Value) -> bool| {
        schema.get(key).and_then(Value::as_array).is_some_and(|all| all.iter().any(found))
    };
    schema.get("default").is_some()
        || schema.get("type").is_some_and(is_null)
        || any("enum", Value::is_null)
        || any("anyOf", may_be_left_open)
        || any("oneOf", may_be_left_open)
}

/// Returns whether a bound is that of the integers that JavaScript represents, which zod adds to each integer.
fn is_safe_integer(key: &str, bound: &Value) -> bool {
    const SAFE: i64 = (1 << 53) - 1;
    matches!(key, "minimum" | "maximum") && bound.as_i64().is_some_and(|bound| bound.abs() == SAFE)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Compiled, Dialect};

    #[test]
    fn a_schema_that_is_no_object_is_put_into_one() {
        let compile =
            |schema: &Value| Dialect::default().object_root().closed().all_required().compile(schema);
        for schema in [
            json!({"type": "integer"}),
            json!({"enum": ["a", "b"]}),
            json!({"anyOf": [{"type": "null"}, {"type": "string"}]}),
        ] {
            let compiled = compile(&schema);
            let object = json!({"type": "object", "properties": {"value": schema}, "required": ["value"], "additionalProperties": false});
            assert_eq!((compiled.schema, compiled.inexpressible), (object, vec![]));
        }
        let list =
            json!({"type": "array", "items": {"$ref": "#/$defs/n"}, "$defs": {"n": {"type": "integer"}}});
        let compiled = compile(&list);
        assert_eq!(compiled.schema["$defs"], json!({"n": {"type": "integer"}}));
        assert_eq!(
            compiled.schema["properties"]["value"],
            json!({"type": "array", "items": {"$ref": "#/$defs/n"}})
        );
        assert_eq!(compile(&json!({"anyOf": [{"$ref": "#"}, {"type": "null"}]})).inexpressible, [""]);
    }

    fn compiled(dialect: Dialect, schema: &Value) -> Compiled {
        dialect.compile(schema)
    }

    #[test]
    fn keywords_are_left_out_but_not_properties_of_that_name() {
        let schema = json!({"properties": {"maxLength": {"type": "string", "maxLength": 3, "format": "uri"}}, "minItems": 2});
        let dialect = Dialect::default().unsupported(&["maxLength"]).formats(&["date"]).max_min_items(1);
        let compiled = compiled(dialect, &schema);
        let dropped = json!({"type": "string", "description": "maxLength: 3, format: \"uri\""});
        assert_eq!(
            compiled.schema,
            json!({"properties": {"maxLength": dropped}, "description": "minItems: 2"})
        );
        assert_eq!(
            compiled.weakened,
            ["/minItems", "/properties/maxLength/maxLength", "/properties/maxLength/format"]
        );
    }

    #[test]
    fn objects_are_closed_and_open_ones_are_inexpressible() {
        let schema = json!({
            "type": "object",
            "properties": {
                "a": {"type": ["object", "null"], "properties": {}},
                "b/c": {"type": "object", "additionalProperties": {"type": "string"}},
            },
            "required": ["a"],
        });
        let compiled = compiled(Dialect::default().closed().all_required(), &schema);
        assert_eq!(compiled.schema["additionalProperties"], json!(false));
        assert_eq!(compiled.schema["properties"]["a"]["additionalProperties"], json!(false));
        assert_eq!(compiled.inexpressible, ["/properties/b/c", "/properties/b~1c/additionalProperties"]);
        assert!(compiled.weakened.is_empty());
    }

    #[test]
    fn combined_parts_of_one_object_are_not_closed() {
        let flat = json!({"type": "object", "properties": {"a": {}}, "oneOf": [{"properties": {"b": {}}}]});
        let compiled = compiled(Dialect::default().closed().any_of(), &flat);
        assert_eq!(compiled.inexpressible, ["/oneOf"]);
        let all = json!({"allOf": [{"properties": {"b": {}}}, {"properties": {"c": {}}}]});
        assert_eq!(Dialect::default().closed().compile(&all).inexpressible, ["/allOf"]);
        let list = json!({"type": "array", "items": {"const": 1}});
        let compiled = Dialect::default().object_root().enum_of_one().compile(&list);
        assert_eq!(
            (compiled.schema["properties"]["value"]["items"].clone(), compiled.inexpressible),
            (json!({"enum": [1]}), vec![])
        );
    }

    #[test]
    fn refs_have_no_siblings_and_one_of_is_written_as_any_of() {
        let schema = json!({"oneOf": [{"$ref": "#/$defs/x", "description": "d", "minimum": 1}]});
        let compiled = compiled(Dialect::default().bare_refs().any_of(), &schema);
        assert_eq!(compiled.schema, json!({"anyOf": [{"$ref": "#/$defs/x"}]}));
        assert_eq!(compiled.weakened, ["/oneOf", "/anyOf/0/minimum"]);
    }

    #[test]
    fn optional_properties_that_may_be_null_or_have_a_default_are_required() {
        let properties = json!({
            "a": {"anyOf": [{"type": "string"}, {"type": "null"}], "default": null},
            "b": {"type": ["integer", "null"]}, "c": {"type": "integer", "default": 3}, "d": {"enum": ["x", null]},
        });
        let schema = json!({"type": "object", "properties": properties, "required": ["b"]});
        let compiled = compiled(Dialect::default().closed().all_required(), &schema);
        assert_eq!(compiled.schema["required"], json!(["b", "a", "c", "d"]));
        assert_eq!(compiled.inexpressible, [""; 0]);
        let zod = json!({"type": "object", "properties": {"n": {"type": "integer", "minimum": -9_007_199_254_740_991_i64}}});
        let compiled = Dialect::default().unsupported(&["minimum"]).compile(&zod);
        assert_eq!(
            (compiled.weakened, compiled.schema["properties"]["n"].clone()),
            (vec![], json!({"type": "integer"}))
        );
    }

    #[test]
    fn a_definition_that_refers_to_itself_is_named_where_there_is_no_recursion() {
        let node = json!({"type": "object", "properties": {"next": {"$ref": "#/$defs/Node"}}});
        let schema = json!({"$ref": "#/$defs/Node", "$defs": {"Node": node}});
        let compiled = compiled(Dialect::default().inline_refs().acyclic().object_root(), &schema);
        assert_eq!(compiled.schema["type"], "object");
        assert_eq!(compiled.inexpressible, ["/properties/next/$ref", "/$defs/Node/properties/next/$ref"]);
    }
}

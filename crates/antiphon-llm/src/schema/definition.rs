use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::Value;

use super::validator::{self, Validator};
use crate::dialect::{Compiled, Dialect};

/// A JSON Schema for structured output, with the name that providers require. [`check`](Self::check) enforces all keywords,
/// including those that a provider does not enforce.
///
/// A schema is made with the feature `schema` only, which is on by default: in a build without it the type exists, so that
/// providers compile, but no value of it.
///
/// Serialised with its name and its value, as `{"name": "colour", "schema": {"type": "object"}}`. Reading it compiles the
/// schema again and fails as [`new`](Self::new) does, or for an unknown key. Two schemas are equal if their names and their
/// [texts](Self::text) are, so that the order of the keys counts: models see it.
///
/// ```
/// use serde_json::json;
/// let schema = antiphon_llm::Schema::new("colour", json!({"type": "object", "required": ["name"]}))?;
/// assert_eq!(schema.violations(&json!({})).len(), 1);
/// # Ok::<(), antiphon_llm::Error>(())
/// ```
#[derive(Clone)]
pub struct Schema {
    pub(super) name: Arc<str>,
    pub(super) value: Arc<Value>,
    pub(super) text: Arc<str>,
    pub(super) validator: Arc<Validator>,
    /// The schema in the dialects that were requested: a bulk run requests the same few with every row.
    pub(super) compiled: Arc<Mutex<Dialects>>,
}

/// The keywords that limit values without changing their shape.
const LIMITS: &[&str] = &[
    "contains",
    "dependentRequired",
    "dependentSchemas",
    "else",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "if",
    "maxContains",
    "maxItems",
    "maxLength",
    "maxProperties",
    "maximum",
    "minContains",
    "minLength",
    "minProperties",
    "minimum",
    "multipleOf",
    "not",
    "pattern",
    "propertyNames",
    "then",
    "unevaluatedItems",
    "unevaluatedProperties",
    "uniqueItems",
];

pub(super) type Dialects = Vec<(Dialect, Arc<Compiled>)>;

/// The serialised form of a schema.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields<N, V> {
    name: N,
    schema: V,
}

impl Schema {
    /// Returns the name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the schema as a JSON value.
    #[must_use]
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// Returns the schema as compact JSON, which is serialised once, when the schema is created.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns whether a value is valid. The method stops at the first violation; use [`violations`](Self::violations) for a
    /// description of all.
    #[must_use]
    pub fn is_valid(&self, value: &Value) -> bool {
        self.validator.is_valid(value)
    }

    /// Returns the shape that the schema demands: types, properties and alternatives, without the limits on lengths, numbers and
    /// texts. A provider that enforces schemas never returns a value of another shape. `None` if nothing is left without them.
    ///
    /// The validator is built by each call.
    ///
    /// ```
    /// use serde_json::json;
    /// let property = json!({"type": "string", "maxLength": 2});
    /// let schema = json!({"type": "object", "properties": {"a": property}, "required": ["a"]});
    /// let schema = antiphon_llm::Schema::new("s", schema)?;
    /// let shape = schema.shape().unwrap();
    /// assert!(shape.is_valid(&json!({"a": "too long"})) && !shape.is_valid(&json!({"b": 1})));
    /// # Ok::<(), antiphon_llm::Error>(())
    /// ```
    #[must_use]
    pub fn shape(&self) -> Option<Self> {
        let shape = Dialect::default().unsupported(LIMITS).formats(&[]).max_min_items(0).compile(&self.value);
        validator::build(&self.name, shape.schema).ok()
    }

    /// Returns the schema in a provider's dialect, with pointers to the keywords that were left out. The result is cached for
    /// each dialect.
    #[must_use]
    pub fn compile(&self, dialect: &Dialect) -> Arc<Compiled> {
        let mut cache = self.compiled.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, compiled)) = cache.iter().find(|(known, _)| known == dialect) {
            return compiled.clone();
        }
        let compiled = Arc::new(dialect.compile(&self.value));
        cache.push((*dialect, compiled.clone()));
        compiled
    }
}

impl PartialEq for Schema {
    fn eq(&self, other: &Self) -> bool {
        let Self { name, value: _, text, validator: _, compiled: _ } = self;
        *name == other.name && *text == other.text
    }
}

impl Eq for Schema {}

impl Serialize for Schema {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Fields { name: &*self.name, schema: &*self.value }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Schema {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Fields { name, schema } = Fields::<String, Value>::deserialize(deserializer)?;
        validator::build(&name, schema).map_err(de::Error::custom)
    }
}

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Schema").field("name", &self.name).finish_non_exhaustive()
    }
}

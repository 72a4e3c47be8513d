use std::fmt;
use std::sync::Arc;

use jsonschema::Validator;
use serde_json::Value;

use crate::error::{Error, ErrorKind};

/// A JSON schema with the name that providers ask for; whatever a provider drops of it, it is enforced here.
///
/// ```
/// use serde_json::json;
/// let schema = antiphon_llm::Schema::new("colour", json!({"type": "object", "required": ["name"]}))?;
/// assert_eq!(schema.violations(&json!({})).len(), 1);
/// # Ok::<(), antiphon_llm::Error>(())
/// ```
#[derive(Clone)]
pub struct Schema {
    name: Arc<str>,
    value: Arc<Value>,
    validator: Arc<Validator>,
}

/// One way in which a value does not fit its schema.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Violation {
    /// Where: a JSON pointer (RFC 6901), empty for the whole value.
    pub pointer: String,
    /// What is wrong there.
    pub message: String,
}

/// A schema without the keywords that a provider refuses.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Weakened {
    /// What to send.
    pub schema: Value,
    /// The pointers of the keywords that were left out.
    pub dropped: Vec<String>,
}

impl Schema {
    /// Compiles a schema. The name may have letters, digits, `_` and `-`, up to 64 of them, as vendors ask.
    ///
    /// # Errors
    /// `InvalidRequest` for such a name, or for what is no JSON schema.
    pub fn new(name: &str, value: Value) -> Result<Self, Error> {
        let invalid =
            |why: String| Error::new(ErrorKind::InvalidRequest, format!("the schema {name}: {why}"));
        let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if name.is_empty() || name.len() > 64 || !name.chars().all(allowed) {
            return Err(invalid("its name may have letters, digits, _ and -, up to 64 of them".to_owned()));
        }
        let validator = jsonschema::validator_for(&value).map_err(|err| invalid(err.to_string()))?;
        Ok(Self { name: Arc::from(name), value: Arc::new(value), validator: Arc::new(validator) })
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The schema itself.
    #[must_use]
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// Every way in which a value does not fit; none for one that does.
    #[must_use]
    pub fn violations(&self, value: &Value) -> Vec<Violation> {
        let violation = |err: jsonschema::ValidationError<'_>| Violation {
            pointer: err.instance_path().to_string(),
            message: err.masked().to_string(),
        };
        self.validator.iter_errors(value).map(violation).collect()
    }

    /// The schema without `keywords`, for a provider that refuses them, and the places where they stood.
    #[must_use]
    pub fn without(&self, keywords: &[&str]) -> Weakened {
        let mut weakened = Weakened { schema: Value::clone(&self.value), dropped: Vec::new() };
        let mut schema = std::mem::take(&mut weakened.schema);
        weaken(&mut schema, keywords, "", &mut weakened.dropped);
        weakened.schema = schema;
        weakened
    }
}

/// Drops keywords of a schema and of those below it, and leaves properties that happen to have such a name alone.
fn weaken(schema: &mut Value, keywords: &[&str], pointer: &str, dropped: &mut Vec<String>) {
    let Value::Object(object) = schema else { return };
    object.retain(|key, _| {
        let keep = !keywords.contains(&key.as_str());
        if !keep {
            dropped.push(format!("{pointer}/{key}"));
        }
        keep
    });
    for (key, value) in object {
        let pointer = format!("{pointer}/{key}");
        match (key.as_str(), value) {
            ("enum" | "const" | "default" | "examples", _) => {}
            (
                "properties" | "$defs" | "definitions" | "patternProperties" | "dependentSchemas",
                Value::Object(named),
            ) => {
                for (name, schema) in named {
                    weaken(schema, keywords, &format!("{pointer}/{name}"), dropped);
                }
            }
            (_, Value::Array(schemas)) => {
                for (index, schema) in schemas.iter_mut().enumerate() {
                    weaken(schema, keywords, &format!("{pointer}/{index}"), dropped);
                }
            }
            (_, schema) => weaken(schema, keywords, &pointer, dropped),
        }
    }
}

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Schema").field("name", &self.name).finish_non_exhaustive()
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.pointer.as_str() {
            "" => f.write_str(&self.message),
            pointer => write!(f, "{pointer}: {}", self.message),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::Schema;

    #[test]
    fn violations_tell_where_without_repeating_the_value() {
        let schema =
            json!({"properties": {"n": {"type": "array", "items": {"type": "string", "maxLength": 3}}}});
        let found = Schema::new("s", schema).unwrap().violations(&json!({"n": ["ok", "far too long", 1]}));
        let found: Vec<_> = found.iter().map(ToString::to_string).collect();
        assert_eq!(found.len(), 2);
        assert!(found[0].starts_with("/n/1: ") && !found[0].contains("far too long"), "{found:?}");
        assert!(found[1].starts_with("/n/2: "), "{found:?}");
    }

    #[test]
    fn weakening_drops_keywords_and_no_property_of_that_name() {
        let schema = json!({"properties": {"maxLength": {"type": "string", "maxLength": 3}}, "maxItems": 2});
        let weakened = Schema::new("s", schema).unwrap().without(&["maxLength"]);
        assert_eq!(weakened.schema, json!({"properties": {"maxLength": {"type": "string"}}, "maxItems": 2}));
        assert_eq!(weakened.dropped, ["/properties/maxLength/maxLength"]);
    }

    #[test]
    fn a_bad_name_and_a_bad_schema_are_refused() {
        assert!(Schema::new("a b", json!({})).is_err());
        assert!(Schema::new("a", json!({"type": "no such type"})).is_err());
    }
}

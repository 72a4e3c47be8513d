use std::any::TypeId;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use jsonschema::PatternOptions;
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::Value;

use super::definition::Schema;
use super::recursion::Recursion;
use super::{limits, references};
use crate::error::{Error, ErrorKind};
use crate::structured::InvalidAnswer;

/// The maximum number of violations that are shown to the model; the first few usually explain the rest.
const MAX_VIOLATIONS: usize = 10;

/// The steps back after which a match of a pattern is given up, so that an answer cannot hold up a run.
const MAX_BACKTRACKS: usize = 100_000;

/// The schemas of types, which do not change while a program runs.
static TYPE_SCHEMAS: LazyLock<Mutex<HashMap<TypeId, Schema>>> = LazyLock::new(Mutex::default);

/// A violation of a schema: one reason why a value is invalid.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Violation {
    /// The position in the value, as a JSON pointer (RFC 6901); empty for the whole value.
    pub pointer: String,
    /// The violated constraint. The message does not contain the value.
    pub message: String,
}

/// A compiled schema, and the references to itself.
pub(super) struct Validator {
    compiled: jsonschema::Validator,
    recursion: Recursion,
}

impl Validator {
    /// Returns whether a value is valid.
    pub(super) fn is_valid(&self, value: &Value) -> bool {
        self.compiled.is_valid(value)
    }

    /// Returns the first violations of a value, or one of the whole value where there may be too many to search for.
    fn violations(&self, value: &Value, max: usize) -> Vec<Violation> {
        if self.recursion.can_search(value) {
            let violation = |err: jsonschema::ValidationError<'_>| Violation {
                pointer: err.instance_path().to_string(),
                message: err.masked().to_string(),
            };
            return self.compiled.iter_errors(value).take(max).map(violation).collect();
        }
        let message = "value fits no alternative of the schema, which refers to itself: it is nested too deep to say where";
        let is_invalid = max > 0 && !self.is_valid(value);
        is_invalid
            .then(|| Violation { pointer: String::new(), message: message.to_owned() })
            .into_iter()
            .collect()
    }
}

/// Compiles a schema that was read.
pub(super) fn build(name: &str, value: Value) -> Result<Schema, Error> {
    Schema::new(name, value)
}

impl Schema {
    /// Compiles a schema. As vendors require, the name has 1 to 64 characters: ASCII letters, digits, `_` and `-`. The keyword
    /// `format` is enforced.
    ///
    /// # Errors
    /// `InvalidRequest` for any other name, or for a value that is not a JSON schema; also for a reference that names nothing in
    /// it, or that leads back to itself without a property or an item between; and for a schema that is too large to check values
    /// with: nested more than 96 levels, or of parts that refer to each other so often that a value would be checked against more
    /// than 10,000 of them.
    pub fn new(name: &str, value: Value) -> Result<Self, Error> {
        let invalid =
            |why: String| Error::new(ErrorKind::InvalidRequest, format!("the schema {name}: {why}"));
        let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if name.is_empty() || name.len() > 64 || !name.chars().all(allowed) {
            return Err(invalid("its name may have letters, digits, _ and -, up to 64 of them".to_owned()));
        }
        // Later drafts leave it open whether formats are enforced; the author of a format expects that.
        let options = || jsonschema::options().should_validate_formats(true);
        if let Some(why) = limits::exceeded(&value) {
            return Err(invalid(why));
        }
        if let Some(why) = references::circular(&value) {
            return Err(invalid(why));
        }
        let mistake = |err| references::unknown(&value).unwrap_or_else(|| mistake(&err));
        // Patterns with what only a backtracking engine has, such as looking ahead, are matched by one that gives up.
        let linear = options().with_pattern_options(PatternOptions::regex()).build(&value);
        let backtracking = PatternOptions::fancy_regex().backtrack_limit(MAX_BACKTRACKS);
        let built = linear.or_else(|_| options().with_pattern_options(backtracking).build(&value));
        let validator = built.map_err(|err| invalid(mistake(err)))?;
        let text = Arc::from(value.to_string());
        let validator = Arc::new(Validator { compiled: validator, recursion: Recursion::of(&value) });
        let value = Arc::new(value);
        Ok(Self { name: Arc::from(name), value, text, validator, compiled: Arc::default() })
    }

    /// Returns the schema of a type, with the name of the type. The schema is generated once per process and cached.
    ///
    /// # Errors
    /// `InvalidRequest` for a type whose schema cannot be compiled; derived schemas always can.
    pub fn of<T: JsonSchema + 'static>() -> Result<Self, Error> {
        let cache = || TYPE_SCHEMAS.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(schema) = cache().get(&TypeId::of::<T>()) {
            return Ok(schema.clone());
        }
        let schema = Self::generate::<T>()?;
        cache().insert(TypeId::of::<T>(), schema.clone());
        Ok(schema)
    }

    fn generate<T: JsonSchema>() -> Result<Self, Error> {
        let settings = SchemaSettings::draft2020_12().with(|settings| {
            settings.inline_subschemas = true;
            settings.meta_schema = None;
        });
        let name: String = T::schema_name()
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() || "_-".contains(c) { c } else { '_' })
            .take(64)
            .collect();
        Self::new(&name, settings.into_generator().into_root_schema_for::<T>().into())
    }

    /// Returns all violations of a value; none for a valid one.
    #[must_use]
    pub fn violations(&self, value: &Value) -> Vec<Violation> {
        self.first_violations(value, usize::MAX)
    }

    /// Returns the first violations of a value, up to `max`: an answer of a million elements may have a million of them.
    ///
    /// The violations of a schema whose alternatives refer to themselves are those of every alternative, whose number grows
    /// exponentially with the depth of a value. Beyond 4,096 of them, one violation is that of the whole value.
    #[must_use]
    pub fn first_violations(&self, value: &Value, max: usize) -> Vec<Violation> {
        self.validator.violations(value, max)
    }

    /// Checks a value and describes its first ten violations, one per line, for a schema retry.
    ///
    /// # Errors
    /// [`InvalidAnswer::Invalid`] with the violations.
    pub fn check(&self, value: &Value) -> Result<(), InvalidAnswer> {
        let violations = self.first_violations(value, MAX_VIOLATIONS);
        if violations.is_empty() {
            return Ok(());
        }
        let lines: Vec<_> = violations.iter().map(ToString::to_string).collect();
        Err(InvalidAnswer::Invalid(lines.join("\n")))
    }
}

/// Describes the mistake in a schema, with its JSON pointer.
fn mistake(err: &jsonschema::ValidationError<'_>) -> String {
    match err.instance_path().to_string().as_str() {
        "" => err.to_string(),
        pointer => format!("at {pointer}: {err}"),
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
    fn violations_name_the_position_without_the_value() {
        let schema =
            json!({"properties": {"n": {"type": "array", "items": {"type": "string", "maxLength": 3}}}});
        let found = Schema::new("s", schema).unwrap().violations(&json!({"n": ["ok", "far too long", 1]}));
        let found: Vec<_> = found.iter().map(ToString::to_string).collect();
        assert_eq!(found.len(), 2);
        assert!(found[0].starts_with("/n/1: ") && !found[0].contains("far too long"), "{found:?}");
        assert!(found[1].starts_with("/n/2: "), "{found:?}");
    }

    #[test]
    fn a_check_agrees_with_the_violations() {
        let schema = Schema::new("s", json!({"items": {"type": "string"}})).unwrap();
        let check = |value, expected: Result<(), usize>| {
            let found = schema.check(&value);
            let lines = found.clone().map_err(|rejected| rejected.to_string().lines().count());
            assert_eq!((lines, schema.is_valid(&value)), (expected, expected.is_ok()), "{found:?}");
        };
        check(json!(["a"]), Ok(()));
        check(json!(["a", 1]), Err(1));
        check(json!(vec![0; 30]), Err(10));
    }

    #[test]
    fn a_type_has_a_schema() {
        #[derive(schemars::JsonSchema)]
        #[expect(dead_code, reason = "only its schema is looked at")]
        struct City<T> {
            name: String,
            twin: Option<T>,
        }
        let schema = Schema::of::<City<u8>>().unwrap();
        assert!(schema.name().starts_with("City"), "{}", schema.name());
        assert!(schema.violations(&json!({ "name": "Ulm" })).is_empty());
        assert_eq!(schema.violations(&json!({ "name": 1, "twin": -1 })).len(), 2);
    }

    #[test]
    fn formats_are_enforced() {
        let schema = Schema::new("s", json!({ "type": "string", "format": "uri" })).unwrap();
        assert_eq!(schema.violations(&json!("not a uri")).len(), 1);
        assert!(schema.violations(&json!("https://example.org/")).is_empty());
    }

    #[test]
    fn a_bad_name_and_a_bad_schema_are_refused() {
        assert!(Schema::new("a b", json!({})).is_err());
        assert!(Schema::new("a", json!({"type": "no such type"})).is_err());
    }
}

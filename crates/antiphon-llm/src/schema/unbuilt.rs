//! The stand-in for the validator in a build without the feature `schema`.

use serde_json::Value;

use super::definition::Schema;
use crate::error::{Error, ErrorKind};

/// A validator of which no value exists, and so none of a [`Schema`].
pub(super) enum Validator {}

impl Validator {
    /// Takes the place of the check of a value.
    pub(super) fn is_valid(&self, _: &Value) -> bool {
        match *self {}
    }
}

/// Refuses a schema that was read, since this build cannot check answers against it.
pub(super) fn build(name: &str, _: Value) -> Result<Schema, Error> {
    let why = "this build has no structured output. Enable the feature schema of antiphon-llm";
    Err(Error::new(ErrorKind::InvalidRequest, format!("cannot read the schema {name}: {why}")))
}

#[cfg(test)]
mod tests {
    use crate::Prompt;

    #[test]
    fn a_prompt_with_a_schema_is_refused_with_the_name_of_the_feature() {
        let text = r#"{"model": "m", "messages": []}"#;
        assert_eq!(serde_json::from_str::<Prompt>(text).unwrap(), Prompt::new("m", []));
        let text = r#"{"model": "m", "messages": [], "output": {"json": {"name": "s", "schema": {}}}}"#;
        let err = serde_json::from_str::<Prompt>(text).unwrap_err().to_string();
        assert!(err.contains("Enable the feature schema of antiphon-llm"), "{err}");
    }
}

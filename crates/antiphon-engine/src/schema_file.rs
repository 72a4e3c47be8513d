//! Schemas in files of their own, which a recipe names: `schema = "town.json"`.
//!
//! A run is stored with the text of its recipe, so that it can be resumed without any file. Therefore the name of a schema file
//! is replaced by the content of the file, as JSON in a string on the same line, before the recipe is read:
//!
//! ```toml
//! schema = "town.json"                          # as it is written
//! schema = "{\"type\":\"object\",\"required\":[]}"   # as it is stored
//! ```

use std::ops::Range;
use std::path::Path;

use antiphon_data::check_keys;
use antiphon_llm::{CallContext, Provider, Schema};
use serde::{Deserialize, Deserializer, de};
use serde_json::Value;
use toml::Spanned;

use crate::error::{Error, ErrorKind};
use crate::recipe::{Recipe, schema_name};

/// The part of a recipe that may name a file.
#[derive(Deserialize)]
struct Named {
    schema: Option<Spanned<toml::Value>>,
}

impl Recipe {
    /// Returns the text of a recipe in which the name of a schema file is replaced by the content of the file; the text itself if
    /// its schema is in the recipe, or if it cannot be parsed, which [`read`](Self::read) reports.
    ///
    /// `file` is the place of the recipe, to which the name of the schema file is relative; `name` is the recipe's name in errors.
    ///
    /// # Errors
    /// `Config` for a file that cannot be read, with the recipe and the line; for a file that is not a JSON schema, with that file
    /// and the line, or the JSON pointer of the mistake.
    ///
    /// # Cancel safety
    /// A dropped call changes nothing.
    pub async fn with_schema_file(name: &str, file: &Path, text: &str) -> Result<String, Error> {
        let Some((span, schema)) = schema_file(text) else { return Ok(text.to_owned()) };
        let place = file.parent().unwrap_or(Path::new("")).join(&schema);
        // Errors name the file as the recipe does, seen from the place of the recipe.
        let shown = Path::new(name).parent().unwrap_or(Path::new("")).join(&schema);
        let shown = shown.display().to_string();
        let content = antiphon_fs::read_to_string(&place).await.map_err(|err| {
            let line = text[..span.start].matches('\n').count() + 1;
            let advice = "Name a file beside the recipe, or write the schema into the recipe";
            let message = format!("{name}:{line}: cannot read the schema file {schema}: {err}. {advice}");
            Error::new(ErrorKind::Config, message)
        })?;
        let value = parsed(&shown, &content.text)?;
        Ok(format!("{}{}{}", &text[..span.start], as_toml(&value.to_string()), &text[span.end..]))
    }
}

impl Recipe {
    /// Returns the schema of answers, with the recipe's name; `None` for answers that are text.
    ///
    /// # Errors
    /// `Config` for a schema that is invalid, or in a file that was not read.
    pub fn json_schema(&self) -> Result<Option<Schema>, Error> {
        if let Some(Value::String(file)) = &self.schema {
            let advice = "read the recipe with Recipe::with_schema_file";
            return Err(self.invalid(&format!("the schema file {file} was not read: {advice}")));
        }
        let schema = self.schema.clone().map(|schema| Schema::new(&schema_name(&self.name), schema));
        schema.transpose().map_err(|err| self.invalid(&err.to_string()))
    }

    /// Returns the parts of the schema that a provider will not enforce for a model, as JSON pointers; `[""]` if it enforces none
    /// of it. The provider may be asked for the capabilities of the model, which costs nothing.
    ///
    /// # Errors
    /// Those of [`json_schema`](Self::json_schema).
    ///
    /// # Cancel safety
    /// A dropped call changes nothing.
    pub async fn weakened(&self, model: &str, provider: &dyn Provider) -> Result<Vec<String>, Error> {
        let Some(schema) = self.json_schema()? else { return Ok(Vec::new()) };
        Ok(provider.capabilities(model, &CallContext::default()).await.weakened(&schema))
    }
}

/// Returns the place and the name of the schema file in a recipe; `None` if it names none.
fn schema_file(text: &str) -> Option<(Range<usize>, String)> {
    let schema = toml::from_str::<Named>(text).ok()?.schema?;
    let name = schema.as_ref().as_str().filter(|schema| !is_json(schema))?.to_owned();
    Some((schema.span(), name))
}

/// Returns whether the text of a schema is JSON, and not the name of a file.
fn is_json(schema: &str) -> bool {
    schema.trim_start().starts_with(['{', '['])
}

/// Parses and checks the content of a schema file.
fn parsed(file: &str, content: &str) -> Result<Value, Error> {
    let config = |message: String| Error::new(ErrorKind::Config, message);
    let content = content.trim_start_matches('\u{feff}');
    let value: Value = check_keys(content).and_then(|()| serde_json::from_str(content)).map_err(|err| {
        let why = err.to_string();
        let why = why.split(" at line ").next().unwrap_or_default();
        // What is no mistake of syntax says itself what is wrong.
        let what = if err.is_data() { "" } else { "not valid JSON: " };
        config(format!("{file}:{}:{}: {what}{why}", err.line(), err.column()))
    })?;
    if let Some(inner) = wrapped(&value) {
        let advice = "Put the JSON schema itself into the file";
        return Err(config(format!(
            "{file}: the schema is within {inner}, which only one vendor reads. {advice}"
        )));
    }
    if !value.is_object() {
        return Err(config(format!("{file}: a JSON schema is an object. Begin the file with {{")));
    }
    Schema::new("schema", value.clone()).map_err(|err| {
        let why = err.to_string();
        config(format!("{file}: {}", why.trim_start_matches("the schema schema: ")))
    })?;
    Ok(value)
}

/// Returns the pointer of a schema that is wrapped as in a vendor's request: `/json_schema/schema` or `/schema`.
fn wrapped(value: &Value) -> Option<&'static str> {
    let is_schema = ["type", "properties", "$ref", "anyOf", "oneOf", "allOf", "enum", "const", "items"];
    if value["type"] == "json_schema" && value["json_schema"].is_object() {
        return Some("/json_schema/schema");
    }
    let has_keyword = is_schema.iter().any(|key| value.get(key).is_some());
    (!has_keyword && value["schema"].is_object()).then_some("/schema")
}

/// Returns a text as a basic string of TOML on one line.
fn as_toml(text: &str) -> String {
    // The escapes of JSON are those of TOML, which also escapes DEL.
    Value::String(text.to_owned()).to_string().replace('\u{7f}', "\\u007f")
}

/// Reads the schema of a recipe: a table, or a text that has JSON. A text that is the name of a file stays one.
pub(crate) fn table_or_json<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Value>, D::Error> {
    match Option::<Value>::deserialize(from)? {
        Some(Value::String(text)) if is_json(&text) => check_keys(&text)
            .and_then(|()| serde_json::from_str(&text))
            .map(Some)
            .map_err(|err| de::Error::custom(format!("the schema is not valid JSON: {err}"))),
        schema => Ok(schema),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{as_toml, parsed, schema_file};
    use crate::recipe::Recipe;

    #[test]
    fn only_a_text_that_is_no_json_names_a_file() {
        let file = |text: &str| schema_file(text).map(|(span, name)| (text[span].to_owned(), name));
        let named = file("prompt = 'x'\nschema = 'a/b.json' # x\n").unwrap();
        assert_eq!(named, ("'a/b.json'".to_owned(), "a/b.json".to_owned()));
        assert_eq!(file("prompt = 'x'\nschema = '{}'\n"), None);
        assert_eq!(file("prompt = 'x'\n[schema]\ntype = 'object'\n"), None);
        assert_eq!(file("prompt = "), None);
    }

    #[test]
    fn any_json_survives_the_way_through_toml() {
        let schema =
            json!({ "const": null, "title": "a \"b\" \\ 'c'\n\t\u{1}\u{7f}é", "default": [null, 1.5] });
        let text = format!("prompt = \"x\"\nschema = {}\nattempts = 0\n", as_toml(&schema.to_string()));
        let err = Recipe::read("r.toml", &text).unwrap_err().to_string();
        assert!(err.contains("Set at least 1"), "{err}");
        let recipe = Recipe::read("r.toml", &text.replace("attempts = 0", "")).unwrap();
        assert_eq!(recipe.schema, Some(schema));
    }

    #[track_caller]
    fn check(content: &str, expected: &str) {
        let err = parsed("s.json", content).unwrap_err().to_string();
        assert!(err.starts_with(expected), "{err}");
    }

    #[test]
    fn mistakes_are_named_with_their_place() {
        check("{\n \"type\": }", "s.json:2:10: not valid JSON: expected value");
        check("{\"a\": 1,\n \"type\": 1,\n \"type\": 2}", "s.json:3:7: the key \"type\" occurs twice");
        check("{\"properties\": {\"a\": {},\n \"a\": {}}}", "s.json:2:4: the key \"a\" occurs twice");
        check("", "s.json:1:0: not valid JSON: EOF");
        check("3", "s.json: a JSON schema is an object");
        check("{\"properties\": {\"a\": {\"type\": \"strin\"}}}", "s.json: at /properties/a/type: ");
        check("{\"$ref\": \"#\"}", "s.json: at /$ref: the reference leads back to itself");
        check(
            "{\"properties\": {\"a\": {\"$ref\": \"other.json\"}}}",
            "s.json: at /properties/a/$ref: other.json: references to other files are not read. Put it into $defs",
        );
        check(
            "{\"items\": {\"$ref\": \"#/$defs/Nope\"}}",
            "s.json: at /items/$ref: #/$defs/Nope names no definition",
        );
        check(
            "{\"type\": \"json_schema\", \"json_schema\": {}}",
            "s.json: the schema is within /json_schema/schema",
        );
        check("{\"name\": \"x\", \"schema\": {}}", "s.json: the schema is within /schema");
        let with_mark = "\u{feff}{\"type\": \"object\"}";
        assert_eq!(parsed("s.json", with_mark).unwrap(), json!({ "type": "object" }));
        assert_eq!(parsed("s.json", "{}").unwrap(), Value::Object(serde_json::Map::new()));
    }
}

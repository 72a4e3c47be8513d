//! Recipes as data: reading a recipe file, and compiling it into a [`Work`].
//!
//! A recipe is parsed in two steps. [`Recipe::read`] checks the form of the file, and [`Recipe::asking`] compiles the
//! parts that can be wrong in themselves: the templates (Jinja), the schema and the checks. The compiled recipe is
//! immutable, except for what its checks remember of other rows, and is shared by all jobs of a run.
//!
//! Templates are strict: a variable that the row does not have is an error, since an empty text in its place would be
//! paid for in every row. Their output is not escaped, because a model reads plain text and not HTML.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use antiphon_data::check_keys;
use antiphon_llm::{DocumentPart, Message, Output, Part, Prompt, Role, SamplingParams, Schema};
use minijinja::{Environment, ErrorKind as TemplateErrorKind, UndefinedBehavior};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::checks::{Check, Checks};
use crate::error::{Error, ErrorKind};
use crate::list_check::ListCheck;
use crate::schema_file::table_or_json;
use crate::template_limits;
use crate::template_value;
use crate::toml_file::{at_param, read_toml};
use crate::work::{Accepted, Invalid, InvalidRow, JobView, Unique, Work};

/// A recipe: the prompt template for each row, and the schema and checks of an answer. It is the content of a recipe file.
///
/// In a file, an unknown key is an error that names a similar known one. To compile a recipe for a model use
/// [`asking`](Self::asking); a recipe that needs code, such as a custom result, implements [`Work`] instead.
///
/// ```
/// use antiphon_engine::Recipe;
/// let recipe = Recipe::parse("towns.toml", r#"
///     prompt = "In which country is {{ name }}?"
///     system = "Answer with one word."
///
///     [[check]]
///     regex = "^[A-Z]"
/// "#)?;
/// assert_eq!(recipe.attempts, 2);
/// # Ok::<(), antiphon_engine::Error>(())
/// ```
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Recipe {
    /// The name in reports. Default: the file's name without its extension.
    #[serde(default)]
    pub name: String,
    /// The file that the recipe was read from, for error messages.
    #[serde(skip)]
    pub file: String,
    /// The prompt: a Jinja template with a row's fields as variables, and the whole row as `row`.
    pub prompt: String,
    /// The system prompt, which is a Jinja template as well. Default: none.
    pub system: Option<String>,
    /// The field whose text is added as a separate document after the prompt. Default: none.
    #[serde(default)]
    pub document: Option<String>,
    /// The model, unless a caller names another one.
    pub model: Option<String>,
    /// The fallbacks, each as `provider/model`, tried in this order if the provider cannot answer. A caller that names others
    /// overrides them. Default: those of the configuration.
    // Omitted while empty: the fingerprint of a run is a digest of this struct as JSON.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fallback: Vec<String>,
    /// The sampling parameters; one that is not set is that of the configuration, or left to the provider. `max_tokens` also
    /// bounds the cost that a budget reserves for each call.
    #[serde(default)]
    pub parameters: SamplingParams,
    /// The JSON schema of an answer (structured output). In a file: a table, JSON in a string, or the name of a JSON file, which
    /// [`with_schema_file`](Self::with_schema_file) replaces by its content. Default: none, answers are text.
    #[serde(default, deserialize_with = "table_or_json")]
    pub schema: Option<Value>,
    /// The list whose whole elements are kept from an answer that was cut, and whose valid ones are kept from one that has fewer
    /// of them than `minItems` demands, as a JSON pointer (RFC 6901) such as `/items`. Default: the only list in the schema.
    pub list: Option<String>,
    /// The checks of an answer, beside its schema. In a file: `[[check]]`.
    #[serde(default, rename = "check")]
    pub checks: Vec<Check>,
    /// The maximum number of attempts per row: answers, until one is valid. At least 1. Default: 2.
    #[serde(default = "two")]
    pub attempts: u32,
    /// Whether equal prompts are sent once (deduplication) and their answers are cached. Default: yes.
    #[serde(default = "yes")]
    pub cache: bool,
    /// Whether an answer that was cut at the token limit can be a result. Default: no.
    #[serde(default)]
    pub allow_cut: bool,
    /// Whether a row fails if the server has probably cut its prompt, so that the answer is to a part of it. Default: no, the run
    /// has a warning.
    // Omitted while false: the fingerprint of a run is a digest of this struct as JSON.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub strict: bool,
}

/// The default of [`Recipe::attempts`].
fn two() -> u32 {
    2
}

/// The default of [`Recipe::cache`].
fn yes() -> bool {
    true
}

impl Recipe {
    /// Creates a recipe with an empty prompt and default values, to be completed by setting fields.
    ///
    /// A recipe that is made in code is checked by [`asking`](Self::asking) only.
    #[must_use]
    pub fn empty() -> Self {
        Self {
            name: String::new(),
            file: String::new(),
            prompt: String::new(),
            system: None,
            document: None,
            model: None,
            fallback: Vec::new(),
            parameters: SamplingParams::default(),
            schema: None,
            list: None,
            checks: Vec::new(),
            attempts: two(),
            cache: yes(),
            allow_cut: false,
            strict: false,
        }
    }

    /// Parses the text of a recipe file called `name`, and checks its templates, schema and checks.
    ///
    /// # Errors
    /// `Config`, with the file and the line. For an invalid schema or check, with the file and the name of the part.
    pub fn parse(name: &str, text: &str) -> Result<Self, Error> {
        let recipe = Self::read(name, text)?;
        recipe.asking("model")?;
        Ok(recipe)
    }

    /// Parses the text of a recipe file called `name` without compiling its templates, schema and checks. Errors in those, which
    /// [`parse`](Self::parse) reports at once, are reported by [`asking`](Self::asking).
    ///
    /// # Errors
    /// `Config`, with the file and the line.
    pub fn read(name: &str, text: &str) -> Result<Self, Error> {
        let mut recipe: Self = read_toml(name, text)?;
        if recipe.name.is_empty() {
            let stem = Path::new(name).file_stem().and_then(|stem| stem.to_str());
            recipe.name = stem.unwrap_or("recipe").to_owned();
        }
        if recipe.attempts == 0 {
            let message = format!("{name}: attempts = 0 would send no call. Set at least 1.");
            return Err(Error::new(ErrorKind::Config, message));
        }
        recipe.parameters.check().map_err(|err| Error::new(ErrorKind::Config, at_param(name, text, &err)))?;
        recipe.file = name.to_owned();
        Ok(recipe)
    }

    /// Compiles the recipe for a model, into the [`Work`] that an [`Engine`](crate::Engine) processes.
    ///
    /// # Errors
    /// `Config` for a template, a schema or a check that is invalid, with the file. Of several, the first in this
    /// order.
    pub fn asking(&self, model: &str) -> Result<Arc<dyn Work>, Error> {
        self.parameters.check().map_err(|err| self.invalid(&err.to_string()))?;
        let templates = self.templates()?;
        let schema = self.json_schema()?;
        let list = self.list.clone().or_else(|| self.schema.as_ref().and_then(only_list));
        let list = schema.as_ref().and(list);
        Ok(Arc::new(Compiled {
            templates,
            model: model.to_owned(),
            has_system: self.system.is_some(),
            document: self.document.clone(),
            parameters: self.parameters.clone(),
            elements: schema.as_ref().and_then(|schema| ListCheck::of(schema, list.as_deref()?)),
            list,
            checks: Checks::new(&self.checks).map_err(|err| self.invalid(&err.to_string()))?,
            schema,
        }))
    }

    /// Compiles the templates of the prompt and of the system prompt, which are called `prompt` and `system`.
    fn templates(&self) -> Result<Environment<'static>, Error> {
        let mut templates = Environment::new();
        templates.set_undefined_behavior(UndefinedBehavior::Strict);
        // The output is plain text for a model, not HTML.
        templates.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
        template_value::keep_digits(&mut templates);
        template_limits::add_guards(&mut templates);
        for (name, source) in [("prompt", Some(&self.prompt)), ("system", self.system.as_ref())] {
            let Some(source) = source else { continue };
            template_limits::check(source)
                .map_err(|(line, why)| self.invalid(&format!("the {name}, line {line}: {why}")))?;
            let added = templates.add_template_owned(name, source.clone());
            added.map_err(|err| self.invalid(&format!("the {name}{}", template_error(&err))))?;
        }
        template_limits::limit_steps(&mut templates, &["prompt", "system"]);
        Ok(templates)
    }

    /// Returns the error for an invalid part, with the recipe's file if it has one.
    pub(crate) fn invalid(&self, message: &str) -> Error {
        match self.file.as_str() {
            "" => Error::new(ErrorKind::Config, message),
            file => Error::new(ErrorKind::Config, format!("{file}: {message}")),
        }
    }
}

/// Returns the recipe's name in the characters that vendors allow for the name of a schema: ASCII letters, digits, `-`
/// and `_`, at most 64 of them, as OpenAI documents for the `name` of a `json_schema`.
pub(crate) fn schema_name(recipe: &str) -> String {
    let allowed = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
    let name: String = recipe.chars().take(64).map(allowed).collect();
    if name.is_empty() { "answer".to_owned() } else { name }
}

/// Returns the JSON pointer of the list, where a schema is a list or has exactly one. With several, none can be chosen
/// without the author, and an answer that was cut is not salvaged. Only fields of the outermost object are searched.
fn only_list(root: &Value) -> Option<String> {
    // Generators write the root, or a list, as a reference.
    let resolved = |schema: &Value| -> Option<Value> {
        let Some(reference) = schema["$ref"].as_str() else { return Some(schema.clone()) };
        root.pointer(reference.strip_prefix('#')?).cloned()
    };
    let is_list = |schema: &Value| resolved(schema).is_some_and(|schema| schema["type"] == "array");
    let schema = &resolved(root)?;
    if is_list(schema) {
        return Some(String::new());
    }
    let mut lists = schema["properties"].as_object()?.iter().filter(|(_, schema)| is_list(schema));
    let (name, _) = lists.next()?;
    lists.next().is_none().then(|| format!("/{}", name.replace('~', "~0").replace('/', "~1")))
}

/// Formats the error of a template with its line.
fn template_error(err: &minijinja::Error) -> String {
    let line = err.line().map(|line| format!(", line {line}")).unwrap_or_default();
    if let Some(message) = template_limits::message(err) {
        return format!("{line}: {message}");
    }
    let detail = err.detail().map(|detail| format!(": {detail}")).unwrap_or_default();
    format!("{line}: {}{detail}", err.kind())
}

/// Formats the names that a template uses and the row does not have, and the fields that it has.
fn missing(row: &Value, mut wanted: Vec<String>) -> String {
    wanted.retain(|name| row.get(name).is_none());
    wanted.sort();
    let fields =
        row.as_object().into_iter().flatten().map(|(key, _)| key.as_str()).filter(|key| *key != "row");
    let fields: Vec<&str> = fields.collect();
    let wanted = if wanted.is_empty() { String::new() } else { format!(": no field {}", wanted.join(", ")) };
    format!("{wanted}; the row has {}", fields.join(", "))
}

/// A recipe that is compiled for a model.
struct Compiled {
    /// The templates `prompt` and, if the recipe has one, `system`.
    templates: Environment<'static>,
    model: String,
    has_system: bool,
    /// The field whose text becomes a separate document.
    document: Option<String>,
    parameters: SamplingParams,
    schema: Option<Schema>,
    /// The JSON pointer of the list that is salvaged; always `None` without a schema.
    list: Option<String>,
    /// The check of that list's elements, one by one.
    elements: Option<ListCheck>,
    checks: Checks,
}

impl Compiled {
    /// Renders a template. The error for an undefined variable lists the fields of the row, since the usual cause is a
    /// name that is spelt differently in the recipe and in the input.
    fn render(&self, name: &str, context: &minijinja::Value, row: &Value) -> Result<String, InvalidRow> {
        let invalid = |err: &minijinja::Error, hint: &str| {
            InvalidRow::new(format!("the {name}{}{hint}", template_error(err)))
        };
        let template = self.templates.get_template(name).map_err(|err| invalid(&err, ""))?;
        template_limits::render(&self.templates, name, context).map_err(|err| {
            let hint = match err.kind() {
                TemplateErrorKind::UndefinedError => {
                    missing(row, template.undeclared_variables(false).into_iter().collect())
                }
                _ => String::new(),
            };
            invalid(&err, &hint)
        })
    }
}

/// Parses a row, and adds the whole row as its field `row`, for templates that need all fields.
fn with_whole_row(row: &str) -> Result<Value, InvalidRow> {
    let mut row: Value = check_keys(row)
        .and_then(|()| serde_json::from_str(row))
        .map_err(|err| InvalidRow::new(format!("not valid JSON: {err}")))?;
    if let Value::Object(fields) = &mut row {
        // A field with the name `row` has precedence.
        let whole = Value::Object(fields.clone());
        fields.entry("row").or_insert(whole);
    }
    Ok(row)
}

/// Returns the text of a row's field as a document. Its name is the row's field `name`, or else that of the field.
fn document_of(row: &Value, field: &str) -> Result<DocumentPart, InvalidRow> {
    let document = row[field].as_str().ok_or_else(|| {
        let fields = missing(row, vec![field.to_owned()]);
        InvalidRow::new(format!("the document: the field {field} is not text{fields}"))
    })?;
    let name = row["name"].as_str().unwrap_or(field);
    Ok(DocumentPart::new("d1", name, document))
}

impl Work for Compiled {
    fn prompt(&self, row: &str) -> Result<Prompt, InvalidRow> {
        let row = with_whole_row(row)?;
        let context = template_value::variables(&row);
        let mut parts = vec![Part::Text(self.render("prompt", &context, &row)?)];
        if let Some(field) = &self.document {
            parts.push(Part::Document(document_of(&row, field)?));
        }
        let message = Message::of(Role::User, parts);
        let mut prompt = Prompt::new(&self.model, [message]).parameters(self.parameters.clone());
        if self.has_system {
            prompt = prompt.system(self.render("system", &context, &row)?);
        }
        Ok(match &self.schema {
            Some(schema) => prompt.output(Output::Json(schema.clone())),
            None => prompt,
        })
    }

    fn schema(&self) -> Option<&Schema> {
        self.elements.as_ref().map(ListCheck::schema)
    }

    fn accept(&self, job: &JobView<'_>, value: Value) -> Result<Accepted, Invalid> {
        let accepted = match &self.elements {
            Some(elements) => elements.settle(value)?,
            None => Accepted::new(value),
        };
        self.checks.hold(job.index, &accepted.value).map_err(|err| Invalid::Violations(err.to_string()))?;
        Ok(accepted)
    }

    fn list(&self) -> Option<&str> {
        self.list.as_deref()
    }

    fn unique(&self, result: &Value) -> Vec<Unique> {
        self.checks.unique(result)
    }

    fn accepted_before(&self, index: u64, result: &str) {
        if let Ok(result) = serde_json::from_str(result) {
            // An earlier result has passed its checks; this only records its unique values.
            let _ = self.checks.hold(index, &result);
        }
    }

    fn looks_back(&self) -> bool {
        self.checks.look_back()
    }
}

impl fmt::Debug for Compiled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compiled").field("model", &self.model).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use antiphon_llm::Output;
    use serde_json::json;

    use super::{Accepted, Invalid, JobView, Recipe};

    fn error(text: &str) -> String {
        Recipe::parse("r.toml", text).unwrap_err().to_string()
    }

    #[test]
    fn errors_name_the_file_and_the_line() {
        assert_eq!(
            error("prompt = \"x\"\nsytem = \"y\""),
            "r.toml:2: unknown key sytem; did you mean system?"
        );
        assert!(error("prompt = \"a\\n{{ x\"").starts_with("r.toml: the prompt, line 2: syntax error"));
        assert!(
            error("prompt = \"x\"\nschema = { type = \"objekt\" }").starts_with("r.toml: the schema r: ")
        );
        assert!(
            error("prompt = \"x\"\n[[check]]\nregex = \"(\"")
                .starts_with("r.toml: the check at the whole answer: ")
        );
        assert!(error("prompt = \"x\"\nattempts = 0").contains("Set at least 1"));
        let twice = error("prompt = \"x\"\nschema = { type = \"integer\", type = \"string\" }");
        assert!(twice.starts_with("r.toml:2: ") && twice.contains("duplicate key"), "{twice}");
    }

    #[test]
    fn sampling_parameters_are_checked_at_their_line() {
        let check = |parameters: &str, expected: &str| {
            assert_eq!(error(&format!("prompt = \"x\"\n[parameters]\nseed = 7\n{parameters}\n")), expected);
        };
        check("top_p = 3", "r.toml:4: top_p is 3: it must be a number from 0 to 1");
        check("temperature = nan", "r.toml:4: temperature is NaN: it must be a number from 0");
        check("tep_p = 0.5", "r.toml:4: unknown key tep_p; did you mean top_p?");
        check(
            "frequency_penalty = -3.0",
            "r.toml:4: frequency_penalty is -3: it must be a number from -2 to 2",
        );
        check("top_k = -1", "r.toml:4: wrong value: expected a whole number");
        check("stop = \"END\"", "r.toml:4: wrong value: expected a list in brackets");
        assert!(
            error("prompt = \"x\"\nparameters = { stop = [\"a\", \"\"] }")
                .starts_with("r.toml:2: stop is empty")
        );
        let effort = error("prompt = \"x\"\n[parameters]\nreasoning_effort = \"hgih\"");
        assert!(effort.starts_with("r.toml:3: ") && effort.contains("`minimal`"), "{effort}");
        let text = "prompt = \"x\"\n[parameters]\ntop_k = 40\nstop = [\"END\"]\nreasoning_effort = \"low\"";
        let prompt = Recipe::parse("r.toml", text).unwrap().asking("m").unwrap().prompt("{}").unwrap();
        let names: Vec<_> = prompt.parameters.set().map(|(name, _)| name).collect();
        assert_eq!(names, ["top_k", "stop", "reasoning_effort"]);
    }

    #[test]
    fn a_prompt_has_the_rows_fields_and_a_missing_field_is_an_error() {
        let recipe =
            Recipe::parse("r.toml", "prompt = \"{{ name }} <{{ row.age }}>\"\nsystem = \"{{ row|tojson }}\"")
                .unwrap();
        let work = recipe.asking("m").unwrap();
        let prompt = work.prompt(r#"{"name":"A & B","age":3}"#).unwrap();
        assert_eq!((prompt.messages[0].rendered().as_ref(), prompt.model.as_str()), ("A & B <3>", "m"));
        let system: serde_json::Value = serde_json::from_str(&prompt.system.unwrap()).unwrap();
        assert_eq!(system, json!({"name": "A & B", "age": 3}));
        let err = work.prompt(r#"{"nom":"A"}"#).unwrap_err().to_string();
        assert!(err.contains("no field name") && err.ends_with("the row has nom"), "{err}");
    }

    #[test]
    fn the_only_list_of_a_schema_is_the_one_that_is_salvaged() {
        let text = "prompt = \"x\"\nschema = { type = \"object\", required = [\"items\"], properties = { items = { type = \"array\", items = { type = \"integer\" } } } }";
        let work = Recipe::parse("r.toml", text).unwrap().asking("m").unwrap();
        assert!(matches!(work.prompt("{}").unwrap().output, Output::Json(_)));
        assert_eq!(work.list(), Some("/items"));
    }

    #[test]
    fn a_recipe_without_fallbacks_keeps_its_fingerprint() {
        let hashed = |text: &str| serde_json::to_value(Recipe::parse("r.toml", text).unwrap()).unwrap();
        assert_eq!(hashed("prompt = \"x\"").get("fallback"), None);
        let unset = json!({ "temperature": null, "max_tokens": null, "seed": null });
        assert_eq!(hashed("prompt = \"x\"")["parameters"], unset);
        assert_eq!(hashed("prompt = \"x\"\nfallback = [\"lab/m\"]")["fallback"], json!(["lab/m"]));
    }

    #[test]
    fn an_answer_that_fails_a_check_is_invalid() {
        let text = "prompt = \"x\"\n[[check]]\nmin = 2";
        let work = Recipe::parse("r.toml", text).unwrap().asking("m").unwrap();
        let accept = |value| work.accept(&JobView::new(0, "{}"), value);
        assert_eq!(accept(json!("words")), Ok(Accepted::new(json!("words"))));
        assert!(matches!(accept(json!("a")), Err(Invalid::Violations(_))));
    }
}

//! The schema of one call after it was sent: what the server does not enforce of it, and what the answer shows.
//!
//! Some servers accept a schema and ignore it: their documentation says so, or nothing does. An answer of another shape is proof,
//! since no token of it could have been sampled under the schema. Then the next weaker mode is used from the next call on, for
//! the model and the schema, and the warning says so; the answer itself is returned as it is, and its caller checks it.

use std::cell::OnceCell;

use antiphon_llm::json::{self, JsonErrorKind, Strictness};
use antiphon_llm::{CallWarning, Dialect, FinishReason, Prompt, Schema};

use serde_json::Value;

use super::structured_mode::{Learned, ModeFallback, StructuredMode};

/// The schema of one call, as it was sent.
#[derive(Debug, Default)]
pub(crate) struct SentSchema {
    /// The places of the schema that the server does not enforce, as JSON pointers; the root for all of it.
    pub(crate) weakened: Vec<String>,
    /// The warning of a schema that is in the prompt only.
    pub(crate) warning: Option<CallWarning>,
    /// The means to learn from the answer; `None` for a schema that is not sent as a constraint.
    watch: Option<Box<Watch>>,
}

/// The means to learn from an answer.
#[derive(Debug)]
struct Watch {
    modes: ModeFallback,
    model: String,
    schema: Schema,
    mode: StructuredMode,
}

impl SentSchema {
    /// Creates the record of a schema that was sent in a mode.
    pub(super) fn new(
        modes: ModeFallback,
        prompt: &Prompt,
        schema: &Schema,
        mode: StructuredMode,
        dialect: &Dialect,
    ) -> Self {
        let compiled = schema.compile(dialect);
        // A schema that the dialect cannot express is sent as a hint only.
        let is_enforced = mode == StructuredMode::JsonSchema && compiled.inexpressible.is_empty();
        let weakened = if is_enforced { compiled.weakened.clone() } else { vec![String::new()] };
        let known = modes.known(&prompt.model, schema);
        let warning = if !compiled.inexpressible.is_empty() && known.is_none() {
            Some(inexpressible(mode, &compiled.inexpressible))
        } else if mode == StructuredMode::JsonSchema {
            None
        } else {
            not_enforced(mode, known)
        };
        let is_watched = is_enforced || mode == StructuredMode::JsonObject;
        let watch = || Box::new(Watch { modes, model: prompt.model.clone(), schema: schema.clone(), mode });
        Self { weakened, warning, watch: is_watched.then(watch) }
    }

    /// Returns a warning if a complete answer shows that the server ignored the schema, and remembers the next weaker mode.
    pub(crate) fn check(&self, text: &str, finish: &FinishReason) -> Option<CallWarning> {
        let Watch { modes, model, schema, mode } = &**self.watch.as_ref()?;
        // An answer that was cut, or has no text, shows nothing.
        if *finish != FinishReason::Stop || text.trim().is_empty() {
            return None;
        }
        let shape = OnceCell::new();
        let has_shape = |value: &Value| {
            let shape = || shape.get_or_init(|| schema.shape()).as_ref();
            // A schema that cannot be compiled without its limits is no evidence of anything.
            schema.is_valid(value) || shape().is_none_or(|shape| shape.is_valid(value))
        };
        let value = match json::extract_for(text, Strictness::Lenient, has_shape) {
            Ok(found) => Some(found.value),
            // Prose shows it. JSON that was cut, is broken or has two readings may have been written under a constraint.
            Err(err) if err.kind() == JsonErrorKind::Missing => None,
            Err(_) => return None,
        };
        let is_fit = match (mode, &value) {
            (StructuredMode::JsonSchema, Some(value)) => {
                // A root that is no object is sent within one.
                let inner = value.as_object().filter(|object| object.len() == 1);
                let inner = inner.and_then(|object| object.values().next());
                has_shape(value) || inner.is_some_and(has_shape)
            }
            (_, value) => value.is_some(),
        };
        if is_fit {
            return None;
        }
        let weaker = modes.weaker(*mode, schema)?;
        modes.learn(model, schema, Learned { mode: weaker, rejection: None });
        let form = if *mode == StructuredMode::JsonSchema { "the schema" } else { "the request for JSON" };
        let shape = if value.is_some() { "JSON of another shape" } else { "no JSON" };
        Some(CallWarning::schema_ignored(format!(
            "the server ignores {form}: the answer is {shape}. From now on {}",
            instead(weaker)
        )))
    }
}

/// Returns the warning of a schema that the vendor's dialect cannot express at some places.
fn inexpressible(mode: StructuredMode, places: &[String]) -> CallWarning {
    const MOST: usize = 3;
    let names = places.iter().take(MOST).map(|place| if place.is_empty() { "its root" } else { place });
    let names = names.collect::<Vec<_>>().join(", ");
    let more = if places.len() > MOST { " and others" } else { "" };
    let instead = match mode {
        StructuredMode::JsonSchema => "it is sent as a hint, and each answer is checked here",
        mode => instead(mode),
    };
    CallWarning::schema_not_enforced(format!(
        "the provider does not enforce the schema, since it cannot express {names}{more}: {instead}"
    ))
}

/// Returns the warning of a schema that the server does not enforce; `None` if that was said with the answer that showed it.
fn not_enforced(mode: StructuredMode, known: Option<Learned>) -> Option<CallWarning> {
    let why = match known {
        Some(Learned { rejection: None, .. }) => return None,
        Some(Learned { rejection: Some(why), .. }) => format!(" ({why})"),
        None => String::new(),
    };
    let message = format!("the server does not enforce the schema{why}: {}", instead(mode));
    Some(CallWarning::schema_not_enforced(message))
}

/// Describes what happens in a weaker mode.
fn instead(mode: StructuredMode) -> &'static str {
    match mode {
        StructuredMode::JsonSchema => "the schema is sent as it is",
        StructuredMode::JsonObject => {
            "JSON is requested, the schema is in the prompt, and each answer is checked here"
        }
        StructuredMode::PromptOnly => "the schema is in the prompt only, and each answer is checked here",
    }
}

#[cfg(test)]
mod tests {
    use antiphon_llm::{CallWarningKind, Dialect, FinishReason, Message, Output, Prompt, Schema};
    use serde_json::json;

    use super::{ModeFallback, StructuredMode};

    const ALL: &[StructuredMode] =
        &[StructuredMode::JsonSchema, StructuredMode::JsonObject, StructuredMode::PromptOnly];

    fn prompt() -> Prompt {
        let name = json!({ "type": "string", "maxLength": 5 });
        let schema = json!({ "type": "object", "properties": { "name": name }, "required": ["name"] });
        Prompt::new("m", [Message::user("?")]).output(Output::Json(Schema::new("s", schema).unwrap()))
    }

    #[test]
    fn a_scalar_shows_no_ignored_schema() {
        let (modes, schema) = (ModeFallback::new(ALL), json!({ "type": "integer" }));
        let output = Output::Json(Schema::new("s", schema).unwrap());
        let prompt = Prompt::new("m", [Message::user("?")]).output(output);
        for (text, is_ignored) in [("39", false), ("{\"value\": 39}", false), ("A lovely town.", true)] {
            let sent = modes.sent(&prompt, StructuredMode::JsonSchema, &Dialect::default());
            assert_eq!(sent.check(text, &FinishReason::Stop).is_some(), is_ignored, "{text}");
        }
    }

    #[track_caller]
    fn check(mode: StructuredMode, text: &str, finish: FinishReason, expected: Option<StructuredMode>) {
        let (modes, prompt) = (ModeFallback::new(ALL), prompt());
        let warning = modes.sent(&prompt, mode, &Dialect::default()).check(text, &finish);
        assert_eq!(
            warning.map(|warning| warning.kind),
            expected.map(|_| CallWarningKind::SchemaIgnored),
            "{text}"
        );
        let learned = prompt.output.schema().and_then(|schema| modes.known("m", schema));
        assert_eq!(learned.map(|learned| learned.mode), expected, "{text}");
    }

    #[test]
    fn only_an_answer_that_no_constraint_would_have_let_pass_is_evidence() {
        let (json_schema, json_object) = (StructuredMode::JsonSchema, StructuredMode::JsonObject);
        check(json_schema, "A lovely town.", FinishReason::Stop, Some(json_object));
        check(json_schema, "{\"town\": \"Oslo\"}", FinishReason::Stop, Some(json_object));
        check(json_schema, "[{\"name\": \"Oslo\"}]", FinishReason::Stop, Some(json_object));
        check(json_object, "A lovely town.", FinishReason::Stop, Some(StructuredMode::PromptOnly));
        check(json_object, "{\"town\": \"Oslo\"}", FinishReason::Stop, None);
        check(json_schema, "{\"name\": \"Trondheim\"}", FinishReason::Stop, None);
        check(json_schema, "Well,\n```json\n{\"name\": \"Oslo\"}\n```", FinishReason::Stop, None);
        check(json_schema, "{\"name\": \"Os", FinishReason::Length, None);
        check(json_schema, "{\"name\": \"Os", FinishReason::Stop, None);
        check(json_schema, "{\"name\": \"Oslo\", \"name\": \"Rome\"}", FinishReason::Stop, None);
        check(json_schema, " ", FinishReason::Stop, None);
        check(StructuredMode::PromptOnly, "A lovely town.", FinishReason::Stop, None);
    }
}

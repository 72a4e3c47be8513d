//! The shapes of requests, chunks, lists and embeddings. The request:
//!
//! ```json
//! {
//!   "contents": [{"role": "user", "parts": [{"text": "Hello"}]}],
//!   "systemInstruction": {"parts": [{"text": "Be brief."}]},
//!   "generationConfig": {
//!     "temperature": 0.2, "maxOutputTokens": 500, "seed": 7,
//!     "responseMimeType": "application/json", "responseJsonSchema": {"type": "object"}
//!   }
//! }
//! ```
//!
//! The model is in the path and not in the body. Fields without a value are left out, and so is an empty
//! `generationConfig`.

use antiphon_llm::{Error, ErrorKind, FinishReason, Model, Prompt, Role, Usage};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::config::dialect;
use crate::exchange::{StructuredMode, Text, size_of, system_of, turns};

/// Returns the path of a model, `models/NAME`.
///
/// The result is put into a URL path without encoding. A name is accepted with or without `models/`;
/// `tunedModels/NAME` keeps its folder.
///
/// # Errors
/// `ModelNotFound` for a name with characters that would change the path.
pub(super) fn model_path(model: &str) -> Result<String, Error> {
    let path = model.strip_prefix("models/").unwrap_or(model);
    let (folder, name) = match path.strip_prefix("tunedModels/") {
        Some(name) => ("tunedModels", name),
        None => ("models", path),
    };
    let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    if is_name {
        Ok(format!("{folder}/{name}"))
    } else {
        Err(Error::new(ErrorKind::ModelNotFound, format!("{model:?} is not a name of a Gemini model")))
    }
}

/// Builds the request's body.
pub(super) fn request(prompt: &Prompt, mode: StructuredMode) -> Value {
    let turns = turns(prompt, None).into_iter();
    let contents: Value =
        turns.map(|turn| json!({ "role": role(turn.role), "parts": [{ "text": turn.content }] })).collect();
    let mut body = Map::new();
    body.insert("contents".to_owned(), contents);
    if let Some(system) = system_of(prompt, mode) {
        body.insert("systemInstruction".to_owned(), json!({ "parts": [{ "text": system }] }));
    }
    let config = generation_config(prompt, mode);
    if !config.is_empty() {
        body.insert("generationConfig".to_owned(), Value::Object(config));
    }
    Value::Object(body)
}

/// Builds the field `generationConfig`: sampling parameters and the form of the answer.
fn generation_config(prompt: &Prompt, mode: StructuredMode) -> Map<String, Value> {
    let parameters = prompt.parameters;
    let (kind, schema) = match (prompt.output.schema(), mode) {
        (Some(schema), StructuredMode::JsonSchema) => {
            (Some("application/json"), Some(schema.compile(&dialect()).schema.clone()))
        }
        (Some(_), StructuredMode::JsonObject) => (Some("application/json"), None),
        (Some(_), StructuredMode::PromptOnly) | (None, _) => (None, None),
    };
    let optional = [
        ("temperature", parameters.temperature.map(Value::from)),
        ("maxOutputTokens", parameters.max_tokens.map(Value::from)),
        ("seed", parameters.seed.map(Value::from)),
        ("responseMimeType", kind.map(Value::from)),
        ("responseJsonSchema", schema),
    ];
    optional.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect()
}

/// Returns the vendor's name for a role: `model` for the assistant, and any other role unchanged, never a default.
fn role(name: &str) -> &str {
    if name == Role::Assistant.name() { "model" } else { name }
}

/// A chunk of an answer, or the complete answer.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Chunk<'a> {
    /// The alternatives, of which one is requested.
    #[serde(borrow, default)]
    pub(super) candidates: Option<Vec<Candidate<'a>>>,
    /// The verdict of the safety filter on the prompt.
    #[serde(borrow, default)]
    pub(super) prompt_feedback: Option<PromptFeedback<'a>>,
    /// The token counts so far.
    #[serde(default)]
    pub(super) usage_metadata: Option<UsageMetadata>,
    /// The model that serves the answer.
    #[serde(borrow, default)]
    pub(super) model_version: Option<Text<'a>>,
    /// The vendor's id of the answer.
    #[serde(borrow, default)]
    pub(super) response_id: Option<Text<'a>>,
    /// The presence of an error, which is then read from the whole chunk.
    #[serde(default)]
    pub(super) error: Option<serde::de::IgnoredAny>,
}

/// One alternative of the answer.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Candidate<'a> {
    #[serde(borrow, default)]
    pub(super) content: Option<Content<'a>>,
    #[serde(borrow, default)]
    pub(super) finish_reason: Option<Text<'a>>,
}

/// The output of a candidate, as a list of parts.
#[derive(Deserialize)]
pub(super) struct Content<'a> {
    #[serde(borrow, default)]
    pub(super) parts: Option<Vec<Part<'a>>>,
}

/// A part of the output. Only `text` of a part without `thought` belongs to the answer.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Part<'a> {
    #[serde(borrow, default)]
    pub(super) text: Option<Text<'a>>,
    /// Whether the part is reasoning and does not belong to the answer.
    #[serde(default)]
    pub(super) thought: bool,
    /// The encrypted state of the reasoning.
    #[serde(borrow, default)]
    thought_signature: Option<&'a RawValue>,
    /// The call of a tool.
    #[serde(borrow, default)]
    function_call: Option<&'a RawValue>,
    /// Code that the model runs at the vendor.
    #[serde(borrow, default)]
    executable_code: Option<&'a RawValue>,
    /// Output that is not text, such as an image.
    #[serde(borrow, default)]
    inline_data: Option<&'a RawValue>,
}

impl Part<'_> {
    /// Returns the bytes of output that is not text of the answer.
    pub(super) fn hidden_bytes(&self) -> usize {
        let thought = if self.thought { Text::of(self.text.as_ref()).len() } else { 0 };
        let fields = [self.thought_signature, self.function_call, self.executable_code, self.inline_data];
        thought + fields.into_iter().map(size_of).sum::<usize>()
    }
}

/// The verdict on the prompt, with the reason such as `SAFETY` or `PROHIBITED_CONTENT` if it is blocked.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PromptFeedback<'a> {
    #[serde(borrow, default)]
    pub(super) block_reason: Option<Text<'a>>,
}

/// The token counts of a chunk; each is the total so far.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct UsageMetadata {
    /// Tokens of the prompt, cached ones included.
    #[serde(default)]
    prompt_token_count: Option<u64>,
    /// Tokens of the prompt that were read from the cache.
    #[serde(default)]
    cached_content_token_count: Option<u64>,
    /// Tokens of the answer, without reasoning.
    #[serde(default)]
    candidates_token_count: Option<u64>,
    /// Tokens of reasoning.
    #[serde(default)]
    thoughts_token_count: Option<u64>,
    /// Tokens of the results of tools, which are a part of the input but not of the first count.
    #[serde(default)]
    tool_use_prompt_token_count: Option<u64>,
}

impl From<UsageMetadata> for Usage {
    /// Converts the counts. Reasoning is billed as output but not part of the candidates' tokens; a count of zero is left out
    /// (<https://ai.google.dev/api/generate-content#UsageMetadata>).
    fn from(usage: UsageMetadata) -> Self {
        let thoughts = usage.thoughts_token_count.unwrap_or(0);
        let tools = usage.tool_use_prompt_token_count.unwrap_or(0);
        let input = usage.prompt_token_count.map(|input| input.saturating_add(tools));
        Self::new(input, Some(usage.candidates_token_count.unwrap_or(0).saturating_add(thoughts)))
            .cached(Some(usage.cached_content_token_count.unwrap_or(0)))
            .reasoning(Some(thoughts))
    }
}

/// Maps a finish reason: <https://ai.google.dev/api/generate-content#FinishReason>.
pub(super) fn finish_reason(name: &str) -> FinishReason {
    match name {
        "STOP" => FinishReason::Stop,
        "MAX_TOKENS" => FinishReason::Length,
        "SAFETY" | "RECITATION" | "BLOCKLIST" | "PROHIBITED_CONTENT" | "SPII" => FinishReason::Filtered,
        // Reasons to stop in the middle.
        "LANGUAGE"
        | "OTHER"
        | "MALFORMED_RESPONSE"
        | "MISSING_THOUGHT_SIGNATURE"
        | "ESCALATION"
        | "MALFORMED_FUNCTION_CALL"
        | "UNEXPECTED_TOOL_CALL"
        | "TOO_MANY_TOOL_CALLS" => FinishReason::Failed,
        other => FinishReason::Unknown(other.to_owned()),
    }
}

/// Reads a page of the list,
/// `{"models": [{"name", "inputTokenLimit", "supportedGenerationMethods"}], "nextPageToken"}`; `None` for any
/// other answer. A model that does not support `generateContent` is listed as one that does not answer.
pub(super) fn models(page: &Value) -> Option<Vec<Model>> {
    let model = |entry: &Value| {
        let name = entry["name"].as_str()?;
        let methods = entry["supportedGenerationMethods"].as_array();
        let answers = methods.is_none_or(|methods| methods.iter().any(|method| method == "generateContent"));
        let id = name.strip_prefix("models/").unwrap_or(name);
        Some(Model::new(id, entry["inputTokenLimit"].as_u64()).answers(answers))
    };
    // For an account without models the list is missing.
    match &page["models"] {
        Value::Array(models) => Some(models.iter().filter_map(model).collect()),
        Value::Null if page.as_object().is_some_and(Map::is_empty) => Some(Vec::new()),
        _ => None,
    }
}

/// Reads the vectors of an answer, in the order of their texts.
///
/// # Errors
/// `InvalidResponse` for another shape, or for another number of vectors than texts.
pub(super) fn vectors(answer: &Value, texts: usize) -> Result<Vec<Vec<f32>>, Error> {
    #[derive(Deserialize)]
    struct Entry {
        values: Vec<f32>,
    }
    let malformed =
        |why: String| Error::new(ErrorKind::InvalidResponse, format!("the answer has no embeddings: {why}"));
    let entries =
        Vec::<Entry>::deserialize(&answer["embeddings"]).map_err(|err| malformed(err.to_string()))?;
    if entries.len() == texts {
        Ok(entries.into_iter().map(|entry| entry.values).collect())
    } else {
        Err(malformed(format!("{} vectors for {texts} texts", entries.len())))
    }
}

#[cfg(test)]
mod tests {
    use antiphon_llm::Role;

    use super::{model_path, role};

    #[test]
    fn a_model_name_cannot_change_the_path() {
        let check = |model: &str, expected: Option<&str>| {
            assert_eq!(model_path(model).ok().as_deref(), expected, "{model}");
        };
        check("gemini-2.5-flash", Some("models/gemini-2.5-flash"));
        check("models/gemini-2.5-flash", Some("models/gemini-2.5-flash"));
        check("tunedModels/my-model_1", Some("tunedModels/my-model_1"));
        for folder in ["", "models/", "tunedModels/"] {
            for name in
                ["", "a/b", "../cachedContents", "a?key=x", "a#b", "a b", "a:generateContent", "a%2fb"]
            {
                check(&format!("{folder}{name}"), None);
            }
        }
    }

    #[test]
    fn each_role_is_sent_under_its_own_name() {
        assert_eq!([Role::User, Role::Assistant].map(|side| role(side.name())), ["user", "model"]);
        assert_eq!(role("tool"), "tool", "not sent as the user's");
    }
}

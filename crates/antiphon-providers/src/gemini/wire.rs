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

use std::borrow::Cow;

use antiphon_llm::{Error, ErrorKind, FinishReason, Model, Prompt, ReasoningEffort, Role, Usage};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::config::dialect;
use crate::exchange::{
    Budget, Ending, Label, MAX_CHOICES, MAX_PARTS, ParamTable, SentEffort, StructuredMode, Text, count_at,
    ending, field, first, index_of, is_true, size_of, system_of, turns, value_of,
};
use crate::limits::check_embeddings;

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
    let config = answer_form(prompt, mode);
    if !config.is_empty() {
        body.insert("generationConfig".to_owned(), Value::Object(config));
    }
    PARAMS.write(&prompt.parameters, &mut body);
    Value::Object(body)
}

/// The sampling parameters of `generateContent`: <https://ai.google.dev/api/generate-content#v1beta.GenerationConfig>.
///
/// The budget of reasoning is that of the models up to 2.5; later ones take an effort
/// (<https://ai.google.dev/gemini-api/docs/thinking>).
pub(super) static PARAMS: ParamTable = ParamTable {
    fields: Cow::Borrowed(&[
        field("temperature", "generationConfig.temperature"),
        field("max_tokens", "generationConfig.maxOutputTokens"),
        field("seed", "generationConfig.seed"),
        field("top_p", "generationConfig.topP"),
        field("top_k", "generationConfig.topK"),
        field("stop", "generationConfig.stopSequences"),
        field("presence_penalty", "generationConfig.presencePenalty"),
        field("frequency_penalty", "generationConfig.frequencyPenalty"),
        field("reasoning_effort", "generationConfig.thinkingConfig.thinkingLevel"),
        field("reasoning_budget", "generationConfig.thinkingConfig.thinkingBudget"),
        field("service_tier", "serviceTier"),
    ]),
    effort,
    max_stops: Some(5),
    tiers: &["standard", "flex", "priority"],
    budget: Budget::at_least(0),
};

/// Returns the form of an effort: a level, from `minimal` to `high`, or a budget of no tokens for none.
fn effort(effort: ReasoningEffort) -> Option<SentEffort> {
    use ReasoningEffort::{High, Low, Medium, Minimal, None};
    match effort {
        None => Some(SentEffort::at("generationConfig.thinkingConfig.thinkingBudget", 0)),
        other => SentEffort::one_of(other, &[Minimal, Low, Medium, High]),
    }
}

/// Builds the part of `generationConfig` that is the form of the answer.
fn answer_form(prompt: &Prompt, mode: StructuredMode) -> Map<String, Value> {
    let (kind, schema) = match (prompt.output.schema(), mode) {
        (Some(schema), StructuredMode::JsonSchema) => {
            (Some("application/json"), Some(schema.compile(&dialect()).schema.clone()))
        }
        (Some(_), StructuredMode::JsonObject) => (Some("application/json"), None),
        (Some(_), StructuredMode::PromptOnly) | (None, _) => (None, None),
    };
    let optional = [("responseMimeType", kind.map(Value::from)), ("responseJsonSchema", schema)];
    optional.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect()
}

/// Returns the vendor's name for a role: `model` for the assistant, and any other role unchanged, never a default.
fn role(name: &str) -> &str {
    if name == Role::Assistant.name() { "model" } else { name }
}

/// A chunk of a stream, or a complete response. Only the text is read strictly.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Chunk<'a> {
    /// The alternatives, of which one is requested.
    #[serde(borrow, default, deserialize_with = "first::<_, _, MAX_CHOICES>")]
    pub(super) candidates: Option<Vec<Option<Candidate<'a>>>>,
    /// The raw verdict of the safety filter on the prompt.
    #[serde(borrow, default)]
    pub(super) prompt_feedback: Option<&'a RawValue>,
    /// The token counts so far.
    #[serde(borrow, default)]
    pub(super) usage_metadata: Option<&'a RawValue>,
    /// The model that serves the answer.
    #[serde(borrow, default)]
    pub(super) model_version: Label<'a>,
    /// The vendor's id of the answer.
    #[serde(borrow, default)]
    pub(super) response_id: Label<'a>,
    /// The presence of an error, which is then read from the whole chunk.
    #[serde(default)]
    pub(super) error: Option<serde::de::IgnoredAny>,
}

/// One alternative of the answer.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Candidate<'a> {
    /// The position of the alternative, which is left out where it is 0.
    #[serde(borrow, default)]
    index: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) content: Option<Content<'a>>,
    /// The raw reason why the answer ended.
    #[serde(borrow, default)]
    pub(super) finish_reason: Option<&'a RawValue>,
    /// The vendor's explanation of the reason.
    #[serde(borrow, default)]
    pub(super) finish_message: Label<'a>,
    /// The verdict of the safety filter, by category.
    #[serde(borrow, default)]
    pub(super) safety_ratings: Option<&'a RawValue>,
}

impl Candidate<'_> {
    /// Returns whether this is the first alternative, which alone is the answer; `position` counts the candidates of the chunk.
    pub(super) fn is_first(&self, position: usize) -> bool {
        index_of(self.index).map_or(position == 0, |index| index == 0)
    }
}

/// The output of a candidate, as a list of parts.
#[derive(Deserialize)]
pub(super) struct Content<'a> {
    #[serde(borrow, default, deserialize_with = "first::<_, _, MAX_PARTS>")]
    pub(super) parts: Option<Vec<Option<Part<'a>>>>,
}

/// A part of the output. Only `text` of a part without `thought` belongs to the answer.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Part<'a> {
    #[serde(borrow, default)]
    pub(super) text: Option<Text<'a>>,
    /// Whether the part is reasoning and does not belong to the answer.
    #[serde(borrow, default)]
    thought: Option<&'a RawValue>,
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
    /// Returns whether the part is reasoning.
    pub(super) fn is_thought(&self) -> bool {
        is_true(self.thought)
    }

    /// Returns the bytes of output that is not text of the answer.
    pub(super) fn hidden_bytes(&self) -> usize {
        let thought = if self.is_thought() { Text::of(self.text.as_ref()).len() } else { 0 };
        let fields = [self.thought_signature, self.function_call, self.executable_code, self.inline_data];
        thought + fields.into_iter().map(size_of).sum::<usize>()
    }

    /// Returns the name of the tool that the part calls, empty if it has none; `None` for another part.
    pub(super) fn tool(&self) -> Option<String> {
        let call = value_of(self.function_call)?;
        Some(call["name"].as_str().unwrap_or_default().to_owned())
    }
}

/// Returns the reason for which a prompt was blocked, such as `SAFETY`, with its meaning, the vendor's message and the
/// categories of the filter; `None` for a prompt that was not.
pub(super) fn blocked(feedback: Option<&RawValue>) -> Option<String> {
    let feedback = value_of(feedback)?;
    let reason = match &feedback["blockReason"] {
        Value::String(reason) if !reason.is_empty() && !reason.ends_with("UNSPECIFIED") => reason,
        _ => return None,
    };
    let message = feedback["blockReasonMessage"].as_str().map(str::to_owned);
    let categories = Some(categories(&feedback["safetyRatings"])).filter(|all| !all.is_empty());
    let all = [Some(why_blocked(reason)), message, categories].into_iter().flatten();
    Some(all.collect::<Vec<_>>().join("; "))
}

/// Returns the meaning of the reason for which a prompt was blocked; the word itself where it is not known.
fn why_blocked(word: &str) -> String {
    match ending(word) {
        Ending::Finish(FinishReason::Filtered, Some(meaning)) => format!("{meaning} ({word})"),
        _ => word.to_owned(),
    }
}

/// Returns the categories for which a filter blocked the content, such as `harassment (high)`
/// (<https://ai.google.dev/api/generate-content#SafetyRating>).
pub(super) fn categories(ratings: &Value) -> String {
    let plain =
        |name: &str, prefix: &str| name.strip_prefix(prefix).unwrap_or(name).to_lowercase().replace('_', " ");
    let blocked = ratings.as_array().into_iter().flatten().filter(|rating| rating["blocked"] == true);
    let named = blocked.filter_map(|rating| {
        let category = plain(rating["category"].as_str()?, "HARM_CATEGORY_");
        Some(match rating["probability"].as_str() {
            Some(probability) => format!("{category} ({})", plain(probability, "")),
            None => category,
        })
    });
    named.collect::<Vec<_>>().join(", ")
}

/// Reads the token counts of a chunk; each is the total so far.
///
/// Reasoning is billed as output but not part of the candidates' tokens, and the results of tools are a part of the input but not
/// of the prompt's tokens; a count of zero is left out (<https://ai.google.dev/api/generate-content#UsageMetadata>).
pub(super) fn usage(metadata: &Value) -> Usage {
    let or_zero = |keys: &[&str]| count_at(metadata, keys, Some(0));
    let thoughts = or_zero(&["/thoughtsTokenCount", "/thoughts_token_count"]);
    let tools = or_zero(&["/toolUsePromptTokenCount", "/tool_use_prompt_token_count"]);
    let input = count_at(metadata, &["/promptTokenCount", "/prompt_token_count"], None);
    let output = or_zero(&["/candidatesTokenCount", "/candidates_token_count"]);
    let sum = |a: Option<u64>, b: Option<u64>| a.zip(b).map(|(a, b)| a.saturating_add(b));
    Usage::new(sum(input, tools), sum(output, thoughts))
        .cached(or_zero(&["/cachedContentTokenCount", "/cached_content_token_count"]))
        .reasoning(thoughts)
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
    if entries.len() != texts {
        return Err(malformed(format!("{} vectors for {texts} texts", entries.len())));
    }
    let vectors: Vec<Vec<f32>> = entries.into_iter().map(|entry| entry.values).collect();
    check_embeddings(&vectors).map_err(malformed)?;
    Ok(vectors)
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

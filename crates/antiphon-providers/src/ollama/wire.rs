//! The shapes of requests, lines, lists and embeddings. The request of `/api/chat`:
//!
//! ```json
//! {
//!   "model": "m", "stream": true, "truncate": false, "shift": false, "format": {"type": "object"},
//!   "messages": [{"role": "user", "content": "Hello"}],
//!   "options": {"temperature": 0.2, "num_predict": 500, "seed": 7, "num_ctx": 16384}
//! }
//! ```
//!
//! All times in answers are in nanoseconds (<https://docs.ollama.com/api/usage>); none of them is read.

use std::borrow::Cow;

use antiphon_llm::{Error, ErrorKind, FinishReason, Model, Prompt, ReasoningEffort, Role, Usage};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::config::Route;
use crate::exchange::{
    Answer, Budget, Content, Label, ParamTable, SentEffort, StructuredMode, count_at, field, grammar_dialect,
    is_true, reasoning_of, size_of, system_of, turns, value_of,
};
use crate::limits::check_embeddings;

/// Builds the request's body. `truncate` and `shift` keep the server from dropping a part of the prompt silently
/// (<https://github.com/ollama/ollama/blob/main/api/types.go>).
pub(super) fn request(prompt: &Prompt, route: Route, context: Option<u64>, mode: StructuredMode) -> Value {
    let mut body = Map::new();
    body.insert("model".to_owned(), json!(prompt.model));
    body.extend(conversation(prompt, route, mode));
    body.insert("stream".to_owned(), json!(true));
    body.insert("truncate".to_owned(), json!(false));
    body.insert("shift".to_owned(), json!(false));
    body.extend(format(prompt, mode).map(|format| ("format".to_owned(), format)));
    body.extend(context.map(|tokens| ("options".to_owned(), json!({ "num_ctx": tokens }))));
    PARAMS.write(&prompt.parameters, &mut body);
    Value::Object(body)
}

/// The sampling parameters of both routes: <https://docs.ollama.com/modelfile#parameter>, and `think`
/// (<https://docs.ollama.com/capabilities/thinking>). The server has no budget for reasoning and no service tiers.
pub(super) static PARAMS: ParamTable = ParamTable {
    fields: Cow::Borrowed(&[
        field("temperature", "options.temperature"),
        field("max_tokens", "options.num_predict"),
        field("seed", "options.seed"),
        field("top_p", "options.top_p"),
        field("top_k", "options.top_k"),
        field("min_p", "options.min_p"),
        field("stop", "options.stop"),
        field("presence_penalty", "options.presence_penalty"),
        field("frequency_penalty", "options.frequency_penalty"),
        field("reasoning_effort", "think"),
    ]),
    effort,
    max_stops: None,
    tiers: &[],
    budget: Budget::at_least(0),
};

/// Returns the form of an effort: a level for models that have some, or `false` for none.
fn effort(effort: ReasoningEffort) -> Option<SentEffort> {
    use ReasoningEffort::{High, Low, Medium, None};
    match effort {
        None => Some(SentEffort::at("think", false)),
        other => SentEffort::one_of(other, &[Low, Medium, High]),
    }
}

/// Returns the fields with the conversation and the system instructions: as messages, or as one text.
fn conversation(prompt: &Prompt, route: Route, mode: StructuredMode) -> Vec<(String, Value)> {
    let system = system_of(prompt, mode);
    match route {
        Route::Chat => vec![("messages".to_owned(), json!(turns(prompt, system.as_deref())))],
        Route::Generate => {
            let text = ("prompt".to_owned(), json!(as_one_text(prompt)));
            let system = system.map(|system| ("system".to_owned(), json!(system)));
            [text].into_iter().chain(system).collect()
        }
    }
}

/// Returns the field `format`, by which the server constrains the answer: a schema, or any JSON.
fn format(prompt: &Prompt, mode: StructuredMode) -> Option<Value> {
    match (prompt.output.schema(), mode) {
        (Some(schema), StructuredMode::JsonSchema) => Some(schema.compile(&grammar_dialect()).schema.clone()),
        (Some(_), StructuredMode::JsonObject) => Some(json!("json")),
        (Some(_), StructuredMode::PromptOnly) | (None, _) => None,
    }
}

/// Returns a conversation as one text; a single message has no role before it.
fn as_one_text(prompt: &Prompt) -> String {
    if let [only] = &prompt.messages[..] {
        return only.rendered().into_owned();
    }
    let said = turns(prompt, None).into_iter();
    let said = said.map(|turn| format!("{}: {}\n\n", capitalised(turn.role), turn.content));
    said.collect::<String>() + &capitalised(Role::Assistant.name()) + ":"
}

/// Returns a role with a capital letter, as the name before its text.
fn capitalised(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect()
}

/// A line of an answer, or the complete answer. Only the text is read strictly.
#[derive(Deserialize)]
pub(super) struct Line<'a> {
    #[serde(borrow, default)]
    pub(super) model: Label<'a>,
    /// The next piece of an answer of `/api/chat`.
    #[serde(borrow, default)]
    pub(super) message: Option<Message<'a>>,
    /// The next piece of an answer of `/api/generate`.
    #[serde(borrow, default)]
    pub(super) response: Option<Content<'a>>,
    /// Reasoning, on the route `/api/generate`.
    #[serde(borrow, default)]
    thinking: Option<&'a RawValue>,
    /// Whether the line is the last.
    #[serde(borrow, default)]
    done: Option<&'a RawValue>,
    /// The raw reason why the answer ended.
    #[serde(borrow, default)]
    pub(super) done_reason: Option<&'a RawValue>,
    /// The presence of an error, which is then read from the whole line.
    #[serde(default)]
    pub(super) error: Option<serde::de::IgnoredAny>,
}

/// A message of the assistant: its text, its reasoning, and its calls of tools.
#[derive(Deserialize)]
pub(super) struct Message<'a> {
    #[serde(borrow, default)]
    pub(super) content: Option<Content<'a>>,
    #[serde(borrow, default)]
    thinking: Option<&'a RawValue>,
    #[serde(borrow, default)]
    tool_calls: Option<&'a RawValue>,
}

impl<'a> Line<'a> {
    /// Returns whether the line is the last.
    pub(super) fn is_last(&self) -> bool {
        is_true(self.done)
    }

    /// Returns the bytes of reasoning and tool calls.
    pub(super) fn hidden_bytes(&self) -> usize {
        let message = self.message.as_ref();
        let of_message = message.map_or(0, |it| size_of(it.thinking) + size_of(it.tool_calls));
        size_of(self.thinking) + of_message
    }

    /// Returns the text of the reasoning.
    pub(super) fn reasoning(&self) -> [Cow<'a, str>; 2] {
        [self.thinking, self.message.as_ref().and_then(|message| message.thinking)].map(reasoning_of)
    }

    /// Returns the name of the tool that the model calls, empty if it has none; `None` for a line without such a call.
    pub(super) fn tool(&self) -> Option<String> {
        let calls = self.message.as_ref()?.tool_calls;
        let call = value_of(calls).filter(|_| size_of(calls) > 0)?;
        Some(call.pointer("/0/function/name").and_then(Value::as_str).unwrap_or_default().to_owned())
    }
}

/// Records the finish reason of the last line; `load` and `unload` end the answer to an empty prompt.
///
/// A line without a reason belongs to an answer that failed in the server
/// (<https://github.com/ollama/ollama/blob/main/llm/server.go>), unless it has measurements: servers before 0.1.40 named no reason.
pub(super) fn ends(reason: &str, is_measured: bool, answer: &mut Answer) {
    match reason {
        "" if is_measured => answer.ends_as(FinishReason::Stop, ""),
        "" => answer.ends_as(FinishReason::Failed, ""),
        "load" | "unload" => answer.ends_as(FinishReason::Stop, reason),
        reason => answer.ends(reason),
    }
}

/// Returns the token counts of the last line; the server has no separate counts for its cache and for reasoning.
pub(super) fn usage(line: &Value) -> Usage {
    // The server leaves out a count of zero.
    let output = count_at(line, &["/eval_count"], Some(0));
    Usage::new(count_at(line, &["/prompt_eval_count"], None), output)
}

/// Reads the list of installed models; newer servers report the capabilities of each.
pub(super) fn models(answer: &Value) -> Option<Vec<Model>> {
    let model = |entry: &Value| {
        let id = entry["model"].as_str().or(entry["name"].as_str())?;
        let answers = match entry["capabilities"].as_array() {
            Some(capabilities) => capabilities.iter().any(|it| it == "completion"),
            None => !id.to_lowercase().contains("embed"),
        };
        let is_remote = ["remote_host", "remote_model"].iter().any(|key| entry[*key].is_string());
        Some(Model::new(id, None).answers(answers).is_remote(is_remote || is_remote_name(id)))
    };
    Some(answer["models"].as_array()?.iter().filter_map(model).collect())
}

/// Returns whether the name of a model is that of one which the server forwards to a cloud.
pub(super) fn is_remote_name(model: &str) -> bool {
    let name = model.to_lowercase();
    name.ends_with("-cloud") || name.ends_with(":cloud")
}

/// Returns the context window with which a model was trained, from the answer of `/api/show`.
pub(super) fn trained_context(shown: &Value) -> Option<u64> {
    let info = shown["model_info"].as_object()?;
    info.iter().find(|(key, _)| key.ends_with(".context_length")).and_then(|(_, value)| value.as_u64())
}

/// Reads the vectors of an answer, in the order of their texts.
///
/// # Errors
/// `InvalidResponse` for another shape, or for another number of vectors than texts.
pub(super) fn vectors(answer: &Value, texts: usize) -> Result<Vec<Vec<f32>>, Error> {
    let malformed =
        |why: String| Error::new(ErrorKind::InvalidResponse, format!("the answer has no embeddings: {why}"));
    let vectors =
        Vec::<Vec<f32>>::deserialize(&answer["embeddings"]).map_err(|err| malformed(err.to_string()))?;
    if vectors.len() != texts {
        return Err(malformed(format!("{} vectors for {texts} texts", vectors.len())));
    }
    check_embeddings(&vectors).map_err(malformed)?;
    Ok(vectors)
}

#[cfg(test)]
mod tests {
    use antiphon_llm::{Message, Prompt};

    use super::as_one_text;

    #[test]
    fn each_message_of_one_text_has_its_role() {
        let prompt = Prompt::new("m", [Message::user("Who?")]);
        assert_eq!(as_one_text(&prompt), "Who?");
        let prompt = prompt.message(Message::assistant("A fox.")).message(Message::user("Sure?"));
        assert_eq!(as_one_text(&prompt), "User: Who?\n\nAssistant: A fox.\n\nUser: Sure?\n\nAssistant:");
    }
}

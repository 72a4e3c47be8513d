//! The shapes of requests and events of the Responses API. The request:
//!
//! ```json
//! {
//!   "model": "gpt-6-luna", "stream": true, "store": false, "instructions": "Be brief.", "max_output_tokens": 500,
//!   "input": [{"role": "user", "content": "Hello", "type": "message"}],
//!   "text": {"format": {"type": "json_schema", "name": "colour", "strict": true, "schema": {"type": "object"}}}
//! }
//! ```
//!
//! `max_output_tokens` covers reasoning and answer together. The API has no seed.

use antiphon_llm::{Dialect, FinishReason, Output, Prompt, Usage};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use crate::exchange::{StructuredMode, Text, system_of, turns};

/// Builds the request's body. It turns off storage: OpenAI's default is to keep answers for thirty days.
///
/// Fields without a value are left out.
pub(super) fn request(prompt: &Prompt, dialect: &Dialect, mode: StructuredMode) -> Value {
    let mut body = Map::new();
    body.insert("model".to_owned(), json!(prompt.model));
    body.insert("input".to_owned(), Value::Array(items(prompt)));
    body.insert("stream".to_owned(), json!(true));
    body.insert("store".to_owned(), json!(false));
    let parameters = prompt.parameters;
    let optional = [
        ("instructions", system_of(prompt, mode).map(Value::from)),
        ("temperature", parameters.temperature.map(Value::from)),
        ("max_output_tokens", parameters.max_tokens.map(Value::from)),
        ("text", format(&prompt.output, dialect, mode)),
    ];
    body.extend(optional.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))));
    Value::Object(body)
}

/// Returns the conversation as items. OpenAI lets their `type` be left out, llama.cpp does not.
fn items(prompt: &Prompt) -> Vec<Value> {
    let turns = turns(prompt, None).into_iter();
    turns.map(|turn| json!({ "role": turn.role, "content": turn.content, "type": "message" })).collect()
}

/// Returns the field `text`; `None` unless the server is to enforce the schema. A schema that strict mode
/// cannot express is sent as it is, with `"strict": false`: a hint.
fn format(output: &Output, dialect: &Dialect, mode: StructuredMode) -> Option<Value> {
    let schema = output.schema().filter(|_| mode == StructuredMode::JsonSchema)?;
    let compiled = schema.compile(dialect);
    let strict = compiled.inexpressible.is_empty();
    let sent = if strict { &compiled.schema } else { schema.value() };
    Some(json!({
        "format": { "type": "json_schema", "name": schema.name(), "strict": strict, "schema": sent },
    }))
}

/// An event, with the fields that are read.
#[derive(Deserialize)]
pub(super) struct Event<'a> {
    /// The event's type; missing in a complete response, and in events of some compatible servers.
    #[serde(borrow, rename = "type", default)]
    pub(super) kind: Option<Text<'a>>,
    /// The raw delta, parsed only where it is known to be text.
    #[serde(borrow, default)]
    pub(super) delta: Option<&'a RawValue>,
    /// The position of the event's item in the output.
    #[serde(default)]
    pub(super) output_index: Option<u64>,
}

/// The data of a `response.output_item.added` event.
#[derive(Deserialize)]
pub(super) struct ItemAdded {
    pub(super) item: Item,
}

/// The data of events with the whole response.
#[derive(Deserialize)]
pub(super) struct ResponseEvent {
    pub(super) response: Response,
}

/// The response itself: in events, and as the complete answer of a server that does not stream.
#[derive(Deserialize)]
pub(super) struct Response {
    pub(super) id: Option<String>,
    pub(super) model: Option<String>,
    /// The state: `in_progress`, `completed`, `incomplete`, `failed`, `cancelled` or `queued`.
    pub(super) status: Option<String>,
    /// The reason of an incomplete response.
    #[serde(default)]
    pub(super) incomplete_details: Option<Incomplete>,
    #[serde(default)]
    pub(super) usage: Option<WireUsage>,
    /// The items; complete only in the last event.
    #[serde(default)]
    pub(super) output: Vec<Item>,
}

/// The reason why a response is incomplete: `max_output_tokens` or `content_filter`.
#[derive(Deserialize)]
pub(super) struct Incomplete {
    reason: Option<String>,
}

/// A message, or reasoning.
#[derive(Deserialize)]
pub(super) struct Item {
    /// The type: `message`, `reasoning`, `function_call` and others.
    #[serde(rename = "type", default)]
    kind: Option<String>,
    /// The phase of a message: `commentary` or `final_answer`.
    #[serde(default)]
    phase: Option<String>,
    #[serde(default)]
    content: Option<Vec<Content>>,
}

/// A part of a message: `output_text` has a text, `refusal` a refusal.
#[derive(Deserialize)]
struct Content {
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    refusal: Option<String>,
}

/// The token counts of a response. `input_tokens` includes cached ones, and `output_tokens` includes reasoning.
#[derive(Deserialize)]
pub(super) struct WireUsage {
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    #[serde(default)]
    input_tokens_details: Option<InputDetails>,
    #[serde(default)]
    output_tokens_details: Option<OutputDetails>,
}

/// Parts of the input tokens: read from the prompt cache, and written to it.
#[derive(Deserialize)]
struct InputDetails {
    cached_tokens: Option<u64>,
    cache_write_tokens: Option<u64>,
}

/// The part of the output tokens that is hidden reasoning.
#[derive(Deserialize)]
struct OutputDetails {
    reasoning_tokens: Option<u64>,
}

impl Item {
    /// Returns whether the item is commentary or reasoning and not part of the answer.
    pub(super) fn is_commentary(&self) -> bool {
        self.phase.as_deref() == Some("commentary") || self.kind.as_deref() == Some("reasoning")
    }

    /// Returns the text of all parts.
    pub(super) fn text(&self) -> String {
        self.content.iter().flatten().filter_map(|content| content.text.as_deref()).collect()
    }

    /// Returns the refusal, if a part has one; else an empty text.
    pub(super) fn refusal(&self) -> String {
        self.content.iter().flatten().filter_map(|content| content.refusal.as_deref()).collect()
    }
}

impl Response {
    /// Returns the finish reason of the state; `None` for one in which the answer is not finished.
    ///
    /// | status | reason | finish |
    /// |---|---|---|
    /// | `completed` | - | `Stop` |
    /// | `incomplete` | `max_output_tokens`, `max_tokens` | `Length` |
    /// | `incomplete` | `content_filter` | `Filtered` |
    /// | `incomplete`, `failed`, `cancelled` | any other | `Failed` |
    pub(super) fn finish(&self) -> Option<FinishReason> {
        let reason = self.incomplete_details.as_ref().and_then(|details| details.reason.as_deref());
        Some(match (self.status.as_deref()?, reason) {
            ("completed", _) => FinishReason::Stop,
            ("incomplete", Some("max_output_tokens" | "max_tokens")) => FinishReason::Length,
            ("incomplete", Some("content_filter")) => FinishReason::Filtered,
            // The answer is incomplete, for any other reason.
            ("incomplete" | "failed" | "cancelled", _) => FinishReason::Failed,
            _ => return None,
        })
    }
}

impl From<WireUsage> for Usage {
    fn from(usage: WireUsage) -> Self {
        let input = usage.input_tokens_details.as_ref();
        Self::new(usage.input_tokens, usage.output_tokens)
            .cached(input.and_then(|details| details.cached_tokens))
            .cache_write(input.and_then(|details| details.cache_write_tokens))
            .reasoning(usage.output_tokens_details.and_then(|details| details.reasoning_tokens))
    }
}

use antiphon_llm::{FinishReason, Model, Output, Prompt, Usage};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::config::dialect;
use crate::exchange::{StructuredMode, Text, size_of, system_of, turns};
use crate::prices;

/// The maximum number of tokens of an answer where neither the prompt nor the table of models has one.
const MAX_TOKENS: u64 = 8_192;

/// Returns the structured output mode to use: a schema that the vendor's dialect cannot express is put in the prompt.
pub(super) fn expressible_mode(prompt: &Prompt, mode: StructuredMode) -> StructuredMode {
    match prompt.output.schema() {
        Some(schema) if !schema.compile(&dialect()).inexpressible.is_empty() => StructuredMode::PromptOnly,
        Some(_) | None => mode,
    }
}

/// Builds the request's body.
pub(super) fn request(prompt: &Prompt, mode: StructuredMode) -> Value {
    let parameters = prompt.parameters;
    let known = || prices::capabilities("anthropic", &prompt.model).max_output;
    let mut body = Map::new();
    body.insert("model".to_owned(), json!(prompt.model));
    body.insert("max_tokens".to_owned(), json!(parameters.max_tokens.or_else(known).unwrap_or(MAX_TOKENS)));
    body.insert("messages".to_owned(), json!(turns(prompt, None)));
    body.insert("stream".to_owned(), json!(true));
    let optional = [
        ("system", system_of(prompt, mode).map(Value::from)),
        ("temperature", parameters.temperature.map(Value::from)),
        ("output_config", output_config(&prompt.output, mode)),
    ];
    body.extend(optional.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))));
    Value::Object(body)
}

fn output_config(output: &Output, mode: StructuredMode) -> Option<Value> {
    let schema = output.schema().filter(|_| mode == StructuredMode::JsonSchema)?;
    Some(json!({ "format": { "type": "json_schema", "schema": schema.compile(&dialect()).schema } }))
}

/// An event or a complete message, with the fields that are read.
#[derive(Deserialize)]
pub(super) struct Event<'a> {
    #[serde(borrow, rename = "type", default)]
    pub(super) kind: Option<Text<'a>>,
    /// The raw delta, parsed only for event types whose shape is known.
    #[serde(borrow, default)]
    pub(super) delta: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) content_block: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) usage: Option<&'a RawValue>,
}

#[derive(Deserialize)]
pub(super) struct Delta<'a> {
    #[serde(borrow, rename = "type", default)]
    pub(super) kind: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub(super) text: Option<Text<'a>>,
    #[serde(borrow, default)]
    thinking: Option<&'a RawValue>,
    #[serde(borrow, default)]
    partial_json: Option<&'a RawValue>,
    #[serde(borrow, default)]
    signature: Option<&'a RawValue>,
    #[serde(borrow, default)]
    citation: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) stop_reason: Option<Text<'a>>,
    #[serde(default)]
    pub(super) stop_details: Option<StopDetails>,
}

impl Delta<'_> {
    /// Returns the bytes of output that is not text: reasoning and its signature, the arguments of a tool, a citation.
    pub(super) fn hidden_bytes(&self) -> usize {
        [self.thinking, self.partial_json, self.signature, self.citation].into_iter().map(size_of).sum()
    }
}

/// The beginning of a block; one without deltas is complete in it.
#[derive(Deserialize)]
pub(super) struct BlockStart<'a> {
    /// The data of redacted reasoning.
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
    /// The name of a tool.
    #[serde(borrow, default)]
    name: Option<&'a RawValue>,
}

impl BlockStart<'_> {
    pub(super) fn hidden_bytes(&self) -> usize {
        size_of(self.data) + size_of(self.name)
    }
}

#[derive(Deserialize)]
pub(super) struct MessageStart {
    pub(super) message: Message,
}

/// A message, at its beginning or complete.
#[derive(Deserialize)]
pub(super) struct Message {
    pub(super) id: Option<String>,
    pub(super) model: Option<String>,
    #[serde(default)]
    pub(super) content: Vec<Block>,
    #[serde(default)]
    pub(super) stop_reason: Option<String>,
    #[serde(default)]
    pub(super) stop_details: Option<StopDetails>,
    #[serde(default)]
    pub(super) usage: Option<WireUsage>,
}

#[derive(Deserialize)]
pub(super) struct Block {
    #[serde(rename = "type", default)]
    pub(super) kind: Option<String>,
    #[serde(default)]
    pub(super) text: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct StopDetails {
    #[serde(default)]
    pub(super) explanation: Option<String>,
    #[serde(default)]
    pub(super) category: Option<String>,
}

/// Token counts. A count that a later event leaves out keeps its earlier value.
#[derive(Debug, Default, Clone, Copy, Deserialize)]
pub(super) struct WireUsage {
    #[serde(default)]
    input_tokens: Option<u64>,
    #[serde(default)]
    cache_creation_input_tokens: Option<u64>,
    #[serde(default)]
    cache_read_input_tokens: Option<u64>,
    #[serde(default)]
    pub(super) output_tokens: Option<u64>,
    #[serde(default)]
    output_tokens_details: Option<OutputDetails>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
struct OutputDetails {
    #[serde(default)]
    thinking_tokens: Option<u64>,
}

impl WireUsage {
    /// Returns the counts updated by a later event; each is the total of the answer so far.
    pub(super) fn updated(self, later: Self) -> Self {
        Self {
            input_tokens: later.input_tokens.or(self.input_tokens),
            cache_creation_input_tokens: later
                .cache_creation_input_tokens
                .or(self.cache_creation_input_tokens),
            cache_read_input_tokens: later.cache_read_input_tokens.or(self.cache_read_input_tokens),
            output_tokens: later.output_tokens.or(self.output_tokens),
            output_tokens_details: later.output_tokens_details.or(self.output_tokens_details),
        }
    }
}

impl From<WireUsage> for Usage {
    /// Converts the counts. With prompt caching, `input_tokens` has only the tokens that were neither read from the cache nor
    /// written to it (<https://platform.claude.com/docs/en/build-with-claude/prompt-caching>).
    fn from(usage: WireUsage) -> Self {
        let cached = usage.cache_read_input_tokens;
        let written = usage.cache_creation_input_tokens;
        let more = cached.unwrap_or(0).saturating_add(written.unwrap_or(0));
        let input = usage.input_tokens.map(|input| input.saturating_add(more));
        let reasoning = usage.output_tokens_details.and_then(|details| details.thinking_tokens);
        Self::new(input, usage.output_tokens).cached(cached).cache_write(written).reasoning(reasoning)
    }
}

/// Maps a stop reason: <https://platform.claude.com/docs/en/build-with-claude/handling-stop-reasons>.
pub(super) fn finish_reason(name: &str) -> FinishReason {
    match name {
        "end_turn" | "stop_sequence" => FinishReason::Stop,
        "max_tokens" | "model_context_window_exceeded" => FinishReason::Length,
        other => FinishReason::Unknown(other.to_owned()),
    }
}

pub(super) fn models(page: &Value) -> Option<Vec<Model>> {
    let model = |entry: &Value| Some(Model::new(entry["id"].as_str()?, entry["max_input_tokens"].as_u64()));
    Some(page["data"].as_array()?.iter().filter_map(model).collect())
}

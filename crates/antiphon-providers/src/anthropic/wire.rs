//! The shapes of requests, events and lists. The request:
//!
//! ```json
//! {
//!   "model": "claude-haiku-5-5", "max_tokens": 8192, "stream": true, "system": "Be brief.", "temperature": 0.2,
//!   "messages": [{"role": "user", "content": "Hello"}],
//!   "output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}}
//! }
//! ```
//!
//! | prompt | field | when absent |
//! |---|---|---|
//! | `parameters.max_tokens` | `max_tokens`, which is required | the model's limit in the shipped table, or 8,192 |
//! | other sampling parameters | see `PARAMS`; the API has no seed and no penalties | not sent |
//! | `system` and instructions for the schema | `system` | not sent |
//! | `output` | `output_config.format` | not sent |

use std::borrow::Cow;

use antiphon_llm::{Model, Output, Prompt, ReasoningEffort, Usage};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::config::dialect;
use crate::exchange::{
    Budget, Label, ParamTable, SentEffort, StructuredMode, Text, count_at, field, size_of, system_of, turns,
};
use crate::prices;

/// The maximum number of tokens of an answer where neither the prompt nor the table of models has one.
const MAX_TOKENS: u64 = 8_192;

/// Returns the structured output mode to use: a schema that the vendor's dialect cannot express is put in the prompt.
///
/// Unlike OpenAI, Anthropic has no mode in which a schema is only a hint.
pub(super) fn expressible_mode(prompt: &Prompt, mode: StructuredMode) -> StructuredMode {
    match prompt.output.schema() {
        Some(schema) if !schema.compile(&dialect()).inexpressible.is_empty() => StructuredMode::PromptOnly,
        Some(_) | None => mode,
    }
}

/// Builds the request's body.
pub(super) fn request(prompt: &Prompt, mode: StructuredMode) -> Value {
    let parameters = &prompt.parameters;
    let known = || prices::capabilities("anthropic", &prompt.model).max_output;
    let mut body = Map::new();
    body.insert("model".to_owned(), json!(prompt.model));
    let most = parameters.max_tokens.or_else(known).unwrap_or(MAX_TOKENS);
    body.insert("max_tokens".to_owned(), json!(most));
    body.insert("messages".to_owned(), json!(turns(prompt, None)));
    body.insert("stream".to_owned(), json!(true));
    let optional = [
        ("system", system_of(prompt, mode).map(Value::from)),
        ("output_config", output_config(&prompt.output, mode)),
    ];
    body.extend(optional.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))));
    PARAMS.write(parameters, &mut body);
    Value::Object(body)
}

/// The sampling parameters of the Messages API: <https://platform.claude.com/docs/en/api/messages/create>.
///
/// A reasoning budget is that of extended thinking, at least 1,024 tokens and less than `max_tokens`
/// (<https://platform.claude.com/docs/en/build-with-claude/extended-thinking>).
pub(super) static PARAMS: ParamTable = ParamTable {
    fields: Cow::Borrowed(&[
        field("temperature", "temperature"),
        field("max_tokens", "max_tokens"),
        field("top_p", "top_p"),
        field("top_k", "top_k"),
        field("stop", "stop_sequences"),
        field("reasoning_effort", "output_config.effort"),
        field("reasoning_budget", "thinking.budget_tokens"),
        field("service_tier", "service_tier"),
    ]),
    effort,
    tiers: &["auto", "standard_only"],
    budget: Budget {
        is_below_max_tokens: true,
        beside: Some(("thinking.type", "enabled")),
        ..Budget::at_least(1_024)
    },
    max_stops: None,
};

/// Returns the form of an effort: <https://platform.claude.com/docs/en/build-with-claude/effort>. Without reasoning, thinking is
/// turned off; there is no `minimal`.
fn effort(effort: ReasoningEffort) -> Option<SentEffort> {
    use ReasoningEffort::{High, Low, Medium, None, Xhigh};
    match effort {
        None => Some(SentEffort::at("thinking.type", "disabled")),
        other => SentEffort::one_of(other, &[Low, Medium, High, Xhigh]),
    }
}

/// Returns the constraint on the answer; `None` unless the server is to enforce the schema.
fn output_config(output: &Output, mode: StructuredMode) -> Option<Value> {
    let schema = output.schema().filter(|_| mode == StructuredMode::JsonSchema)?;
    Some(json!({ "format": { "type": "json_schema", "schema": schema.compile(&dialect()).schema } }))
}

/// An event or a complete message, with the fields that are read.
#[derive(Deserialize)]
pub(super) struct Event<'a> {
    /// The event's type; `message` for a complete answer.
    #[serde(borrow, rename = "type", default)]
    pub(super) kind: Label<'a>,
    /// The raw delta, parsed only for event types whose shape is known.
    #[serde(borrow, default)]
    pub(super) delta: Option<&'a RawValue>,
    /// The raw beginning of a block.
    #[serde(borrow, default)]
    pub(super) content_block: Option<&'a RawValue>,
    /// The raw token counts of a `message_delta`.
    #[serde(borrow, default)]
    pub(super) usage: Option<&'a RawValue>,
}

/// The delta of a block (`content_block_delta`), which has only some of the fields.
#[derive(Deserialize)]
pub(super) struct Delta<'a> {
    /// The delta's type, such as `text_delta`, `thinking_delta`, `input_json_delta`, `signature_delta` or
    /// `citations_delta`.
    #[serde(borrow, rename = "type", default)]
    pub(super) kind: Label<'a>,
    /// Text of the answer, in a `text_delta`.
    #[serde(borrow, default)]
    pub(super) text: Option<Text<'a>>,
    /// Reasoning, which is not part of the answer.
    #[serde(borrow, default)]
    pub(super) thinking: Option<&'a RawValue>,
    /// A piece of the arguments of a tool.
    #[serde(borrow, default)]
    partial_json: Option<&'a RawValue>,
    /// The signature of the reasoning before it.
    #[serde(borrow, default)]
    signature: Option<&'a RawValue>,
    /// A citation of a document.
    #[serde(borrow, default)]
    citation: Option<&'a RawValue>,
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
    /// The type of the block, such as `text`, `thinking` or `tool_use`.
    #[serde(borrow, rename = "type", default)]
    pub(super) kind: Label<'a>,
    /// Text of the answer, which most servers leave empty here.
    #[serde(borrow, default)]
    pub(super) text: Option<Text<'a>>,
    /// Reasoning, which most servers leave empty here.
    #[serde(borrow, default)]
    pub(super) thinking: Option<&'a RawValue>,
    /// The data of redacted reasoning.
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
    /// The name of a tool.
    #[serde(borrow, default)]
    pub(super) name: Option<&'a RawValue>,
}

impl BlockStart<'_> {
    /// Returns the bytes of output in the beginning of a block beside its text.
    pub(super) fn hidden_bytes(&self) -> usize {
        size_of(self.data) + size_of(self.name) + size_of(self.thinking)
    }
}

/// Returns whether a block of this type is the call of a tool.
pub(super) fn is_tool(kind: Option<&str>) -> bool {
    kind.is_some_and(|kind| kind.ends_with("tool_use"))
}

/// Token counts. A count that a later event leaves out keeps its earlier value.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct WireUsage {
    /// Tokens of the prompt that were neither read from the cache nor written to it.
    input_tokens: Option<u64>,
    /// Tokens of the prompt that were written to the cache, at a higher price.
    cache_creation_input_tokens: Option<u64>,
    /// Tokens of the prompt that were read from the cache, at a lower price.
    cache_read_input_tokens: Option<u64>,
    /// Tokens of the answer, reasoning included; cumulative in each event.
    output_tokens: Option<u64>,
    /// The part of them that is reasoning.
    thinking_tokens: Option<u64>,
}

impl WireUsage {
    /// Updates the counts with those of a later event; each is the total of the answer so far. A count that is there and cannot be
    /// read is unknown.
    ///
    /// At the beginning of a message the count of its output is a placeholder.
    pub(super) fn update(&mut self, usage: &Value, is_beginning: bool) {
        let set = |known: &mut Option<u64>, key: &str| *known = count_at(usage, &[key], *known);
        set(&mut self.input_tokens, "/input_tokens");
        set(&mut self.cache_creation_input_tokens, "/cache_creation_input_tokens");
        set(&mut self.cache_read_input_tokens, "/cache_read_input_tokens");
        if !is_beginning {
            set(&mut self.output_tokens, "/output_tokens");
        }
        set(&mut self.thinking_tokens, "/output_tokens_details/reasoning_tokens");
        set(&mut self.thinking_tokens, "/output_tokens_details/thinking_tokens");
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
        Self::new(input, usage.output_tokens)
            .cached(cached)
            .cache_write(written)
            .reasoning(usage.thinking_tokens)
    }
}

/// Reads a page of the list, `{"data": [{"id", "max_input_tokens"}], "has_more"}`; `None` for any other answer.
/// Entries without an id are left out.
pub(super) fn models(page: &Value) -> Option<Vec<Model>> {
    let model = |entry: &Value| Some(Model::new(entry["id"].as_str()?, entry["max_input_tokens"].as_u64()));
    Some(page["data"].as_array()?.iter().filter_map(model).collect())
}

//! The shapes of the native route. The request of `/completion`, after `/apply-template` has made one text of
//! the conversation:
//!
//! ```json
//! {"model": "m", "prompt": "<|user|>Hello", "stream": true, "cache_prompt": true, "n_predict": 500, "seed": 7,
//!  "json_schema": {"type": "object"}}
//! ```
//!
//! `cache_prompt` reuses the part of the prompt that the slot has processed before, as for rows with the same
//! instructions.

use antiphon_llm::{FinishReason, Prompt, Usage};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::config::Props;
use crate::exchange::{StructuredMode, Text, grammar_dialect, system_of, turns};

/// Builds the conversation to which the server applies the model's template. A server with several models needs the name.
pub(super) fn messages(prompt: &Prompt, mode: StructuredMode) -> Value {
    json!({ "model": prompt.model, "messages": turns(prompt, system_of(prompt, mode).as_deref()) })
}

/// Builds the body of `/completion`.
pub(super) fn completion(prompt: &Prompt, text: &str, mode: StructuredMode) -> Value {
    let parameters = prompt.parameters;
    let schema = prompt.output.schema().filter(|_| mode == StructuredMode::JsonSchema);
    let schema = schema.map(|schema| schema.compile(&grammar_dialect()).schema.clone());
    let optional = [
        ("temperature", parameters.temperature.map(Value::from)),
        ("n_predict", parameters.max_tokens.map(Value::from)),
        ("seed", parameters.seed.map(Value::from)),
        ("json_schema", schema),
    ];
    let mut body = Map::new();
    body.insert("model".to_owned(), json!(prompt.model));
    body.insert("prompt".to_owned(), json!(text));
    body.insert("stream".to_owned(), json!(true));
    body.insert("cache_prompt".to_owned(), json!(true));
    body.extend(optional.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))));
    Value::Object(body)
}

/// An event of `/completion`, or its complete answer.
#[derive(Deserialize)]
pub(super) struct Event<'a> {
    /// The next piece of the text; the whole text in an answer that is not streamed.
    #[serde(borrow, default)]
    pub(super) content: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub(super) model: Option<Text<'a>>,
    /// Whether the event is the last.
    #[serde(default)]
    pub(super) stop: bool,
    /// The reason of the end: see `finish_reason`.
    #[serde(borrow, default)]
    pub(super) stop_type: Option<Text<'a>>,
    /// Tokens of the prompt, cached ones included.
    #[serde(default)]
    pub(super) tokens_evaluated: Option<u64>,
    /// Tokens of the answer.
    #[serde(default)]
    pub(super) tokens_predicted: Option<u64>,
    #[serde(default)]
    pub(super) timings: Option<Timings>,
    /// The presence of an error, which is then read from the whole event.
    #[serde(default)]
    pub(super) error: Option<serde::de::IgnoredAny>,
}

/// The server's measurements, of which only the tokens from the cache are read.
#[derive(Deserialize)]
pub(super) struct Timings {
    #[serde(default)]
    pub(super) cache_n: Option<u64>,
}

/// Returns the token counts of the last event.
pub(super) fn usage(event: &Event<'_>) -> Usage {
    let cached = event.timings.as_ref().and_then(|timings| timings.cache_n);
    Usage::new(event.tokens_evaluated, event.tokens_predicted).cached(cached)
}

/// Maps `stop_type`: `eos` (the model ended) and `word` (a stop text) are `Stop`, `limit` is `Length`, and
/// `none` in a last event is a failure.
pub(super) fn finish_reason(name: &str) -> FinishReason {
    match name {
        "eos" | "word" => FinishReason::Stop,
        "limit" => FinishReason::Length,
        "none" | "" => FinishReason::Failed,
        other => FinishReason::Unknown(other.to_owned()),
    }
}

/// Reads the answer of `/props`; `None` without `total_slots`, by which llama.cpp's server is recognised.
pub(super) fn props(props: &Value) -> Option<Props> {
    let slots = props["total_slots"].as_u64().and_then(|slots| u32::try_from(slots).ok())?;
    let text = |key: &str| props[key].as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    Some(Props {
        slots,
        context_window: props.pointer("/default_generation_settings/n_ctx").and_then(Value::as_u64),
        model: text("model_alias").or_else(|| text("model_path")),
        build: text("build_info"),
    })
}

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
//! `max_output_tokens` covers reasoning and answer together. The API has no seed, no stop sequences and no penalties.

use std::borrow::Cow;

use antiphon_llm::{Dialect, FinishReason, Output, Prompt};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use crate::chat;
use crate::exchange::{
    Answer, Budget, Content, Label, ParamTable, SentEffort, StructuredMode, field, system_of, turns,
};

/// Builds the request's body. It turns off storage: OpenAI's default is to keep answers for thirty days.
///
/// Fields without a value are left out.
pub(super) fn request(prompt: &Prompt, dialect: &Dialect, mode: StructuredMode) -> Value {
    let mut body = Map::new();
    body.insert("model".to_owned(), json!(prompt.model));
    body.insert("input".to_owned(), Value::Array(items(prompt)));
    body.insert("stream".to_owned(), json!(true));
    body.insert("store".to_owned(), json!(false));
    let optional = [
        ("instructions", system_of(prompt, mode).map(Value::from)),
        ("text", format(&prompt.output, dialect, mode)),
    ];
    body.extend(optional.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))));
    PARAMS.write(&prompt.parameters, &mut body);
    Value::Object(body)
}

/// The sampling parameters of the Responses API: <https://developers.openai.com/api/reference/resources/responses>.
pub(super) static PARAMS: ParamTable = ParamTable {
    fields: Cow::Borrowed(&[
        field("temperature", "temperature"),
        field("max_tokens", "max_output_tokens"),
        field("top_p", "top_p"),
        field("reasoning_effort", "reasoning.effort"),
        field("service_tier", "service_tier"),
    ]),
    tiers: TIERS,
    effort: SentEffort::named,
    max_stops: None,
    budget: Budget::at_least(0),
};

/// The service tiers of both APIs: <https://developers.openai.com/api/docs/guides/flex-processing>.
pub(super) const TIERS: &[&str] = &["auto", "default", "flex", "scale", "priority"];

/// Returns the sampling parameters of OpenAI's own chat completions
/// (<https://developers.openai.com/api/reference/resources/chat>). Its reasoning models reject the older `max_tokens`.
pub(super) fn chat_params() -> ParamTable {
    let params = chat::PARAMS.clone().with("max_tokens", "max_completion_tokens");
    ParamTable { tiers: TIERS, max_stops: Some(4), ..params.without("top_k").without("min_p") }
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
    pub(super) kind: Label<'a>,
    /// The raw delta, parsed only where it is known to be text.
    #[serde(borrow, default)]
    pub(super) delta: Option<&'a RawValue>,
    /// The position of the event's item in the output.
    #[serde(borrow, default)]
    pub(super) output_index: Option<&'a RawValue>,
}

/// Returns whether an item of the output is commentary or reasoning and not part of the answer.
pub(super) fn is_commentary(item: &Value) -> bool {
    item["phase"] == "commentary" || item["type"] == "reasoning"
}

/// Returns the name of the tool that an item of the output calls, empty if it has none; `None` for another item.
pub(super) fn tool(item: &Value) -> Option<&str> {
    let kind = item["type"].as_str()?;
    kind.ends_with("_call").then(|| item["name"].as_str().unwrap_or(kind))
}

/// Adds the content of an item to an answer: its text, its refusal, and reasoning among its parts.
pub(super) fn add_content(item: &Value, answer: &mut Answer) {
    let json = item["content"].to_string();
    if let Ok(content) = serde_json::from_str::<Content<'_>>(&json) {
        content.add_to(answer);
    }
}

/// Records the end of a response by its state; a state in which the answer is not finished is no end.
///
/// | status | reason | finish |
/// |---|---|---|
/// | `completed` | - | `Stop` |
/// | `incomplete` | `max_output_tokens`, `max_tokens` | `Length` |
/// | `incomplete` | `content_filter` | `Filtered` |
/// | `incomplete` | another one | as its word says, but never a natural end |
/// | `failed`, `cancelled` | - | `Failed` |
/// | `in_progress`, `queued` | - | none |
/// | any other | - | `Unknown` |
pub(super) fn ends(response: &Value, answer: &mut Answer) {
    let status = match &response["status"] {
        Value::Null => return,
        Value::String(status) => status.clone(),
        other => other.to_string(),
    };
    let reason = response["incomplete_details"]["reason"].as_str().filter(|reason| !reason.is_empty());
    if !status.eq_ignore_ascii_case("incomplete") {
        return answer.ends(&status);
    }
    answer.ends(reason.unwrap_or_default());
    if matches!(answer.finish, None | Some(FinishReason::Stop)) {
        answer.ends_as(FinishReason::Failed, reason.unwrap_or(&status));
    }
}

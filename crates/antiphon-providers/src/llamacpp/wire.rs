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

use std::borrow::Cow;

use antiphon_llm::{FinishReason, Prompt, ReasoningEffort, Usage};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::config::Props;
use crate::chat;
use crate::exchange::{
    Answer, Budget, Content, Label, ParamTable, SentEffort, StructuredMode, count_at, field, grammar_dialect,
    index_of, is_true, system_of, turns, word_of,
};

/// Builds the conversation to which the server applies the model's template. A server with several models needs the name.
pub(super) fn messages(prompt: &Prompt, mode: StructuredMode) -> Value {
    json!({ "model": prompt.model, "messages": turns(prompt, system_of(prompt, mode).as_deref()) })
}

/// Builds the body of `/completion`.
pub(super) fn completion(prompt: &Prompt, text: &str, mode: StructuredMode) -> Value {
    let schema = prompt.output.schema().filter(|_| mode == StructuredMode::JsonSchema);
    let schema = schema.map(|schema| schema.compile(&grammar_dialect()).schema.clone());
    let mut body = Map::new();
    body.insert("model".to_owned(), json!(prompt.model));
    body.insert("prompt".to_owned(), json!(text));
    body.insert("stream".to_owned(), json!(true));
    body.insert("cache_prompt".to_owned(), json!(true));
    body.extend(schema.map(|schema| ("json_schema".to_owned(), schema)));
    PARAMS.write(&prompt.parameters, &mut body);
    Value::Object(body)
}

/// The sampling parameters of `/completion`: <https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md>. The
/// template is applied beforehand, so that the effort of reasoning cannot be set here.
pub(super) static PARAMS: ParamTable = ParamTable {
    fields: Cow::Borrowed(&[
        field("temperature", "temperature"),
        field("max_tokens", "n_predict"),
        field("seed", "seed"),
        field("top_p", "top_p"),
        field("top_k", "top_k"),
        field("min_p", "min_p"),
        field("stop", "stop"),
        field("presence_penalty", "presence_penalty"),
        field("frequency_penalty", "frequency_penalty"),
    ]),
    effort: SentEffort::named,
    max_stops: None,
    tiers: &[],
    budget: Budget::at_least(0),
};

/// Returns the sampling parameters of the server's chat completions, of the same source. The effort of reasoning is an argument
/// of the model's template, and the server has no service tiers.
pub(super) fn chat_params() -> ParamTable {
    let params = chat::PARAMS.clone().without("service_tier");
    let params = params.with("reasoning_effort", "chat_template_kwargs.reasoning_effort");
    ParamTable { effort, ..params.with("reasoning_budget", "reasoning_budget_tokens") }
}

/// Returns the form of an effort, as templates of reasoning models read it.
fn effort(effort: ReasoningEffort) -> Option<SentEffort> {
    use ReasoningEffort::{High, Low, Medium, None};
    match effort {
        None => Some(SentEffort::at("chat_template_kwargs.enable_thinking", false)),
        other => SentEffort::one_of(other, &[Low, Medium, High]),
    }
}

/// An event of `/completion`, or its complete answer. Only the text is read strictly.
#[derive(Deserialize)]
pub(super) struct Event<'a> {
    /// The position of the prompt, of which one is sent.
    #[serde(borrow, default)]
    index: Option<&'a RawValue>,
    /// The next piece of the text; the whole text in an answer that is not streamed.
    #[serde(borrow, default)]
    pub(super) content: Option<Content<'a>>,
    #[serde(borrow, default)]
    pub(super) model: Label<'a>,
    /// Whether the event is the last.
    #[serde(borrow, default)]
    stop: Option<&'a RawValue>,
    /// The raw reason of the end: see `ends`.
    #[serde(borrow, default)]
    stop_type: Option<&'a RawValue>,
    /// The reasons of the end in older servers.
    #[serde(borrow, default)]
    stopped_eos: Option<&'a RawValue>,
    #[serde(borrow, default)]
    stopped_word: Option<&'a RawValue>,
    #[serde(borrow, default)]
    stopped_limit: Option<&'a RawValue>,
    /// The presence of an error, which is then read from the whole event.
    #[serde(default)]
    pub(super) error: Option<serde::de::IgnoredAny>,
}

impl Event<'_> {
    /// Returns whether the event is the last of the answer.
    pub(super) fn is_last(&self) -> bool {
        is_true(self.stop)
    }

    /// Returns whether the event belongs to the prompt, and not to another one of the same request.
    pub(super) fn is_of_prompt(&self) -> bool {
        index_of(self.index).is_none_or(|index| index == 0)
    }

    /// Returns the word for the end of the answer; empty where the event has none.
    pub(super) fn reason(&self) -> Cow<'_, str> {
        let older = || {
            let flags = [self.stopped_eos, self.stopped_word, self.stopped_limit];
            let names = ["eos", "word", "limit"];
            flags.into_iter().zip(names).find(|(flag, _)| is_true(*flag)).map(|(_, name)| Cow::Borrowed(name))
        };
        word_of(self.stop_type).or_else(older).unwrap_or_default()
    }
}

/// Returns the token counts of the last event: `tokens_evaluated` includes those from the cache.
pub(super) fn usage(event: &Value) -> Usage {
    Usage::new(count_at(event, &["/tokens_evaluated"], None), count_at(event, &["/tokens_predicted"], None))
        .cached(count_at(event, &["/timings/cache_n"], None))
}

/// Records the finish reason of the last event: `eos` (the model ended) and `word` (a stop text) are `Stop`, `limit` is `Length`,
/// and `none` in a last event is a failure.
pub(super) fn ends(reason: &str, answer: &mut Answer) {
    match reason {
        "word" => answer.ends_as(FinishReason::Stop, reason),
        "none" | "" => answer.ends_as(FinishReason::Failed, reason),
        reason => answer.ends(reason),
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

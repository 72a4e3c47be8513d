//! The shapes of requests, chunks, lists and embeddings. The request:
//!
//! ```json
//! {
//!   "model": "m", "stream": true, "stream_options": {"include_usage": true},
//!   "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"}],
//!   "temperature": 0.2, "max_tokens": 500, "seed": 7,
//!   "response_format": {
//!     "type": "json_schema", "json_schema": {"name": "colour", "strict": true, "schema": {"type": "object"}}
//!   }
//! }
//! ```
//!
//! `include_usage` makes the server send the token counts in a separate chunk, after the finish reason.

use std::borrow::Cow;

use antiphon_llm::{Embeddings, Error, ErrorKind, Model, Output, Prompt, Usage};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::config::Quirks;
use super::usage::usage_of;
use crate::exchange::{
    Answer, Budget, Content, Label, MAX_CHOICES, ParamTable, SentEffort, StructuredMode, count_at, field,
    first, index_of, is_error, reasoning_of, size_of, system_of, turns, value_of,
};
use crate::limits::check_embeddings;

/// Builds the request's body. It asks for a stream even where the caller wants the complete answer: a local server stops
/// immediately when a stream is dropped, but computes an answer that is not streamed to its end.
///
/// Fields without a value are left out. The names of the sampling parameters are the server's [`Quirks`].
pub(super) fn request(prompt: &Prompt, quirks: &Quirks, mode: StructuredMode) -> Value {
    let mut body = Map::new();
    body.insert("model".to_owned(), json!(prompt.model));
    body.insert("messages".to_owned(), json!(turns(prompt, system_of(prompt, mode).as_deref())));
    body.insert("stream".to_owned(), json!(true));
    body.insert("stream_options".to_owned(), json!({ "include_usage": true }));
    let format = response_format(&prompt.output, quirks, mode);
    body.extend(format.map(|format| ("response_format".to_owned(), format)));
    quirks.params.write(&prompt.parameters, &mut body);
    Value::Object(body)
}

/// The sampling parameters of chat completions
/// (<https://developers.openai.com/api/reference/resources/chat>), and `top_k` and `min_p`, which OpenAI does not have, under the
/// names that vLLM, SGLang, LM Studio, OpenRouter and llama.cpp share
/// (<https://docs.vllm.ai/en/latest/serving/openai_compatible_server/#extra-parameters>).
pub(crate) static PARAMS: ParamTable = ParamTable {
    fields: Cow::Borrowed(&[
        field("temperature", "temperature"),
        field("max_tokens", "max_tokens"),
        field("seed", "seed"),
        field("top_p", "top_p"),
        field("top_k", "top_k"),
        field("min_p", "min_p"),
        field("stop", "stop"),
        field("presence_penalty", "presence_penalty"),
        field("frequency_penalty", "frequency_penalty"),
        field("reasoning_effort", "reasoning_effort"),
        field("service_tier", "service_tier"),
    ]),
    effort: SentEffort::named,
    max_stops: None,
    tiers: &[],
    budget: Budget::at_least(0),
};

/// Returns the constraint on the answer; `None` for text, and for a schema that is only in the prompt.
fn response_format(output: &Output, quirks: &Quirks, mode: StructuredMode) -> Option<Value> {
    let schema = output.schema()?;
    match mode {
        StructuredMode::JsonSchema => {
            let compiled = schema.compile(&quirks.dialect);
            // A schema that the dialect cannot fully express is still a strong hint.
            let strict = compiled.inexpressible.is_empty();
            let sent = if strict { &compiled.schema } else { schema.value() };
            Some(json!({
                "type": "json_schema",
                "json_schema": { "name": schema.name(), "strict": strict, "schema": sent },
            }))
        }
        StructuredMode::JsonObject => Some(json!({ "type": "json_object" })),
        StructuredMode::PromptOnly => None,
    }
}

/// A chunk of a stream, or the complete answer of a server that does not stream.
///
/// Only the alternatives are read strictly: whatever else is odd must not lose an answer.
#[derive(Deserialize)]
pub(super) struct Chunk<'a> {
    #[serde(borrow, default)]
    pub(super) id: Label<'a>,
    #[serde(borrow, default)]
    pub(super) model: Label<'a>,
    /// The alternatives; empty in the chunk with the token counts.
    #[serde(borrow, default, deserialize_with = "first::<_, _, MAX_CHOICES>")]
    pub(super) choices: Option<Vec<Option<Choice<'a>>>>,
    /// The token counts of the whole answer.
    #[serde(borrow, default)]
    pub(super) usage: Option<&'a RawValue>,
    /// Groq's own fields, which have the token counts in the last chunk.
    #[serde(borrow, default)]
    x_groq: Option<&'a RawValue>,
    /// The token counts under the name of Gemini.
    #[serde(borrow, default)]
    usage_metadata: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "usageMetadata")]
    usage_metadata_in_camel_case: Option<&'a RawValue>,
    /// llama.cpp's measurements, which have token counts, too.
    #[serde(borrow, default)]
    timings: Option<&'a RawValue>,
    /// The verdict of Azure's filter on the prompt.
    #[serde(borrow, default)]
    pub(super) prompt_filter_results: Option<&'a RawValue>,
    /// The raw error; some servers always send the field, empty or null.
    #[serde(borrow, default)]
    pub(super) error: Option<&'a RawValue>,
    /// The type of the object: `chat.completion.chunk`, `chat.completion` or `error`.
    #[serde(borrow, default)]
    pub(super) object: Label<'a>,
    /// The raw error of servers that are built on FastAPI.
    #[serde(borrow, default)]
    pub(super) detail: Option<&'a RawValue>,
}

impl Chunk<'_> {
    /// Returns whether the chunk has an error in place of an answer, in one of the shapes in use.
    pub(super) fn has_error(&self) -> bool {
        value_of(self.error).is_some_and(|error| is_error(&error))
            || self.object.as_str() == Some("error")
            || (self.detail.is_some() && self.choices.is_none())
    }

    /// Updates the token counts of the answer with those of the chunk, wherever the server puts them.
    pub(super) fn count(&self, usage: &mut Usage) {
        if let Some(reported) = self.usage.and_then(|report| usage_of(report.get())) {
            *usage = reported;
        }
        let choices = self.choices.iter().flatten().flatten();
        let of_choice = choices.filter_map(|choice| usage_of(choice.usage?.get()));
        let of_groq = value_of(self.x_groq).and_then(|fields| usage_of(&fields.get("usage")?.to_string()));
        let others = of_choice.chain(of_groq);
        let of_gemini = [self.usage_metadata, self.usage_metadata_in_camel_case].into_iter();
        let of_gemini = of_gemini.filter_map(value_of).map(|reported| usage_of_gemini(&reported));
        let measured = value_of(self.timings).map(|timings| usage_of_timings(&timings));
        others.chain(of_gemini).chain(measured).for_each(|other| fill_in(usage, other));
    }
}

/// One alternative of the answer.
#[derive(Deserialize)]
pub(super) struct Choice<'a> {
    /// The position of the alternative; servers that never send more than one leave it out.
    #[serde(borrow, default)]
    index: Option<&'a RawValue>,
    /// The next piece of the answer.
    #[serde(borrow, default)]
    pub(super) delta: Option<Words<'a>>,
    /// The answer so far: of a server that does not stream, or, beside `delta`, of one that sends both. Boxed, since most pieces have
    /// none.
    #[serde(borrow, default)]
    pub(super) message: Option<Box<Words<'a>>>,
    /// The next piece of the answer in the older format of completions.
    #[serde(borrow, default)]
    pub(super) text: Label<'a>,
    /// The raw reason why the answer ended; null or empty before its end.
    #[serde(borrow, default)]
    pub(super) finish_reason: Option<&'a RawValue>,
    /// The verdict of Azure's filter, by category.
    #[serde(borrow, default)]
    pub(super) content_filter_results: Option<&'a RawValue>,
    /// The error of the server behind a router.
    #[serde(borrow, default)]
    pub(super) error: Option<&'a RawValue>,
    /// The token counts, where the server puts them here.
    #[serde(borrow, default)]
    usage: Option<&'a RawValue>,
}

impl Choice<'_> {
    /// Returns whether this is the first alternative, which alone is the answer; `position` counts the choices of the chunk.
    pub(super) fn is_first(&self, position: usize) -> bool {
        index_of(self.index).map_or(position == 0, |index| index == 0)
    }

    /// Returns whether the choice is a complete answer and no piece of one.
    pub(super) fn is_whole(&self) -> bool {
        self.message.is_some() && self.delta.is_none()
    }
}

/// Returns the categories of content for which Azure's filter intervened, such as `violence (medium)`
/// (<https://learn.microsoft.com/azure/ai-foundry/openai/concepts/content-filter>).
pub(super) fn filtered_categories(results: Option<&RawValue>) -> String {
    // Azure sends them with every chunk; without a `true` nothing is withheld.
    let results = results.filter(|results| results.get().contains("true"));
    let Some(results) = value_of(results) else { return String::new() };
    let all = match &results {
        Value::Array(all) => all.as_slice(),
        one => std::slice::from_ref(one),
    };
    let objects = all.iter().map(|item| item.get("content_filter_results").unwrap_or(item));
    let entries = objects.filter_map(Value::as_object).flatten();
    let withheld = entries.filter(|(_, verdict)| verdict["filtered"] == true);
    let named = withheld.map(|(name, verdict)| match verdict["severity"].as_str() {
        Some(severity) => format!("{name} ({severity})"),
        None => name.clone(),
    });
    named.collect::<Vec<_>>().join(", ")
}

/// A piece of an answer, or a complete one.
#[derive(Deserialize)]
pub(super) struct Words<'a> {
    #[serde(borrow, default)]
    content: Option<Content<'a>>,
    /// The model's refusal, in place of content.
    #[serde(borrow, default)]
    refusal: Label<'a>,
    /// Reasoning, under the name of DeepSeek, llama.cpp and vLLM; the next fields have it for OpenRouter, Ollama and others.
    #[serde(borrow, default)]
    reasoning_content: Option<&'a RawValue>,
    #[serde(borrow, default)]
    reasoning: Option<&'a RawValue>,
    #[serde(borrow, default)]
    thinking: Option<&'a RawValue>,
    #[serde(borrow, default)]
    reasoning_details: Option<&'a RawValue>,
    #[serde(borrow, default)]
    tool_calls: Option<&'a RawValue>,
    #[serde(borrow, default)]
    function_call: Option<&'a RawValue>,
}

impl<'a> Words<'a> {
    /// Returns the bytes of output beside the content and the refusal.
    fn hidden_bytes(&self) -> usize {
        let Self {
            reasoning_content, reasoning, thinking, reasoning_details, tool_calls, function_call, ..
        } = *self;
        let fields = [reasoning_content, reasoning, thinking, reasoning_details, tool_calls, function_call];
        fields.into_iter().map(size_of).sum()
    }

    /// Adds the output to an answer.
    pub(super) fn add_to(&self, answer: &mut Answer) {
        answer.hidden_bytes += self.hidden_bytes();
        answer.reasoning.push_str(&self.reasoning());
        answer.refusal.push_str(self.refusal.as_str().unwrap_or_default());
        if let Some(tool) = self.tool() {
            answer.calls_tool(Some(&tool));
        }
        if let Some(content) = &self.content {
            content.add_to(answer);
        }
    }

    /// Returns the text of the reasoning; routers repeat it under a second name.
    fn reasoning(&self) -> Cow<'a, str> {
        let fields = [self.reasoning_content, self.reasoning, self.thinking, self.reasoning_details];
        fields.into_iter().map(reasoning_of).find(|text| !text.is_empty()).unwrap_or_default()
    }

    /// Returns the name of the tool that the model calls, empty in a piece without it; `None` for a piece without such a call.
    fn tool(&self) -> Option<String> {
        let calls = [self.tool_calls, self.function_call].into_iter().filter(|calls| size_of(*calls) > 0);
        let call = calls.filter_map(value_of).next()?;
        let name = ["/0/function/name", "/0/name", "/name"].iter().find_map(|at| call.pointer(at)?.as_str());
        Some(name.unwrap_or_default().to_owned())
    }
}

/// Fills in the counts that are unknown with those of another report of the same call.
fn fill_in(usage: &mut Usage, other: Usage) {
    usage.input = usage.input.or(other.input);
    usage.cached = usage.cached.or(other.cached);
    usage.cache_write = usage.cache_write.or(other.cache_write);
    usage.output = usage.output.or(other.output);
    usage.reasoning = usage.reasoning.or(other.reasoning);
}

/// Reads token counts under the names of Gemini, in either spelling.
fn usage_of_gemini(usage: &Value) -> Usage {
    let input = count_at(usage, &["/prompt_token_count", "/promptTokenCount"], None);
    let thoughts = count_at(usage, &["/thoughts_token_count", "/thoughtsTokenCount"], None);
    let output = count_at(usage, &["/candidates_token_count", "/candidatesTokenCount"], None);
    let output = output.map(|output| output.saturating_add(thoughts.unwrap_or(0)));
    Usage::new(input, output).reasoning(thoughts)
}

/// Reads the token counts in llama.cpp's measurements: `prompt_n` are those that were not in the cache
/// (<https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md>).
fn usage_of_timings(timings: &Value) -> Usage {
    let cached = count_at(timings, &["/cache_n"], None);
    let input = count_at(timings, &["/prompt_n"], None);
    let input = input.map(|input| input.saturating_add(cached.unwrap_or(0)));
    Usage::new(input, count_at(timings, &["/predicted_n"], None)).cached(cached)
}

/// Reads a list of models, with their context window where the server reports it: vLLM in `max_model_len`, llama.cpp in
/// `meta.n_ctx`, OpenRouter in `context_length`, LM Studio in `loaded_context_length`.
///
/// `None` for an answer without the list `data`. A name that ends in `-cloud` or `:cloud` is a model that Ollama forwards
/// to its cloud.
pub(crate) fn models(body: &Value) -> Option<Vec<Model>> {
    let model = |entry: &Value| {
        let window = ["/max_model_len", "/meta/n_ctx", "/context_length", "/loaded_context_length"].iter();
        let window = window.filter_map(|place| entry.pointer(place)?.as_u64()).next();
        let id = entry["id"].as_str()?;
        let is_remote = id.ends_with("-cloud") || id.ends_with(":cloud");
        Some(Model::new(id, window).answers(writes_text(id)).is_remote(is_remote))
    };
    Some(body["data"].as_array()?.iter().filter_map(model).collect())
}

/// Returns whether a model generates text, judged by its name, since the list does not say.
fn writes_text(id: &str) -> bool {
    const OTHERS: [&str; 12] = [
        "embed",
        "whisper",
        "tts",
        "dall-e",
        "gpt-image",
        "moderation",
        "realtime",
        "transcribe",
        "-audio",
        "sora",
        "rerank",
        "babbage",
    ];
    let id = id.to_lowercase();
    !OTHERS.iter().any(|other| id.contains(other))
}

/// Appends the vectors of an answer to those of earlier calls, in the order of their texts.
///
/// Servers may send the vectors in any order, with the position in `index`.
///
/// # Errors
/// `InvalidResponse` for another shape, or for another number of vectors than texts.
pub(crate) fn embeddings(answer: &Value, texts: usize, before: Embeddings) -> Result<Embeddings, Error> {
    let malformed =
        |why: &str| Error::new(ErrorKind::InvalidResponse, format!("the answer has no embeddings: {why}"));
    let mut entries =
        Vec::<Embedding>::deserialize(&answer["data"]).map_err(|err| malformed(&err.to_string()))?;
    if entries.len() != texts {
        return Err(malformed(&format!("{} vectors for {texts} texts", entries.len())));
    }
    entries.sort_by_key(|entry| entry.index);
    let new: Vec<Vec<f32>> = entries.into_iter().map(|entry| entry.embedding).collect();
    check_embeddings(&new).map_err(|why| malformed(&why))?;
    let mut vectors = before.vectors;
    vectors.extend(new);
    let mut usage = before.usage;
    usage += Usage::new(answer["usage"]["prompt_tokens"].as_u64(), Some(0));
    Ok(Embeddings::new(vectors).usage(usage))
}

/// The embedding of one text.
#[derive(Deserialize)]
struct Embedding {
    #[serde(default)]
    index: usize,
    embedding: Vec<f32>,
}

#[cfg(test)]
mod tests {
    use antiphon_llm::{Embeddings, Usage};
    use serde_json::json;

    use super::embeddings;

    #[test]
    fn a_sum_of_tokens_is_unknown_if_one_call_does_not_report_its_own() {
        let answer = |usage| json!({ "data": [{ "embedding": [1.0] }], "usage": usage });
        let sum = |reports: [Option<u64>; 2]| {
            let begin = Embeddings::default().usage(Usage::NOTHING);
            let all = reports.into_iter().try_fold(begin, |all, tokens| {
                embeddings(&answer(json!({ "prompt_tokens": tokens })), 1, all)
            });
            let all = all.unwrap();
            (all.vectors.len(), all.usage.input, all.usage.output)
        };
        assert_eq!(sum([Some(3), Some(4)]), (2, Some(7), Some(0)));
        assert_eq!(sum([Some(3), None]), (2, None, Some(0)));
        assert_eq!(sum([None, Some(4)]), (2, None, Some(0)));
    }
}

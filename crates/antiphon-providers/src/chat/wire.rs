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
use std::fmt;

use antiphon_llm::{Embeddings, Error, ErrorKind, FinishReason, Model, Output, Prompt, Usage};
use serde::Deserialize;
use serde::de::{Deserializer, SeqAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::config::Quirks;
use crate::exchange::{StructuredMode, Text, size_of, system_of, turns};

/// Builds the request's body. It asks for a stream even where the caller wants the complete answer: a local server stops
/// immediately when a stream is dropped, but computes an answer that is not streamed to its end.
///
/// Fields without a value are left out. The name of the token limit and additional fields are the server's
/// [`Quirks`].
pub(super) fn request(prompt: &Prompt, quirks: &Quirks, mode: StructuredMode) -> Value {
    let mut body = Map::new();
    body.insert("model".to_owned(), json!(prompt.model));
    body.insert("messages".to_owned(), json!(turns(prompt, system_of(prompt, mode).as_deref())));
    body.insert("stream".to_owned(), json!(true));
    body.insert("stream_options".to_owned(), json!({ "include_usage": true }));
    let parameters = prompt.parameters;
    let optional = [
        ("temperature", parameters.temperature.map(Value::from)),
        (&quirks.token_limit, parameters.max_tokens.map(Value::from)),
        ("seed", parameters.seed.map(Value::from)),
        ("response_format", response_format(&prompt.output, quirks, mode)),
    ];
    body.extend(optional.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))));
    body.extend(quirks.extra.clone());
    Value::Object(body)
}

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
#[derive(Deserialize)]
pub(super) struct Chunk<'a> {
    #[serde(borrow, default)]
    pub(super) id: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub(super) model: Option<Text<'a>>,
    /// The alternatives; empty in the chunk with the token counts.
    #[serde(borrow, default)]
    pub(super) choices: Option<Vec<Choice<'a>>>,
    /// The token counts of the whole answer.
    #[serde(default)]
    pub(super) usage: Option<WireUsage>,
    /// The raw error; some servers always send the field, empty or null.
    #[serde(borrow, default)]
    pub(super) error: Option<&'a RawValue>,
    /// The type of the object: `chat.completion.chunk`, `chat.completion` or `error`.
    #[serde(borrow, default)]
    pub(super) object: Option<Text<'a>>,
    /// The raw error of servers that are built on FastAPI.
    #[serde(borrow, default)]
    pub(super) detail: Option<&'a RawValue>,
}

impl Chunk<'_> {
    /// Returns whether the chunk has an error in place of an answer, in one of the shapes in use.
    pub(super) fn has_error(&self) -> bool {
        self.error.is_some_and(|error| !matches!(error.get(), "null" | "false" | "{}" | "\"\""))
            || self.object.as_ref().is_some_and(|object| object.0 == "error")
            || (self.detail.is_some() && self.choices.is_none())
    }
}

/// One alternative of the answer.
#[derive(Deserialize)]
pub(super) struct Choice<'a> {
    /// The next piece of the answer.
    #[serde(borrow, default)]
    pub(super) delta: Option<Words<'a>>,
    /// The answer so far: of a server that does not stream, or, beside `delta`, of one that sends both.
    #[serde(borrow, default)]
    pub(super) message: Option<Words<'a>>,
    /// The reason why the answer ended; null or empty before its end.
    #[serde(borrow, default)]
    pub(super) finish_reason: Option<Text<'a>>,
}

/// A piece of an answer, or a complete one.
#[derive(Deserialize)]
pub(super) struct Words<'a> {
    #[serde(borrow, default)]
    pub(super) content: Option<Content<'a>>,
    /// The model's refusal, in place of content.
    #[serde(borrow, default)]
    pub(super) refusal: Option<Text<'a>>,
    /// Reasoning, under the name of DeepSeek, llama.cpp and vLLM; the next fields have it for OpenRouter and Ollama.
    #[serde(borrow, default)]
    reasoning_content: Option<&'a RawValue>,
    #[serde(borrow, default)]
    reasoning: Option<&'a RawValue>,
    #[serde(borrow, default)]
    reasoning_details: Option<&'a RawValue>,
    #[serde(borrow, default)]
    tool_calls: Option<&'a RawValue>,
    #[serde(borrow, default)]
    function_call: Option<&'a RawValue>,
}

impl Words<'_> {
    /// Returns the bytes of output that is neither text nor refusal.
    pub(super) fn hidden_bytes(&self) -> usize {
        let Self { reasoning_content, reasoning, reasoning_details, tool_calls, function_call, .. } = *self;
        let fields = [reasoning_content, reasoning, reasoning_details, tool_calls, function_call];
        fields.into_iter().map(size_of).sum::<usize>()
            + self.content.as_ref().map_or(0, Content::hidden_bytes)
    }
}

/// A text, or a list of parts of which some are reasoning, as Mistral's reasoning models send it.
pub(super) enum Content<'a> {
    /// A text, as all other servers send it.
    Words(Cow<'a, str>),
    /// A list of parts, each with its type.
    Parts(Vec<Part<'a>>),
}

/// A part of the content: `text` belongs to the answer, `thinking` is reasoning.
#[derive(Deserialize)]
pub(super) struct Part<'a> {
    #[serde(borrow, rename = "type", default)]
    kind: Option<Text<'a>>,
    #[serde(borrow, default)]
    text: Option<Text<'a>>,
    #[serde(borrow, default)]
    thinking: Option<&'a RawValue>,
}

/// A manual implementation, since it runs for every token: a derived one would buffer the value before it is read.
impl<'de: 'a, 'a> Deserialize<'de> for Content<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(WordsOrParts)
    }
}

/// The visitor of a [`Content`], which borrows a text without escapes from the event.
struct WordsOrParts;

impl<'de> Visitor<'de> for WordsOrParts {
    type Value = Content<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text or a list of parts")
    }

    fn visit_borrowed_str<E>(self, words: &'de str) -> Result<Self::Value, E> {
        Ok(Content::Words(Cow::Borrowed(words)))
    }

    fn visit_str<E>(self, words: &str) -> Result<Self::Value, E> {
        Ok(Content::Words(Cow::Owned(words.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Self::Value, A::Error> {
        let mut all = Vec::new();
        while let Some(part) = parts.next_element()? {
            all.push(part);
        }
        Ok(Content::Parts(all))
    }
}

impl Content<'_> {
    /// Returns the bytes of reasoning.
    fn hidden_bytes(&self) -> usize {
        match self {
            Self::Words(_) => 0,
            Self::Parts(parts) => parts.iter().map(|part| size_of(part.thinking)).sum(),
        }
    }

    /// Appends the text without reasoning.
    pub(super) fn add_to(&self, text: &mut String) {
        match self {
            Self::Words(words) => text.push_str(words),
            Self::Parts(parts) => parts
                .iter()
                .filter(|part| Text::of(part.kind.as_ref()) == "text")
                .for_each(|part| text.push_str(Text::of(part.text.as_ref()))),
        }
    }
}

/// The token counts: `prompt_tokens` includes cached ones, and `completion_tokens` includes reasoning.
#[derive(Deserialize)]
pub(super) struct WireUsage {
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
    #[serde(default)]
    prompt_tokens_details: Option<PromptDetails>,
    #[serde(default)]
    completion_tokens_details: Option<CompletionDetails>,
}

/// Parts of the prompt's tokens: read from the prompt cache, and written to it.
#[derive(Deserialize)]
struct PromptDetails {
    cached_tokens: Option<u64>,
    cache_write_tokens: Option<u64>,
}

/// The part of the answer's tokens that is hidden reasoning.
#[derive(Deserialize)]
struct CompletionDetails {
    reasoning_tokens: Option<u64>,
}

impl From<WireUsage> for Usage {
    fn from(usage: WireUsage) -> Self {
        let prompt = usage.prompt_tokens_details.as_ref();
        Self::new(usage.prompt_tokens, usage.completion_tokens)
            .cached(prompt.and_then(|details| details.cached_tokens))
            .cache_write(prompt.and_then(|details| details.cache_write_tokens))
            .reasoning(usage.completion_tokens_details.and_then(|details| details.reasoning_tokens))
    }
}

/// Maps a finish reason: OpenAI's `stop`, `length` and `content_filter`, and the names that other engines use
/// for the same. Reasons that concern tools, such as `tool_calls`, are `Unknown`.
pub(super) fn finish_reason(name: &str) -> FinishReason {
    match name {
        "stop" | "eos" | "eos_token" | "end_turn" | "stop_sequence" => FinishReason::Stop,
        "length" | "max_tokens" | "max_length" | "model_length" => FinishReason::Length,
        "content_filter" => FinishReason::Filtered,
        "error" | "abort" | "network_error" => FinishReason::Failed,
        other => FinishReason::Unknown(other.to_owned()),
    }
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
    let mut vectors = before.vectors;
    vectors.extend(entries.into_iter().map(|entry| entry.embedding));
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

//! The vendors' wire formats, as far as a client can see them.
//!
//! A format is a [`Wire`]: a stateless type that parses requests, and writes answers, events and errors as text. It
//! knows nothing of limits and faults; `service` decides what happens to a request, and asks the format only for the
//! bytes.
//!
//! | module | format | answers report a filter | wait after a 429 |
//! |---|---|---|---|
//! | `chat` | OpenAI, chat completions | yes | header |
//! | `responses` | OpenAI, Responses | yes | header |
//! | `anthropic` | Anthropic, Messages | as a refusal | header |
//! | `gemini` | Gemini, `generateContent` | yes | body |
//! | `ollama` | Ollama, `/api/chat` and `/api/generate` | no | none |
//! | `llamacpp` | llama.cpp, `/completion` | no | none |
//! | `auxiliary` | model lists and other requests that are not prompts | - | - |
//!
//! Answers are written with `format!` and not by serialising values, which keeps the server cheap beside the client
//! that it measures, and fixes the order of the fields as the vendors have it.

mod anthropic;
mod auxiliary;
mod chat;
mod gemini;
mod llamacpp;
mod ollama;
mod responses;

use std::borrow::Cow;

use bytes::Bytes;
use hyper::Method;
use rand::rngs::SmallRng;
use serde_json::Value;

pub(crate) use auxiliary::auxiliary;

use crate::example;

/// A vendor's wire format of requests and answers.
///
/// A streamed answer is the concatenation of [`start`](Self::start), one [`piece`](Self::piece) for each word, and
/// [`end`](Self::end). [`Answer`] joins `start` to the first piece, so that there is one frame for each word.
pub(crate) trait Wire: Send + Sync {
    /// Parses a request; `None` if the body is not a request of this format. Only the fields that affect the answer,
    /// and those that the vendor requires, are looked at.
    fn parse(&self, path: &str, body: &[u8]) -> Option<ParsedRequest>;

    /// Returns the content type of streamed answers.
    fn stream_type(&self) -> &'static str {
        "text/event-stream"
    }

    /// Returns the whole answer as one body: that of a request without streaming.
    fn whole(&self, answer: &Answer) -> String;

    /// Returns the bytes before the first word. Default: none.
    fn start(&self, _: &Answer) -> String {
        String::new()
    }

    /// Returns the event of one word, by its index from 0.
    fn piece(&self, answer: &Answer, at: u32) -> String;

    /// Returns the bytes after the last word: the reason of the end, the usage, and the vendor's end mark. Empty where
    /// the event of the last word has all of it.
    fn end(&self, answer: &Answer) -> String;

    /// Returns an event without output: a keep-alive of the server that shows no progress of the model.
    fn empty(&self, answer: &Answer) -> String;

    /// Returns a piece that breaks the format: a complete event whose JSON is cut.
    fn garbage(&self) -> &'static str {
        "data: {\"choices\": [{\"del\n\n"
    }

    /// Returns an error within a stream that has begun. Default: the error `Broken` as an event.
    fn breaks(&self) -> String {
        format!("data: {}\n\n", self.error(ErrorCase::Broken, "it broke in the middle").1)
    }

    /// Returns the status and the body of an error. A format may replace `message` by the text that its vendor is known
    /// to send, since clients look for it.
    fn error(&self, case: ErrorCase, message: &str) -> (u16, String);

    /// Returns the style of the headers for rate limits and the request id.
    fn headers(&self) -> Headers;

    /// Returns the header of the API key; `None` for a bearer token in `Authorization`.
    fn key_header(&self) -> Option<&'static str> {
        None
    }

    /// Returns whether the format can report that a content filter stopped the answer.
    fn filters(&self) -> bool {
        true
    }

    /// Returns whether the format reports the wait after a 429, in a header or in the body.
    fn has_retry_after(&self) -> bool {
        self.headers() != Headers::Plain
    }
}

/// The headers that a vendor sends with answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Headers {
    /// `x-ratelimit-*` with durations, and `x-request-id`.
    OpenAi,
    /// `anthropic-ratelimit-*` with timestamps, and `request-id`.
    Anthropic,
    /// No such headers.
    Plain,
}

/// The errors that a format can report.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum ErrorCase {
    /// A body that is not a request of the format.
    Invalid,
    /// More tokens than the burst of the token limit: the simulator's context window.
    TooLong,
    /// A model that is not in the scenario's list.
    NoSuchModel,
    /// A missing or wrong API key.
    WrongKey,
    /// A rate limit, and the seconds to wait, if they are reported.
    Limited(Option<f64>),
    /// An account without credit.
    NoMoney,
    /// Too much load, worth a retry.
    Overloaded,
    /// An internal error, worth a retry.
    Broken,
}

/// The fields of a request that affect its answer.
#[derive(Debug, Default)]
pub(crate) struct ParsedRequest {
    pub(crate) model: Option<String>,
    pub(crate) stream: bool,
    /// The maximum number of answer tokens. Numbers that do not fit are the maximum of `u32`, or an invalid request in
    /// the format of chat completions.
    pub(crate) max_tokens: Option<u32>,
    /// The JSON schema of structured output. A mode that asks for any JSON object has the schema of all objects.
    pub(crate) schema: Option<Value>,
    /// Whether a stream ends with the usage. Only chat completions make it optional.
    pub(crate) include_usage: bool,
}

/// The reason why an answer ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Finish {
    /// The natural end.
    Stop,
    /// The request's limit on tokens.
    Length,
    /// A model refusal.
    Refused,
    /// A content filter.
    Filtered,
}

/// One answer, to be sent whole or streamed.
pub(crate) struct Answer {
    pub(crate) wire: &'static dyn Wire,
    /// The model's name as a JSON string; it came from the client and may contain anything.
    pub(crate) model: String,
    /// The number of the request, from which ids are formed.
    pub(crate) id: u64,
    pub(crate) prompt_tokens: u64,
    /// The number of words. Until the words are set, the request's limit on tokens.
    pub(crate) tokens: u32,
    pub(crate) finish: Finish,
    pub(crate) include_usage: bool,
    words: Words,
}

/// The words of an answer, each as a JSON string.
enum Words {
    /// The words of [`WORDS`], repeated.
    Default,
    /// A value that fits a schema, in parts of four characters.
    Of(Vec<String>),
}

/// The words of an answer without a schema, one for each token.
const WORDS: [&str; 8] = [
    r#""The ""#,
    r#""quick ""#,
    r#""brown ""#,
    r#""fox ""#,
    r#""jumps ""#,
    r#""over ""#,
    r#""lazy ""#,
    r#""dogs. ""#,
];

/// The text of a model refusal.
pub(crate) const REFUSAL: &str = "I cannot help with that.";

impl Answer {
    /// Creates an answer to a request. Its words are set by [`with_words`](Self::with_words) or
    /// [`with_schema`](Self::with_schema).
    pub(crate) fn new(wire: &'static dyn Wire, asked: ParsedRequest, id: u64, prompt_tokens: u64) -> Self {
        let model = asked.model.as_deref().unwrap_or("sim-1");
        Self {
            wire,
            model: serde_json::to_string(model).unwrap_or_default(),
            id,
            prompt_tokens,
            tokens: asked.max_tokens.unwrap_or(u32::MAX),
            finish: Finish::Stop,
            include_usage: asked.include_usage,
            words: Words::Default,
        }
    }

    /// Sets the number of words, capped by the request's limit on tokens.
    pub(crate) fn with_words(mut self, tokens: u32) -> Self {
        if tokens > self.tokens {
            self.finish = Finish::Length;
        }
        self.tokens = tokens.min(self.tokens);
        self
    }

    /// Sets the words to a value that fits the schema, four characters per token, capped by the request's limit on
    /// tokens. A capped value is not valid JSON, as with real vendors.
    pub(crate) fn with_schema(mut self, schema: &Value, rng: &mut SmallRng) -> Self {
        let letters: Vec<char> = example::fitting(schema, rng).to_string().chars().collect();
        let words =
            letters.chunks(4).map(|word| serde_json::to_string(&String::from_iter(word)).unwrap_or_default());
        let words: Vec<String> = words.collect();
        let all = u32::try_from(words.len()).unwrap_or(u32::MAX);
        self.words = Words::Of(words);
        self.with_words(all)
    }

    /// Sets the reason for the end: a refusal has no words, and a content filter stops in the middle. To be called
    /// after the words are set.
    pub(crate) fn with_finish(mut self, finish: Finish) -> Self {
        self.finish = finish;
        self.tokens = match finish {
            Finish::Refused => 0,
            Finish::Filtered => self.tokens.div_ceil(2),
            Finish::Stop | Finish::Length => self.tokens,
        };
        self
    }

    /// Returns one word as a JSON string, quotes included. Beyond the last word of a schema's value it is empty.
    pub(crate) fn word(&self, at: u32) -> Cow<'_, str> {
        match &self.words {
            Words::Default => Cow::Borrowed(WORDS[at as usize % WORDS.len()]),
            Words::Of(words) => Cow::Borrowed(words.get(at as usize).map_or(r#""""#, String::as_str)),
        }
    }

    /// Returns all words as one JSON string, joined without their inner quotes.
    pub(crate) fn text(&self) -> String {
        let mut text = String::from('"');
        for at in 0..self.tokens {
            let word = self.word(at);
            text.push_str(&word[1..word.len() - 1]);
        }
        text.push('"');
        text
    }

    /// Returns the whole answer as one body.
    pub(crate) fn whole(&self) -> Bytes {
        self.wire.whole(self).into()
    }

    /// Returns the bytes of one word; those of the first word include the start of the answer.
    pub(crate) fn piece(&self, at: u32) -> Bytes {
        match at {
            0 => (self.wire.start(self) + &self.wire.piece(self, at)).into(),
            at => self.wire.piece(self, at).into(),
        }
    }

    /// Returns the end of the answer; without words it includes the start.
    pub(crate) fn end(&self) -> Bytes {
        match self.tokens {
            0 => (self.wire.start(self) + &self.wire.end(self)).into(),
            _ => self.wire.end(self).into(),
        }
    }
}

/// Returns the format of a prompt by its method and path; `None` for any other request.
///
/// Most paths are matched by their end, since vendors and gateways have the same formats below different prefixes.
/// Those of Ollama and llama.cpp are matched whole: `/v1/completions` would be another format.
pub(crate) fn wire_of(method: &Method, path: &str) -> Option<&'static dyn Wire> {
    if method != Method::POST {
        return None;
    }
    Some(match path {
        path if path.ends_with("/chat/completions") => &chat::Chat,
        path if path.ends_with("/responses") => &responses::Responses,
        path if path.ends_with("/messages") => &anthropic::Messages,
        path if path.ends_with(":generateContent") || path.ends_with(":streamGenerateContent") => {
            &gemini::Generate
        }
        "/api/chat" => &ollama::Ollama { generate: false },
        "/api/generate" => &ollama::Ollama { generate: true },
        "/completion" | "/completions" => &llamacpp::Completion,
        _ => return None,
    })
}

/// Returns a field of a request, of any type; null counts as missing.
pub(crate) fn field<'v>(body: &'v Value, key: &str) -> Option<&'v Value> {
    body.get(key).filter(|value| !value.is_null())
}

/// Returns a field that is a whole number, capped at `u32`; `None` if it is missing or of another type.
pub(crate) fn number(body: &Value, key: &str) -> Option<u32> {
    body.get(key)?.as_u64().map(|number| u32::try_from(number).unwrap_or(u32::MAX))
}

/// Returns a field that is a text; `None` if it is missing or of another type.
pub(crate) fn text(body: &Value, key: &str) -> Option<String> {
    body.get(key)?.as_str().map(str::to_owned)
}

/// Returns a text as a JSON string, with quotes and escapes.
pub(crate) fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap_or_default()
}

//! The formats of vendors, as far as a client can see them.

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

/// A format in which prompts are asked and answers told.
pub(crate) trait Wire: Send + Sync {
    /// What a request asks for; `None` for what is no request of this format.
    fn parse(&self, path: &str, body: &[u8]) -> Option<ParsedRequest>;

    /// The content type of answers that come in pieces.
    fn stream_type(&self) -> &'static str {
        "text/event-stream"
    }

    /// The answer all at once.
    fn whole(&self, answer: &Answer) -> String;

    /// What comes before the first word.
    fn start(&self, _: &Answer) -> String {
        String::new()
    }

    /// One word.
    fn piece(&self, answer: &Answer, at: u32) -> String;

    /// What comes after the last word.
    fn end(&self, answer: &Answer) -> String;

    /// An event without any output: a sign of life of the server's, and not of the model's.
    fn empty(&self, answer: &Answer) -> String;

    /// A piece that breaks the format.
    fn garbage(&self) -> &'static str {
        "data: {\"choices\": [{\"del\n\n"
    }

    /// An error inside a stream that has begun.
    fn breaks(&self) -> String {
        format!("data: {}\n\n", self.error(ErrorCase::Broken, "it broke in the middle").1)
    }

    /// The status and the body of an error.
    fn error(&self, case: ErrorCase, message: &str) -> (u16, String);

    /// How it tells of limits and of its name for a request.
    fn headers(&self) -> Headers;

    /// The header that the key stands in; `None`: `Authorization`, as a bearer's.
    fn key_header(&self) -> Option<&'static str> {
        None
    }

    /// Whether it has a way to say that a filter stopped the answer.
    fn filters(&self) -> bool {
        true
    }

    /// Whether it tells how long to wait after a refusal, in a header or elsewhere.
    fn has_retry_after(&self) -> bool {
        self.headers() != Headers::Plain
    }
}

/// The headers that a vendor sends with answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Headers {
    /// `x-ratelimit-*` in spans, `x-request-id`.
    OpenAi,
    /// `anthropic-ratelimit-*` in times, `request-id`.
    Anthropic,
    /// None at all.
    Plain,
}

/// What can go wrong with a request.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum ErrorCase {
    Invalid,
    TooLong,
    NoSuchModel,
    WrongKey,
    /// A limit, and the seconds until it passes, if they are told.
    Limited(Option<f64>),
    NoMoney,
    Overloaded,
    Broken,
}

/// What is looked at in a request.
#[derive(Debug, Default)]
pub(crate) struct ParsedRequest {
    pub(crate) model: Option<String>,
    pub(crate) stream: bool,
    pub(crate) max_tokens: Option<u32>,
    pub(crate) schema: Option<Value>,
    pub(crate) include_usage: bool,
}

/// Why an answer ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Finish {
    Stop,
    Length,
    Refused,
    Filtered,
}

/// One answer, to be written whole or in pieces.
pub(crate) struct Answer {
    pub(crate) wire: &'static dyn Wire,
    /// In quotes, as JSON has it: it came from the client and may hold anything.
    pub(crate) model: String,
    pub(crate) id: u64,
    pub(crate) prompt_tokens: u64,
    pub(crate) tokens: u32,
    pub(crate) finish: Finish,
    pub(crate) include_usage: bool,
    words: Words,
}

/// What an answer is made of, each word in quotes as JSON has it.
enum Words {
    /// The same words over and over.
    Default,
    Of(Vec<String>),
}

/// The words that answers are made of, one for each token.
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

/// What a model says that declines.
pub(crate) const REFUSAL: &str = "I cannot help with that.";

impl Answer {
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

    /// Makes it of so many of the usual words, as far as the request allows.
    pub(crate) fn with_words(mut self, tokens: u32) -> Self {
        if tokens > self.tokens {
            self.finish = Finish::Length;
        }
        self.tokens = tokens.min(self.tokens);
        self
    }

    /// Makes it of a value that fits the schema, four letters a token, as far as the request allows.
    pub(crate) fn with_schema(mut self, schema: &Value, rng: &mut SmallRng) -> Self {
        let letters: Vec<char> = example::fitting(schema, rng).to_string().chars().collect();
        let words =
            letters.chunks(4).map(|word| serde_json::to_string(&String::from_iter(word)).unwrap_or_default());
        let words: Vec<String> = words.collect();
        let all = u32::try_from(words.len()).unwrap_or(u32::MAX);
        self.words = Words::Of(words);
        self.with_words(all)
    }

    /// Makes it end so: without a word where the model declines, in the middle where a filter stops it.
    pub(crate) fn with_finish(mut self, finish: Finish) -> Self {
        self.finish = finish;
        self.tokens = match finish {
            Finish::Refused => 0,
            Finish::Filtered => self.tokens.div_ceil(2),
            Finish::Stop | Finish::Length => self.tokens,
        };
        self
    }

    /// A word in quotes.
    pub(crate) fn word(&self, at: u32) -> Cow<'_, str> {
        match &self.words {
            Words::Default => Cow::Borrowed(WORDS[at as usize % WORDS.len()]),
            Words::Of(words) => Cow::Borrowed(words.get(at as usize).map_or(r#""""#, String::as_str)),
        }
    }

    /// All words in one pair of quotes.
    pub(crate) fn text(&self) -> String {
        let mut text = String::from('"');
        for at in 0..self.tokens {
            let word = self.word(at);
            text.push_str(&word[1..word.len() - 1]);
        }
        text.push('"');
        text
    }

    pub(crate) fn whole(&self) -> Bytes {
        self.wire.whole(self).into()
    }

    /// The bytes for one word; those of the first begin the answer.
    pub(crate) fn piece(&self, at: u32) -> Bytes {
        match at {
            0 => (self.wire.start(self) + &self.wire.piece(self, at)).into(),
            at => self.wire.piece(self, at).into(),
        }
    }

    /// The bytes after the last word.
    pub(crate) fn end(&self) -> Bytes {
        match self.tokens {
            0 => (self.wire.start(self) + &self.wire.end(self)).into(),
            _ => self.wire.end(self).into(),
        }
    }
}

/// The format of a request for an answer, by its method and path; `None` for another request.
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

/// Fields of a request that must be there or may be of any type: what is not of its type counts as missing.
pub(crate) fn field<'v>(body: &'v Value, key: &str) -> Option<&'v Value> {
    body.get(key).filter(|value| !value.is_null())
}

pub(crate) fn number(body: &Value, key: &str) -> Option<u32> {
    body.get(key)?.as_u64().map(|number| u32::try_from(number).unwrap_or(u32::MAX))
}

pub(crate) fn text(body: &Value, key: &str) -> Option<String> {
    body.get(key)?.as_str().map(str::to_owned)
}

pub(crate) fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap_or_default()
}

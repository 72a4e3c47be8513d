//! OpenAI's chat format, as far as a client can see it.

use std::fmt::Write;

use bytes::Bytes;
use serde::Deserialize;

/// What is looked at in a request.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Request {
    model: Option<String>,
    pub(crate) stream: bool,
    stream_options: StreamOptions,
    max_tokens: Option<u32>,
    max_completion_tokens: Option<u32>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct StreamOptions {
    include_usage: bool,
}

/// One answer, to be written whole or in pieces.
#[derive(Debug)]
pub(crate) struct Answer {
    model: String,
    id: u64,
    pub(crate) prompt_tokens: u64,
    pub(crate) tokens: u32,
    finish: &'static str,
    include_usage: bool,
}

/// The words that answers are made of, one for each token.
const WORDS: [&str; 8] = ["The ", "quick ", "brown ", "fox ", "jumps ", "over ", "lazy ", "dogs. "];

impl Request {
    pub(crate) fn parse(body: &[u8]) -> Option<Self> {
        serde_json::from_slice(body).ok()
    }

    /// The most words that the answer may have.
    pub(crate) fn max_tokens(&self) -> Option<u32> {
        self.max_completion_tokens.or(self.max_tokens)
    }

    pub(crate) fn answer(self, id: u64, prompt_tokens: u64, tokens: u32) -> Answer {
        let most = self.max_tokens().unwrap_or(u32::MAX);
        Answer {
            model: self.model.unwrap_or_else(|| "sim-1".to_owned()),
            id,
            prompt_tokens,
            tokens: tokens.min(most),
            finish: if tokens > most { "length" } else { "stop" },
            include_usage: self.stream_options.include_usage,
        }
    }
}

impl Answer {
    fn word(at: u32) -> &'static str {
        WORDS[at as usize % WORDS.len()]
    }

    /// Writes the count of tokens behind `text`.
    fn usage(&self, text: &mut String) {
        let (prompt, tokens) = (self.prompt_tokens, self.tokens);
        let total = prompt + u64::from(tokens);
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            r#","usage":{{"prompt_tokens":{prompt},"completion_tokens":{tokens},"total_tokens":{total}}}"#
        );
    }

    /// What every object begins with; the model's name came from the client and may hold anything.
    fn begin(&self, object: &str) -> String {
        let mut text = String::with_capacity(512);
        let model = serde_json::to_string(&self.model).unwrap_or_default();
        let id = self.id;
        let _ =
            write!(text, r#"{{"id":"sim-{id}","object":"{object}","created":0,"model":{model},"choices":"#);
        text
    }

    pub(crate) fn whole(&self) -> Bytes {
        let mut text = self.begin("chat.completion");
        text.push_str(r#"[{"index":0,"message":{"role":"assistant","content":""#);
        (0..self.tokens).for_each(|at| text.push_str(Self::word(at)));
        let _ = write!(text, r#""}},"finish_reason":"{}"}}]"#, self.finish);
        self.usage(&mut text);
        text.push('}');
        Bytes::from(text)
    }

    /// The event for one word; the first names the role, too.
    pub(crate) fn piece(&self, at: u32) -> Bytes {
        let word = Self::word(at);
        let delta = match at {
            0 => format!(r#"{{"role":"assistant","content":"{word}"}}"#),
            _ => format!(r#"{{"content":"{word}"}}"#),
        };
        self.event(&format!(r#"[{{"index":0,"delta":{delta},"finish_reason":null}}]"#), false)
    }

    /// The events after the last word.
    pub(crate) fn end(&self) -> Bytes {
        let finish = self.finish;
        let last = format!(r#"[{{"index":0,"delta":{{}},"finish_reason":"{finish}"}}]"#);
        let mut end = self.event(&last, false).to_vec();
        if self.include_usage {
            end.extend_from_slice(&self.event("[]", true));
        }
        end.extend_from_slice(b"data: [DONE]\n\n");
        Bytes::from(end)
    }

    fn event(&self, choices: &str, has_usage: bool) -> Bytes {
        let mut text = format!("data: {}{choices}", self.begin("chat.completion.chunk"));
        if has_usage {
            self.usage(&mut text);
        }
        text.push_str("}\n\n");
        Bytes::from(text)
    }
}

/// An error's body.
pub(crate) fn error(message: &str, kind: &str) -> Bytes {
    Bytes::from(format!(
        r#"{{"error":{{"message":"{message}","type":"{kind}","param":null,"code":"{kind}"}}}}"#
    ))
}

/// The answer to `GET /v1/models`.
pub(crate) const MODELS: &str =
    r#"{"object":"list","data":[{"id":"sim-1","object":"model","owned_by":"antiphon"}]}"#;

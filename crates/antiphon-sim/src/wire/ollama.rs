//! Ollama's `/api/chat` and `/api/generate`.
//!
//! A stream is NDJSON: a line for each word, and a last one with the reason of the end and the usage. Streaming is the
//! default.
//!
//! ```text
//! {"model":"m","created_at":"2026-01-01T00:00:00Z","message":{"role":"assistant","content":"The "},"done":false}
//! {"model":"m",…,"message":{"role":"assistant","content":""},"done":true,"done_reason":"stop",…,"eval_count":16}
//! ```
//!
//! `/api/generate` has a text `response` in place of `message`. The format reports no rate limits, refusals or filters.

use serde_json::{Value, json};

use super::{Answer, ErrorCase, Finish, Headers, ParsedRequest, Wire, field, text};

/// The format of Ollama's `/api/chat` and `/api/generate`.
pub(super) struct Ollama {
    /// Whether the path is `/api/generate`, with a `prompt` in place of `messages`.
    pub(super) generate: bool,
}

/// The message for a prompt that does not fit the context window.
const TOO_LONG: &str = "the prompt is longer than the context length currently available to the model";

/// The message of the hosted service for an account without credit.
const USAGE_LIMIT: &str = "you (user) have reached your weekly usage limit, upgrade for higher limits";

/// The message of a server whose queue is full, with the vendor's two spaces.
const BUSY: &str = "server busy, please try again.  maximum pending requests exceeded";

impl Wire for Ollama {
    fn parse(&self, _: &str, body: &[u8]) -> Option<ParsedRequest> {
        let body: Value = serde_json::from_slice(body).ok()?;
        field(&body, if self.generate { "prompt" } else { "messages" })?;
        let schema = match field(&body, "format") {
            Some(Value::String(_)) => Some(json!({ "type": "object" })),
            format => format.cloned(),
        };
        let most = body.pointer("/options/num_predict").and_then(Value::as_u64);
        Some(ParsedRequest {
            model: text(&body, "model"),
            // Streaming is the vendor's default.
            stream: body["stream"] != false,
            max_tokens: most.map(|most| u32::try_from(most).unwrap_or(u32::MAX)),
            schema,
            include_usage: true,
        })
    }

    fn stream_type(&self) -> &'static str {
        "application/x-ndjson"
    }

    fn whole(&self, answer: &Answer) -> String {
        self.line(answer, &answer.text(), true)
    }

    fn piece(&self, answer: &Answer, at: u32) -> String {
        self.line(answer, &answer.word(at), false) + "\n"
    }

    fn empty(&self, answer: &Answer) -> String {
        self.line(answer, r#""""#, false) + "\n"
    }

    fn end(&self, answer: &Answer) -> String {
        self.line(answer, r#""""#, true) + "\n"
    }

    fn garbage(&self) -> &'static str {
        "{\"model\": \"sim-1\", \"mess\n"
    }

    fn breaks(&self) -> String {
        "{\"error\":\"an error was encountered while running the model\"}\n".to_owned()
    }

    fn error(&self, case: ErrorCase, message: &str) -> (u16, String) {
        let (status, message) = match case {
            ErrorCase::Invalid => (400, message),
            ErrorCase::TooLong => (400, TOO_LONG),
            ErrorCase::NoSuchModel => (404, "model 'x' not found"),
            ErrorCase::WrongKey => (401, "unauthorized"),
            ErrorCase::Limited(_) => (429, message),
            ErrorCase::NoMoney => (429, USAGE_LIMIT),
            ErrorCase::Overloaded => (503, BUSY),
            ErrorCase::Broken => (500, message),
        };
        (status, json!({ "error": message }).to_string())
    }

    fn filters(&self) -> bool {
        false
    }

    fn headers(&self) -> Headers {
        Headers::Plain
    }
}

impl Ollama {
    /// Returns a line without its end: a word, or the end of the answer with the usage.
    fn line(&self, answer: &Answer, text: &str, is_last: bool) -> String {
        let (model, prompt, tokens) = (&answer.model, answer.prompt_tokens, answer.tokens);
        let said = if self.generate {
            format!(r#""response":{text}"#)
        } else {
            format!(r#""message":{{"role":"assistant","content":{text}}}"#)
        };
        let end = match (is_last, answer.finish) {
            (false, _) => r#""done":false"#.to_owned(),
            (true, finish) => {
                let reason = if finish == Finish::Length { "length" } else { "stop" };
                format!(
                    r#""done":true,"done_reason":"{reason}","total_duration":1,"prompt_eval_count":{prompt},"eval_count":{tokens}"#
                )
            }
        };
        format!(r#"{{"model":{model},"created_at":"2026-01-01T00:00:00Z",{said},{end}}}"#)
    }
}

//! OpenAI's chat completions, which most vendors and local servers are compatible with.
//!
//! A stream has a chunk for each word, one with the reason of the end, one with the usage if the request asked for it
//! (`stream_options.include_usage`), and the end mark:
//!
//! ```text
//! data: {"id":"sim-1","object":"chat.completion.chunk","created":0,"model":"m","choices":[
//!        {"index":0,"delta":{"role":"assistant","content":"The "},"finish_reason":null}]}
//! data: {…,"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}
//! data: {…,"choices":[],"usage":{"prompt_tokens":20,"completion_tokens":16,"total_tokens":36,…}}
//! data: [DONE]
//! ```
//!
//! Ids have the number of the request, and `created` is always 0, so that answers are reproducible.

use std::fmt::Write;

use serde::Deserialize;
use serde_json::Value;

use super::{Answer, ErrorCase, Finish, Headers, ParsedRequest, REFUSAL, Wire, quoted};

/// The format of OpenAI's chat completions.
pub(super) struct Chat;

/// A request, as far as it affects the answer. A field of the wrong type makes the request invalid; unknown fields are
/// ignored.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Request {
    model: Option<String>,
    stream: Option<bool>,
    stream_options: Option<StreamOptions>,
    /// The older name, which `max_completion_tokens` overrides.
    max_tokens: Option<u32>,
    max_completion_tokens: Option<u32>,
    response_format: Option<Value>,
    /// Required, and not empty. Their content does not matter.
    messages: Option<Vec<serde::de::IgnoredAny>>,
}

/// The options of a streamed request.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct StreamOptions {
    include_usage: bool,
}

impl Wire for Chat {
    fn parse(&self, _: &str, body: &[u8]) -> Option<ParsedRequest> {
        let request: Request = serde_json::from_slice(body).ok()?;
        request.messages.as_ref().filter(|messages| !messages.is_empty())?;
        Some(ParsedRequest {
            model: request.model,
            stream: request.stream.unwrap_or_default(),
            max_tokens: request.max_completion_tokens.or(request.max_tokens),
            schema: request.response_format.and_then(schema),
            include_usage: request.stream_options.is_some_and(|options| options.include_usage),
        })
    }

    fn whole(&self, answer: &Answer) -> String {
        let mut text = begin(answer, "chat.completion");
        let (content, refusal) = match answer.finish {
            Finish::Refused => ("null".to_owned(), quoted(REFUSAL)),
            _ => (answer.text(), "null".to_owned()),
        };
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            r#"[{{"index":0,"message":{{"role":"assistant","content":{content},"refusal":{refusal}}},"finish_reason":"{}"}}]"#,
            finish(answer)
        );
        usage(answer, &mut text);
        text.push('}');
        text
    }

    /// Returns the refusal, which has a field of its own. Other answers begin with their first word.
    fn start(&self, answer: &Answer) -> String {
        match answer.finish {
            Finish::Refused => {
                let delta = format!(r#"{{"role":"assistant","content":null,"refusal":{}}}"#, quoted(REFUSAL));
                event(answer, &format!(r#"[{{"index":0,"delta":{delta},"finish_reason":null}}]"#), false)
            }
            _ => String::new(),
        }
    }

    /// Returns a chunk with one word; the first one has the role, too.
    fn piece(&self, answer: &Answer, at: u32) -> String {
        let role = if at == 0 { r#""role":"assistant","# } else { "" };
        let word = answer.word(at);
        event(
            answer,
            &format!(r#"[{{"index":0,"delta":{{{role}"content":{word}}},"finish_reason":null}}]"#),
            false,
        )
    }

    /// Returns a chunk with an empty delta, which is valid and shows no progress.
    fn empty(&self, answer: &Answer) -> String {
        event(answer, r#"[{"index":0,"delta":{},"finish_reason":null}]"#, false)
    }

    fn end(&self, answer: &Answer) -> String {
        let finish = finish(answer);
        let mut end =
            event(answer, &format!(r#"[{{"index":0,"delta":{{}},"finish_reason":"{finish}"}}]"#), false);
        if answer.include_usage {
            end.push_str(&event(answer, "[]", true));
        }
        end.push_str("data: [DONE]\n\n");
        end
    }

    fn error(&self, case: ErrorCase, message: &str) -> (u16, String) {
        openai_error(case, message)
    }

    fn headers(&self) -> Headers {
        Headers::OpenAi
    }
}

/// Returns the schema of a `response_format`: within `json_schema` as OpenAI has it, or beside `type` as some
/// compatible servers have it. `json_object` is any object; `text` and unknown types have none.
fn schema(format: Value) -> Option<Value> {
    match format["type"].as_str()? {
        "json_schema" => format.pointer("/json_schema/schema").or_else(|| format.get("schema")).cloned(),
        "json_object" => Some(serde_json::json!({ "type": "object" })),
        _ => None,
    }
}

/// Returns an error in OpenAI's format, where missing credit is a 429, too: only `code` separates it from a rate limit,
/// and only the latter is worth a retry.
pub(super) fn openai_error(case: ErrorCase, message: &str) -> (u16, String) {
    let (status, kind, code) = match case {
        ErrorCase::Invalid => (400, "invalid_request_error", "null"),
        ErrorCase::TooLong => (400, "invalid_request_error", r#""context_length_exceeded""#),
        ErrorCase::NoSuchModel => (404, "invalid_request_error", r#""model_not_found""#),
        ErrorCase::WrongKey => (401, "invalid_request_error", r#""invalid_api_key""#),
        ErrorCase::Limited(_) => (429, "requests", r#""rate_limit_exceeded""#),
        ErrorCase::NoMoney => (429, "insufficient_quota", r#""insufficient_quota""#),
        ErrorCase::Overloaded => (503, "service_unavailable_error", r#""server_is_overloaded""#),
        ErrorCase::Broken => (500, "server_error", "null"),
    };
    let message = quoted(message);
    (status, format!(r#"{{"error":{{"message":{message},"type":"{kind}","param":null,"code":{code}}}}}"#))
}

/// Returns the `finish_reason`. A refusal has the natural one, since its field shows it.
fn finish(answer: &Answer) -> &'static str {
    match answer.finish {
        Finish::Stop | Finish::Refused => "stop",
        Finish::Length => "length",
        Finish::Filtered => "content_filter",
    }
}

/// Returns the start of an answer that is not streamed, up to its choices.
fn begin(answer: &Answer, object: &str) -> String {
    let mut text = String::with_capacity(512);
    let (id, model) = (answer.id, &answer.model);
    let _ = write!(text, r#"{{"id":"sim-{id}","object":"{object}","created":0,"model":{model},"choices":"#);
    text
}

/// Appends the usage to `text`.
fn usage(answer: &Answer, text: &mut String) {
    let (prompt, tokens) = (answer.prompt_tokens, answer.tokens);
    let total = prompt + u64::from(tokens);
    let _ = write!(
        text,
        r#","usage":{{"prompt_tokens":{prompt},"completion_tokens":{tokens},"total_tokens":{total},"prompt_tokens_details":{{"cached_tokens":0}},"completion_tokens_details":{{"reasoning_tokens":0}}}}"#
    );
}

/// Returns a chunk of a stream as an event.
fn event(answer: &Answer, choices: &str, has_usage: bool) -> String {
    let mut text = String::with_capacity(256);
    let (id, model) = (answer.id, &answer.model);
    let _ = write!(
        text,
        r#"data: {{"id":"sim-{id}","object":"chat.completion.chunk","created":0,"model":{model},"choices":{choices}"#
    );
    if has_usage {
        usage(answer, &mut text);
    }
    text.push_str("}\n\n");
    text
}

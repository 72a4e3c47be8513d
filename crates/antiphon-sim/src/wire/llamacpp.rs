//! llama.cpp's own `/completion`, beside which its server also has OpenAI's formats.
//!
//! ```text
//! data: {"index":0,"content":"The ","tokens":[1],"stop":false,"id_slot":0}
//! data: {"index":0,"content":"",…,"stop":true,…,"tokens_predicted":16,"tokens_evaluated":20,"stop_type":"eos",…}
//! ```
//!
//! The limit on tokens is `n_predict`, or `max_tokens`. The format reports no rate limits, refusals or filters.

use serde_json::Value;

use super::{Answer, ErrorCase, Finish, Headers, ParsedRequest, Wire, field, number, quoted, text};

/// The format of llama.cpp's own `/completion`.
pub(super) struct Completion;

impl Wire for Completion {
    fn parse(&self, _: &str, body: &[u8]) -> Option<ParsedRequest> {
        let body: Value = serde_json::from_slice(body).ok()?;
        field(&body, "prompt")?;
        Some(ParsedRequest {
            model: text(&body, "model"),
            stream: field(&body, "stream") == Some(&Value::Bool(true)),
            max_tokens: number(&body, "n_predict").or_else(|| number(&body, "max_tokens")),
            schema: field(&body, "json_schema").cloned(),
            include_usage: true,
        })
    }

    fn whole(&self, answer: &Answer) -> String {
        last(answer, &answer.text())
    }

    fn piece(&self, answer: &Answer, at: u32) -> String {
        let word = answer.word(at);
        format!("data: {{\"index\":0,\"content\":{word},\"tokens\":[1],\"stop\":false,\"id_slot\":0}}\n\n")
    }

    fn empty(&self, _: &Answer) -> String {
        "data: {\"index\":0,\"content\":\"\",\"tokens\":[],\"stop\":false,\"id_slot\":0}\n\n".to_owned()
    }

    fn end(&self, answer: &Answer) -> String {
        format!("data: {}\n\n", last(answer, r#""""#))
    }

    fn garbage(&self) -> &'static str {
        "data: {\"index\":0,\"cont\n\n"
    }

    /// Returns an error. The server itself has no accounts: the status 402 is that of gateways in front of it.
    fn error(&self, case: ErrorCase, message: &str) -> (u16, String) {
        let (status, kind) = match case {
            ErrorCase::Invalid => (400, "invalid_request_error"),
            ErrorCase::TooLong => (400, "exceed_context_size_error"),
            ErrorCase::NoSuchModel => (404, "not_found_error"),
            ErrorCase::WrongKey => (401, "authentication_error"),
            ErrorCase::Limited(_) => (429, "unavailable_error"),
            ErrorCase::NoMoney => (402, "permission_error"),
            ErrorCase::Overloaded => (503, "unavailable_error"),
            ErrorCase::Broken => (500, "server_error"),
        };
        let message = if case == ErrorCase::NoSuchModel { "model not found" } else { message };
        let message = quoted(message);
        (status, format!(r#"{{"error":{{"code":{status},"message":{message},"type":"{kind}"}}}}"#))
    }

    fn filters(&self) -> bool {
        false
    }

    fn headers(&self) -> Headers {
        Headers::Plain
    }
}

/// Returns the object that ends an answer: all of it, or the last event of a stream, which has no text.
fn last(answer: &Answer, text: &str) -> String {
    let (model, prompt, tokens) = (&answer.model, answer.prompt_tokens, answer.tokens);
    let stop = if answer.finish == Finish::Length { "limit" } else { "eos" };
    format!(
        r#"{{"index":0,"content":{text},"tokens":[],"id_slot":0,"stop":true,"model":{model},"tokens_predicted":{tokens},"tokens_evaluated":{prompt},"truncated":false,"stop_type":"{stop}","stopping_word":"","timings":{{"cache_n":0,"prompt_n":{prompt},"predicted_n":{tokens}}}}}"#
    )
}

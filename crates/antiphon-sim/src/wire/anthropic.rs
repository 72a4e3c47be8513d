//! Anthropic's Messages.
//!
//! ```text
//! event: message_start          the message without content, and the input tokens
//! event: content_block_start
//! event: ping
//! event: content_block_delta    one for each word
//! event: content_block_stop
//! event: message_delta          the stop reason, and the output tokens
//! event: message_stop
//! ```
//!
//! Each event has its name twice: as `event`, and as `type` of its data. A refusal has no content block. Structured
//! output is asked for by `output_config.format`; there is no mode for any JSON object.

use serde_json::Value;

use super::{Answer, ErrorCase, Finish, Headers, ParsedRequest, REFUSAL, Wire, field, number, quoted, text};

/// The format of Anthropic's Messages.
pub(super) struct Messages;

impl Wire for Messages {
    fn parse(&self, _: &str, body: &[u8]) -> Option<ParsedRequest> {
        let body: Value = serde_json::from_slice(body).ok()?;
        field(&body, "messages")?.as_array().filter(|messages| !messages.is_empty())?;
        let format = body.pointer("/output_config/format");
        let schema =
            format.filter(|format| format["type"] == "json_schema").map(|format| format["schema"].clone());
        Some(ParsedRequest {
            model: text(&body, "model"),
            stream: field(&body, "stream") == Some(&Value::Bool(true)),
            // The vendor requires `max_tokens`.
            max_tokens: Some(number(&body, "max_tokens")?),
            schema,
            include_usage: true,
        })
    }

    fn whole(&self, answer: &Answer) -> String {
        let content = match answer.finish {
            Finish::Refused => "[]".to_owned(),
            _ => format!(r#"[{{"type":"text","text":{}}}]"#, answer.text()),
        };
        message(answer, &content, &stop(answer), answer.tokens)
    }

    fn start(&self, answer: &Answer) -> String {
        let started_at = message(answer, "[]", r#""stop_reason":null,"stop_details":null"#, 1);
        let mut start = event("message_start", &format!(r#""message":{started_at}"#));
        if answer.finish != Finish::Refused {
            start += &event("content_block_start", r#""index":0,"content_block":{"type":"text","text":""}"#);
        }
        start + &event("ping", "")
    }

    fn piece(&self, answer: &Answer, at: u32) -> String {
        let word = answer.word(at);
        event("content_block_delta", &format!(r#""index":0,"delta":{{"type":"text_delta","text":{word}}}"#))
    }

    fn empty(&self, _: &Answer) -> String {
        event("ping", "")
    }

    fn end(&self, answer: &Answer) -> String {
        let mut end = String::new();
        if answer.finish != Finish::Refused {
            end += &event("content_block_stop", r#""index":0"#);
        }
        let (stop, tokens) = (stop(answer), answer.tokens);
        end +=
            &event("message_delta", &format!(r#""delta":{{{stop}}},"usage":{{"output_tokens":{tokens}}}"#));
        end + &event("message_stop", "")
    }

    fn garbage(&self) -> &'static str {
        "event: content_block_delta\ndata: {\"type\":\"content_blo\n\n"
    }

    fn breaks(&self) -> String {
        event("error", r#""error":{"type":"api_error","message":"it broke in the middle"}"#)
    }

    /// Returns an error. Missing credit and prompts that are too long have the same type: only the message separates
    /// them.
    fn error(&self, case: ErrorCase, message: &str) -> (u16, String) {
        let (status, kind) = match case {
            ErrorCase::Invalid => (400, "invalid_request_error"),
            ErrorCase::TooLong => (400, "invalid_request_error"),
            ErrorCase::NoSuchModel => (404, "not_found_error"),
            ErrorCase::WrongKey => (401, "authentication_error"),
            ErrorCase::Limited(_) => (429, "rate_limit_error"),
            ErrorCase::NoMoney => (400, "invalid_request_error"),
            ErrorCase::Overloaded => (529, "overloaded_error"),
            ErrorCase::Broken => (500, "api_error"),
        };
        let message = quoted(vendor_message(case).unwrap_or(message));
        let body = format!(
            r#"{{"type":"error","error":{{"type":"{kind}","message":{message}}},"request_id":"req_sim"}}"#
        );
        (status, body)
    }

    fn key_header(&self) -> Option<&'static str> {
        Some("x-api-key")
    }

    fn headers(&self) -> Headers {
        Headers::Anthropic
    }
}

/// Returns the text that the vendor is known to send, where clients recognise an error by it.
fn vendor_message(case: ErrorCase) -> Option<&'static str> {
    match case {
        ErrorCase::TooLong => Some("prompt is too long: 11 tokens > 10 maximum"),
        ErrorCase::NoMoney => {
            Some("Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing.")
        }
        ErrorCase::NoSuchModel => Some("model: there is none of that name"),
        _ => None,
    }
}

/// Returns an event, with its name in `event` and in the `type` of its data.
fn event(name: &str, fields: &str) -> String {
    let comma = if fields.is_empty() { "" } else { "," };
    format!("event: {name}\ndata: {{\"type\":\"{name}\"{comma}{fields}}}\n\n")
}

/// Returns a message; `stop` is the fields of [`stop`], or those of a message that has not ended.
fn message(answer: &Answer, content: &str, stop: &str, tokens: u32) -> String {
    let (id, model, input) = (answer.id, &answer.model, answer.prompt_tokens);
    format!(
        r#"{{"id":"msg_{id}","type":"message","role":"assistant","model":{model},"content":{content},{stop},"stop_sequence":null,"usage":{{"input_tokens":{input},"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":{tokens}}}}}"#
    )
}

/// Returns the fields with the reason of the end.
fn stop(answer: &Answer) -> String {
    let (reason, details) = match answer.finish {
        Finish::Stop => ("end_turn", "null".to_owned()),
        Finish::Length => ("max_tokens", "null".to_owned()),
        // The format has no separate reason for a content filter.
        Finish::Refused | Finish::Filtered => {
            ("refusal", format!(r#"{{"type":"refusal","category":null,"explanation":{}}}"#, quoted(REFUSAL)))
        }
    };
    format!(r#""stop_reason":"{reason}","stop_details":{details}"#)
}

//! OpenAI's Responses, whose streams are named events with sequence numbers.
//!
//! ```text
//! response.created, response.in_progress          0, 1
//! response.output_item.added                      2
//! response.content_part.added                     3
//! response.output_text.delta                      4, one for each word
//! response.output_text.done                       after the last word
//! response.content_part.done
//! response.output_item.done
//! response.completed | response.incomplete        with the whole response and its usage
//! ```
//!
//! A refusal has `response.refusal.delta` and `response.refusal.done` in place of the text. There is no end mark such
//! as `[DONE]`: a stream without its last event was cut.

use serde_json::{Value, json};

use super::chat::openai_error;
use super::{Answer, ErrorCase, Finish, Headers, ParsedRequest, REFUSAL, Wire, field, number, quoted, text};

/// The format of OpenAI's Responses.
pub(super) struct Responses;

impl Wire for Responses {
    fn parse(&self, _: &str, body: &[u8]) -> Option<ParsedRequest> {
        let body: Value = serde_json::from_slice(body).ok()?;
        field(&body, "input").filter(|input| input.as_array().is_none_or(|items| !items.is_empty()))?;
        // The vendor's minimum is 16.
        if number(&body, "max_output_tokens").is_some_and(|most| most < 16) {
            return None;
        }
        Some(ParsedRequest {
            model: text(&body, "model"),
            stream: field(&body, "stream") == Some(&Value::Bool(true)),
            max_tokens: number(&body, "max_output_tokens"),
            schema: schema(&body),
            include_usage: true,
        })
    }

    fn whole(&self, answer: &Answer) -> String {
        response(answer, true)
    }

    fn start(&self, answer: &Answer) -> String {
        let started_at = response(answer, false);
        let item =
            r#"{"id":"msg_1","type":"message","status":"in_progress","content":[],"role":"assistant"}"#;
        let mut start = String::new();
        start += &event("response.created", &format!(r#""response":{started_at},"sequence_number":0"#));
        start += &event("response.in_progress", &format!(r#""response":{started_at},"sequence_number":1"#));
        start += &event(
            "response.output_item.added",
            &format!(r#""item":{item},"output_index":0,"sequence_number":2"#),
        );
        start += &part_added(answer.finish);
        if answer.finish == Finish::Refused {
            start += &refusal_delta();
        }
        start
    }

    /// Returns the delta of one word. Words are numbered from 4, after the events of the start.
    fn piece(&self, answer: &Answer, at: u32) -> String {
        let (word, number) = (answer.word(at), at + 4);
        event(
            "response.output_text.delta",
            &format!(
                r#""content_index":0,"delta":{word},"item_id":"msg_1","logprobs":[],"output_index":0,"sequence_number":{number}"#
            ),
        )
    }

    /// Returns a keep-alive event.
    fn empty(&self, _: &Answer) -> String {
        event("keepalive", r#""sequence_number":4"#)
    }

    fn end(&self, answer: &Answer) -> String {
        // A refusal is a single delta.
        let deltas = if answer.finish == Finish::Refused { 1 } else { answer.tokens };
        let (part, number) = (content(answer), deltas + 4);
        let part = format!(r#"{PLACE},"part":{part},"sequence_number":{}"#, number + 1);
        let item = format!(r#""item":{},"output_index":0,"sequence_number":{}"#, item(answer), number + 2);
        let name = match answer.finish {
            Finish::Stop | Finish::Refused => "response.completed",
            Finish::Length | Finish::Filtered => "response.incomplete",
        };
        let whole = format!(r#""response":{},"sequence_number":{}"#, response(answer, true), number + 3);
        output_done(answer, number)
            + &event("response.content_part.done", &part)
            + &event("response.output_item.done", &item)
            + &event(name, &whole)
    }

    fn garbage(&self) -> &'static str {
        "event: response.output_text.delta\ndata: {\"type\":\"response.out\n\n"
    }

    fn breaks(&self) -> String {
        let error =
            r#""error":{"type":"server_error","code":null,"message":"it broke in the middle","param":null}"#;
        event("error", &format!(r#"{error},"sequence_number":9"#))
    }

    fn error(&self, case: ErrorCase, message: &str) -> (u16, String) {
        openai_error(case, message)
    }

    fn headers(&self) -> Headers {
        Headers::OpenAi
    }
}

/// The fields of an event that name the only part of the only message.
const PLACE: &str = r#""content_index":0,"item_id":"msg_1","output_index":0"#;

/// Returns the schema of the request's text format. `json_object` is any object.
fn schema(body: &Value) -> Option<Value> {
    let format = body.pointer("/text/format")?;
    match format["type"].as_str()? {
        "json_schema" => Some(format["schema"].clone()),
        "json_object" => Some(json!({ "type": "object" })),
        _ => None,
    }
}

/// Returns the event that opens the part of the text or of the refusal.
fn part_added(finish: Finish) -> String {
    let part = match finish {
        Finish::Refused => r#"{"type":"refusal","refusal":""}"#,
        _ => r#"{"type":"output_text","annotations":[],"logprobs":[],"text":""}"#,
    };
    event("response.content_part.added", &format!(r#"{PLACE},"part":{part},"sequence_number":3"#))
}

/// Returns the refusal as a single delta.
fn refusal_delta() -> String {
    let refusal = quoted(REFUSAL);
    event(
        "response.refusal.delta",
        &format!(
            r#""content_index":0,"delta":{refusal},"item_id":"msg_1","output_index":0,"sequence_number":4"#
        ),
    )
}

/// Returns the event with the whole text or refusal.
fn output_done(answer: &Answer, number: u32) -> String {
    match answer.finish {
        Finish::Refused => {
            let fields = format!(r#"{PLACE},"sequence_number":{number},"refusal":{}"#, quoted(REFUSAL));
            event("response.refusal.done", &fields)
        }
        _ => {
            let text = answer.text();
            let fields = format!(r#"{PLACE},"logprobs":[],"sequence_number":{number},"text":{text}"#);
            event("response.output_text.done", &fields)
        }
    }
}

/// Returns an event, with its name in `event` and in the `type` of its data.
fn event(name: &str, fields: &str) -> String {
    format!("event: {name}\ndata: {{\"type\":\"{name}\",{fields}}}\n\n")
}

/// Returns the response object: as it is at the start, without output and usage, or as it is at the end.
fn response(answer: &Answer, is_over: bool) -> String {
    let (id, model) = (answer.id, &answer.model);
    let (status, details) = match (is_over, answer.finish) {
        (false, _) => ("in_progress", "null"),
        (true, Finish::Stop | Finish::Refused) => ("completed", "null"),
        (true, Finish::Length) => ("incomplete", r#"{"reason":"max_output_tokens"}"#),
        (true, Finish::Filtered) => ("incomplete", r#"{"reason":"content_filter"}"#),
    };
    let (output, usage) = if is_over {
        (format!("[{}]", item(answer)), usage(answer))
    } else {
        ("[]".to_owned(), "null".to_owned())
    };
    format!(
        r#"{{"id":"resp_{id}","object":"response","created_at":0,"status":"{status}","error":null,"incomplete_details":{details},"model":{model},"output":{output},"usage":{usage}}}"#
    )
}

/// Returns the usage of a finished response.
fn usage(answer: &Answer) -> String {
    let (input, tokens) = (answer.prompt_tokens, answer.tokens);
    let total = input + u64::from(tokens);
    format!(
        r#"{{"input_tokens":{input},"input_tokens_details":{{"cached_tokens":0}},"output_tokens":{tokens},"output_tokens_details":{{"reasoning_tokens":0}},"total_tokens":{total}}}"#
    )
}

/// Returns the finished part of the message.
fn content(answer: &Answer) -> String {
    match answer.finish {
        Finish::Refused => format!(r#"{{"type":"refusal","refusal":{}}}"#, quoted(REFUSAL)),
        _ => format!(r#"{{"type":"output_text","annotations":[],"logprobs":[],"text":{}}}"#, answer.text()),
    }
}

/// Returns the finished message.
fn item(answer: &Answer) -> String {
    let status = match answer.finish {
        Finish::Stop | Finish::Refused => "completed",
        Finish::Length | Finish::Filtered => "incomplete",
    };
    let content = content(answer);
    format!(
        r#"{{"id":"msg_1","type":"message","status":"{status}","content":[{content}],"role":"assistant"}}"#
    )
}

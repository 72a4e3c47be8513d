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
        let schema = body.pointer("/text/format").and_then(|format| match format["type"].as_str()? {
            "json_schema" => Some(format["schema"].clone()),
            "json_object" => Some(json!({ "type": "object" })),
            _ => None,
        });
        Some(ParsedRequest {
            model: text(&body, "model"),
            stream: field(&body, "stream") == Some(&Value::Bool(true)),
            max_tokens: number(&body, "max_output_tokens"),
            schema,
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
        let part = match answer.finish {
            Finish::Refused => r#"{"type":"refusal","refusal":""}"#,
            _ => r#"{"type":"output_text","annotations":[],"logprobs":[],"text":""}"#,
        };
        start += &event(
            "response.content_part.added",
            &format!(
                r#""content_index":0,"item_id":"msg_1","output_index":0,"part":{part},"sequence_number":3"#
            ),
        );
        if answer.finish == Finish::Refused {
            let refusal = quoted(REFUSAL);
            start += &event(
                "response.refusal.delta",
                &format!(
                    r#""content_index":0,"delta":{refusal},"item_id":"msg_1","output_index":0,"sequence_number":4"#
                ),
            );
        }
        start
    }

    fn piece(&self, answer: &Answer, at: u32) -> String {
        let (word, number) = (answer.word(at), at + 4);
        event(
            "response.output_text.delta",
            &format!(
                r#""content_index":0,"delta":{word},"item_id":"msg_1","logprobs":[],"output_index":0,"sequence_number":{number}"#
            ),
        )
    }

    fn empty(&self, _: &Answer) -> String {
        event("keepalive", r#""sequence_number":4"#)
    }

    fn end(&self, answer: &Answer) -> String {
        let (part, number) = (content(answer), answer.tokens + 5);
        let admission = r#""content_index":0,"item_id":"msg_1","output_index":0"#;
        let said = match answer.finish {
            Finish::Refused => {
                let fields =
                    format!(r#"{admission},"sequence_number":{number},"refusal":{}"#, quoted(REFUSAL));
                event("response.refusal.done", &fields)
            }
            _ => {
                let fields = format!(
                    r#"{admission},"logprobs":[],"sequence_number":{number},"text":{}"#,
                    answer.text()
                );
                event("response.output_text.done", &fields)
            }
        };
        let part = format!(r#"{admission},"part":{part},"sequence_number":{}"#, number + 1);
        let item = format!(r#""item":{},"output_index":0,"sequence_number":{}"#, item(answer), number + 2);
        let name = match answer.finish {
            Finish::Stop | Finish::Refused => "response.completed",
            Finish::Length | Finish::Filtered => "response.incomplete",
        };
        let whole = format!(r#""response":{},"sequence_number":{}"#, response(answer, true), number + 3);
        said + &event("response.content_part.done", &part)
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

/// Returns an event, with its name in `event` and in the `type` of its data.
fn event(name: &str, fields: &str) -> String {
    format!("event: {name}\ndata: {{\"type\":\"{name}\",{fields}}}\n\n")
}

fn response(answer: &Answer, is_over: bool) -> String {
    let (id, model, input, tokens) = (answer.id, &answer.model, answer.prompt_tokens, answer.tokens);
    let (status, details) = match (is_over, answer.finish) {
        (false, _) => ("in_progress", "null"),
        (true, Finish::Stop | Finish::Refused) => ("completed", "null"),
        (true, Finish::Length) => ("incomplete", r#"{"reason":"max_output_tokens"}"#),
        (true, Finish::Filtered) => ("incomplete", r#"{"reason":"content_filter"}"#),
    };
    let (output, usage) = if is_over {
        let message = format!("[{}]", item(answer));
        let total = input + u64::from(tokens);
        let usage = format!(
            r#"{{"input_tokens":{input},"input_tokens_details":{{"cached_tokens":0}},"output_tokens":{tokens},"output_tokens_details":{{"reasoning_tokens":0}},"total_tokens":{total}}}"#
        );
        (message, usage)
    } else {
        ("[]".to_owned(), "null".to_owned())
    };
    format!(
        r#"{{"id":"resp_{id}","object":"response","created_at":0,"status":"{status}","error":null,"incomplete_details":{details},"model":{model},"output":{output},"usage":{usage}}}"#
    )
}

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

//! Bodies of answers in every format.

use antiphon_tests::Reply;
use serde_json::{Value, json};

/// An answer, as a server sends it.
#[derive(Debug, Clone, Default)]
pub(super) struct Said {
    text: String,
    reasoning: String,
    tool: Option<String>,
    finish: String,
    /// The size of the pieces of a stream, in characters.
    size: usize,
}

impl Said {
    pub(super) fn text(text: &str) -> Self {
        Self { text: text.to_owned(), size: 5, ..Self::default() }
    }

    pub(super) fn reasoning(mut self, reasoning: &str) -> Self {
        reasoning.clone_into(&mut self.reasoning);
        self
    }

    pub(super) fn calls(mut self, tool: &str) -> Self {
        self.tool = Some(tool.to_owned());
        self
    }

    pub(super) fn ends(mut self, finish: &str) -> Self {
        finish.clone_into(&mut self.finish);
        self
    }

    pub(super) fn in_pieces_of(mut self, size: usize) -> Self {
        self.size = size;
        self
    }

    fn pieces(&self) -> Vec<String> {
        let letters: Vec<char> = self.text.chars().collect();
        letters.chunks(self.size.max(1)).map(String::from_iter).collect()
    }
}

/// Returns the word for a natural end.
pub(super) fn natural(format: &str) -> &'static str {
    match format {
        "responses" => "completed",
        "anthropic" => "end_turn",
        "gemini" => "STOP",
        "llamacpp-native" => "eos",
        _ => "stop",
    }
}

/// Returns the number of requests before that of the answer.
pub(super) fn calls_before(format: &str) -> usize {
    usize::from(format == "llamacpp-native")
}

/// Returns the script of a server that answers a prompt with `reply`.
pub(super) fn script(format: &str, reply: Reply) -> Vec<Reply> {
    let template = Reply::json(200, &json!({ "prompt": "Hi" }));
    if calls_before(format) > 0 { vec![template, reply] } else { vec![reply] }
}

/// Returns an answer as a stream and as a whole.
pub(super) fn replies(format: &str, said: &Said) -> [Reply; 2] {
    let (events, whole) = bodies(format, said);
    [stream(format, &events), Reply::json(200, &whole)]
}

/// Returns an answer as a whole body.
pub(super) fn whole(format: &str, said: &Said) -> Value {
    bodies(format, said).1
}

/// Returns the events of an answer, and its whole body.
fn bodies(format: &str, said: &Said) -> (Vec<Value>, Value) {
    match format {
        "responses" => (responses(said), response(said)),
        "anthropic" => (anthropic(said), message(said)),
        "gemini" => (gemini(said), candidate(&said.text, said, Some(&said.finish))),
        "ollama" | "ollama-generate" => (ollama(format, said), line(format, &said.text, said, true)),
        "llamacpp-native" => (native(said), native_event(&said.text, said, true)),
        _ => (chat(said), completion(said)),
    }
}

/// Returns a stream of events or lines.
pub(super) fn stream(format: &str, events: &[Value]) -> Reply {
    let texts: Vec<String> = events.iter().map(Value::to_string).collect();
    if format.starts_with("ollama") {
        return Reply::new(200, "application/x-ndjson", &(texts.join("\n") + "\n"));
    }
    Reply::events(texts.iter().map(String::as_str))
}

fn chat(said: &Said) -> Vec<Value> {
    let chunk = |delta: Value| json!({ "id": "c-1", "choices": [{ "index": 0, "delta": delta, "finish_reason": null }] });
    let mut events = vec![chunk(json!({ "role": "assistant", "content": "" }))];
    if !said.reasoning.is_empty() {
        events.push(chunk(json!({ "reasoning_content": said.reasoning })));
    }
    events.extend(said.pieces().iter().map(|piece| chunk(json!({ "content": piece }))));
    if let Some(tool) = &said.tool {
        events.push(chunk(json!({ "tool_calls": [{ "index": 0, "id": "t-1", "function": { "name": tool, "arguments": "" } }] })));
        events.push(chunk(json!({ "tool_calls": [{ "index": 0, "function": { "arguments": "{}" } }] })));
    }
    events.push(json!({ "choices": [{ "index": 0, "delta": {}, "finish_reason": said.finish }] }));
    events
}

fn completion(said: &Said) -> Value {
    let mut message = json!({ "role": "assistant", "content": said.text });
    if !said.reasoning.is_empty() {
        message["reasoning_content"] = json!(said.reasoning);
    }
    if let Some(tool) = &said.tool {
        message["tool_calls"] =
            json!([{ "id": "t-1", "type": "function", "function": { "name": tool, "arguments": "{}" } }]);
    }
    json!({ "id": "c-1", "object": "chat.completion", "choices": [{ "index": 0, "message": message, "finish_reason": said.finish }] })
}

fn responses(said: &Said) -> Vec<Value> {
    let mut events = vec![json!({ "type": "response.created", "response": { "id": "r-1" } })];
    if !said.reasoning.is_empty() {
        events.push(
            json!({ "type": "response.reasoning_text.delta", "output_index": 0, "delta": said.reasoning }),
        );
    }
    let delta =
        |piece: &String| json!({ "type": "response.output_text.delta", "output_index": 1, "delta": piece });
    events.extend(said.pieces().iter().map(delta));
    if let Some(tool) = &said.tool {
        let item = json!({ "type": "function_call", "name": tool, "arguments": "{}" });
        events.push(json!({ "type": "response.output_item.done", "output_index": 2, "item": item }));
    }
    let ended = response(said);
    let kind = format!("response.{}", ended["status"].as_str().unwrap());
    events.push(json!({ "type": kind, "response": ended }));
    events
}

fn response(said: &Said) -> Value {
    let mut output = vec![
        json!({ "type": "reasoning", "content": [{ "type": "reasoning_text", "text": said.reasoning }] }),
    ];
    output.push(json!({ "type": "message", "content": [{ "type": "output_text", "text": said.text }] }));
    output.extend(
        said.tool.iter().map(|tool| json!({ "type": "function_call", "name": tool, "arguments": "{}" })),
    );
    let mut response = json!({ "id": "r-1", "object": "response", "status": "completed", "output": output });
    if said.finish != "completed" {
        response["status"] = json!("incomplete");
        response["incomplete_details"] = json!({ "reason": said.finish });
    }
    response
}

fn anthropic(said: &Said) -> Vec<Value> {
    let delta = |delta: Value| json!({ "type": "content_block_delta", "index": 0, "delta": delta });
    let mut events = vec![json!({ "type": "message_start", "message": { "id": "m-1", "content": [] } })];
    if !said.reasoning.is_empty() {
        events.push(delta(json!({ "type": "thinking_delta", "thinking": said.reasoning })));
    }
    events.extend(said.pieces().iter().map(|piece| delta(json!({ "type": "text_delta", "text": piece }))));
    if let Some(tool) = &said.tool {
        let block = json!({ "type": "tool_use", "id": "t-1", "name": tool, "input": {} });
        events.push(json!({ "type": "content_block_start", "index": 1, "content_block": block }));
    }
    events.push(json!({ "type": "message_delta", "delta": { "stop_reason": said.finish } }));
    events.push(json!({ "type": "message_stop" }));
    events
}

fn message(said: &Said) -> Value {
    let mut content = vec![json!({ "type": "thinking", "thinking": said.reasoning })];
    content.push(json!({ "type": "text", "text": said.text }));
    content.extend(said.tool.iter().map(|tool| json!({ "type": "tool_use", "name": tool, "input": {} })));
    json!({ "id": "m-1", "type": "message", "content": content, "stop_reason": said.finish })
}

fn gemini(said: &Said) -> Vec<Value> {
    let bare = Said { tool: None, reasoning: String::new(), ..said.clone() };
    let mut events: Vec<Value> = Vec::new();
    if !said.reasoning.is_empty() {
        events.push(candidate("", &Said { tool: None, ..said.clone() }, None));
    }
    events.extend(said.pieces().iter().map(|piece| candidate(piece, &bare, None)));
    events.push(candidate("", &Said { reasoning: String::new(), ..said.clone() }, Some(&said.finish)));
    events
}

fn candidate(text: &str, said: &Said, finish: Option<&str>) -> Value {
    let mut parts = Vec::new();
    if !said.reasoning.is_empty() {
        parts.push(json!({ "text": said.reasoning, "thought": true }));
    }
    parts.push(json!({ "text": text }));
    parts.extend(said.tool.iter().map(|tool| json!({ "functionCall": { "name": tool, "args": {} } })));
    let mut candidate = json!({ "content": { "parts": parts, "role": "model" }, "index": 0 });
    if let Some(finish) = finish {
        candidate["finishReason"] = json!(finish);
    }
    json!({ "candidates": [candidate] })
}

fn ollama(format: &str, said: &Said) -> Vec<Value> {
    let bare = Said { tool: None, reasoning: String::new(), ..said.clone() };
    let mut lines: Vec<Value> = said.pieces().iter().map(|piece| line(format, piece, &bare, false)).collect();
    lines.insert(0, line(format, "", &Said { finish: String::new(), ..said.clone() }, false));
    lines.push(line(format, "", &bare, true));
    lines
}

fn line(format: &str, text: &str, said: &Said, done: bool) -> Value {
    let mut line = json!({ "model": "m", "done": done });
    if format == "ollama-generate" {
        line["response"] = json!(text);
        line["thinking"] = json!(said.reasoning);
    } else {
        line["message"] = json!({ "role": "assistant", "content": text, "thinking": said.reasoning });
        if let Some(tool) = &said.tool {
            line["message"]["tool_calls"] = json!([{ "function": { "name": tool, "arguments": {} } }]);
        }
    }
    if done {
        line["done_reason"] = json!(said.finish);
    }
    line
}

fn native(said: &Said) -> Vec<Value> {
    let mut events: Vec<Value> = said.pieces().iter().map(|piece| native_event(piece, said, false)).collect();
    events.push(native_event("", said, true));
    events
}

fn native_event(text: &str, said: &Said, stop: bool) -> Value {
    let mut event = json!({ "index": 0, "content": text, "stop": stop });
    if stop {
        event["stop_type"] = json!(said.finish);
    }
    event
}

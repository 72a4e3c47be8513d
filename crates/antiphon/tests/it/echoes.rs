//! Servers that repeat the secrets of a request in every text that they send: no byte of them is printed or stored.

use std::fs;
use std::path::Path;

use antiphon_tests::{Received, Reply, Server};
use serde_json::{Value, json};

use crate::program::{Lab, Ran, answer};

const KEY: &str = "sk-planted-0123456789";
/// The Base64 of `ada:` and the key.
const ENCODED: &str = "YWRhOnNrLXBsYW50ZWQtMDEyMzQ1Njc4OQ==";

/// The secrets of a request, and forms of the key.
fn echo() -> String {
    let escaped: String = KEY.chars().map(|c| format!("%{:02x}", u32::from(c))).collect();
    format!(
        "{KEY} {} {escaped} {ENCODED} planted-header-0123 planted-plain-0123 planted-query-0123",
        KEY.to_uppercase(),
    )
}

/// The answer with one persona, in whose texts the secrets are; some with escapes of JSON.
fn persona() -> String {
    let escaped: String = KEY.chars().map(|c| format!("\\u{:04x}", u32::from(c))).collect();
    let text = answer().replace("The early closer", &format!("The {escaped}")).replace("Wants", &echo());
    assert_ne!(text, answer());
    text
}

/// The vendors' formats, by the kind of the provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    OpenAi,
    Responses,
    Compatible,
    Anthropic,
    Gemini,
    Ollama,
    LlamaCpp,
}

use Format::{Anthropic, Compatible, Gemini, LlamaCpp, Ollama, OpenAi, Responses};

/// The end of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// A natural end.
    Stop,
    /// A finish reason that is a secret.
    Named,
    /// An error in the stream.
    Error,
    /// A status that is an error's.
    Status,
}

impl Format {
    /// Returns the pieces of an answer, in the format.
    fn pieces(self, text: &str, end: End) -> Vec<Value> {
        let named = if end == End::Named { KEY } else { "" };
        let finish = |stop: &str| if named.is_empty() { stop.to_owned() } else { named.to_owned() };
        // A key is split over many pieces.
        let texts: Vec<String> =
            text.chars().collect::<Vec<_>>().chunks(7).map(|piece| piece.iter().collect()).collect();
        let of_texts =
            |piece: &dyn Fn(&str) -> Value| texts.iter().map(|text| piece(text)).collect::<Vec<_>>();
        match self {
            OpenAi | Compatible | LlamaCpp => {
                let chunk = |delta: Value, finish: Value| {
                    json!({ "id": echo(), "model": echo(), "system_fingerprint": echo(),
                        "choices": [{ "index": 0, "delta": delta, "finish_reason": finish }] })
                };
                let mut all =
                    vec![chunk(json!({ "role": "assistant", "reasoning_content": echo() }), Value::Null)];
                all.extend(of_texts(&|text| chunk(json!({ "content": text }), Value::Null)));
                all.push(chunk(json!({}), json!(finish("stop"))));
                all
            }
            Responses => Self::responses(
                of_texts(&|text| json!({ "type": "response.output_text.delta", "delta": text })),
                named,
            ),
            Anthropic => {
                let mut all = vec![
                    json!({ "type": "message_start", "message": { "id": echo(), "model": echo(), "usage": { "input_tokens": 9 } } }),
                    json!({ "type": "content_block_delta", "index": 0, "delta": { "type": "thinking_delta", "thinking": echo() } }),
                ];
                all.extend(of_texts(&|text| {
                    json!({ "type": "content_block_delta", "index": 1, "delta": { "type": "text_delta", "text": text } })
                }));
                all.push(json!({ "type": "message_delta", "delta": { "stop_reason": finish("end_turn") }, "usage": { "output_tokens": 9 } }));
                all.push(json!({ "type": "message_stop" }));
                all
            }
            Gemini => {
                let chunk = |text: &str, is_thought: bool| {
                    json!({ "responseId": echo(), "modelVersion": echo(),
                        "candidates": [{ "content": { "parts": [{ "text": text, "thought": is_thought }] } }] })
                };
                let mut all = vec![chunk(&echo(), true)];
                all.extend(of_texts(&|text| chunk(text, false)));
                all.push(
                    json!({ "candidates": [{ "finishReason": finish("STOP"), "finishMessage": echo() }] }),
                );
                all
            }
            Ollama => {
                let mut all = vec![
                    json!({ "model": echo(), "message": { "thinking": echo(), "content": "" }, "done": false }),
                ];
                all.extend(of_texts(
                    &|text| json!({ "model": echo(), "message": { "content": text }, "done": false }),
                ));
                all.push(json!({ "model": echo(), "message": { "content": "" }, "done": true, "done_reason": finish("stop") }));
                all
            }
        }
    }

    /// Returns the events of the Responses API around those of the text.
    fn responses(texts: Vec<Value>, named: &str) -> Vec<Value> {
        let mut all = vec![
            json!({ "type": "response.created", "response": { "id": echo(), "model": echo() } }),
            json!({ "type": "response.reasoning_summary_text.delta", "delta": echo() }),
        ];
        all.extend(texts);
        let (status, details) = match named {
            "" => ("completed", Value::Null),
            named => ("incomplete", json!({ "reason": named })),
        };
        let usage = json!({ "input_tokens": 9, "output_tokens": 9 });
        all.push(json!({ "type": format!("response.{status}"), "response": {
            "id": echo(), "model": echo(), "status": status, "incomplete_details": details, "usage": usage } }));
        all
    }

    /// Returns the reply to a call of a model.
    fn reply(self, text: &str, end: End) -> Reply {
        let error = json!({ "type": "error", "error": { "message": echo(), "type": echo(), "code": echo(), "status": echo() } });
        let head = |status: u16, kind: &str| {
            format!(
                "HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\nx-request-id: {}\r\nconnection: close\r\n\r\n",
                echo()
            )
        };
        if end == End::Status {
            return Reply::raw(&(head(401, "application/json") + &error.to_string()));
        }
        let mut pieces = self.pieces(text, end);
        if end == End::Error {
            pieces.truncate(pieces.len() / 2);
            pieces.push(error);
        }
        if self == Ollama {
            let lines: String = pieces.iter().map(|piece| format!("{piece}\n")).collect();
            return Reply::raw(&(head(200, "application/x-ndjson") + &lines));
        }
        let events: String = pieces
            .iter()
            .map(|piece| match (piece["type"].as_str(), self) {
                (Some(name), Anthropic | Responses) => format!("event: {name}\ndata: {piece}\n\n"),
                _ => format!("data: {piece}\n\n"),
            })
            .collect();
        Reply::raw(&(head(200, "text/event-stream") + &events))
    }

    /// Returns the reply to a question about the server.
    fn about(line: &str) -> Reply {
        let id = echo();
        let body = if line.contains("/api/") {
            json!({ "models": [{ "name": &id, "model": &id }], "version": &id })
        } else if line.contains("/v1beta/") {
            json!({ "models": [{ "name": format!("models/{id}"), "supportedGenerationMethods": ["generateContent"] }] })
        } else if line.contains("/props") {
            json!({ "total_slots": 1, "model_alias": &id, "build_info": &id, "default_generation_settings": { "n_ctx": 65536 } })
        } else if line.contains("/health") {
            json!({ "status": "ok" })
        } else {
            json!({ "data": [{ "id": &id }, { "id": "m" }] })
        };
        Reply::with_headers(
            200,
            &format!("content-type: application/json\r\nx-request-id: {id}\r\n"),
            &body.to_string(),
        )
    }

    /// Returns the name of the provider, and its options.
    fn provider(self) -> (&'static str, &'static str) {
        match self {
            OpenAi => ("openai", "/v1"),
            Responses => ("openai", "/v1\"\nroute = \"responses"),
            Compatible => ("lab", "/v1\"\nkind = \"compatible"),
            Anthropic => ("anthropic", "/v1"),
            Gemini => ("gemini", "/v1beta"),
            Ollama => ("ollama", ""),
            LlamaCpp => ("llamacpp", "/v1"),
        }
    }
}

/// Creates a lab with a provider whose server repeats each secret.
fn lab(format: Format, end: End) -> Lab {
    let server = Server::answering(move |received: &Received| {
        let is_call = ["/chat/completions", "/responses", "/messages", ":streamGenerate", "/api/chat"]
            .iter()
            .any(|path| received.line.contains(path));
        if !is_call {
            return Format::about(&received.line);
        }
        assert!(received.headers.iter().any(|line| line.contains(KEY)), "the key was sent");
        let is_row = received.body.to_string().contains("row number");
        let text = if is_row { format!("{{\"word\": \"{}\"}}", echo()) } else { persona() };
        format.reply(&text, end)
    });
    let (name, path) = format.provider();
    let lab = Lab::new().with("LAB_KEY", KEY).with("TEAM", "planted-header-0123");
    lab.file(
        "antiphon.toml",
        format!(
            "[providers.{name}]\nbase_url = \"{}\"\nkey_env = \"LAB_KEY\"\nheaders_env = {{ x-team = \"TEAM\" }}\n\
             headers = {{ x-plain = \"planted-plain-0123\" }}\nquery = {{ trace = \"planted-query-0123\" }}\n",
            server.url(path)
        ),
    );
    lab.file("rows.jsonl", "{\"n\": 1}\n");
    lab.file("r.toml", "prompt = \"row number {{ n }}\"\n[schema]\ntype = \"object\"\nproperties.word.type = \"string\"\nrequired = [\"word\"]\n");
    lab.file("ada.md", "# Ada\n\nI wrote the first program, and I want to close early on Mondays.\n");
    lab
}

/// Fails if bytes have one of the secrets in any form.
#[track_caller]
fn check_bytes(place: &str, bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes).to_lowercase();
    let core = ENCODED.to_lowercase();
    for secret in ["planted", "0123456789", "%70%6c", "\\u0070\\u006c", &core[6..20]] {
        if let Some(at) = text.find(secret) {
            let around: String =
                text[..at].chars().rev().take(200).collect::<Vec<_>>().into_iter().rev().collect();
            assert!(!text.contains(secret), "{place} has {secret} after {around}");
        }
    }
}

/// Checks all files of a folder.
fn check_files(folder: &Path, checked: &mut usize) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            check_files(&path, checked);
        } else if path.file_name().is_some_and(|name| name != "antiphon.toml") {
            *checked += 1;
            check_bytes(&path.display().to_string(), &fs::read(&path).unwrap());
        }
    }
}

#[track_caller]
fn check_output(line: &str, ran: &Ran) {
    check_bytes(line, ran.stdout.as_bytes());
    check_bytes(line, ran.stderr.as_bytes());
}

fn check(format: Format, end: End) {
    let lab = lab(format, end);
    let name = format.provider().0;
    let mut lines = vec![
        format!("generate in --provider {name} --model m --count 1 -vvv"),
        format!("map rows.jsonl -r r.toml --provider {name} --model m --yes -vvv --log json"),
        "runs show latest".to_owned(),
        "runs export latest".to_owned(),
    ];
    if end == End::Stop {
        lines.extend([
            format!("generate in --provider {name} --model m --count 1 --fresh --progress json"),
            format!("content ada.md --provider {name} --model m -vvv"),
            format!("models --provider {name} -vvv"),
            format!("models --provider {name} --json"),
            format!("doctor {name} --model m"),
            format!("doctor {name} --json -vv"),
            "runs show latest --json".to_owned(),
            "runs report latest --results page.html".to_owned(),
        ]);
    }
    for line in &lines {
        let ran = lab.run(line);
        assert_ne!(ran.code, Some(101), "{line}: {ran:?}");
        check_output(&format!("{format:?} {end:?}: {line}"), &ran);
    }
    let mut checked = 0;
    check_files(&lab.path("."), &mut checked);
    assert!(checked > 5, "{checked} files");
}

#[test]
fn openai_repeats_its_secrets() {
    [End::Stop, End::Named, End::Error, End::Status].into_iter().for_each(|end| check(OpenAi, end));
}

#[test]
fn the_responses_api_repeats_its_secrets() {
    [End::Stop, End::Named, End::Error].into_iter().for_each(|end| check(Responses, end));
}

#[test]
fn a_compatible_server_repeats_its_secrets() {
    [End::Stop, End::Named, End::Error, End::Status].into_iter().for_each(|end| check(Compatible, end));
}

#[test]
fn anthropic_repeats_its_secrets() {
    [End::Stop, End::Named, End::Error, End::Status].into_iter().for_each(|end| check(Anthropic, end));
}

#[test]
fn gemini_repeats_its_secrets() {
    [End::Stop, End::Named, End::Error, End::Status].into_iter().for_each(|end| check(Gemini, end));
}

#[test]
fn ollama_repeats_its_secrets() {
    [End::Stop, End::Named, End::Error, End::Status].into_iter().for_each(|end| check(Ollama, end));
}

#[test]
fn llamacpp_repeats_its_secrets() {
    [End::Stop, End::Named, End::Error, End::Status].into_iter().for_each(|end| check(LlamaCpp, end));
}

#[test]
fn an_answer_is_kept_without_the_secret() {
    let lab = lab(Compatible, End::Stop);
    lab.run("map rows.jsonl -r r.toml --provider lab --model m --yes").ends_with(0, &[]);
    let rows = lab.run("runs export latest").stdout;
    assert!(rows.contains("\"word\":\"[key] [key] [key] "), "{rows}");
}

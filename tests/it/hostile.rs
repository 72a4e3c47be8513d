//! Servers that send without end: every answer is bounded by what was requested, in bytes and not in time.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use antiphon_llm::{
    AnswerLimits, Billed, CallContext, Completion, Embedder, Error, ErrorKind, FinishReason, Output, Prompt,
    Provider, ProviderExt, SamplingParams, Schema, TruncationCause,
};
use antiphon_providers::{Compatible, limits};
use antiphon_sim::{Faults, Scenario};
use antiphon_tests::conformance::{FORMATS, Target};
use antiphon_tests::{Reply, Server};
use serde_json::json;

/// What lies in the buffers of sockets: bytes that a server has sent and no one has read.
const BUFFERS: u64 = 24 << 20;

fn prompt(target: &Target) -> Prompt {
    target.prompt().parameters(SamplingParams::default().max_tokens(200))
}

fn target(format: &str, server: &Server) -> Target {
    Target::new(format, &server.url(""), "m")
}

/// Returns a server that gives this answer to each call of a format.
fn server(format: &str, reply: &Reply) -> Server {
    let template = Reply::json(200, &json!({ "prompt": "Hi" }));
    let is_native = format == "llamacpp-native";
    Server::start(is_native.then_some(template).into_iter().chain([reply.clone()]))
}

async fn ask(format: &str, reply: &Reply) -> (Result<Completion, Error>, u64) {
    let server = server(format, reply);
    let target = target(format, &server);
    let answer = target.provider().complete(&prompt(&target), &CallContext::default()).await;
    (answer, server.sent_bytes())
}

/// Returns the head of a stream in a format, and an event with words, reasoning, or arguments of a tool.
fn stream(format: &str, what: &str) -> (Reply, String) {
    let kind = if format.starts_with("ollama") { "application/x-ndjson" } else { "text/event-stream" };
    let head = Reply::raw(&format!("HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\nconnection: close\r\n\r\n"));
    let words = "more and more and ";
    let event = match (format, what) {
        ("chat" | "compatible" | "llamacpp", "text") => {
            json!({ "choices": [{ "delta": { "content": words } }] })
        }
        ("chat" | "compatible" | "llamacpp", "reasoning") => {
            json!({ "choices": [{ "delta": { "reasoning_content": words } }] })
        }
        ("chat" | "compatible" | "llamacpp", _) => {
            let function = json!({ "name": "f", "arguments": words });
            json!({ "choices": [{ "delta": { "tool_calls": [{ "index": 4_294_967_295_u64, "function": function }] } }] })
        }
        ("responses", "text") => json!({ "type": "response.output_text.delta", "delta": words }),
        ("responses", "reasoning") => json!({ "type": "response.reasoning_text.delta", "delta": words }),
        ("responses", _) => json!({ "type": "response.function_call_arguments.delta", "delta": words }),
        ("anthropic", _) => {
            let delta = match what {
                "text" => json!({ "type": "text_delta", "text": words }),
                "reasoning" => json!({ "type": "thinking_delta", "thinking": words }),
                _ => json!({ "type": "input_json_delta", "partial_json": words }),
            };
            json!({ "type": "content_block_delta", "index": 4_294_967_295_u64, "delta": delta })
        }
        ("gemini", _) => {
            let part = match what {
                "text" => json!({ "text": words }),
                "reasoning" => json!({ "text": words, "thought": true }),
                _ => json!({ "functionCall": { "name": "f", "args": { "x": words } } }),
            };
            json!({ "candidates": [{ "content": { "parts": [part] }, "index": 0 }] })
        }
        ("ollama", "text") => json!({ "message": { "content": words }, "done": false }),
        ("ollama", "reasoning") => json!({ "message": { "content": "", "thinking": words }, "done": false }),
        ("ollama", _) => {
            let call = json!({ "function": { "name": "f", "arguments": { "x": words } } });
            json!({ "message": { "content": "", "tool_calls": [call] }, "done": false })
        }
        ("ollama-generate", "reasoning") => json!({ "response": "", "thinking": words, "done": false }),
        ("ollama-generate", _) => json!({ "response": words, "done": false }),
        _ => json!({ "content": words, "stop": false }),
    };
    match kind {
        "text/event-stream" => (head, format!("data: {event}\n\n")),
        _ => (head, format!("{event}\n")),
    }
}

#[tokio::test]
async fn an_endless_answer_of_the_simulator_is_cut_in_any_format() {
    let scenario = Scenario::default().faults(Faults::default().endless(1.0));
    let server = antiphon_sim::Server::start(scenario, 0).await.unwrap();
    for format in FORMATS.into_iter().filter(|format| *format != "llamacpp-native") {
        server.reset();
        let target = Target::new(format, &server.url(), "m");
        let answer = target.provider().complete(&prompt(&target), &CallContext::default()).await.unwrap();
        assert_eq!((answer.finish, answer.text.len()), (FinishReason::Length, 64 << 10), "{format}");
        let detail = answer.finish_detail.unwrap_or_default();
        assert_eq!(
            detail, "the server ignored max_tokens (200): its text has more than 65536 bytes",
            "{format}"
        );
        assert_eq!(answer.usage.output, None, "{format}: what was counted in the middle is no bill");
    }
}

#[tokio::test]
async fn endless_words_reasoning_and_arguments_are_bounded_in_any_format() {
    for format in FORMATS {
        for what in ["text", "reasoning", "arguments"] {
            let (head, event) = stream(format, what);
            let (answer, sent) = ask(format, &head.then(Duration::ZERO, &event).and_endlessly(&event)).await;
            let limits = AnswerLimits::of(&prompt(&Target::new(format, "", "m")));
            let (answer, is_answer) = match answer {
                Ok(answer) => (answer, true),
                Err(err) => {
                    assert!(matches!(err.kind(), ErrorKind::Truncated { .. }), "{format}, {what}: {err}");
                    (err.partial().unwrap().clone(), false)
                }
            };
            let detail = answer.finish_detail.as_deref().unwrap_or_default();
            assert!(
                detail.starts_with("the server ignored max_tokens (200): its "),
                "{format}, {what}: {detail}"
            );
            assert!(is_answer || what == "arguments", "{format}, {what}");
            assert!(answer.text.len() <= limits.text, "{format}, {what}: {}", answer.text.len());
            let reasoning = answer.reasoning.unwrap_or_default();
            assert!(reasoning.len() <= limits.reasoning, "{format}, {what}: {}", reasoning.len());
            let output = if what == "text" { limits.text } else { limits.reasoning };
            let factor = (event.len() / 10) as u64;
            let most = if what == "arguments" { limits.hidden as u64 * 10 } else { output as u64 * factor };
            assert!(sent <= most + BUFFERS, "{format}, {what}: {sent} bytes were read");
        }
    }
}

#[tokio::test]
async fn an_endless_answer_that_is_not_streamed_keeps_what_arrived_in_any_format() {
    for format in FORMATS {
        let begin = match format {
            "chat" | "compatible" | "llamacpp" => "{\"choices\":[{\"message\":{\"content\":\"",
            "responses" => {
                "{\"object\":\"response\",\"status\":\"completed\",\"output\":[{\"type\":\"message\",\"content\":[{\"type\":\"output_text\",\"text\":\""
            }
            "anthropic" => "{\"type\":\"message\",\"content\":[{\"type\":\"text\",\"text\":\"",
            "gemini" => "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"",
            "ollama" => "{\"message\":{\"content\":\"",
            "ollama-generate" => "{\"response\":\"",
            _ => "{\"content\":\"",
        };
        let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n";
        let reply = Reply::raw(head).then(Duration::ZERO, begin).and_endlessly("more \\u00e9 and ");
        let (answer, sent) = ask(format, &reply).await;
        let answer = answer.unwrap_or_else(|err| unreachable!("{format}: {err}"));
        assert_eq!(answer.finish, FinishReason::Length, "{format}");
        assert!(answer.text.starts_with("more é and ") && answer.text.len() > 65_000, "{format}");
        assert!(answer.text.len() <= 64 << 10, "{format}: {}", answer.text.len());
        let detail = answer.finish_detail.unwrap_or_default();
        assert!(detail.contains("ignored max_tokens (200)"), "{format}: {detail}");
        assert!(sent <= AnswerLimits::MAX_PIECE + BUFFERS, "{format}: {sent}");
    }
}

#[tokio::test]
async fn streams_without_output_end_in_any_format() {
    let nothings = [": ping\n\n", "data:\n\n", "\r\n\r\n", "event: ping\ndata: {}\n\n", "id: 1\n"];
    for (at, format) in FORMATS.into_iter().enumerate() {
        let (head, event) = stream(format, "text");
        let other = if format.starts_with("ollama") { ": ping\n" } else { nothings[at % nothings.len()] };
        for nothing in ["\n", other] {
            let reply = head.clone().then(Duration::ZERO, &event).and_endlessly(nothing);
            let (answer, sent) = ask(format, &reply).await;
            let answer = answer.unwrap_or_else(|err| unreachable!("{format}, {nothing:?}: {err}"));
            assert_eq!(answer.text, "more and more and ", "{format}, {nothing:?}");
            assert_eq!(answer.finish, FinishReason::Length, "{format}, {nothing:?}");
            let detail = answer.finish_detail.unwrap_or_default();
            assert!(detail.ends_with(" bytes with 18 bytes of an answer"), "{format}, {nothing:?}: {detail}");
            let (without_text, more) = ask(format, &head.clone().and_endlessly(nothing)).await;
            assert_eq!(without_text.unwrap_err().kind(), ErrorKind::InvalidResponse, "{format}, {nothing:?}");
            let sent = sent.max(more);
            assert!(sent <= AnswerLimits::MAX_SILENT + BUFFERS, "{format}, {nothing:?}: {sent}");
        }
    }
}

#[tokio::test]
async fn an_event_and_a_line_without_end_cut_the_answer_in_any_format() {
    let begins = ["data: x\ndata: ", "event: ", ": "];
    for (at, format) in FORMATS.into_iter().enumerate() {
        let (head, event) = stream(format, "text");
        let both = match format {
            "ollama" | "ollama-generate" => ["{\"x\":\"", ": "],
            _ => ["data: {\"x\":\"", begins[at % begins.len()]],
        };
        for begin in both {
            let endless = if begin.starts_with("data: x") { "data: x\n" } else { "endless " };
            let reply = head.clone().then(Duration::ZERO, &format!("{event}{begin}")).and_endlessly(endless);
            let (answer, sent) = ask(format, &reply).await;
            let answer = answer.unwrap_or_else(|err| unreachable!("{format}, {begin:?}: {err}"));
            assert_eq!(answer.text, "more and more and ", "{format}, {begin:?}");
            assert_eq!(answer.finish, FinishReason::Length, "{format}, {begin:?}");
            let reply = head.clone().then(Duration::ZERO, begin).and_endlessly(endless);
            let (without_text, more) = ask(format, &reply).await;
            assert_eq!(without_text.unwrap_err().kind(), ErrorKind::InvalidResponse, "{format}, {begin:?}");
            let sent = sent.max(more);
            assert!(sent <= AnswerLimits::MAX_PIECE + BUFFERS, "{format}, {begin:?}: {sent}");
        }
    }
}

#[tokio::test]
async fn json_that_is_cut_is_truncated_and_its_bill_is_an_upper_bound() {
    let schema = json!({ "type": "object", "required": ["n"], "properties": { "n": { "type": "integer" } } });
    let (head, _) = stream("chat", "text");
    let text = |text: &str| format!("data: {}\n\n", json!({ "choices": [{ "delta": { "content": text } }] }));
    let reply = head.then(Duration::ZERO, &text("{\"n\": ")).and_endlessly(&text("1111"));
    let server = server("chat", &reply);
    let target = target("chat", &server);
    let prompt = prompt(&target).output(Output::Json(Schema::new("n", schema).unwrap()));
    let err = target.provider().complete(&prompt, &CallContext::default()).await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::Truncated { cause: TruncationCause::MaxTokens });
    assert!(err.to_string().contains("the server ignored max_tokens (200)"), "{err}");
    assert!(matches!(err.billed(), Billed::Yes(usage) if usage.output.is_none()), "{:?}", err.billed());
    assert!(err.partial().unwrap().text.starts_with("{\"n\": 1111"));
}

#[tokio::test]
async fn endless_errors_lists_and_embeddings_are_bounded() {
    let endless = |status: u16, begin: &str, more: &str| {
        let head =
            format!("HTTP/1.1 {status} X\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n");
        Reply::raw(&head).then(Duration::ZERO, begin).and_endlessly(more)
    };
    for format in FORMATS {
        let (answer, sent) = ask(format, &endless(400, "{\"error\":{\"message\":\"no ", "and no ")).await;
        let err = answer.unwrap_err();
        assert!(err.status() == Some(400) && err.to_string().len() < 1_000, "{format}: {err}");
        assert!(sent <= limits::MAX_ERROR as u64 + BUFFERS, "{format}: {sent}");
        let server = Server::start([endless(200, "{\"data\":[", "{\"id\":\"m\"},")]);
        let provider = target(format, &server).provider();
        let err = provider.models(&CallContext::default()).await.unwrap_err();
        assert_eq!(err.kind(), ErrorKind::InvalidResponse, "{format}: {err}");
        assert!(provider.health(&CallContext::default()).await.is_err());
        assert!(server.sent_bytes() <= 2 * limits::MAX_LIST as u64 + 2 * BUFFERS, "{format}");
    }
}

#[tokio::test]
async fn a_list_of_models_has_a_limited_number_of_pages() {
    for format in ["gemini", "anthropic"] {
        let pages = AtomicU64::new(0);
        let server = Server::answering(move |_| {
            let next = pages.fetch_add(1, Ordering::Relaxed).to_string();
            let page = json!({
                "models": [{ "name": "models/m" }], "nextPageToken": next,
                "data": [{ "id": next }], "has_more": true, "last_id": next,
            });
            Reply::json(200, &page)
        });
        let listed = target(format, &server).provider().models(&CallContext::default()).await;
        assert_eq!(server.requests().len(), limits::MAX_PAGES, "{format}");
        let err = listed.unwrap_err();
        assert!(err.to_string().contains("more than 100 pages"), "{format}: {err}");
    }
}

#[tokio::test]
async fn embeddings_are_bounded_in_bytes_dimensions_and_numbers() {
    let embed = async |reply: Reply| {
        let server = Server::start([reply]);
        let provider = Compatible::new(&server.url("/v1")).unwrap();
        let texts = ["a".to_owned(), "b".to_owned()];
        let found = provider.embed("m", &texts, &CallContext::default()).await;
        (found.map(|found| found.vectors), server.sent_bytes())
    };
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n";
    let endless = Reply::raw(head).then(Duration::ZERO, "{\"data\":[{\"embedding\":[").and_endlessly("0.25,");
    let (found, sent) = embed(endless).await;
    assert_eq!(found.unwrap_err().kind(), ErrorKind::InvalidResponse);
    assert!(sent <= limits::embeddings(2) as u64 + BUFFERS, "{sent}");
    let reply = |vectors: &str| {
        let entries: Vec<String> =
            vectors.split(' ').map(|vector| format!("{{\"embedding\":{vector}}}")).collect();
        Reply::new(200, "application/json", &format!("{{\"data\":[{}]}}", entries.join(",")))
    };
    assert_eq!(embed(reply("[1] [2]")).await.0.unwrap(), [[1.0], [2.0]]);
    let long = format!("[{}1]", "0,".repeat(limits::MAX_DIMENSIONS));
    for wrong in ["[1]", "[1] [2] [3]", "[1] [2,3]", "[1] [1e308]", "[1] [\"2\"]", &format!("{long} {long}")]
    {
        let err = embed(reply(wrong)).await.0.unwrap_err();
        let message = err.to_string();
        assert_eq!(err.kind(), ErrorKind::InvalidResponse, "{message}");
        assert!(message.contains("the answer has no embeddings") && message.len() < 500, "{message}");
    }
}

#[tokio::test]
async fn half_a_million_alternatives_and_parts_are_one_answer() {
    let many = "{},".repeat(500_000);
    let events = [
        (
            "chat",
            format!(
                "{{\"choices\":[{{\"index\":0,\"message\":{{\"content\":\"hello\"}},\"finish_reason\":\"stop\"}},{many}null]}}"
            ),
        ),
        (
            "gemini",
            format!(
                "{{\"candidates\":[{{\"content\":{{\"parts\":[{{\"text\":\"hello\"}},{many}null]}},\"finishReason\":\"STOP\"}},{many}null]}}"
            ),
        ),
        (
            "ollama",
            format!(
                "{{\"message\":{{\"content\":[{{\"type\":\"text\",\"text\":\"hello\"}},{many}\"\"]}},\"done\":true,\"done_reason\":\"stop\"}}"
            ),
        ),
    ];
    for (format, body) in events {
        let (answer, _) = ask(format, &Reply::new(200, "application/json", &body)).await;
        assert_eq!(answer.unwrap_or_else(|err| unreachable!("{format}: {err}")).text, "hello", "{format}");
    }
}

#[tokio::test]
async fn messages_so_far_are_no_flood_and_no_hidden_output() {
    // Each event has the whole message, so that the bytes grow with the square of the text.
    let said = |length: usize, end: &str| {
        let words = "more and ".repeat(length);
        let message = json!({ "content": words, "reasoning": words });
        format!("{{\"choices\":[{{\"message\":{message}{end}}}]}}")
    };
    let mut events: Vec<String> = (1..1_500).map(|length| said(length, "")).collect();
    events.push(said(1_500, ",\"finish_reason\":\"stop\""));
    let received: usize = events.iter().map(String::len).sum();
    assert!(received > 16 << 20, "{received}");
    let (answer, _) = ask("chat", &Reply::events(events.iter().map(String::as_str))).await;
    let answer = answer.unwrap();
    assert_eq!((answer.finish, answer.text.len()), (FinishReason::Stop, 1_500 * 9));
}

#[tokio::test]
async fn deep_json_and_impossible_counts_are_named_or_ignored() {
    let deep = format!("{{\"choices\":{}", "[".repeat(100_000));
    let (answer, _) = ask("chat", &Reply::events([deep.as_str()])).await;
    let err = answer.unwrap_err();
    assert!(err.kind() == ErrorKind::InvalidResponse && err.to_string().len() < 500, "{err}");
    for count in ["1e308", "18446744073709551615", "-1", "\"9\"", "[[1]]"] {
        let words = "{\"choices\":[{\"delta\":{\"content\":\"hello\"},\"finish_reason\":\"stop\"}]}";
        let usage = format!(
            "{{\"choices\":[],\"usage\":{{\"prompt_tokens\":{count},\"completion_tokens\":{count}}}}}"
        );
        let (answer, _) = ask("chat", &Reply::events([words, &usage, "[DONE]"])).await;
        let usage = answer.unwrap_or_else(|err| unreachable!("{count}: {err}")).usage;
        assert_eq!((usage.input, usage.output), (None, None), "{count}");
    }
}

//! Servers that say whether to retry, refuse fields, or answer with what is no answer; in all formats.

use std::time::Duration;

use antiphon_llm::{
    Billed, CallContext, Completion, Error, ErrorKind, Message, Prompt, ProviderExt, RetryPolicy, Retrying,
    SamplingParams,
};
use antiphon_providers::{Compatible, SecretString};
use antiphon_tests::conformance::{FORMATS, Target};
use antiphon_tests::{Reply, Server};
use serde_json::{Value, json};

const PAGE: &str =
    "<!DOCTYPE html><html><head><title>Sign in to Example</title></head><body>Hi</body></html>";

/// Returns a server that gives this answer to each call of a format.
fn server(format: &str, reply: &Reply) -> Server {
    let template = Reply::json(200, &json!({ "prompt": "Hi" }));
    let is_native = format == "llamacpp-native";
    Server::start(is_native.then_some(template).into_iter().chain([reply.clone()]))
}

async fn ask(format: &str, reply: &Reply) -> Result<Completion, Error> {
    let server = server(format, reply);
    let mut target = Target::new(format, &server.url(""), "m");
    target.patience = Duration::from_secs(2);
    target.provider().complete(&target.prompt(), &CallContext::default()).await
}

#[tokio::test]
async fn a_page_is_named_and_is_no_broken_connection_in_any_format() {
    for format in FORMATS {
        for kind in ["text/html; charset=utf-8", "text/event-stream", "application/x-ndjson", ""] {
            let headers = if kind.is_empty() { String::new() } else { format!("content-type: {kind}\r\n") };
            let reply = Reply::with_headers(200, &format!("{headers}x-request-id: req-9\r\n"), PAGE);
            let err = ask(format, &reply).await.unwrap_err();
            let message = err.to_string();
            assert_eq!(err.kind(), ErrorKind::InvalidResponse, "{format}, {kind}: {message}");
            let expected = "the server at 127.0.0.1";
            assert!(message.contains(expected), "{format}, {kind}: {message}");
            let expected = "answered 200 with an HTML page titled \"Sign in to Example\"";
            assert!(message.contains(expected) && message.contains("is the base URL right?"), "{message}");
            let facts = (err.status(), err.request_id(), err.partial().is_some(), err.billed());
            assert_eq!(facts, (Some(200), Some("req-9"), true, Billed::Maybe), "{format}, {kind}");
        }
    }
}

#[tokio::test]
async fn an_empty_answer_is_no_broken_connection_in_any_format() {
    for format in FORMATS {
        for (status, kind) in [(200, "application/json"), (200, "text/event-stream"), (204, "text/plain")] {
            let err = ask(format, &Reply::new(status, kind, "")).await.unwrap_err();
            let message = err.to_string();
            assert_eq!(
                (err.kind(), err.status()),
                (ErrorKind::InvalidResponse, Some(status)),
                "{format}: {message}"
            );
            assert!(
                message.contains("an empty body; is the base URL right?"),
                "{format}, {status}: {message}"
            );
        }
    }
}

#[tokio::test]
async fn pages_and_texts_with_a_status_are_judged_by_it() {
    for format in FORMATS {
        for (status, kind) in [
            (502, ErrorKind::Unavailable),
            (404, ErrorKind::Unsupported),
            (403, ErrorKind::Unsupported),
            (401, ErrorKind::Auth),
        ] {
            let err = ask(format, &Reply::new(status, "text/html", PAGE)).await.unwrap_err();
            assert_eq!(err.kind(), kind, "{format}: {err}");
            assert!(
                err.to_string().contains("an HTML page titled \"Sign in to Example\""),
                "{format}: {err}"
            );
        }
    }
}

#[tokio::test]
async fn errors_of_other_formats_keep_kind_status_code_and_id() {
    let bodies = [
        (
            529,
            json!({ "type": "error", "error": { "type": "overloaded_error", "message": "Overloaded" }, "request_id": "req_7" }),
        ),
        (
            429,
            json!({ "error": { "message": "pay", "type": "insufficient_quota", "code": "insufficient_quota" } }),
        ),
        (
            400,
            json!([{ "error": { "code": 400, "status": "INVALID_ARGUMENT", "message": "The input token count (9) exceeds the maximum number of tokens allowed (8)." } }]),
        ),
        (404, json!({ "detail": "The model `m` does not exist" })),
        (401, json!({ "title": "Unauthorized", "status": 401, "detail": "no", "type": "about:blank" })),
    ];
    for format in FORMATS {
        let mut found = Vec::new();
        for (status, body) in &bodies {
            let err = ask(format, &Reply::json(*status, body)).await.unwrap_err();
            assert_eq!(err.status(), Some(*status), "{format}: {err}");
            found.push((err.kind(), err.code().map(str::to_owned), err.request_id().map(str::to_owned)));
        }
        let some = |text: &str| Some(text.to_owned());
        let expected = [
            (ErrorKind::Overloaded { retry_after: None }, some("overloaded_error"), some("req_7")),
            (ErrorKind::Quota, some("insufficient_quota"), None),
            (ErrorKind::ContextTooLong, some("INVALID_ARGUMENT"), None),
            (ErrorKind::ModelNotFound, None, None),
            (ErrorKind::Auth, None, None),
        ];
        assert_eq!(found, expected, "{format}");
    }
}

#[tokio::test]
async fn errors_of_other_formats_are_read_inside_streams() {
    let stream = |event: &str, data: &str| {
        let name = if event.is_empty() { String::new() } else { format!("event: {event}\n") };
        Reply::new(200, "text/event-stream", &format!("{name}data: {data}\n\n"))
    };
    let limited = ErrorKind::RateLimited { retry_after: None };
    for format in FORMATS.into_iter().filter(|format| !format.starts_with("ollama") && *format != "gemini") {
        for (event, data, kind) in [
            ("", r#"{"error":{"message":"slow","code":429}}"#, limited),
            ("", r#"[{"error":{"code":429,"status":"RESOURCE_EXHAUSTED","message":"slow"}}]"#, limited),
            (
                "error",
                r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#,
                ErrorKind::Overloaded { retry_after: None },
            ),
            ("error", r#"{"message":"slow","code":"rate_limit_exceeded"}"#, limited),
            ("error", "Internal Server Error", ErrorKind::Unavailable),
        ] {
            let err = ask(format, &stream(event, data)).await.unwrap_err();
            assert_eq!(err.kind(), kind, "{format}, {data}: {err}");
        }
    }
    for format in ["ollama", "gemini"] {
        let line = format!("{}\n", r#"{"error":{"message":"slow","code":429}}"#);
        let err = ask(format, &Reply::new(200, "application/x-ndjson", &line)).await.unwrap_err();
        assert_eq!(err.kind(), limited, "{format}: {err}");
    }
}

#[tokio::test]
async fn one_json_value_under_the_type_of_a_stream_is_read() {
    let body = json!({ "error": { "message": "slow down", "code": 429 } }).to_string();
    let answer =
        json!({ "choices": [{ "message": { "content": "42" }, "finish_reason": "stop" }] }).to_string();
    for kind in ["text/event-stream", "application/json"] {
        let err = ask("compatible", &Reply::new(200, kind, &body)).await.unwrap_err();
        assert_eq!(
            (err.kind(), err.status()),
            (ErrorKind::RateLimited { retry_after: None }, Some(429)),
            "{err}"
        );
        assert_eq!(ask("compatible", &Reply::new(200, kind, &answer)).await.unwrap().text, "42", "{kind}");
    }
}

#[tokio::test]
async fn an_error_in_a_whole_body_keeps_the_answer_beside_it() {
    let body = json!({
        "choices": [{ "message": { "content": "half an" } }], "error": { "message": "gone", "code": "server_error" },
    });
    let reply = Reply::with_headers(
        200,
        "content-type: application/json\r\nx-request-id: req-3\r\n",
        &body.to_string(),
    );
    let err = ask("compatible", &reply).await.unwrap_err();
    assert_eq!(
        (err.kind(), err.request_id(), err.code()),
        (ErrorKind::Unavailable, Some("req-3"), Some("server_error"))
    );
    assert_eq!(err.partial().map(|partial| partial.text.as_str()), Some("half an"));
}

fn quick() -> RetryPolicy {
    RetryPolicy::default().base(Duration::ZERO, Duration::ZERO)
}

#[tokio::test]
async fn a_server_that_says_whether_to_retry_is_obeyed_in_any_format() {
    for format in FORMATS.into_iter().filter(|format| *format != "llamacpp-native") {
        for (status, says, calls) in
            [(400, "true", 4), (401, "TRUE", 4), (503, "false", 1), (429, "false", 1), (400, "maybe", 1)]
        {
            let headers = format!("x-should-retry: {says}\r\n");
            let server =
                Server::start([Reply::with_headers(status, &headers, "{\"error\":{\"message\":\"no\"}}")]);
            let target = Target::new(format, &server.url(""), "m");
            let provider = Retrying::new(target.provider(), quick());
            provider.complete(&target.prompt(), &CallContext::default()).await.unwrap_err();
            assert_eq!(server.requests().len(), calls, "{format}, {status}, {says}");
        }
    }
}

#[tokio::test]
async fn the_statuses_of_the_table_are_retried() {
    for (status, calls) in [
        (408, 4),
        (409, 4),
        (425, 4),
        (429, 4),
        (500, 4),
        (502, 4),
        (504, 4),
        (520, 4),
        (529, 4),
        (501, 1),
        (505, 1),
        (400, 1),
        (404, 1),
        (422, 1),
    ] {
        let server = Server::start([Reply::new(status, "text/plain", "no")]);
        let provider = Compatible::new(&server.url("/v1")).unwrap();
        let err =
            Retrying::new(provider, quick()).complete(&prompt(), &CallContext::default()).await.unwrap_err();
        assert_eq!((server.requests().len(), err.status()), (calls, Some(status)), "{status}");
    }
}

fn prompt() -> Prompt {
    Prompt::new("m", [Message::user("Hello?")])
}

/// Answers calls with the refusals in turn, then with an answer; returns the bodies of two calls, one after the other.
async fn sent(refusals: &[Value]) -> Vec<Value> {
    let replies = refusals.iter().map(|body| Reply::json(400, body));
    let server = Server::start(replies.chain([Reply::chat("ok", "stop")]));
    let provider = Compatible::new(&server.url("/v1")).unwrap();
    let prompt = prompt().parameters(SamplingParams::default().max_tokens(9));
    for _ in 0..2 {
        let done = provider.complete(&prompt, &CallContext::default()).await.unwrap();
        assert_eq!((done.text.as_str(), done.attempts), ("ok", 1));
    }
    server.requests().into_iter().map(|request| request.body).collect()
}

#[tokio::test]
async fn a_refused_field_that_does_not_matter_is_left_out_and_remembered() {
    let unknown = json!({ "error": { "message": "Unrecognized request argument supplied: stream_options" } });
    let strict = json!({ "detail": [{ "type": "extra_forbidden", "loc": ["body", "stream_options"], "msg": "Extra inputs are not permitted" }] });
    let by_param = json!({ "error": { "message": "Unknown parameter.", "param": "stream_options", "code": "unknown_parameter" } });
    for refusal in [unknown.clone(), strict, by_param] {
        let bodies = sent(std::slice::from_ref(&refusal)).await;
        let has: Vec<_> = bodies.iter().map(|body| body.get("stream_options").is_some()).collect();
        assert_eq!(has, [true, false, false], "{refusal}");
    }
    let renamed = json!({ "error": { "message": "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.", "param": "max_tokens", "code": "unsupported_parameter" } });
    let bodies = sent(&[unknown, renamed]).await;
    let limits: Vec<_> = bodies
        .iter()
        .map(|body| (body["max_tokens"].as_u64(), body["max_completion_tokens"].as_u64()))
        .collect();
    assert_eq!(limits, [(Some(9), None), (Some(9), None), (None, Some(9)), (None, Some(9))]);
}

#[tokio::test]
async fn a_refused_field_that_changes_the_answer_is_an_error_that_names_it() {
    let refusal = json!({ "detail": [{ "type": "extra_forbidden", "loc": ["body", "seed"], "msg": "Extra inputs are not permitted" }] });
    let server = Server::start([Reply::json(422, &refusal)]);
    let provider = Compatible::new(&server.url("/v1")).unwrap();
    let prompt = prompt().parameters(SamplingParams::default().seed(7));
    let err = provider.complete(&prompt, &CallContext::default()).await.unwrap_err();
    assert_eq!((err.kind(), server.requests().len()), (ErrorKind::InvalidRequest, 1));
    assert!(err.to_string().contains("seed"), "{err}");
}

#[tokio::test]
async fn texts_of_a_server_in_an_error_have_no_key() {
    let key = "my-private-key-123";
    let body =
        json!({ "error": { "message": format!("no {key}"), "code": key, "type": key }, "request_id": key });
    let page = format!("<html><title>{key}</title></html>");
    for reply in [
        Reply::json(401, &body),
        Reply::json(200, &body),
        Reply::events([body.to_string().as_str()]),
        Reply::new(200, "text/html", &page),
        Reply::new(502, "text/html", &page),
        Reply::with_headers(500, &format!("x-request-id: {key}\r\n"), "no"),
        Reply::with_headers(200, &format!("x-request-id: {key}\r\n"), "no"),
    ] {
        let server = Server::start([reply]);
        let provider = Compatible::new(&server.url("/v1")).unwrap().key(SecretString::from(key));
        let err = provider.complete(&prompt(), &CallContext::default()).await.unwrap_err();
        let shown = format!("{err} {err:?} {:?} {:?}", err.code(), err.request_id());
        assert!(!shown.contains(key), "{shown}");
    }
}

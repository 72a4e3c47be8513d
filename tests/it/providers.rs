use std::time::Duration;

use antiphon_llm::{
    Billed, CallContext, Completion, Error, ErrorKind, FinishReason, Message, Output, Prompt, Provider,
    ProviderExt, RetryPolicy, Retrying, Schema, TimeoutPhase, TruncationCause, Usage,
};
use antiphon_providers::local::{EngineAddress, discover};
use antiphon_providers::{Compatible, OpenAi, SecretString};
use antiphon_tests::{Reply, Server, refusing_url};
use serde_json::json;

fn prompt() -> Prompt {
    Prompt::new("m", [Message::user("Hello?")])
}

fn json_prompt() -> Prompt {
    let schema = json!({ "type": "object", "required": ["n"], "properties": { "n": { "type": "integer" } } });
    prompt().output(Output::Json(Schema::new("number", schema).unwrap()))
}

fn compatible(server: &Server) -> Compatible {
    Compatible::new(&server.url("/v1")).unwrap().token_timeout(Duration::from_millis(400))
}

async fn complete(reply: Reply, prompt: &Prompt) -> Result<Completion, Error> {
    let server = Server::start([reply]);
    compatible(&server).complete(prompt, &CallContext::default()).await
}

#[tokio::test]
async fn a_complete_stream_is_a_completion() {
    let done = complete(Reply::chat("Good morning to you and to everyone", "stop"), &prompt()).await.unwrap();
    assert_eq!(done.text, "Good morning to you and to everyone");
    assert_eq!((done.finish, done.usage), (FinishReason::Stop, Usage::new(Some(1000), Some(200))));
    assert_eq!(done.head.request_id.as_deref(), Some("req-1"));
    assert_eq!(done.head.model.as_deref(), Some("served-1"));
    assert!(done.timing.first_token.is_some());
}

#[tokio::test]
async fn a_complete_answer_with_an_abrupt_end_of_the_connection_is_accepted() {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: 9999\r\n\r\n";
    let end = "data: {\"choices\":[{\"delta\":{\"content\":\"42\"},\"finish_reason\":\"stop\"}]}\n\n";
    let rude = Reply::raw(head).then(Duration::ZERO, end);
    for reply in [rude.clone(), rude.and_stall()] {
        assert_eq!(complete(reply, &prompt()).await.unwrap().text, "42");
    }
}

/// Returns the kind of a failed answer, and its partial text.
#[track_caller]
fn failed(result: Result<Completion, Error>) -> (ErrorKind, String) {
    let err = result.unwrap_err();
    (err.kind(), err.partial().map(|partial| partial.text.clone()).unwrap_or_default())
}

#[tokio::test]
async fn a_scalar_is_wrapped_for_a_vendor_that_demands_an_object() {
    let server = Server::start([Reply::chat("{\"value\": 12345678901234567890123}", "stop")]);
    let provider = OpenAi::new(SecretString::from("key")).base_url(&server.url("/v1")).unwrap();
    let schema = Schema::new("number", json!({ "type": "integer" })).unwrap();
    let found = provider.complete_json(&prompt(), &schema, &CallContext::default()).await.unwrap();
    assert_eq!(found.value.to_string(), "12345678901234567890123");
    let sent = server.requests()[0].body["response_format"]["json_schema"].clone();
    assert_eq!(sent["strict"], true);
    assert_eq!(sent["schema"]["properties"], json!({ "value": { "type": "integer" } }));
}

const WORDS: &str = r#"{"choices":[{"delta":{"content":"half an"}}]}"#;

#[tokio::test]
async fn an_incomplete_answer_is_truncated_with_its_text() {
    let cut = (ErrorKind::Truncated { cause: TruncationCause::Disconnected }, "half an".to_owned());
    assert_eq!(failed(complete(Reply::events([WORDS]), &prompt()).await), cut);
    // The stream ends like a complete one, but without a finish reason.
    assert_eq!(failed(complete(Reply::events([WORDS, "[DONE]"]), &prompt()).await), cut);
    let empty_reason = r#"{"choices":[{"delta":{"content":"half an"},"finish_reason":""}]}"#;
    assert_eq!(failed(complete(Reply::events([empty_reason]), &prompt()).await), cut);
    let broken =
        Reply::raw("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: 9999\r\n\r\n")
            .then(Duration::ZERO, &format!("data: {WORDS}\n\n"));
    assert_eq!(failed(complete(broken, &prompt()).await), cut);
}

#[tokio::test]
async fn a_body_that_trickles_ends_at_the_call_timeout() {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 9999\r\n\r\n{";
    let drip = (0..200).fold(Reply::raw(head), |reply, _| reply.then(Duration::from_millis(50), " "));
    let server = Server::start([drip]);
    let provider = compatible(&server).call_timeout(Duration::from_millis(600));
    let err = provider.complete(&prompt(), &CallContext::default()).await.unwrap_err();
    assert_eq!((err.kind(), err.billed()), (ErrorKind::Timeout { phase: TimeoutPhase::Call }, Billed::Maybe));
}

#[tokio::test]
async fn json_that_reached_the_token_limit_is_truncated_and_text_is_not() {
    let (kind, text) = failed(complete(Reply::chat("{\"n\":", "length"), &json_prompt()).await);
    assert_eq!(
        (kind, text.as_str()),
        (ErrorKind::Truncated { cause: TruncationCause::MaxTokens }, "{\"n\":")
    );
    let text = complete(Reply::chat("to be contin", "length"), &prompt()).await.unwrap();
    assert_eq!(text.finish, FinishReason::Length);
}

#[tokio::test]
async fn errors_inside_a_stream_keep_their_kind_and_the_text() {
    let limit = r#"{"error":{"message":"slow down","code":"rate_limit_exceeded"}}"#;
    let (kind, text) = failed(complete(Reply::events([WORDS, limit]), &prompt()).await);
    assert_eq!((kind, text.as_str()), (ErrorKind::RateLimited { retry_after: None }, "half an"));
    let numbered = r#"{"error":{"message":"too long","code":400,"type":"exceed_context_size_error"}}"#;
    assert_eq!(failed(complete(Reply::events([numbered]), &prompt()).await).0, ErrorKind::ContextTooLong);
    let refusal = r#"{"choices":[{"delta":{"refusal":"I cannot help"},"finish_reason":"stop"}]}"#;
    assert_eq!(
        failed(complete(Reply::events([refusal, "[DONE]"]), &prompt()).await).0,
        ErrorKind::ModelRefusal
    );
    let filtered = r#"{"choices":[{"delta":{"content":"x"},"finish_reason":"content_filter"}]}"#;
    assert_eq!(failed(complete(Reply::events([filtered, "[DONE]"]), &prompt()).await).0, ErrorKind::Filtered);
    assert_eq!(failed(complete(Reply::events(["not json"]), &prompt()).await).0, ErrorKind::InvalidResponse);
}

#[tokio::test]
async fn a_silent_server_times_out_and_a_reasoning_one_does_not() {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";
    let silent = Reply::raw(head).and_stall();
    assert_eq!(
        failed(complete(silent, &prompt()).await).0,
        ErrorKind::Timeout { phase: TimeoutPhase::FirstToken }
    );
    let stops = Reply::raw(head).then(Duration::ZERO, &format!("data: {WORDS}\n\n")).and_stall();
    assert_eq!(
        failed(complete(stops, &prompt()).await).0,
        ErrorKind::Timeout { phase: TimeoutPhase::NextToken }
    );
    let thought = "data: {\"choices\":[{\"delta\":{\"reasoning_content\":\"hm\"}}]}\n\n";
    let end = "data: {\"choices\":[{\"delta\":{\"content\":\"42\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
    let thinks = (0..3).fold(Reply::raw(head), |reply, _| reply.then(Duration::from_millis(250), thought));
    let thinks = thinks.then(Duration::from_millis(250), end);
    assert_eq!(complete(thinks, &prompt()).await.unwrap().text, "42");
}

#[tokio::test]
async fn a_response_that_is_not_a_completion_is_described() {
    let html = Reply::new(200, "text/html", "<html><h1>Welcome to nginx</h1></html>");
    let err = complete(html, &prompt()).await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::InvalidResponse);
    assert!(err.to_string().contains("text/html") && err.to_string().contains("base URL"), "{err}");
    let unexpected =
        Reply::json(200, &json!({ "error": "Unexpected endpoint or method. (POST /chat/completions)" }));
    assert_eq!(complete(unexpected, &prompt()).await.unwrap_err().kind(), ErrorKind::Unsupported);
    let whole = Reply::json(
        200,
        &json!({ "choices": [{ "message": { "content": "all at once" }, "finish_reason": "stop" }] }),
    );
    assert_eq!(complete(whole, &prompt()).await.unwrap().text, "all at once");
}

#[tokio::test]
async fn a_server_that_refuses_schemas_gets_the_next_structured_mode() {
    let no = |what: &str| {
        Reply::json(400, &json!({ "error": format!("'response_format.type' must not be '{what}'") }))
    };
    let server = Server::start([no("json_schema"), no("json_object"), Reply::chat("{\"n\": 1}", "stop")]);
    let provider = compatible(&server);
    let done = provider.complete(&json_prompt(), &CallContext::default()).await.unwrap();
    assert_eq!(done.text, "{\"n\": 1}");
    provider.complete(&json_prompt(), &CallContext::default()).await.unwrap();
    let forms: Vec<_> =
        server.requests().iter().map(|asked| asked.body["response_format"]["type"].clone()).collect();
    assert_eq!(forms, [json!("json_schema"), json!("json_object"), json!(null), json!(null)]);
    assert!(server.requests()[3].body["messages"][0]["content"].as_str().unwrap().contains("JSON schema"));
}

#[tokio::test]
async fn a_throttled_call_is_retried_after_the_servers_wait() {
    let busy = Reply::with_headers(429, "retry-after: 0.3\r\n", "{\"error\":{\"message\":\"slow down\"}}");
    let server = Server::start([busy, Reply::chat("ok", "stop")]);
    let provider = Retrying::new(compatible(&server), RetryPolicy::default());
    let done = provider.complete(&prompt(), &CallContext::default()).await.unwrap();
    assert_eq!((done.attempts, server.requests().len()), (2, 2));
}

#[tokio::test]
async fn permanent_errors_are_not_retried_and_transient_ones_as_the_policy_allows() {
    let quick = RetryPolicy::default().base(Duration::ZERO, Duration::ZERO);
    for (status, body, kind, calls) in [
        (401, "{\"error\":{\"message\":\"bad key\"}}", ErrorKind::Auth, 1),
        (429, "{\"error\":{\"message\":\"pay\",\"type\":\"insufficient_quota\"}}", ErrorKind::Quota, 1),
        (404, "{\"error\":{\"message\":\"no model m\"}}", ErrorKind::ModelNotFound, 1),
        (500, "oops", ErrorKind::Unavailable, 4),
        (503, "", ErrorKind::Overloaded { retry_after: None }, 4),
    ] {
        let server = Server::start([Reply::new(status, "application/json", body)]);
        let err = Retrying::new(compatible(&server), quick.clone())
            .complete(&prompt(), &CallContext::default())
            .await
            .unwrap_err();
        assert_eq!(
            (err.kind(), err.attempts(), server.requests().len()),
            (kind, calls, calls as usize),
            "{status}"
        );
    }
    let err = Compatible::new(&refusing_url("/v1"))
        .unwrap()
        .complete(&prompt(), &CallContext::default())
        .await
        .unwrap_err();
    assert_eq!((err.kind(), err.billed()), (ErrorKind::Connect, Billed::No));
}

#[tokio::test]
async fn openai_gets_its_key_in_a_header_and_its_own_parameter_names() {
    let server = Server::start([Reply::chat("ok", "stop")]);
    let provider = OpenAi::new(SecretString::from("sk-planted")).base_url(&server.url("/v1")).unwrap();
    let parameters = antiphon_llm::SamplingParams::default().max_tokens(7);
    provider.complete(&prompt().parameters(parameters), &CallContext::default()).await.unwrap();
    let asked = server.requests().remove(0);
    assert_eq!(asked.line, "POST /v1/chat/completions");
    assert!(
        asked.headers.iter().any(|line| line == "authorization: Bearer sk-planted"),
        "{:?}",
        asked.headers
    );
    assert_eq!((&asked.body["max_completion_tokens"], &asked.body["temperature"]), (&json!(7), &json!(null)));
    assert!(!format!("{provider:?}").contains("sk-planted"));
}

#[tokio::test]
async fn models_report_their_context() {
    let models = json!({ "data": [{ "id": "a", "max_model_len": 4096 }, { "id": "b", "meta": { "n_ctx": 512 } }, { "id": "c" }] });
    let server = Server::start([Reply::json(200, &models)]);
    let provider = compatible(&server);
    let windows: Vec<_> = provider
        .models(&CallContext::default())
        .await
        .unwrap()
        .into_iter()
        .map(|model| model.context_window)
        .collect();
    assert_eq!(windows, [Some(4096), Some(512), None]);
    let known = provider.capabilities("b", &CallContext::default()).await;
    assert_eq!((known.context_window, server.requests().len()), (Some(512), 1));
}

#[tokio::test]
async fn only_engines_that_identify_themselves_are_discovered() {
    let llamacpp =
        Server::start([Reply::json(200, &json!({ "total_slots": 1, "default_generation_settings": {} }))]);
    let stranger = Server::start([Reply::new(200, "text/html", "<h1>It works</h1>")]);
    let ollama = Server::start([Reply::json(200, &json!({ "version": "0.9" }))]);
    let asked = [
        EngineAddress::new("llamacpp", stranger.url("")),
        EngineAddress::new("llamacpp", llamacpp.url("")),
        EngineAddress::new("lmstudio", refusing_url("")),
        EngineAddress::new("ollama", ollama.url("")),
        EngineAddress::new("lmstudio", Server::start([Reply::raw("").and_stall()]).url("")),
    ];
    let found = discover(asked.to_vec()).await;
    assert_eq!(found, [asked[1].clone(), asked[3].clone()]);
}

//! Snapshots of the requests that are sent, and answers in the shape of the vendors' documentation.

use std::time::Duration;

use antiphon_llm::{
    CallContext, Completion, DocumentPart, Error, ErrorKind, FinishReason, Message, Output, Part, Prompt,
    ProviderExt, Role, SamplingParams, Schema, Usage,
};
use antiphon_tests::conformance::{FORMATS, Target};
use antiphon_tests::{Reply, Server};
use serde_json::json;

/// Returns a prompt that uses every feature of prompts; not every format has a seed.
fn rich_prompt(format: &str) -> Prompt {
    let parameters = SamplingParams::default().temperature(0.5).max_tokens(99);
    let has_seed = !matches!(format, "responses" | "anthropic");
    let parameters = if has_seed { parameters.seed(7) } else { parameters };
    let schema = json!({
        "type": "object",
        "properties": {
            "name": { "type": "string", "minLength": 1, "maxLength": 40, "description": "as people call it" },
            "age": { "type": ["integer", "null"], "minimum": 0 },
            "site": { "type": "string", "format": "uri" },
            "tags": { "type": "array", "items": { "$ref": "#/$defs/tag" }, "minItems": 2, "uniqueItems": true },
        },
        "required": ["name", "age", "site", "tags"],
        "$defs": { "tag": { "type": "string", "pattern": "^[a-z]+$" } },
    });
    let document = Part::Document(DocumentPart::new("d1", "notes.txt", "The fox is quick."));
    let question = Message::of(Role::User, [Part::Text("Who is quick?".to_owned()), document]);
    Prompt::new("the-model", [question, Message::assistant("The fox."), Message::user("As JSON, please.")])
        .system("Be brief.")
        .parameters(parameters)
        .output(Output::Json(Schema::new("animal", schema).unwrap()))
}

#[tokio::test]
async fn requests_are_written_as_each_vendor_reads_them() {
    for format in FORMATS {
        let template = Reply::json(200, &json!({ "prompt": "<templated>" }));
        let broken = Reply::json(500, &json!({ "error": { "message": "enough", "type": "server_error" } }));
        let script = if format == "llamacpp-native" { vec![template, broken] } else { vec![broken] };
        let server = Server::start(script);
        let target = Target::new(format, &server.url(""), "the-model");
        target.provider().complete(&rich_prompt(format), &CallContext::default()).await.unwrap_err();
        let sent: Vec<_> = server
            .requests()
            .into_iter()
            .map(|request| {
                let of_ours = |line: &&String| {
                    ["authorization:", "x-api-key:", "x-goog-api-key:", "anthropic-version:"]
                        .iter()
                        .any(|name| line.starts_with(name))
                };
                let headers: Vec<_> = request.headers.iter().filter(of_ours).cloned().collect();
                json!({ "line": request.line, "headers": headers, "body": request.body })
            })
            .collect();
        let text = serde_json::to_string_pretty(&sent).unwrap();
        insta::assert_snapshot!(format!("request-{format}"), text);
    }
}

/// Makes a call to a server that answers with a fixture.
async fn fixture(format: &str, name: &str) -> Result<Completion, Error> {
    let path = format!("{}/fixtures/{name}", env!("CARGO_MANIFEST_DIR"));
    let body = std::fs::read_to_string(path).unwrap();
    let kind = match name.rsplit_once('.').unwrap().1 {
        "sse" => "text/event-stream",
        "ndjson" => "application/x-ndjson",
        _ => "application/json",
    };
    let answer = Reply::new(200, kind, &body);
    let template = Reply::json(200, &json!({ "prompt": "Hi" }));
    let script = if format == "llamacpp-native" { vec![template, answer] } else { vec![answer] };
    let server = Server::start(script);
    let mut target = Target::new(format, &server.url(""), "llama3.2");
    target.patience = Duration::from_secs(2);
    target.provider().complete(&target.prompt(), &CallContext::default()).await
}

#[tokio::test]
async fn answers_of_the_documentation_are_decoded_alike() {
    for (format, name, id, reasoning) in [
        ("chat", "openai-chat.sse", Some("chatcmpl-1"), Some(20)),
        ("responses", "openai-responses.sse", Some("resp_1"), Some(20)),
        ("anthropic", "anthropic.sse", Some("msg_1"), Some(20)),
        ("gemini", "gemini.sse", Some("AdVR"), Some(20)),
        ("ollama", "ollama.ndjson", None, None),
        ("llamacpp-native", "llamacpp-native.sse", None, None),
    ] {
        let done = fixture(format, name).await.expect(name);
        assert_eq!((done.text.as_str(), &done.finish), ("Good day", &FinishReason::Stop), "{name}");
        assert_eq!((done.usage.input, done.usage.output), (Some(19), Some(30)), "{name}");
        assert_eq!(done.usage.reasoning, reasoning, "{name}");
        let cached = if format == "ollama" { None } else { Some(8) };
        assert_eq!(done.usage.cached, cached, "{name}");
        let written = matches!(format, "chat" | "responses" | "anthropic").then_some(5);
        assert_eq!(done.usage.cache_write, written, "{name}");
        assert_eq!(done.head.response_id.as_deref(), id, "{name}");
        assert_eq!(
            done.head.other_model,
            !matches!(format, "ollama" | "llamacpp-native"),
            "{name}: {:?}",
            done.head
        );
    }
}

#[tokio::test]
async fn errors_of_the_documentation_keep_their_kind_and_the_text() {
    let check = async |format: &str, name: &str, kind: ErrorKind, text: &str| {
        let err = fixture(format, name).await.expect_err(name);
        let partial = err.partial().map(|partial| partial.text.clone()).unwrap_or_default();
        assert_eq!((err.kind(), partial.as_str()), (kind, text), "{name}: {err}");
    };
    let overloaded = ErrorKind::Overloaded { retry_after: None };
    check("responses", "openai-responses-failed.sse", ErrorKind::Quota, "").await;
    check("anthropic", "anthropic-overloaded.sse", overloaded, "Good ").await;
    check("gemini", "gemini-overloaded.sse", overloaded, "Good ").await;
    check("gemini", "gemini-blocked.json", ErrorKind::Filtered, "").await;
    let cut = ErrorKind::Truncated { cause: antiphon_llm::TruncationCause::Disconnected };
    check("ollama", "ollama-error.ndjson", cut, "Good ").await;
}

#[tokio::test]
async fn token_counts_that_are_not_reported_are_unknown_and_not_zero() {
    let bare = r#"{"choices":[{"delta":{"content":"42"},"finish_reason":"stop"}]}"#;
    let server = Server::start([Reply::events([bare, "[DONE]"])]);
    let target = Target::new("chat", &server.url(""), "m");
    let done = target.provider().complete(&target.prompt(), &CallContext::default()).await.unwrap();
    assert_eq!((done.usage, done.head.model), (Usage::default(), None));
}

//! Telemetry against a small collector that accepts everything.

use std::time::Duration;

use antiphon_tests::{Reply, Server};

use crate::program::{Lab, SAID, answer};

const KEY: &str = "sk-planted-for-the-collector";

/// Runs the program against a model and a collector; returns the spans and the metrics that the collector received.
fn collected(content: bool) -> (String, String) {
    let model = Server::start([Reply::chat(&answer(), "stop")]);
    let collector = Server::start([Reply::new(200, "application/x-protobuf", "")]);
    let mut lab = Lab::new()
        .with("OPENAI_API_KEY", KEY)
        .with("OPENAI_BASE_URL", &model.url("/v1"))
        .with("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url(""))
        .with("OTEL_SERVICE_NAME", "the-lab");
    if content {
        lab = lab.with("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "true");
    }
    lab.run("generate in --provider openai --model gpt-6-luna --count 1").ends_with(0, &[]);
    let taken = |path: &str| -> String {
        let requests =
            collector.requests().into_iter().filter(|request| request.line == format!("POST {path}"));
        requests.map(|request| String::from_utf8_lossy(&request.bytes).into_owned()).collect()
    };
    (taken("/v1/traces"), taken("/v1/metrics"))
}

#[test]
fn a_call_is_one_span_with_its_tokens_and_two_metrics() {
    let (spans, metrics) = collected(false);
    for expected in [
        "chat gpt-6-luna",
        "gen_ai.provider.name",
        "openai",
        "gen_ai.usage.input_tokens",
        "gen_ai.response.model",
        "served-1",
        "server.address",
        "the-lab",
    ] {
        assert!(spans.contains(expected), "{expected} is missing: {spans}");
    }
    for expected in [
        "gen_ai.client.operation.duration",
        "gen_ai.client.token.usage",
        "gen_ai.token.type",
        "{token}",
        "antiphon.gather.future.ended",
        "Futures of gather calls that have ended, by outcome.",
        "{future}",
    ] {
        assert!(metrics.contains(expected), "{expected} is missing: {metrics}");
    }
    assert!(!spans.contains(SAID) && !metrics.contains(SAID), "content is captured only on request");
    assert!(!spans.contains("planted") && !metrics.contains("planted"));
}

#[test]
fn content_is_sent_only_on_request() {
    let (spans, _) = collected(true);
    assert!(spans.contains("gen_ai.input.messages") && spans.contains(SAID), "{spans}");
    assert!(!spans.contains("planted"));
}

#[test]
fn spans_of_files_are_exported_with_the_log_of_their_level() {
    for (more, expected) in [("-v", false), ("-vv", true)] {
        let collector = Server::start([Reply::new(200, "application/x-protobuf", "")]);
        let lab = Lab::new().with("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url(""));
        lab.run(&format!("generate in --offline --count 1 {more}")).ends_with(0, &[]);
        let has_files = |bytes: &[u8]| String::from_utf8_lossy(bytes).contains("file.path");
        let found = collector.requests().iter().any(|request| has_files(&request.bytes));
        assert_eq!(found, expected, "{more}");
    }
}

#[test]
fn nothing_is_exported_unless_a_collector_is_named() {
    let collector = Server::start([Reply::new(200, "application/x-protobuf", "")]);
    let lab = Lab::new().with("OTEL_SERVICE_NAME", "the-lab");
    let silent = lab.run("generate in --offline --count 1");
    silent.ends_with(0, &[]);
    assert!(!silent.stderr.contains("collector") && !silent.stderr.contains("WARN"), "{}", silent.stderr);
    let lab = lab.with("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url("")).with("OTEL_SDK_DISABLED", "true");
    lab.run("generate in --offline --count 1 --fresh").ends_with(0, &[]);
    assert!(collector.requests().is_empty());
}

#[test]
fn an_unreachable_collector_is_reported_and_ends_nothing() {
    let model =
        Server::start([Reply::json(200, &serde_json::json!({ "data": [] })), Reply::chat(&answer(), "stop")]);
    let lab = Lab::new().with("OTEL_EXPORTER_OTLP_ENDPOINT", &antiphon_tests::refusing_url(""));
    lab.ask(&model.url("/v1"), "").ends_with(0, &["cannot be sent to a collector"]);
}

#[test]
fn exports_do_not_cause_exports() {
    // Its head first, and the rest so much later that the program exports in between.
    let model = Server::start([Reply::raw(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n",
    )
    .then(Duration::from_secs(1), "{\"data\":[]}")]);
    let collector = Server::start([Reply::new(200, "application/x-protobuf", "")]);
    let lab = Lab::new()
        .with("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url(""))
        .with("OTEL_BSP_SCHEDULE_DELAY", "50");
    lab.run(&format!("models --provider vllm --base-url {}", model.url("/v1"))).ends_with(0, &[]);
    let exports =
        collector.requests().into_iter().filter(|request| request.line == "POST /v1/traces").count();
    assert!((1..=2).contains(&exports), "{exports} exports of one request");
}

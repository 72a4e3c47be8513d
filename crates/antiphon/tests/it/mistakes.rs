use std::time::Duration;

use antiphon_tests::{Reply, Server, refusing_url};
use serde_json::json;

use crate::program::{Lab, answer};

fn check(line: &str, code: i32, expected: &[&str]) {
    let ran = Lab::new().run(line);
    ran.ends_with(code, expected);
    assert!(!ran.stdout.contains("personas from"), "{}", ran.stdout);
}

#[test]
fn invalid_command_lines() {
    check("generate in --offline --count 0", 2, &["use 1 to 50, such as 3"]);
    check("generate in --ofline", 2, &["--offline"]);
    check("generate", 2, &["<PATH>"]);
    check("generate in --provider opanai", 2, &["did you mean openai?"]);
    check("generate in --provider compatible", 2, &["--base-url http://localhost:8080/v1"]);
    check("generate in --base-url http://h/v1", 2, &["--provider compatible"]);
    check(
        "generate in --provider compatible --base-url nonsense --model m",
        2,
        &["cannot use the base URL: it cannot be read", "http://HOST:PORT/v1"],
    );
    check(
        "generate in --provider compatible --base-url http://u:p@h/v1 --model m",
        2,
        &["key belongs in the environment"],
    );
    check("generate in --offline --provider openai", 2, &["cannot be used with"]);
}

#[test]
fn paths_without_documents() {
    check("generate missing --offline", 2, &["missing: no such file or folder"]);
    let lab = Lab::new();
    std::fs::create_dir(lab.path("empty")).unwrap();
    lab.run("generate empty --offline").ends_with(2, &["no document in empty: the folder is empty"]);
    lab.file("binary/a.txt", [0, 159, 146, 150]);
    lab.file("binary/b.docx", "no archive");
    let expected = [
        "no document could be read in binary: 2 failed",
        "a.txt: binary data, not text",
        "b.docx: not a DOCX file",
    ];
    lab.run("generate binary --offline").ends_with(5, &expected);
}

#[test]
fn keys_and_configuration() {
    check("generate in --provider openai", 3, &["OPENAI_API_KEY is not set", "--offline"]);
    let lab = Lab::new();
    lab.file("antiphon.toml", "[defaults]\nmodle = \"x\"\n");
    lab.run("generate in --offline")
        .ends_with(3, &["antiphon.toml:2: unknown key modle; did you mean model?"]);
    Lab::new()
        .with("ANTIPHON_WORKERS", "many")
        .run("generate in --offline")
        .ends_with(3, &["ANTIPHON_WORKERS"]);
    let lab = Lab::new();
    lab.file("antiphon.toml", "[prices.compatible.\"m\"]\ninput = 0.2\n");
    lab.run("generate in --offline")
        .ends_with(3, &["antiphon.toml:1: prices.compatible.m needs both input and output"]);
}

fn against(reply: Reply, code: i32, expected: &[&str]) {
    let server = Server::start([Reply::json(200, &json!({ "data": [] })), reply]);
    let lab = Lab::new().with("ANTIPHON_RETRY_MAX", "0").with("ANTIPHON_TIMEOUT", "0.5");
    let ran = lab.ask(&server.url("/v1"), "");
    ran.ends_with(code, expected);
    assert_eq!(ran.stdout, "", "a failed run has no result");
}

#[test]
fn failures_of_servers() {
    against(
        Reply::json(401, &json!({ "error": { "message": "Incorrect API key" } })),
        3,
        &["401: Incorrect API key", "check the key"],
    );
    against(Reply::new(200, "text/html", "<html>Welcome</html>"), 5, &["text/html", "base URL"]);
    against(
        Reply::chat("{\"personas\": [{", "length"),
        5,
        &["cut at the token limit", "--max-tokens", "files of the run"],
    );
    against(Reply::chat("{\"personas\": []}", "stop"), 5, &["does not fit: /personas"]);
    against(Reply::events([r#"{"choices":[{"delta":{"content":"{"}}]}"#]), 5, &["middle of the answer"]);
    against(Reply::raw("").and_stall(), 5, &["no answer in time", "ANTIPHON_TIMEOUT"]);
    against(
        Reply::json(429, &json!({ "error": { "message": "pay first", "type": "insufficient_quota" } })),
        3,
        &["pay first", "billing"],
    );
}

#[test]
fn an_exhausted_quota_is_reported_when_models_are_listed() {
    let server = Server::start([Reply::json(
        429,
        &json!({ "error": { "message": "pay first", "type": "insufficient_quota" } }),
    )]);
    let line = format!("generate in --provider compatible --base-url {}", server.url("/v1"));
    Lab::new().run(&line).ends_with(3, &["no model was named", "pay first", "billing"]);
}

#[test]
fn refused_connections() {
    let lab = Lab::new().with("ANTIPHON_RETRY_MAX", "1");
    lab.ask(&refusing_url("/v1"), "")
        .ends_with(5, &["refused", "after 2 attempts", "check that the server is running"]);
    let url = refusing_url("/v1");
    lab.run(&format!("generate in --provider compatible --base-url {url}"))
        .ends_with(5, &["no model was named", "refused"]);
}

#[test]
fn a_cut_answer_is_kept_as_a_file() {
    let server =
        Server::start([Reply::json(200, &json!({ "data": [] })), Reply::chat("{\"personas\": [{", "length")]);
    let lab = Lab::new();
    lab.ask(&server.url("/v1"), "").ends_with(5, &[]);
    assert_eq!(std::fs::read_to_string(lab.only_run().join("partial.txt")).unwrap(), "{\"personas\": [{");
}

#[test]
fn results_that_cannot_be_written_cost_nothing() {
    let server = Server::start([Reply::json(200, &json!({ "data": [] })), Reply::chat(&answer(), "stop")]);
    let lab = Lab::new();
    lab.file("antiphon-out", "a file in the way");
    lab.ask(&server.url("/v1"), "").ends_with(3, &["antiphon-out"]);
    assert_eq!(server.requests().len(), 0);
}

#[test]
fn workers_and_connections_are_read_from_the_environment() {
    let most_concurrent = |workers: &str, connections: &str| {
        let models = Reply::json(200, &json!({ "data": [] }));
        let slow = Reply::raw("").then(Duration::from_secs(1), "");
        let server = Server::start([models, slow.followed_by(Reply::chat(&answer(), "stop"))]);
        let lab = Lab::new().with("ANTIPHON_WORKERS", workers).with("ANTIPHON_POOL_SIZE", connections);
        let url = server.url("/v1");
        let line = "--provider compatible --model m --count 1 --base-url";
        lab.run(&format!("generate --each in/p1.txt in/p2.md {line} {url}"));
        assert_eq!(server.requests().len(), 3);
        server.max_in_flight()
    };
    assert_eq!(most_concurrent("2", "9"), 2);
    assert_eq!(most_concurrent("1", "9"), 1);
    assert_eq!(most_concurrent("2", "1"), 1);
    Lab::new()
        .with("ANTIPHON_POOL_SIZE", "lots")
        .run("generate in --offline")
        .ends_with(3, &["invalid ANTIPHON_POOL_SIZE \"lots\": it must be a whole number from 1"]);
}

#[test]
fn retries_and_time_outs_are_read_from_the_environment() {
    let busy = || {
        Server::start([
            Reply::json(200, &json!({ "data": [] })),
            Reply::with_headers(503, "retry-after: 0\r\n", ""),
        ])
    };
    for (retries, calls) in [("0", 2), ("2", 4)] {
        let server = busy();
        Lab::new().with("ANTIPHON_RETRY_MAX", retries).ask(&server.url("/v1"), "").ends_with(5, &["503"]);
        assert_eq!(server.requests().len(), calls);
    }
    let slow = Reply::raw("").then(Duration::from_secs(2), "");
    let server = Server::start([Reply::json(200, &json!({ "data": [] })), slow]);
    let lab = Lab::new().with("ANTIPHON_TIMEOUT", "0.2").with("ANTIPHON_RETRY_MAX", "0");
    lab.ask(&server.url("/v1"), "").ends_with(5, &["no answer in time"]);
    let stalls = Reply::events([r#"{"choices":[{"delta":{"content":"{"}}]}"#]).and_stall();
    let server = Server::start([Reply::json(200, &json!({ "data": [] })), stalls]);
    lab.ask(&server.url("/v1"), "").ends_with(5, &[]);
    assert_eq!(server.requests().len(), 2, "an answer that stalls is asked for once, too");
}

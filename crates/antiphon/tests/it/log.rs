//! Logs as JSON.

use antiphon_tests::{Reply, Server};
use serde_json::Value;

use crate::program::{Lab, Ran, answer};

const KEY: &str = "sk-planted-for-the-log";

/// Returns the log lines on stderr, which are JSON documents, beside messages as text.
fn lines(ran: &Ran) -> Vec<Value> {
    let lines = ran.stderr.lines().filter(|line| line.starts_with('{'));
    lines.map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Generates one persona from a server that fails once, which is a warning.
fn generate(more: &str) -> (Lab, Ran) {
    let server = Server::start([Reply::new(503, "text/plain", KEY), Reply::chat(&answer(), "stop")]);
    let lab = Lab::new().with("OPENAI_API_KEY", KEY).with("OPENAI_BASE_URL", &server.url("/v1"));
    let ran = lab.run(&format!("generate in --provider openai --model m --count 1 {more}"));
    (lab, ran)
}

#[test]
fn a_json_log_has_one_document_per_line_with_the_run() {
    let (lab, ran) = generate("--log json");
    ran.ends_with(0, &[]);
    let lines = lines(&ran);
    let [line] = lines.as_slice() else { panic!("one warning: {}", ran.stderr) };
    let keys: Vec<&str> = line.as_object().unwrap().keys().map(String::as_str).collect();
    let expected = ["schema", "timestamp", "level", "target", "message", "run_id", "fields", "spans"];
    assert_eq!(keys, expected);
    assert_eq!((&line["schema"], &line["level"]), (&"antiphon.log/1".into(), &"WARN".into()));
    let timestamp = line["timestamp"].as_str().unwrap();
    assert!(timestamp.ends_with('Z') && timestamp.parse::<jiff::Timestamp>().is_ok(), "{timestamp}");
    assert!(line["target"].as_str().unwrap().starts_with("antiphon"), "{line}");
    assert!(line["message"].as_str().unwrap().contains("503"), "{line}");
    let folder = lab.only_run();
    assert_eq!(line["run_id"], folder.file_name().unwrap().to_str().unwrap());
}

#[test]
fn a_json_log_of_everything_has_neither_keys_nor_control_characters() {
    let (_lab, ran) = generate("--log json -vvv");
    ran.ends_with(0, &[]);
    assert!(!ran.stderr.contains("planted"), "{}", ran.stderr);
    assert!(!ran.stderr.contains('\u{1b}'), "{}", ran.stderr);
    let lines = lines(&ran);
    assert!(lines.iter().any(|line| line["level"] == "TRACE"), "{}", ran.stderr);
    let in_call = |line: &Value| {
        line["spans"].as_array().is_some_and(|spans| spans.iter().any(|span| span["name"] == "chat"))
    };
    assert!(lines.iter().any(in_call), "{}", ran.stderr);
}

#[test]
fn a_line_without_a_run_says_so() {
    let server = Server::start([Reply::json(200, &serde_json::json!({ "data": [] }))]);
    let lab = Lab::new();
    let ran = lab.run(&format!("models --provider vllm --base-url {} --log json -vvv", server.url("/v1")));
    ran.ends_with(0, &[]);
    let lines = lines(&ran);
    assert!(!lines.is_empty() && lines.iter().all(|line| line["run_id"] == Value::Null), "{}", ran.stderr);
}

#[test]
fn a_log_is_text_unless_json_is_chosen() {
    let (_lab, ran) = generate("");
    ran.ends_with(0, &["WARN"]);
    assert!(lines(&ran).is_empty(), "{}", ran.stderr);
    Lab::new().run("models --log yaml").ends_with(2, &["--log <FORMAT>", "[possible values: text, json]"]);
}

use antiphon_tests::{Reply, Server};
use serde_json::json;

use crate::program::{Lab, answer};

const KEY: &str = "sk-planted-0123456789";

/// Runs with everything logged, and looks for the key in all that was printed and written.
fn check(reply: Reply, code: i32) {
    let server = Server::start([reply]);
    let lab = Lab::new()
        .with("OPENAI_API_KEY", KEY)
        .with("OPENAI_BASE_URL", &server.url("/v1"))
        .with("ANTIPHON_RETRY_MAX", "0");
    let ran = lab.run("generate in --provider openai --count 1 -vvv --json");
    ran.ends_with(code, &["TRACE"]);
    let asked = server.requests().remove(0);
    assert!(asked.headers.iter().any(|line| line.contains(KEY)), "the key was sent at all");
    assert!(!asked.line.contains(KEY) && !asked.body.to_string().contains(KEY));
    let mut seen = ran.stdout + &ran.stderr;
    for name in ["run.json", "personas.json", "personas.html", "partial.txt"] {
        seen += &std::fs::read_to_string(lab.only_run().join(name)).unwrap_or_default();
    }
    assert!(!seen.contains(KEY) && !seen.contains("planted"), "{seen}");
}

#[test]
fn a_key_shows_nowhere() {
    check(Reply::chat(&answer(), "stop"), 0);
    check(
        Reply::json(401, &json!({ "error": { "message": format!("Incorrect API key provided: {KEY}.") } })),
        3,
    );
    check(Reply::new(500, "text/html", &format!("<p>{KEY}</p>")), 5);
    check(Reply::events([&*format!("{{\"choices\":\"Bearer {KEY}\"}}")]), 5);
    check(Reply::events([&*format!("{{\"error\":{{\"message\":\"{KEY}\"}}}}")]), 5);
}

#[test]
fn a_key_in_the_environment_is_no_consent_to_send_anything() {
    let lab = Lab::new().with("OPENAI_API_KEY", KEY);
    let ran = lab.run("generate in --count 1");
    ran.ends_with(
        0,
        &["hint: OPENAI_API_KEY is set; --provider openai would send 2 documents", "api.openai.com"],
    );
    assert!(ran.stderr.contains("provider: offline"), "{}", ran.stderr);
}

#[test]
fn a_key_is_in_no_journal() {
    let rejects = |text: &str| Reply::json(401, &json!({ "error": { "message": text } }));
    for (reply, code) in [(Reply::chat("words", "stop"), 0), (rejects(&format!("wrong key {KEY}")), 3)] {
        let server = Server::start([reply]);
        let lab = Lab::new().with("OPENAI_API_KEY", KEY).with("OPENAI_BASE_URL", &server.url("/v1"));
        lab.file("rows.jsonl", "{\"n\": 1}\n");
        lab.file("r.toml", "prompt = \"{{ n }}\"");
        let ran = lab.run("map rows.jsonl -r r.toml --provider openai --model m -vvv --json");
        ran.ends_with(code, &["TRACE"]);
        assert!(!(ran.stdout + &ran.stderr).contains("planted"));
        for name in ["antiphon.db", "antiphon.db-wal"] {
            let bytes = std::fs::read(lab.path("antiphon-out").join(name)).unwrap_or_default();
            assert!(!bytes.windows(KEY.len()).any(|part| part == KEY.as_bytes()), "{name}");
        }
        let database = std::fs::metadata(lab.path("antiphon-out/antiphon.db")).unwrap();
        assert!(database.len() > 0, "there is a journal at all");
    }
}

#[test]
fn errors_of_the_configuration_repeat_no_value() {
    const VALUE: &str = "planted-word";
    let lines =
        ["doctor", "config show", "models --provider lab", "generate in --provider lab --model m --count 1"];
    let check = |lab: &Lab, of: &str| {
        for line in lines {
            let ran = lab.run(line);
            let shown = ran.stdout + &ran.stderr;
            assert!(!shown.contains("planted"), "{of}: {line}: {shown}");
        }
    };
    for option in [
        "headers = V",
        "headers = { x-a = [V] }",
        "headers = { authorization = V }",
        "headers_env = { x-a = V }",
        "base_url = \"http://ada:planted-word@h/v1\"",
        "base_url = \"http://ada:planted-word\"",
        "base_url = \"http://h/v1?key=planted-word\"",
        "base_url = V",
        "base_url = [V]",
        "model = { a = V }",
        "timeout = V",
        "key_env = V",
        "api_key = V",
        "auth = V",
        "route = V",
        "schema = V",
        "query = { token = V }",
        "query = { a = 1, b = V }",
        "extra_body = { a = V, b = 1979-05-27 }",
        "reasoning_effort = V",
        "x = \"planted-word",
    ] {
        let lab = Lab::new();
        let address =
            if option.starts_with("base_url") { "" } else { "base_url = \"http://127.0.0.1:1/v1\"\n" };
        let option = option.replace('V', &format!("{VALUE:?}"));
        lab.file("antiphon.toml", format!("[providers.lab]\nkind = \"compatible\"\n{address}{option}\n"));
        check(&lab, &option);
    }
    for variable in [
        "ANTIPHON_TIMEOUT",
        "ANTIPHON_WORKERS",
        "ANTIPHON_RETRY_MAX",
        "ANTIPHON_POOL_SIZE",
        #[cfg(feature = "otel")]
        "OTEL_EXPORTER_OTLP_ENDPOINT",
    ] {
        check(&Lab::new().with(variable, VALUE), variable);
    }
    for variable in ["OPENAI_BASE_URL", "OLLAMA_HOST", "HTTPS_PROXY"] {
        check(&Lab::new().with(variable, "http://ada:planted-word@127.0.0.1:1"), variable);
    }
}

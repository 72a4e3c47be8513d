//! `antiphon doctor`, `models`, `local` and `simulate`.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};

use antiphon_tests::{Reply, Server, refusing_url};
use serde_json::{Value, json};

use crate::program::Lab;

/// The program's own simulator, which ends with the test.
struct Simulated {
    child: Child,
    root: String,
}

impl Simulated {
    fn start(lab: &Lab) -> Self {
        let mut child =
            lab.command("simulate --port 0").stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut url = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut url).unwrap();
        Self { child, root: url.trim().trim_end_matches("/v1").to_owned() }
    }
}

impl Drop for Simulated {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

fn finding<'r>(report: &'r Value, name: &str) -> &'r Value {
    report["providers"].as_array().unwrap().iter().find(|entry| entry["name"] == name).unwrap()
}

#[test]
fn the_doctor_reports_what_answers_what_is_missing_and_what_is_wrong() {
    let sim = Simulated::start(&Lab::new());
    let lab = Lab::new()
        .with("OPENAI_API_KEY", "sk-planted-for-the-doctor")
        .with("OPENAI_BASE_URL", &format!("{}/v1", sim.root))
        .with("OLLAMA_HOST", &sim.root);
    let ran = lab.run("doctor --json");
    ran.ends_with(0, &["checking"]);
    let report: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(report["schema"], "antiphon.doctor/1");
    let openai = finding(&report, "openai");
    assert_eq!((&openai["status"], &openai["models"]), (&json!("ok"), &json!(1)));
    assert_eq!(openai["http_version"], "HTTP/1.1");
    assert_eq!(finding(&report, "ollama")["version"], "0.0.0-sim");
    let anthropic = finding(&report, "anthropic");
    assert_eq!(
        (&anthropic["status"], &anthropic["advice"]),
        (&json!("absent"), &json!("export ANTHROPIC_API_KEY=…"))
    );
    assert!(!(ran.stdout + &ran.stderr).contains("planted"));
}

#[test]
fn the_doctor_ends_with_the_urgency_of_what_it_found() {
    let refuses = Server::start([Reply::json(401, &json!({ "error": { "message": "Incorrect API key" } }))]);
    let keyed = |url: &str| Lab::new().with("OPENAI_API_KEY", "sk-wrong").with("OPENAI_BASE_URL", url);
    keyed(&refuses.url("/v1")).run("doctor").ends_with(3, &[]);
    keyed(&refusing_url("/v1")).run("doctor").ends_with(4, &[]);
    let lab = Lab::new();
    lab.file("antiphon.toml", "[providers.lab]\nbase_url = \"http://127.0.0.1:1/v1\"\n");
    let ran = lab.run("doctor");
    ran.ends_with(3, &["antiphon.toml:1: the provider lab needs a kind, such as kind = \"compatible\""]);
}

#[test]
fn models_are_listed_with_what_is_known_of_them() {
    let listed = json!({ "data": [{ "id": "gpt-6-luna" }, { "id": "text-embedding-3-small" }] });
    let server = Server::start([Reply::json(200, &listed)]);
    let lab = Lab::new().with("OPENAI_API_KEY", "sk-x");
    lab.file("antiphon.toml", "[providers.mine]\nkind = \"openai\"\nkey_env = \"OPENAI_API_KEY\"\n[prices.mine.gpt-6-luna]\ninput = 0.2\noutput = 1.0\ncontext = 1000\n");
    let ran = lab.run(&format!("models --provider mine --base-url {}", server.url("/v1")));
    ran.ends_with(0, &[]);
    for expected in ["gpt-6-luna", "1000 tokens", "$0.2 in, $1 out", "and 1 that generate no text"] {
        assert!(ran.stdout.contains(expected), "{expected}: {}", ran.stdout);
    }
    let refuses = Server::start([Reply::json(401, &json!({ "error": { "message": "Incorrect API key" } }))]);
    lab.run(&format!("models --provider openai --base-url {}", refuses.url("/v1")))
        .ends_with(3, &["Incorrect API key", "check the key"]);
}

#[test]
fn an_unknown_model_is_reported_with_similar_ones() {
    let listed = json!({ "data": [{ "id": "llama3.2:3b" }, { "id": "qwen3:8b" }] });
    let unknown =
        json!({ "error": { "message": "The model `llama3.2` does not exist", "code": "model_not_found" } });
    let models = || Reply::json(200, &listed);
    let server = Server::start([models(), Reply::json(404, &unknown)]);
    let lab = Lab::new();
    let url = server.url("/v1");
    lab.run(&format!("generate in --provider compatible --base-url {url} --model llama3.2 --count 1"))
        .ends_with(5, &["does not exist", "similar models: llama3.2:3b"]);
}

#[test]
fn local_engines_are_found_and_fetch_models() {
    let sim = Simulated::start(&Lab::new());
    let lab = Lab::new().with("OLLAMA_HOST", &sim.root);
    let ran = lab.run("local status");
    assert!(ran.stdout.contains(&format!("ollama at {}", sim.root)), "{}", ran.stdout);
    assert!(lab.run("local models").stdout.contains("  sim-1\n"));
    lab.run("local pull small").ends_with(0, &["pulling manifest", "success", "--model small"]);
    lab.run("local pull no-such-model").ends_with(5, &["file does not exist"]);
    let ran = Lab::new().with("OLLAMA_HOST", &refusing_url("")).run("local status");
    assert!(!ran.stdout.contains("ollama"), "{}", ran.stdout);
    // Other engines may run on the machine of the test.
    ran.ends_with(0, if ran.stdout.is_empty() { &["no local engine answers"] } else { &[] });
}

#[test]
fn settings_of_an_engine_apply_to_one_that_is_found_by_default() {
    let sim = Simulated::start(&Lab::new());
    let lab = Lab::new();
    lab.file("antiphon.toml", format!("[providers.ollama]\nbase_url = \"{}\"\nmodel = \"none\"\n", sim.root));
    assert!(lab.run("local status").stdout.contains(&format!("ollama at {}", sim.root)));
    lab.run("local pull small").ends_with(0, &["success"]);
    lab.run("generate in --count 1").ends_with(0, &["has no model none"]);
    lab.run("generate in --count 1 --model sim-1 --seed 1")
        .ends_with(0, &[&format!("ollama at {}", sim.root)]);
    lab.file("antiphon.toml", "[providers.ollama]\nroute = \"nativ\"\n");
    Lab::with(lab, "OLLAMA_HOST", &sim.root)
        .run("local status")
        .ends_with(3, &["antiphon.toml:2: the kind ollama has no such route; known are chat, generate"]);
}

#[test]
fn a_requested_model_is_not_replaced_by_statistics() {
    let lab = Lab::new().with("OLLAMA_HOST", &refusing_url(""));
    lab.run("generate in --model no-such-model").ends_with(2, &["nothing here has the model no-such-model"]);
    lab.run("generate in --temperature=nan").ends_with(2, &["expected a number of at least 0"]);
}

#[test]
fn an_address_with_a_password_is_not_shown() {
    let lab = Lab::new()
        .with("OPENAI_API_KEY", "sk-x")
        .with("OPENAI_BASE_URL", "http://me:topsecret@127.0.0.1:1/v1")
        .with("OLLAMA_HOST", &refusing_url(""));
    let ran = lab.run("generate in --count 1");
    ran.ends_with(0, &["the address in OPENAI_BASE_URL"]);
    assert!(!(ran.stdout + &ran.stderr).contains("topsecret"));
}

#[test]
fn a_scenario_comes_from_a_file() {
    let lab = Lab::new();
    lab.file("s.toml", "latency_ms = 1\nlatancy = 2\n");
    lab.run("simulate --scenario s.toml").ends_with(2, &["s.toml:2: unknown field `latancy`"]);
    lab.run("simulate --scenario missing.toml").ends_with(2, &["missing.toml"]);
    lab.run("simulate --scenario s.toml --errors 0.5").ends_with(2, &["cannot be used with"]);
}

#[test]
fn every_vendor_does_the_main_job() {
    let sim = Simulated::start(&Lab::new());
    for (provider, path, key) in [
        ("openai", "/v1", "OPENAI_API_KEY"),
        ("anthropic", "/v1", "ANTHROPIC_API_KEY"),
        ("gemini", "/v1beta", "GOOGLE_API_KEY"),
        ("ollama", "", "UNUSED"),
        ("llamacpp", "/v1", "UNUSED"),
        ("vllm", "/v1", "UNUSED"),
        ("openrouter", "/v1", "OPENROUTER_API_KEY"),
    ] {
        let lab = Lab::new().with(key, "sk-any-key");
        let url = format!("{}{path}", sim.root);
        let seed = if provider == "anthropic" { "" } else { "--seed 1" };
        let ran = lab.run(&format!(
            "generate in --provider {provider} --base-url {url} --model sim-1 --count 1 {seed}"
        ));
        ran.ends_with(0, &[&format!("provider: {provider} at {url}, model sim-1")]);
        assert!(ran.stdout.contains("1 persona from 2 documents"), "{provider}: {ran:?}");
    }
}

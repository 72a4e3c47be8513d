use std::process::Command;

use serde_json::{Value, json};

use super::net::{Server, free_port, get, post};
use super::program::{Ran, generate, out, samples};
use super::{Outcome, install};
use crate::shell::{Done, run, target, words};

/// A sentence of a sample interview, for a persona to quote.
const SAID: &str =
    "I usually do the milk and pastry order in bed, on my phone, at about half past ten at night.";

/// Checks the program against a third-party server that injects scripted faults and judges its client.
pub(super) fn check() -> Done<Outcome> {
    let Some(server) = start()? else { return Ok(skipped()) };
    let reply = json!({ "type": "reply", "text": answer().to_string(), "times": null });
    let cases: [(&str, Value, i32, &str); 6] = [
        ("all is well", json!([]), 0, ""),
        ("busy twice", json!([{ "type": "fail", "status": 429, "retry_after": 0.2, "times": 2 }]), 0, "429"),
        ("down once", json!([{ "type": "fail", "status": 503, "times": 1 }]), 0, "503"),
        ("a wrong key", json!([{ "type": "fail", "status": 401, "times": null }]), 3, "401"),
        (
            "a connection that breaks",
            json!([{ "type": "stream_fault", "kind": "disconnect", "after_chunks": 3, "times": null }]),
            5,
            "in the middle of the answer",
        ),
        (
            "a stream that just ends",
            json!([{ "type": "stream_fault", "kind": "truncate", "after_chunks": 3, "times": null }]),
            5,
            "middle of the answer",
        ),
    ];
    for (name, faults, code, message) in &cases {
        let mut behaviors = faults.as_array().cloned().unwrap_or_default();
        behaviors.push(reply.clone());
        post(server.port, "/_llmock/reset", "{}")?;
        post(server.port, "/_llmock/scenario", &json!({ "behaviors": behaviors }).to_string())?;
        case(&server, name)
            .and_then(|ran| judged(&ran, *code, message))
            .map_err(|why| format!("{name}: {why}"))?;
        let verdict = get(server.port, "/_llmock/verdict?format=text")?;
        // A truncated answer is an error for the user and is not retried silently, the only thing that the verdict faults.
        if *code != 5 && verdict.contains("FAIL") {
            return Err(format!("{name}: the server's verdict: {verdict}"));
        }
    }
    Ok(Outcome::Passed(format!("{} cases, and a clean verdict on the client", cases.len())))
}

/// Checks the HTTP client alone against the same server, by an example that retries truncated answers: the verdict must be clean
/// after every fault.
pub(super) fn check_manners() -> Done<Outcome> {
    let Some(server) = start()? else { return Ok(skipped()) };
    run(&mut words("cargo build --quiet -p antiphon-http --example chat"))?;
    let fail = |status: u16, times: u32| json!({ "type": "fail", "status": status, "retry_after": 1.5, "times": times });
    let fault = |kind: &str| json!({ "type": "stream_fault", "kind": kind, "after_chunks": 3, "times": 1 });
    let cases = [
        ("429 with Retry-After", fail(429, 2)),
        ("503 with Retry-After", fail(503, 1)),
        ("500", json!({ "type": "fail", "status": 500, "times": 1 })),
        ("a disconnect in the stream", fault("disconnect")),
        ("a stream that just ends", fault("truncate")),
        ("a stall in the stream", fault("stall")),
        ("malformed chunks", fault("malformed")),
    ];
    for (name, behavior) in &cases {
        post(server.port, "/_llmock/reset", "{}")?;
        post(server.port, "/_llmock/scenario", &json!({ "behaviors": [behavior] }).to_string())?;
        let mut command = Command::new(target().join("debug/examples/chat"));
        let output = command.arg(format!("http://127.0.0.1:{}/v1", server.port)).arg("gpt-4o").output();
        let output = output.map_err(|err| format!("{name}: {err}"))?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        if !output.status.success() || output.stdout.is_empty() {
            return Err(format!("{name}: no answer: {said}"));
        }
        let verdict = get(server.port, "/_llmock/verdict?format=text")?;
        if verdict.contains("FAIL") || !verdict.contains("PASS") {
            return Err(format!("{name}: the server's verdict: {verdict}"));
        }
    }
    Ok(Outcome::Passed(format!("clean in {} cases", cases.len())))
}

/// Starts the server, if it is installed, with a pause between chunks: had it sent all of them before the client read the broken
/// one, it could not distinguish a client that stopped reading from one that did not.
pub(super) fn start() -> Done<Option<Server>> {
    let Some(venv) = install::venv("llmock") else { return Ok(None) };
    let port = free_port()?;
    let mut command = Command::new(venv.join("bin/llmock"));
    command.args(["serve", "--host", "127.0.0.1", "--log-level", "warning", "--port", &port.to_string()]);
    command.args(["--stream-chunk-delay-ms", "20"]);
    Server::start(&mut command, port, "/health").map(Some)
}

pub(super) fn skipped() -> Outcome {
    Outcome::Skipped("llmock is not installed: cargo xtask e2e --install".to_owned())
}

fn case(server: &Server, name: &str) -> Done<Ran> {
    let folder = out(&format!("llmock/{}", name.replace(' ', "-")))?;
    let address = format!("http://127.0.0.1:{}/v1", server.port);
    let args = ["--provider", "openai", "--base-url", &address, "--model", "gpt-4o", "--count", "1"];
    Ran::of(generate(&samples(), &folder, &args).env("OPENAI_API_KEY", "sk-e2e-planted-key"))
}

fn judged(ran: &Ran, code: i32, message: &str) -> Done {
    if ran.code != Some(code) || !ran.stderr.contains(message) || ran.stderr.contains("planted-key") {
        return Err(format!("generate ended with {:?}: {}", ran.code, ran.stderr));
    }
    match code {
        0 if ran.personas()[0]["quotes"][0]["text"] != SAID => Err("the quote was not kept".to_owned()),
        5 if !ran.file("partial.txt").exists() => Err("the partial answer was not kept".to_owned()),
        _ => Ok(()),
    }
}

fn answer() -> Value {
    let cited = json!({ "document": "d1", "quote": SAID });
    let claim = json!({ "claim": "Order early", "document": "d1", "quote": SAID });
    json!({ "personas": [{
        "name": "The late orderer",
        "title": "Orders in bed",
        "demographics": { "age_range": null, "occupation": null, "industry": null, "location": null, "experience": null },
        "goals": [claim], "pain_points": [], "behaviours": [], "motivations": [], "quotes": [cited],
    }] })
}

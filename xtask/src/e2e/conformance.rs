//! The conformance checks of every provider, against third-party servers.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Instant;

use serde_json::{Value, json};

use super::net::{Server, free_port, get, post};
use super::{Outcome, install, llama, llmock};
use crate::shell::{Done, root, run, target, words};

const MODEL: &str = "smollm2";

/// Checks every format at a real model behind llama.cpp's server: its native routes, OpenAI's two, Anthropic's, and Ollama's by a
/// proxy.
pub(super) fn check_llama() -> Done<Outcome> {
    let Some(server) = llama::start()? else { return Ok(llama::skipped()) };
    build()?;
    let address = format!("http://127.0.0.1:{}", server.port);
    // The server ignores schemas in OpenAI's Responses format and in Anthropic's.
    let formats = [
        ("llamacpp", ""),
        ("llamacpp-native", ""),
        ("compatible", ""),
        ("chat", ""),
        ("responses", "structured"),
        ("anthropic", "structured"),
    ];
    for (format, skip) in formats {
        conforms(&[format, &address, MODEL, skip])?;
    }
    let freed = hangs_up(&server)?;
    let ollama = match ollama(&address)? {
        Some(proxy) => {
            // The proxy never reports that an answer reached the token limit.
            conforms(&["ollama", &format!("http://127.0.0.1:{}", proxy.port), "local/smollm2", "length"])?;
            "and Ollama's format by a proxy"
        }
        None => {
            return Ok(Outcome::Skipped(
                "the proxy for Ollama's format is not installed: cargo xtask e2e --install".to_owned(),
            ));
        }
    };
    Ok(Outcome::Passed(format!(
        "{} formats {ollama}; a slot was free {freed} ms after hanging up",
        formats.len()
    )))
}

/// Sends many calls to a real model, sequentially and concurrently: all are answered, and the times are reported.
pub(super) fn check_speed() -> Done<Outcome> {
    let Some(server) = llama::start()? else { return Ok(llama::skipped()) };
    run(&mut words("cargo build --quiet -p antiphon-tests --example speed"))?;
    let mut command = Command::new(target().join("debug/examples/speed"));
    let output = command.args([&format!("http://127.0.0.1:{}", server.port), MODEL]).output();
    let output = output.map_err(|err| err.to_string())?;
    let said = String::from_utf8_lossy(&output.stdout).trim().replace('\n', "; ");
    if output.status.success() { Ok(Outcome::Passed(said)) } else { Err(said) }
}

/// Checks four formats at the fault server: each fault is recovered from or reported by its kind, and the server's verdict on the
/// client is clean.
pub(super) fn check_llmock() -> Done<Outcome> {
    let Some(server) = llmock::start()? else { return Ok(llmock::skipped()) };
    build()?;
    let fail = |status: u16, times: u32| json!({ "type": "fail", "status": status, "retry_after": 1.0, "times": times });
    let fault = |kind: &str, after: u32| json!({ "type": "stream_fault", "kind": kind, "after_chunks": after, "times": null });
    // The server ignores every token limit. The last number is the chunk after which the first words have arrived.
    for (format, path, skip, after) in [
        ("chat", "", "length", 3),
        ("responses", "", "length", 7),
        // The server does not support schemas in this format.
        ("anthropic", "/anthropic", "length,structured", 5),
        ("gemini", "/gemini", "length", 3),
    ] {
        let address = format!("http://127.0.0.1:{}{path}", server.port);
        set_behaviors(&server, &json!([]))?;
        conforms(&[format, &address, "gpt-4o", skip])?;
        for (behavior, expected) in [
            (fail(429, 2), None),
            (fail(503, 1), None),
            (json!({ "type": "fail", "status": 500, "times": 1 }), None),
            (json!({ "type": "fail", "status": 401, "times": null }), Some("auth")),
            (fault("disconnect", after), Some("truncated")),
            (fault("truncate", after), Some("truncated")),
            (fault("malformed", after), Some("invalid_response")),
        ] {
            set_behaviors(&server, &json!([behavior]))?;
            let output =
                example(&[format, &address, "gpt-4o", "ask"]).output().map_err(|err| err.to_string())?;
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            let place = format!("{format}: {behavior}");
            match expected {
                Some(kind) if output.status.success() || !said.starts_with(kind) => {
                    return Err(format!("{place}: the error is not {kind}: {said}"));
                }
                None if !output.status.success() => return Err(format!("{place}: no answer: {said}")),
                _ => {}
            }
            // A truncated answer is an error for the caller and is not retried silently, the only thing that the verdict faults.
            let verdict = get(server.port, "/_llmock/verdict?format=text")?;
            let is_cut = expected.is_some_and(|kind| kind != "auth");
            if verdict.contains("FAIL") && !is_cut {
                return Err(format!("{place}: the server's verdict: {verdict}"));
            }
        }
    }
    Ok(Outcome::Passed("4 formats, 7 faults each".to_owned()))
}

fn build() -> Done {
    run(&mut words("cargo build --quiet -p antiphon-tests --example conformance"))
}

fn example(args: &[&str]) -> Command {
    let mut command = Command::new(target().join("debug/examples/conformance"));
    command.args(args.iter().filter(|arg| !arg.is_empty()));
    command
}

fn conforms(args: &[&str]) -> Done {
    let output = example(args).output().map_err(|err| err.to_string())?;
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stdout).into_owned()) }
}

/// Resets the fault server, and sets its behaviours.
fn set_behaviors(server: &Server, behaviors: &Value) -> Done {
    post(server.port, "/_llmock/reset", "{}")?;
    post(server.port, "/_llmock/scenario", &json!({ "behaviors": behaviors }).to_string()).map(drop)
}

/// Hangs up in the middle of a long answer; returns the milliseconds until the server has a free slot again.
fn hangs_up(server: &Server) -> Done<u128> {
    let address = format!("http://127.0.0.1:{}", server.port);
    let mut command = example(&["llamacpp", &address, MODEL, "hang-up"]);
    let mut child = command.stdout(Stdio::piped()).spawn().map_err(|err| err.to_string())?;
    let mut line = String::new();
    let read = child.stdout.take().map(|stdout| BufReader::new(stdout).read_line(&mut line));
    let began = Instant::now();
    let free = llama::wait_until("the slot is free", || llama::busy_slots(server.port).map(|busy| busy == 0));
    let took = began.elapsed().as_millis();
    // The child only sleeps now.
    let _ = child.kill();
    let _ = child.wait();
    if !matches!(read, Some(Ok(_))) || !line.contains("after words") {
        return Err(format!("the answer did not begin: {line}"));
    }
    free?;
    // The child sleeps for 20 s: a slot that is freed only when its process ends is freed too late.
    if took > 10_000 { Err(format!("the slot was free only after {took} ms")) } else { Ok(took) }
}

/// Starts a proxy that serves Ollama's format from another server, if the proxy is installed.
fn ollama(behind: &str) -> Done<Option<Server>> {
    let Some(program) =
        install::venv("llmock").map(|venv| venv.join("bin/ollama-proxy")).filter(|it| it.exists())
    else {
        return Ok(None);
    };
    let (port, folder) = (free_port()?, root().join("target/e2e/ollama"));
    std::fs::create_dir_all(&folder).map_err(|err| format!("{}: {err}", folder.display()))?;
    let config = folder.join("proxy.yaml");
    let text = format!(
        "providers:\n  local: {{api_key: none, base_url: \"{behind}/v1\"}}\nmodels: [\"local/{MODEL}\"]\n"
    );
    std::fs::write(&config, text).map_err(|err| format!("{}: {err}", config.display()))?;
    let mut command = Command::new(program);
    // By default it listens on every interface.
    command
        .args(["serve", "--host", "127.0.0.1", "--port", &port.to_string()])
        .env("PROXY_CONFIG_FILE", config);
    Server::start(&mut command, port, "/api/version").map(Some)
}

//! Every provider's checks of conformance against servers that we did not write.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Instant;

use serde_json::{Value, json};

use super::net::{Server, free_port, get, post};
use super::{Outcome, install, llama, llmock};
use crate::shell::{Done, root, run, target, words};

const MODEL: &str = "smollm2";

/// A real model behind llama.cpp's server: its own routes, OpenAI's two, Anthropic's, and Ollama's in front of it.
pub(super) fn check_llama() -> Done<Outcome> {
    let Some(server) = llama::start()? else { return Ok(llama::skipped()) };
    build()?;
    let address = format!("http://127.0.0.1:{}", server.port);
    // What it does not do there: it passes over a schema in the formats of others.
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
            // The stand-in never says that an answer reached the limit.
            conforms(&["ollama", &format!("http://127.0.0.1:{}", proxy.port), "local/smollm2", "length"])?;
            "and Ollama's format in front of it"
        }
        None => {
            return Ok(Outcome::Skipped(
                "Ollama's stand-in is not installed: cargo xtask e2e --install".to_owned(),
            ));
        }
    };
    Ok(Outcome::Passed(format!(
        "{} formats {ollama}; a slot was free {freed} ms after hanging up",
        formats.len()
    )))
}

/// Many questions at a real model, one after another and at once: all are answered, and the times are told.
pub(super) fn check_speed() -> Done<Outcome> {
    let Some(server) = llama::start()? else { return Ok(llama::skipped()) };
    run(&mut words("cargo build --quiet -p antiphon-tests --example speed"))?;
    let mut command = Command::new(target().join("debug/examples/speed"));
    let output = command.args([&format!("http://127.0.0.1:{}", server.port), MODEL]).output();
    let output = output.map_err(|err| err.to_string())?;
    let said = String::from_utf8_lossy(&output.stdout).trim().replace('\n', "; ");
    if output.status.success() { Ok(Outcome::Passed(said)) } else { Err(said) }
}

/// The fault server in four formats: what it does to a call is survived or named, and it finds nothing to complain of.
pub(super) fn check_llmock() -> Done<Outcome> {
    let Some(server) = llmock::start()? else { return Ok(llmock::skipped()) };
    build()?;
    let fail = |status: u16, times: u32| json!({ "type": "fail", "status": status, "retry_after": 1.0, "times": times });
    let fault = |kind: &str, after: u32| json!({ "type": "stream_fault", "kind": kind, "after_chunks": after, "times": null });
    // It passes over every limit of tokens; and after so many pieces the first words have come.
    for (format, path, skip, after) in [
        ("chat", "", "length", 3),
        ("responses", "", "length", 7),
        // It knows no schemas in this format.
        ("anthropic", "/anthropic", "length,structured", 5),
        ("gemini", "/gemini", "length", 3),
    ] {
        let address = format!("http://127.0.0.1:{}{path}", server.port);
        told(&server, &json!([]))?;
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
            told(&server, &json!([behavior]))?;
            let output =
                example(&[format, &address, "gpt-4o", "ask"]).output().map_err(|err| err.to_string())?;
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            let place = format!("{format}: {behavior}");
            match expected {
                Some(kind) if output.status.success() || !said.starts_with(kind) => {
                    return Err(format!("{place}: it is not {kind}: {said}"));
                }
                None if !output.status.success() => return Err(format!("{place}: no answer: {said}")),
                _ => {}
            }
            // A cut answer is an error for the caller and is not asked for again unseen: that alone the server dislikes.
            let verdict = get(server.port, "/_llmock/verdict?format=text")?;
            let is_cut = expected.is_some_and(|kind| kind != "auth");
            if verdict.contains("FAIL") && !is_cut {
                return Err(format!("{place}: its verdict: {verdict}"));
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

/// Tells the fault server what to do, and to forget what it has seen.
fn told(server: &Server, behaviors: &Value) -> Done {
    post(server.port, "/_llmock/reset", "{}")?;
    post(server.port, "/_llmock/scenario", &json!({ "behaviors": behaviors }).to_string()).map(drop)
}

/// Hangs up in the middle of a long answer; gives the milliseconds until the server has a free slot again.
fn hangs_up(server: &Server) -> Done<u128> {
    let address = format!("http://127.0.0.1:{}", server.port);
    let mut command = example(&["llamacpp", &address, MODEL, "hang-up"]);
    let mut child = command.stdout(Stdio::piped()).spawn().map_err(|err| err.to_string())?;
    let mut line = String::new();
    let told = child.stdout.take().map(|stdout| BufReader::new(stdout).read_line(&mut line));
    let began = Instant::now();
    let free = llama::wait_until("the slot is free", || llama::busy_slots(server.port).map(|busy| busy == 0));
    let took = began.elapsed().as_millis();
    // It stays connected to nothing, and has nothing more to say.
    let _ = child.kill();
    let _ = child.wait();
    if !matches!(told, Some(Ok(_))) || !line.contains("after words") {
        return Err(format!("it did not begin: {line}"));
    }
    free?;
    // When its process ends, every client has hung up.
    if took > 10_000 { Err(format!("the slot was free only after {took} ms")) } else { Ok(took) }
}

/// A server that speaks Ollama's format in front of another one.
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
    // Its default is to listen on every interface.
    command
        .args(["serve", "--host", "127.0.0.1", "--port", &port.to_string()])
        .env("PROXY_CONFIG_FILE", config);
    Server::start(&mut command, port, "/api/version").map(Some)
}

//! `local`: the engines on this machine, their models, and the download of models.
//!
//! Engines are found at the configured addresses and at their usual ports; one that answers must also identify itself,
//! since another server may use the port. Stdout of `status` and `models` has a line or a list for each engine, or with
//! `--json` one document of the schema `antiphon.local/1`; stdout of `pull` has the name of the model, stderr the
//! progress.
//!
//! Exit codes: 0, also if no engine answers, since that is an answer to the question; 5 if a model could not be
//! fetched. Ctrl-C ends the command; the engine keeps the part of a model that it has downloaded, and resumes it the
//! next time.

use antiphon_llm::{ErrorKind, Model};
use antiphon_providers::PullProgress;
use antiphon_providers::registry::{self, LocalServer};
use serde_json::json;

use super::cli::{LocalArgs, LocalCommand};
use super::error::{ALL_FAILED, CommandError, OK};
use super::front::Front;
use super::output::{self, Talk};
use super::progress::counted;
use crate::operations::{self, LocalEngine, puller};
use crate::runtime::{Flags, Kind, Settings};

/// Runs the subcommand.
pub(super) async fn run(args: &LocalArgs, talk: &Talk) -> Result<u8, CommandError> {
    let settings = Front::new(&Flags::default(), talk).await?.settings;
    match &args.command {
        LocalCommand::Status { json } => listed(&settings, talk, *json, status).await,
        LocalCommand::Models { json } => listed(&settings, talk, *json, models).await,
        LocalCommand::Pull { model } => pull(&settings, model, *talk).await,
    }
}

/// Prints all engines that answer, each by `line`; if there are none, reports where they were looked for.
async fn listed(
    settings: &Settings,
    talk: &Talk,
    as_json: bool,
    line: fn(&LocalEngine) -> String,
) -> Result<u8, CommandError> {
    let engines = operations::local_engines(settings).await?;
    let document = || json!({ "schema": "antiphon.local/1", "engines": engines });
    output::print(as_json.then(document), || engines.iter().map(line).collect())?;
    if engines.is_empty() {
        report_none(talk);
    }
    Ok(OK)
}

/// Reports the ports that were probed in vain, and hints at the engine that fetches models by itself.
fn report_none(talk: &Talk) {
    let looked_for: Vec<String> =
        registry::servers().filter(|server| server.is_discoverable()).map(with_ports).collect();
    talk.line(&format!("no local engine answers: probed {}", looked_for.join(", ")));
    if let Some((server, pull)) = puller().and_then(|kind| Some((kind.server(kind.name)?, kind.pull?))) {
        let (title, install, example) = (server.title, pull.install, pull.example);
        talk.hint(&format!("install {title} from {install} and run: antiphon local pull {example}"));
    }
}

/// Formats an engine and the ports on which it is probed.
fn with_ports(server: &LocalServer) -> String {
    let ports: Vec<String> = server.ports.iter().map(ToString::to_string).collect();
    let noun = if ports.len() == 1 { "port" } else { "ports" };
    format!("{} ({noun} {})", server.title, ports.join(" and "))
}

/// Formats an engine as a line: version, slots (its concurrency limit), latency and number of models, or its error.
fn status(engine: &LocalEngine) -> String {
    let LocalEngine { name, base_url, health, models, .. } = engine;
    let mut parts = Vec::new();
    match health {
        Ok(health) => {
            parts.extend(health.version.clone());
            parts.extend(health.parallel.map(|slots| counted(slots as usize, "slot")));
            parts.push(format!("{} ms", health.latency.as_millis()));
        }
        Err(err) => parts.push(err.to_string()),
    }
    parts.extend(models.as_ref().ok().map(|models| counted(models.len(), "model")));
    format!("{name} at {base_url}: {}\n", parts.join(", "))
}

/// Formats an engine with a line for each of its models, or its error.
fn models(engine: &LocalEngine) -> String {
    let line = |model: &Model| {
        let context = model.context_window.map_or(String::new(), |tokens| format!("  {tokens} tokens"));
        let other = if model.answers { "" } else { "  (generates no text)" };
        format!("  {}{context}{other}\n", model.id)
    };
    let models = match &engine.models {
        Ok(models) => models.iter().map(line).collect(),
        Err(err) => format!("  {err}\n"),
    };
    format!("{} at {}\n{models}", engine.name, engine.base_url)
}

/// Fetches a model into the engine that supports it, and prints progress: each new step, and each tenth of a file.
async fn pull(settings: &Settings, model: &str, talk: Talk) -> Result<u8, CommandError> {
    let mut said = String::new();
    let done = operations::pull(settings, model, |progress| {
        let now = step(progress);
        if now != said {
            talk.line(&now);
            said = now;
        }
    });
    done.await.map_err(|err| not_pulled(&err))?;
    output::result(&format!("{model}\n"))?;
    if let Some(kind) = puller() {
        talk.line(&format!("use the model: antiphon generate PATH --provider {kind} --model {model}"));
    }
    Ok(OK)
}

/// Returns the error of a model that was not fetched, with a hint at the engine's address if it does not answer.
fn not_pulled(err: &antiphon_llm::Error) -> CommandError {
    let hint = puller().filter(|_| err.kind() == ErrorKind::Connect).and_then(place_of);
    hint.into_iter().fold(CommandError::new(ALL_FAILED, err.to_string()), CommandError::hint)
}

/// Formats a step of a download. The percentage changes every tenth of a file only, which is enough to see progress.
fn step(progress: PullProgress) -> String {
    match (progress.completed, progress.total) {
        (Some(completed), Some(total)) if total > 0 => {
            format!("{}: {} % of {} MB", progress.status, completed * 10 / total * 10, total / 1_000_000)
        }
        _ => progress.status,
    }
}

/// Returns a hint at the address on which an engine is probed.
fn place_of(kind: &Kind) -> Option<String> {
    let (server, variable) = (kind.server(kind.name)?, kind.base_url_env?);
    let (title, name, port) = (server.title, variable.name, server.ports.first()?);
    Some(format!(
        "start {title} at the address in {name}, or on port {port}; antiphon doctor shows whether it answers"
    ))
}

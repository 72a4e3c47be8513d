//! `doctor`: the state of all providers, with advice on what is missing.
//!
//! Providers are checked concurrently, for at most 5 s each, by requests that cost nothing: no model is called. Stdout
//! has a line per provider, and a second one with the advice, or with `--json` one document of the schema
//! `antiphon.doctor/1`.
//!
//! | mark | state |
//! |---|---|
//! | `ok` | the provider answers |
//! | `--` | not set up, or the engine does not run; this is no failure, since few users set up all providers |
//! | `!!` | set up, but does not work |
//!
//! Exit codes: 0 if no provider failed; 3 if one has a wrong configuration, key or account; else 4. Ctrl-C ends the
//! command.
//!
//! `doctor PROVIDER` checks one provider step by step. Its lines have the marks `ok`, `--` for a step that was not made, `!` for a
//! restriction with which runs work, and `!!` for the step that failed. With `--json`, the document of the same schema has
//! the steps in `steps`. Exit codes: 0; 3 for the configuration, the key, the account or the model; else 5.

use antiphon_llm::{ErrorKind, Health};
use antiphon_providers::registry;
use serde_json::json;

use super::cli::DoctorArgs;
use super::error::{ALL_FAILED, CONFIG, CommandError, OK, SOME_FAILED};
use super::front::Front;
use super::output::{self, Talk};
use super::progress::counted;
use crate::operations::{self, Checkup, CheckupResult, Examination, ExaminedStep, StepState};
use crate::runtime::{ProviderSettings, known_providers};

/// Checks all providers, or the one that is named, and prints their states.
pub(super) async fn run(args: &DoctorArgs, talk: &Talk) -> Result<u8, CommandError> {
    let Front { settings, environment, files } = Front::new(&args.flags(), talk).await?;
    if let Some(named) = settings.provider.as_ref().filter(|_| args.provider.is_some()) {
        let examination = operations::examine(&settings, &named.value, &environment).await;
        return print_steps(&examination, args.json);
    }
    let mut providers = known_providers(&environment, &files);
    // A wrong configuration is checked, too: it is reported with its error.
    providers.retain(|(_, named)| named.as_ref().map_or(true, is_checked));
    talk.line(&format!("checking {} providers, for at most 5 seconds", providers.len()));
    let checkups = operations::doctor(&settings, &providers).await;
    let document = || json!({ "schema": "antiphon.doctor/1", "providers": checkups });
    output::print(args.json.then(document), || as_list(&checkups))?;
    if checkups.iter().all(|checkup| checkup.result.health().is_none()) {
        talk.hint("try it without a provider: antiphon generate examples/interviews --offline");
    }
    Ok(checkups.iter().filter_map(code).min().unwrap_or(OK))
}

/// Prints the steps of one provider, and returns the exit code of the one that failed.
fn print_steps(examination: &Examination, as_json: bool) -> Result<u8, CommandError> {
    let Examination { name, base_url, steps, .. } = examination;
    let document = || {
        json!({
            "schema": "antiphon.doctor/1", "providers": [], "provider": name, "base_url": base_url, "steps": steps,
        })
    };
    let text = || {
        let place = base_url.as_ref().map(|base_url| format!(" at {base_url}")).unwrap_or_default();
        let lines: String = steps.iter().map(step_line).collect();
        format!("{name}{place}\n{lines}")
    };
    output::print(as_json.then(document), text)?;
    let failed = steps.iter().find_map(|step| match step.state {
        StepState::Failed(kind) => Some(kind),
        _ => None,
    });
    Ok(failed.map_or(OK, |kind| if is_of_configuration(kind) { CONFIG } else { ALL_FAILED }))
}

/// Formats a step, and its advice on a second line.
fn step_line(step: &ExaminedStep) -> String {
    let mark = match step.state {
        StepState::Ok => "ok",
        StepState::Restricted => "!",
        StepState::Failed(_) => "!!",
        _ => "--",
    };
    let mut text = format!("{mark:<3} {:<16} {}\n", step.name, step.message);
    if let Some(advice) = &step.advice {
        text.push_str(&format!("    {:<16} {advice}\n", ""));
    }
    text
}

/// Whether a failure has to be fixed in the configuration, the environment or the account.
fn is_of_configuration(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::InvalidRequest | ErrorKind::Auth | ErrorKind::Quota | ErrorKind::ModelNotFound)
}

/// Whether a provider is checked: not one that has no address until the user names one, and not offline, which needs
/// none.
fn is_checked(named: &ProviderSettings) -> bool {
    let is_somewhere = || {
        named.base_url.is_some() || registry::entry(&named.name).is_none_or(|entry| entry.base_url.is_some())
    };
    !named.kind.is_offline && is_somewhere()
}

/// Returns the exit code of a failed checkup: configuration for a wrong file or key, else that of a partial failure.
fn code(checkup: &Checkup) -> Option<u8> {
    let CheckupResult::Failed(err) = &checkup.result else { return None };
    Some(if is_of_configuration(err.kind()) { CONFIG } else { SOME_FAILED })
}

/// Formats the checkups as a list, aligned by the longest name.
fn as_list(checkups: &[Checkup]) -> String {
    let width = checkups.iter().map(|checkup| checkup.name.len()).max().unwrap_or(0);
    checkups.iter().map(|checkup| entry(checkup, width)).collect()
}

/// Formats one checkup: mark, name, state and address, and the advice on a second line. The message of a failure names
/// the address itself.
fn entry(checkup: &Checkup, width: usize) -> String {
    let Checkup { name, base_url, result, advice, .. } = checkup;
    let mark = mark(result);
    let found = result.health().map(described).or(result.message()).unwrap_or_default();
    let base_url = base_url
        .as_ref()
        .filter(|_| mark != "!!")
        .map(|base_url| format!(" at {base_url}"))
        .unwrap_or_default();
    let mut text = format!("{mark}  {name:<width$}  {found}{base_url}\n");
    if let Some(advice) = advice {
        text.push_str(&format!("    {:<width$}  {advice}\n", ""));
    }
    text
}

/// Returns the mark of a state, in two columns.
fn mark(result: &CheckupResult) -> &'static str {
    match result.status() {
        "ok" => "ok",
        "absent" => "--",
        _ => "!!",
    }
}

/// Formats the health of a provider: latency, HTTP version, models, slots and the server's version, as far as known.
fn described(health: &Health) -> String {
    let mut parts = vec![format!("{} ms", health.latency.as_millis())];
    parts.extend(health.http_version.map(str::to_owned));
    parts.extend(health.models.map(|models| counted(models, "model")));
    parts.extend(health.parallel.map(|slots| counted(slots as usize, "slot")));
    parts.extend(health.version.clone());
    parts.join(", ")
}

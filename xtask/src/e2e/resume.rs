//! Runs that are resumed from the store alone, and the library over one journal: at a real model if llama.cpp's server is
//! installed, else at the simulator, which needs no installation.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use super::llama::{busy_slots, wait_until};
use super::program::out;
use super::{Outcome, kill, llama, net};
use crate::shell::{Done, run, target, words};

/// The concurrency limit.
const AT_ONCE: u64 = 2;

/// A real or a simulated model.
enum Model {
    Real(net::Server),
    Simulated(kill::Server),
}

impl Model {
    fn start(latency: &str) -> Done<Self> {
        Ok(match llama::start()? {
            Some(server) => Self::Real(server),
            None => Self::Simulated(kill::Server::start(&["--latency", latency])?),
        })
    }

    fn url(&self) -> String {
        match self {
            Self::Real(server) => format!("http://127.0.0.1:{}/v1", server.port),
            Self::Simulated(server) => server.url.clone(),
        }
    }

    fn name(&self) -> &'static str {
        if matches!(self, Self::Real(_)) { "smollm2" } else { "sim-1" }
    }

    /// Returns whether a call is in progress.
    fn is_busy(&self) -> Done<bool> {
        match self {
            Self::Real(server) => busy_slots(server.port).map(|busy| busy > 0),
            Self::Simulated(server) => Ok(server.stats()?["in_flight"].as_u64() > Some(0)),
        }
    }

    /// Returns the number of calls that arrived; a real model does not count them.
    fn asked(&self) -> Done<Option<u64>> {
        match self {
            Self::Real(_) => Ok(None),
            Self::Simulated(server) => Ok(server.stats()?["requests"].as_u64()),
        }
    }

    fn place(&self) -> &'static str {
        if matches!(self, Self::Real(_)) { "at a real model" } else { "at the simulator" }
    }
}

/// Kills a run over rows, and moves its whole folder: the run is resumed in the new place.
pub(super) fn check_moved() -> Done<Outcome> {
    let model = Model::start("40")?;
    let (home, folder) = project("resume/moved", &model)?;
    let killed = kill_map(&folder, &model)?;
    let moved = home.join("elsewhere/project");
    fs::create_dir_all(home.join("elsewhere")).and_then(|()| fs::rename(&folder, &moved)).map_err(text)?;
    let what = resumed(&moved, &killed)?;
    if folder.exists() {
        return Err("the resumed run wrote to the old folder".to_owned());
    }
    Ok(Outcome::Passed(format!("{what}, {}", model.place())))
}

/// Kills a run over rows and a persona run, and deletes their recipes and inputs: both are resumed from the store.
pub(super) fn check_without_recipe() -> Done<Outcome> {
    let model = Model::start("40")?;
    let (_, folder) = project("resume/recipe", &model)?;
    let killed = kill_map(&folder, &model)?;
    for file in ["recipe.toml", "rows.jsonl"] {
        fs::remove_file(folder.join(file)).map_err(text)?;
    }
    let rows = resumed(&folder, &killed)?;
    drop(model);
    // A real model of this size does not always write personas.
    let simulator = Model::Simulated(kill::Server::start(&["--latency", "700"])?);
    let (_, folder) = project("resume/personas", &simulator)?;
    let args = [
        "generate",
        "talks",
        "--recipe",
        "people.toml",
        "--progress",
        "none",
        "--provider",
        "lab",
        "--model",
        "m",
    ];
    kill_when(&mut antiphon(&folder, &args), || simulator.is_busy())?;
    fs::remove_file(folder.join("people.toml")).map_err(text)?;
    fs::remove_dir_all(folder.join("talks")).map_err(text)?;
    success(&mut antiphon(&folder, &["runs", "resume", "latest"]))?;
    let shown = shown(&folder)?;
    if shown["status"] != "finished" || shown["possibly_billed_calls"] != 1 || simulator.asked()? != Some(2) {
        return Err(format!("the persona run: {shown}"));
    }
    Ok(Outcome::Passed(format!("{rows}; personas with 1 possibly billed call reported")))
}

/// Kills the library in a call for a persona over a journal, and runs it twice more: one call is made again, and the last run
/// makes none.
pub(super) fn check_journal() -> Done<Outcome> {
    run(&mut words("cargo build --quiet -p antiphon-tests --example journal"))?;
    let model = Model::start("700")?;
    let (_, folder) = project("resume/journal", &model)?;
    let example = || {
        let mut command = Command::new(target().join("debug/examples/journal"));
        command.args([&model.url(), model.name(), "journal.db", "talks"]).current_dir(&folder);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    };
    kill_when(&mut example(), || model.is_busy())?;
    wait_until("the model is free again", || model.is_busy().map(|busy| !busy))?;
    let made = || -> Done<Value> {
        let output = success(&mut example())?;
        serde_json::from_slice(&output.stdout).map_err(|err| format!("{err}: {output:?}"))
    };
    let second = match made() {
        Ok(made) => made,
        // A real model's nonsense may be invalid against the schema, and is reported so.
        Err(why) if matches!(model, Model::Real(_)) && !why.contains("panicked") => {
            return Ok(Outcome::Passed(format!("a real model's answer was invalid: {why}")));
        }
        Err(why) => return Err(why),
    };
    let before = model.asked()?;
    let third = made()?;
    if second != third || second["may_cost_more"] != true || model.asked()? != before {
        return Err(format!("{second} and then {third}; {before:?} calls, then {:?}", model.asked()?));
    }
    if before.is_some_and(|calls| calls != 2) {
        return Err(format!("{before:?} calls for one that was killed and one that was not"));
    }
    Ok(Outcome::Passed(format!(
        "1 possibly billed call reported, then no call for the same personas, {}",
        model.place()
    )))
}

/// Checks the flag names of the previous release: they are accepted, with a message if they mean something else now.
pub(super) fn check_former_flags() -> Done<Outcome> {
    let model = Model::Simulated(kill::Server::start(&[])?);
    let (_, folder) = project("resume/flags", &model)?;
    let args = [
        &MAP[..],
        &["--model", "m", "--dir", "runs", "--concurrency", "2", "--limit", "5", "--out", "results.jsonl"],
    ];
    let output = success(&mut antiphon(&folder, &args.concat()))?;
    let results = fs::read_to_string(folder.join("results.jsonl")).map_err(text)?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    let is_reported =
        stderr.contains("--out now names the folder of runs") && stderr.contains("--results results.jsonl");
    if !is_reported || results.lines().count() != 5 || !folder.join("runs/antiphon.db").is_file() {
        return Err(format!("{} results: {stderr}", results.lines().count()));
    }
    success(&mut antiphon(&folder, &["runs", "export", "latest", "--dir", "runs", "--out", "results.csv"]))?;
    let table = fs::read_to_string(folder.join("results.csv")).map_err(text)?;
    match table.lines().count() {
        6 => Ok(Outcome::Passed("--dir, --concurrency, --limit, and --out for a file".to_owned())),
        lines => Err(format!("{lines} lines of a table: {table}")),
    }
}

const MAP: [&str; 8] =
    ["map", "rows.jsonl", "--recipe", "recipe.toml", "--progress", "none", "--provider", "lab"];

/// Creates a folder for a check with a project in it: rows, interviews, recipes, and the model as the provider `lab`. Returns the
/// paths of both.
fn project(name: &str, model: &Model) -> Done<(PathBuf, PathBuf)> {
    let home = out(name)?;
    let folder = home.join("project");
    let rows = if matches!(model, Model::Real(_)) { 12 } else { 80 };
    let table: String = (0..rows).map(|n| format!("{{\"n\":{n}}}\n")).collect();
    fs::create_dir_all(folder.join("talks")).map_err(text)?;
    let said = "Interviewer: What is hard?\nP1: I want to close early on Mondays. I hate the paperwork, it takes hours.\n";
    for (file, content) in [
        ("rows.jsonl", &*table),
        (
            "recipe.toml",
            "prompt = \"What is {{ n }} in words?\"\nallow_cut = true\n[parameters]\nmax_tokens = 12\n",
        ),
        ("talks/p1.txt", said),
        ("people.toml", "count = 1\ndetail = \"brief\"\n"),
        (
            "antiphon.toml",
            &format!("[providers.lab]\nkind = \"compatible\"\nbase_url = \"{}\"\n", model.url()),
        ),
    ] {
        fs::write(folder.join(file), content).map_err(text)?;
    }
    Ok((home, folder))
}

/// The state of a run over rows when it was killed.
struct Killed {
    shown: Value,
}

/// Kills a run over rows when at least three of them are accepted.
fn kill_map(folder: &Path, model: &Model) -> Done<Killed> {
    let at_once = AT_ONCE.to_string();
    let args = [&MAP[..], &["--model", model.name(), "--max-concurrency", &at_once]];
    let done = || Ok(shown(folder).is_ok_and(|shown| shown["accepted"].as_u64() >= Some(3)));
    kill_when(&mut antiphon(folder, &args.concat()), done)?;
    let shown = shown(folder)?;
    if shown["accepted"].as_u64() >= shown["rows"].as_u64() {
        return Err(format!("the run ended before it could be killed: {shown}"));
    }
    Ok(Killed { shown })
}

/// Resumes the run, and compares it with its state when it was killed.
fn resumed(folder: &Path, killed: &Killed) -> Done<String> {
    let output = success(&mut antiphon(folder, &["runs", "resume", "latest"]))?;
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    let (before, after) = (&killed.shown, shown(folder)?);
    let number = |value: &Value| value.as_u64().unwrap_or_default();
    let (rows, done, lost) =
        (number(&after["rows"]), number(&before["accepted"]), number(&after["possibly_billed_calls"]));
    if after["run_id"] != before["run_id"]
        || after["status"] != "finished"
        || number(&after["accepted"]) != rows
    {
        return Err(format!("{before} became {after}; {stderr}"));
    }
    if !stderr.contains("resumed run") || number(&after["calls"]) != rows || lost > AT_ONCE {
        return Err(format!("{} calls and {lost} possibly billed for {rows} rows; {stderr}", after["calls"]));
    }
    let results =
        folder.join(format!("antiphon-out/{}/results.jsonl", after["run_id"].as_str().unwrap_or_default()));
    let results = fs::read_to_string(&results).map_err(|err| format!("{}: {err}", results.display()))?;
    let index = |line: &str| serde_json::from_str::<Value>(line).ok()?["index"].as_u64();
    if results.lines().map(index).collect::<Option<Vec<_>>>() != Some((0..rows).collect()) {
        return Err(format!("{} results for {rows} rows, or out of order", results.lines().count()));
    }
    Ok(format!("{done} of {rows} rows before, all of them after, {lost} possibly billed calls reported"))
}

fn antiphon(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(target().join("debug/antiphon"));
    command.args(args).current_dir(folder);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn success(command: &mut Command) -> Done<Output> {
    let output = command.output().map_err(text)?;
    if output.status.success() {
        Ok(output)
    } else {
        let (stdout, stderr) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        Err(format!("{command:?} ended with {}: {stdout} {stderr}", output.status))
    }
}

/// Returns the newest run of a project.
fn shown(folder: &Path) -> Done<Value> {
    let output = success(&mut antiphon(folder, &["runs", "show", "latest", "--json"]))?;
    serde_json::from_slice(&output.stdout).map_err(|err| err.to_string())
}

/// Kills a command with SIGKILL when `is_time` returns true.
fn kill_when(command: &mut Command, is_time: impl Fn() -> Done<bool>) -> Done {
    let mut child = command.spawn().map_err(text)?;
    let waited = wait_until("it can be killed", || match child.try_wait().map_err(text)? {
        Some(status) => Err(format!("the command ended before it could be killed ({status})")),
        None => is_time(),
    });
    // It may have ended by itself.
    let _ = child.kill();
    child.wait().map_err(text)?;
    waited
}

fn text(err: std::io::Error) -> String {
    err.to_string()
}

//! `experiment`: folders that keep data, persona settings and all runs of a study together.
//!
//! Stdout has the result, as text or with `--json` as one document; stderr has hints and warnings.
//!
//! | command | stdout | schema of `--json` |
//! |---|---|---|
//! | `create` | the folder | - |
//! | `list` | a table of all experiments | `antiphon.experiments/1` |
//! | `show` | settings, totals and data files | `antiphon.experiment/1` |
//! | `generate` | the personas, as by `generate` | that of `generate` |
//! | `history` | a line for each run | `antiphon.history/1` |
//! | `outputs` | the personas of a run, always as JSON | - |
//! | `add`, `delete` | nothing | - |
//!
//! The README of an experiment is derived from its other files, so that a failure to update it is only a warning. The
//! exit code of `generate` is that of the runs; the other commands return 0 or fail. Ctrl-C drains the runs of
//! `generate`, and ends the other commands.

use std::fmt::Write;
use std::io::IsTerminal;
use std::path::PathBuf;

use antiphon_pipeline::experiment::{AddMode, Definition, PastRun};
use serde_json::{Value, json};

use super::cli::{ExperimentArgs, ExperimentCommand, GenerationArgs};
use super::error::{CommandError, OK, USAGE};
use super::front::Front;
use super::generate::{self, Planned};
use super::output::{self, Talk};
use super::progress::{cost, counted, price, tokens};
use crate::operations::{ExperimentInfo, ExperimentStart, Experiments, Workspace};
use crate::runtime::{Flags, resolve};

/// Runs the subcommand.
pub(super) async fn run(args: &ExperimentArgs, talk: &Talk) -> Result<u8, CommandError> {
    let experiments = Experiments::new(&args.dir);
    match &args.command {
        ExperimentCommand::Create { name, description, provider, model, personas } => {
            let mut definition = Definition::new(name, description);
            definition.personas = personas.persona_defaults();
            definition.defaults = defaults(provider.as_ref(), model.as_ref());
            create(&experiments, definition, *talk).await
        }
        ExperimentCommand::List { json } => list(&experiments, *json, *talk).await,
        ExperimentCommand::Show { name, json } => show(&experiments.show(name).await?, *json),
        ExperimentCommand::Add { name, paths, link } => add(&experiments, name, paths, *link, *talk).await,
        ExperimentCommand::Generate { names, how } => generate(&experiments, names, how, talk).await,
        ExperimentCommand::History { name, json } => history(&experiments.history(name).await?, *json),
        ExperimentCommand::Outputs { name, run } => outputs(&experiments, name, run).await,
        ExperimentCommand::Delete { name, yes } => delete(&experiments, name, *yes, *talk).await,
    }
}

/// Returns the table `defaults` of an experiment: what its flags name takes effect where a run names nothing.
fn defaults(provider: Option<&String>, model: Option<&String>) -> toml::Table {
    let named = [("provider", provider), ("model", model)];
    let given = named.into_iter().filter_map(|(key, value)| Some((key, value?.clone())));
    given.map(|(key, value)| (key.to_owned(), toml::Value::String(value))).collect()
}

/// Creates an experiment, prints its folder, and names the next commands.
async fn create(experiments: &Experiments, definition: Definition, talk: Talk) -> Result<u8, CommandError> {
    let name = definition.name.clone();
    let made = experiments.create(definition).await?;
    talk.hint(&format!("add data: antiphon experiment add {name} PATH"));
    talk.hint(&format!("then generate personas: antiphon experiment generate {name}"));
    output::result(&format!("{}\n", made.folder.display())).map(|()| OK)
}

/// Adds files to the data of an experiment, updates its README, and reports the number of all its files.
async fn add(
    experiments: &Experiments,
    name: &str,
    paths: &[PathBuf],
    as_links: bool,
    talk: Talk,
) -> Result<u8, CommandError> {
    let how = if as_links { AddMode::Link } else { AddMode::Copy };
    let info = experiments.add(name, paths, how).await?;
    write_readme(experiments, name, talk).await;
    let data = info.folder.join("data");
    talk.line(&format!("{} in {}", counted(info.data.len(), "file"), data.display()));
    Ok(OK)
}

/// Prints the personas of a run as JSON.
async fn outputs(experiments: &Experiments, name: &str, run: &str) -> Result<u8, CommandError> {
    let personas = experiments.outputs(name, run).await?;
    output::result(&output::json(&personas)?).map(|()| OK)
}

/// Generates the personas of several experiments concurrently, and updates their READMEs. A dry run changes nothing.
async fn generate(
    experiments: &Experiments,
    names: &[String],
    how: &GenerationArgs,
    talk: &Talk,
) -> Result<u8, CommandError> {
    let (names, planned) = plan_all(experiments, names, how, talk).await?;
    let code = generate::all(planned, how, *talk).await?;
    for name in names.iter().filter(|_| !how.run.dry_run) {
        write_readme(experiments, name, *talk).await;
    }
    Ok(code)
}

/// Plans the run of each experiment, and returns their names with the plans. Of several names of one folder only the
/// first is used: two runs in one folder would be the same run.
async fn plan_all<'a>(
    experiments: &Experiments,
    names: &'a [String],
    how: &GenerationArgs,
    talk: &Talk,
) -> Result<(Vec<&'a str>, Vec<Planned>), CommandError> {
    let front = Front::new(&Flags::default(), talk).await?;
    let (mut distinct, mut planned, mut places) = (Vec::new(), Vec::new(), Vec::new());
    for name in names {
        let place = experiments.place(name).await?;
        if !places.contains(&place) {
            places.push(place);
            planned.push(plan(experiments, name, how, &front).await?);
            distinct.push(name.as_str());
        }
    }
    Ok((distinct, planned))
}

/// Plans the run of one experiment. Its own defaults override the files of the user, and the flags override both, so
/// that it has settings and a workspace of its own.
async fn plan(
    experiments: &Experiments,
    name: &str,
    how: &GenerationArgs,
    front: &Front,
) -> Result<Planned, CommandError> {
    let start = experiments.start(name, &how.personas.persona_defaults(), how.sampling.parameters()).await?;
    let files = start.files(&front.files)?;
    let ExperimentStart { request, outputs, .. } = start;
    let settings = resolve(&how.run.flags(Some(outputs.clone())), &front.environment, &files)?;
    let request = generate::request(request, how).await?;
    let workspace = Workspace::new(front.environment.clone(), files, outputs);
    let workspace = workspace.cassette(settings.cassette.clone());
    Ok(Planned { workspace, requests: vec![request], settings })
}

/// Updates the README of an experiment. A failure is a warning only, so that it does not hide the result of the command.
pub(super) async fn write_readme(experiments: &Experiments, name: &str, talk: Talk) {
    if let Err(err) = experiments.write_readme(name).await {
        talk.warning(&format!("cannot update the README: {err}"));
    }
}

/// Prints all experiments. One that cannot be read is an error on stderr, and does not hide the others.
async fn list(experiments: &Experiments, as_json: bool, talk: Talk) -> Result<u8, CommandError> {
    let mut rows = Vec::new();
    for experiment in experiments.list().await? {
        match experiment {
            Ok(experiment) => rows.push(experiment),
            Err(err) => talk.error(&err.into()),
        }
    }
    if as_json {
        let experiments: Vec<Value> = rows
            .iter()
            .map(|info| json!({ "definition": info.definition, "statistics": info.statistics }))
            .collect();
        let document = json!({ "schema": "antiphon.experiments/1", "experiments": experiments });
        return output::result(&output::json(&document)?).map(|()| OK);
    }
    output::result(&as_table(&rows)).map(|()| OK)
}

/// Formats the experiments as a table; empty, without a header, if there are none.
fn as_table(rows: &[ExperimentInfo]) -> String {
    let mut text = String::new();
    for ExperimentInfo { definition, statistics: all, .. } in rows {
        let Definition { name, description, .. } = definition;
        let (files, runs) = (counted(all.files, "file"), counted(all.runs, "run"));
        let personas = counted(all.personas, "persona");
        if text.is_empty() {
            text.push_str("NAME                     DATA       RUNS     PERSONAS       ABOUT\n");
        }
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{name:<24} {files:<10} {runs:<8} {personas:<14} {description}");
    }
    text
}

/// Prints one experiment.
fn show(info: &ExperimentInfo, as_json: bool) -> Result<u8, CommandError> {
    let ExperimentInfo { definition, data, statistics: all, .. } = info;
    let data: Vec<String> = data.iter().map(|path| path.display().to_string()).collect();
    if as_json {
        let document = json!({
            "schema": "antiphon.experiment/1", "definition": definition, "data": data, "statistics": all,
        });
        return output::result(&output::json(&document)?).map(|()| OK);
    }
    output::result(&as_text(info, &data)).map(|()| OK)
}

/// A line about an experiment: a label, and a value where there is one.
type Fact = (&'static str, Option<String>);

/// Formats an experiment: identity, settings, totals, and its data files.
fn as_text(info: &ExperimentInfo, data: &[String]) -> String {
    let ExperimentInfo { folder, definition, .. } = info;
    let identity: [Fact; 4] = [
        ("name", Some(definition.name.clone())),
        ("about", Some(definition.description.clone()).filter(|about| !about.is_empty())),
        ("folder", Some(folder.display().to_string())),
        ("created", Some(definition.created_at.clone())),
    ];
    let facts = identity.into_iter().chain(settings_of(definition)).chain(totals_of(info));
    let line = |(name, value): Fact| value.map(|value| format!("{name:<10} {value}\n"));
    let mut text: String = facts.filter_map(line).collect();
    data.iter().for_each(|file| text.push_str(&format!("  {file}\n")));
    text
}

/// Returns the settings of an experiment; one that is not set has no value, and the recipe decides.
fn settings_of(definition: &Definition) -> [Fact; 7] {
    let personas = &definition.personas;
    let named =
        |value: Option<Value>| value.map(|value| value.as_str().map_or(value.to_string(), str::to_owned));
    let default =
        |key: &str| definition.defaults.get(key).and_then(|value| value.as_str()).map(str::to_owned);
    [
        ("provider", default("provider")),
        ("model", default("model")),
        ("recipe", personas.recipe.clone()),
        ("count", personas.count.map(|count| count.to_string())),
        ("complexity", named(personas.complexity.map(|value| json!(value)))),
        ("detail", named(personas.detail.map(|value| json!(value)))),
        ("evidence", named(personas.evidence.map(|value| json!(value)))),
    ]
}

/// Returns the totals of all runs of an experiment, and the number of its data files.
fn totals_of(info: &ExperimentInfo) -> [Fact; 7] {
    let all = &info.statistics;
    [
        ("runs", Some(format!("{}, {} finished", all.runs, all.finished))),
        ("personas", Some(all.personas.to_string())),
        ("calls", Some(all.calls.to_string())),
        ("tokens", Some(tokens(all.input_tokens, all.output_tokens))),
        ("cost", Some(price(all.cost_usd_micros))),
        ("last run", all.last_run.clone()),
        ("data", Some(counted(info.data.len(), "file"))),
    ]
}

/// Prints the runs of an experiment, the newest first.
fn history(runs: &[PastRun], as_json: bool) -> Result<u8, CommandError> {
    if as_json {
        let reports: Vec<_> = runs.iter().map(|run| &run.report).collect();
        let document = json!({ "schema": "antiphon.history/1", "runs": reports });
        return output::result(&output::json(&document)?).map(|()| OK);
    }
    let text: String = runs.iter().map(past_run).collect();
    output::result(&text).map(|()| OK)
}

/// Formats a run: the start to the minute, status, personas, cost, model and folder.
fn past_run(run: &PastRun) -> String {
    let PastRun { folder, report, personas, .. } = run;
    let begun = report.started_at.get(..16).unwrap_or(&report.started_at).replace('T', " ");
    let status = report.status.name();
    let (personas, cost) = (counted(*personas, "persona"), cost(report.cost_usd_micros));
    let (model, folder) = (&report.model, folder.display());
    format!("{begun}  {status:<11}  {personas:<12}  {cost:<13}  {model}  {folder}\n")
}

/// Deletes an experiment with all its data, after a confirmation by its name or by `--yes`.
async fn delete(
    experiments: &Experiments,
    name: &str,
    is_sure: bool,
    talk: Talk,
) -> Result<u8, CommandError> {
    let info = experiments.show(name).await?;
    let confirmation = if is_sure { info.definition.name.clone() } else { confirm_name(&info).await? };
    experiments.delete(name, &confirmation).await?;
    talk.line(&format!("deleted {}", info.folder.display()));
    Ok(OK)
}

/// Asks the user to type the name of the experiment to delete. The answer is compared by the operation itself, so that
/// another name is its error. Blocks one thread of the blocking pool until the user answers.
///
/// # Errors
/// A usage error without a terminal: a script must say `--yes`.
async fn confirm_name(info: &ExperimentInfo) -> Result<String, CommandError> {
    let (name, all) = (&info.definition.name, &info.statistics);
    if !std::io::stdin().is_terminal() {
        let message = format!("cannot delete {name}: confirmation needs a terminal");
        return Err(CommandError::new(USAGE, message).hint("use --yes to delete it without confirmation"));
    }
    let (files, runs) = (counted(all.files, "file"), counted(all.runs, "run"));
    let question = format!("this deletes {name} with {files} of data and {runs}. Type its name to confirm: ");
    let answer = tokio::task::spawn_blocking(move || output::ask(&question)).await;
    let answer = answer.map_err(|err| CommandError::internal(err.to_string()))?;
    answer.map_err(|err| CommandError::new(USAGE, format!("cannot read stdin: {err}")))
}

use std::fmt::Write;
use std::io::IsTerminal;

use antiphon_pipeline::experiment::{AddMode, Definition, PastRun};
use serde_json::{Value, json};

use super::cli::{ExperimentArgs, ExperimentCommand, GenerationArgs};
use super::error::{CommandError, OK, USAGE};
use super::front::Front;
use super::generate::{self, Planned};
use super::output::{self, Talk};
use super::progress::{cost, counted, tokens};
use crate::operations::{ExperimentInfo, ExperimentStart, Experiments, Workspace};
use crate::runtime::{Flags, resolve};

pub(super) async fn run(args: &ExperimentArgs, talk: &Talk) -> Result<u8, CommandError> {
    let experiments = Experiments::new(&args.dir);
    match &args.command {
        ExperimentCommand::Create { name, description, provider, model, personas } => {
            let mut definition = Definition::new(name, description);
            definition.personas = personas.persona_defaults();
            for (key, value) in [("provider", provider), ("model", model)] {
                if let Some(value) = value {
                    definition.defaults.insert(key.to_owned(), value.clone().into());
                }
            }
            let made = experiments.create(definition).await?;
            talk.hint(&format!("add data: antiphon experiment add {name} PATH"));
            talk.hint(&format!("then generate personas: antiphon experiment generate {name}"));
            output::result(&format!("{}\n", made.folder.display())).map(|()| OK)
        }
        ExperimentCommand::List { json } => list(&experiments, *json, *talk).await,
        ExperimentCommand::Show { name, json } => show(&experiments.show(name).await?, *json),
        ExperimentCommand::Add { name, paths, link } => {
            let how = if *link { AddMode::Link } else { AddMode::Copy };
            let info = experiments.add(name, paths, how).await?;
            write_readme(&experiments, name, *talk).await;
            let data = info.folder.join("data");
            talk.line(&format!("{} in {}", counted(info.data.len(), "file"), data.display()));
            Ok(OK)
        }
        ExperimentCommand::Generate { names, how } => generate(&experiments, names, how, talk).await,
        ExperimentCommand::History { name, json } => history(&experiments.history(name).await?, *json),
        ExperimentCommand::Outputs { name, run } => {
            let personas = experiments.outputs(name, run).await?;
            output::result(&output::json(&personas)?).map(|()| OK)
        }
        ExperimentCommand::Delete { name, yes } => delete(&experiments, name, *yes, *talk).await,
    }
}

async fn generate(
    experiments: &Experiments,
    names: &[String],
    how: &GenerationArgs,
    talk: &Talk,
) -> Result<u8, CommandError> {
    let front = Front::new(&Flags::default()).await?;
    let (mut planned, mut started, mut places) = (Vec::new(), Vec::new(), Vec::new());
    for name in names {
        let place = experiments.place(name).await?;
        if places.contains(&place) {
            continue;
        }
        places.push(place);
        let start =
            experiments.start(name, &how.personas.persona_defaults(), how.sampling.parameters()).await?;
        let files = start.files(&front.files)?;
        let ExperimentStart { request, outputs, .. } = start;
        let settings = resolve(&how.run.flags(Some(outputs.clone())), &front.environment, &files)?;
        let request = generate::request(request, how).await?;
        let workspace = Workspace::new(front.environment.clone(), files, outputs.clone());
        let workspace = workspace.cassette(settings.cassette.clone());
        planned.push(Planned { workspace, requests: vec![request], settings });
        started.push((name, outputs));
    }
    let code = generate::all(planned, how, *talk).await?;
    for (name, outputs) in started.iter().filter(|_| !how.run.dry_run) {
        write_readme(experiments, name, *talk).await;
        talk.hint(&format!("write a report: antiphon runs report latest --out {}", outputs.display()));
    }
    Ok(code)
}

/// Updates the README of an experiment. A failure is a warning only, so that it does not hide the result of the command.
pub(super) async fn write_readme(experiments: &Experiments, name: &str, talk: Talk) {
    if let Err(err) = experiments.write_readme(name).await {
        talk.warning(&format!("cannot update the README: {err}"));
    }
}

async fn list(experiments: &Experiments, as_json: bool, talk: Talk) -> Result<u8, CommandError> {
    let mut rows = Vec::new();
    for experiment in experiments.list().await? {
        // An experiment that cannot be read does not hide the others.
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
    let mut text = String::new();
    for ExperimentInfo { definition, statistics: all, .. } in &rows {
        let Definition { name, description, .. } = definition;
        let (files, runs) = (counted(all.files, "file"), counted(all.runs, "run"));
        let personas = counted(all.personas, "persona");
        // Writing to a String cannot fail.
        if text.is_empty() {
            text.push_str("NAME                     DATA       RUNS     PERSONAS       ABOUT\n");
        }
        let _ = writeln!(text, "{name:<24} {files:<10} {runs:<8} {personas:<14} {description}");
    }
    output::result(&text).map(|()| OK)
}

fn show(info: &ExperimentInfo, as_json: bool) -> Result<u8, CommandError> {
    let ExperimentInfo { folder, definition, data, statistics: all, .. } = info;
    let data: Vec<String> = data.iter().map(|path| path.display().to_string()).collect();
    if as_json {
        let document = json!({
            "schema": "antiphon.experiment/1", "definition": definition, "data": data, "statistics": all,
        });
        return output::result(&output::json(&document)?).map(|()| OK);
    }
    let drawn = &definition.personas;
    let said =
        |value: Option<Value>| value.map(|value| value.as_str().map_or(value.to_string(), str::to_owned));
    let default =
        |key: &str| definition.defaults.get(key).and_then(|value| value.as_str()).map(str::to_owned);
    let mut text = String::new();
    for (name, value) in [
        ("name", Some(definition.name.clone())),
        ("about", Some(definition.description.clone()).filter(|about| !about.is_empty())),
        ("folder", Some(folder.display().to_string())),
        ("created", Some(definition.created_at.clone())),
        ("provider", default("provider")),
        ("model", default("model")),
        ("recipe", drawn.recipe.clone()),
        ("count", drawn.count.map(|count| count.to_string())),
        ("complexity", said(drawn.complexity.map(|value| json!(value)))),
        ("detail", said(drawn.detail.map(|value| json!(value)))),
        ("evidence", said(drawn.evidence.map(|value| json!(value)))),
        ("runs", Some(format!("{}, {} finished", all.runs, all.finished))),
        ("personas", Some(all.personas.to_string())),
        ("calls", Some(all.calls.to_string())),
        ("tokens", Some(tokens(all.input_tokens, all.output_tokens))),
        ("cost", Some(cost(all.cost_usd_micros))),
        ("last run", all.last_run.clone()),
        ("data", Some(counted(data.len(), "file"))),
    ] {
        if let Some(value) = value {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{name:<10} {value}");
        }
    }
    data.iter().for_each(|file| text.push_str(&format!("  {file}\n")));
    output::result(&text).map(|()| OK)
}

fn history(runs: &[PastRun], as_json: bool) -> Result<u8, CommandError> {
    if as_json {
        let reports: Vec<_> = runs.iter().map(|run| &run.report).collect();
        let document = json!({ "schema": "antiphon.history/1", "runs": reports });
        return output::result(&output::json(&document)?).map(|()| OK);
    }
    let mut text = String::new();
    for PastRun { folder, report, personas, .. } in runs {
        let begun = report.started_at.get(..16).unwrap_or(&report.started_at).replace('T', " ");
        let status = report.status.name();
        let (personas, cost) = (counted(*personas, "persona"), cost(report.cost_usd_micros));
        let _ = writeln!(
            text,
            "{begun}  {status:<11}  {personas:<12}  {cost:<13}  {}  {}",
            report.model,
            folder.display()
        );
    }
    output::result(&text).map(|()| OK)
}

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

/// Asks the user to type the name of the experiment to delete.
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

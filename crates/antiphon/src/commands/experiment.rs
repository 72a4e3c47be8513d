use std::fmt::Write;
use std::io::{IsTerminal, Write as _};
use std::path::Path;

use antiphon_pipeline::Error;
use antiphon_pipeline::experiment::{Definition, Experiment, How, PastRun};
use serde_json::{Value, json};

use super::cli::{ExperimentArgs, ExperimentCommand, GenerationArgs};
use super::config;
use super::error::{CONFIG, CommandError, OK, USAGE};
use super::generate::{self, Planned};
use super::output::{self, Talk};
use super::progress::{cost, counted};
use crate::operations::{GenerateRequest, is_address};
use crate::runtime::{ConfigFile, Environment, resolve};

pub(super) async fn run(args: &ExperimentArgs, talk: &Talk) -> Result<u8, CommandError> {
    let base = &args.dir;
    match &args.command {
        ExperimentCommand::Create { name, description, provider, model, personas } => {
            let mut definition = Definition::new(name, description);
            definition.personas = personas.drawn();
            for (key, value) in [("provider", provider), ("model", model)] {
                if let Some(value) = value {
                    definition.defaults.insert(key.to_owned(), value.clone().into());
                }
            }
            // A recipe that is not there is told now, and not at the first run.
            definition.personas.recipe(Path::new("")).await.map_err(told)?;
            let experiment = Experiment::create_as(base, definition).await.map_err(told)?;
            talk.hint(&format!("antiphon experiment add {name} PATH brings data into it"));
            talk.hint(&format!("antiphon experiment generate {name} makes personas of that"));
            output::result(&format!("{}\n", experiment.root().display())).map(|()| OK)
        }
        ExperimentCommand::List { json } => list(base, *json, *talk).await,
        ExperimentCommand::Show { name, json } => show(&load(base, name).await?, *json).await,
        ExperimentCommand::Add { name, paths, link } => {
            let experiment = load(base, name).await?;
            let how = if *link { How::Link } else { How::Copy };
            for path in paths {
                // All or nothing, as far as that can be seen before.
                if is_address(path) {
                    let message = format!("{}: an address cannot be added", path.display());
                    return Err(CommandError::new(USAGE, message).hint("antiphon fetch brings it here first"));
                }
                let found = antiphon_fs::metadata(path).await;
                found.map_err(|err| CommandError::new(USAGE, err.to_string()))?;
            }
            for path in paths {
                experiment.add_data(path, how).await.map_err(told)?;
            }
            tell_readme(&experiment, *talk).await;
            let files = experiment.data().await.map_err(told)?.len();
            talk.line(&format!("{} in {}", counted(files, "file"), experiment.data_path().display()));
            Ok(OK)
        }
        ExperimentCommand::Generate { names, how } => generate(base, names, how, talk).await,
        ExperimentCommand::History { name, json } => history(&load(base, name).await?, *json).await,
        ExperimentCommand::Outputs { name, run } => {
            let personas = load(base, name).await?.outputs(run).await.map_err(told)?;
            output::result(&output::json(&personas)?).map(|()| OK)
        }
        ExperimentCommand::Delete { name, yes } => delete(base, name, *yes, *talk).await,
    }
}

fn told(err: Error) -> CommandError {
    CommandError::of_run(&err)
}

/// An experiment by its name, or by its folder.
async fn load(base: &Path, name: &str) -> Result<Experiment, CommandError> {
    let loaded = Experiment::load(base.join(name)).await;
    match loaded {
        Ok(experiment) => Ok(experiment),
        Err(err) => {
            if antiphon_fs::exists(base.join(name).join("experiment.toml")).await.is_ok_and(|there| there) {
                return Err(told(err));
            }
            let known: Vec<Experiment> =
                Experiment::list(base).await.unwrap_or_default().into_iter().flatten().collect();
            let names = known.iter().map(|experiment| experiment.definition().name.as_str());
            Err(match antiphon_engine::near_name(name, names) {
                Some(near) => told(err).hint(format!("did you mean {near}?")),
                None => told(err).hint("antiphon experiment list shows which there are"),
            })
        }
    }
}

async fn generate(
    base: &Path,
    names: &[String],
    how: &GenerationArgs,
    talk: &Talk,
) -> Result<u8, CommandError> {
    let env = Environment::read();
    let (mut planned, mut experiments, mut roots) = (Vec::new(), Vec::new(), Vec::new());
    for name in names {
        let experiment = load(base, name).await?;
        let root = antiphon_fs::canonical(experiment.root()).await;
        let root = root.map_err(|err| CommandError::new(USAGE, err.to_string()))?;
        if roots.contains(&root) {
            continue;
        }
        roots.push(root);
        if experiment.data().await.map_err(told)?.is_empty() {
            let message = format!("experiment {name} has no data");
            let hint = format!("antiphon experiment add {name} PATH brings some");
            return Err(CommandError::new(USAGE, message).hint(hint));
        }
        let mut files = config::files(&env).await?;
        let definition = experiment.definition();
        if !definition.defaults.is_empty() {
            // What it says goes before the other files.
            let place = format!("{}: [defaults]", experiment.root().join("experiment.toml").display());
            let defaults =
                toml::Table::from_iter([("defaults".to_owned(), definition.defaults.clone().into())]);
            let file = ConfigFile::parse(&place, &defaults.to_string());
            files.insert(0, file.map_err(|err| CommandError::new(CONFIG, err.to_string()))?);
        }
        let settings = resolve(&how.flags(Some(experiment.outputs_path())), &env, &files)?;
        let drawn = how.personas.drawn().or(&definition.personas);
        let recipe = drawn.recipe(experiment.root()).await;
        let recipe = recipe.map_err(|err| told(err).hint(format!("this is experiment {name}")))?;
        let request =
            GenerateRequest::new([experiment.data_path()], experiment.outputs_path()).recipe(recipe);
        planned.push(Planned::new(settings, request, how).await?);
        experiments.push(experiment);
    }
    let code = generate::all(&planned, how, *talk).await?;
    for experiment in experiments.iter().filter(|_| !how.dry_run) {
        tell_readme(experiment, *talk).await;
        talk.hint(&format!(
            "its runs are looked at with antiphon runs report latest --dir {}",
            experiment.outputs_path().display()
        ));
    }
    Ok(code)
}

/// What was made is not lost because the README could not be written.
async fn tell_readme(experiment: &Experiment, talk: Talk) {
    if let Err(err) = experiment.write_readme().await {
        talk.warning(&format!("the README is as it was: {}", told(err)));
    }
}

async fn list(base: &Path, as_json: bool, talk: Talk) -> Result<u8, CommandError> {
    let mut rows = Vec::new();
    for experiment in Experiment::list(base).await.map_err(told)? {
        // One that cannot be read hides no other.
        match experiment {
            Ok(experiment) => {
                let all = experiment.statistics().await.map_err(told)?;
                rows.push((experiment, all));
            }
            Err(err) => talk.error(&told(err)),
        }
    }
    if as_json {
        let experiments: Vec<Value> = rows
            .iter()
            .map(|(experiment, all)| json!({ "definition": experiment.definition(), "statistics": all }))
            .collect();
        let document = json!({ "schema": "antiphon.experiments/1", "experiments": experiments });
        return output::result(&output::json(&document)?).map(|()| OK);
    }
    let mut text = String::new();
    for (experiment, all) in &rows {
        let Definition { name, description, .. } = experiment.definition();
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

async fn show(experiment: &Experiment, as_json: bool) -> Result<u8, CommandError> {
    let (definition, data) = (experiment.definition(), experiment.data().await.map_err(told)?);
    let all = experiment.statistics().await.map_err(told)?;
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
        ("folder", Some(experiment.root().display().to_string())),
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
        ("tokens", Some(format!("{} + {}", all.input_tokens, all.output_tokens))),
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

async fn history(experiment: &Experiment, as_json: bool) -> Result<u8, CommandError> {
    let runs = experiment.history().await.map_err(told)?;
    if as_json {
        let reports: Vec<_> = runs.iter().map(|run| &run.report).collect();
        let document = json!({ "schema": "antiphon.history/1", "runs": reports });
        return output::result(&output::json(&document)?).map(|()| OK);
    }
    let mut text = String::new();
    for PastRun { folder, report, personas, .. } in &runs {
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

async fn delete(base: &Path, name: &str, is_sure: bool, talk: Talk) -> Result<u8, CommandError> {
    let experiment = load(base, name).await?;
    let own = experiment.definition().name.clone();
    let confirmation = if is_sure { own } else { asked(&experiment).await? };
    let root = experiment.root().display().to_string();
    experiment.delete(&confirmation).await.map_err(told)?;
    talk.line(&format!("removed {root}"));
    Ok(OK)
}

/// The name of what is to be removed, typed by whoever wants that.
async fn asked(experiment: &Experiment) -> Result<String, CommandError> {
    let (name, all) = (&experiment.definition().name, experiment.statistics().await.map_err(told)?);
    if !std::io::stdin().is_terminal() {
        let message = format!("not removed: nobody is there to be asked whether {name} may go");
        return Err(CommandError::new(USAGE, message).hint("say it with --yes"));
    }
    let (files, runs) = (counted(all.files, "file"), counted(all.runs, "run"));
    let question = format!("{files} of data and {runs} of {name} will be removed. Type its name to go on: ");
    let answer = tokio::task::spawn_blocking(move || {
        let mut answer = String::new();
        let mut stderr = anstream::stderr().lock();
        let asked = stderr.write_all(question.as_bytes()).and_then(|()| stderr.flush());
        asked.and_then(|()| std::io::stdin().read_line(&mut answer)).map(|_| answer)
    });
    let answer = answer.await.map_err(|err| CommandError::internal(err.to_string()))?;
    let answer = answer.map_err(|err| CommandError::new(USAGE, format!("stdin cannot be read: {err}")))?;
    Ok(answer.trim().to_owned())
}

use std::fmt::Write;
use std::path::Path;

use antiphon_engine::{Destination, Lines};
use clap::Parser;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::cli::{
    AtOnce, Cli, Command, ContentArgs, ExperimentArgs, ExperimentCommand, ExportArg, GenerateArgs,
    GenerationArgs, LimitArgs, MapArgs, RunsArgs, RunsCommand,
};
use super::config;
use super::error::{CONFIG, CommandError, OK, USAGE};
use super::output::{self, Talk};
use super::progress::cost;
use crate::operations::{self, ExportFormat, RunInfo};
use crate::runtime::{Environment, Flags, resolve};

pub(super) async fn run(args: &RunsArgs, talk: &Talk) -> Result<u8, CommandError> {
    let env = Environment::read();
    let flags = Flags { out: args.dir.clone(), ..Flags::default() };
    let settings = resolve(&flags, &env, &config::files(&env).await?)?;
    let folder = &settings.out.value;
    match &args.command {
        RunsCommand::List { json } => list(folder, *json).await,
        RunsCommand::Show { run, json } => show(folder, run, *json).await,
        RunsCommand::Resume { run, limits } => go_on(folder, (run, false), limits, talk).await,
        RunsCommand::RetryFailed { run, limits } => go_on(folder, (run, true), limits, talk).await,
        RunsCommand::Diff { first, second, json } => diff(folder, (first, second), *json).await,
        RunsCommand::Report { run, out } => {
            let path = operations::report_run(folder, run, out.as_deref()).await.map_err(told)?;
            output::result(&format!("{}\n", path.display())).map(|()| OK)
        }
        RunsCommand::Export { run, out, format } => {
            let out = out.as_deref().filter(|path| *path != Path::new("-"));
            let format = match format.or_else(|| out.and_then(ExportArg::of)) {
                Some(ExportArg::Json) => ExportFormat::Json,
                Some(ExportArg::Csv) => ExportFormat::Csv,
                Some(ExportArg::Markdown) => ExportFormat::Markdown,
                Some(ExportArg::Jsonl) | None => ExportFormat::Jsonl,
            };
            let to = match out {
                Some(path) => Destination::File(path.to_owned()),
                None => Destination::Lines(Lines::new(super::map::stdout)),
            };
            operations::export_run(folder, run, &to, format).await.map_err(told)?;
            Ok(OK)
        }
    }
}

fn told(err: antiphon_pipeline::Error) -> CommandError {
    CommandError::of_run(&err)
}

async fn list(folder: &Path, as_json: bool) -> Result<u8, CommandError> {
    let runs = operations::runs(folder).await.map_err(told)?;
    if as_json {
        let runs: Vec<Value> = runs.iter().map(as_document).collect();
        let text = output::json(&json!({ "schema": "antiphon.runs/1", "runs": runs }))?;
        return output::result(&text).map(|()| OK);
    }
    // Writing to a String cannot fail.
    let mut text = String::new();
    if !runs.is_empty() {
        let _ = writeln!(
            text,
            "{:<36}  {:<20}  {:<8}  {:<16}  {:<13}  MADE FROM",
            "RUN", "BEGUN", "STATUS", "ROWS", "COST"
        );
    }
    for RunInfo { record, tally, .. } in &runs {
        let (total, request) = (tally.jobs(), request(&record.request));
        let rows = match tally.failed {
            0 => format!("{}/{total}", tally.accepted),
            failed => format!("{}/{total}, {failed} failed", tally.accepted),
        };
        let _ = writeln!(
            text,
            "{}  {}  {:<8}  {rows:<16}  {:<13}  {}{}",
            record.id,
            at(record.created_at),
            record.status.name(),
            cost((!tally.cost_unknown).then_some(tally.settled)),
            request["input"].as_str().unwrap_or_default(),
            request["recipe"].as_str().map(|recipe| format!(" with {recipe}")).unwrap_or_default(),
        );
    }
    output::result(&text).map(|()| OK)
}

async fn show(folder: &Path, run: &str, as_json: bool) -> Result<u8, CommandError> {
    let info = operations::run_info(folder, run).await.map_err(told)?;
    if as_json {
        return output::result(&output::json(&as_document(&info))?).map(|()| OK);
    }
    let RunInfo { record, tally, .. } = &info;
    let request = request(&record.request);
    let mut text = format!("run        {}\nstatus     {}\n", record.id, record.status.name());
    let mut line = |name: &str, value: String| text.push_str(&format!("{name:<10} {value}\n"));
    line("begun", at(record.created_at));
    line("ended", record.ended_at.map_or_else(|| "not yet".to_owned(), at));
    for (name, key) in [("input", "input"), ("recipe", "recipe"), ("model", "model")] {
        line(name, request[key].as_str().unwrap_or_default().to_owned());
    }
    let left = tally.jobs() - tally.accepted - tally.failed;
    line("rows", format!("{} done, {} failed, {left} left", tally.accepted, tally.failed));
    line("calls", tally.calls.to_string());
    line("tokens", format!("{} + {}", tally.input_tokens, tally.output_tokens));
    line("cost", cost((!tally.cost_unknown).then_some(tally.settled)));
    if tally.lost > 0 {
        let most = match tally.unbounded {
            0 => format!(", with at most {}", cost(Some(tally.possible))),
            _ => String::new(),
        };
        line("unsure", format!("{} calls that broke off may have been billed{most}", tally.lost));
    }
    let report: Value =
        record.report.as_deref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    for cause in report["causes"].as_array().into_iter().flatten() {
        let (rows, error) = (&cause["rows"], cause["error"].as_str().unwrap_or_default());
        line("failed", format!("{rows} by {error}: {}", cause["message"].as_str().unwrap_or_default()));
    }
    // Of a short run it says nothing.
    if report["time"]["wall_ms"].as_u64() >= Some(operations::WORTH_TELLING)
        && let Some(advice) = report["time"]["advice"].as_str()
    {
        line("time", advice.to_owned());
    }
    line("folder", folder.join(&record.id).display().to_string());
    output::result(&text).map(|()| OK)
}

async fn diff(folder: &Path, (first, second): (&str, &str), as_json: bool) -> Result<u8, CommandError> {
    let diff = operations::diff_runs(folder, first, second).await.map_err(told)?;
    if as_json {
        let mut document = json!({ "schema": "antiphon.diff/1" });
        if let (Value::Object(all), Value::Object(found)) = (&mut document, json!(diff)) {
            all.extend(found);
        }
        return output::result(&output::json(&document)?).map(|()| OK);
    }
    let mut text = format!(
        "{} the same, {} changed, {} only in the first, {} only in the second, {} in neither\n",
        diff.same, diff.changed, diff.only_first, diff.only_second, diff.neither
    );
    let told = |result: &Option<String>| result.as_deref().unwrap_or("no result").to_owned();
    for change in &diff.changes {
        let (first, second) = (told(&change.first), told(&change.second));
        text.push_str(&format!("\nrow {}: {}\n- {first}\n+ {second}\n", change.index, change.row));
    }
    output::result(&text).map(|()| OK)
}

/// Gives the command again that began a run, for this one run alone, where it was given.
async fn go_on(
    folder: &Path,
    (run, retry_failed): (&str, bool),
    limits: &LimitArgs,
    talk: &Talk,
) -> Result<u8, CommandError> {
    let info = operations::run_info(folder, run).await.map_err(told)?;
    let request = request(&info.record.request);
    let mut dir = folder.to_owned();
    if let Some(there) = request["folder"].as_str().map(Path::new)
        && std::env::current_dir().is_ok_and(|here| here != there)
    {
        let entered =
            std::path::absolute(folder).and_then(|dir| std::env::set_current_dir(there).map(|()| dir));
        dir = entered.map_err(|err| {
            let message = format!("the run was begun in {}, which cannot be entered: {err}", there.display());
            CommandError::new(CONFIG, message)
        })?;
        talk.line(&format!("in {}, where the run was begun:", there.display()));
    }
    let arguments = request["arguments"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let command = std::iter::once("antiphon").chain(arguments);
    match Cli::try_parse_from(command).map(|cli| cli.command) {
        Ok(Command::Map(args)) => {
            // Failed rows are queued when it is clear that the run can be gone on with.
            let again = MapArgs { resume: Some(info.record.id), retry_failed, dir: Some(dir), ..*args };
            Box::pin(super::map::run(&limited(again, limits)?, talk)).await
        }
        Ok(Command::Generate(args)) => {
            let inputs = request["input"].as_str().map(Into::into).into_iter().collect();
            let out = Some(dir);
            let how = gone_on_with(args.how, info.record.id, limits);
            Box::pin(super::generate::run(&GenerateArgs { inputs, allow_local: false, out, how }, talk)).await
        }
        Ok(Command::Experiment(ExperimentArgs {
            dir: base,
            command: ExperimentCommand::Generate { names, how },
        })) => {
            let input = request["input"].as_str().map(Path::new).unwrap_or_else(|| Path::new(""));
            let is_meant = |name: &String| input.starts_with(base.join(name));
            let names = names.into_iter().filter(is_meant).collect();
            let how = Box::new(gone_on_with(*how, info.record.id, limits));
            let command = ExperimentCommand::Generate { names, how };
            Box::pin(super::experiment::run(&ExperimentArgs { dir: base, command }, talk)).await
        }
        Ok(Command::Content(args)) => {
            let (resume, dir) = (Some(info.record.id), Some(dir));
            let (max_cost, concurrency) =
                (limits.max_cost.or(args.max_cost), limits.concurrency.or(args.concurrency));
            let again =
                ContentArgs { resume, retry_failed, dir, max_cost, concurrency, fresh: false, ..*args };
            Box::pin(super::content::run(&again, talk)).await
        }
        _ => {
            let message = format!("run {} does not tell how it was begun", info.record.id);
            Err(CommandError::new(CONFIG, message).hint("give the command again that began it"))
        }
    }
}

fn gone_on_with(mut how: GenerationArgs, run: String, limits: &LimitArgs) -> GenerationArgs {
    if limits.concurrency.is_some() {
        how.concurrency = limits.concurrency.and_then(AtOnce::number).or(how.concurrency);
    }
    how.max_cost = limits.max_cost.or(how.max_cost);
    (how.resume, how.fresh) = (Some(run), false);
    how
}

fn limited(mut args: MapArgs, limits: &LimitArgs) -> Result<MapArgs, CommandError> {
    if args.rows == Path::new("-") {
        return Err(CommandError::new(USAGE, "the rows of this run came from stdin")
            .hint("give the same command again, with the same rows"));
    }
    args.fresh = false;
    args.max_cost = limits.max_cost.or(args.max_cost);
    args.concurrency = limits.concurrency.or(args.concurrency);
    Ok(args)
}

fn request(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_default()
}

fn at(millis: i64) -> String {
    Timestamp::from_millisecond(millis)
        .map_or_else(|_| String::new(), |at| at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
}

fn as_document(info: &RunInfo) -> Value {
    let RunInfo { record, tally, .. } = info;
    json!({
        "schema": "antiphon.run-info/1",
        "run_id": record.id,
        "kind": record.kind,
        "status": record.status.name(),
        "created_at": at(record.created_at),
        "ended_at": record.ended_at.map(at),
        "request": request(&record.request),
        "rows": tally.jobs(),
        "accepted": tally.accepted,
        "failed": tally.failed,
        "calls": tally.calls,
        "input_tokens": tally.input_tokens,
        "output_tokens": tally.output_tokens,
        "cost_usd_micros": (!tally.cost_unknown).then_some(tally.settled),
        "possibly_billed_calls": tally.lost,
        "possibly_billed_usd_micros": tally.possible,
        "report": record.report.as_deref().map(request),
    })
}

use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use antiphon_engine::{Destination, LONG_RUN, Lines, Meter};
use serde_json::json;

use super::cli::{ExportArg, LimitArgs, OverwriteArgs, ProgressMode, RunsArgs, RunsCommand};
use super::error::{CommandError, OK, Repeat};
use super::front::{Front, closed, results, watch};
use super::interrupt::Interrupts;
use super::output::{self, Talk};
use super::progress::{Live, cost, tokens};
use super::rows::Ending;
use crate::operations::{
    Experiments, ExportFormat, ListFilter, OperationError, Page, RunInfo, RunOutcome, RunResult, Workspace,
};
use crate::runtime::Flags;

/// The extensions by which `--out` is known to name a file, as it did before it named the folder.
const EXPORTS: [&str; 6] = ["jsonl", "json", "csv", "md", "markdown", "html"];

pub(super) async fn run(args: &RunsArgs, talk: &Talk) -> Result<u8, CommandError> {
    let named = match &args.command {
        RunsCommand::Export { results, .. } | RunsCommand::Report { results, .. } => results.as_ref(),
        _ => None,
    };
    let takes_file = matches!(args.command, RunsCommand::Export { .. } | RunsCommand::Report { .. });
    let (out, file) =
        if takes_file { results(&args.out, named, &EXPORTS, *talk).await } else { (args.out.folder(), None) };
    let front = Front::new(&Flags::default().out(out)).await?;
    let workspace = front.workspace();
    match &args.command {
        RunsCommand::Resume { run, limits, existing } => {
            resume(front, ResumedRun { run, retry_failed: false, limits, existing }, *talk).await
        }
        RunsCommand::RetryFailed { run, limits, existing } => {
            resume(front, ResumedRun { run, retry_failed: true, limits, existing }, *talk).await
        }
        command => {
            let done = look(&workspace, command, file.as_deref(), *talk).await;
            workspace.close().await;
            done.map(|()| OK)
        }
    }
}

async fn look(
    workspace: &Workspace,
    command: &RunsCommand,
    file: Option<&Path>,
    talk: Talk,
) -> Result<(), CommandError> {
    match command {
        RunsCommand::List { json } => list(workspace, *json).await,
        RunsCommand::Show { run, json } => show(workspace, run, *json).await,
        RunsCommand::Cancel { run } => {
            let info = workspace.cancel(run).await?;
            talk.line(&format!(
                "cancelled run {}: {} of {} rows are done and kept",
                info.run_id, info.accepted, info.rows
            ));
            Ok(())
        }
        RunsCommand::Diff { first, second, json } => diff(workspace, first, second, *json).await,
        RunsCommand::Report { run, existing, .. } => {
            let to = file.map(|file| destination(Some(file), existing));
            match workspace.report(run, to).await? {
                Some(path) => output::result(&format!("{}\n", path.display())),
                None => Ok(()),
            }
        }
        RunsCommand::Export { run, format, existing, .. } => {
            let format = match format.or_else(|| file.and_then(ExportArg::of)) {
                Some(ExportArg::Json) => ExportFormat::Json,
                Some(ExportArg::Csv) => ExportFormat::Csv,
                Some(ExportArg::Markdown) => ExportFormat::Markdown,
                Some(ExportArg::Jsonl) | None => ExportFormat::Jsonl,
            };
            Ok(workspace.export(run, &destination(file, existing), format).await?)
        }
        RunsCommand::Resume { .. } | RunsCommand::RetryFailed { .. } => Ok(()),
    }
}

/// Returns the destination for the file that a flag names; none and `-` are stdout.
fn destination(file: Option<&Path>, existing: &OverwriteArgs) -> Destination {
    match file.filter(|path| *path != Path::new("-")) {
        None => Destination::Lines(Lines::new(output::stdout)),
        Some(path) if existing.overwrite => Destination::Replace(path.to_owned()),
        Some(path) => Destination::File(path.to_owned()),
    }
}

/// Returns all runs, the oldest first.
async fn all(workspace: &Workspace) -> Result<Vec<RunInfo>, OperationError> {
    let (mut runs, mut page) = (Vec::new(), Page::default());
    let filter = ListFilter { with_parts: true, ..ListFilter::default() };
    loop {
        let found = workspace.list(&filter, &page).await?;
        runs.extend(found.runs);
        match found.next {
            Some(next) => page = Page::after(Some(next)),
            None => break,
        }
    }
    runs.reverse();
    Ok(runs)
}

async fn list(workspace: &Workspace, as_json: bool) -> Result<(), CommandError> {
    let runs = all(workspace).await?;
    if as_json {
        return output::result(&output::json(&json!({ "schema": "antiphon.runs/1", "runs": runs }))?);
    }
    // Writing to a String cannot fail.
    let mut text = String::new();
    if !runs.is_empty() {
        let _ = writeln!(
            text,
            "{:<36}  {:<20}  {:<9}  {:<16}  {:<13}  INPUT",
            "RUN", "STARTED", "STATUS", "ROWS", "COST"
        );
    }
    for run in &runs {
        let rows = match run.failed {
            0 => format!("{}/{}", run.accepted, run.rows),
            failed => format!("{}/{}, {failed} failed", run.accepted, run.rows),
        };
        let _ = writeln!(
            text,
            "{}  {}  {:<9}  {rows:<16}  {:<13}  {}{}",
            run.run_id,
            run.created_at,
            run.status.name(),
            cost(run.cost_usd_micros),
            run.input,
            run.recipe.as_ref().map(|recipe| format!(" with {recipe}")).unwrap_or_default(),
        );
    }
    output::result(&text)
}

async fn show(workspace: &Workspace, run: &str, as_json: bool) -> Result<(), CommandError> {
    let info = workspace.status(run).await?;
    if as_json {
        return output::result(&output::json(&info)?);
    }
    let mut text = format!("run        {}\nstatus     {}\n", info.run_id, info.status.name());
    let mut line = |name: &str, value: &str| text.push_str(&format!("{name:<10} {value}\n"));
    line("started", &info.created_at);
    line("ended", info.ended_at.as_deref().unwrap_or("not yet"));
    line("input", &info.input);
    line("recipe", info.recipe.as_deref().unwrap_or_default());
    line("model", info.model.as_deref().unwrap_or_default());
    let left = info.rows - info.accepted - info.failed;
    line("rows", &format!("{} done, {} failed, {left} left", info.accepted, info.failed));
    line("calls", &info.calls.to_string());
    line("tokens", &tokens(info.input_tokens, info.output_tokens));
    line("cost", cost(info.cost_usd_micros).trim_start_matches("cost "));
    if info.possibly_billed_calls > 0 {
        let most = match info.possibly_billed_unbounded {
            0 => format!(", at most {}", cost(Some(info.possibly_billed_usd_micros))),
            _ => String::new(),
        };
        let calls = info.possibly_billed_calls;
        line("unsettled", &format!("{calls} calls without an answer, possibly billed{most}"));
    }
    let report = info.report.unwrap_or_default();
    let served = report["served_models"].as_object().into_iter().flatten();
    let mut served: Vec<String> = served.map(|(model, results)| format!("{model} ({results})")).collect();
    served.extend(report["served_model"].as_str().map(str::to_owned));
    if !served.is_empty() {
        line("served by", &served.join(", "));
    }
    for cause in report["causes"].as_array().into_iter().flatten() {
        let (rows, error) = (&cause["rows"], cause["error"].as_str().unwrap_or_default());
        line("failed", &format!("{rows} by {error}: {}", cause["message"].as_str().unwrap_or_default()));
    }
    // The bottleneck of a short run is not meaningful.
    if report["time"]["wall_ms"].as_u64().map(Duration::from_millis) >= Some(LONG_RUN)
        && let Some(advice) = report["time"]["advice"].as_str()
    {
        line("bottleneck", advice);
    }
    line("folder", &workspace.folder().join(&info.run_id).display().to_string());
    output::result(&text)
}

async fn diff(workspace: &Workspace, first: &str, second: &str, as_json: bool) -> Result<(), CommandError> {
    let diff = workspace.diff(first, second).await?;
    if as_json {
        return output::result(&output::json(&diff)?);
    }
    let mut text = format!(
        "{} the same, {} changed, {} only in the first, {} only in the second, {} in neither\n",
        diff.same, diff.changed, diff.only_first, diff.only_second, diff.neither
    );
    let shown = |result: &Option<String>| result.as_deref().unwrap_or("no result").to_owned();
    for change in &diff.changes {
        let (first, second) = (shown(&change.first), shown(&change.second));
        text.push_str(&format!("\nrow {}: {}\n- {first}\n+ {second}\n", change.index, change.row));
    }
    output::result(&text)
}

/// A run to resume: its name, whether failed rows are retried, and the flags.
struct ResumedRun<'a> {
    run: &'a str,
    retry_failed: bool,
    limits: &'a LimitArgs,
    existing: &'a OverwriteArgs,
}

/// Resumes a run from the journal.
async fn resume(front: Front, resumed: ResumedRun<'_>, talk: Talk) -> Result<u8, CommandError> {
    let ResumedRun { run, retry_failed, limits, existing } = resumed;
    let workspace = front.workspace();
    let info = workspace.status(run).await?;
    let is_personas = info.kind == "personas";
    let meter = if is_personas { Meter::of_documents(1) } else { Meter::of_rows() };
    let live = Live::new(ProgressMode::Auto, talk, meter);
    let watch = watch(&live, talk, &front.settings).overwrite(existing.overwrite);
    let interrupts = Interrupts::listen(watch.drain.clone(), watch.cancel.clone(), &live);
    let limits = limits.limits();
    let done = if retry_failed {
        live.ticking(Box::pin(workspace.retry_failed(&info.run_id, &limits, watch))).await
    } else {
        live.ticking(Box::pin(workspace.resume(&info.run_id, &limits, watch))).await
    };
    live.end();
    if is_personas {
        write_readme(&workspace, talk).await;
        workspace.close().await;
        return super::generate::resumed(done, &interrupts, talk);
    }
    let outcome: RunOutcome = closed(workspace, done).await?;
    let ending =
        Ending { as_json: false, repeat: Repeat::Same, is_resume: true, interrupts: &interrupts, talk };
    match outcome.result {
        RunResult::Content(_) => super::content::finish(&outcome, &ending),
        _ => super::map::finish(&outcome, &ending),
    }
}

/// Updates the README of the experiment whose outputs the runs are, if any.
async fn write_readme(workspace: &Workspace, talk: Talk) {
    let Some((root, name)) = workspace.folder().parent().and_then(|root| Some((root, root.file_name()?)))
    else {
        return;
    };
    if antiphon_fs::exists(root.join("experiment.toml")).await.is_ok_and(|there| there) {
        let experiments = Experiments::new(root.parent().unwrap_or_else(|| Path::new("")));
        super::experiment::write_readme(&experiments, &name.to_string_lossy(), talk).await;
    }
}

//! `runs`: the runs of an output folder, from the journal.
//!
//! | command | stdout | with `--json` |
//! |---|---|---|
//! | `list` | a table, the oldest first | `antiphon.runs/1` |
//! | `show` | state, cost, why rows failed, and the command that resumes it | `antiphon.run-info/2` |
//! | `diff` | the rows whose results differ | the differences as data |
//! | `report` | the path of the HTML report | - |
//! | `export` | the results, unless `--results` names a file | - |
//! | `resume`, `retry-failed` | the result, as by the command that started the run | - |
//! | `cancel`, `delete` | nothing | - |
//! | `prune` | with `--dry-run` the table of the runs | - |
//!
//! All but the last three lines only read the journal, and may be used while another process works on the run. A run is
//! named by its id, a prefix of it, or `latest`. `delete` and `prune` are in `deletion`.
//!
//! Exit codes: `resume` and `retry-failed` have those of the command that started the run, and its handling of Ctrl-C;
//! `delete` and `prune` return 4 if a run could not be deleted; the others return 0 or fail, with 2 for a run that does
//! not exist.

use std::path::Path;
use std::time::Duration;

use antiphon_engine::{Destination, LONG_RUN, Lines, Meter};
use serde_json::{Value, json};

use super::cli::{ExportArg, OverwriteArgs, ResumeArgs, RunsArgs, RunsCommand};
use super::deletion::{delete, prune};
use super::error::{CommandError, OK, Repeat, USAGE};
use super::front::{Front, closed, results, watch};
use super::interrupt::Interrupts;
use super::output::{self, Talk};
use super::progress::{Live, Possible, counted, dollars, tokens};
use super::rows::{Ending, command_on};
use crate::operations::{
    CurrentStatus, Experiments, ExportFormat, ListFilter, OperationError, Page, PruneFilter, RunInfo,
    RunOutcome, RunResult, Watch, Workspace,
};
use crate::runtime::Flags;

/// The extensions by which `--out` is known to name a file, as it did before it named the folder.
const EXPORTS: [&str; 6] = ["jsonl", "json", "csv", "md", "markdown", "html"];

/// Runs the subcommand.
pub(super) async fn run(args: &RunsArgs, talk: &Talk) -> Result<u8, CommandError> {
    let (out, file) = match &args.command {
        RunsCommand::Export { results: named, .. } | RunsCommand::Report { results: named, .. } => {
            results(&args.out, named.as_ref(), &EXPORTS, *talk).await
        }
        _ => (args.out.folder(), None),
    };
    let front = Front::new(&Flags::default().out(out), talk).await?;
    if let Some(resumed) = ResumedRun::of(&args.command) {
        return resume(front, resumed, *talk).await;
    }
    let workspace = front.workspace();
    let done = match &args.command {
        RunsCommand::Delete { runs, confirmation } => delete(&workspace, runs, *confirmation, *talk).await,
        RunsCommand::Prune { older_than, status, keep, dry_run, confirmation } => {
            let status = status.map(CurrentStatus::from);
            let filter = PruneFilter::new(*older_than).status(status).keep(*keep);
            prune(&workspace, &filter, (!dry_run).then_some(*confirmation), *talk).await
        }
        command => look(&workspace, command, file.as_deref(), *talk).await.map(|()| OK),
    };
    workspace.close().await;
    done
}

/// Runs a subcommand that makes no call and deletes nothing; `file` is the destination of an export or a report.
async fn look(
    workspace: &Workspace,
    command: &RunsCommand,
    file: Option<&Path>,
    talk: Talk,
) -> Result<(), CommandError> {
    match command {
        RunsCommand::List { status, json } => list(workspace, status.map(CurrentStatus::from), *json).await,
        RunsCommand::Show { run, json } => show(workspace, run, *json).await,
        RunsCommand::Cancel { run } => cancel(workspace, run, talk).await,
        RunsCommand::Diff { first, second, all, json } => {
            let most = if *all { usize::MAX } else { super::diff::CHANGES };
            super::diff::print(&workspace.diff(first, second, most).await?, *json)
        }
        RunsCommand::Report { run, existing, .. } => report(workspace, run, file, existing).await,
        RunsCommand::Export { run, format, existing, .. } => {
            let format = export_format(*format, file)?;
            let to = match destination(file, existing) {
                Destination::Lines(_) if matches!(format, ExportFormat::Json | ExportFormat::Jsonl) => {
                    Destination::Lines(Lines::new(output::json_lines))
                }
                to => to,
            };
            let written = export(workspace, run, &to, format).await?;
            written.iter().for_each(|written| talk.line(written));
            Ok(())
        }
        RunsCommand::Resume(_)
        | RunsCommand::RetryFailed(_)
        | RunsCommand::Delete { .. }
        | RunsCommand::Prune { .. } => Ok(()),
    }
}

/// Writes the results of a run, and returns what was written, unless it went to stdout.
async fn export(
    workspace: &Workspace,
    run: &str,
    to: &Destination,
    format: ExportFormat,
) -> Result<Option<String>, CommandError> {
    let exported = workspace.export(run, to, format).await?;
    let results = counted(exported.results, "result");
    Ok(match to {
        Destination::File(path) | Destination::Replace(path) | Destination::Own(path) => {
            Some(format!("wrote {results} as {} to {}", format.name(), path.display()))
        }
        _ => None,
    })
}

/// Cancels a run for good: unlike a stopped one, it cannot be resumed.
async fn cancel(workspace: &Workspace, run: &str, talk: Talk) -> Result<(), CommandError> {
    let info = workspace.cancel(run).await?;
    talk.line(&format!(
        "cancelled run {}: {} of {} done and kept",
        info.run_id,
        info.accepted,
        counted(info.rows, "row")
    ));
    Ok(())
}

/// Writes the HTML report of a run, and prints its path, unless it went to stdout.
async fn report(
    workspace: &Workspace,
    run: &str,
    file: Option<&Path>,
    existing: &OverwriteArgs,
) -> Result<(), CommandError> {
    let to = file.map(|file| destination(Some(file), existing));
    match workspace.report(run, to).await? {
        Some(path) => output::result(&format!("{}\n", path.display())),
        None => Ok(()),
    }
}

/// Returns the format of an export: that of the flag, else that of the file's extension; JSONL for stdout and for a file
/// without an extension, such as a pipe.
///
/// # Errors
/// A usage error for an extension without a format.
fn export_format(named: Option<ExportArg>, file: Option<&Path>) -> Result<ExportFormat, CommandError> {
    if let Some(named) = named {
        return Ok(named.into());
    }
    let Some((file, extension)) = file.and_then(|file| Some((file, file.extension()?))) else {
        return Ok(ExportFormat::Jsonl);
    };
    ExportFormat::from_path(file).ok_or_else(|| {
        let (extension, known) =
            (extension.display(), ExportFormat::endings().map(|known| format!(".{known}")));
        let message =
            format!("cannot export to {}: .{extension} is the extension of no format", file.display());
        let known = known.collect::<Vec<_>>().join(", ");
        CommandError::new(USAGE, message).hint(format!("use one of {known}, or set the format with --format"))
    })
}

/// Returns the destination for the file that a flag names; none and `-` are stdout.
fn destination(file: Option<&Path>, existing: &OverwriteArgs) -> Destination {
    match file.filter(|path| *path != Path::new("-")) {
        None => Destination::Lines(Lines::new(output::stdout)),
        Some(path) if existing.overwrite => Destination::Replace(path.to_owned()),
        Some(path) => Destination::File(path.to_owned()),
    }
}

/// Returns all runs with a status, the oldest first. The store returns pages with the newest first. Runs that are parts of
/// other runs are included.
async fn all(workspace: &Workspace, status: Option<CurrentStatus>) -> Result<Vec<RunInfo>, OperationError> {
    let (mut runs, mut page) = (Vec::new(), Page::default());
    let filter = ListFilter { with_parts: true, status, ..ListFilter::default() };
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

/// Prints all runs with a status.
async fn list(
    workspace: &Workspace,
    status: Option<CurrentStatus>,
    as_json: bool,
) -> Result<(), CommandError> {
    let runs = all(workspace, status).await?;
    if as_json {
        return output::result(&output::json(&json!({ "schema": "antiphon.runs/1", "runs": runs }))?);
    }
    output::result(&table(&runs))
}

/// Formats runs as a table with a header; empty for no runs.
pub(super) fn table(runs: &[RunInfo]) -> String {
    let lines: String = runs.iter().map(table_line).collect();
    if runs.is_empty() { lines } else { table_header() + &lines }
}

/// Returns the header of the table of runs.
fn table_header() -> String {
    let (run, started, status, rows, cost) = ("RUN", "STARTED", "STATUS", "ROWS", "COST");
    format!("{run:<36}  {started:<20}  {status:<11}  {rows:<16}  {cost:<13}  INPUT\n")
}

/// Returns what the possibly billed calls of a run may add to its cost.
fn possible(run: &RunInfo) -> Possible {
    Possible { most: run.possibly_billed_usd_micros, is_unbounded: run.possibly_billed_unbounded > 0 }
}

/// Formats a run as a line of the table. The id has its full length, so that it can be copied. The number of rows has a `+`
/// while not all were read.
fn table_line(run: &RunInfo) -> String {
    let more = if run.rows_are_all { "" } else { "+" };
    let rows = match run.failed {
        0 => format!("{}/{}{more}", run.accepted, run.rows),
        failed => format!("{}/{}{more}, {failed} failed", run.accepted, run.rows),
    };
    let cost = possible(run).in_column(run.cost_usd_micros);
    let (id, started, status) = (&run.run_id, &run.created_at, run.status.name());
    let recipe = run.recipe.as_ref().map(|recipe| format!(" with {recipe}")).unwrap_or_default();
    format!("{id}  {started}  {status:<11}  {rows:<16}  {cost:<13}  {}{recipe}\n", short_input(run))
}

/// Returns the inputs of a run for the table: of many, the first.
fn short_input(run: &RunInfo) -> String {
    match run.request["inputs"].as_array().map(Vec::as_slice) {
        Some([Value::String(first), _, _, others @ ..]) if !others.is_empty() => {
            format!("{first} and {} more", others.len() + 2)
        }
        _ => run.input.clone(),
    }
}

/// Prints one run. The state is read from the journal; models, causes and bottleneck are in the report, which the run
/// has once it has ended.
async fn show(workspace: &Workspace, run: &str, as_json: bool) -> Result<(), CommandError> {
    let info = workspace.status(run).await?;
    if as_json {
        return output::result(&output::json(&info)?);
    }
    let mut text = state_of(&info);
    if let Some(report) = &info.report {
        text.push_str(&report_of(report, info.accepted));
    }
    text.push_str(&line("folder", &workspace.folder().join(&info.run_id).display().to_string()));
    // A part is resumed with the run that needs it.
    if info.status.is_resumable() && !info.kind.contains('/') {
        text.push_str(&line("resume", &command_on("resume", &workspace.folder().join(&info.run_id))));
    }
    output::result(&text)
}

/// Formats a label and its value.
fn line(name: &str, value: &str) -> String {
    format!("{name:<10} {value}\n")
}

/// Formats what the journal has of a run: its request, its rows, and what they took.
fn state_of(info: &RunInfo) -> String {
    let left = info.rows - info.accepted - info.failed;
    let read = if info.rows_are_all { "" } else { " of the rows read so far" };
    let mut lines = vec![
        line("run", &info.run_id),
        line("status", info.status.name()),
        line("started", &info.created_at),
        line("ended", info.ended_at.as_deref().unwrap_or("not yet")),
        line("input", &info.input),
        line("recipe", info.recipe.as_deref().unwrap_or_default()),
        line("model", info.model.as_deref().unwrap_or_default()),
        line("rows", &format!("{} done, {} failed, {left} left{read}", info.accepted, info.failed)),
        line("calls", &info.calls.to_string()),
        line("tokens", &tokens(info.input_tokens, info.output_tokens)),
        line("cost", possible(info).beside(info.cost_usd_micros).trim_start_matches("cost ")),
    ];
    lines.extend(unsettled(info));
    lines.concat()
}

/// Formats the calls without a settlement: possibly billed, with the most that they may have cost, if that is known of
/// all.
fn unsettled(info: &RunInfo) -> Option<String> {
    let calls = info.possibly_billed_calls;
    let most = match info.possibly_billed_unbounded {
        0 => format!(", at most {}", dollars(info.possibly_billed_usd_micros)),
        _ => String::new(),
    };
    let calls_text = counted(calls, "call");
    let text = format!("{calls_text} without an answer, possibly billed{most}");
    (calls > 0).then(|| line("unsettled", &text))
}

/// Formats what the report of a run adds: the models that answered, why rows failed, and the bottleneck. The report is
/// that of any kind of run, so a key that is missing is skipped. Of `accepted` results, those of a session that was killed
/// are in no report.
fn report_of(report: &Value, accepted: u64) -> String {
    let mut text = String::new();
    let models = || report["served_models"].as_object().into_iter().flatten();
    let mut served: Vec<String> = models().map(|(model, results)| format!("{model} ({results})")).collect();
    let known: u64 = models().filter_map(|(_, results)| results.as_u64()).sum();
    if let others @ 1.. = accepted.saturating_sub(known)
        && known > 0
    {
        served.push(format!("{others} not counted"));
    }
    served.extend(report["served_model"].as_str().map(str::to_owned));
    if !served.is_empty() {
        text.push_str(&line("served by", &served.join(", ")));
    }
    // One end for all answers is the rule.
    for (title, key, least) in [("ended by", "finish_reasons", 2), ("marked", "marked_answers", 1)] {
        let counts = report[key].as_object().into_iter().flatten();
        let all: Vec<_> = counts.map(|(name, rows)| format!("{name} ({rows})")).collect();
        if all.len() >= least {
            text.push_str(&line(title, &all.join(", ")));
        }
    }
    text.extend(report["causes"].as_array().into_iter().flatten().map(failed_rows));
    // The bottleneck of a short run is not meaningful.
    if report["time"]["wall_ms"].as_u64().map(Duration::from_millis) >= Some(LONG_RUN)
        && let Some(advice) = report["time"]["advice"].as_str()
    {
        text.push_str(&line("bottleneck", advice));
    }
    text
}

/// Formats the rows that failed by one cause.
fn failed_rows(cause: &Value) -> String {
    let (rows, error) = (&cause["rows"], cause["error"].as_str().unwrap_or_default());
    let message = cause["message"].as_str().unwrap_or_default();
    line("failed", &format!("{rows} by {error}: {message}"))
}

/// A run to resume.
struct ResumedRun<'a> {
    /// Whether failed rows are retried; else only rows that have not ended are processed.
    retry_failed: bool,
    /// The run's name and the flags.
    how: &'a ResumeArgs,
}

impl<'a> ResumedRun<'a> {
    /// Returns the run that a command resumes; `None` for a command that resumes none.
    fn of(command: &'a RunsCommand) -> Option<Self> {
        match command {
            RunsCommand::Resume(how) => Some(Self { retry_failed: false, how }),
            RunsCommand::RetryFailed(how) => Some(Self { retry_failed: true, how }),
            _ => None,
        }
    }

    /// Resumes the run with this whole id, or retries its failed rows.
    async fn start(
        &self,
        workspace: &Workspace,
        run_id: &str,
        watch: Watch,
    ) -> Result<RunOutcome, OperationError> {
        let limits = self.how.limits.limits();
        if self.retry_failed {
            Box::pin(workspace.retry_failed(run_id, &limits, watch)).await
        } else {
            Box::pin(workspace.resume(run_id, &limits, watch)).await
        }
    }
}

/// Resumes a run from the journal, with the request that it was started with. The result is reported as by the command
/// that started it.
async fn resume(front: Front, resumed: ResumedRun<'_>, talk: Talk) -> Result<u8, CommandError> {
    let workspace = front.workspace();
    let info = workspace.status(&resumed.how.run).await?;
    let is_personas = info.kind == "personas";
    let meter = if is_personas { Meter::of_documents(1) } else { Meter::of_rows() };
    let live = Live::new(resumed.how.reports.progress, talk, meter);
    let watch = watch(&live, talk, &front.settings).overwrite(resumed.how.existing.overwrite);
    let interrupts = Interrupts::listen(watch.drain.clone(), watch.cancel.clone(), &live);
    let done = live.ticking(Box::pin(resumed.start(&workspace, &info.run_id, watch))).await;
    live.end();
    if is_personas {
        write_readme(&workspace, talk).await;
        workspace.close().await;
        return super::generate::resumed(done, &interrupts, talk);
    }
    let outcome = closed(workspace, done).await?;
    let ending =
        Ending { as_json: false, repeat: Repeat::Same, is_resume: true, interrupts: &interrupts, talk };
    finish(&outcome, &ending)
}

/// Prints the result of a resumed run over rows, as by the command of its kind.
fn finish(outcome: &RunOutcome, ending: &Ending<'_>) -> Result<u8, CommandError> {
    match outcome.result {
        RunResult::Content(_) => super::content::finish(outcome, ending),
        _ => super::map::finish(outcome, ending),
    }
}

/// Updates the README of the experiment whose outputs the runs are, if any: an experiment is recognised by its
/// `experiment.toml` beside the folder of outputs.
pub(super) async fn write_readme(workspace: &Workspace, talk: Talk) {
    let Some((root, name)) = workspace.folder().parent().and_then(|root| Some((root, root.file_name()?)))
    else {
        return;
    };
    if antiphon_fs::exists(root.join("experiment.toml")).await.is_ok_and(|there| there) {
        let experiments = Experiments::new(root.parent().unwrap_or_else(|| Path::new("")));
        super::experiment::write_readme(&experiments, &name.to_string_lossy(), talk).await;
    }
}

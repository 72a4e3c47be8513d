//! `map`: a prompt on each row of a table.
//!
//! The results go to a file in the run's folder, to `--results FILE`, or with `--results -` to stdout as NDJSON while
//! they arrive; then the summary is the last on stderr, so that stdout has results only. Else stdout has the summary and
//! the path of the results, or with `--json` the report as one document. Stderr has the causes of failed rows, most
//! frequent first, and the command that retries them.
//!
//! Signals, resume and the confirmation of an expensive run are those of `rows`. Exit codes: 0 if all rows have a
//! result, 4 if some have, 5 if none has; a run that stopped early has the code of the stop or of the signal.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use antiphon_engine::{LONG_RUN, MapReport, Meter, Order};
use serde_json::json;

use super::anonymised::print_anonymised;
use super::cli::{MapArgs, OrderArg};
use super::error::{ALL_FAILED, CommandError, OK, SOME_FAILED, USAGE};
use super::front::{Front, fill, results, source, watch};
use super::output::{self, Talk};
use super::progress::{Live, Possible, by_marks, by_others, counted, dollars, in_tokens};
use super::rows::{Ending, RowsRun, command_on};
use super::summary;
use crate::operations::{MapResult, RunOutcome, RunRequest, RunResult};

/// The extensions by which `--out` is known to name a file, as it did before it named the folder.
const RESULT_FILES: [&str; 1] = ["jsonl"];

/// Plans or runs the recipe on the rows.
pub(super) async fn run(args: &MapArgs, talk: &Talk) -> Result<u8, CommandError> {
    let talk = *talk;
    let (out, results) = results(&args.out, args.results.as_ref(), &RESULT_FILES, talk).await;
    one_format_on_stdout(args, results.as_deref())?;
    not_over_its_own(args, results.as_deref()).await?;
    let front = Front::new(&args.run.flags(out), &talk).await?;
    let request = request(args, results).await?;
    let spool_stdin = spool_stdin(args).await?;
    let live = Live::new(args.run.reports.progress, talk, Meter::of_rows());
    let mut watch = watch(&live, talk, &front.settings).overwrite(args.existing.overwrite);
    if let Some(file) = &spool_stdin {
        watch = watch.stdin(file.path());
    }
    let run = RowsRun { workspace: front.workspace(), request, watch, how: &args.run, live, talk };
    run.go(finish).await
}

/// Builds the request from the flags. The text of the recipe is part of it, so that the run can be resumed without the
/// file.
async fn request(args: &MapArgs, results: Option<PathBuf>) -> Result<RunRequest, CommandError> {
    let recipe = source(&args.recipe).await?;
    let mut request = RunRequest::map(&args.rows, recipe.name, recipe.text);
    fill(&mut request, &args.run);
    request.anonymise = args.anonymise.anonymise().await?;
    request.limits.max_rows = args.max_rows.max_rows;
    request.format = args.format.map(Into::into);
    request.encoding.clone_from(&args.encoding.encoding);
    request.output.results = results;
    request.output.order = match args.order {
        OrderArg::Input => Order::Input,
        OrderArg::Completion => Order::Completion,
    };
    Ok(request)
}

/// Fails if both the results and the document of `--json` would be printed on stdout.
fn one_format_on_stdout(args: &MapArgs, results: Option<&Path>) -> Result<(), CommandError> {
    if !args.run.json || results != Some(Path::new("-")) {
        return Ok(());
    }
    let message = "cannot print both the results and the document of --json on stdout";
    Err(CommandError::new(USAGE, message).hint("use --summary FILE in place of --json"))
}

/// Fails if the results would overwrite the rows or the recipe. Paths are compared with links resolved; a file that
/// does not exist has only its absolute path.
async fn not_over_its_own(args: &MapArgs, results: Option<&Path>) -> Result<(), CommandError> {
    let place = async |path: &Path| match antiphon_fs::canonical(path).await {
        Ok(place) => Some(place),
        Err(_) => std::path::absolute(path).ok(),
    };
    let Some(results) = results.filter(|path| *path != Path::new("-")) else { return Ok(()) };
    for (path, what) in [(&args.rows, "rows"), (&args.recipe, "recipe")] {
        if place(results).await == place(path).await {
            let message =
                format!("cannot write results to {}: this is the file of the {what}", results.display());
            return Err(CommandError::new(USAGE, message).hint("name another file with --results"));
        }
    }
    Ok(())
}

/// Copies the rows of stdin to a temporary file, so that they can be read more than once: for the plan and for the run.
/// The file is removed when the returned handle is dropped.
///
/// # Errors
/// A usage error if stdin cannot be read or the file cannot be written.
async fn spool_stdin(args: &MapArgs) -> Result<Option<antiphon_fs::NamedTempFile>, CommandError> {
    if args.rows != Path::new("-") {
        return Ok(None);
    }
    let spool_stdin = tokio::task::spawn_blocking(|| {
        let mut file = antiphon_fs::temp_file().map_err(|err| err.to_string())?;
        std::io::copy(&mut std::io::stdin().lock(), file.as_file_mut()).map_err(|err| err.to_string())?;
        file.as_file_mut().flush().map_err(|err| err.to_string())?;
        Ok::<_, String>(file)
    });
    let spool_stdin = spool_stdin.await.map_err(|err| CommandError::internal(err.to_string()))?;
    let file = spool_stdin.map_err(|err| CommandError::new(USAGE, format!("cannot read stdin: {err}")))?;
    Ok(Some(file))
}

/// Prints the result of a map run, reports what is missing, and returns the exit code.
pub(super) fn finish(outcome: &RunOutcome, ending: &Ending<'_>) -> Result<u8, CommandError> {
    let RunResult::Map(made) = &outcome.result else {
        return Err(CommandError::internal("the outcome is not of a map run"));
    };
    let document = as_document(outcome, made);
    summary::set_outcome(&document);
    let text = || as_text(outcome, made);
    if made.results.is_some() {
        output::print(ending.as_json.then_some(document), text)?;
        return Ok(end(outcome, made, ending));
    }
    // Stdout has the results only, and the summary is the last on stderr; among events it is a separate one.
    let code = end(outcome, made, ending);
    if !ending.talk.sends_events() {
        ending.talk.line(text().trim_end());
    }
    Ok(code)
}

/// Returns the document of `--json`: the report, with the folder and the files of the run.
fn as_document(outcome: &RunOutcome, made: &MapResult) -> serde_json::Value {
    let path = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
    let mut document = json!(made.report);
    document["folder"] = json!(outcome.folder.display().to_string());
    document["results"] = json!(path(&made.results));
    document["failed_rows"] = json!(path(&made.failed_rows));
    document["reused"] = json!(outcome.reused);
    // The report has that of an earlier session.
    if document["anonymised"].is_null() {
        document["anonymised"] = json!(made.anonymised);
    }
    document
}

/// Formats the summary: one line with the parts that apply, and the path of the results.
fn as_text(outcome: &RunOutcome, made: &MapResult) -> String {
    let MapReport { rows, accepted, failed, left, calls, cached, .. } = &made.report;
    let more = if made.report.rows_are_all { "" } else { " read so far" };
    let mut parts = vec![format!("{accepted} of {}{more} done", counted(*rows, "row"))];
    parts.extend((*failed > 0).then(|| format!("{failed} failed")));
    parts.extend((*left > 0).then(|| format!("{left} left")));
    parts.push(counted(*calls, "call"));
    parts.extend((*cached > 0).then(|| format!("{cached} from the cache")));
    let left_out = made.report.elements_left_out;
    parts.extend((left_out > 0).then(|| format!("{} left out of lists", counted(left_out, "element"))));
    parts.push(in_tokens(made.report.input_tokens, made.report.output_tokens));
    parts.push(cost_of(&made.report));
    parts.extend(by_others(&made.report.served_models, &made.report.model));
    parts.extend(by_marks(&made.report.marked_answers));
    if outcome.resumed_at > 0 && !outcome.reused {
        parts.push("total of all sessions".to_owned());
    }
    let results = made.results.as_ref().map(|path| format!("{}\n", path.display()));
    parts.join(", ") + "\n" + &results.unwrap_or_default()
}

/// Formats the cost of a run with what its possibly billed calls may add.
fn cost_of(report: &MapReport) -> String {
    let billed = &report.possibly_billed;
    let (most, is_unbounded) = (billed.most_usd_micros.unwrap_or(0), billed.most_usd_micros.is_none());
    Possible { most, is_unbounded }.beside(report.cost_usd_micros)
}

/// Reports failures and hints, and returns the exit code.
fn end(outcome: &RunOutcome, made: &MapResult, ending: &Ending<'_>) -> u8 {
    let (report, talk) = (&made.report, ending.talk);
    report_resumed(outcome, report, ending);
    report_failed(made, &outcome.folder, talk);
    made.anonymised.iter().for_each(|anonymised| print_anonymised(anonymised, talk));
    possibly_billed(report, talk);
    if !outcome.reused {
        report_bottleneck(report, talk);
    }
    talk.line(&format!("details: {}", outcome.folder.join("run.json").display()));
    if outcome.stop.is_none() && made.failed_rows.is_none() {
        ending.next(&outcome.folder);
    }
    let code = match &outcome.stop {
        Some(stop) => ending.stopped(stop),
        None if report.failed == 0 => OK,
        None if report.accepted == 0 => ALL_FAILED,
        None => SOME_FAILED,
    };
    // A run that finished despite an interruption counts as not interrupted.
    ending.interrupts.code().filter(|_| outcome.stop.is_some()).unwrap_or(code)
}

/// Reports a run that was not started, as it had finished, or not from its beginning.
fn report_resumed(outcome: &RunOutcome, report: &MapReport, ending: &Ending<'_>) {
    let talk = ending.talk;
    if outcome.reused && ending.is_resume {
        talk.line("run already finished: shown again, with 0 calls");
    } else if outcome.reused {
        talk.line("run already finished: shown again, with 0 calls; use --fresh to start a new run, with cached answers unless the recipe has cache = false");
    } else if outcome.resumed_at > 0 {
        talk.line(&format!("resumed run {} at {}", report.run_id, counted(outcome.resumed_at, "row")));
    }
}

/// Reports why rows failed, each cause with its first row, and how to retry them.
fn report_failed(made: &MapResult, folder: &Path, talk: Talk) {
    for cause in &made.report.causes {
        let rows = counted(cause.rows, "row");
        // The message of a row that cannot be read has its file and line.
        let row = match &*cause.error {
            "bad_row" => String::new(),
            // Indices are from 0 in files for programs, and rows from 1 for people.
            _ => format!("row {}: ", cause.first_row + 1),
        };
        talk.warning(&format!("{rows} failed: {}; {row}{}", cause.error, cause.message));
    }
    if let Some(path) = &made.failed_rows {
        let causes = &made.report.causes;
        let (unread, failed): (Vec<_>, Vec<_>) = causes.iter().partition(|cause| cause.error == "bad_row");
        // A row that cannot be read fails again: retrying sends nothing.
        if !failed.is_empty() || unread.is_empty() {
            talk.hint(&format!("retry the failed rows: {}", command_on("retry-failed", folder)));
        }
        if !unread.is_empty() {
            talk.hint("correct the rows that cannot be used in the input, and run the same command again, with cached answers for the others; antiphon runs retry-failed uses the rows as they were read");
        }
        talk.line(&format!("failed rows: {}", path.display()));
    }
}

/// Reports the bottleneck with advice. That of a run shorter than [`LONG_RUN`] is not meaningful.
fn report_bottleneck(report: &MapReport, talk: Talk) {
    if Duration::from_millis(report.time.wall_ms) >= LONG_RUN
        && let (Some(phase), Some(advice)) = (report.time.bottleneck, &report.time.advice)
    {
        talk.line(&format!("bottleneck: {}; {advice}", phase.label()));
    }
}

/// Warns of calls that were sent and whose answers never arrived: the provider may bill them, and the reported cost
/// is without theirs.
fn possibly_billed(report: &MapReport, talk: Talk) {
    let billed = &report.possibly_billed;
    if billed.calls == 0 {
        return;
    }
    let most = billed.most_usd_micros;
    let most = most.map(|most| format!(", at most {}", dollars(most))).unwrap_or_default();
    let calls = counted(billed.calls, "call");
    talk.warning(&format!("possibly billed: {calls} without an answer{most}; run.json lists the rows"));
}

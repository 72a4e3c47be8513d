use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use antiphon_engine::{LONG_RUN, MapReport, Meter, Order};
use serde_json::json;

use super::cli::{MapArgs, OrderArg};
use super::error::{ALL_FAILED, CommandError, OK, Repeat, SOME_FAILED, USAGE, advice};
use super::front::{Front, fill, results, source, watch};
use super::output::{self, Talk};
use super::progress::{Live, by_others, cost, counted, in_tokens};
use super::rows::{Ending, RowsRun};
use crate::operations::{Hint, MapResult, Plan, RunOutcome, RunRequest, RunResult};

/// The extensions by which `--out` is known to name a file, as it did before it named the folder.
const RESULT_FILES: [&str; 1] = ["jsonl"];

pub(super) async fn run(args: &MapArgs, talk: &Talk) -> Result<u8, CommandError> {
    let talk = *talk;
    let (out, results) = results(&args.out, args.results.as_ref(), &RESULT_FILES, talk).await;
    not_over_its_own(args, results.as_deref()).await?;
    let front = Front::new(&args.run.flags(out)).await?;
    let request = request(args, results).await?;
    let spool_stdin = spool_stdin(args).await?;
    let live = Live::new(args.run.progress, talk, Meter::of_rows());
    let mut watch = watch(&live, talk, &front.settings).overwrite(args.existing.overwrite);
    if let Some(file) = &spool_stdin {
        watch = watch.stdin(file.path());
    }
    let run = RowsRun { workspace: front.workspace(), request, watch, how: &args.run, live, talk };
    if !args.run.dry_run {
        confirm_cost(args, &run).await?;
    }
    run.go(finish).await
}

async fn request(args: &MapArgs, results: Option<PathBuf>) -> Result<RunRequest, CommandError> {
    let recipe = source(&args.recipe).await?;
    let mut request = RunRequest::map(&args.rows, recipe.name, recipe.text);
    fill(&mut request, &args.run);
    request.limits.max_rows = args.max_rows.max_rows;
    request.format = args.format.map(Into::into);
    request.output.results = results;
    request.output.order = match args.order {
        OrderArg::Input => Order::Input,
        OrderArg::Completion => Order::Completion,
    };
    Ok(request)
}

/// The cost from which the user is asked first, in millionths of a US dollar.
const CONFIRM_ABOVE: u64 = 1_000_000;

/// Asks for confirmation of a run whose cost may reach [`CONFIRM_ABOVE`] or is unknown, if there is a user to ask.
async fn confirm_cost(args: &MapArgs, run: &RowsRun<'_>) -> Result<(), CommandError> {
    let RowsRun { workspace, request, watch, live, .. } = run;
    let may_ask = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
    if args.yes || request.limits.max_cost.is_some() || !(may_ask || args.no_input) {
        return Ok(());
    }
    let plan = workspace.plan(request, watch).await?;
    let rows = match &plan {
        Plan::Rows(estimate) => estimate.rows,
        _ => 0,
    };
    let (most, allow) = match plan.max_cost_usd_micros() {
        Some(most) if most < CONFIRM_ABOVE => return Ok(()),
        Some(most) => {
            (format!("may cost up to {}", cost(Some(most))), advice(&Hint::SetMaxCost, Repeat::Same))
        }
        // Without a price, a budget cannot be enforced.
        None => ("has an unknown cost".to_owned(), "use --yes to allow it".to_owned()),
    };
    let needed =
        CommandError::new(USAGE, format!("not started: this run {most}, and needs confirmation")).hint(allow);
    if args.no_input {
        return Err(needed);
    }
    let (live, question) = (live.clone(), format!("this run {most}: {rows} rows. Continue? [y/N] "));
    let answer = tokio::task::spawn_blocking(move || live.aside(|| output::ask(&question))).await;
    let answer = answer.ok().and_then(Result::ok).unwrap_or_default();
    if matches!(&*answer, "y" | "Y" | "yes") {
        Ok(())
    } else {
        Err(CommandError::new(USAGE, "not started: the run was not confirmed"))
    }
}

/// Fails if the results would overwrite the rows or the recipe.
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

/// Copies the rows of stdin to a temporary file, so that they can be read more than once.
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
    let text =
        if ending.as_json { output::json(&as_document(outcome, made))? } else { as_text(outcome, made) };
    match made.results {
        // Stdout has the results only.
        None => ending.talk.line(text.trim_end()),
        Some(_) => output::result(&text)?,
    }
    Ok(end(outcome, made, ending))
}

fn as_document(outcome: &RunOutcome, made: &MapResult) -> serde_json::Value {
    let path = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
    let mut document = json!(made.report);
    document["folder"] = json!(outcome.folder.display().to_string());
    document["results"] = json!(path(&made.results));
    document["failed_rows"] = json!(path(&made.failed_rows));
    document["reused"] = json!(outcome.reused);
    document
}

fn as_text(outcome: &RunOutcome, made: &MapResult) -> String {
    let MapReport { rows, accepted, failed, left, calls, cached, .. } = &made.report;
    let mut parts = vec![format!("{accepted} of {} done", counted(*rows, "row"))];
    if *failed > 0 {
        parts.push(format!("{failed} failed"));
    }
    if *left > 0 {
        parts.push(format!("{left} left"));
    }
    parts.push(counted(*calls, "call"));
    if *cached > 0 {
        parts.push(format!("{cached} from the cache"));
    }
    parts.push(in_tokens(made.report.input_tokens, made.report.output_tokens));
    parts.push(cost(made.report.cost_usd_micros));
    parts.extend(by_others(&made.report.served_models, &made.report.model));
    if outcome.resumed_at > 0 && !outcome.reused {
        parts.push("total of all sessions".to_owned());
    }
    let mut text = parts.join(", ") + "\n";
    if let Some(path) = &made.results {
        text.push_str(&format!("{}\n", path.display()));
    }
    text
}

/// Reports failures and hints, and returns the exit code.
fn end(outcome: &RunOutcome, made: &MapResult, ending: &Ending<'_>) -> u8 {
    let (report, talk) = (&made.report, ending.talk);
    if outcome.reused && ending.is_resume {
        talk.line("run already finished: shown again, with 0 calls");
    } else if outcome.reused {
        talk.line("run already finished: shown again, with 0 calls; use --fresh to start a new run, with cached answers unless the recipe has cache = false");
    } else if outcome.resumed_at > 0 {
        talk.line(&format!("resumed run {} at {} rows", report.run_id, outcome.resumed_at));
    }
    for cause in &report.causes {
        let (rows, row) = (counted(cause.rows, "row"), cause.first_row);
        talk.warning(&format!("{rows} failed: {}; row {row}: {}", cause.error, cause.message));
    }
    if let Some(path) = &made.failed_rows {
        talk.hint(&format!("retry the failed rows: antiphon runs retry-failed {}", report.run_id));
        talk.line(&format!("failed rows: {}", path.display()));
    }
    possibly_billed(report, talk);
    // The bottleneck of a short run is not meaningful.
    if !outcome.reused
        && Duration::from_millis(report.time.wall_ms) >= LONG_RUN
        && let (Some(phase), Some(advice)) = (report.time.bottleneck, &report.time.advice)
    {
        talk.line(&format!("bottleneck: {}; {advice}", phase.label()));
    }
    talk.line(&format!("details: {}", outcome.folder.join("run.json").display()));
    let code = match &outcome.stop {
        Some(stop) => ending.stopped(stop),
        None if report.failed == 0 => OK,
        None if report.accepted == 0 => ALL_FAILED,
        None => SOME_FAILED,
    };
    // A run that finished despite an interruption counts as not interrupted.
    ending.interrupts.code().filter(|_| outcome.stop.is_some()).unwrap_or(code)
}

fn possibly_billed(report: &MapReport, talk: Talk) {
    let billed = &report.possibly_billed;
    if billed.calls == 0 {
        return;
    }
    let most = billed.most_usd_micros;
    let most = most.map(|most| format!(", at most {}", cost(Some(most)))).unwrap_or_default();
    let calls = counted(billed.calls, "call");
    talk.warning(&format!("possibly billed: {calls} without an answer{most}; run.json lists the rows"));
}

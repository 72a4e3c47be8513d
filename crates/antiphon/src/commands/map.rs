use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use antiphon_engine::{LONG_RUN, MapReport, Meter, Order};
use serde_json::json;

use super::cli::{MapArgs, OrderArg};
use super::error::{ALL_FAILED, CommandError, OK, SOME_FAILED, USAGE, advice, exit_code};
use super::front::{Front, fill, results, source, watch};
use super::interrupt::Interrupts;
use super::output::{self, Talk};
use super::progress::{Live, by_others, cost, counted, in_tokens};
use super::rows::RowsRun;
use crate::operations::{Hint, MapResult, Plan, RunOutcome, RunRequest, RunResult, StopNotice};

/// The endings of files that `--out` named before it was the folder.
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

/// From this much on a person is asked first, in millionths of a US dollar.
const CONFIRM_ABOVE: u64 = 1_000_000;

/// Whether somebody who can be asked wants to spend what may be a lot.
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
        Some(most) => (format!("may cost up to {}", cost(Some(most))), advice(&Hint::SetMaxCost)),
        // A budget cannot be kept without a price.
        None => ("has a cost that is not known".to_owned(), "allow it with --yes".to_owned()),
    };
    let needed = CommandError::new(USAGE, format!("this run {most}: it needs to be allowed")).hint(allow);
    if args.no_input {
        return Err(needed);
    }
    let (live, question) = (live.clone(), format!("this run {most}: {rows} rows. Continue? [y/N] "));
    let answer = tokio::task::spawn_blocking(move || live.aside(|| output::ask(&question))).await;
    let answer = answer.ok().and_then(Result::ok).unwrap_or_default();
    if matches!(&*answer, "y" | "Y" | "yes") { Ok(()) } else { Err(needed) }
}

/// Results must not take the place of what they are made from.
async fn not_over_its_own(args: &MapArgs, results: Option<&Path>) -> Result<(), CommandError> {
    let place = async |path: &Path| match antiphon_fs::canonical(path).await {
        Ok(place) => Some(place),
        Err(_) => std::path::absolute(path).ok(),
    };
    let Some(results) = results.filter(|path| *path != Path::new("-")) else { return Ok(()) };
    for (path, what) in [(&args.rows, "rows"), (&args.recipe, "recipe")] {
        if place(results).await == place(path).await {
            let message =
                format!("{} is the file of the {what}: results would take its place", results.display());
            return Err(CommandError::new(USAGE, message).hint("name another file with --results"));
        }
    }
    Ok(())
}

/// The rows of stdin are put into a file first, so that they can be told apart from others and read again.
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
    let file = spool_stdin.map_err(|err| CommandError::new(USAGE, format!("stdin cannot be read: {err}")))?;
    Ok(Some(file))
}

/// Prints what came of a run over rows, says what is missing, and gives the exit code.
pub(super) fn finish(
    outcome: &RunOutcome,
    as_json: bool,
    interrupts: &Interrupts,
    talk: Talk,
) -> Result<u8, CommandError> {
    let RunResult::Map(made) = &outcome.result else {
        return Err(CommandError::internal("the outcome is not that of a recipe over rows"));
    };
    let text = if as_json { output::json(&as_document(outcome, made))? } else { as_text(outcome, made) };
    match made.results {
        // What is on stdout are results, and nothing else.
        None => talk.line(text.trim_end()),
        Some(_) => output::result(&text)?,
    }
    Ok(end(outcome, made, interrupts, talk))
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
        parts.push("all sessions of the run together".to_owned());
    }
    let mut text = parts.join(", ") + "\n";
    if let Some(path) = &made.results {
        text.push_str(&format!("{}\n", path.display()));
    }
    text
}

/// Says what is missing and what to do next, and gives the exit code.
fn end(outcome: &RunOutcome, made: &MapResult, interrupts: &Interrupts, talk: Talk) -> u8 {
    let report = &made.report;
    if outcome.reused {
        talk.line("this run was finished before and is shown again, with 0 calls; --fresh begins another one, with the answers that the journal has unless the recipe says cache = false");
    } else if outcome.resumed_at > 0 {
        talk.line(&format!("resumed run {} at {} rows", report.run_id, outcome.resumed_at));
    }
    for cause in &report.causes {
        let (rows, row) = (counted(cause.rows, "row"), cause.first_row);
        talk.warning(&format!("{rows} failed: {}; row {row}: {}", cause.error, cause.message));
    }
    if let Some(path) = &made.failed_rows {
        talk.hint(&format!("antiphon runs retry-failed {} asks about them again", report.run_id));
        talk.line(&format!("failed rows: {}", path.display()));
    }
    possibly_billed(report, talk);
    // Of a short run it says nothing.
    if !outcome.reused
        && Duration::from_millis(report.time.wall_ms) >= LONG_RUN
        && let (Some(phase), Some(advice)) = (report.time.bottleneck, &report.time.advice)
    {
        talk.line(&format!("most of the time: {}; {advice}", phase.label()));
    }
    talk.line(&format!("report: {}", outcome.folder.join("run.json").display()));
    let code = match &outcome.stop {
        Some(stop) => stopped(stop, talk),
        None if report.failed == 0 => OK,
        None if report.accepted == 0 => ALL_FAILED,
        None => SOME_FAILED,
    };
    // What was finished all the same is as if nobody had interrupted.
    interrupts.code().filter(|_| outcome.stop.is_some()).unwrap_or(code)
}

fn possibly_billed(report: &MapReport, talk: Talk) {
    let billed = &report.possibly_billed;
    if billed.calls == 0 {
        return;
    }
    let most = billed.most_usd_micros;
    let most = most.map(|most| format!(", with at most {}", cost(Some(most)))).unwrap_or_default();
    let calls = counted(billed.calls, "call");
    talk.warning(&format!("{calls} that broke off may have been billed, too{most}; run.json names the rows"));
}

/// Says why a run stopped, and gives the exit code.
pub(super) fn stopped(stop: &StopNotice, talk: Talk) -> u8 {
    let advice: Vec<String> = stop.hints.iter().map(advice).collect();
    let Some(kind) = stop.kind else {
        talk.line(&format!("stopped: {}; {}", stop.message, advice.join("; ")));
        return OK;
    };
    if stop.cause == "interrupted" {
        talk.line(&format!("stopped: {}", advice.join("; ")));
        return exit_code(kind);
    }
    let error = CommandError::new(exit_code(kind), &*stop.message);
    talk.error(&advice.into_iter().fold(error, CommandError::hint));
    exit_code(kind)
}

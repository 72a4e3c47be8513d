use antiphon_engine::{MapReport, Meter};
use antiphon_pipeline::content::{Reason, SitePage};
use antiphon_render::Theme;
use serde_json::{Value, json};

use super::cli::ContentArgs;
use super::error::{ALL_FAILED, CommandError, OK, SOME_FAILED};
use super::front::{Front, fill, source, watch};
use super::output::{self, Talk};
use super::progress::{Live, by_others, cost, counted, in_tokens};
use super::rows::{Ending, RowsRun};
use crate::operations::{ContentResult, OperationError, RunOutcome, RunRequest, RunResult};

pub(super) async fn run(args: &ContentArgs, talk: &Talk) -> Result<u8, CommandError> {
    let talk = *talk;
    let front = Front::new(&args.run.flags(args.out.folder())).await?;
    let request = request(args).await?;
    let live = Live::new(args.run.progress, talk, Meter::of_rows());
    let watch = watch(&live, talk, &front.settings);
    let run = RowsRun { workspace: front.workspace(), request, watch, how: &args.run, live, talk };
    run.go(finish).await
}

async fn request(args: &ContentArgs) -> Result<RunRequest, CommandError> {
    let themes = Theme::find(&args.theme).await.map_err(OperationError::from)?;
    let mut request = RunRequest::content(args.inputs.clone(), &themes, args.sampling.parameters())?;
    request.recipe.name = format!("portfolio in {}", args.theme.join(", "));
    fill(&mut request, &args.run);
    request.limits.max_rows = args.rows.max_rows;
    request.output.site.clone_from(&args.site);
    request.output.title = Some(args.title.clone());
    request.output.fallback = match &args.fallback {
        Some(file) => Some(source(file).await?),
        None => None,
    };
    Ok(request)
}

/// Prints the result of a content run, reports what is missing, and returns the exit code.
pub(super) fn finish(outcome: &RunOutcome, ending: &Ending<'_>) -> Result<u8, CommandError> {
    let RunResult::Content(made) = &outcome.result else {
        return Err(CommandError::internal("the outcome is not of a content run"));
    };
    output::print(ending.as_json.then(|| as_document(outcome, made)), || as_text(made))?;
    let code = end(outcome, made, ending);
    Ok(ending.interrupts.code().filter(|_| outcome.stop.is_some()).unwrap_or(code))
}

fn as_document(outcome: &RunOutcome, made: &ContentResult) -> Value {
    let files: Vec<String> = made.files.iter().map(|file| file.display().to_string()).collect();
    json!({
        "schema": "antiphon.content/1",
        "run_id": outcome.run_id,
        "folder": outcome.folder.display().to_string(),
        "files": files,
        "pages": made.pages,
        "reused": outcome.reused,
        "report": made.report,
    })
}

fn as_text(made: &ContentResult) -> String {
    let done = made.pages.iter().filter(|page| page.content.is_some()).count();
    let MapReport { input_tokens, output_tokens, cost_usd_micros, base_url, .. } = &made.report;
    let how = match base_url {
        None => "drafts by text statistics: no language model was used".to_owned(),
        Some(_) => {
            let taken = format!("{}, {}", in_tokens(*input_tokens, *output_tokens), cost(*cost_usd_micros));
            let others = by_others(&made.report.served_models, &made.report.model);
            std::iter::once(taken).chain(others).collect::<Vec<_>>().join(", ")
        }
    };
    let mut text = match made.pages.len() {
        all if all == done => format!("{} ({how})\n", counted(all, "page")),
        all => format!("{done} of {} ({how})\n", counted(all, "page")),
    };
    if let Some(index) = made.files.last() {
        text.push_str(&format!("\n{}\n", index.display()));
    }
    text
}

/// Reports failures, removals and hints, and returns the exit code.
fn end(outcome: &RunOutcome, made: &ContentResult, ending: &Ending<'_>) -> u8 {
    let ContentResult { report, pages, failures, skipped, .. } = made;
    let talk = ending.talk;
    if outcome.reused {
        let advice = if ending.is_resume { "" } else { "; use --fresh to start a new run" };
        talk.line(&format!("run already finished: pages rebuilt, with 0 calls{advice}"));
    }
    for failure in failures {
        talk.warning(failure);
    }
    if !skipped.is_empty() {
        let names: Vec<&str> = skipped.iter().take(5).map(String::as_str).collect();
        talk.line(&format!(
            "{} of unknown type skipped: {}",
            counted(skipped.len(), "file"),
            names.join(", ")
        ));
    }
    warn_of_missing(pages, talk);
    // Removals were reported when the pages were generated; a rebuild does not repeat them.
    if !outcome.reused {
        pages.iter().for_each(|page| warn_of_removed(page, talk));
    }
    if made.failed_rows.is_some() {
        talk.hint(&format!("retry the failed pages: antiphon runs retry-failed {}", report.run_id));
    }
    if report.possibly_billed.calls > 0 {
        let calls = counted(report.possibly_billed.calls, "call");
        talk.warning(&format!("possibly billed: {calls} without an answer"));
    }
    talk.line(&format!("content and report: {}", outcome.folder.display()));
    let answered = pages.iter().filter(|page| page.error.is_none()).count();
    match &outcome.stop {
        Some(stop) => ending.stopped(stop),
        None if answered == pages.len() && failures.is_empty() => OK,
        None if answered == 0 => ALL_FAILED,
        None => SOME_FAILED,
    }
}

/// Reports the pages without an answer: for each reason, the first few.
fn warn_of_missing(pages: &[SitePage], talk: Talk) {
    const NAMED: usize = 3;
    let mut by_reason: Vec<(String, Vec<String>)> = Vec::new();
    for page in pages {
        let Some(error) = &page.error else { continue };
        let instead = if page.content.is_some() { "; the page has the fallback content" } else { "" };
        let (reason, name) = (format!("{error}{instead}"), format!("{} in {}", page.notes, page.theme));
        match by_reason.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, names)) => names.push(name),
            None => by_reason.push((reason, vec![name])),
        }
    }
    for (reason, names) in by_reason {
        let more = match names.len().saturating_sub(NAMED) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        talk.warning(&format!("{}{more}: {reason}", names[..names.len().min(NAMED)].join(", ")));
    }
}

fn warn_of_removed(page: &SitePage, talk: Talk) {
    let name = format!("{} in {}", page.notes, page.theme);
    for (why, reason) in [(Reason::NotInNotes, "not in the notes"), (Reason::Repeated, "repeated")] {
        let places = page.removed.iter().filter(|removed| removed.why == why);
        let places: Vec<String> = places.map(|removed| format!("{} {}", removed.at, removed.value)).collect();
        let more = match places.len().saturating_sub(5) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        if !places.is_empty() {
            let first = places[..places.len().min(5)].join(", ");
            talk.warning(&format!("{name}: removed ({reason}): {first}{more}"));
        }
    }
}

//! `content`: websites from notes, one page for each file of notes and each theme.
//!
//! Stdout has the number of pages and the path of the index, or with `--json` one document of the schema
//! `antiphon.content/1`; stderr has what is missing: notes that could not be read, pages without an answer, and
//! statements that were removed from the copy because they are not in the notes or repeat an earlier one. The notes are
//! the only source of facts, so what a model adds is a hallucination.
//!
//! A page is a row of a run over rows, so that resume, retry and Ctrl-C are those of `rows`. Exit codes: 0 if each page
//! has an answer and all notes were read, 4 if some have, 5 if none has; a run that stopped early has the code of the
//! stop.

use std::path::Path;

use antiphon_engine::{MapReport, Meter};
use antiphon_pipeline::content::{Reason, SitePage};
use antiphon_render::Theme;
use serde_json::{Value, json};

use super::anonymised::print_anonymised;
use super::cli::ContentArgs;
use super::error::{ALL_FAILED, CommandError, OK, SOME_FAILED};
use super::front::{Front, fill, source, watch};
use super::output::{self, Talk};
use super::progress::{Live, and_more, by_marks, by_others, cost, counted, in_tokens};
use super::rows::{Ending, RowsRun, command_on};
use super::summary::{self, without};
use crate::operations::{ContentResult, OperationError, RunOutcome, RunRequest, RunResult};

/// Plans or runs the generation of a site.
pub(super) async fn run(args: &ContentArgs, talk: &Talk) -> Result<u8, CommandError> {
    let talk = *talk;
    let front = Front::new(&args.run.flags(args.out.folder()), &talk).await?;
    let request = request(args).await?;
    let live = Live::new(args.run.reports.progress, talk, Meter::of_rows());
    let watch = watch(&live, talk, &front.settings);
    let run = RowsRun { workspace: front.workspace(), request, watch, how: &args.run, live, talk };
    run.go(finish).await
}

/// Builds the request from the flags. Reads the themes and the fallback content, so that a wrong one fails before any
/// call.
async fn request(args: &ContentArgs) -> Result<RunRequest, CommandError> {
    let themes = Theme::find(&args.theme).await.map_err(OperationError::from)?;
    let mut request = RunRequest::content(args.inputs.clone(), &themes, args.sampling.parameters())?;
    request.recipe.name = format!("portfolio in {}", args.theme.join(", "));
    fill(&mut request, &args.run);
    request.anonymise = args.anonymise.anonymise().await?;
    request.limits.max_rows = args.rows.max_rows;
    request.encoding.clone_from(&args.encoding.encoding);
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
    summary::set_outcome(&without(as_document(outcome, made), "pages"));
    output::print(ending.as_json.then(|| as_document(outcome, made)), || as_text(made))?;
    let code = end(outcome, made, ending);
    Ok(ending.interrupts.code().filter(|_| outcome.stop.is_some()).unwrap_or(code))
}

/// Returns the document of `--json`; `files` are those of the site, the index last.
fn as_document(outcome: &RunOutcome, made: &ContentResult) -> Value {
    let files: Vec<String> = made.files.iter().map(|file| file.display().to_string()).collect();
    json!({
        "schema": "antiphon.content/1",
        "run_id": outcome.run_id,
        "folder": outcome.folder.display().to_string(),
        "files": files,
        "pages": made.pages,
        "reused": outcome.reused,
        "anonymised": made.anonymised,
        "report": made.report,
    })
}

/// Formats the result: the pages that have content, what they took, and the path of the index.
fn as_text(made: &ContentResult) -> String {
    let done = made.pages.iter().filter(|page| page.content.is_some()).count();
    let how = taken(&made.report);
    let mut text = match made.pages.len() {
        all if all == done => format!("{} ({how})\n", counted(all, "page")),
        all => format!("{done} of {} ({how})\n", counted(all, "page")),
    };
    if let Some(index) = made.files.last() {
        text.push_str(&format!("\n{}\n", index.display()));
    }
    text
}

/// Formats the tokens, the cost and the fallback models of a run. A run without an address used no model: its drafts
/// are text statistics, which the reader of the pages must know.
fn taken(report: &MapReport) -> String {
    if report.base_url.is_none() {
        return "drafts by text statistics: no language model was used".to_owned();
    }
    let tokens = in_tokens(report.input_tokens, report.output_tokens);
    let taken = format!("{tokens}, {}", cost(report.cost_usd_micros));
    let others = by_others(&report.served_models, &report.model);
    std::iter::once(taken)
        .chain(others)
        .chain(by_marks(&report.marked_answers))
        .collect::<Vec<_>>()
        .join(", ")
}

/// Reports failures, removals and hints, and returns the exit code.
fn end(outcome: &RunOutcome, made: &ContentResult, ending: &Ending<'_>) -> u8 {
    let talk = ending.talk;
    if outcome.reused {
        ending.reused("pages rebuilt");
    }
    made.anonymised.iter().for_each(|anonymised| print_anonymised(anonymised, talk));
    warn_of_notes(made, talk);
    warn_of_missing(&made.pages, talk);
    // Removals were reported when the pages were generated; a rebuild does not repeat them.
    if !outcome.reused {
        made.pages.iter().for_each(|page| warn_of_removed(page, talk));
        warn_of_left_out(&made.pages, talk);
    }
    hint_at_retry(made, &outcome.folder, talk);
    talk.line(&format!("content and report: {}", outcome.folder.display()));
    if outcome.stop.is_none() && made.failed_rows.is_none() {
        ending.next(&outcome.folder);
    }
    match &outcome.stop {
        Some(stop) => ending.stopped(stop),
        None => code(made),
    }
}

/// Returns the exit code of a run that was not stopped. A page with fallback content has no answer, so it counts as
/// failed.
fn code(made: &ContentResult) -> u8 {
    let answered = made.pages.iter().filter(|page| page.error.is_none()).count();
    match answered {
        answered if answered == made.pages.len() && made.failures.is_empty() => OK,
        0 => ALL_FAILED,
        _ => SOME_FAILED,
    }
}

/// Reports the notes that could not be read, and the first few files that are no notes.
fn warn_of_notes(made: &ContentResult, talk: Talk) {
    for failure in &made.failures {
        talk.warning(failure);
    }
    let skipped = &made.skipped;
    if !skipped.is_empty() {
        let names: Vec<&str> = skipped.iter().take(5).map(String::as_str).collect();
        let files = counted(skipped.len(), "file");
        talk.line(&format!("{files} of unknown type skipped: {}", names.join(", ")));
    }
}

/// Names the command that retries the failed pages, and reports the calls that were possibly billed without an answer.
fn hint_at_retry(made: &ContentResult, folder: &Path, talk: Talk) {
    let report = &made.report;
    if made.failed_rows.is_some() {
        talk.hint(&format!("retry the failed pages: {}", command_on("retry-failed", folder)));
    }
    if report.possibly_billed.calls > 0 {
        let calls = counted(report.possibly_billed.calls, "call");
        talk.warning(&format!("possibly billed: {calls} without an answer"));
    }
}

/// Reports the pages without an answer: for each reason, the first few.
fn warn_of_missing(pages: &[SitePage], talk: Talk) {
    const NAMED: usize = 3;
    for (reason, names) in by_reason(pages) {
        let more = and_more(names.len().saturating_sub(NAMED));
        talk.warning(&format!("{}{more}: {reason}", names[..names.len().min(NAMED)].join(", ")));
    }
}

/// Groups the names of the pages without an answer by the reason, in the order in which the reasons occur first. One
/// wrong key fails all pages with the same message, which is then printed once.
fn by_reason(pages: &[SitePage]) -> Vec<(String, Vec<String>)> {
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
    by_reason
}

/// Reports the parts of the notes that their pages do not have: of each file of notes once, since its pages share them.
fn warn_of_left_out(pages: &[SitePage], talk: Talk) {
    const NAMED: usize = 5;
    let mut said = "";
    for page in pages.iter().filter(|page| !page.left_out.is_empty()) {
        // The pages of one file are behind each other.
        if said == page.notes {
            continue;
        }
        said = &page.notes;
        let more = and_more(page.left_out.len().saturating_sub(NAMED));
        let named = page.left_out[..page.left_out.len().min(NAMED)].join("; ");
        talk.warning(&format!("{}: left out of the page: {named}{more}", page.notes));
    }
}

/// Reports what was removed from the copy of a page, for each of the two reasons the first five places.
fn warn_of_removed(page: &SitePage, talk: Talk) {
    let name = format!("{} in {}", page.notes, page.theme);
    for (why, reason) in [(Reason::NotInNotes, "not in the notes"), (Reason::Repeated, "repeated")] {
        let places = page.removed.iter().filter(|removed| removed.why == why);
        let places: Vec<String> = places.map(|removed| format!("{} {}", removed.at, removed.value)).collect();
        let more = and_more(places.len().saturating_sub(5));
        if !places.is_empty() {
            let first = places[..places.len().min(5)].join(", ");
            talk.warning(&format!("{name}: removed ({reason}): {first}{more}"));
        }
    }
}

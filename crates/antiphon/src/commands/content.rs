use std::sync::Arc;

use antiphon_engine::MapReport;
use antiphon_pipeline::content::Reason;
use serde_json::{Value, json};

use super::cli::ContentArgs;
use super::config;
use super::error::{ALL_FAILED, CommandError, OK, SOME_FAILED};
use super::interrupt::Interrupts;
use super::map::{at_once, print_estimate, stopped};
use super::output::{self, Talk};
use super::progress::{cost, counted};
use super::rows_live::RowsLive;
use crate::operations::{self, ContentRequest, SitePage, Sites};
use crate::runtime::{Environment, Session, Settings, connect, resolve};

pub(super) async fn run(args: &ContentArgs, talk: &Talk) -> Result<u8, CommandError> {
    let talk = *talk;
    let of_run = |err: antiphon_pipeline::Error| CommandError::of_run(&err);
    let env = Environment::read();
    let settings = resolve(&args.flags(), &env, &config::files(&env).await?)?;
    let themes = operations::themes(&args.theme).await.map_err(of_run)?;
    let session = connect(&settings).await?;
    talk.line(&format!("provider: {}", session.why));
    let mut request = ContentRequest::new(args.inputs.clone(), themes, &settings.out.value);
    fill(&mut request, args, &settings, &session);
    if args.dry_run {
        let estimate = operations::estimate_content(&session, &request).await.map_err(of_run)?;
        return print_estimate(&estimate, args.json);
    }
    let live = RowsLive::new(args.progress, talk);
    let interrupts = Interrupts::listen(request.options.drain.clone(), request.options.cancel.clone(), talk);
    let watched = live.clone();
    let on_status = Arc::new(move |status: &_| watched.status(status));
    let made = Box::pin(operations::content(&session, &request, on_status)).await;
    live.end();
    let sites = made.map_err(of_run)?;
    let text = if args.json { output::json(&as_json(&sites))? } else { as_text(&sites, &session) };
    output::result(&text)?;
    let code = end(&sites, talk);
    if args.fresh && sites.mapped.stop.is_some() {
        talk.goes_on_without_fresh();
    }
    Ok(interrupts.code().unwrap_or(code))
}

fn fill(request: &mut ContentRequest, args: &ContentArgs, settings: &Settings, session: &Session) {
    request.site.clone_from(&args.site);
    request.title.clone_from(&args.title);
    request.fallback.clone_from(&args.fallback);
    request.fresh = args.fresh;
    request.resume.clone_from(&args.resume);
    request.retry_failed = args.retry_failed;
    request.parameters = args.drawing.parameters();
    let inputs: Vec<String> = args.inputs.iter().map(|input| input.display().to_string()).collect();
    let recipe = format!("portfolio in {}", args.theme.join(", "));
    let note = json!({ "input": inputs.join(", "), "recipe": recipe, "model": session.model });
    request.note = output::begun_by(note);
    request.options.concurrency = at_once(settings);
    request.options.max_cost = settings.max_cost.as_ref().map(|cost| cost.value);
}

fn as_json(sites: &Sites) -> Value {
    let files: Vec<String> = sites.files.iter().map(|file| file.display().to_string()).collect();
    json!({
        "schema": "antiphon.content/1",
        "run_id": sites.mapped.report.run_id,
        "folder": sites.mapped.folder.display().to_string(),
        "files": files,
        "pages": sites.pages,
        "reused": sites.mapped.reused,
        "report": sites.mapped.report,
    })
}

fn as_text(sites: &Sites, session: &Session) -> String {
    let made = sites.pages.iter().filter(|page| page.content.is_some()).count();
    let MapReport { input_tokens, output_tokens, cost_usd_micros, .. } = &sites.mapped.report;
    let how = match session.is_offline() {
        true => "drafts by text statistics: no language model was used".to_owned(),
        false => format!("{input_tokens} + {output_tokens} tokens, {}", cost(*cost_usd_micros)),
    };
    let mut text = match sites.pages.len() {
        all if all == made => format!("{} ({how})\n", counted(all, "page")),
        all => format!("{made} of {} ({how})\n", counted(all, "page")),
    };
    if let Some(index) = sites.files.last() {
        text.push_str(&format!("\n{}\n", index.display()));
    }
    text
}

/// Says what is missing and what to do next, and gives the exit code.
fn end(sites: &Sites, talk: Talk) -> u8 {
    let Sites { mapped, pages, failures, skipped, .. } = sites;
    if mapped.reused {
        talk.line(
            "these pages were written before and are built again, with 0 calls; --fresh asks for them anew",
        );
    }
    for failure in failures {
        talk.warning(failure);
    }
    if !skipped.is_empty() {
        let names: Vec<&str> = skipped.iter().take(5).map(String::as_str).collect();
        talk.line(&format!(
            "{} of other kinds left alone: {}",
            counted(skipped.len(), "file"),
            names.join(", ")
        ));
    }
    warn_of_missing(pages, talk);
    // What was told when it was made need not be told with each building.
    if !mapped.reused {
        pages.iter().for_each(|page| warn_of_removed(page, talk));
    }
    if mapped.failed.is_some() {
        talk.hint(&format!("antiphon runs retry-failed {} asks for them again", mapped.report.run_id));
    }
    if mapped.report.possibly_billed.calls > 0 {
        let calls = usize::try_from(mapped.report.possibly_billed.calls).unwrap_or(usize::MAX);
        talk.warning(&format!("{} that broke off may have been billed, too", counted(calls, "call")));
    }
    talk.line(&format!("content and report: {}", mapped.folder.display()));
    let answered = pages.iter().filter(|page| page.error.is_none()).count();
    match &mapped.stop {
        Some(stop) => stopped(stop, talk),
        None if answered == pages.len() && failures.is_empty() => OK,
        None if answered == 0 => ALL_FAILED,
        None => SOME_FAILED,
    }
}

/// Says which pages have no answer: of many with the same reason, the first few.
fn warn_of_missing(pages: &[SitePage], talk: Talk) {
    const NAMED: usize = 3;
    let mut by_reason: Vec<(String, Vec<String>)> = Vec::new();
    for page in pages {
        let Some(error) = &page.error else { continue };
        let instead = if page.content.is_some() { "; the page has the fallback's words" } else { "" };
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
    for (why, told) in
        [(Reason::NotInNotes, "the notes do not have it"), (Reason::Repeated, "it was said before")]
    {
        let places = page.removed.iter().filter(|removed| removed.why == why);
        let places: Vec<String> = places.map(|removed| format!("{} {}", removed.at, removed.value)).collect();
        let more = match places.len().saturating_sub(5) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        if !places.is_empty() {
            let first = places[..places.len().min(5)].join(", ");
            talk.warning(&format!("{name}: left out, since {told}: {first}{more}"));
        }
    }
}

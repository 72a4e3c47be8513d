//! `generate`: personas from interviews, one run over all inputs, or with `--each` one run for each.
//!
//! Stdout has the personas in short and the path of the page for each run, or with `--json` one document of the schema
//! `antiphon.generate/1`. Personas that could not be written to disk are printed in full, since that is their only
//! copy. Stderr has progress, then what a reader should know before use: PII, near duplicates, documents that are not
//! quoted, findings of the validation.
//!
//! The runs are in progress concurrently, those of one workspace up to its limit, and one that fails does not stop the
//! others. The first Ctrl-C drains all of them, the second one aborts them.
//!
//! | exit code | case |
//! |---|---|
//! | 0 | all runs have personas, without failures and findings at the error level |
//! | 3 | a run failed because of the configuration, which fails again until it is changed |
//! | 4 | some runs failed, or some have failures or findings |
//! | that of the runs | all runs failed with the same code |
//! | 5 | all runs failed, with different codes |
//! | 130, 143 | interrupted, and a run did not finish |

mod notices;

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use antiphon_engine::Meter;
use antiphon_http::NetworkPolicy;
use antiphon_pipeline::{Finding, GenerationEstimate, Level, Persona, Personas, Report};
use serde_json::{Value, json};

use super::cli::{GenerateArgs, GenerationArgs};
use super::confirm::CostCheck;
use super::error::{ALL_FAILED, CONFIG, CommandError, OK, Repeat, SOME_FAILED, USAGE, advice, exit_code};
use super::front::{Front, fill, watch, watch_several};
use super::interrupt::Interrupts;
use super::output::{self, Talk};
use super::progress::{Live, cost, counted, is_other_model};
use super::recording::warn_of_unrecorded;
use super::rows::Ending;
use super::summary::{self, without};
use crate::operations::{
    self, Hint, OperationError, OperationErrorKind, PersonasResult, Plan, RunOutcome, RunRequest, RunResult,
    Watch, Workspace,
};
use crate::runtime::Settings;
use notices::{print_left_out, print_validation};

/// The outcome of one run: an error if it has no personas.
type Outcome = Result<RunOutcome, OperationError>;

/// Generates the personas of the inputs.
pub(super) async fn run(args: &GenerateArgs, talk: &Talk) -> Result<u8, CommandError> {
    let front = Front::new(&args.how.run.flags(args.out.folder()), talk).await?;
    let mut recipe =
        args.how.personas.persona_defaults().recipe(Path::new("")).await.map_err(OperationError::from)?;
    recipe.parameters = args.how.sampling.parameters().or(recipe.parameters);
    let inputs = fetch_inputs(args, &front.settings.out.value, talk).await?;
    let sets = if args.each { inputs.into_iter().map(|input| vec![input]).collect() } else { vec![inputs] };
    let mut requests = Vec::new();
    for set in sets {
        let of_set = RunRequest::personas("", &recipe)?.inputs(set);
        let mut request = request(of_set, &args.how).await?;
        request.encoding.clone_from(&args.encoding.encoding);
        requests.push(request);
    }
    let workspace = front.workspace();
    let planned = Planned { workspace, requests, settings: front.settings };
    all(vec![planned], &args.how, *talk).await
}

/// Sets the options of a request from the flags.
pub(super) async fn request(
    mut request: RunRequest,
    how: &GenerationArgs,
) -> Result<RunRequest, CommandError> {
    fill(&mut request, &how.run);
    request.distil = how.distil.into();
    request.anonymise = how.anonymise.anonymise().await?;
    Ok(request)
}

/// Fetches the inputs that are addresses, and returns the paths of all.
///
/// # Errors
/// The first input that cannot be fetched ends the command, before any model call.
async fn fetch_inputs(args: &GenerateArgs, out: &Path, talk: &Talk) -> Result<Vec<PathBuf>, CommandError> {
    let mut inputs = Vec::new();
    for input in &args.inputs {
        if !operations::is_address(input) {
            inputs.push(input.clone());
            continue;
        }
        let address = input.to_string_lossy();
        let path = fetch_input(&address, args, out).await?;
        talk.line(&format!("fetched {} as {}", operations::without_secrets(&address), path.display()));
        inputs.push(path);
    }
    Ok(inputs)
}

/// Fetches one address into the output folder. Without `--allow-local` only public addresses are fetched, by https,
/// since an address may come from an untrusted list (SSRF); the error of a refused one names the flag.
async fn fetch_input(address: &str, args: &GenerateArgs, out: &Path) -> Result<PathBuf, CommandError> {
    if args.how.run.provider.is_offline() {
        let message = format!("{}: --offline uses no network", operations::without_secrets(address));
        return Err(CommandError::new(USAGE, message).hint(advice(&Hint::FetchFirst, Repeat::Same)));
    }
    let network_policy = if args.allow_local { NetworkPolicy::Any } else { NetworkPolicy::Public };
    let path = operations::fetch_document(address, out, network_policy).await;
    let path = path.map_err(|err| match network_policy {
        // Of an address that the policy refuses; a failed name lookup or connection has other causes.
        NetworkPolicy::Public if err.kind() == OperationErrorKind::Request => err.hint(Hint::AllowLocal),
        _ => err,
    });
    Ok(path?)
}

/// Persona runs in one workspace. An experiment has a workspace of its own, with its own settings.
pub(super) struct Planned {
    /// The workspace, which is closed when its runs have ended.
    pub(super) workspace: Workspace,
    /// The requests, one for each run.
    pub(super) requests: Vec<RunRequest>,
    /// The settings of the workspace, with the concurrency limit of its runs.
    pub(super) settings: Settings,
}

/// Runs all plans, and reports their personas; with `--dry-run`, only prints an estimate.
///
/// # Errors
/// An error of the dry run, or of stdout. Runs that fail are reported, and turned into the exit code.
pub(super) async fn all(planned: Vec<Planned>, how: &GenerationArgs, talk: Talk) -> Result<u8, CommandError> {
    let jobs: usize = planned.iter().map(|one| one.requests.len()).sum();
    let live = Live::new(how.run.reports.progress, talk, Meter::of_documents(jobs as u64));
    if how.run.dry_run {
        return dry_run(planned, how.run.json, &live, talk).await;
    }
    let watch_runs = if jobs > 1 { watch_several } else { watch };
    let watches: Vec<_> = planned.iter().map(|one| watch_runs(&live, talk, &one.settings)).collect();
    let tokens = Watch::default();
    let interrupts = Interrupts::listen(tokens.drain.clone(), tokens.cancel.clone(), &live);
    let asking = Box::pin(confirm(&planned, &watches, how, talk));
    if let Err(err) = interrupts.unless_stopped(&tokens.drain, asking).await {
        live.end();
        close(planned).await;
        return Err(err);
    }
    let outcomes = start_all(&planned, watches, &tokens, &live).await;
    live.end();
    close(planned).await;
    let (as_json, repeat, interrupts) = (how.run.json, Repeat::of(how.run.fresh), &interrupts);
    set_summary(&outcomes);
    output::print(as_json.then(|| as_document(&outcomes)), || as_list(&outcomes))?;
    outcomes.iter().flatten().for_each(|outcome| warn_of_unrecorded(&how.run, outcome, talk));
    Ok(end(&outcomes, &Ending { as_json, repeat, is_resume: false, interrupts, talk }))
}

/// Closes the workspaces of all plans.
async fn close(planned: Vec<Planned>) {
    for one in planned {
        one.workspace.close().await;
    }
}

/// Asks for confirmation of runs that may be expensive together.
async fn confirm(
    planned: &[Planned],
    watches: &[Watch],
    how: &GenerationArgs,
    talk: Talk,
) -> Result<(), CommandError> {
    if !CostCheck::is_needed(&how.run) {
        return Ok(());
    }
    let (mut check, mut first, mut can_start) = (CostCheck::default(), None, false);
    for (one, watch) in planned.iter().zip(watches) {
        for request in &one.requests {
            match check.add(&one.workspace, request, watch).await {
                Ok(()) => can_start = true,
                // It may fail beside the others, or cost something after all.
                Err(err) => first = first.or(Some(err)),
            }
        }
    }
    match first {
        Some(err) if !can_start => return Err(err.into()),
        Some(_) => check.add_unknown(),
        None => {}
    }
    check.confirm(&how.run, talk).await
}

/// Starts the runs of all plans concurrently, and returns their outcomes in order. The tokens of one watch stop them
/// all.
async fn start_all(planned: &[Planned], watches: Vec<Watch>, tokens: &Watch, live: &Live) -> Vec<Outcome> {
    let runs = planned.iter().zip(watches).map(async |(one, mut watch)| {
        (watch.drain, watch.cancel) = (tokens.drain.clone(), tokens.cancel.clone());
        one.workspace.start_all(&one.requests, one.settings.concurrent_runs(), &watch).await
    });
    // Each workspace has the concurrency limit of its own settings.
    let outcomes = live.ticking(Box::pin(futures_util::future::join_all(runs))).await;
    outcomes.into_iter().flatten().collect()
}

/// Reports one run that was resumed.
pub(super) fn resumed(outcome: Outcome, interrupts: &Interrupts, talk: Talk) -> Result<u8, CommandError> {
    let outcomes = [outcome];
    set_summary(&outcomes);
    output::result(&as_list(&outcomes))?;
    Ok(end(&outcomes, &Ending { as_json: false, repeat: Repeat::Same, is_resume: true, interrupts, talk }))
}

/// Prints an estimate of all plans: of their calls, tokens and cost, found without a call.
async fn dry_run(planned: Vec<Planned>, as_json: bool, live: &Live, talk: Talk) -> Result<u8, CommandError> {
    let found = estimates(planned, live, talk).await?;
    live.end();
    for failure in found.iter().flat_map(|estimate| &estimate.failures) {
        talk.warning(&format!("left out {failure}"));
    }
    let document = json!({ "schema": "antiphon.estimates/1", "generations": found });
    summary::set_outcome(&document);
    if as_json {
        return output::result(&output::json(&document)?).map(|()| OK);
    }
    let has_model = live.has_model();
    let text: String = found.iter().map(|plan| estimate_line(plan, has_model)).collect();
    output::result(&text).map(|()| OK)
}

/// Estimates each request in turn. A workspace is closed once its requests are estimated.
async fn estimates(
    planned: Vec<Planned>,
    live: &Live,
    talk: Talk,
) -> Result<Vec<GenerationEstimate>, CommandError> {
    let mut found = Vec::new();
    for one in planned {
        let watch = watch(live, talk, &one.settings);
        for request in &one.requests {
            if let Plan::Personas(plan) = one.workspace.plan(request, &watch).await? {
                found.push(*plan);
            }
        }
        one.workspace.close().await;
    }
    Ok(found)
}

/// Formats the estimate of one run, of text statistics as well as of a model.
fn estimate_line(plan: &GenerationEstimate, has_model: bool) -> String {
    let GenerationEstimate { input, documents, calls, input_tokens, output_tokens, .. } = plan;
    let (documents, price) = (counted(*documents, "document"), cost(plan.cost_usd_micros));
    if !has_model {
        return format!("{documents} in {input}: drafts by text statistics, no model is called, no cost\n");
    }
    let calls = counted(*calls, "call");
    format!(
        "{documents} in {input}: {calls}, about {input_tokens} input and {output_tokens} output tokens, {price}\n"
    )
}

/// Formats the personas of all runs that have some. Errors go to stderr, by `end`.
fn as_list(outcomes: &[Outcome]) -> String {
    let mut text = String::new();
    for outcome in outcomes {
        match outcome {
            Ok(RunOutcome { result: RunResult::Personas(made), input, folder, .. }) => {
                // Writing to a String cannot fail.
                let _ = list(&mut text, input, made, folder);
            }
            Ok(_) => {}
            Err(err) => text.push_str(&unwritten(err).unwrap_or_default()),
        }
    }
    text
}

/// Returns the personas that could not be written, as JSON: they exist nowhere else, and may have been billed.
fn unwritten(err: &OperationError) -> Option<String> {
    let (unwritten, folder) = (err.unwritten()?, err.folder()?);
    let run = folder.file_name().unwrap_or_default().to_string_lossy();
    let personas = Personas::new(run, unwritten.to_vec());
    Some(serde_json::to_string_pretty(&personas).unwrap_or_default() + "\n")
}

/// Appends the personas of a run, each with its title and the numbers of its claims, and the path of the page.
fn list(text: &mut String, input: &str, made: &PersonasResult, folder: &Path) -> std::fmt::Result {
    let personas = counted(made.personas.len(), "persona");
    let documents = counted(made.report.documents.len(), "document");
    writeln!(text, "{personas} from {documents} in {} ({})", shortened(input), taken(&made.report))?;
    for (number, persona) in (1..).zip(&made.personas) {
        writeln!(text, "\n{number:>3}  {}\n     {}\n     {}", persona.name, persona.title, counts(persona))?;
    }
    writeln!(text, "\n{}", folder.join("personas.html").display())
}

/// Shortens the names of many inputs to those that fit into a line.
fn shortened(input: &str) -> Cow<'_, str> {
    const MOST: usize = 80;
    match input.char_indices().nth(MOST) {
        None => Cow::Borrowed(input),
        Some((end, _)) => Cow::Owned(format!("{}…", &input[..end])),
    }
}

/// Formats the tokens and the cost of a run, and a model that answered in place of the requested one.
fn taken(report: &Report) -> String {
    if !report.model_used {
        return "drafts by text statistics: no language model was used".to_owned();
    }
    let known = report.cost_usd_micros.filter(|micros| *micros > 0 || !report.may_cost_more);
    let mut taken = cost(known);
    if report.may_cost_more {
        taken.push_str("; possibly billed: a call without an answer");
    }
    let served = report.served_model.as_ref();
    if let Some(served) = served.filter(|served| is_other_model(served, &report.model)) {
        taken.push_str(&format!(", by {served}"));
    }
    match report.usage.input_tokens.zip(report.usage.output_tokens) {
        Some((asked, answered)) => format!("{asked} input and {answered} output tokens, {taken}"),
        None => taken,
    }
}

/// Formats the numbers of a persona's claims; those that no quote supports are counted as not verified.
fn counts(persona: &Persona) -> String {
    let mut counts = vec![
        counted(persona.goals.len(), "goal"),
        counted(persona.pain_points.len(), "pain point"),
        counted(persona.behaviours.len(), "behaviour"),
        counted(persona.quotes.len(), "quote"),
    ];
    if !persona.unverified.is_empty() {
        counts.push(format!("{} not verified", persona.unverified.len()));
    }
    counts.join(", ")
}

/// Returns the document of `--json`: the runs in the order of the inputs. Each has all keys, whether it failed or not:
///
/// ```json
/// { "input": "…", "folder": "…", "reused": false, "error": null, "personas": [], "report": {} }
/// ```
fn as_document(outcomes: &[Outcome]) -> Value {
    let run = |outcome: &Outcome| match outcome {
        Ok(outcome) => document_of(outcome),
        Err(err) => document_of_error(err),
    };
    let runs: Vec<Value> = outcomes.iter().map(run).collect();
    json!({ "schema": "antiphon.generate/1", "runs": runs })
}

/// Sets the outcome for the summary: the document, without the personas.
fn set_summary(outcomes: &[Outcome]) {
    let mut document = as_document(outcomes);
    let runs = document["runs"].as_array_mut().map(std::mem::take).unwrap_or_default();
    document["runs"] = runs.into_iter().map(|run| without(run, "personas")).collect();
    summary::set_outcome(&document);
}

/// Returns a run that has ended, for the document.
fn document_of(outcome: &RunOutcome) -> Value {
    let RunOutcome { input, folder, reused, result, .. } = outcome;
    let (personas, report) = match result {
        RunResult::Personas(made) => (&made.personas[..], Some(&made.report)),
        _ => (&[][..], None),
    };
    let folder = folder.display().to_string();
    json!({
        "input": input, "folder": folder, "reused": reused, "error": null, "personas": personas, "report": report,
    })
}

/// Returns a run that failed, for the document, with the personas that could not be written.
fn document_of_error(err: &OperationError) -> Value {
    let path = |path: Option<&PathBuf>| path.map(|path| path.display().to_string());
    json!({
        "input": path(err.input()).unwrap_or_default(),
        "folder": path(err.folder()),
        "reused": false,
        "error": err.to_string(),
        "personas": err.unwritten().unwrap_or_default(),
        "report": err.report(),
    })
}

/// Reports failures and hints, and returns the exit code.
fn end(outcomes: &[Outcome], ending: &Ending<'_>) -> u8 {
    let (mut failed, mut some_left_out) = (Vec::new(), false);
    for outcome in outcomes {
        match outcome {
            Ok(outcome) => {
                if outcomes.len() > 1 {
                    ending.talk.line(&format!("{}:", shortened(&outcome.input)));
                }
                some_left_out |= report_personas(outcome, ending);
            }
            Err(err) => {
                ending.talk.error(&in_context(err, outcomes.len(), ending));
                failed.push(exit_code(err.kind()));
            }
        }
    }
    name_next(outcomes, ending);
    let interrupted = report_interruption(ending, failed.is_empty());
    interrupted.unwrap_or_else(|| code(&failed, outcomes.len(), some_left_out))
}

/// Prints the command that looks at the results: at those of the first run in each folder of runs, if all have finished.
/// Of runs that failed, the errors have the advice.
fn name_next(outcomes: &[Outcome], ending: &Ending<'_>) {
    let folders: Option<Vec<&Path>> =
        outcomes.iter().map(|outcome| outcome.as_ref().ok().map(|done| &*done.folder)).collect();
    let mut places = BTreeSet::new();
    for folder in folders.unwrap_or_default() {
        if places.insert(folder.parent()) {
            ending.next(folder);
        }
    }
}

/// Reports an interruption, and returns its exit code; `None` if there was none, or if all runs finished despite it.
fn report_interruption(ending: &Ending<'_>, all_finished: bool) -> Option<u8> {
    let code = ending.interrupts.code()?;
    if all_finished {
        ending.talk.line("everything was finished despite the interruption");
        return None;
    }
    ending.talk.line(&format!("run {} to resume unfinished runs", ending.repeat.command()));
    Some(code)
}

/// Reports a run that has personas, and returns whether it is lacking.
fn report_personas(outcome: &RunOutcome, ending: &Ending<'_>) -> bool {
    if outcome.reused {
        ending.reused("shown again");
    }
    let RunResult::Personas(made) = &outcome.result else { return false };
    if ending.is_resume {
        // A resumed run reads no files, so that these were not reported yet.
        print_left_out(&made.report, ending.talk);
    }
    print_validation(&made.report, ending.talk);
    is_lacking(&made.report)
}

/// Returns the exit code of `runs` runs, of which some `failed` with the given codes. A configuration error wins:
/// repeating the command does not help before it is fixed.
fn code(failed: &[u8], runs: usize, some_left_out: bool) -> u8 {
    match failed {
        [] if some_left_out => SOME_FAILED,
        [] => OK,
        _ if failed.contains(&CONFIG) => CONFIG,
        _ if failed.len() < runs => SOME_FAILED,
        [first, others @ ..] if others.iter().all(|code| code == first) => *first,
        _ => ALL_FAILED,
    }
}

/// Whether a run has failures, or findings at the error level.
fn is_lacking(report: &Report) -> bool {
    let is_of_no_use = |finding: &Finding| finding.level == Level::Error;
    !report.failures.is_empty() || report.validation.findings.iter().any(is_of_no_use)
}

/// Returns the error of one of `runs` runs: with its input, if there are several, with the command that resumes it, and
/// with the folder of its partial results.
fn in_context(err: &OperationError, runs: usize, ending: &Ending<'_>) -> CommandError {
    // Before it has a folder, a run does not exist: there is nothing to resume.
    let repeat = if err.folder().is_some() { ending.repeat } else { Repeat::Same };
    let mut named = CommandError::of_run(err, repeat);
    if let (2.., Some(input)) = (runs, err.input()) {
        named = named.about(&input.display().to_string());
    }
    // An interruption has this advice once for all runs.
    let is_said = named.hints().iter().any(|hint| hint.contains(repeat.command()));
    if repeat == Repeat::WithoutFresh && !is_said && ending.interrupts.code().is_none() {
        named = named.hint(advice(&Hint::Resumes, repeat));
    }
    match err.folder() {
        _ if err.unwritten().is_some() => named.hint("the personas are printed instead"),
        Some(folder) => named.hint(advice(&Hint::SeeFolder { folder: folder.clone() }, repeat)),
        None => named,
    }
}

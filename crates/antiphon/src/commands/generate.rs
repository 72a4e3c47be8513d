use std::fmt::Write;
use std::path::{Path, PathBuf};

use antiphon_data::Strategy;
use antiphon_engine::Meter;
use antiphon_http::NetworkPolicy;
use antiphon_pipeline::{
    Anonymised, Duplicate, Finding, GenerationEstimate, Grounding, Level, Persona, Personas, Report,
    Validation,
};
use serde_json::{Value, json};

use super::cli::{GenerateArgs, GenerationArgs};
use super::error::{ALL_FAILED, CONFIG, CommandError, OK, Repeat, SOME_FAILED, USAGE, advice, exit_code};
use super::front::{Front, fill, watch};
use super::interrupt::Interrupts;
use super::output::{self, Talk};
use super::progress::{Live, cost, counted, is_other_model};
use super::rows::Ending;
use crate::operations::{
    self, Hint, OperationError, OperationErrorKind, PersonasResult, Plan, RunOutcome, RunRequest, RunResult,
    Watch, Workspace,
};
use crate::runtime::Settings;

type Outcome = Result<RunOutcome, OperationError>;

pub(super) async fn run(args: &GenerateArgs, talk: &Talk) -> Result<u8, CommandError> {
    let front = Front::new(&args.how.run.flags(args.out.folder())).await?;
    let mut recipe =
        args.how.personas.persona_defaults().recipe(Path::new("")).await.map_err(OperationError::from)?;
    recipe.parameters = args.how.sampling.parameters().or(recipe.parameters);
    let inputs = fetch_inputs(args, &front.settings.out.value, talk).await?;
    let mut requests = Vec::new();
    for input in inputs {
        requests.push(request(RunRequest::personas(input, &recipe)?, &args.how).await?);
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
    request.anonymise = how.anonymise().await?;
    Ok(request)
}

/// Fetches the inputs that are addresses, and returns the paths of all.
async fn fetch_inputs(args: &GenerateArgs, out: &Path, talk: &Talk) -> Result<Vec<PathBuf>, CommandError> {
    let network_policy = if args.allow_local { NetworkPolicy::Any } else { NetworkPolicy::Public };
    let mut inputs = Vec::new();
    for input in &args.inputs {
        if !operations::is_address(input) {
            inputs.push(input.clone());
            continue;
        }
        let address = input.to_string_lossy();
        if args.how.run.provider.is_offline() {
            let message = format!("{}: --offline uses no network", operations::without_secrets(&address));
            return Err(CommandError::new(USAGE, message).hint(advice(&Hint::FetchFirst, Repeat::Same)));
        }
        let path = operations::fetch_document(&address, out, network_policy).await;
        let path = path.map_err(|err| match network_policy {
            // Of an address that the policy refuses; a failed name lookup or connection has other causes.
            NetworkPolicy::Public if err.kind() == OperationErrorKind::Request => err.hint(Hint::AllowLocal),
            _ => err,
        })?;
        talk.line(&format!("fetched {} as {}", operations::without_secrets(&address), path.display()));
        inputs.push(path);
    }
    Ok(inputs)
}

/// Persona runs in one workspace.
pub(super) struct Planned {
    pub(super) workspace: Workspace,
    pub(super) requests: Vec<RunRequest>,
    pub(super) settings: Settings,
}

/// Runs all plans, and reports their personas.
pub(super) async fn all(planned: Vec<Planned>, how: &GenerationArgs, talk: Talk) -> Result<u8, CommandError> {
    let jobs: usize = planned.iter().map(|one| one.requests.len()).sum();
    let live = Live::new(how.run.progress, talk, Meter::of_documents(jobs as u64));
    if how.run.dry_run {
        return dry_run(planned, how.run.json, &live, talk).await;
    }
    let watches: Vec<_> = planned.iter().map(|one| watch(&live, talk, &one.settings)).collect();
    let tokens = Watch::default();
    let interrupts = Interrupts::listen(tokens.drain.clone(), tokens.cancel.clone(), &live);
    let runs = planned.iter().zip(watches).map(async |(one, mut watch)| {
        (watch.drain, watch.cancel) = (tokens.drain.clone(), tokens.cancel.clone());
        one.workspace.start_all(&one.requests, one.settings.concurrent_runs(), &watch).await
    });
    // Each workspace has the concurrency limit of its own settings.
    let outcomes = live.ticking(Box::pin(futures_util::future::join_all(runs))).await;
    live.end();
    for one in planned {
        one.workspace.close().await;
    }
    let outcomes: Vec<Outcome> = outcomes.into_iter().flatten().collect();
    output::print(how.run.json.then(|| as_json(&outcomes)), || as_list(&outcomes))?;
    Ok(end(
        &outcomes,
        &Ending {
            as_json: how.run.json,
            repeat: Repeat::of(how.run.fresh),
            is_resume: false,
            interrupts: &interrupts,
            talk,
        },
    ))
}

/// Reports one run that was resumed.
pub(super) fn resumed(outcome: Outcome, interrupts: &Interrupts, talk: Talk) -> Result<u8, CommandError> {
    let outcomes = [outcome];
    output::result(&as_list(&outcomes))?;
    Ok(end(&outcomes, &Ending { as_json: false, repeat: Repeat::Same, is_resume: true, interrupts, talk }))
}

/// Prints an estimate of all plans.
async fn dry_run(planned: Vec<Planned>, as_json: bool, live: &Live, talk: Talk) -> Result<u8, CommandError> {
    let mut found = Vec::new();
    for one in planned {
        let watch = watch(live, talk, &one.settings);
        for request in &one.requests {
            if let Plan::Personas(plan) = one.workspace.plan(request, &watch).await? {
                found.push(plan);
            }
        }
        one.workspace.close().await;
    }
    live.end();
    for failure in found.iter().flat_map(|estimate| &estimate.failures) {
        talk.warning(&format!("left out {failure}"));
    }
    if as_json {
        let document = json!({ "schema": "antiphon.estimates/1", "generations": found });
        return output::result(&output::json(&document)?).map(|()| OK);
    }
    let mut text = String::new();
    for plan in &found {
        let GenerationEstimate { input, documents, calls, input_tokens, output_tokens, .. } = &**plan;
        let (documents, price) = (counted(*documents, "document"), cost(plan.cost_usd_micros));
        let calls = counted(*calls, "call");
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "{documents} in {input}: {calls}, about {input_tokens} input and {output_tokens} output tokens, {price}"
        );
    }
    output::result(&text).map(|()| OK)
}

fn as_list(outcomes: &[Outcome]) -> String {
    let mut text = String::new();
    for outcome in outcomes {
        match outcome {
            Ok(RunOutcome { result: RunResult::Personas(made), input, folder, .. }) => {
                // Writing to a String cannot fail.
                let _ = list(&mut text, input, made, folder);
            }
            Ok(_) => {}
            Err(err) => {
                if let (Some(unwritten), Some(report)) = (err.unwritten(), err.folder()) {
                    // Personas that could not be written are printed: they exist nowhere else, and may have been billed.
                    let run = report.file_name().unwrap_or_default().to_string_lossy();
                    let personas = Personas::new(run, unwritten.to_vec());
                    text.push_str(&serde_json::to_string_pretty(&personas).unwrap_or_default());
                    text.push('\n');
                }
            }
        }
    }
    text
}

fn list(text: &mut String, input: &str, made: &PersonasResult, folder: &Path) -> std::fmt::Result {
    let Report { documents, usage, cost_usd_micros, may_cost_more, model_used, .. } = &made.report;
    let cost = match (may_cost_more, cost(*cost_usd_micros)) {
        (true, cost) => format!("{cost}; possibly billed: a call without an answer"),
        (false, cost) => cost,
    };
    let served =
        made.report.served_model.as_ref().filter(|served| is_other_model(served, &made.report.model));
    let cost = served.map_or(cost.clone(), |served| format!("{cost}, by {served}"));
    let (personas, documents) =
        (counted(made.personas.len(), "persona"), counted(documents.len(), "document"));
    write!(text, "{personas} from {documents} in {input}")?;
    match (usage.input_tokens.zip(usage.output_tokens), model_used) {
        (_, false) => writeln!(text, " (drafts by text statistics: no language model was used)")?,
        (Some((asked, answered)), _) => {
            writeln!(text, " ({asked} input and {answered} output tokens, {cost})")?;
        }
        (None, _) => writeln!(text, " ({cost})")?,
    }
    for (number, persona) in (1..).zip(&made.personas) {
        writeln!(text, "\n{number:>3}  {}\n     {}\n     {}", persona.name, persona.title, counts(persona))?;
    }
    writeln!(text, "\n{}", folder.join("personas.html").display())
}

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

fn as_json(outcomes: &[Outcome]) -> Value {
    let run = |outcome: &Outcome| match outcome {
        Ok(RunOutcome { input, folder, reused, result, .. }) => {
            let (personas, report) = match result {
                RunResult::Personas(made) => (&made.personas[..], Some(&made.report)),
                _ => (&[][..], None),
            };
            let folder = folder.display().to_string();
            json!({
                "input": input, "folder": folder, "reused": reused, "error": null, "personas": personas, "report": report,
            })
        }
        Err(err) => {
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
    };
    let runs: Vec<Value> = outcomes.iter().map(run).collect();
    json!({ "schema": "antiphon.generate/1", "runs": runs })
}

/// Reports failures and hints, and returns the exit code.
fn end(outcomes: &[Outcome], ending: &Ending<'_>) -> u8 {
    let talk = ending.talk;
    let (mut worst, mut some_left_out) = (Vec::new(), false);
    for outcome in outcomes {
        match outcome {
            Ok(outcome) => {
                if outcome.reused {
                    let advice = if ending.is_resume { "" } else { "; use --fresh to start a new run" };
                    talk.line(&format!("run already finished: shown again, with 0 calls{advice}"));
                }
                if let RunResult::Personas(made) = &outcome.result {
                    print_validation(&made.report, talk);
                    some_left_out |= is_lacking(&made.report);
                }
            }
            Err(err) => {
                talk.error(&in_context(err, outcomes.len(), ending));
                worst.push(exit_code(err.kind()));
            }
        }
    }
    if let Some(code) = ending.interrupts.code() {
        if !worst.is_empty() {
            talk.line(&format!("run {} to resume unfinished runs", ending.repeat.command()));
            return code;
        }
        talk.line("everything was finished despite the interruption");
    }
    match worst.len() {
        0 if some_left_out => SOME_FAILED,
        0 => OK,
        n if n < outcomes.len() => {
            if worst.contains(&CONFIG) {
                CONFIG
            } else {
                SOME_FAILED
            }
        }
        1 => worst[0],
        _ if worst.contains(&CONFIG) => CONFIG,
        _ if worst.iter().all(|code| *code == worst[0]) => worst[0],
        _ => ALL_FAILED,
    }
}

/// Whether a run has failures, or findings at the error level.
fn is_lacking(report: &Report) -> bool {
    let is_of_no_use = |finding: &Finding| finding.level == Level::Error;
    !report.failures.is_empty() || report.validation.findings.iter().any(is_of_no_use)
}

/// Prints anonymisation, failures, near duplicates, coverage and findings of a run.
fn print_validation(report: &Report, talk: Talk) {
    /// The maximum number of lines of a kind; the report and the page have all.
    const MOST: usize = 5;
    if let Some(Anonymised { strategy, replaced, .. }) = &report.anonymised {
        let kept = match strategy {
            Strategy::Redact => "",
            _ => "; the originals are stored in .anonymised/ in the output folder",
        };
        match replaced {
            0 => talk
                .warning("nothing was anonymised: no name, address or number was found. Check the documents, and list names with --names"),
            found => talk.line(&format!("anonymised names, addresses and numbers: {found}{kept}")),
        }
    }
    for lacking in report.failures.iter().filter(|failure| failure.document.is_none()) {
        talk.warning(&lacking.reason);
    }
    for refused in report.duplicates.iter().take(MOST) {
        let (Duplicate { name, like, .. }, alike) = (refused, refused.similarity * 100.0);
        talk.line(&format!("rejected {name}: near duplicate of {like}, {alike:.0} % similar"));
    }
    let unquoted: Vec<&str> = report.coverage.unquoted().collect();
    if report.evidence != Grounding::Off && !unquoted.is_empty() {
        let more = match unquoted.len().saturating_sub(MOST) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let names = unquoted.iter().take(MOST).copied().collect::<Vec<_>>().join(", ");
        let of = counted(report.documents.len(), "document");
        talk.line(&format!("{} of {of} quoted by no persona: {names}{more}", unquoted.len()));
    }
    let Validation { score, findings, .. } = &report.validation;
    let worth_a_look = || findings.iter().filter(|finding| finding.level >= Level::Warning);
    for Finding { persona, rule, message, level, .. } in worth_a_look().take(MOST) {
        let level = if *level == Level::Error { "error" } else { "warning" };
        talk.line(&format!("{persona}: {message} ({rule}, {level})"));
    }
    if let more @ 1.. = worth_a_look().count().saturating_sub(MOST) {
        talk.line(&format!("and {more} more, on the page"));
    }
    if worth_a_look().next().is_some() {
        talk.line(&format!("validation score: {score} of 100"));
    }
}

/// Returns the error of one of `runs` runs, with its input and folder.
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

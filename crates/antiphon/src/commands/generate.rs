use std::fmt::Write;
use std::path::{Path, PathBuf};

use antiphon_data::Strategy;
use antiphon_http::Reach;

use antiphon_pipeline::{
    Anonymised, ErrorKind, Event, Finding, GenerationEstimate, Grounding, Level, Persona, Personas, Refused,
    Report, Validation,
};
use serde::Serialize;
use serde_json::json;

use super::cli::{GenerateArgs, GenerationArgs};
use super::config;
use super::error::{ALL_FAILED, CONFIG, CommandError, INTERRUPTED, OK, SOME_FAILED, USAGE};
use super::interrupt::Interrupts;
use super::output::{self, Talk};
use super::progress::{Live, cost, counted};
use crate::operations::{self, Done, GenerateReport, GenerateRequest, RunOutcome, Watch};
use crate::runtime::{Environment, Kind, Session, Settings, connect, resolve};

pub(super) async fn run(args: &GenerateArgs, talk: &Talk) -> Result<u8, CommandError> {
    let env = Environment::read();
    let settings = resolve(&args.how.flags(args.out.clone()), &env, &config::files(&env).await?)?;
    let recipe = args.how.personas.drawn().recipe(Path::new("")).await;
    let recipe = recipe.map_err(|err| CommandError::of_run(&err))?;
    let inputs = fetched(args, &settings.out.value, talk).await?;
    let request = GenerateRequest::new(inputs, &settings.out.value).recipe(recipe);
    let planned = Planned::new(settings, request, &args.how).await?;
    all(&[planned], &args.how, *talk).await
}

/// The inputs, with files in the place of addresses.
async fn fetched(args: &GenerateArgs, out: &Path, talk: &Talk) -> Result<Vec<PathBuf>, CommandError> {
    let reach = if args.allow_local { Reach::Any } else { Reach::Public };
    let mut inputs = Vec::new();
    for input in &args.inputs {
        if !operations::is_address(input) {
            inputs.push(input.clone());
            continue;
        }
        let address = input.to_string_lossy();
        if args.how.is_offline() {
            let message = format!("{}: --offline uses no network", operations::without_secrets(&address));
            return Err(
                CommandError::new(USAGE, message).hint("fetch it first: antiphon fetch URL --out DIR")
            );
        }
        let path = operations::fetch_document(&address, out, reach).await;
        let path = path.map_err(|err| match reach {
            Reach::Public => {
                CommandError::of_run(&err).hint("--allow-local takes http, this machine and its network, too")
            }
            _ => CommandError::of_run(&err),
        })?;
        talk.line(&format!("fetched {} as {}", operations::without_secrets(&address), path.display()));
        inputs.push(path);
    }
    Ok(inputs)
}

/// Generations with one provider.
pub(super) struct Planned {
    session: Session,
    settings: Settings,
    request: GenerateRequest,
}

impl Planned {
    /// What the recipe leaves open is as `how` says.
    pub(super) async fn new(
        settings: Settings,
        mut request: GenerateRequest,
        how: &GenerationArgs,
    ) -> Result<Self, CommandError> {
        let session = connect(&settings).await?;
        let (drawn, flags) = (&mut request.recipe.parameters, how.drawing.parameters());
        drawn.temperature = flags.temperature.or(drawn.temperature);
        drawn.max_tokens = flags.max_tokens.or(drawn.max_tokens);
        drawn.seed = flags.seed.or(drawn.seed);
        let anonymiser = how.anonymiser(&request.out).await?;
        let told = persona_recipe(&request);
        let request = request
            .calls_at_once(super::map::at_once(&settings))
            .anonymiser(anonymiser)
            .distil(how.distil.into())
            .deadline(how.deadline)
            .concurrency(settings.concurrency.value)
            .fresh(how.fresh)
            .resume(how.resume.clone())
            .max_cost(settings.max_cost.as_ref().map(|cost| cost.value))
            .note(output::begun_by(json!({ "recipe": told, "model": session.model })));
        Ok(Self { session, settings, request })
    }
}

/// What tells one generation from another in a list.
fn persona_recipe(request: &GenerateRequest) -> String {
    let recipe = &request.recipe;
    let evidence = match recipe.grounding {
        Grounding::Mark => "",
        Grounding::Strict => ", strict",
        _ => ", no evidence",
    };
    format!("persona ({}, {}{evidence})", recipe.name, request.count)
}

/// Makes personas of all that was planned, and tells of it.
pub(super) async fn all(planned: &[Planned], how: &GenerationArgs, talk: Talk) -> Result<u8, CommandError> {
    let mut reasons: Vec<&str> = planned.iter().map(|one| one.session.why.as_str()).collect();
    reasons.dedup();
    reasons.iter().for_each(|why| talk.line(&format!("provider: {why}")));
    if how.dry_run {
        return dry_run(planned, how.json, talk).await;
    }
    let live = Live::new(how.progress, talk, planned.iter().map(|one| one.request.inputs.len()).sum());
    let tokens = Watch::default();
    let interrupts = Interrupts::listen(tokens.drain.clone(), tokens.cancel.clone(), talk);
    let runs = planned.iter().map(|one| {
        let watch = watch(&tokens, &live, (&one.session, &one.settings), talk);
        operations::generate(&one.session, &one.request, watch)
    });
    // Inside each, as many are under way at once as its own settings say.
    let reports = live.ticking(Box::pin(futures_util::future::join_all(runs))).await;
    live.end();
    for (one, report) in planned.iter().zip(&reports) {
        if report.runs.iter().any(is_unknown_model) {
            let near = operations::near_models(&one.session).await;
            if !near.is_empty() {
                talk.hint(&format!("models with such a name: {}", near.join(", ")));
            }
        }
    }
    let report = GenerateReport { runs: reports.into_iter().flat_map(|report| report.runs).collect() };
    let text = if how.json { as_json(&report)? } else { as_list(&report) };
    output::result(&text)?;
    let code = end(&report, &interrupts, talk);
    if how.fresh && report.runs.iter().any(|run| run.result.is_err() && run.folder.is_some()) {
        talk.goes_on_without_fresh();
    }
    Ok(code)
}

/// Says what all that was planned would take.
async fn dry_run(planned: &[Planned], as_json: bool, talk: Talk) -> Result<u8, CommandError> {
    let mut found = Vec::new();
    for one in planned {
        for estimate in operations::estimate_generation(&one.session, &one.request).await {
            found.push(estimate.map_err(|err| CommandError::of_run(&err))?);
        }
    }
    for failure in found.iter().flat_map(|estimate| &estimate.failures) {
        talk.warning(&format!("left out {failure}"));
    }
    if as_json {
        let document = json!({ "schema": "antiphon.estimates/1", "generations": found });
        return output::result(&output::json(&document)?).map(|()| OK);
    }
    let mut text = String::new();
    for GenerationEstimate {
        input, documents, calls, input_tokens, output_tokens, cost_usd_micros, ..
    } in &found
    {
        let (documents, price) = (counted(*documents, "document"), cost(*cost_usd_micros));
        let calls = counted(usize::try_from(*calls).unwrap_or(usize::MAX), "call");
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "{documents} in {input}: {calls}, about {input_tokens} + {output_tokens} tokens, {price}"
        );
    }
    output::result(&text).map(|()| OK)
}

fn is_unknown_model(run: &RunOutcome) -> bool {
    let unknown = ErrorKind::Provider(antiphon_llm::ErrorKind::ModelNotFound);
    run.result.as_ref().is_err_and(|err| err.kind() == unknown)
}

fn watch(tokens: &Watch, live: &Live, (session, settings): (&Session, &Settings), talk: Talk) -> Watch {
    let (for_steps, for_events) = (live.clone(), live.clone());
    let hint_at_cloud = session.chosen_by_default && settings.has_openai_key;
    let place = settings
        .openai_url
        .as_deref()
        .map(|url| output::address(url).unwrap_or_else(|| "the address in OPENAI_BASE_URL".to_owned()));
    tokens.clone().on_progress(move |step, steps, message| for_steps.step(step, steps, message)).on_event(
        move |event| {
            for_events.event(&event);
            if let Event::Loaded { documents, bytes, .. } = event
                && hint_at_cloud
            {
                for_events.aside(|| talk.hint(&cloud_hint(documents, bytes, place.as_deref())));
            }
        },
    )
}

/// A key in the environment is no leave to send anything: it only earns a hint at what would be sent, where, and for
/// how much.
fn cloud_hint(documents: usize, bytes: usize, place: Option<&str>) -> String {
    let tokens = bytes.div_ceil(4) as u64;
    let model = cloud_model();
    let answer = antiphon_llm::Usage::new(Some(tokens), Some(3_000));
    // Another address may have other prices.
    let price = match place {
        None => antiphon_providers::prices::price("openai", model, tokens),
        Some(_) => None,
    };
    let place = place.unwrap_or("api.openai.com");
    let cost = match price.and_then(|price| price.cost_usd_micros(answer)) {
        Some(micros) => format!("about {}", cost(Some(micros))),
        None => cost(None),
    };
    let documents = counted(documents, "document");
    format!(
        "OPENAI_API_KEY is set; --provider openai would send {documents}, about {tokens} tokens, to \
         {place} ({model}, {cost})"
    )
}

fn cloud_model() -> &'static str {
    Kind::find("openai").and_then(|kind| kind.default_model).unwrap_or("its default model")
}

fn as_list(report: &GenerateReport) -> String {
    let mut text = String::new();
    for run in &report.runs {
        if let (Ok(done), Some(folder)) = (&run.result, &run.folder) {
            // Writing to a String cannot fail.
            let _ = list(&mut text, run, done, folder);
        }
        if let Some(done) = &run.unwritten {
            // What could not be written is at least printed: it is nowhere else, and may have been paid for.
            let personas = Personas::new(&done.report.run_id, done.personas.clone());
            text.push_str(&serde_json::to_string_pretty(&personas).unwrap_or_default());
            text.push('\n');
        }
    }
    text
}

fn list(text: &mut String, run: &RunOutcome, done: &Done, folder: &Path) -> std::fmt::Result {
    let Report { documents, usage, cost_usd_micros, may_cost_more, model_used, .. } = &done.report;
    let cost = match (may_cost_more, cost(*cost_usd_micros)) {
        (true, cost) => format!("{cost}; a call that gave no answer may have been billed, too"),
        (false, cost) => cost,
    };
    let input = run.input.display();
    let (personas, documents) =
        (counted(done.personas.len(), "persona"), counted(documents.len(), "document"));
    write!(text, "{personas} from {documents} in {input}")?;
    match (usage.input_tokens.zip(usage.output_tokens), model_used) {
        (_, false) => writeln!(text, " (drafts by text statistics: no language model was used)")?,
        (Some((asked, answered)), _) => {
            writeln!(text, " ({asked} + {answered} tokens, {cost})")?;
        }
        (None, _) => writeln!(text, " ({cost})")?,
    }
    for (number, persona) in (1..).zip(&done.personas) {
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

#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    runs: Vec<Run<'a>>,
}

#[derive(Serialize)]
struct Run<'a> {
    input: String,
    folder: Option<String>,
    reused: bool,
    error: Option<String>,
    personas: &'a [Persona],
    report: Option<&'a Report>,
}

fn as_json(report: &GenerateReport) -> Result<String, CommandError> {
    let runs = report.runs.iter().map(|run| {
        let (personas, report, reused, error) = match (&run.result, &run.unwritten) {
            (Ok(done), _) => (&done.personas[..], Some(&done.report), done.reused, None),
            (Err(err), Some(done)) => (&done.personas[..], Some(&done.report), false, Some(err.to_string())),
            (Err(err), None) => (&[][..], err.report(), false, Some(err.to_string())),
        };
        let folder = run.folder.as_ref().map(|folder| folder.display().to_string());
        Run { input: run.input.display().to_string(), folder, reused, error, personas, report }
    });
    let document = Document { schema: "antiphon.generate/1", runs: runs.collect() };
    let mut text = serde_json::to_string_pretty(&document)
        .map_err(|err| CommandError::internal(format!("the result cannot be written as JSON: {err}")))?;
    text.push('\n');
    Ok(text)
}

/// Says what failed and what to do next, and gives the exit code.
fn end(report: &GenerateReport, interrupts: &Interrupts, talk: Talk) -> u8 {
    let mut worst: Vec<u8> = Vec::new();
    for run in &report.runs {
        match &run.result {
            Ok(done) if done.reused => {
                talk.line(
                    "this run was finished before and is shown again, with 0 calls; --fresh makes it anew",
                );
                judged(&done.report, talk);
            }
            Ok(done) => judged(&done.report, talk),
            Err(err) => {
                let err = in_context(err, run, report.runs.len());
                talk.error(&err);
                worst.push(err.code());
            }
        }
    }
    let is_of_no_use =
        |done: &Done| done.report.validation.findings.iter().any(|finding| finding.level == Level::Error);
    let some_left_out = report
        .runs
        .iter()
        .flat_map(|run| &run.result)
        .any(|done| !done.report.failures.is_empty() || is_of_no_use(done));
    if let Some(code) = interrupts.code() {
        talk.line(match worst.is_empty() {
            true => "everything was finished all the same",
            false => "the same command makes what is not finished, and shows what is",
        });
        return code;
    }
    match worst.len() {
        0 if some_left_out => SOME_FAILED,
        0 => OK,
        n if n < report.runs.len() => {
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

/// What a user should know of personas beside the personas.
fn judged(report: &Report, talk: Talk) {
    /// More of a kind are in the report, and on the page.
    const MOST: usize = 5;
    if let Some(Anonymised { strategy, replaced, .. }) = &report.anonymised {
        let kept = match strategy {
            Strategy::Redact => "",
            _ => "; who is who stands in .anonymised/ in the output folder",
        };
        match replaced {
            0 => talk
                .warning("nothing was found to take out: look at the documents, and name names with --names"),
            found => talk.line(&format!("names, addresses and numbers taken out: {found}{kept}")),
        }
    }
    for lacking in report.failures.iter().filter(|failure| failure.document.is_none()) {
        talk.warning(&lacking.reason);
    }
    for refused in report.refused.iter().take(MOST) {
        let (Refused { name, like, .. }, alike) = (refused, refused.similarity * 100.0);
        talk.line(&format!("refused {name}: {alike:.0} % the same as {like}"));
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
        talk.line(&format!("{score} of 100 points by the rules"));
    }
}

fn in_context(err: &antiphon_pipeline::Error, run: &RunOutcome, runs: usize) -> CommandError {
    let plain = CommandError::of_run(err);
    let named = match runs {
        1 => CommandError::new(plain.code(), plain.to_string()),
        _ => CommandError::new(plain.code(), format!("{}: {plain}", run.input.display())),
    };
    let with_hints = plain.hints().iter().fold(named, |err, hint| err.hint(hint));
    let with_hints = match err.kind() {
        ErrorKind::Budget => with_hints.hint("with a higher --max-cost the same command goes on"),
        ErrorKind::Cancelled => CommandError::new(INTERRUPTED, with_hints.to_string()),
        _ => with_hints,
    };
    match (&run.folder, err.kind()) {
        _ if run.unwritten.is_some() => with_hints.hint("the personas are printed instead"),
        (Some(folder), _) => with_hints.hint(format!("what there is of it: {}", folder.display())),
        (None, _) => with_hints,
    }
}

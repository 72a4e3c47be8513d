use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use antiphon_engine::Stop;
use antiphon_engine::{Destination, Estimate, Lines, MapReport, Mapped, Mapping, Order, Recipe};
use antiphon_llm::ErrorKind as LlmKind;
use serde_json::json;

use super::cli::{MapArgs, OrderArg};
use super::config;
use super::error::{ALL_FAILED, BUDGET, CONFIG, CommandError, INTERNAL, INTERRUPTED, OK, SOME_FAILED, USAGE};
use super::interrupt::Interrupts;
use super::output::{self, Talk};
use super::progress::{cost, counted};
use super::rows_live::RowsLive;
use crate::operations::{self, MapRequest};
use crate::runtime::{Environment, Origin, Session, Settings, connect, resolve};

pub(super) async fn run(args: &MapArgs, talk: &Talk) -> Result<u8, CommandError> {
    let talk = *talk;
    not_over_its_own(args)?;
    let env = Environment::read();
    let recipe = recipe(&args.recipe).await?;
    let settings = resolve(&args.flags(&recipe), &env, &config::files(&env).await?)?;
    let session = connect(&settings).await?;
    if session.is_offline() {
        return Err(no_model());
    }
    talk.line(&format!("provider: {}", session.why));
    let (input, _spooled) = input(args).await?;
    let mut mapping = mapping(args, recipe, (&session, &settings), input);
    let watching: Arc<OnceLock<RowsLive>> = Arc::default();
    let watched = watching.clone();
    mapping.on_status =
        Arc::new(move |status| watched.get().into_iter().for_each(|live| live.status(status)));
    let request = MapRequest::new(mapping, &settings.out.value);
    if args.dry_run {
        return dry_run(&session, &request, args.json).await;
    }
    agreed(args, (&session, &request), talk).await?;
    let live = watching.get_or_init(|| RowsLive::new(args.progress, talk));
    let options = &request.mapping.options;
    let interrupts = Interrupts::listen(options.drain.clone(), options.cancel.clone(), talk);
    let mapped = Box::pin(operations::map(&session, &request)).await;
    live.end();
    let mapped = mapped.map_err(|err| CommandError::of_run(&err))?;
    let text = if args.json { output::json(&as_json(&mapped))? } else { as_text(&mapped) };
    match args.results_on_stdout() {
        // What is on stdout are results, and nothing else.
        true => talk.line(text.trim_end()),
        false => output::result(&text)?,
    }
    let code = end(&mapped, &interrupts, talk);
    if args.fresh && mapped.stop.is_some() {
        talk.goes_on_without_fresh();
    }
    Ok(code)
}

async fn dry_run(session: &Session, request: &MapRequest, as_json: bool) -> Result<u8, CommandError> {
    let estimate = operations::estimate(session, request).await.map_err(|err| CommandError::of_run(&err))?;
    print_estimate(&estimate, as_json)
}

/// Prints what a run would take.
pub(super) fn print_estimate(estimate: &Estimate, as_json: bool) -> Result<u8, CommandError> {
    let text = if as_json { output::json(estimate)? } else { told(estimate) };
    output::result(&text).map(|()| OK)
}

/// An estimate for people.
fn told(estimate: &Estimate) -> String {
    let range = |(least, most): (u64, u64)| match least == most {
        true => least.to_string(),
        false => format!("{least} to {most}"),
    };
    let Estimate { rows, done, cached, bad, calls, input_tokens, output_tokens, .. } = estimate;
    let mut text = format!(
        "rows       {rows}: {done} done, {cached} known or asked twice, {bad} cannot be asked about\n"
    );
    text.push_str(&format!("calls      {}\n", range(*calls)));
    text.push_str(&format!(
        "tokens     {} asked, {} answered\n",
        range(*input_tokens),
        range(*output_tokens)
    ));
    let money = |micros: u64| cost(Some(micros));
    let costs = estimate.cost_usd_micros.map_or_else(
        || cost(None),
        |(least, most)| match least == most {
            true => money(least),
            false => format!("{} to {}", money(least), money(most)),
        },
    );
    text.push_str(&format!("cost       {costs}\n"));
    let seconds = |millis: u64| format!("{:.1} s", millis as f64 / 1e3);
    let time = estimate.millis.map_or_else(
        || "not known before the first calls: try --limit 20".to_owned(),
        |(least, most)| format!("{} to {}", seconds(least), seconds(most)),
    );
    text.push_str(&format!("time       {time}\n"));
    text.push_str(&match estimate.based_on_calls {
        0 => "based on   what the recipe allows, since nothing like it was asked before\n".to_owned(),
        calls => format!("based on   {calls} calls of this recipe\n"),
    });
    text
}

/// From this much on a person is asked first, in millionths of a US dollar.
const WORTH_ASKING: u64 = 1_000_000;

/// Whether somebody who can be asked wants to spend what may be a lot.
async fn agreed(
    args: &MapArgs,
    (session, request): (&Session, &MapRequest),
    talk: Talk,
) -> Result<(), CommandError> {
    let may_ask = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
    let is_free = session.price(0) == Some(antiphon_llm::Price::FREE);
    if args.yes || is_free || request.mapping.options.max_cost.is_some() || !(may_ask || args.no_input) {
        return Ok(());
    }
    let estimate = operations::estimate(session, request).await.map_err(|err| CommandError::of_run(&err))?;
    let most = match estimate.cost_usd_micros {
        Some((_, most)) if most < WORTH_ASKING => return Ok(()),
        Some((_, most)) => format!("may cost up to {}", cost(Some(most))),
        None => "costs nobody knows what".to_owned(),
    };
    let needed = CommandError::new(USAGE, format!("this run {most}, and nobody said that it may"))
        .hint("say how much it may cost with --max-cost, or that anything is fine with --yes");
    if args.no_input {
        return Err(needed);
    }
    talk.line(&format!("this run {most}: {} rows. Go on? [y/N]", estimate.rows));
    let answer = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        std::io::stdin().read_line(&mut line).map(|_| line)
    });
    let answer = answer.await.ok().and_then(Result::ok).unwrap_or_default();
    if matches!(answer.trim(), "y" | "Y" | "yes") { Ok(()) } else { Err(needed) }
}

fn no_model() -> CommandError {
    CommandError::new(USAGE, "a recipe needs a language model, and no local engine answers")
        .hint("name who answers, such as --provider ollama or --provider openai --model NAME")
        .hint("to try it without one: antiphon simulate, and --provider compatible --base-url http://127.0.0.1:4010/v1 --model sim-1")
}

/// Results must not take the place of what they are made from.
fn not_over_its_own(args: &MapArgs) -> Result<(), CommandError> {
    let place = |path: &Path| std::path::absolute(path).ok();
    let Some(out) = args.out.as_deref().filter(|_| !args.results_on_stdout()) else { return Ok(()) };
    for (path, what) in [(&args.rows, "rows"), (&args.recipe, "recipe")] {
        if place(out) == place(path) {
            let message =
                format!("{} is the file of the {what}: results would take its place", out.display());
            return Err(CommandError::new(USAGE, message).hint("name another file with --out"));
        }
    }
    Ok(())
}

async fn recipe(path: &Path) -> Result<Recipe, CommandError> {
    let text = antiphon_fs::read_to_string(path).await;
    let text = text.map_err(|err| CommandError::new(USAGE, err.to_string()))?;
    Recipe::parse(&path.display().to_string(), &text.text).map_err(|err| CommandError::of_run(&err.into()))
}

/// The rows' file; those of stdin are put into one first, so that they can be told apart from others and read again.
async fn input(args: &MapArgs) -> Result<(PathBuf, Option<antiphon_fs::NamedTempFile>), CommandError> {
    if args.rows != Path::new("-") {
        return Ok((args.rows.clone(), None));
    }
    let spooled = tokio::task::spawn_blocking(|| {
        let mut file = antiphon_fs::temp_file().map_err(|err| err.to_string())?;
        std::io::copy(&mut std::io::stdin().lock(), file.as_file_mut()).map_err(|err| err.to_string())?;
        file.as_file_mut().flush().map_err(|err| err.to_string())?;
        Ok::<_, String>(file)
    });
    let spooled = spooled.await.map_err(|err| CommandError::internal(err.to_string()))?;
    let file = spooled.map_err(|err| CommandError::new(USAGE, format!("stdin cannot be read: {err}")))?;
    Ok((file.path().to_owned(), Some(file)))
}

fn mapping(
    args: &MapArgs,
    recipe: Recipe,
    (session, settings): (&Session, &Settings),
    input: PathBuf,
) -> Mapping {
    let mut mapping = Mapping::new(input, recipe, &session.model);
    mapping.input_name = args.rows.display().to_string();
    mapping.format = args.format.map(Into::into);
    mapping.limit = args.limit;
    mapping.fresh = args.fresh;
    mapping.resume.clone_from(&args.resume);
    mapping.retry_failed = args.retry_failed;
    mapping.order = match args.order {
        OrderArg::Input => Order::Input,
        OrderArg::Completion => Order::Completion,
    };
    mapping.results = match &args.out {
        Some(path) if path == Path::new("-") => Some(Destination::Lines(Lines::new(stdout))),
        Some(path) => Some(Destination::File(path.clone())),
        None => None,
    };
    mapping.request = output::begun_by(
        json!({ "input": mapping.input_name, "recipe": args.recipe.display().to_string(), "model": session.model }),
    );
    mapping.options.concurrency = at_once(settings);
    mapping.options.max_cost = settings.max_cost.as_ref().map(|cost| cost.value);
    mapping
}

/// How many calls at once, where anybody said so: else as many as the provider takes.
pub(super) fn at_once(settings: &Settings) -> Option<usize> {
    (settings.concurrency.origin != Origin::Default).then_some(settings.concurrency.value)
}

pub(super) fn stdout(lines: &[u8]) -> std::io::Result<()> {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(lines)?;
    stdout.flush()
}

fn as_json(mapped: &Mapped) -> serde_json::Value {
    let path = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
    let mut document = json!(mapped.report);
    document["folder"] = json!(mapped.folder.display().to_string());
    document["results"] = json!(path(&mapped.results));
    document["failed_rows"] = json!(path(&mapped.failed));
    document["reused"] = json!(mapped.reused);
    document
}

fn as_text(mapped: &Mapped) -> String {
    let MapReport { rows, accepted, failed, left, calls, cached, .. } = &mapped.report;
    let mut parts = vec![format!("{accepted} of {} done", counted_rows(*rows))];
    if *failed > 0 {
        parts.push(format!("{failed} failed"));
    }
    if *left > 0 {
        parts.push(format!("{left} left"));
    }
    parts.push(match *calls {
        1 => "1 call".to_owned(),
        calls => format!("{calls} calls"),
    });
    if *cached > 0 {
        parts.push(format!("{cached} from the cache"));
    }
    let (asked, answered) = (mapped.report.input_tokens, mapped.report.output_tokens);
    parts.push(format!("{asked} + {answered} tokens"));
    parts.push(cost(mapped.report.cost_usd_micros));
    if mapped.resumed_at > 0 && !mapped.reused {
        parts.push("all sessions of the run together".to_owned());
    }
    let mut text = parts.join(", ") + "\n";
    if let Some(path) = &mapped.results {
        text.push_str(&format!("{}\n", path.display()));
    }
    text
}

fn counted_rows(rows: u64) -> String {
    usize::try_from(rows).map_or_else(|_| format!("{rows} rows"), |rows| counted(rows, "row"))
}

/// Says what is missing and what to do next, and gives the exit code.
fn end(mapped: &Mapped, interrupts: &Interrupts, talk: Talk) -> u8 {
    let report = &mapped.report;
    if mapped.reused {
        talk.line("this run was finished before and is shown again, with 0 calls; --fresh begins another one, with the answers that the journal has unless the recipe says cache = false");
    } else if mapped.resumed_at > 0 {
        talk.line(&format!("went on with run {} at {} rows", report.run_id, mapped.resumed_at));
    }
    for cause in &report.causes {
        let (rows, row) = (counted_rows(cause.rows), cause.first_row);
        talk.warning(&format!("{rows} failed: {}; row {row}: {}", cause.error, cause.message));
    }
    if let Some(path) = &mapped.failed {
        talk.hint(&format!("antiphon runs retry-failed {} asks about them again", report.run_id));
        talk.line(&format!("failed rows: {}", path.display()));
    }
    let billed = &report.possibly_billed;
    if billed.calls > 0 {
        let most = billed.most_usd_micros;
        let most = most.map(|most| format!(", with at most {}", cost(Some(most)))).unwrap_or_default();
        let calls = usize::try_from(billed.calls).unwrap_or(usize::MAX);
        talk.warning(&format!(
            "{} that broke off may have been billed, too{most}; run.json names the rows",
            counted(calls, "call")
        ));
    }
    // Of a short run it says nothing.
    if !mapped.reused
        && report.time.wall_ms >= operations::WORTH_TELLING
        && let (Some(phase), Some(advice)) = (report.time.bottleneck, &report.time.advice)
    {
        talk.line(&format!("most of the time: {}; {advice}", phase.told()));
    }
    talk.line(&format!("report: {}", mapped.folder.join("run.json").display()));
    let code = match &mapped.stop {
        Some(stop) => stopped(stop, talk),
        None if report.failed == 0 => OK,
        None if report.accepted == 0 => ALL_FAILED,
        None => SOME_FAILED,
    };
    interrupts.code().unwrap_or(code)
}

pub(super) fn stopped(stop: &Stop, talk: Talk) -> u8 {
    let goes_on = "the same command goes on with what is left";
    let (code, hint) = match stop {
        Stop::Unread => {
            talk.line(&format!("stopped: nobody reads the results any more; {goes_on}"));
            return OK;
        }
        Stop::Interrupted => {
            talk.line(&format!("stopped: {goes_on}"));
            return INTERRUPTED;
        }
        Stop::Budget { .. } => (BUDGET, format!("with a higher --max-cost {goes_on}")),
        Stop::Provider(err) => {
            let is_of_account = matches!(err.kind(), LlmKind::Auth | LlmKind::Quota | LlmKind::ModelNotFound);
            let hint = super::error::hint_of(err.kind());
            let hint = hint.map_or_else(|| goes_on.to_owned(), |hint| format!("{hint}; then {goes_on}"));
            (if is_of_account { CONFIG } else { ALL_FAILED }, hint)
        }
        Stop::Saturated { .. } => (SOME_FAILED, format!("later {goes_on}")),
        Stop::Store(_) | Stop::Output(_) => {
            (INTERNAL, format!("what was acknowledged is kept; when that is mended {goes_on}"))
        }
        Stop::Input(_) => (USAGE, goes_on.to_owned()),
        _ => (INTERNAL, goes_on.to_owned()),
    };
    talk.error(&CommandError::new(code, stop.to_string()).hint(hint));
    code
}

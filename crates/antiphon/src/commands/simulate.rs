//! `simulate`: a server that simulates LLM APIs, with rate limits and faults, until it is stopped.
//!
//! Stdout has the base URL as soon as the server listens, so that a script can wait for that line; stderr has the
//! addresses of all formats, and at the end the statistics. One Ctrl-C or SIGTERM stops the server. That is the normal
//! end, so that the exit code is 0; a scenario that is wrong has 2, and a port that cannot be used 3.

use antiphon_sim::{ClientVerdict, Faults, Latency, Limit, LimitSignal, Scenario, Server, Stats};
use tokio_util::sync::CancellationToken;

use super::cli::{LimitSignalArg, SimulateArgs};
use super::error::{CONFIG, CommandError, OK, USAGE};
use super::front::source;
use super::interrupt::Interrupts;
use super::output::{self, Talk};
use super::progress::counted;
use crate::operations::RecipeSource;

/// Runs the server up to the first signal.
pub(super) async fn run(args: &SimulateArgs, talk: &Talk) -> Result<u8, CommandError> {
    let scenario = scenario(args).await?;
    let server = Server::start(scenario, args.port).await.map_err(|err| {
        let message = format!("cannot listen on port {}: {err}", args.port);
        CommandError::new(CONFIG, message).hint("use another --port, or --port 0 for any free one")
    })?;
    output::result(&format!("{}/v1\n", server.url()))?;
    print_addresses(&server, *talk);
    let stop = CancellationToken::new();
    let interrupts = Interrupts::listen_for_one(stop.clone());
    stop.cancelled().await;
    drop(interrupts);
    talk.line(&format_result(&server.stats(), &server.verdict()));
    // A stop by a signal is the normal end.
    Ok(OK)
}

/// Prints the addresses of the simulated APIs: each is below the path that its clients expect.
fn print_addresses(server: &Server, talk: Talk) {
    talk.line(&format!(
        "OpenAI and llama.cpp at {0}/v1, Anthropic at {0}/v1, Gemini at {0}/v1beta, Ollama and llama.cpp's own at {0}",
        server.url()
    ));
    talk.line(&format!(
        "statistics at {0}/_sim/stats, an assessment of the clients at {0}/_sim/verdict",
        server.url()
    ));
    talk.line("press Ctrl-C to stop");
}

/// Formats the statistics: requests, answers, and each fault that occurred. Retries that a client should not have sent
/// are in capitals.
fn format_result(stats: &Stats, verdict: &ClientVerdict) -> String {
    let faults = fault_counts(stats, verdict).into_iter().filter(|(count, _)| *count > 0);
    let faults: String = faults.map(|(count, what)| format!(", {count} {what}")).collect();
    let requests = counted(stats.requests, "request");
    format!("{requests}, {} answered, {} throttled{faults}", stats.answered, stats.throttled)
}

/// Returns the number of each fault, with its label.
fn fault_counts(stats: &Stats, verdict: &ClientVerdict) -> [(u64, &'static str); 12] {
    [
        (stats.errors, "errors"),
        (stats.overloaded, "overloaded"),
        (stats.out_of_money, "out of quota"),
        (stats.declined, "declined"),
        (stats.resets, "reset"),
        (stats.stalls, "stalled"),
        (stats.halves, "truncated"),
        (stats.garbage, "invalid JSON"),
        (stats.hung_up, "given up by the client"),
        (verdict.repeated, "repeated after an answer"),
        (verdict.too_early, "retried TOO EARLY"),
        (verdict.hopeless, "retried THOUGH HOPELESS"),
    ]
}

/// Returns the scenario of the file or of the flags.
///
/// # Errors
/// A usage error for a file that cannot be read or parsed, and for faults whose fractions add up to more than 1: each
/// request has at most one fault.
async fn scenario(args: &SimulateArgs) -> Result<Scenario, CommandError> {
    let scenario = match &args.scenario {
        Some(path) => {
            let RecipeSource { name, text } = source(path).await?;
            Scenario::parse(&name, &text).map_err(|err| CommandError::new(USAGE, err.to_string()))?
        }
        None => of_flags(args),
    };
    if scenario.faults.sum() > 1.0 {
        let message = "the fractions of faults add up to more than 1";
        return Err(CommandError::new(USAGE, message));
    }
    Ok(scenario)
}

/// Returns the latency to the first byte: fixed, or log-normal with the given median, as measured latencies usually
/// are.
fn latency(args: &SimulateArgs) -> Latency {
    match args.spread {
        Some(sigma) => Latency::LogNormal { median: args.latency, sigma },
        None => Latency::Fixed(args.latency),
    }
}

/// Returns the fractions of requests with each fault.
fn faults(args: &SimulateArgs) -> Faults {
    Faults::default()
        .error(args.errors)
        .reset(args.resets)
        .stall(args.stalls)
        .half(args.halves)
        .garbage(args.garbage)
}

/// Returns the signal by which rate limits are reported.
fn limit_signal(signal: LimitSignalArg) -> LimitSignal {
    match signal {
        LimitSignalArg::Headers => LimitSignal::Headers,
        LimitSignalArg::RetryAfter => LimitSignal::RetryAfter,
        LimitSignalArg::RetryAfterSeconds => LimitSignal::RetryAfterSeconds,
        LimitSignalArg::None => LimitSignal::None,
    }
}

/// Returns the scenario of the flags. The token limit is given per minute, as vendors publish theirs, and may be used
/// up in one burst; the simulator counts per second.
fn of_flags(args: &SimulateArgs) -> Scenario {
    let mut scenario = Scenario::default()
        .latency(latency(args))
        .answer_tokens(args.answer_tokens)
        .limit_signal(limit_signal(args.limit_signal))
        .faults(faults(args))
        .seed(args.seed);
    if let Some(rate) = args.tokens_per_second {
        scenario = scenario.tokens_per_second(rate);
    }
    if let Some(rate) = args.requests_per_second {
        scenario = scenario.requests(Limit::per_second(rate, args.burst));
    }
    if let Some(tokens) = args.tokens_per_minute {
        scenario = scenario.tokens(Limit::per_second(f64::from(tokens) / 60.0, tokens));
    }
    scenario
}

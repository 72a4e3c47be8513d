use antiphon_sim::{ClientVerdict, Faults, Latency, Limit, Scenario, Server, Stats};
use tokio_util::sync::CancellationToken;

use super::cli::{LimitSignalArg, SimulateArgs};
use super::error::{ALL_FAILED, CommandError, OK, USAGE};
use super::front::source;
use super::interrupt::Interrupts;
use super::output::{self, Talk};
use super::progress::counted;
use crate::operations::RecipeSource;

pub(super) async fn run(args: &SimulateArgs, talk: &Talk) -> Result<u8, CommandError> {
    let scenario = match &args.scenario {
        Some(path) => {
            let RecipeSource { name, text } = source(path).await?;
            Scenario::parse(&name, &text).map_err(|err| CommandError::new(USAGE, err.to_string()))?
        }
        None => scenario(args),
    };
    if scenario.faults.sum() > 1.0 {
        let message = "the fractions of faults add up to more than 1";
        return Err(CommandError::new(USAGE, message));
    }
    let server = Server::start(scenario, args.port).await.map_err(|err| {
        let message = format!("cannot listen on port {}: {err}", args.port);
        CommandError::new(ALL_FAILED, message).hint("use another --port, or --port 0 for any free one")
    })?;
    output::result(&format!("{}/v1\n", server.url()))?;
    talk.line(&format!(
        "OpenAI and llama.cpp at {0}/v1, Anthropic at {0}/v1, Gemini at {0}/v1beta, Ollama and llama.cpp's own at {0}",
        server.url()
    ));
    talk.line(&format!(
        "statistics at {0}/_sim/stats, an assessment of the clients at {0}/_sim/verdict",
        server.url()
    ));
    talk.line("press Ctrl-C to stop");
    let stop = CancellationToken::new();
    let interrupts = Interrupts::listen_for_one(stop.clone());
    stop.cancelled().await;
    drop(interrupts);
    talk.line(&format_result(&server.stats(), &server.verdict()));
    // A stop by a signal is the normal end.
    Ok(OK)
}

fn format_result(stats: &Stats, verdict: &ClientVerdict) -> String {
    let faults = [
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
    ];
    let faults =
        faults.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!(", {count} {what}"));
    let faults: String = faults.collect();
    let requests = counted(stats.requests, "request");
    format!("{requests}, {} answered, {} throttled{faults}", stats.answered, stats.throttled)
}

fn scenario(args: &SimulateArgs) -> Scenario {
    let latency = match args.spread {
        Some(sigma) => Latency::LogNormal { median: args.latency, sigma },
        None => Latency::Fixed(args.latency),
    };
    let faults = Faults::default()
        .error(args.errors)
        .reset(args.resets)
        .stall(args.stalls)
        .half(args.halves)
        .garbage(args.garbage);
    let mut scenario = Scenario::default()
        .latency(latency)
        .answer_tokens(args.answer_tokens)
        .limit_signal(match args.limit_signal {
            LimitSignalArg::Headers => antiphon_sim::LimitSignal::Headers,
            LimitSignalArg::RetryAfter => antiphon_sim::LimitSignal::RetryAfter,
            LimitSignalArg::RetryAfterSeconds => antiphon_sim::LimitSignal::RetryAfterSeconds,
            LimitSignalArg::None => antiphon_sim::LimitSignal::None,
        })
        .faults(faults)
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

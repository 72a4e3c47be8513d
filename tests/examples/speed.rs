//! Measures the speed-up of concurrent calls over sequential ones at a local engine: `speed URL MODEL`.
#![expect(clippy::print_stdout, clippy::expect_used, clippy::disallowed_methods, reason = "a measurement")]

use std::process::ExitCode;
use std::time::{Duration, Instant};

use antiphon::blocking;
use antiphon_llm::{
    CallContext, Error, LimiterRegistry, Message, Prompt, ProviderExt, SamplingParams, Stack,
};
use antiphon_providers::LlamaCpp;
use antiphon_resilience::AdaptivePolicy;
use futures_util::future::join_all;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [url, model] = &args[..] else {
        println!("usage: speed URL MODEL");
        return ExitCode::from(2);
    };
    match measure(url, model) {
        Ok(()) => ExitCode::SUCCESS,
        Err(err) => {
            println!("{err}");
            ExitCode::FAILURE
        }
    }
}

/// Measures with as many concurrent calls as the engine has slots: more would only wait there.
fn measure(url: &str, model: &str) -> Result<(), Error> {
    let engine = LlamaCpp::new(url)?.token_timeout(Duration::from_secs(120));
    let run = "no runtime is at work";
    let slots = blocking::run(engine.props()).expect(run)?.slots.max(1);
    let limiters = LimiterRegistry::new(AdaptivePolicy::default().max_concurrency(slots as usize));
    let provider = Stack::new(engine).limiters(limiters).build();
    let context = CallContext::default();
    println!("{slots} slots");
    for count in [3, 10, 20, 100] {
        let prompts: Vec<Prompt> = (0..count).map(|number| prompt(model, number)).collect();
        let began = Instant::now();
        for prompt in &prompts {
            blocking::run(provider.complete(prompt, &context)).expect(run)?;
        }
        let one_by_one = began.elapsed();
        let began = Instant::now();
        let all = blocking::run(join_all(prompts.iter().map(|prompt| provider.complete(prompt, &context))));
        let at_once = began.elapsed();
        all.expect(run).into_iter().collect::<Result<Vec<_>, Error>>()?;
        let times = one_by_one.as_secs_f64() / at_once.as_secs_f64();
        println!("{count} concurrent calls: {times:.1} times as fast, of at most {}", count.min(slots));
    }
    Ok(())
}

fn prompt(model: &str, number: u32) -> Prompt {
    let parameters = SamplingParams::default().max_tokens(8).seed(1);
    let question = Message::user(format!("Tell a story about lighthouse number {number}."));
    Prompt::new(model, [question]).parameters(parameters)
}

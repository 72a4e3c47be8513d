//! Runs the conformance suite against a server: `conformance FORMAT URL MODEL [SKIP,… | ask | hang-up]`.
#![expect(clippy::print_stdout, reason = "a program")]

use std::process::ExitCode;
use std::time::Duration;

use antiphon_llm::{
    CallContext, Delta, LimiterRegistry, Message, Prompt, ProviderExt, SamplingParams, Stack,
};
use antiphon_tests::conformance::{Target, all};
use futures_util::StreamExt;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [format, url, model, rest @ ..] = &args[..] else {
        println!("usage: conformance FORMAT URL MODEL [SKIP,… | ask | hang-up]");
        return ExitCode::from(2);
    };
    let mut target = Target::new(format, url, model);
    target.patience = Duration::from_secs(120);
    if rest.first().is_some_and(|what| what == "hang-up") {
        return hang_up(&target).await;
    }
    if rest.first().is_some_and(|what| what == "ask") {
        return ask(&target).await;
    }
    let skipped: Vec<&str> = rest.iter().flat_map(|names| names.split(',')).collect();
    let failed: Vec<_> = all(&target).await.into_iter().filter(|(name, _)| !skipped.contains(name)).collect();
    for (name, why) in &failed {
        println!("{format}: {name}: {why}");
    }
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Makes one call with the full stack of layers that a program puts around a provider.
async fn ask(target: &Target) -> ExitCode {
    let provider = Stack::new(target.provider()).limiters(LimiterRegistry::default()).build();
    match provider.complete(&target.prompt(), &CallContext::default()).await {
        Ok(done) => {
            println!("{} ({} calls)", done.text, done.attempts);
            ExitCode::SUCCESS
        }
        Err(err) => {
            let partial = err.partial().map(|partial| partial.text.len()).unwrap_or_default();
            println!("{}: {partial} bytes received: {err}", err.kind().name());
            ExitCode::FAILURE
        }
    }
}

/// Begins a long answer, hangs up after its first words, and stays alive for 20 s, so that the server must notice the hang-up and
/// not the end of the process.
async fn hang_up(target: &Target) -> ExitCode {
    let prompt = Prompt::new(&target.model, [Message::user("Tell a long story about a lighthouse.")]);
    let prompt = prompt.parameters(SamplingParams::default().max_tokens(3_000));
    let mut answer = match target.provider().stream(&prompt, &CallContext::default()).await {
        Ok(answer) => answer,
        Err(err) => {
            println!("{err}");
            return ExitCode::FAILURE;
        }
    };
    let first = answer.next().await;
    drop(answer);
    println!("hung up after {}", if matches!(first, Some(Ok(Delta::Text(_)))) { "words" } else { "nothing" });
    tokio::time::sleep(Duration::from_secs(20)).await;
    ExitCode::SUCCESS
}

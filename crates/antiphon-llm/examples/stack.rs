//! The wrappers of a provider: single flight, a cache, a fallback for prompts that it cannot answer, a journal of calls,
//! and cassettes that are recorded and replayed. Needs no network and no key.
#![expect(clippy::print_stdout, reason = "a program")]

use std::error::Error as StdError;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use antiphon_llm::{
    BlockingProvider, CallContext, CircuitBreaker, Completion, Error, ErrorKind, LimiterRegistry,
    MemoryCache, Message, Prompt, Provider, ProviderExt, Recorded, Replayed, RetryPolicy, Stack, Usage,
};

const MOTTOS: [(&str, &str); 2] =
    [("bakery", "Bread before sunrise."), ("weaver", "Every thread has two ends.")];

/// A vendor that answers some questions and counts all calls.
fn vendor(name: &str, trades: &'static [&str], calls: Arc<AtomicU32>) -> impl Provider + use<> {
    BlockingProvider::from_fn(name, 4, move |prompt| {
        calls.fetch_add(1, Ordering::Relaxed);
        let asked = prompt.messages.last().map(|message| message.rendered().into_owned()).unwrap_or_default();
        let known = |(trade, _): &&(&str, &str)| trades.contains(trade) && asked.contains(trade);
        let motto = MOTTOS.iter().find(known).map(|(_, motto)| *motto);
        let motto = motto.ok_or_else(|| Error::new(ErrorKind::Unavailable, "no answer arrived"))?;
        Ok(Completion::new(motto).usage(Usage::new(Some(12), Some(5))))
    })
}

fn ask(trade: &str) -> Prompt {
    Prompt::new("large-model", [Message::user(format!("A motto for a {trade}?"))])
}

/// Wraps one provider in limits, a circuit breaker and a retry policy.
fn stack(provider: impl Provider, limiters: &LimiterRegistry) -> Stack {
    let breaker = CircuitBreaker::simple(20, Duration::from_secs(60));
    Stack::new(provider).limiters(limiters.clone()).breaker(breaker).retry(RetryPolicy::never())
}

/// Asks all trades twice at the same time, and then once more.
async fn ask_all(provider: &Arc<dyn Provider>, context: &CallContext) -> Result<Vec<String>, Error> {
    let mut texts = Vec::new();
    for (trade, _) in MOTTOS {
        let prompt = ask(trade);
        let (one, two) =
            tokio::join!(provider.complete(&prompt, context), provider.complete(&prompt, context));
        let (one, two, three) = (one?, two?, provider.complete(&prompt, context).await?);
        println!("{trade:8} {:?}: {} + {} + {} calls", one.text, one.attempts, two.attempts, three.attempts);
        assert!(one.text == two.text && two.text == three.text, "equal prompts have one answer");
        assert_eq!(two.attempts, 0, "the second caller joined the call of the first");
        texts.push(one.text);
    }
    Ok(texts)
}

/// Runs live: both providers are recorded, and the first one cannot answer for the weaver.
async fn record(cassettes: &Path) -> Result<Vec<String>, Error> {
    let (limiters, calls) = (LimiterRegistry::default(), Arc::new(AtomicU32::new(0)));
    let first = Recorded::in_dir(vendor("large", &["bakery"], calls.clone()), cassettes);
    let second = Recorded::in_dir(vendor("small", &["bakery", "weaver"], calls.clone()), cassettes);
    let provider = stack(first, &limiters)
        .fallback(stack(second, &limiters), "small-model")
        .cache(Arc::new(MemoryCache::new(100)))
        .single_flight()
        .build();
    let (context, journal) = journalled();
    let texts = ask_all(&provider, &context).await?;
    // The third answer for the bakery comes from the cache. The weaver's is from another model than was asked for, which
    // the cache does not store: two prompts, two calls each.
    assert_eq!(calls.load(Ordering::Relaxed), 1 + 4);
    assert_eq!(journal.load(Ordering::Relaxed), 1 + 4, "each call of each provider has an entry");
    for (scope, model, view) in limiters.snapshots() {
        println!("limits of {scope}, {model}: {} answered, {} failed", view.answered, view.failed);
    }
    Ok(texts)
}

/// Answers the same prompts from the cassettes, without a provider.
async fn replay(cassettes: &Path) -> Result<Vec<String>, Error> {
    let replayed = Replayed::open(cassettes).await?;
    let scopes = replayed.scopes();
    println!("on cassette: {}", scopes.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "));
    let mut providers = scopes.iter().filter_map(|scope| replayed.of_scope(scope));
    let (Some(first), Some(second)) = (providers.next(), providers.next()) else {
        return Err(Error::new(ErrorKind::InvalidRequest, "two cassettes were recorded"));
    };
    let provider = Stack::new(first).fallback(Stack::new(second), "small-model").single_flight().build();
    let (context, _) = journalled();
    let texts = ask_all(&provider, &context).await?;
    let unknown = provider.complete(&ask("lighthouse"), &context).await;
    let unknown =
        unknown.err().ok_or_else(|| Error::new(ErrorKind::InvalidResponse, "it was never recorded"))?;
    println!("never recorded: {unknown}");
    assert_eq!(unknown.kind(), ErrorKind::Unsupported);
    Ok(texts)
}

/// A context whose before-send hook counts the calls, in place of a write-ahead journal.
fn journalled() -> (CallContext, Arc<AtomicU32>) {
    let journal = Arc::new(AtomicU32::new(0));
    let entries = journal.clone();
    let context = CallContext::default().before_send(move || {
        entries.fetch_add(1, Ordering::Relaxed);
        std::future::ready(Ok(()))
    });
    (context, journal)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn StdError>> {
    let folder = antiphon_fs::temp_dir()?;
    let cassettes = folder.path().join("cassettes");
    let live = record(&cassettes).await?;
    let again = replay(&cassettes).await?;
    assert_eq!(live, again);
    println!("the replayed run has the same answers");
    Ok(())
}

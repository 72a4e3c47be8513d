//! The recipe of the crate's tests, and a provider that answers from a script.
//!
//! One row is one prompt for three integers, `{"items": [1, 2, 3]}`. An answer costs $1 per million tokens, prompt and
//! answer alike, so that a cost in millionths of a dollar equals the number of tokens: 50 for the usual answer.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use antiphon_llm::{
    CallContext, Capabilities, Completion, Delta, Error, ErrorKind, Health, Message, Model, Output, Price,
    Prompt, Provider, SamplingParams, Schema, Scope, Streaming, Usage, async_trait,
};
use antiphon_resilience::RetryPolicy;
use antiphon_store::{Bill, NewRun, Run, Settlement, Store, Tally};
use serde_json::{Value, json};

use crate::engine::Options;
use crate::run_state::RunState;
use crate::work::{Accepted, Invalid, InvalidRow, JobView, Unique, Work};

/// The JSON pointer of the list in answers.
pub(crate) const LIST: &str = "/items";

/// A recipe for three numbers, none of which may be negative: such elements are rejected, and the others kept.
#[derive(Debug)]
pub(crate) struct Numbers;

impl Work for Numbers {
    fn prompt(&self, row: &str) -> Result<Prompt, InvalidRow> {
        if row == "bad" { Err(InvalidRow::new("a bad row")) } else { Ok(prompt(row)) }
    }

    fn accept(&self, _: &JobView<'_>, value: Value) -> Result<Accepted, Invalid> {
        let items = value["items"].as_array().cloned().unwrap_or_default();
        let (bad, kept): (Vec<Value>, Vec<Value>) =
            items.into_iter().partition(|item| item.as_i64().is_some_and(|item| item < 0));
        if bad.is_empty() {
            return Ok(Accepted::new(value));
        }
        Err(Invalid::Partial { kept, reasons: format!("{} is negative", bad[0]), notes: Vec::new() })
    }

    fn list(&self) -> Option<&str> {
        Some(LIST)
    }

    /// Makes the first number unique among rows if it is seven.
    fn unique(&self, value: &Value) -> Vec<Unique> {
        let first = &value["items"][0];
        if *first == 7 { vec![Unique::new("/items/0", first.clone())] } else { Vec::new() }
    }
}

/// Returns the prompt for three numbers.
pub(crate) fn prompt(row: &str) -> Prompt {
    let items = json!({"type": "array", "items": {"type": "integer"}, "minItems": 3, "maxItems": 3});
    let schema = json!({"type": "object", "required": ["items"], "properties": {"items": items}});
    let output = Output::Json(Schema::new("answer", schema).unwrap());
    Prompt::new("model", [Message::user(row)])
        .output(output)
        .parameters(SamplingParams::default().max_tokens(1_000))
}

/// Returns options with a price of $1 per million tokens, and pauses whose jitter comes from a fixed seed.
pub(crate) fn options() -> Options {
    Options {
        pricing: Arc::new(|_| Some(Price::new(1_000_000, 1_000_000, 1_000_000))),
        retry: RetryPolicy::default().max_retries(3).seed(7),
        cache: false,
        ..Options::default()
    }
}

/// Returns the state of a run without earlier calls.
pub(crate) fn run_state(options: Options) -> RunState {
    RunState::new(Arc::new(Numbers), options, &Tally::default())
}

/// Returns an answer of 30 tokens to a prompt of 20.
pub(crate) fn answer(text: &str) -> Completion {
    Completion::new(text).usage(Usage::new(Some(20), Some(30)))
}

/// Creates a run of `rows` rows, each with its number as its result.
pub(crate) async fn finished(store: &Store, rows: u64) -> Run {
    let run = store.open_run(NewRun::new("finished")).await.unwrap();
    run.enqueue((0..rows).map(|n| json!({ "n": n }).to_string()).collect()).await.unwrap();
    run.seal().await.unwrap();
    for n in 0..rows {
        run.settle(Settlement::accepted(n, n.to_string(), Bill::default())).await.unwrap();
    }
    run
}

/// Returns an error of one call that was not billed.
pub(crate) fn error(kind: ErrorKind) -> Error {
    Error::new(kind, "no answer")
}

/// Returns one of each kind of error with which a call can end.
pub(crate) fn all_errors() -> Vec<ErrorKind> {
    use antiphon_llm::{ErrorKind as Kind, TimeoutPhase, TruncationCause};
    let retry_after = Some(Duration::from_secs(2));
    vec![
        Kind::InvalidRequest,
        Kind::Auth,
        Kind::ModelNotFound,
        Kind::Unsupported,
        Kind::Quota,
        Kind::RateLimited { retry_after },
        Kind::Overloaded { retry_after: None },
        Kind::CircuitOpen { retry_after },
        Kind::Connect,
        Kind::Exhausted,
        Kind::Unavailable,
        Kind::Timeout { phase: TimeoutPhase::FirstToken },
        Kind::Timeout { phase: TimeoutPhase::NextToken },
        Kind::Timeout { phase: TimeoutPhase::Call },
        Kind::Truncated { cause: TruncationCause::MaxTokens },
        Kind::Truncated { cause: TruncationCause::Disconnected },
        Kind::ModelRefusal,
        Kind::Filtered,
        Kind::ContextTooLong,
        Kind::InvalidResponse,
        Kind::SchemaMismatch,
        Kind::Cancelled,
    ]
}

/// A provider whose calls each take a fixed time and end with the results of a script; further calls never end.
#[derive(Debug)]
pub(crate) struct Scripted {
    /// The time of each call, on the paused clock of the test.
    takes: Duration,
    /// The results that are left, the next one last.
    results: Mutex<Vec<Result<Completion, Error>>>,
}

impl Scripted {
    /// Creates a provider whose calls end with `results`, in this order.
    pub(crate) fn new(takes: Duration, results: impl IntoIterator<Item = Result<Completion, Error>>) -> Self {
        let mut results: Vec<_> = results.into_iter().collect();
        results.reverse();
        Self { takes, results: Mutex::new(results) }
    }
}

#[async_trait]
impl Provider for Scripted {
    fn scope(&self) -> Scope {
        Scope::new("scripted", None)
    }

    async fn stream(&self, prompt: &Prompt, _: &CallContext) -> Result<Streaming, Error> {
        tokio::time::sleep(self.takes).await;
        let next = self.results.lock().unwrap().pop();
        let Some(result) = next else { return std::future::pending().await };
        let answer = result?.into_complete(&prompt.output)?;
        let end = futures_util::stream::iter([Ok(Delta::End(Box::new(answer.clone())))]);
        Streaming::start(answer.head, end).await
    }

    async fn models(&self, _: &CallContext) -> Result<Vec<Model>, Error> {
        Ok(Vec::new())
    }

    async fn health(&self, _: &CallContext) -> Result<Health, Error> {
        Ok(Health::default())
    }

    async fn capabilities(&self, _: &str, _: &CallContext) -> Capabilities {
        Capabilities::default()
    }
}

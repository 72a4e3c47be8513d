//! The entry point of persona generation: one configuration, one run.
//!
//! | method | loads | calls | stores |
//! |---|---|---|---|
//! | [`Pipeline::prepare`] | yes | no | no |
//! | [`Pipeline::open`] | no | no | the run and its documents |
//! | [`Pipeline::run_in`] | no | yes | intents and answers |
//! | [`Pipeline::run`] | no | yes | all of it, in a run that it opens |
//! | [`Pipeline::generate`] | yes | yes | all of it |
//!
//! `generate`, `generate_batch` and `run` create a lock group (`grouped`) and delegate to private methods without
//! (`generate_once`, `run_once`): in a batch, equal requests have to share one group. Distillation, verification and
//! the run itself are in modules of their own, as further `impl` blocks.

use std::fmt;
use std::future::ready;
use std::sync::Arc;
use std::time::{Duration, Instant};

use antiphon_data::{Document, PossibleMiss, Replacement};
use antiphon_engine::{Options, Pricing, RunEvent};
use antiphon_llm::{
    CallContext, Calls, Capabilities, Deadline, Error as LlmError, ErrorKind as LlmErrorKind, Price, Prompt,
    Provider, RetryPolicy, Schema, Stack,
};
use antiphon_runtime::Runner;
use antiphon_store::{Run, Store};
use futures_util::future::BoxFuture;
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::call_summary::CallSummary;
use crate::config::GenerationConfig;
use crate::error::Error;
use crate::persona::{Count, Persona};
use crate::report::{Distilled, FailureReport, Report};
use crate::reporting::OnEvent;
use crate::run::{finish, plain_request};
use crate::run_locks::{RunGuard, RunLocks};
use crate::runs::{Fingerprint, RunId};
use antiphon_engine::ErrorKind;

/// The callback for the start of a step: step number, number of steps, message.
type OnProgress = Arc<dyn Fn(u32, u32, String) -> BoxFuture<'static, ()> + Send + Sync>;

/// A pipeline that generates personas from documents with one provider.
///
/// For many data sets with one configuration, use [`PersonaGenerator`](crate::PersonaGenerator).
///
/// A generation has these steps: load the documents, anonymise them if configured, distil them if they do not fit into the
/// model's context, generate structured output in one call, verify each citation (grounding), and check the personas against
/// rules.
///
/// Clones are cheap, and share calls, store and locks. One pipeline can run any number of generations concurrently.
///
/// # Examples
/// ```
/// # use std::sync::Arc;
/// use antiphon_pipeline::{GenerationConfig, Pipeline};
///
/// # async fn made(provider: Arc<dyn antiphon_llm::Provider>) -> Result<(), antiphon_pipeline::Error> {
/// let pipeline = Pipeline::new(provider);
/// let made = pipeline.generate(&GenerationConfig::new("interviews/", "some-model").count(4)).await?;
/// for persona in &made.personas {
///     println!("{}: {} claims with evidence", persona.name, persona.evidence.len());
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Pipeline {
    pub(crate) calls: Calls,
    pub(crate) options: Options,
    pub(crate) pricing: Pricing,
    /// Cancelled once no new work may start.
    pub(crate) drain: CancellationToken,
    pub(crate) on_event: OnEvent,
    on_progress: OnProgress,
    /// `None` for a separate in-memory store for each run.
    pub(crate) store: Option<Store>,
    locks: RunLocks,
}

/// The result of one configuration: personas, the report of their run, and the documents.
#[derive(Debug)]
#[non_exhaustive]
pub struct Generation {
    /// The personas: as many as the configuration requests, or fewer if the others were rejected as near duplicates.
    pub personas: Vec<Persona>,
    /// The report of the run: parameters, calls, cost, timings.
    pub report: Report,
    /// The documents that the personas are from.
    pub documents: Arc<[Document]>,
}

/// The outcome of one configuration.
pub type Outcome = Result<Generation, Error>;

/// A configuration with its documents loaded, before any call.
#[derive(Debug)]
#[non_exhaustive]
pub struct Prepared {
    /// The documents.
    pub documents: Arc<[Document]>,
    /// The identity of the run, which is equal for equal configurations over equal documents. It serves as an idempotency key.
    pub fingerprint: Fingerprint,
    /// Estimated tokens of the prompt.
    pub estimated_tokens: u64,
    /// The id that the run will have.
    pub run_id: RunId,
    /// Names, addresses and numbers (PII) that were removed from the documents, each with its replacement. Confidential: see
    /// [`keep_replaced`](crate::runs::keep_replaced).
    pub replaced: Vec<Replacement>,
    pub(crate) config: GenerationConfig,
    pub(crate) prompt: Prompt,
    pub(crate) schema: Schema,
    /// Files that could not be used, and parts that could not be distilled.
    pub(crate) failures: Vec<FailureReport>,
    /// `None` before the distillation, and for documents that fit into the context.
    pub(crate) distilled: Option<Distilled>,
    /// Names of the files of other kinds; with an anonymiser, one text with their number.
    pub(crate) skipped: Vec<String>,
    /// The number of names and numbers (PII) that were removed.
    pub(crate) replaced_count: usize,
    /// Words that may be names and were kept.
    pub(crate) possible_misses: Vec<PossibleMiss>,
    pub(crate) started_at: Timestamp,
    /// Time to load and anonymise the documents; zero if they are from the store.
    pub(crate) load_time: Duration,
    /// The end of the time that the configuration allows, counted from the moment at which the documents were loaded.
    pub(crate) deadline: Deadline,
}

impl Prepared {
    /// Returns the estimated tokens of the answer.
    pub(crate) fn estimated_answer_tokens(&self) -> u64 {
        /// Estimated tokens of one persona in an answer.
        const ANSWER_TOKENS: u64 = 700;
        ANSWER_TOKENS.saturating_mul(self.config.count.likely() as u64)
    }

    /// Returns the files that could not be used, each with the reason.
    pub(crate) fn unread(&self) -> Vec<String> {
        self.failures.iter().map(ToString::to_string).collect()
    }

    /// Returns a call context that ends with the configuration's cancellation token.
    pub(crate) fn context(&self) -> CallContext {
        CallContext::default().cancel(self.config.cancel.clone())
    }
}

impl Pipeline {
    /// Creates a pipeline over a provider that sends each call once, since the engine does the retries. For rate limits and a
    /// circuit breaker, build the calls with [`Stack::calls`] and use [`over`](Self::over).
    #[must_use]
    pub fn new(provider: Arc<dyn Provider>) -> Self {
        Self::over(Stack::new(provider).calls())
    }

    /// Creates a pipeline over the calls of a [`Stack`], with its rate limits and its circuit breaker.
    #[must_use]
    pub fn over(calls: Calls) -> Self {
        Self {
            calls,
            options: Options::default(),
            pricing: Arc::new(|_| None),
            drain: CancellationToken::new(),
            on_event: Arc::new(|_| ()),
            on_progress: Arc::new(|_, _, _| Box::pin(ready(()))),
            store: None,
            locks: RunLocks::default(),
        }
    }

    /// Sets the store of runs. With it, runs can be resumed, equal requests are answered once (deduplication), and answers
    /// outlive the process. Default: a separate in-memory store for each run.
    #[must_use]
    pub fn store(mut self, store: Store) -> Self {
        self.store = Some(store);
        self
    }

    /// Sets the run locks, to share them with other pipelines over the same store: see [`RunLocks::group`]. Default: locks that
    /// only clones of this pipeline share.
    #[must_use]
    pub fn locks(mut self, locks: RunLocks) -> Self {
        self.locks = locks;
        self
    }

    /// Sets the retry policy of failed calls. Default: [`RetryPolicy::default`].
    #[must_use]
    pub fn retry(mut self, retry: RetryPolicy) -> Self {
        self.options.retry = retry;
        self
    }

    /// Sets the price of the model, as a function of a prompt's tokens. Default: unknown, and so is the cost of runs.
    #[must_use]
    pub fn pricing(mut self, pricing: impl Fn(u64) -> Option<Price> + Send + Sync + 'static) -> Self {
        self.pricing = Arc::new(pricing);
        self
    }

    /// Sets a token that stops the start of new work once it is cancelled; work in progress finishes (graceful shutdown).
    /// Default: a token that is never cancelled.
    #[must_use]
    pub fn drain(mut self, drain: CancellationToken) -> Self {
        self.drain = drain;
        self
    }

    /// Sets a callback for every event of a run. It must not block. Default: none.
    #[must_use]
    pub fn on_event(mut self, on_event: impl Fn(RunEvent) + Send + Sync + 'static) -> Self {
        self.on_event = Arc::new(on_event);
        self
    }

    /// Sets a callback for the start of each step. It gets the step's number (from 1), the number of steps and a message; the
    /// step waits for the future. Default: none.
    #[must_use]
    pub fn on_progress<F, Fut>(mut self, on_progress: F) -> Self
    where
        F: Fn(u32, u32, String) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.on_progress = Arc::new(move |step, total, message| Box::pin(on_progress(step, total, message)));
        self
    }

    /// Generates the personas of one configuration. With a [`store`](Self::store), an equal run that was interrupted is resumed,
    /// and the result of a finished one is returned without a call.
    ///
    /// # Errors
    /// The errors of [`prepare`](Self::prepare), [`open`](Self::open) and [`run_in`](Self::run_in). Once the documents are loaded, the
    /// error has a [`Report`], but for one of the store outside the distillation; an error of the provider also has its partial answer.
    ///
    /// # Cancel safety
    /// A dropped call closes the connection to the provider; a call in flight may still be billed.
    pub async fn generate(&self, config: &GenerationConfig) -> Outcome {
        Box::pin(self.grouped().generate_once(config)).await
    }

    /// Generates without a new lock group: see the module.
    async fn generate_once(&self, config: &GenerationConfig) -> Outcome {
        let prepared = self.prepare(config).await?;
        Box::pin(self.run_once(prepared)).await
    }

    /// Returns this pipeline with a new lock group, in which equal requests start fresh only once.
    pub(crate) fn grouped(&self) -> Self {
        Self { locks: self.locks.group(), ..self.clone() }
    }

    /// Generates the personas of each configuration, with at most `max_concurrency` in progress at a time: one outcome for each,
    /// in order. A failure, even a panic, does not affect the others.
    ///
    /// # Cancel safety
    /// A dropped call aborts all generations in progress. Results that were not returned are lost, unless a
    /// [`store`](Self::store) is set.
    pub async fn generate_batch(&self, configs: &[GenerationConfig], max_concurrency: usize) -> Vec<Outcome> {
        let group = self.grouped();
        let jobs = configs.iter().map(|config| group.generate_once(config));
        let outcomes = Runner::new(max_concurrency).gather(jobs).await;
        outcomes
            .into_iter()
            .map(|outcome| outcome.unwrap_or_else(|err| Err(Error::from_panic(&err))))
            .collect()
    }

    /// Generates personas from prepared documents, in a run of the pipeline's store, or of one in memory.
    ///
    /// # Errors
    /// The errors of [`run_in`](Self::run_in).
    ///
    /// # Cancel safety
    /// The same as for [`Pipeline::generate`].
    pub async fn run(&self, prepared: Prepared) -> Outcome {
        Box::pin(self.grouped().run_once(prepared)).await
    }

    /// Runs without a new lock group. The guard holds the lock until the end of the run is stored, so that an equal
    /// request that waits for it finds the result.
    async fn run_once(&self, prepared: Prepared) -> Outcome {
        self.run_after(prepared, |_| ready(Ok(()))).await?.1
    }

    /// Runs as [`run`](Self::run) does, with a step before the first call that gets the id of the run: that of an earlier one if it is
    /// resumed. Returns the result of the step beside the outcome.
    ///
    /// # Errors
    /// The error of the step, or of opening the run.
    pub(crate) async fn run_after<T, F, Fut>(
        &self,
        mut prepared: Prepared,
        step: F,
    ) -> Result<(T, Outcome), Error>
    where
        F: FnOnce(RunId) -> Fut,
        Fut: Future<Output = Result<T, Error>>,
    {
        let store = self.store.clone().unwrap_or_else(Store::in_memory);
        let request = plain_request(&prepared);
        let (run, _turn) = self.open(&mut prepared, &store, &request).await?;
        let done = step(prepared.run_id).await?;
        let outcome = self.run_in(prepared, run.clone(), store).await;
        finish(&run, &outcome).await;
        Ok((done, outcome))
    }

    /// Opens the run of prepared documents as [`Prepared::open`] does, after waiting for the lock on its fingerprint. Of equal
    /// requests with the same [`locks`](Self::locks), only the first starts fresh.
    ///
    /// Keep the guard until the run is finished: dropping it lets an equal request open the same run.
    ///
    /// # Errors
    /// The errors of [`Prepared::open`].
    ///
    /// # Cancel safety
    /// The same as for [`Prepared::open`].
    pub async fn open(
        &self,
        prepared: &mut Prepared,
        store: &Store,
        request: &str,
    ) -> Result<(Arc<Run>, RunGuard), Error> {
        let (guard, is_made) = self.locks.acquire(&prepared.fingerprint).await;
        prepared.config.fresh &= !is_made || self.store.is_none();
        Ok((prepared.open(store, request).await?, guard))
    }

    /// Requests the capabilities of the configured model from the provider. A cancelled request counts as a model of
    /// unknown capabilities; the call after it reports the cancellation.
    pub(crate) async fn capabilities(&self, prepared: &Prepared) -> Capabilities {
        let (model, context) = (&prepared.config.model, prepared.context());
        context.guard(self.calls.provider().capabilities(model, &context)).await.unwrap_or_default()
    }

    /// Reports the start of the call, unless the run is draining or the prompt does not fit into the context.
    pub(crate) async fn begin(
        &self,
        prepared: &Prepared,
        capabilities: Capabilities,
        report: &mut Report,
    ) -> Result<(), Error> {
        self.check_drain()?;
        self.step(2, call_message(&prepared.config)).await;
        (self.on_event)(RunEvent::JobStarted);
        check_context(prepared, capabilities).map_err(|err| {
            let err = Error::from_provider(err);
            self.emit_report(report, CallSummary::nothing(), Some(&err));
            err
        })
    }

    /// Refuses new work once the drain token is cancelled (graceful shutdown).
    pub(crate) fn check_drain(&self) -> Result<(), Error> {
        if self.drain.is_cancelled() {
            return Err(Error::new(ErrorKind::Cancelled, "run not started: it was asked to stop"));
        }
        Ok(())
    }

    /// Reports the start of a step to the progress callback, and waits for it. The steps are 1 loading, 2 generating
    /// (with distillation), 3 verifying and 4 complete.
    pub(crate) async fn step(&self, step: u32, message: String) {
        const STEPS: u32 = 4;
        (self.on_progress)(step, STEPS, message).await;
    }
}

impl fmt::Debug for Pipeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pipeline").field("provider", self.calls.provider()).finish_non_exhaustive()
    }
}

/// Returns the progress message for the call that generates the personas.
fn call_message(config: &GenerationConfig) -> String {
    match config.count {
        Count::Exactly(1) => format!("asking {} for a persona", config.model),
        count => format!("asking {} for {count} personas", config.model),
    }
}

/// Refuses a prompt that cannot fit into the model's context, before any call is paid for. A model of unknown context
/// takes every prompt.
fn check_context(prepared: &Prepared, capabilities: Capabilities) -> Result<(), LlmError> {
    let Some(window) = capabilities.context_window else { return Ok(()) };
    let config = &prepared.config;
    let answer = config.recipe.parameters.max_tokens.unwrap_or(prepared.estimated_answer_tokens());
    let needed = prepared.estimated_tokens.saturating_add(answer);
    if needed <= window {
        warn_if_nearly_full(needed, window, &config.model);
        return Ok(());
    }
    let message = format!(
        "the documents need about {needed} tokens with the answer, and {} takes {window}; use fewer or shorter \
         documents, or a model with a larger context",
        config.model
    );
    Err(LlmError::new(LlmErrorKind::ContextTooLong, message))
}

/// Warns if a prompt and its answer need more than 85 % of the context window: the count is an estimate, and models
/// read the end of a full context badly.
fn warn_if_nearly_full(needed: u64, window: u64, model: &str) {
    if needed > window / 100 * 85 {
        let part = needed * 100 / window;
        tracing::warn!(
            "documents and answer need about {needed} tokens, {part} % of the {window} that {model} takes"
        );
    }
}

/// Returns whole milliseconds, capped at the largest number.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Returns the time of tokio's clock, so that tests can pause it.
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

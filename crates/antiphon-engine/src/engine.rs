//! The engine: one worker of a run, with its options, its journal and the outcomes of its jobs.
//!
//! The parts behind it, from the outside in:
//!
//! | part | does |
//! |---|---|
//! | `dispatch` | claims rows, starts a task for each job, sends heartbeats |
//! | `feed` | enqueues the rows of the input ahead of the claims |
//! | `job` | decides what a job does next (a state machine), and does it (a driver) |
//! | `run_state` | the state that decisions are based on: accounts, health of the provider, stop signal |
//! | `shared` | the services that carry them out: calls, store, permits, channels |

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use antiphon_llm::{AnswerMark, CallWarning, Calls, Completion, Head, Price, Usage};
use antiphon_resilience::RetryPolicy;
use antiphon_store::{Run, Store, Tally};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::dispatch::Dispatch;
use crate::feed::{RowSource, feed};
use crate::job::JobFailure;
use crate::limits::RunLimits;
use crate::run_state::RunState;
use crate::shared::Shared;
use crate::status::{Status, Waiting};
use crate::stop::StopCause;
use crate::time_spent::TimeSpent;
use crate::timings::Phase;
use crate::usage::UsageQuantiles;
use crate::work::Work;

/// A price list: returns the model's price for a prompt of this many tokens; `None` if the price is not known.
///
/// The price depends on the length since some vendors charge more for long prompts. The function is called for every
/// call, by many jobs concurrently, and must not block.
pub type Pricing = Arc<dyn Fn(u64) -> Option<Price> + Send + Sync>;

/// The default maximum number of retries of a failed call in a run. With only 3, one row in 5,000 failed for good at a provider
/// that failed 5 % of the calls.
pub const MAX_RETRIES: u32 = 5;

/// The options of an [`Engine`].
///
/// Options are created with [`Options::default`], and changed by setting fields. They are not stored with the run: a run may be
/// resumed with other limits, for example with a higher budget.
///
/// # Examples
/// ```
/// use antiphon_engine::{Options, RunLimits, usd_micros};
/// let mut options = Options::default();
/// options.limits = RunLimits::default().max_cost(usd_micros(2.5)).max_concurrency(16);
/// options.allow_cut = true;
/// assert_eq!((options.limits.max_cost, options.cache), (Some(2_500_000), true));
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub struct Options {
    /// The model's price for a prompt of a number of tokens. Default: unknown, and so is the cost.
    pub pricing: Pricing,
    /// The number of fallbacks that a call may try, one after the other: see
    /// [`Stack::fallback`](antiphon_llm::Stack::fallback). Each may be billed, so a budget reserves the most that all of them
    /// may cost together at the price of [`pricing`](Self::pricing), which has to be the highest of them. Default: 0.
    pub fallbacks: u32,
    /// The limits of the run. Default: no limits, and 2 attempts per row.
    pub limits: RunLimits,
    /// The retry policy for failed calls. Default: [`RetryPolicy::default`] with [`MAX_RETRIES`] retries.
    pub retry: RetryPolicy,
    /// Whether equal prompts are sent once (deduplication) and their answers are cached in the store. Prompts are equal
    /// if the model, the messages, the output and the sampling parameters are, at the same provider with the same
    /// settings. Turn this off where each row needs an answer of its own, such as for several samples of one prompt.
    /// Default: yes.
    pub cache: bool,
    /// Whether an answer that was cut at the token limit is accepted as a result if it is valid. An answer that the
    /// budget cut is never accepted as it is: the rest is requested, or the prompt is sent again. Default: no.
    pub allow_cut: bool,
    /// Whether an answer fails its row if the provider has probably cut the prompt, since it answers to a part of it
    /// ([`CallWarningKind::PromptCut`](antiphon_llm::CallWarningKind::PromptCut)). The answer is kept with the error. Default: no,
    /// the run has a warning.
    pub strict: bool,
    /// The longest pause (`Retry-After`) that the run waits for when a provider asks for one; a longer one stops the run with
    /// [`StopCause::Saturated`]. Default: 15 minutes.
    pub max_pause: Duration,
    /// The token that drains the run (graceful shutdown): once it is cancelled, no call begins, and calls in progress finish
    /// unless their answer stalls for 10 s. Default: never cancelled.
    pub drain: CancellationToken,
    /// The token that aborts the run: once it is cancelled, calls in progress are dropped at once and count as possibly billed.
    /// To let them finish use [`drain`](Self::drain). Default: never cancelled.
    pub cancel: CancellationToken,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            pricing: Arc::new(|_| None),
            fallbacks: 0,
            limits: RunLimits::default(),
            retry: RetryPolicy::default().max_retries(MAX_RETRIES),
            cache: true,
            allow_cut: false,
            strict: false,
            max_pause: Duration::from_secs(15 * 60),
            drain: CancellationToken::new(),
            cancel: CancellationToken::new(),
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("limits", &self.limits)
            .field("cache", &self.cache)
            .finish_non_exhaustive()
    }
}

/// The outcome of a job that has ended: its result, and the details of its answers.
///
/// Outcomes come in the order in which jobs end, not in that of the rows. Jobs that ended in an earlier process have none.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct JobOutcome {
    /// The row's index in the input, from 0.
    pub index: u64,
    /// The row: the text of a JSON object.
    pub row: String,
    /// The result as JSON text, or the reason why there is none. For a prompt without structured output it is a JSON
    /// string.
    pub result: Result<String, JobFailure>,
    /// The details of the answers that the job got in this process.
    pub seen: JobDetails,
    /// Whether the result is in the store. One that could not be stored, for example on a full disk, exists only here.
    pub is_stored: bool,
}

/// The details of one job's answers beside their text.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct JobDetails {
    /// The sum of the tokens of all answers; `None` if no call of this process was answered, as with a cached result.
    pub usage: Option<Usage>,
    /// The provider's metadata of the last answer.
    pub head: Head,
    /// The time from the start of the last call to its first token; `None` if it is not known, as for a cached answer.
    pub first_token: Option<Duration>,
    /// The provider's own word for the end of the last answer, if it sent one.
    pub raw_finish: Option<String>,
    /// The marks of the last answer, and of those whose elements are a part of the result: see [`Completion::marks`].
    pub marks: Vec<AnswerMark>,
    /// Remarks of the recipe: see [`Accepted::notes`](crate::Accepted::notes).
    pub notes: Vec<Value>,
    /// Warnings about the calls of all answers, one for each kind.
    pub warnings: Vec<CallWarning>,
}

impl JobDetails {
    /// Adds an answer: its tokens are added up, and its metadata replaces that of the answer before. `is_joined` is whether elements of
    /// earlier answers are kept, which it completes.
    pub(crate) fn see(&mut self, answer: &Completion, is_joined: bool) {
        match &mut self.usage {
            Some(usage) => *usage += answer.usage,
            None => self.usage = Some(answer.usage),
        }
        for warning in &answer.head.warnings {
            if self.warnings.iter().all(|known| known.kind != warning.kind) {
                self.warnings.push(warning.clone());
            }
        }
        self.head.clone_from(&answer.head);
        self.first_token = answer.timing.first_token;
        self.see_end(answer, is_joined);
    }

    /// Takes the end of an answer, also of a partial one, and its marks.
    pub(crate) fn see_end(&mut self, answer: &Completion, is_joined: bool) {
        self.raw_finish = answer.raw_finish.clone().or(self.raw_finish.take());
        if !is_joined {
            self.marks.clear();
        }
        for mark in &answer.marks {
            if !self.marks.contains(mark) {
                self.marks.push(*mark);
            }
        }
    }
}

/// The journal of a run: where an engine records calls before they are sent, and results before they are reported.
///
/// With a store in memory ([`Store::in_memory`]) the run cannot outlive the process; with one in a file it can be
/// resumed after a crash at any instant. [`run`](Self::run) has to be a worker of the run: opened with `open_run` or
/// `join_run` of the store, not with `read_run`.
#[derive(Debug, Clone)]
pub struct Journal {
    /// The store, for cached answers.
    pub store: Store,
    /// The run, of which the engine is a worker.
    pub run: Arc<Run>,
}

impl Journal {
    /// Creates the journal of a run that was opened in `store`.
    #[must_use]
    pub fn new(store: Store, run: Arc<Run>) -> Self {
        Self { store, run }
    }
}

/// An engine that processes the rows of one run: it claims jobs, sends their prompts under the run's limits, and commits each
/// result before it reports it.
///
/// The intent of a call is stored before the call is sent (write-ahead), and its settlement is fenced by the job's attempt. So
/// calls are at-least-once, since a call in progress at a crash is sent again, while each result is stored exactly-once. The
/// engine is one worker of the run: a heartbeat once a second keeps its lease alive, and further processes may work on the same
/// run at the same time.
///
/// For a whole table with results in a file use [`Mapping`](crate::Mapping); for a few rows in memory [`Engine::run_all`] on the
/// run of a [`JobBatch`](crate::JobBatch).
///
/// The life of a job, with the phases of its time in brackets:
///
/// ```text
/// row ─► prompt ─► answer in the cache? ─────────────────── yes ──┐
///                      └ no ─► permit ─► budget ─► intent ─► call ─► checks ─► settlement ─► outcome
///                              [queue]   [budget]  [commit]          [check]   [commit]
/// ```
///
/// After a failed call the job pauses without a permit, and begins again there. An invalid answer leads to a schema
/// retry, and one that was cut to a call for the rest; both have an intent and a settlement of their own.
#[derive(Debug)]
pub struct Engine {
    shared: Arc<Shared>,
}

impl Engine {
    /// Creates an engine for a run. The outcome of each job is sent to `ended` once its settlement is durable; while
    /// that channel is full, jobs wait (backpressure). If the receiver is dropped, the run continues, and its results
    /// are in the store alone.
    ///
    /// `calls` has to send each call only once, as [`Stack::calls`](antiphon_llm::Stack::calls) does: the engine
    /// retries by itself, so that each attempt has its own intent, and a job that pauses holds no permit.
    ///
    /// # Errors
    /// The store's error, if the run cannot be read.
    ///
    /// # Cancel safety
    /// A dropped call changes nothing.
    pub async fn new(
        calls: Calls,
        journal: Journal,
        work: Arc<dyn Work>,
        mut options: Options,
        ended: mpsc::Sender<JobOutcome>,
    ) -> Result<Self, antiphon_store::Error> {
        let tally = journal.run.tally().await?;
        warn_of_unknown_costs(&options.limits, &tally);
        // A cancelled run aborts its own calls, not those of other runs with the same token.
        options.cancel = options.cancel.child_token();
        Ok(Self {
            shared: Arc::new(Shared::new(calls, journal, RunState::new(work, options, &tally), ended)),
        })
    }

    /// Returns the counters of the run. The call is cheap, does no I/O, and may be made at any time, also while
    /// [`work`](Self::work) is in progress.
    ///
    /// The counters are read one by one, so sums of two of them may be off by the jobs that end in between.
    #[must_use]
    pub fn status(&self) -> Status {
        let (state, limits) = (&self.shared.state, self.shared.limits());
        let waiting = state.health.waiting(Instant::now()).or_else(|| {
            // The adaptive limiter may pause by itself, as response headers ask.
            Some((limits?.paused_for?, Phase::Limiter))
        });
        let waiting = waiting.map(|(left, phase)| Waiting { phase, seconds: left.as_secs_f64() });
        state.accounts.counters.status(limits, &self.shared.time_spent(), waiting)
    }

    /// Returns the time of all jobs that this process ended, by phase.
    pub(crate) fn time_spent(&self) -> TimeSpent {
        self.shared.time_spent()
    }

    /// Takes the outcomes that could not be stored, for example on a full disk. They were paid for and exist only in memory, so
    /// the caller has to keep them.
    #[must_use]
    pub fn take_unsaved(&self) -> Vec<JobOutcome> {
        self.shared.take_unsaved()
    }

    /// Sends the outcomes that could not be stored to the receiver of the others.
    pub(crate) async fn hand_over_unsaved(&self) {
        for outcome in self.take_unsaved() {
            // The receiver may have gone.
            let _ = self.shared.ended.send(outcome).await;
        }
    }

    /// Returns quantiles of the tokens and times of the calls in this process; `None` while no answer reported its
    /// output tokens.
    #[must_use]
    pub fn usual(&self) -> Option<UsageQuantiles> {
        self.shared.state.accounts.usual()
    }

    /// Sets the usage of earlier runs of the same kind, on which reservations are based until enough calls of this run were
    /// answered.
    pub fn remember(&self, usual: UsageQuantiles) {
        self.shared.state.accounts.remember(usual);
    }

    /// Processes jobs until every row has ended or the run stops. Returns the cause of the stop; `None` if every row
    /// has ended. `rows` is the input, whose rows are appended to those that the run already has; pass `None` if it has
    /// all of them. An input is always read from its start: rows that the run has already are skipped by their number.
    ///
    /// Call this once. A stop leaves the rows that have not ended in the store, for a later process or for one that
    /// works on the run at present.
    ///
    /// # Cancel safety
    /// A dropped call aborts the calls in progress, which count as possibly billed when the run is opened again.
    pub async fn work(&self, rows: Option<RowSource>) -> Option<StopCause> {
        // This level is never filtered, so that each line of a log names its run.
        let span = tracing::error_span!("run", run_id = %self.shared.run.record().id);
        self.work_through(rows).instrument(span).await
    }

    /// Processes jobs until every row has ended or the run stops, as [`work`](Self::work) does.
    async fn work_through(&self, rows: Option<RowSource>) -> Option<StopCause> {
        let shared = &self.shared;
        let mut feeding = JoinSet::new();
        match rows {
            Some(rows) => drop(feeding.spawn(feed(shared.clone(), rows).in_current_span())),
            None => shared.state.accounts.counters.seal(),
        }
        Dispatch::new(shared.clone()).run(&mut feeding).await;
        // Rows that are being stored are part of the run, and of its report.
        while feeding.join_next().await.is_some() {}
        let stop = shared.state.stop.reason()?;
        match shared.run.tally().await {
            Ok(tally) => Some(stop.with_amounts(&tally)),
            // A store that cannot be used is reported by those that need it.
            Err(_) => Some(stop),
        }
    }
}

/// Warns if the budget cannot include the cost of all earlier calls of the run, since some of it is not known.
fn warn_of_unknown_costs(limits: &RunLimits, tally: &Tally) {
    if limits.max_cost.is_some() && (tally.cost_unknown || tally.unbounded > 0) {
        tracing::warn!(
            "earlier calls of this run whose cost is not known count as $0 in the budget: those without a price, \
             and {} that broke off",
            tally.unbounded
        );
    }
}

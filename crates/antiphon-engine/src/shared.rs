use std::fmt;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use antiphon_llm::{
    AdaptiveLimiter, Calls, Error as LlmError, ErrorKind as LlmErrorKind, LimiterSnapshot, Scope,
};
use antiphon_store::{ErrorKind as StoreErrorKind, Intent, Run, Store, Tally};
use tokio::sync::{Notify, Semaphore, mpsc};
use tokio::time::Instant;

use crate::dispatch::MAX_CONCURRENCY;
use crate::engine::{JobOutcome, Journal, Options};
use crate::limit_sharing::LimitSharing;
use crate::run_state::RunState;
use crate::status::{Counters, ProviderLimits};
use crate::stop::StopCause;
use crate::time_spent::TimeSpent;
use crate::work::Work;

/// What the jobs of a run share: the state that they decide by, and the places that their actions go to.
pub(super) struct Shared {
    pub(super) state: RunState,
    pub(super) calls: Calls,
    pub(super) scope: Scope,
    /// The limiter of the model that is asked, once that is known.
    limiter: OnceLock<Option<(String, AdaptiveLimiter)>>,
    pub(super) store: Store,
    pub(super) run: Arc<Run>,
    /// Outcomes that could not be stored.
    unsaved: Mutex<Vec<JobOutcome>>,
    pub(super) queue: Queue,
    /// Places among the calls in progress.
    pub(super) permits: Arc<Semaphore>,
    pub(super) ended: mpsc::Sender<JobOutcome>,
    warned: Mutex<Warned>,
    began: Instant,
}

/// The warnings about calls that are made again.
#[derive(Debug, Default)]
struct Warned {
    last: Option<Instant>,
    /// Those since the last that was shown.
    since: u64,
}

/// The rows between the input and the jobs.
#[derive(Debug, Default)]
pub(super) struct Queue {
    /// Rows were added, or a job began to sleep.
    pub(super) fed: Notify,
    /// Rows were claimed.
    pub(super) taken: Notify,
    /// Rows that were added and not claimed.
    pub(super) backlog: AtomicUsize,
    /// Jobs that wait without a place among the calls.
    sleeping: AtomicUsize,
}

impl Queue {
    /// Takes claimed rows off the backlog.
    pub(super) fn claimed(&self, rows: usize) {
        let less = |backlog: usize| Some(backlog.saturating_sub(rows));
        let _ = self.backlog.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        self.taken.notify_one();
    }

    pub(super) fn sleeping(&self) -> usize {
        self.sleeping.load(Ordering::Relaxed)
    }
}

impl Shared {
    pub(super) fn new(
        calls: Calls,
        Journal { store, run }: Journal,
        work: Arc<dyn Work>,
        options: Options,
        ended: mpsc::Sender<JobOutcome>,
        tally: &Tally,
    ) -> Self {
        let at_once = options.limits.max_concurrency.unwrap_or(Semaphore::MAX_PERMITS).max(1);
        Self {
            state: RunState::new(work, options, tally),
            scope: calls.provider().scope(),
            calls,
            limiter: OnceLock::new(),
            store,
            run,
            unsaved: Mutex::default(),
            queue: Queue::default(),
            permits: Arc::new(Semaphore::new(at_once.min(Semaphore::MAX_PERMITS))),
            ended,
            warned: Mutex::default(),
            began: Instant::now(),
        }
    }

    /// Keeps an outcome that could not be stored.
    pub(super) fn keep_unsaved(&self, outcome: JobOutcome) {
        self.unsaved.lock().unwrap_or_else(PoisonError::into_inner).push(outcome);
    }

    pub(super) fn take_unsaved(&self) -> Vec<JobOutcome> {
        std::mem::take(&mut *self.unsaved.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Sets the model that is asked, by which limits are known.
    pub(super) fn asks(&self, model: &str) {
        self.limiter.get_or_init(|| Some((self.calls.limit_scope(model), self.calls.limiter(model)?)));
    }

    pub(super) fn limits(&self) -> Option<LimiterSnapshot> {
        Some(self.limiter.get()?.as_ref()?.1.snapshot())
    }

    /// Creates this worker's part of the provider's limits, once the model is known.
    pub(super) fn limit_sharing(&self) -> Option<LimitSharing> {
        let (scope, limiter) = self.limiter.get()?.as_ref()?;
        Some(LimitSharing::new(scope.clone(), limiter.clone()))
    }

    /// Returns the calls per second that this process could make with `jobs` at once, if no limit of the provider were in the
    /// way.
    pub(super) fn demand(&self, jobs: usize) -> f64 {
        let at_once = self.state.options.limits.max_concurrency.unwrap_or(MAX_CONCURRENCY).min(jobs);
        #[expect(clippy::cast_precision_loss, reason = "no one makes 2^52 calls at once")]
        let at_once = at_once as f64;
        at_once / self.state.accounts.seconds_of_a_call().unwrap_or(1.0)
    }

    /// Where the time went until now.
    pub(super) fn time_spent(&self) -> TimeSpent {
        let counters = &self.state.accounts.counters;
        TimeSpent {
            wall: self.began.elapsed(),
            phases: counters.totals.sums(),
            stalled: Duration::from_micros(Counters::get(&counters.stalled)),
            calls: Counters::get(&counters.calls),
            max_concurrency: self.state.options.limits.max_concurrency,
            limits: self.limits().map(ProviderLimits::from),
        }
    }

    /// Warns why a call is made again; a few times a minute, since a whole run may have the same trouble.
    pub(super) fn warn(&self, trouble: &str) {
        const PAUSE: Duration = Duration::from_secs(15);
        let mut warned = self.warned.lock().unwrap_or_else(PoisonError::into_inner);
        warned.since += 1;
        if warned.last.is_some_and(|last| last.elapsed() < PAUSE) {
            return;
        }
        warned.last = Some(Instant::now());
        match std::mem::take(&mut warned.since) {
            1 => tracing::warn!("asking again: {trouble}"),
            times => tracing::warn!("asking again, {times} times since the last such line: {trouble}"),
        }
    }

    /// Commits the intent of a call that is about to be sent. A call whose intent is not durable is not sent.
    pub(super) async fn intend(&self, intent: Intent, sent: &Sent) -> Result<(), LlmError> {
        if self.state.stop.is_stopped() {
            let message = "the call was not sent: the run was asked to stop";
            return Err(LlmError::new(LlmErrorKind::Cancelled, message));
        }
        let accounts = &self.state.accounts;
        let intent = intent.attempt(sent.attempt()).max_cost(accounts.budget.cap());
        match self.run.intend(intent).await {
            Ok(attempt) => {
                sent.count(attempt);
                Counters::add(&accounts.counters.calls, 1);
                Ok(())
            }
            Err(err) => {
                let message = format!("the call was not sent, since it could not be noted: {err}");
                match err.kind() {
                    StoreErrorKind::Fenced => sent.refuse(Refusal::Fenced),
                    StoreErrorKind::OverBudget => {
                        sent.refuse(Refusal::OverBudget);
                        if let Ok(tally) = self.run.tally().await {
                            accounts.observe(&tally);
                        }
                    }
                    _ => self.state.stop.stop(StopCause::Store(err)),
                }
                Err(LlmError::new(LlmErrorKind::Cancelled, message))
            }
        }
    }
}

/// Why the store refused an intent, where that is no failure of the store.
#[derive(Debug, Clone, Copy)]
pub(super) enum Refusal {
    /// Another worker has the job.
    Fenced,
    /// The calls of other processes may cost what is left of the budget.
    OverBudget,
}

/// How often a call was sent, and how long it waited before the first time.
#[derive(Debug)]
pub(super) struct Sent {
    began: Instant,
    count: AtomicU32,
    attempt: AtomicU32,
    refusal: OnceLock<Refusal>,
    waited: OnceLock<Duration>,
}

impl Sent {
    /// Begins a call, which is not sent yet, of a job with so many attempts.
    pub(super) fn begin(attempt: u32) -> Arc<Self> {
        Arc::new(Self {
            began: Instant::now(),
            count: AtomicU32::new(0),
            attempt: AtomicU32::new(attempt),
            refusal: OnceLock::new(),
            waited: OnceLock::new(),
        })
    }

    fn count(&self, attempt: u32) {
        self.waited.get_or_init(|| self.began.elapsed());
        self.attempt.store(attempt, Ordering::Relaxed);
        self.count.fetch_add(1, Ordering::Relaxed);
    }

    fn refuse(&self, refusal: Refusal) {
        self.refusal.get_or_init(|| refusal);
    }

    /// Returns why the call was not sent again, if the store refused its intent.
    pub(super) fn refusal(&self) -> Option<Refusal> {
        self.refusal.get().copied()
    }

    /// Returns the attempts of the job.
    pub(super) fn attempt(&self) -> u32 {
        self.attempt.load(Ordering::Relaxed)
    }

    pub(super) fn times(&self) -> u32 {
        self.count.load(Ordering::Relaxed)
    }

    /// Returns the time since it began, before it was sent and after.
    pub(super) fn elapsed(&self) -> (Duration, Duration) {
        let took = self.began.elapsed();
        let waited = self.waited.get().copied().unwrap_or(took);
        (waited, took.saturating_sub(waited))
    }
}

/// A job that waits without a place among the calls.
pub(super) struct Sleeping(Arc<Shared>);

impl Sleeping {
    pub(super) fn new(shared: &Arc<Shared>) -> Self {
        shared.queue.sleeping.fetch_add(1, Ordering::Relaxed);
        // Another row may begin in its place.
        shared.queue.fed.notify_one();
        Self(shared.clone())
    }
}

impl Drop for Sleeping {
    fn drop(&mut self) {
        self.0.queue.sleeping.fetch_sub(1, Ordering::Relaxed);
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("scope", &self.scope)
            .field("run", &self.run.record().id)
            .finish_non_exhaustive()
    }
}

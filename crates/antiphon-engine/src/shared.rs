//! The context that all jobs of a run share, and the record of a single call.
//!
//! Decisions are made on `RunState` alone; what is here carries them out: the calls to the provider, the store, the
//! semaphore of the concurrency limit, and the channel of outcomes. Nothing is locked across an `.await`.

use std::fmt;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use antiphon_llm::{
    AdaptiveLimiter, Calls, Error as LlmError, ErrorKind as LlmErrorKind, LimiterSnapshot, Scope,
};
use antiphon_store::{Error as StoreError, ErrorKind as StoreErrorKind, Intent, Run, Store};
use tokio::sync::{Notify, Semaphore, mpsc};
use tokio::time::Instant;

use crate::dispatch::MAX_CONCURRENCY;
use crate::engine::{JobOutcome, Journal};
use crate::limit_sharing::LimitSharing;
use crate::run_state::RunState;
use crate::status::{Counters, ProviderLimits};
use crate::stop::StopCause;
use crate::time_spent::TimeSpent;

/// The context that the jobs of a run share: the state on which they base decisions, and the services that carry them out.
pub(super) struct Shared {
    /// The state on which the jobs base their decisions.
    pub(super) state: RunState,
    /// The provider's stack, with its adaptive limiter.
    pub(super) calls: Calls,
    /// The provider and its settings, which are part of the key of a cached answer.
    pub(super) scope: Scope,
    /// The limit scope and the adaptive limiter of the model, once the model is known.
    limiter: OnceLock<Option<(String, AdaptiveLimiter)>>,
    /// The store, for cached answers.
    pub(super) store: Store,
    /// The run in the store: its rows, intents and settlements.
    pub(super) run: Arc<Run>,
    /// Outcomes that could not be stored.
    unsaved: Mutex<Vec<JobOutcome>>,
    /// The rows between the input and the jobs.
    pub(super) queue: Queue,
    /// The concurrency limit, as a semaphore.
    pub(super) permits: Arc<Semaphore>,
    /// The channel of outcomes; it is bounded, which is the backpressure of a slow receiver.
    pub(super) ended: mpsc::Sender<JobOutcome>,
    warned: Mutex<Warned>,
    /// The start of this process's part of the run.
    began: Instant,
}

/// The state of the warnings about retries, of which only a few are shown.
#[derive(Debug, Default)]
struct Warned {
    /// The time of the last warning that was shown.
    last: Option<Instant>,
    /// The number of warnings since the last that was shown.
    since: u64,
}

/// The rows between the input and the jobs.
#[derive(Debug, Default)]
pub(super) struct Queue {
    /// Notified when rows were added, or a job began to sleep.
    pub(super) fed: Notify,
    /// Notified when rows were claimed.
    pub(super) taken: Notify,
    /// The number of rows that were added and are not claimed yet.
    pub(super) backlog: AtomicUsize,
    /// The number of jobs that wait without a permit of the concurrency limit.
    sleeping: AtomicUsize,
}

impl Queue {
    /// Removes claimed rows from the backlog, and wakes the task that feeds it. Rows that an earlier process added were
    /// never counted, so the difference saturates at 0.
    pub(super) fn claimed(&self, rows: usize) {
        let less = |backlog: usize| Some(backlog.saturating_sub(rows));
        let _ = self.backlog.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        self.taken.notify_one();
    }

    /// Returns the number of jobs that wait without a permit of the concurrency limit.
    pub(super) fn sleeping(&self) -> usize {
        self.sleeping.load(Ordering::Relaxed)
    }
}

impl Shared {
    /// Creates the context of a run. The semaphore has a permit for each call that may be in flight: at least one, and
    /// as many as a semaphore can have where the caller set no limit.
    pub(super) fn new(
        calls: Calls,
        Journal { store, run }: Journal,
        state: RunState,
        ended: mpsc::Sender<JobOutcome>,
    ) -> Self {
        let at_once = state.options.limits.max_concurrency.unwrap_or(Semaphore::MAX_PERMITS).max(1);
        Self {
            state,
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

    /// Keeps an outcome that could not be stored. It was paid for, and exists only in memory.
    pub(super) fn keep_unsaved(&self, mut outcome: JobOutcome) {
        outcome.is_stored = false;
        self.unsaved.lock().unwrap_or_else(PoisonError::into_inner).push(outcome);
    }

    /// Takes the outcomes that could not be stored; each is returned once.
    pub(super) fn take_unsaved(&self) -> Vec<JobOutcome> {
        std::mem::take(&mut *self.unsaved.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Sets the requested model, which determines the adaptive limiter. Only the first call has an effect.
    pub(super) fn asks(&self, model: &str) {
        self.limiter.get_or_init(|| Some((self.calls.limit_scope(model), self.calls.limiter(model)?)));
    }

    /// Returns a snapshot of the adaptive limiter; `None` before the model is known, or where the stack has no limiter.
    pub(super) fn limits(&self) -> Option<LimiterSnapshot> {
        Some(self.limiter.get()?.as_ref()?.1.snapshot())
    }

    /// Creates this worker's part of the provider's limits, once the model is known. `None` where the stack has no
    /// limiter.
    pub(super) fn limit_sharing(&self) -> Option<LimitSharing> {
        let (scope, limiter) = self.limiter.get()?.as_ref()?;
        Some(LimitSharing::new(scope.clone(), limiter.clone()))
    }

    /// Returns the calls per second that this process could make with `jobs` concurrent jobs, if the provider had no
    /// limits. By Little's law, that is the number of concurrent calls divided by the mean time of a call, which counts
    /// as 1 s until one was answered.
    pub(super) fn demand(&self, jobs: usize) -> f64 {
        let at_once = self.state.options.limits.max_concurrency.unwrap_or(MAX_CONCURRENCY).min(jobs);
        #[expect(clippy::cast_precision_loss, reason = "no one makes 2^52 calls at once")]
        let at_once = at_once as f64;
        at_once / self.state.accounts.seconds_of_a_call().unwrap_or(1.0)
    }

    /// Returns the time of the run until now, by phase.
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

    /// Logs a warning about a retry, at most once in 15 s, since all jobs of a run may fail for the same reason.
    pub(super) fn warn(&self, trouble: &str) {
        const PAUSE: Duration = Duration::from_secs(15);
        let mut warned = self.warned.lock().unwrap_or_else(PoisonError::into_inner);
        warned.since += 1;
        if warned.last.is_some_and(|last| last.elapsed() < PAUSE) {
            return;
        }
        warned.last = Some(Instant::now());
        match std::mem::take(&mut warned.since) {
            1 => tracing::warn!("retrying: {trouble}"),
            times => tracing::warn!("retrying, {times} times since the last such warning: {trouble}"),
        }
    }

    /// Commits the intent of a call before it is sent: the write-ahead record. A call whose intent is not durable is not sent.
    ///
    /// # Errors
    /// `Cancelled`, if the run was stopped or the store rejected the intent. The provider's stack returns the error to
    /// the job, which finds the reason in [`Sent::refusal`] or in the stop signal.
    ///
    /// # Cancel safety
    /// A dropped call may leave an intent without a call, which counts as possibly billed if its worker dies.
    pub(super) async fn intend(&self, intent: Intent, sent: &Sent) -> Result<(), LlmError> {
        if self.state.stop.is_stopped() {
            let message = "call not sent: the run has been stopped";
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
            Err(err) => Err(self.not_sent(err, sent).await),
        }
    }

    /// Records why an intent is not durable, and returns the error of its call. A failure of the store stops the run.
    async fn not_sent(&self, err: StoreError, sent: &Sent) -> LlmError {
        let message = format!("call not sent: cannot store its intent: {err}");
        match err.kind() {
            StoreErrorKind::Fenced => sent.refuse(Refusal::Fenced),
            StoreErrorKind::OverBudget => {
                sent.refuse(Refusal::OverBudget);
                if let Ok(tally) = self.run.tally().await {
                    self.state.accounts.observe(&tally);
                }
            }
            _ => self.state.stop.stop(StopCause::Store(err)),
        }
        LlmError::new(LlmErrorKind::Cancelled, message)
    }
}

/// The reason why the store rejected an intent, other than a failure of the store.
#[derive(Debug, Clone, Copy)]
pub(super) enum Refusal {
    /// Another worker has taken over the job: the fencing token is out of date.
    Fenced,
    /// The calls of other processes may cost the rest of the budget.
    OverBudget,
}

/// The progress of one call: the number of times that it was sent, and its times.
#[derive(Debug)]
pub(super) struct Sent {
    /// The time at which the job made the call.
    began: Instant,
    /// The number of times that the call was sent.
    count: AtomicU32,
    /// The attempt of the latest intent: the fencing token.
    attempt: AtomicU32,
    refusal: OnceLock<Refusal>,
    /// The time before the call was first sent.
    waited: OnceLock<Duration>,
}

impl Sent {
    /// Starts the clock of a call that is not sent yet, of a job with this many attempts.
    pub(super) fn begin(attempt: u32) -> Arc<Self> {
        Arc::new(Self {
            began: Instant::now(),
            count: AtomicU32::new(0),
            attempt: AtomicU32::new(attempt),
            refusal: OnceLock::new(),
            waited: OnceLock::new(),
        })
    }

    /// Counts an intent that is durable: the call is sent now.
    fn count(&self, attempt: u32) {
        self.waited.get_or_init(|| self.began.elapsed());
        self.attempt.store(attempt, Ordering::Relaxed);
        self.count.fetch_add(1, Ordering::Relaxed);
    }

    /// Keeps the reason of a rejected intent; only the first has an effect.
    fn refuse(&self, refusal: Refusal) {
        self.refusal.get_or_init(|| refusal);
    }

    /// Returns the reason why the store rejected the call's intent, if it did.
    pub(super) fn refusal(&self) -> Option<Refusal> {
        self.refusal.get().copied()
    }

    /// Returns the number of attempts of the job, which is its fencing token.
    pub(super) fn attempt(&self) -> u32 {
        self.attempt.load(Ordering::Relaxed)
    }

    /// Returns the number of times that the call was sent. A stack with fallbacks may send it several times.
    pub(super) fn times(&self) -> u32 {
        self.count.load(Ordering::Relaxed)
    }

    /// Returns the time before the call was first sent, and the time since. For a call that was never sent, all of it
    /// is before.
    pub(super) fn elapsed(&self) -> (Duration, Duration) {
        let took = self.began.elapsed();
        let waited = self.waited.get().copied().unwrap_or(took);
        (waited, took.saturating_sub(waited))
    }
}

/// A guard that counts a job as waiting without a permit of the concurrency limit.
pub(super) struct Sleeping(Arc<Shared>);

impl Sleeping {
    /// Counts a job until the guard is dropped, and wakes the dispatcher, which may start another job meanwhile.
    pub(super) fn new(shared: &Arc<Shared>) -> Self {
        shared.queue.sleeping.fetch_add(1, Ordering::Relaxed);
        // Another row may start with its permit.
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

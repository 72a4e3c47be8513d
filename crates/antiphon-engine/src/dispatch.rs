//! The dispatch loop of an engine: claims rows, starts a task for each, and ends when every row has ended or the run
//! stops.
//!
//! One task owns the loop and all its state, so nothing here is locked. Jobs are tasks of a `JoinSet`: dropping the
//! loop aborts them. The loop reacts to whatever comes first:
//!
//! | event | reaction |
//! |---|---|
//! | a job has ended | its answer or failure is passed to the rows with the same prompt |
//! | rows were enqueued, or a job began to sleep | more rows are claimed |
//! | a second has passed | heartbeat: lease, other workers, cancellation, part of the rate limits |
//! | drain, cancellation, deadline | the run stops: no call begins, and calls in progress end |
//! | a pause of the provider has ended | jobs begin again |
//!
//! Equal prompts are one call (single flight): the first row that needs a prompt sends it, and the others are parked
//! until it has ended. Then they are claimed jobs like all others, with a cached answer.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, UNIX_EPOCH};

use antiphon_llm::CacheKey;
use antiphon_store::{Job, RunStatus};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use tracing::Instrument;

use crate::failed_rows::bad_row;
use crate::job::{ClaimedJob, Ended, JobFailure, JobRequest, drive};
use crate::limit_sharing::LimitSharing;
use crate::shared::Shared;
use crate::status::Counters;
use crate::stop::StopCause;

/// The time that calls of a cancelled run have to finish before they are aborted.
const CANCEL_GRACE: Duration = Duration::from_secs(5);
/// The interval of the worker's heartbeat, which keeps its lease alive and also reports a cancellation and other workers.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// The maximum number of rows in one claim.
const MAX_CLAIM: usize = 256;
/// The minimum number of rows in one claim.
const MIN_CLAIM: usize = 8;
/// The number of calls that wait for the provider's rate limit, beside those in flight.
const QUEUED_CALLS: usize = 64;
/// The maximum number of rows that wait for a retry.
const MAX_SLEEPING: usize = 1_024;
/// The maximum number of rows that wait for the answer to an equal prompt.
const MAX_PARKED: usize = 8_192;
/// The concurrency limit where the provider has none.
pub(crate) const MAX_CONCURRENCY: usize = 4_096;

/// The dispatch loop: claims rows and starts their jobs, until every row has ended or the run stops.
pub(super) struct Dispatch {
    shared: Arc<Shared>,
    /// The jobs in progress. Each returns the cache key of its prompt, if other rows may wait for it, and its end.
    tasks: JoinSet<(Option<[u8; 32]>, Ended)>,
    /// Rows that were claimed and not started yet.
    ready: VecDeque<ClaimedJob>,
    /// Prompts in flight, each with the rows that wait for its answer (deduplication by single flight).
    flights: HashMap<[u8; 32], Vec<ClaimedJob>>,
    /// The number of rows in `flights` that wait.
    parked: usize,
    /// Whether there may be more rows to claim.
    has_more: bool,
    /// Whether other workers were seen, or rows wait until they are due: then the run may have open rows that cannot be claimed
    /// yet.
    waits: bool,
    /// This worker's part of the provider's limits, once the model is known.
    sharing: Option<LimitSharing>,
    /// Whether this worker had no jobs for its part when it last requested one.
    was_idle: bool,
}

impl Dispatch {
    /// Creates a loop that has claimed nothing yet.
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        let (ready, flights) = (VecDeque::new(), HashMap::new());
        Self {
            shared,
            tasks: JoinSet::new(),
            ready,
            flights,
            parked: 0,
            has_more: true,
            waits: false,
            sharing: None,
            was_idle: false,
        }
    }

    /// Runs until every row has ended, or until the run was stopped and its calls in progress have ended. The cause of
    /// a stop is in the stop signal. `feeding` is the task that reads the input, if any.
    ///
    /// # Cancel safety
    /// A dropped call aborts all jobs; their rows and calls are left to a later process.
    pub(super) async fn run(mut self, feeding: &mut JoinSet<Result<(), StopCause>>) {
        let shared = self.shared.clone();
        let state = &shared.state;
        let (halt, drain) = (state.stop.token().clone(), state.options.drain.clone());
        let mut beats = interval(HEARTBEAT);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut give_up = None;
        loop {
            self.fill().await;
            let is_idle = !self.has_more && self.ready.is_empty() && feeding.is_empty();
            if self.tasks.is_empty() && (halt.is_cancelled() || (is_idle && !self.has_open().await)) {
                return self.release().await;
            }
            let paused = state.health.paused_until(Instant::now());
            let deadline = state.stop.deadline();
            tokio::select! {
                Some(done) = self.tasks.join_next() => self.ended(done).await,
                Some(fed) = feeding.join_next() => match fed {
                    Ok(Ok(())) => self.has_more = true,
                    Ok(Err(stop)) => state.stop.stop(stop),
                    Err(err) => state.stop.stop(defect(&err)),
                },
                () = shared.queue.fed.notified() => self.has_more = true,
                _ = beats.tick() => {
                    if self.beat().await && !halt.is_cancelled() {
                        state.stop.stop(StopCause::Cancelled);
                        give_up = Some(Instant::now() + CANCEL_GRACE);
                    }
                }
                () = sleep_until(give_up.unwrap_or_else(Instant::now)), if give_up.is_some() => {
                    give_up = None;
                    state.options.cancel.cancel();
                }
                () = drain.cancelled(), if !halt.is_cancelled() => state.stop.stop(StopCause::Interrupted),
                () = state.options.cancel.cancelled(), if !halt.is_cancelled() => state.stop.stop(StopCause::Interrupted),
                () = halt.cancelled(), if !halt.is_cancelled() => {}
                () = sleep_until(deadline.unwrap_or_else(Instant::now)), if deadline.is_some() && !halt.is_cancelled() => {
                    state.stop.stop(StopCause::Deadline { last: None });
                }
                () = sleep_until(paused.unwrap_or_else(Instant::now)), if paused.is_some() => {}
            }
        }
    }

    /// Sends the worker's heartbeat, and updates what it knows of other workers. Returns whether the run was cancelled.
    ///
    /// While others work on the run, the counters and the budget are refreshed from the store with each heartbeat.
    async fn beat(&mut self) -> bool {
        // A store that cannot be used is reported by the job that needs it.
        let Ok(beat) = self.shared.run.heartbeat().await else { return false };
        self.has_more |= self.waits || !beat.interrupted.is_empty();
        let before = self.shared.state.accounts.counters.others.swap(beat.others, Ordering::Relaxed);
        self.waits |= beat.others > 0;
        if self.waits || before > 0 {
            // The same holds here.
            let _ = self.refresh().await;
        }
        self.share_limits().await;
        beat.status == RunStatus::Cancelled
    }

    /// Renews this worker's part of the provider's limits, by the calls that it could make. Near the end of a run, that
    /// is only as many as jobs are in progress, so that other workers get the rest.
    async fn share_limits(&mut self) {
        if let Some(sharing) = &self.sharing {
            // Without more rows to claim, only the jobs in progress need calls.
            let has_rows = self.has_more || !self.ready.is_empty();
            let in_progress = self.tasks.len().saturating_sub(self.shared.queue.sleeping());
            let jobs = if has_rows { usize::MAX } else { in_progress };
            self.was_idle = jobs == 0;
            sharing.renew(&self.shared.run, self.shared.demand(jobs)).await;
        }
    }

    /// Updates the counters with the work of other processes. Returns the number of open rows.
    async fn refresh(&self) -> Result<u64, antiphon_store::Error> {
        let tally = self.shared.run.tally().await?;
        self.shared.state.accounts.observe(&tally);
        Ok(tally.queued + tally.intended)
    }

    /// Returns whether rows are open that this worker does not have: others have them, or they are not due yet.
    async fn has_open(&mut self) -> bool {
        match self.refresh().await {
            Ok(open) => self.waits = open > 0,
            Err(err) => self.shared.state.stop.stop(StopCause::Store(err)),
        }
        let is_open = self.waits && !self.shared.state.stop.is_stopped();
        if is_open && Counters::get(&self.shared.state.accounts.counters.others) == 0 {
            self.show_wait().await;
        }
        is_open
    }

    /// Shows the time until the next row that was put back is due.
    async fn show_wait(&self) {
        let Ok(Some(due)) = self.shared.run.next_due().await else { return };
        let now = UNIX_EPOCH.elapsed().unwrap_or_default();
        let due = Duration::from_millis(u64::try_from(due).unwrap_or_default());
        self.shared.state.health.asked_to_wait(due.saturating_sub(now), Instant::now());
    }

    /// Releases the rows that were claimed and not started, so that other workers need not wait for the end of the
    /// lease.
    async fn release(&mut self) {
        let rows: Vec<u64> = self.ready.drain(..).map(|claimed| claimed.job.index).collect();
        if !rows.is_empty() {
            // Dropping the handle of the run releases them, too.
            let _ = self.shared.run.release(rows).await;
        }
    }

    /// Starts as many jobs as may be in progress. Rows are only claimed when those of the last claim have begun, so
    /// that a worker holds no more of them than it can soon process.
    async fn fill(&mut self) {
        while self.may_begin() {
            if self.ready.is_empty() {
                if !self.has_more {
                    return;
                }
                self.refill().await;
            }
            if let Some(claimed) = self.ready.pop_front() {
                self.begin(claimed);
            }
        }
    }

    /// Returns whether one more job may begin now: there is room, the run was not stopped, and the provider asked for
    /// no pause.
    fn may_begin(&self) -> bool {
        let state = &self.shared.state;
        self.tasks.len() < self.room()
            && self.parked < MAX_PARKED
            && !state.stop.is_stopped()
            && state.health.paused_until(Instant::now()).is_none()
    }

    /// Claims rows for the next jobs. With the first of them, or the first after idle time, also requests a part of the
    /// provider's limits without waiting for the next heartbeat.
    async fn refill(&mut self) {
        match self.claim().await {
            Ok(claimed) => self.ready.extend(claimed),
            Err(err) => self.shared.state.stop.stop(StopCause::Store(err)),
        }
        self.has_more = !self.ready.is_empty();
        if self.has_more && (self.sharing.is_none() || self.was_idle) {
            self.sharing = self.sharing.take().or_else(|| self.shared.limit_sharing());
            self.share_limits().await;
        }
    }

    /// Returns the maximum number of jobs in progress: the concurrency limit, and jobs that wait for a retry.
    fn room(&self) -> usize {
        let options = &self.shared.state.options;
        // More jobs would only wait for the limiter, and might still send their calls after a request to stop.
        let believed = self
            .shared
            .limits()
            .map_or(QUEUED_CALLS, |limits| limits.concurrency.min(limits.in_flight) + QUEUED_CALLS);
        let at_once = options.limits.max_concurrency.unwrap_or(MAX_CONCURRENCY).min(believed);
        at_once + self.shared.queue.sleeping().min(MAX_SLEEPING)
    }

    /// Starts a job, or parks it while a job with the same prompt is in progress.
    fn begin(&mut self, claimed: ClaimedJob) {
        let key = match &claimed.request {
            Ok(asked) if asked.shares && asked.cached.is_none() => Some(asked.key),
            _ => None,
        };
        if let Some(key) = key {
            if let Some(others) = self.flights.get_mut(&key) {
                others.push(claimed);
                self.parked += 1;
                return;
            }
            self.flights.insert(key, Vec::new());
        }
        let shared = self.shared.clone();
        self.tasks.spawn(async move { (key, drive(shared, claimed).await) }.in_current_span());
    }

    /// Passes the answer or the failure of a job on to the rows with the same prompt, or lets them send it themselves.
    /// They are put at the front of the queue, in their order. A job that panicked stops the run.
    async fn ended(&mut self, done: Result<(Option<[u8; 32]>, Ended), JoinError>) {
        let (key, ended) = match done {
            Ok(done) => done,
            Err(err) => return self.shared.state.stop.stop(defect(&err)),
        };
        let waiting = key.and_then(|key| Some((key, self.flights.remove(&key)?)));
        let Some((key, mut others)) = waiting.filter(|(_, others)| !others.is_empty()) else { return };
        self.parked -= others.len();
        match ended {
            Ended::Accepted => self.share_answer(key, &mut others).await,
            Ended::Failed(failed) => {
                others.iter_mut().for_each(|claimed| claimed.request = Err(failed.clone()));
            }
            Ended::Left => {}
        }
        others.into_iter().rev().for_each(|claimed| self.ready.push_front(claimed));
    }

    /// Gives rows the answer to their prompt from the cache. Where none is cached, since the answer was not worth it or
    /// the store failed, each of the rows sends the prompt itself.
    async fn share_answer(&self, key: [u8; 32], rows: &mut [ClaimedJob]) {
        let known = self.shared.store.answers(vec![key]).await.ok().and_then(|mut known| known.pop());
        let known = known.flatten();
        for asked in rows.iter_mut().filter_map(|claimed| claimed.request.as_mut().ok()) {
            asked.cached.clone_from(&known);
            asked.shares = false;
        }
    }

    /// Claims the next rows, with their prompts and cached answers.
    async fn claim(&self) -> Result<Vec<ClaimedJob>, antiphon_store::Error> {
        let shared = &self.shared;
        // Only as many as start soon: other processes may claim the rest.
        let jobs = shared.run.claim(self.room().saturating_mul(2).clamp(MIN_CLAIM, MAX_CLAIM)).await?;
        shared.queue.claimed(jobs.len());
        let mut claimed: Vec<ClaimedJob> = jobs.into_iter().map(|job| self.prepare(job)).collect();
        if shared.state.options.cache {
            let asked = || claimed.iter().filter_map(|claimed| claimed.request.as_ref().ok());
            let known = shared.store.answers(asked().map(|asked| asked.key).collect()).await?;
            let asked = claimed.iter_mut().filter_map(|claimed| claimed.request.as_mut().ok());
            asked.zip(known).for_each(|(asked, known)| asked.cached = known);
        }
        Ok(claimed)
    }

    /// Adds the prompt to a claimed job, and the time of the claim.
    fn prepare(&self, job: Job) -> ClaimedJob {
        let request = self.request(&job.row);
        ClaimedJob { job, request, since: Instant::now() }
    }

    /// Makes the prompt of a row and its cache key, or returns the failure of a row that has no prompt.
    fn request(&self, row: &str) -> Result<Box<JobRequest>, JobFailure> {
        if let Some(reason) = bad_row(row) {
            return Err(JobFailure::bad_row(reason));
        }
        let prompt = self.shared.state.work.prompt(row);
        let prompt = prompt.map_err(|err| JobFailure::bad_row(err.to_string()))?;
        let key = CacheKey::of(&self.shared.scope, &prompt).bytes();
        self.shared.asks(&prompt.model);
        let shares = self.shared.state.options.cache;
        Ok(Box::new(JobRequest { prompt: Arc::new(prompt), key, cached: None, shares }))
    }
}

/// Returns the cause of a stop for a task that panicked or was aborted.
fn defect(err: &JoinError) -> StopCause {
    StopCause::Internal(format!("a defect of this program: {err}"))
}

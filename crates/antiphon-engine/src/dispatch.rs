use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, UNIX_EPOCH};

use antiphon_llm::{CacheKey, Calls, Completion, Head, Price, Usage};
use antiphon_resilience::RetryPolicy;
use antiphon_store::{Job, Run, RunStatus, Store};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::failed_rows::bad_row;
use crate::feed::{RowSource, feed};
use crate::job::{ClaimedJob, Ended, JobFailure, JobRequest, drive};
use crate::limit_sharing::LimitSharing;
use crate::limits::RunLimits;
use crate::shared::Shared;
use crate::status::{Counters, Status, Waiting};
use crate::stop::StopCause;
use crate::time_spent::TimeSpent;
use crate::timings::Phase;
use crate::usage::UsageQuantiles;
use crate::work::Work;

/// The price for a prompt of so many tokens.
pub type Pricing = Arc<dyn Fn(u64) -> Option<Price> + Send + Sync>;

/// The default number of retries of a call in a run: with three, one row in 5,000 was lost where 5 % of the calls failed.
pub const MAX_RETRIES: u32 = 5;

/// How an [`Engine`] works.
#[derive(Clone)]
#[non_exhaustive]
pub struct Options {
    /// What the model costs for a prompt of so many tokens. Default: unknown, and so is the cost.
    pub pricing: Pricing,
    /// The number of fallbacks that the calls may ask about one prompt, one after the other: see
    /// [`Stack::fallback`](antiphon_llm::Stack::fallback). Each may be billed, so a budget reserves as much as all of them
    /// may cost together at the price of [`pricing`](Self::pricing), which has to be the dearest. Default: none.
    pub fallbacks: u32,
    /// The limits of the run. Default: none but two attempts for a row.
    pub limits: RunLimits,
    /// How calls that failed are made again. Default: [`RetryPolicy::default`] with [`MAX_RETRIES`] retries.
    pub retry: RetryPolicy,
    /// Whether equal questions have equal answers, given once. Default: yes.
    pub cache: bool,
    /// Whether a text that reached the token limit is a result. Default: no.
    pub allow_cut: bool,
    /// A longer pause that the provider asks for ends the run. Default 15 minutes.
    pub max_pause: Duration,
    /// Once cancelled, nothing new begins; what is in progress goes on, but for answers that stall for 10 s.
    pub drain: CancellationToken,
    /// Once cancelled, everything is given up.
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

/// A job that has ended: its result, and what the answers told beside it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct JobOutcome {
    /// The row's index in the input, from 0.
    pub index: u64,
    /// The row: the text of a JSON object.
    pub row: String,
    /// The result as JSON, or the reason why there is none.
    pub result: Result<String, JobFailure>,
    /// What the job's answers told in this process.
    pub seen: JobDetails,
}

/// What the answers of one job told beside their text.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct JobDetails {
    /// Tokens of all answers; `None` where no answer came, or one was known already.
    pub usage: Option<Usage>,
    /// What the provider said of the last call.
    pub head: Head,
    /// The time from the last call's beginning to its first token.
    pub first_token: Option<Duration>,
    /// Remarks of the recipe: see [`Accepted::notes`](crate::Accepted::notes).
    pub notes: Vec<Value>,
}

impl JobDetails {
    pub(crate) fn see(&mut self, answer: &Completion) {
        match &mut self.usage {
            Some(usage) => *usage += answer.usage,
            None => self.usage = Some(answer.usage),
        }
        self.head.clone_from(&answer.head);
        self.first_token = answer.timing.first_token;
    }
}

/// Gets through the rows of one run.
#[derive(Debug)]
pub struct Engine {
    shared: Arc<Shared>,
}

/// How long the calls of a cancelled run may go on, until they are given up.
const CANCEL_GRACE: Duration = Duration::from_secs(5);
/// How often the worker shows that it lives, and looks whether the run was cancelled and what others have done.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// The most rows that are claimed at once, and the fewest.
const BATCH: usize = 256;
const FEWEST: usize = 8;
/// Calls that wait for the provider's limits, beside those that are under way.
const AHEAD: usize = 64;
/// The most rows that wait for another attempt, and for another row's answer.
const MAX_SLEEPING: usize = 1_024;
const MAX_PARKED: usize = 8_192;
/// The most calls at once where the provider knows no limit.
pub(crate) const MAX_CONCURRENCY: usize = 4_096;

impl Engine {
    /// An engine for a run. Rows that end are told through `ended`, after they are on the disk.
    ///
    /// # Errors
    /// The store's own.
    ///
    /// # Cancel safety
    /// Nothing is changed, so nothing is lost.
    pub async fn new(
        calls: Calls,
        (store, run): (Store, Arc<Run>),
        work: Arc<dyn Work>,
        mut options: Options,
        ended: mpsc::Sender<JobOutcome>,
    ) -> Result<Self, antiphon_store::Error> {
        let tally = run.tally().await?;
        if options.limits.max_cost.is_some() && (tally.cost_unknown || tally.unbounded > 0) {
            tracing::warn!(
                "earlier calls of this run count as $0 in the budget where nobody knows what they cost: those \
                 without a price, and {} that broke off",
                tally.unbounded
            );
        }
        // A run that is cancelled gives up its own calls, and not those of others with the same token.
        options.cancel = options.cancel.child_token();
        Ok(Self { shared: Arc::new(Shared::new(calls, (store, run, tally), work, options, ended)) })
    }

    /// How it stands.
    #[must_use]
    pub fn status(&self) -> Status {
        let (state, limits) = (&self.shared.state, self.shared.limits());
        let waiting = state.health.waiting(Instant::now()).or_else(|| {
            // The limiter may wait by itself, as the headers ask.
            Some((limits?.paused_for?, Phase::Limiter))
        });
        let waiting = waiting.map(|(left, phase)| Waiting { phase, seconds: left.as_secs_f64() });
        state.accounts.counters.status(limits, &self.shared.time_spent(), waiting)
    }

    /// Where the time of all rows went that this process ended.
    pub(crate) fn time_spent(&self) -> TimeSpent {
        self.shared.time_spent()
    }

    /// Takes the outcomes that could not be stored, on a full disk say: they were paid for and are nowhere else.
    #[must_use]
    pub fn take_unsaved(&self) -> Vec<JobOutcome> {
        self.shared.take_unsaved()
    }

    /// Hands over the outcomes that could not be stored like those that were.
    pub(crate) async fn hand_over_unsaved(&self) {
        for outcome in self.take_unsaved() {
            // The receiver may have gone.
            let _ = self.shared.ended.send(outcome).await;
        }
    }

    /// What its calls usually took; `None` while none was answered.
    #[must_use]
    pub fn usual(&self) -> Option<UsageQuantiles> {
        self.shared.state.accounts.usual()
    }

    /// Says what calls took in earlier runs of the same kind.
    pub fn remember(&self, usual: UsageQuantiles) {
        self.shared.state.accounts.remember(usual);
    }

    /// Works until every row has ended, or something stops it. `rows` are those that are to be added behind the ones that the
    /// run has already; `None` if it has all.
    ///
    /// # Cancel safety
    /// Hangs up; calls under way may have been billed, and are named so when the run is opened again.
    pub async fn work(&self, rows: Option<RowSource>) -> Option<StopCause> {
        let shared = &self.shared;
        let mut feeding = JoinSet::new();
        match rows {
            Some(rows) => drop(feeding.spawn(feed(shared.clone(), rows))),
            None => shared.state.accounts.counters.seal(),
        }
        Dispatch::new(shared.clone()).run(&mut feeding).await;
        shared.state.stop.reason()
    }
}

struct Dispatch {
    shared: Arc<Shared>,
    tasks: JoinSet<(Option<[u8; 32]>, Ended)>,
    ready: VecDeque<ClaimedJob>,
    /// Questions under way, with the rows that ask the same.
    flights: HashMap<[u8; 32], Vec<ClaimedJob>>,
    parked: usize,
    /// Whether there may be more rows to claim.
    has_more: bool,
    /// Whether other workers were seen, or rows wait until they are due: then the run may have open rows that cannot be claimed.
    waits: bool,
    /// This worker's part of the provider's limits, once it is known which they are.
    sharing: Option<LimitSharing>,
    /// Whether this worker had no use for its part when it last asked.
    was_idle: bool,
}

impl Dispatch {
    fn new(shared: Arc<Shared>) -> Self {
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

    async fn run(mut self, feeding: &mut JoinSet<Result<(), StopCause>>) {
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
                () = halt.cancelled(), if !halt.is_cancelled() => feeding.abort_all(),
                () = sleep_until(deadline.unwrap_or_else(Instant::now)), if deadline.is_some() && !halt.is_cancelled() => {
                    state.stop.stop(StopCause::Deadline { last: None });
                }
                () = sleep_until(paused.unwrap_or_else(Instant::now)), if paused.is_some() => {}
            }
        }
    }

    /// Shows that this worker lives. Returns whether the run was cancelled.
    async fn beat(&mut self) -> bool {
        // A store that cannot be used is reported by the job that needs it.
        let Ok(beat) = self.shared.run.heartbeat().await else { return false };
        self.has_more |= self.waits || !beat.interrupted.is_empty();
        let before = self.shared.state.accounts.counters.others.swap(beat.others, Ordering::Relaxed);
        self.waits |= beat.others > 0;
        if self.waits || before > 0 {
            // As above.
            let _ = self.refresh().await;
        }
        self.share_limits().await;
        beat.status == RunStatus::Cancelled
    }

    /// Agrees with other workers on the parts of the provider's limits.
    async fn share_limits(&mut self) {
        if let Some(sharing) = &self.sharing {
            // Without more rows to claim, those in progress are all that is left.
            let has_rows = self.has_more || !self.ready.is_empty();
            let in_progress = self.tasks.len().saturating_sub(self.shared.queue.sleeping());
            let jobs = if has_rows { usize::MAX } else { in_progress };
            self.was_idle = jobs == 0;
            sharing.renew(&self.shared.run, self.shared.demand(jobs)).await;
        }
    }

    /// Counts what others have done, too. Returns the number of open rows.
    async fn refresh(&self) -> Result<u64, antiphon_store::Error> {
        let tally = self.shared.run.tally().await?;
        self.shared.state.accounts.observe(&tally);
        Ok(tally.queued + tally.intended)
    }

    /// Whether rows are open that this worker has not: others have them, or they are not due yet.
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

    /// Shows how long the rows wait yet that were put back.
    async fn show_wait(&self) {
        let Ok(Some(due)) = self.shared.run.next_due().await else { return };
        let now = UNIX_EPOCH.elapsed().unwrap_or_default();
        let due = Duration::from_millis(u64::try_from(due).unwrap_or_default());
        self.shared.state.health.asked_to_wait(due.saturating_sub(now), Instant::now());
    }

    /// Gives back the rows that were claimed and not begun.
    async fn release(&mut self) {
        let rows: Vec<u64> = self.ready.drain(..).map(|claimed| claimed.job.index).collect();
        if !rows.is_empty() {
            // They are free when the handle is dropped, too.
            let _ = self.shared.run.release(rows).await;
        }
    }

    /// Begins as many rows as may be under way.
    async fn fill(&mut self) {
        while self.tasks.len() < self.room()
            && self.parked < MAX_PARKED
            && !self.shared.state.stop.is_stopped()
        {
            if self.shared.state.health.paused_until(Instant::now()).is_some() {
                return;
            }
            if self.ready.is_empty() {
                if !self.has_more {
                    return;
                }
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
            if let Some(claimed) = self.ready.pop_front() {
                self.begin(claimed);
            }
        }
    }

    /// How many rows may be under way, those that wait for another attempt aside.
    fn room(&self) -> usize {
        let options = &self.shared.state.options;
        // Rows that only wait for the limits would be asked about after somebody said stop.
        let believed =
            self.shared.limits().map_or(AHEAD, |limits| limits.concurrency.min(limits.in_flight) + AHEAD);
        let at_once = options.limits.max_concurrency.unwrap_or(MAX_CONCURRENCY).min(believed);
        at_once + self.shared.queue.sleeping().min(MAX_SLEEPING)
    }

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
        self.tasks.spawn(async move { (key, drive(shared, claimed).await) });
    }

    /// Hands the answer, or the failure, on to the rows that asked the same; or lets them ask for themselves.
    async fn ended(&mut self, done: Result<(Option<[u8; 32]>, Ended), JoinError>) {
        let (key, ended) = match done {
            Ok(done) => done,
            Err(err) => return self.shared.state.stop.stop(defect(&err)),
        };
        let Some(mut others) = key.and_then(|key| self.flights.remove(&key)) else { return };
        if others.is_empty() {
            return;
        }
        self.parked -= others.len();
        match (key, ended) {
            (Some(key), Ended::Accepted) => {
                let known = self.shared.store.answers(vec![key]).await.ok().and_then(|mut known| known.pop());
                let known = known.flatten();
                for asked in others.iter_mut().filter_map(|claimed| claimed.request.as_mut().ok()) {
                    asked.cached.clone_from(&known);
                    asked.shares = false;
                }
            }
            (_, Ended::Failed(failed)) => {
                others.iter_mut().for_each(|claimed| claimed.request = Err(failed.clone()))
            }
            _ => {}
        }
        others.into_iter().rev().for_each(|claimed| self.ready.push_front(claimed));
    }

    /// The next rows, with what is asked about them and the answers that are there.
    async fn claim(&self) -> Result<Vec<ClaimedJob>, antiphon_store::Error> {
        let shared = &self.shared;
        // No more than are soon begun: other processes may want the rest.
        let jobs = shared.run.claim(self.room().saturating_mul(2).clamp(FEWEST, BATCH)).await?;
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

    fn prepare(&self, job: Job) -> ClaimedJob {
        let request = match bad_row(&job.row) {
            Some(reason) => Err(JobFailure::bad_row(reason)),
            None => match self.shared.state.work.prompt(&job.row) {
                Ok(prompt) => {
                    let key = CacheKey::of(&self.shared.scope, &prompt).bytes();
                    self.shared.asks(&prompt.model);
                    Ok(Box::new(JobRequest {
                        prompt: Arc::new(prompt),
                        key,
                        cached: None,
                        shares: self.shared.state.options.cache,
                    }))
                }
                Err(reason) => Err(JobFailure::bad_row(reason)),
            },
        };
        ClaimedJob { job, request, since: Instant::now() }
    }
}

fn defect(err: &JoinError) -> StopCause {
    StopCause::Internal(format!("a defect of this program: {err}"))
}

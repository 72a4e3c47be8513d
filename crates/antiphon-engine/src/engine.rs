use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use antiphon_llm::{Calls, Completion, Head, Price, Usage};
use antiphon_resilience::RetryPolicy;
use antiphon_store::{Run, Store};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::dispatch::Dispatch;
use crate::feed::{RowSource, feed};
use crate::job::JobFailure;
use crate::limits::RunLimits;
use crate::shared::Shared;
use crate::status::{Status, Waiting};
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

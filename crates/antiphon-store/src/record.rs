use serde::{Deserialize, Serialize};

use crate::job::{Bill, JobState};

/// The identity and the request of a run, for [`Store::open_run`](crate::Store::open_run), which finds the run or creates it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct NewRun {
    /// The idempotency key of the run: the same command over the same input has the same fingerprint, and therefore finds the
    /// same run.
    pub fingerprint: String,
    /// The kind of run, such as `map`. A run whose kind has a `/` is a part of another run; the id `latest` never refers to it.
    pub kind: String,
    /// The request, from which the run can be repeated: a JSON text without secrets. Default: `null`.
    pub request: String,
    /// Whether a new run is created although the fingerprint has earlier runs. Default: no; the newest run is resumed.
    pub fresh: bool,
}

/// The status of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RunStatus {
    /// In progress, or abandoned by workers that have died.
    Open,
    /// Every job has ended.
    Finished,
    /// Stopped before every job had ended. The run can be resumed: it is open again once a worker has claimed a job.
    Stopped,
    /// Ended by [`Store::cancel`](crate::Store::cancel). The status is final: a cancelled run is never resumed.
    Cancelled,
}

/// A snapshot of a run, as it was when it was read.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RunRecord {
    /// The id: a UUID of version 7, so that ids sort by time.
    pub id: String,
    /// The identity of the command.
    pub fingerprint: String,
    /// The kind of run.
    pub kind: String,
    /// The request: a JSON text.
    pub request: String,
    /// The status.
    pub status: RunStatus,
    /// The number of jobs; `None` while they are still being enqueued.
    pub total: Option<u64>,
    /// The time at which the run was created, in milliseconds since 1970 (UTC).
    pub created_at: i64,
    /// The time at which the run last finished, stopped or was cancelled, in milliseconds since 1970 (UTC); `None` before that,
    /// and from when a stopped run is resumed.
    pub ended_at: Option<i64>,
    /// The report that [`Run::finish`](crate::Run::finish) last stored: a JSON text. `None` before that.
    pub report: Option<String>,
}

/// The sums over a run's jobs: states, calls, tokens and cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Tally {
    /// Jobs that wait for a call, including those that were put back.
    pub queued: u64,
    /// Jobs with a call that may be in progress.
    pub intended: u64,
    /// Jobs with a result.
    pub accepted: u64,
    /// Jobs that ended without a result.
    pub failed: u64,
    /// Calls that were made.
    pub calls: u64,
    /// The cost of these calls as far as it is known, in millionths of a US dollar.
    pub settled: u64,
    /// Whether the cost of some of these calls is unknown.
    pub cost_unknown: bool,
    /// Possibly billed calls: they were sent, and their settlement is missing or reported no usage.
    pub possibly_billed: u64,
    /// The most that the possibly billed calls may have cost in addition to `settled`, as far as that is known, in millionths
    /// of a US dollar.
    pub possible: u64,
    /// The part of `possible` that counts against the budget: the expected cost of the possibly billed calls, in millionths of
    /// a US dollar.
    pub held: u64,
    /// The most that the calls in progress may cost, as far as that is known, in millionths of a US dollar.
    pub reserved: u64,
    /// Possibly billed calls for which no upper bound of the cost is known.
    pub unbounded: u64,
    /// Tokens of the prompts, as far as they were reported.
    pub input_tokens: u64,
    /// Tokens of the answers, as far as they were reported.
    pub output_tokens: u64,
    /// Answers whose tokens were not reported.
    pub unreported: u64,
}

impl NewRun {
    /// Creates a run with this fingerprint, an empty kind and the request `null`.
    #[must_use]
    pub fn new(fingerprint: impl Into<String>) -> Self {
        Self {
            fingerprint: fingerprint.into(),
            kind: String::new(),
            request: "null".to_owned(),
            fresh: false,
        }
    }

    /// Sets the kind of run, and the request: a JSON text without secrets.
    #[must_use]
    pub fn request(mut self, kind: impl Into<String>, request: impl Into<String>) -> Self {
        (self.kind, self.request) = (kind.into(), request.into());
        self
    }

    /// Sets whether to start fresh: to create a new run although the fingerprint has earlier ones. Default: no.
    #[must_use]
    pub fn fresh(mut self, fresh: bool) -> Self {
        self.fresh = fresh;
        self
    }
}

impl RunStatus {
    /// Returns the status as a lower-case name for reports, such as `open`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Finished => "finished",
            Self::Stopped => "stopped",
            Self::Cancelled => "cancelled",
        }
    }
}

impl Tally {
    /// Returns the number of all jobs that were enqueued.
    #[must_use]
    pub fn jobs(&self) -> u64 {
        self.queued + self.intended + self.accepted + self.failed
    }

    /// Returns the tokens of prompts and of answers. A sum is `None` if it is 0 and some answers did not report their tokens.
    ///
    /// ```
    /// let mut tally = antiphon_store::Tally::default();
    /// assert_eq!(tally.tokens(), (Some(0), Some(0)));
    /// tally.unreported = 2;
    /// assert_eq!(tally.tokens(), (None, None));
    /// ```
    #[must_use]
    pub fn tokens(&self) -> (Option<u64>, Option<u64>) {
        let known = |sum: u64| (sum > 0 || self.unreported == 0).then_some(sum);
        (known(self.input_tokens), known(self.output_tokens))
    }

    /// Returns the amount that a budget counts as spent, in millionths of a US dollar: the cost of calls, the amount held for
    /// possibly billed ones, and the most that calls in progress may cost.
    #[must_use]
    pub fn committed(&self) -> u64 {
        self.settled.saturating_add(self.held).saturating_add(self.reserved)
    }

    /// Counts the calls in progress as possibly billed, of which `unbounded` have no known upper bound of their cost.
    pub(crate) fn interrupted(mut self, unbounded: u64) -> Self {
        self.possibly_billed += self.intended;
        self.unbounded += unbounded;
        self.possible = self.possible.saturating_add(self.reserved);
        self.held = self.held.saturating_add(self.reserved);
        self.queued += self.intended;
        (self.intended, self.reserved) = (0, 0);
        self
    }

    /// The number of the jobs in this state.
    pub(crate) fn jobs_in(&mut self, state: JobState) -> &mut u64 {
        match state {
            JobState::Queued | JobState::PutBack => &mut self.queued,
            JobState::Intended => &mut self.intended,
            JobState::Accepted => &mut self.accepted,
            JobState::Failed => &mut self.failed,
        }
    }

    /// Adds a bill.
    pub(crate) fn add(&mut self, bill: &Bill) {
        self.calls += u64::from(bill.calls);
        self.settled = self.settled.saturating_add(bill.settled.unwrap_or(0));
        self.cost_unknown |= bill.settled.is_none();
        self.possibly_billed += u64::from(bill.possibly_billed);
        self.possible = self.possible.saturating_add(bill.possible);
        self.held = self.held.saturating_add(bill.held);
        self.unbounded += u64::from(bill.unbounded);
        self.unreported += u64::from(bill.unreported);
        self.input_tokens = self.input_tokens.saturating_add(bill.input_tokens);
        self.output_tokens = self.output_tokens.saturating_add(bill.output_tokens);
    }

    /// Subtracts the bill of a possibly billed call.
    pub(crate) fn take_back(&mut self, bill: &Bill) {
        self.possibly_billed = self.possibly_billed.saturating_sub(u64::from(bill.possibly_billed));
        self.possible = self.possible.saturating_sub(bill.possible);
        self.held = self.held.saturating_sub(bill.held);
        self.unbounded = self.unbounded.saturating_sub(u64::from(bill.unbounded));
    }
}

use serde::{Deserialize, Serialize};

use crate::job::{Bill, JobState};

/// What a run is to be.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct NewRun {
    /// What identifies it: the same command over the same input has the same.
    pub fingerprint: String,
    /// What kind of run it is, such as `map`. With a `/` in it, it is a part of other runs, and never the latest.
    pub kind: String,
    /// How it was asked for, so that it can be asked for again: a JSON text. Never a secret.
    pub request: String,
    /// Whether an earlier run of this fingerprint is left alone and a new one begun. Default: it is gone on with.
    pub fresh: bool,
}

/// How a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RunStatus {
    /// It is worked on, or its owner died.
    Open,
    /// Every job has ended.
    Finished,
    /// Stopped before that; the run can be resumed.
    Stopped,
    /// Ended by [`Store::cancel`](crate::Store::cancel): an end as [`Finished`](Self::Finished) is, so the run is never resumed.
    Cancelled,
}

/// What is known of a run.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RunRecord {
    /// Its id: a UUID of version 7, so that ids sort by time.
    pub id: String,
    /// What identifies the command.
    pub fingerprint: String,
    /// What kind of run it is.
    pub kind: String,
    /// How it was asked for: a JSON text.
    pub request: String,
    /// How it stands.
    pub status: RunStatus,
    /// How many jobs it has; `None` while they are still being enqueued.
    pub total: Option<u64>,
    /// When it began, in milliseconds since 1970.
    pub created_at: i64,
    /// When it last ended, well or not.
    pub ended_at: Option<i64>,
    /// What was reported at its last end: a JSON text.
    pub report: Option<String>,
}

/// A run's jobs and money, added up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Tally {
    /// Jobs that wait, those that were put back included.
    pub queued: u64,
    /// Jobs of which a call may be under way.
    pub intended: u64,
    /// Jobs with an answer that was not looked at.
    pub answered: u64,
    /// Jobs with a result.
    pub accepted: u64,
    /// Jobs without one.
    pub failed: u64,
    /// Calls that were made.
    pub calls: u64,
    /// What they cost as far as it is known, in millionths of a US dollar.
    pub settled: u64,
    /// Whether some of them have no known cost.
    pub cost_unknown: bool,
    /// Calls of which nobody knows whether they were billed.
    pub lost: u64,
    /// The most that those may have cost on top, as far as that is known.
    pub possible: u64,
    /// Those of them of which nobody knows the most.
    pub unbounded: u64,
    /// Tokens of the prompts.
    pub input_tokens: u64,
    /// Tokens of the answers.
    pub output_tokens: u64,
}

impl NewRun {
    /// A run with this fingerprint, of no kind and without a request.
    #[must_use]
    pub fn new(fingerprint: impl Into<String>) -> Self {
        Self {
            fingerprint: fingerprint.into(),
            kind: String::new(),
            request: "null".to_owned(),
            fresh: false,
        }
    }

    /// Sets what kind of run it is, and how it was asked for: a JSON text without secrets.
    #[must_use]
    pub fn request(mut self, kind: impl Into<String>, request: impl Into<String>) -> Self {
        (self.kind, self.request) = (kind.into(), request.into());
        self
    }

    /// Leaves an earlier run of the same fingerprint alone.
    #[must_use]
    pub fn fresh(mut self, fresh: bool) -> Self {
        self.fresh = fresh;
        self
    }
}

impl RunStatus {
    /// Its name in reports.
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
    /// Jobs in all that were enqueued.
    #[must_use]
    pub fn jobs(&self) -> u64 {
        self.queued + self.intended + self.answered + self.accepted + self.failed
    }

    /// The number of the jobs in this state.
    pub(crate) fn jobs_in(&mut self, state: JobState) -> &mut u64 {
        match state {
            JobState::Queued | JobState::PutBack => &mut self.queued,
            JobState::Intended => &mut self.intended,
            JobState::Answered => &mut self.answered,
            JobState::Accepted => &mut self.accepted,
            JobState::Failed => &mut self.failed,
        }
    }

    /// Adds what was spent.
    pub(crate) fn add(&mut self, bill: &Bill) {
        self.calls += u64::from(bill.calls);
        self.settled = self.settled.saturating_add(bill.settled.unwrap_or(0));
        self.cost_unknown |= bill.settled.is_none();
        self.lost += u64::from(bill.lost);
        self.possible = self.possible.saturating_add(bill.possible);
        self.unbounded += u64::from(bill.unbounded);
        self.input_tokens = self.input_tokens.saturating_add(bill.input_tokens);
        self.output_tokens = self.output_tokens.saturating_add(bill.output_tokens);
    }
}

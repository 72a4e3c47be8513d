//! The counters of a run in progress, and their snapshot for displays.
//!
//! Counters are atomics that are read and written with relaxed ordering: a snapshot may be taken while a job ends, so
//! its numbers may differ from each other by that job. Amounts on which a reservation depends are kept by the budget
//! and by the store instead.

use std::sync::atomic::{AtomicU64, Ordering};

use antiphon_llm::LimiterSnapshot;
use antiphon_store::{Bill, Tally};
use serde::de::{Deserializer, Error as _};
use serde::{Deserialize, Serialize};
use serde_json::Number;

use crate::time_spent::TimeSpent;
use crate::timings::{Phase, Totals};

/// The counters of a run in progress.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    /// Rows that were read, in all processes.
    pub(crate) rows: AtomicU64,
    /// 1 once the input was read to its end, else 0.
    pub(crate) is_sealed: AtomicU64,
    /// Rows with a result, in all processes.
    pub(crate) accepted: AtomicU64,
    /// Rows that failed, in all processes.
    pub(crate) failed: AtomicU64,
    /// Results of this process that took no call.
    pub(crate) cached: AtomicU64,
    /// Rows that ended in this process after a call.
    pub(crate) asked: AtomicU64,
    /// Calls whose intent this process has stored.
    pub(crate) calls: AtomicU64,
    /// Jobs with a call that is queued or in flight.
    pub(crate) in_flight: AtomicU64,
    /// Tokens of prompts in this process, as far as they were reported.
    pub(crate) input_tokens: AtomicU64,
    /// Tokens of answers in this process, as far as they were reported.
    pub(crate) output_tokens: AtomicU64,
    /// Answers without a report of their tokens.
    pub(crate) unreported: AtomicU64,
    /// The cost in all processes, in millionths of a US dollar.
    pub(crate) cost: AtomicU64,
    /// Greater than 0 if the cost of a call is not known.
    pub(crate) without_price: AtomicU64,
    /// Calls without an answer that were possibly billed.
    pub(crate) possibly_billed: AtomicU64,
    /// The most that possibly billed calls may have cost, in millionths of a US dollar.
    pub(crate) possible: AtomicU64,
    /// Possibly billed calls without a known upper bound of their cost.
    pub(crate) unbounded: AtomicU64,
    /// The number of other processes that work on the run.
    pub(crate) others: AtomicU64,
    /// The time in calls that timed out, in microseconds.
    pub(crate) stalled: AtomicU64,
    /// The time of the jobs that this process ended, by phase.
    pub(crate) totals: Totals,
}

/// A snapshot of the counters of a run.
///
/// Counts of rows and the cost are those of the whole run, in all processes; calls, tokens and cached results are those
/// of this process. The JSON form is the payload of [`RunEvent::Progress`](crate::RunEvent::Progress); to derive
/// throughput and the remaining time from a series of snapshots use [`Meter`](crate::Meter).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Status {
    /// Rows that were read so far; all rows of the input once `is_all` is set.
    pub rows: u64,
    /// Whether all rows of the input were read.
    pub is_all: bool,
    /// Rows with a result, those of earlier processes included.
    pub accepted: u64,
    /// Rows that failed, those of earlier processes included.
    pub failed: u64,
    /// Results of this process from the cache or from an equal prompt in the run (deduplication), which took no call of their
    /// own.
    pub cached: u64,
    /// Calls that this process sent.
    pub calls: u64,
    /// Rows in progress: with a call that is queued or in flight.
    pub in_flight: u64,
    /// Tokens of prompts in this process, as far as they were reported; `None` if none were.
    pub input_tokens: Option<u64>,
    /// Tokens of answers in this process, as far as they were reported; `None` if none were.
    pub output_tokens: Option<u64>,
    /// The cost of the whole run, in millionths of a US dollar; `None` if a price is not known.
    pub cost_usd_micros: Option<u64>,
    /// The most that possibly billed calls may have cost, in millionths of a US dollar; not included in `cost_usd_micros`.
    pub possible_usd_micros: u64,
    /// Possibly billed calls without a known upper bound of their cost.
    #[serde(default)]
    pub possible_unbounded: u64,
    /// Processes that work on the run, this one included.
    #[serde(default = "one")]
    pub processes: u64,
    /// The provider's limits as the adaptive limiter knows them; `None` before the first call.
    pub limits: Option<ProviderLimits>,
    /// The bottleneck: the phase that decides how long the run takes; `None` before any job has ended.
    pub bottleneck: Option<Phase>,
    /// The current wait of jobs, if the provider asked for a pause or the circuit breaker is open.
    #[serde(default)]
    pub waiting: Option<Waiting>,
}

/// Reads a float within an event, whose tag makes serde buffer the other fields: serde_json passes numbers with a point on as
/// texts then, so that they keep their digits.
fn float<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    let number = Number::deserialize(deserializer)?;
    number.as_f64().ok_or_else(|| D::Error::custom(format_args!("{number} is no float")))
}

/// Reads a float as [`float`] does, or `null`.
fn optional_float<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    let number = Option::<Number>::deserialize(deserializer)?;
    let float = |number: Number| {
        number.as_f64().ok_or_else(|| D::Error::custom(format_args!("{number} is no float")))
    };
    number.map(float).transpose()
}

/// The default of [`Status::processes`], for events of versions without the field.
fn one() -> u64 {
    1
}

/// A wait that the provider asked for, or that its failures caused.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Waiting {
    /// The phase of the wait.
    pub phase: Phase,
    /// The seconds until it ends.
    #[serde(deserialize_with = "float")]
    pub seconds: f64,
}

/// The provider's limits as the adaptive limiter knows them.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ProviderLimits {
    /// Requests that are allowed per second; `None` while no limit was met.
    #[serde(default, deserialize_with = "optional_float")]
    pub requests_per_second: Option<f64>,
    /// The concurrency limit at present.
    pub max_concurrency: usize,
    /// Calls in flight.
    pub in_flight: usize,
    /// The seconds until the end of the pause that the server asked for; `None` without one.
    #[serde(default, deserialize_with = "optional_float")]
    pub paused_seconds: Option<f64>,
    /// Tokens that are allowed per second; `None` while no limit was met.
    #[serde(default, deserialize_with = "optional_float")]
    pub tokens_per_second: Option<f64>,
    /// Calls that were throttled, of all runs of this process that use the model.
    #[serde(default)]
    pub throttled: u64,
}

impl From<LimiterSnapshot> for ProviderLimits {
    fn from(view: LimiterSnapshot) -> Self {
        Self {
            requests_per_second: view.requests_per_second,
            max_concurrency: view.concurrency,
            in_flight: view.in_flight,
            paused_seconds: view.paused_for.map(|pause| pause.as_secs_f64()),
            tokens_per_second: view.tokens_per_second,
            throttled: view.throttled,
        }
    }
}

impl Counters {
    /// Continues the counts of earlier processes. Those of calls, tokens and cached results begin at 0.
    pub(crate) fn after(tally: &Tally) -> Self {
        Self {
            rows: tally.jobs().into(),
            accepted: tally.accepted.into(),
            failed: tally.failed.into(),
            cost: tally.settled.into(),
            without_price: u64::from(tally.cost_unknown).into(),
            possibly_billed: tally.possibly_billed.into(),
            possible: tally.possible.into(),
            unbounded: tally.unbounded.into(),
            ..Self::default()
        }
    }

    /// Updates the counters with the store's sums, which include the work of other processes. The number of rows never
    /// falls: this process may have read rows that are not in the sums yet.
    pub(crate) fn refresh(&self, tally: &Tally) {
        let set = |counter: &AtomicU64, value: u64| counter.store(value, Ordering::Relaxed);
        self.rows.fetch_max(tally.jobs(), Ordering::Relaxed);
        set(&self.accepted, tally.accepted);
        set(&self.failed, tally.failed);
        set(&self.cost, tally.settled);
        set(&self.without_price, u64::from(tally.cost_unknown));
        set(&self.possibly_billed, tally.possibly_billed);
        set(&self.possible, tally.possible);
        set(&self.unbounded, tally.unbounded);
    }

    /// Adds the bill of a call.
    pub(crate) fn count_bill(&self, bill: &Bill) {
        Self::add(&self.input_tokens, bill.input_tokens);
        Self::add(&self.output_tokens, bill.output_tokens);
        Self::add(&self.unreported, u64::from(bill.unreported));
        Self::add(&self.cost, bill.settled.unwrap_or(0));
        Self::add(&self.without_price, u64::from(bill.settled.is_none()));
        Self::add(&self.possibly_billed, u64::from(bill.possibly_billed));
        Self::add(&self.possible, bill.possible);
        Self::add(&self.unbounded, u64::from(bill.unbounded));
    }

    /// Marks the input as read to its end: all rows are known.
    pub(crate) fn seal(&self) {
        self.is_sealed.store(1, Ordering::Relaxed);
    }

    /// Adds to a counter; on overflow it wraps around.
    pub(crate) fn add(counter: &AtomicU64, more: u64) {
        counter.fetch_add(more, Ordering::Relaxed);
    }

    /// Reads a counter.
    pub(crate) fn get(counter: &AtomicU64) -> u64 {
        counter.load(Ordering::Relaxed)
    }

    /// Takes a snapshot. A sum of tokens that is 0 is unknown, rather than none, if an answer came without a report of
    /// its tokens.
    pub(crate) fn status(
        &self,
        limits: Option<LimiterSnapshot>,
        spent: &TimeSpent,
        waiting: Option<Waiting>,
    ) -> Status {
        let get = Self::get;
        let known = |sum| Some(get(sum)).filter(|sum| *sum > 0 || get(&self.unreported) == 0);
        Status {
            rows: get(&self.rows),
            is_all: get(&self.is_sealed) > 0,
            accepted: get(&self.accepted),
            failed: get(&self.failed),
            cached: get(&self.cached),
            calls: get(&self.calls),
            in_flight: get(&self.in_flight),
            input_tokens: known(&self.input_tokens),
            output_tokens: known(&self.output_tokens),
            cost_usd_micros: (get(&self.without_price) == 0).then(|| get(&self.cost)),
            possible_usd_micros: get(&self.possible),
            possible_unbounded: get(&self.unbounded),
            processes: get(&self.others) + 1,
            limits: limits.map(ProviderLimits::from),
            bottleneck: spent.bottleneck(),
            waiting,
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::event::RunEvent;

    #[test]
    fn the_text_of_an_event_with_floats_is_read() {
        let limits = r#"{"requests_per_second": 2.5, "max_concurrency": 4, "in_flight": 1, "tokens_per_second": null}"#;
        let text = format!(
            r#"{{"event": "progress", "rows": 1, "is_all": true, "accepted": 0, "failed": 0, "cached": 0, "calls": 1,
            "in_flight": 1, "possible_usd_micros": 0, "limits": {limits}, "waiting": {{"phase": "queue", "seconds": 0.50}}}}"#
        );
        let RunEvent::Progress(status) = serde_json::from_str(&text).unwrap() else { unreachable!() };
        let limits = status.limits.unwrap();
        assert_eq!((limits.requests_per_second, limits.paused_seconds), (Some(2.5), None));
        assert_eq!(status.waiting.unwrap().seconds, 0.5);
    }
}

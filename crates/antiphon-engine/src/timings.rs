//! The phases of a job's time, and their sums.
//!
//! A job records the time of each phase in [`Spans`], which are stored with it as microseconds, in the order of
//! [`Phase::ALL`]. Stored times are positional, so a new phase has to be appended to the end.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A phase of a job's time. The order is that in which times are stored with the job.
///
/// In reports, the time of a phase is summed over concurrent jobs, so it can exceed the wall-clock time of the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Phase {
    /// Queue: waiting for a permit of the concurrency limit (a semaphore).
    Queue,
    /// Budget: waiting for money that other calls have reserved.
    Budget,
    /// Rate limit: waiting for the adaptive limiter of the provider, and pauses after 429 responses.
    Limiter,
    /// First byte: from sending to the first byte, which includes the connection and the provider's own queue.
    FirstByte,
    /// First token: from the first byte to the first token.
    FirstToken,
    /// Streaming: from the first token to the last.
    Stream,
    /// Check: parsing and checking the answer.
    Check,
    /// Commit: making intents and settlements durable (fsync).
    Commit,
    /// Retry: failed calls, and the pauses after them.
    Retry,
    /// Breaker: waiting for the circuit breaker to let calls through.
    Breaker,
}

impl Phase {
    /// All phases, in the order in which times are stored with a job.
    pub const ALL: [Self; 10] = PHASES;

    /// Returns the label of the phase in reports, as in "bottleneck: rate limit".
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Queue => "queue",
            Self::Budget => "budget",
            Self::Limiter => "rate limit",
            Self::FirstByte => "first byte",
            Self::FirstToken => "first token",
            Self::Stream => "streaming",
            Self::Check => "checks",
            Self::Commit => "commit",
            Self::Retry => "retries",
            Self::Breaker => "circuit breaker",
        }
    }

    /// Returns the object of a wait in this phase, which follows "waits 3 s for", such as "the provider's limit".
    #[must_use]
    pub fn awaited(self) -> &'static str {
        match self {
            Self::Limiter => "the provider's limit",
            Self::Breaker => "the circuit breaker",
            Self::Retry => "the retry that the provider asked for",
            Self::Budget => "budget that other calls have reserved",
            Self::Queue => "the queue",
            Self::FirstByte | Self::FirstToken | Self::Stream => "an answer",
            Self::Check | Self::Commit => "this machine",
        }
    }

    /// Returns whether a call is in flight in this phase.
    #[must_use]
    pub fn is_of_call(self) -> bool {
        matches!(self, Self::FirstByte | Self::FirstToken | Self::Stream)
    }
}

/// All phases: the value of [`Phase::ALL`].
pub(crate) const PHASES: [Phase; 10] = [
    Phase::Queue,
    Phase::Budget,
    Phase::Limiter,
    Phase::FirstByte,
    Phase::FirstToken,
    Phase::Stream,
    Phase::Check,
    Phase::Commit,
    Phase::Retry,
    Phase::Breaker,
];

/// The time of one job, by phase.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Spans([Duration; PHASES.len()]);

impl Spans {
    /// Adds time to a phase. A phase may occur several times in a job, for example once per call.
    pub(crate) fn add(&mut self, phase: Phase, took: Duration) {
        self.0[phase as usize] += took;
    }

    /// Returns the times in microseconds, as they are stored; longer ones are capped at `u32::MAX`, which is 71
    /// minutes.
    pub(crate) fn micros(&self) -> Vec<u32> {
        self.0.iter().map(|took| u32::try_from(took.as_micros()).unwrap_or(u32::MAX)).collect()
    }
}

/// The sum of the times of many jobs, by phase.
#[derive(Debug, Default)]
pub(crate) struct Totals(Mutex<[Duration; PHASES.len()]>);

impl Totals {
    /// Adds the times of a job that has ended.
    pub(crate) fn add(&self, spans: &Spans) {
        let mut totals = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        totals.iter_mut().zip(spans.0).for_each(|(total, took)| *total += took);
    }

    /// Returns the sums, in the order of the phases.
    pub(crate) fn sums(&self) -> [Duration; PHASES.len()] {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::{Duration, Phase, Spans, Totals};

    #[test]
    fn each_phase_has_its_own_label() {
        let labels: HashSet<_> = Phase::ALL.iter().map(|phase| phase.label()).collect();
        assert_eq!(labels.len(), Phase::ALL.len());
        assert!(Phase::ALL.iter().all(|phase| !phase.awaited().is_empty()));
        let of_calls: Vec<_> = Phase::ALL.into_iter().filter(|phase| phase.is_of_call()).collect();
        assert_eq!(of_calls, [Phase::FirstByte, Phase::FirstToken, Phase::Stream]);
    }

    #[test]
    fn spans_add_up_in_the_order_of_the_phases() {
        let (totals, mut spans) = (Totals::default(), Spans::default());
        spans.add(Phase::Budget, Duration::from_micros(7));
        spans.add(Phase::Budget, Duration::from_hours(9_999));
        assert_eq!((spans.micros()[0], spans.micros()[1]), (0, u32::MAX), "the time is capped");
        totals.add(&spans);
        totals.add(&spans);
        assert_eq!(totals.sums()[1], 2 * (Duration::from_micros(7) + Duration::from_hours(9_999)));
    }
}

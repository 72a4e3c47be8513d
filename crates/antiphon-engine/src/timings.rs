use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What a job's time goes into, in the order in which it is kept with the job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Phase {
    /// Waiting for a place among the calls under way.
    Queue,
    /// Waiting for money that other calls have reserved.
    Budget,
    /// Waiting for the provider's limits.
    Limiter,
    /// From sending until the first byte: the connection, and the provider's own queue.
    FirstByte,
    /// From the first byte until the first words.
    FirstToken,
    /// From the first words until the last.
    Stream,
    /// Reading and checking the answer.
    Check,
    /// Getting intent and result onto the disk.
    Commit,
    /// Calls that failed, and the pauses after them.
    Retry,
    /// Waiting for the circuit breaker to let calls through.
    Breaker,
}

impl Phase {
    /// All phases, in the order in which a job's time is kept.
    pub const ALL: [Self; 10] = PHASES;

    /// The phase in words, as in "most of the time: …".
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Queue => "waiting for a place",
            Self::Budget => "waiting for money",
            Self::Limiter => "waiting for the limiter",
            Self::FirstByte => "until the first byte",
            Self::FirstToken => "until the first words",
            Self::Stream => "the words",
            Self::Check => "checks",
            Self::Commit => "the disk",
            Self::Retry => "failed calls, and the pauses after them",
            Self::Breaker => "waiting for a provider that failed",
        }
    }

    /// What a wait in this phase is for, as in "waits 3 s for …".
    #[must_use]
    pub fn awaited(self) -> &'static str {
        match self {
            Self::Limiter => "the provider's limit",
            Self::Breaker => "a provider that failed",
            Self::Retry => "the provider, which asked for that",
            Self::Budget => "money that other calls have reserved",
            Self::Queue => "a place",
            Self::FirstByte | Self::FirstToken | Self::Stream => "an answer",
            Self::Check | Self::Commit => "this machine",
        }
    }

    /// Whether a call is under way in it.
    #[must_use]
    pub fn is_of_call(self) -> bool {
        matches!(self, Self::FirstByte | Self::FirstToken | Self::Stream)
    }
}

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

/// Where one job's time went.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Spans([Duration; PHASES.len()]);

impl Spans {
    pub(crate) fn add(&mut self, phase: Phase, took: Duration) {
        self.0[phase as usize] += took;
    }

    /// In microseconds, to be kept.
    pub(crate) fn micros(&self) -> Vec<u32> {
        self.0.iter().map(|took| u32::try_from(took.as_micros()).unwrap_or(u32::MAX)).collect()
    }
}

/// Where the time of many jobs went.
#[derive(Debug, Default)]
pub(crate) struct Totals(Mutex<[Duration; PHASES.len()]>);

impl Totals {
    pub(crate) fn add(&self, spans: &Spans) {
        let mut totals = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        totals.iter_mut().zip(spans.0).for_each(|(total, took)| *total += took);
    }

    /// The sums, in the order of the phases.
    pub(crate) fn sums(&self) -> [Duration; PHASES.len()] {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::{Duration, Phase, Spans, Totals};

    #[test]
    fn each_phase_has_words_of_its_own() {
        let told: HashSet<_> = Phase::ALL.iter().map(|phase| phase.label()).collect();
        assert_eq!(told.len(), Phase::ALL.len());
        assert!(Phase::ALL.iter().all(|phase| !phase.awaited().is_empty()));
        let of_calls: Vec<_> = Phase::ALL.into_iter().filter(|phase| phase.is_of_call()).collect();
        assert_eq!(of_calls, [Phase::FirstByte, Phase::FirstToken, Phase::Stream]);
    }

    #[test]
    fn spans_add_up_in_the_order_of_the_phases() {
        let (totals, mut spans) = (Totals::default(), Spans::default());
        spans.add(Phase::Budget, Duration::from_micros(7));
        spans.add(Phase::Budget, Duration::from_hours(9_999));
        assert_eq!((spans.micros()[0], spans.micros()[1]), (0, u32::MAX), "more than can be kept");
        totals.add(&spans);
        totals.add(&spans);
        assert_eq!(totals.sums()[1], 2 * (Duration::from_micros(7) + Duration::from_hours(9_999)));
    }
}

//! The time of a run by phase, and what follows from it: the bottleneck, and advice.
//!
//! Times of phases are summed over concurrent jobs, so they are compared with each other rather than with the
//! wall-clock time. Only the caller's own concurrency limit is compared with the capacity that it had: wall-clock time
//! times permits.

use std::time::Duration;

use crate::status::ProviderLimits;
use crate::timings::{PHASES, Phase};

/// The time of a run by phase, with the facts that decide its bottleneck.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct TimeSpent {
    /// The wall-clock time.
    pub(crate) wall: Duration,
    /// The time of each phase, summed over all jobs that have ended.
    pub(crate) phases: [Duration; PHASES.len()],
    /// The part of the failed calls' time that was spent in calls that timed out.
    pub(crate) stalled: Duration,
    /// Calls that this process sent.
    pub(crate) calls: u64,
    /// The concurrency limit that the caller set.
    pub(crate) max_concurrency: Option<usize>,
    /// The limits that the provider has shown.
    pub(crate) limits: Option<ProviderLimits>,
}

/// The minimum number of calls after which a measured rate is named.
const RATE_CALLS: u64 = 100;
/// The minimum time after which a measured rate is named.
const RATE_TIME: Duration = Duration::from_secs(3);

impl TimeSpent {
    /// Returns the phase that decided how long the run took; `None` before any job has ended.
    ///
    /// This is the phase that took most of the time, without the queue: jobs queue because others are slow. The same holds for
    /// the limiter of a provider that has shown no limit: it starts calls as fast as answers come. The queue is the bottleneck
    /// only where the caller's concurrency limit was used up nearly all the time, and at most half of that time was spent waiting
    /// for the provider or for the budget.
    pub(crate) fn bottleneck(&self) -> Option<Phase> {
        let is_limited = self.limits.is_some_and(is_limited);
        let is_cause = |phase: &Phase| *phase != Phase::Queue && (*phase != Phase::Limiter || is_limited);
        let counted = PHASES.into_iter().filter(|phase| is_cause(phase) && !self.of(*phase).is_zero());
        let longest = counted.max_by_key(|phase| self.of(*phase))?;
        Some(if self.is_held_back() { Phase::Queue } else { longest })
    }

    /// Returns whether the caller's concurrency limit kept calls from being sent: calls and checks took more time than
    /// waits for the provider and the budget, rows queued for longer than the run took, and 70 % of the capacity was
    /// used.
    fn is_held_back(&self) -> bool {
        let sum = |phases: &[Phase]| phases.iter().map(|phase| self.of(*phase)).sum::<Duration>();
        let waits = sum(&[Phase::Budget, Phase::Limiter, Phase::Retry, Phase::Breaker]);
        let works = sum(&[Phase::FirstByte, Phase::FirstToken, Phase::Stream, Phase::Check, Phase::Commit]);
        let Some(limit) = self.max_concurrency.and_then(|limit| u32::try_from(limit).ok()) else {
            return false;
        };
        let capacity = self.wall.saturating_mul(limit);
        waits < works && self.of(Phase::Queue) > self.wall && works >= capacity.mul_f64(0.7)
    }

    /// Returns advice against the bottleneck: the observation, a colon, and what would help. `None` before any job has
    /// ended.
    pub(crate) fn advice(&self) -> Option<String> {
        let advice = match self.bottleneck()? {
            Phase::Limiter => return Some(self.advice_on_limits()),
            Phase::Queue => "rows waited in the queue: a higher --max-concurrency would help",
            Phase::Budget => {
                "calls waited for budget that others had reserved: a lower max_tokens, or a higher --max-cost, would help"
            }
            Phase::FirstByte | Phase::FirstToken => {
                "the provider takes long to begin: shorter prompts, or a faster model, would help"
            }
            Phase::Stream => "answers take long to write: shorter answers, or a faster model, would help",
            Phase::Check => "reading and checking answers takes long: simpler checks would help",
            Phase::Commit => "the disk is slow to flush: a journal on a faster one (--out) would help",
            Phase::Retry if self.stalled * 2 > self.of(Phase::Retry) => {
                "calls stalled until they timed out: another model or provider, or a fallback (--fallback-model), would help"
            }
            Phase::Retry => {
                "calls failed and were made again: the warnings say why, and another provider would help"
            }
            Phase::Breaker => {
                "the provider failed so often that it was not called for a while: a fallback (--fallback-model) would help"
            }
        };
        Some(advice.to_owned())
    }

    /// Returns advice against a rate limit, with the rate if the run was long enough to measure it.
    fn advice_on_limits(&self) -> String {
        let is_measured = self.calls >= RATE_CALLS && self.wall >= RATE_TIME;
        match self.limits.and_then(|limits| limits.requests_per_second).filter(|_| is_measured) {
            Some(rate) => format!(
                "the provider takes {rate:.1} requests a second: a higher tier of the account, or a second provider, would help"
            ),
            None => {
                "the provider's rate limit made calls wait: a higher tier of the account, or a second provider, would help"
                    .to_owned()
            }
        }
    }

    fn of(&self, phase: Phase) -> Duration {
        self.phases[phase as usize]
    }
}

/// Returns whether the provider has shown a limit on requests or tokens.
fn is_limited(limits: ProviderLimits) -> bool {
    limits.requests_per_second.is_some() || limits.tokens_per_second.is_some() || limits.throttled > 0
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Duration, PHASES, Phase, ProviderLimits, TimeSpent};

    const SECOND: Duration = Duration::from_secs(1);

    fn spent(phases: &[(Phase, u64)]) -> TimeSpent {
        let limits = limits(None, 9);
        let mut spent = TimeSpent { wall: 10 * SECOND, calls: 500, limits, ..TimeSpent::default() };
        for (phase, seconds) in phases {
            spent.phases[*phase as usize] = Duration::from_secs(*seconds);
        }
        spent
    }

    fn limits(rate: Option<f64>, throttled: u64) -> Option<ProviderLimits> {
        let limits = json!({ "requests_per_second": rate, "max_concurrency": 8, "in_flight": 0, "paused_seconds": null, "throttled": throttled });
        serde_json::from_value(limits).ok()
    }

    #[test]
    fn the_longest_phase_is_the_bottleneck_and_has_advice() {
        assert_eq!(spent(&[(Phase::Queue, 90)]).bottleneck(), None, "no job has done anything");
        for phase in PHASES.into_iter().filter(|phase| *phase != Phase::Queue) {
            let spent = spent(&[(Phase::Queue, 900), (phase, 20), (Phase::Check, 1)]);
            let expected = if phase == Phase::Check { Phase::Check } else { phase };
            assert_eq!(spent.bottleneck(), Some(expected));
            assert!(spent.advice().is_some(), "{phase:?}");
        }
    }

    #[test]
    fn a_limit_of_the_caller_is_the_bottleneck_while_it_is_used_up() {
        let held = |phases: &[(Phase, u64)], limit| TimeSpent { max_concurrency: limit, ..spent(phases) };
        let busy = [(Phase::Queue, 900), (Phase::Stream, 38)];
        assert_eq!(held(&busy, Some(4)).bottleneck(), Some(Phase::Queue));
        assert_eq!(held(&busy, Some(40)).bottleneck(), Some(Phase::Stream), "most permits were free");
        assert_eq!(held(&busy, None).bottleneck(), Some(Phase::Stream));
        let throttled = [(Phase::Queue, 900), (Phase::Stream, 30), (Phase::Limiter, 40)];
        assert_eq!(held(&throttled, Some(4)).bottleneck(), Some(Phase::Limiter));
        assert_eq!(held(&[(Phase::Stream, 38)], Some(4)).bottleneck(), Some(Phase::Stream), "no row waited");
    }

    #[test]
    fn the_limiter_of_a_provider_without_limits_is_no_bottleneck() {
        let ramp = spent(&[(Phase::Limiter, 20), (Phase::FirstByte, 15)]);
        assert_eq!(ramp.bottleneck(), Some(Phase::Limiter));
        for limits in [None, limits(None, 0)] {
            assert_eq!(TimeSpent { limits, ..ramp }.bottleneck(), Some(Phase::FirstByte));
        }
        assert_eq!(TimeSpent { limits: limits(Some(5.0), 0), ..ramp }.bottleneck(), Some(Phase::Limiter));
    }

    #[test]
    fn a_rate_is_named_only_when_it_was_measured() {
        let limited = TimeSpent { limits: limits(Some(7.5), 9), ..spent(&[(Phase::Limiter, 20)]) };
        let names_rate = |spent: TimeSpent| spent.advice().unwrap().contains("7.5 requests");
        assert!(names_rate(limited));
        assert!(!names_rate(TimeSpent { calls: 30, ..limited }), "too few calls");
        assert!(!names_rate(TimeSpent { wall: SECOND, ..limited }), "too short a time");
        let few = TimeSpent { calls: 30, ..limited };
        assert!(few.advice().unwrap().starts_with("the provider's rate limit"));
    }

    #[test]
    fn stalls_and_errors_get_different_advice() {
        let failed = spent(&[(Phase::Retry, 20)]);
        assert!(failed.advice().unwrap().starts_with("calls failed"));
        let stalled = TimeSpent { stalled: 15 * SECOND, ..failed };
        assert!(stalled.advice().unwrap().starts_with("calls stalled"));
    }
}

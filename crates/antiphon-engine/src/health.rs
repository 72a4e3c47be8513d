//! The health of a run's provider, on which pauses and stops are based.
//!
//! Each job decides for itself; this state is what the jobs of a run know together. With it, a run
//!
//! | decides | by |
//! |---|---|
//! | whether a failure is worth a long pause | the share of answers among the last calls |
//! | whether any call may begin | the end of the pause that the provider asked for |
//! | whether to stop as saturated | the length of that pause, and the number of pauses in a row |
//! | whether the provider can be used at all | whether any call was answered, and the failures until then |
//!
//! It is kept apart from the adaptive limiter and the circuit breaker, which all runs of a process share.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use antiphon_llm::{Error, ErrorKind};
use tokio::time::Instant;

use crate::stop::StopCause;
use crate::timings::Phase;

/// The health of a run's provider as its calls showed it: whether it answers, and until when no call begins.
///
/// It is a state machine without I/O; callers pass the time.
#[derive(Debug)]
pub(crate) struct ProviderHealth {
    /// The longest pause that the run waits for.
    max_pause: Duration,
    state: Mutex<State>,
}

/// The state behind the lock, which is held for a few instructions at a time.
#[derive(Debug, Default)]
struct State {
    /// Whether any call was answered in this process. It never becomes false again.
    has_answered: bool,
    /// The share of the last calls that were answered, as an exponential moving average in units of 1 / [`WHOLE`].
    share: u32,
    /// The number of pauses in a row that the provider asked for.
    throttles: u32,
    /// The time until which no call begins; a time in the past has no effect.
    paused_until: Option<Instant>,
    /// The end of the longest wait of a job for the provider or the circuit breaker, and the phase of that wait.
    waiting: Option<(Instant, Phase)>,
    /// The last error that counted as a failure, for the message of a stop while the circuit breaker is open.
    last_error: Option<Error>,
    /// Failures of one kind that no retry can fix, while no call was answered.
    hopeless: Option<(ErrorKind, u64)>,
}

/// The unit of shares: all of the last calls.
const WHOLE: u32 = 1 << 16;
/// The share of answers above which a provider is healthy.
const WELL: u32 = WHOLE / 2;
/// The number of calls that fail in the same way before any call was answered, after which a run ends.
const HOPELESS: u64 = 20;
/// The number of pauses in a row after which a provider counts as saturated.
const MAX_THROTTLES: u32 = 8;
/// Shorter openings of the circuit breaker end with a trial call soon, and are not counted as throttling.
const LONG_OPENING: Duration = Duration::from_secs(30);

impl ProviderHealth {
    /// Creates the state before the first call. A pause longer than `max_pause` stops the run.
    pub(crate) fn new(max_pause: Duration) -> Self {
        Self { max_pause, state: Mutex::default() }
    }

    /// Counts a call that was answered. The next pause that the provider asks for is then the first in a row again.
    pub(crate) fn answered(&self) {
        let mut state = self.lock();
        state.mix(WHOLE / 16);
        state.throttles = 0;
        state.has_answered = true;
    }

    /// Counts a call that failed, and remembers its error. Only failures that a retry may fix are counted, and of those
    /// no call that was throttled (429) without a bill, that broke off after new elements, or for which this machine had
    /// no file descriptor.
    pub(crate) fn failed(&self, err: &Error) {
        let mut state = self.lock();
        state.mix(0);
        state.last_error = Some(err.clone());
    }

    /// Returns whether any call was answered in this process.
    pub(crate) fn has_answered(&self) -> bool {
        self.lock().has_answered
    }

    /// Returns whether most of the last calls were answered, and more than a few were made: 11 answers in a row
    /// suffice. The weight of a call falls by a sixteenth with each later one.
    pub(crate) fn is_well(&self) -> bool {
        self.lock().share > WELL
    }

    /// Returns the error of the last call that counted as a failure; `None` if none has.
    pub(crate) fn last_error(&self) -> Option<Error> {
        self.lock().last_error.clone()
    }

    /// Counts a failure that no retry can fix. Returns whether all further jobs can be expected to fail: no call was ever
    /// answered, and [`HOPELESS`] calls, or one for each of `jobs`, failed in the same way.
    pub(crate) fn failed_for_good(&self, kind: ErrorKind, jobs: Option<u64>) -> bool {
        use ErrorKind::{InvalidRequest, InvalidResponse, Unsupported};
        let mut state = self.lock();
        if state.has_answered || !matches!(kind, InvalidRequest | InvalidResponse | Unsupported) {
            return false;
        }
        let before = state.hopeless.filter(|(same, _)| *same == kind).map_or(0, |(_, calls)| calls);
        state.hopeless = Some((kind, before + 1));
        before + 1 >= jobs.unwrap_or(u64::MAX).min(HOPELESS)
    }

    /// Returns the time until which no call begins; `None` if calls may begin.
    pub(crate) fn paused_until(&self, now: Instant) -> Option<Instant> {
        self.lock().paused_until.filter(|until| *until > now)
    }

    /// Returns the time that jobs still wait for the provider, and the phase of that wait.
    pub(crate) fn waiting(&self, now: Instant) -> Option<(Duration, Phase)> {
        let (until, phase) = self.lock().waiting?;
        Some((until.checked_duration_since(now).filter(|left| !left.is_zero())?, phase))
    }

    /// Records that one job waits as long as the provider asked; other jobs continue.
    pub(crate) fn asked_to_wait(&self, pause: Duration, now: Instant) {
        self.lock().wait(pause, Phase::Retry, now);
    }

    /// Pauses all calls for as long as the provider asked. Returns the cause of a stop if the pause is too long, or one too many.
    ///
    /// Many calls may be throttled at the same moment. They extend one pause, and only a pause that begins when none
    /// was in effect counts as another in a row.
    pub(crate) fn throttled(&self, pause: Duration, now: Instant) -> Option<StopCause> {
        let mut state = self.lock();
        state.wait(pause, Phase::Limiter, now);
        if state.pause(pause, now) {
            state.throttles += 1;
        }
        let is_saturated = pause > self.max_pause || state.throttles > MAX_THROTTLES;
        is_saturated.then_some(StopCause::Saturated { retry_after: pause })
    }

    /// Pauses all calls while the circuit breaker is open. Returns the cause of a stop, as [`throttled`](Self::throttled) does.
    pub(crate) fn opened(&self, pause: Duration, now: Instant) -> Option<StopCause> {
        let stop = if pause >= LONG_OPENING { self.throttled(pause, now) } else { None };
        let mut state = self.lock();
        state.wait(pause, Phase::Breaker, now);
        state.pause(pause, now);
        stop
    }

    /// Locks the state. A panic of another holder is ignored: no combination of the fields is invalid.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Adds a call to the moving average, in which the newest calls weigh most: `gain` is a sixteenth of [`WHOLE`] for
    /// an answer, and 0 for a failure.
    fn mix(&mut self, gain: u32) {
        self.share = self.share - self.share / 16 + gain;
    }

    /// Records a wait; the one that ends last is shown.
    fn wait(&mut self, pause: Duration, phase: Phase, now: Instant) {
        let until = now + pause;
        if self.waiting.is_none_or(|(other, _)| other <= until) {
            self.waiting = Some((until, phase));
        }
    }

    /// Adds a pause. Returns whether calls could begin before it.
    fn pause(&mut self, pause: Duration, now: Instant) -> bool {
        let is_new = self.paused_until.is_none_or(|until| until <= now);
        self.paused_until = self.paused_until.max(Some(now + pause));
        is_new
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use antiphon_llm::{Error, ErrorKind};
    use tokio::time::Instant;

    use super::{HOPELESS, MAX_THROTTLES, ProviderHealth};
    use crate::stop::StopCause;
    use crate::timings::Phase;

    const SECOND: Duration = Duration::from_secs(1);

    fn health() -> ProviderHealth {
        ProviderHealth::new(60 * SECOND)
    }

    #[test]
    fn a_provider_is_healthy_while_most_of_the_last_calls_are_answered() {
        let health = health();
        assert!(!health.is_well() && !health.has_answered());
        (0..12).for_each(|_| health.answered());
        assert!(health.is_well() && health.has_answered());
        (0..12).for_each(|_| health.failed(&Error::new(ErrorKind::Unavailable, "down")));
        assert!(!health.is_well() && health.has_answered());
        assert_eq!(health.last_error().map(|err| err.kind()), Some(ErrorKind::Unavailable));
    }

    #[test]
    fn failures_of_one_kind_end_the_run_while_no_call_was_answered() {
        let (few, many) = (health(), health());
        let bad = ErrorKind::InvalidRequest;
        assert!(
            !few.failed_for_good(bad, Some(2)) && few.failed_for_good(bad, Some(2)),
            "every job has failed"
        );
        (1..HOPELESS).for_each(|_| assert!(!many.failed_for_good(bad, None)));
        assert!(!many.failed_for_good(ErrorKind::Unsupported, None), "another kind is counted anew");
        (1..HOPELESS).for_each(|_| assert!(!many.failed_for_good(bad, None)));
        assert!(many.failed_for_good(bad, None));
        assert!(!many.failed_for_good(ErrorKind::ModelRefusal, Some(1)), "a refusal is about its own row");
        many.answered();
        assert!(!many.failed_for_good(bad, Some(1)));
    }

    #[test]
    fn a_pause_lasts_until_its_end_and_the_longest_counts() {
        let (health, now) = (health(), Instant::now());
        assert_eq!(health.paused_until(now), None);
        assert!(health.throttled(3 * SECOND, now).is_none() && health.opened(2 * SECOND, now).is_none());
        assert_eq!(health.paused_until(now + SECOND), Some(now + 3 * SECOND));
        assert_eq!(health.paused_until(now + 3 * SECOND), None);
    }

    #[test]
    fn a_wait_is_shown_with_its_cause_until_its_end() {
        let (health, now) = (health(), Instant::now());
        assert_eq!(health.waiting(now), None);
        health.asked_to_wait(2 * SECOND, now);
        assert_eq!((health.waiting(now), health.paused_until(now)), (Some((2 * SECOND, Phase::Retry)), None));
        health.throttled(3 * SECOND, now);
        health.opened(SECOND, now);
        assert_eq!(health.waiting(now + SECOND), Some((2 * SECOND, Phase::Limiter)), "the longest");
        health.opened(5 * SECOND, now);
        assert_eq!(health.waiting(now), Some((5 * SECOND, Phase::Breaker)));
        assert_eq!(health.waiting(now + 5 * SECOND), None);
    }

    #[test]
    fn too_long_a_pause_or_too_many_in_a_row_stop_the_run() {
        let (health, mut now) = (health(), Instant::now());
        assert!(
            matches!(health.throttled(61 * SECOND, now), Some(StopCause::Saturated { retry_after }) if retry_after == 61 * SECOND)
        );
        now += 61 * SECOND;
        health.answered();
        for _ in 0..MAX_THROTTLES {
            assert!(health.throttled(SECOND, now).is_none());
            assert!(health.throttled(SECOND, now).is_none(), "calls of one moment are one pause");
            now += SECOND;
        }
        assert!(health.opened(SECOND, now).is_none(), "a short opening is no throttling");
        now += SECOND;
        assert!(health.opened(30 * SECOND, now).is_some());
    }
}

use std::time::Duration;

use crate::backoff::Backoff;
use crate::retry::{RetryPolicy, Verdict};

/// The pauses between the attempts of one operation under a [`RetryPolicy`], without I/O or a clock.
///
/// [`RetryPolicy::run`] follows the same rule and is shorter to use. Use `Pauses` where an attempt is more than a closure
/// that can be called again: for example, a job that records each attempt in a write-ahead log and releases its permit during the
/// pause.
///
/// ```
/// use antiphon_resilience::{RetryPolicy, Verdict};
/// use std::time::Duration;
///
/// let policy = RetryPolicy::default().max_retries(2);
/// let mut pauses = policy.pauses();
/// assert!(pauses.after(Verdict::Retry).is_some_and(|pause| pause <= policy.base));
///
/// let wait = Duration::from_secs(7);
/// let throttled = Verdict::Throttled { retry_after: Some(wait) };
/// assert!(pauses.after(throttled).is_some_and(|pause| pause >= wait));
/// assert_eq!(pauses.after(Verdict::Retry), None, "both retries are used up");
/// ```
#[derive(Debug)]
pub struct Pauses {
    policy: RetryPolicy,
    backoff: Backoff,
    retries: u32,
}

impl Pauses {
    pub(crate) fn new(policy: RetryPolicy) -> Self {
        Self { backoff: policy.backoff(), policy, retries: 0 }
    }

    /// Returns the pause after a failed attempt, and uses up one retry; `None` if no further attempt is to be made.
    ///
    /// The pause depends on the verdict. All results but `None` require that fewer than `max_retries` retries are used up.
    ///
    /// | verdict | pause |
    /// |---|---|
    /// | [`Verdict::Retry`] | uniform between zero and the ceiling (full jitter), which then grows by `factor` up to `cap` |
    /// | [`Verdict::Throttled`] without `retry_after` | the same, with a ceiling of at least `throttled_base` (at most `cap`) |
    /// | [`Verdict::Throttled`] with `retry_after` | uniform between `retry_after` and 110 % of it |
    /// | [`Verdict::Throttled`] with a `retry_after` above `max_retry_after` | `None` |
    /// | [`Verdict::Stop`] | `None` |
    ///
    /// With [`Jitter::Off`](crate::Jitter::Off), the pause is the ceiling, or the `retry_after`, itself.
    pub fn after(&mut self, verdict: Verdict) -> Option<Duration> {
        let policy = &self.policy;
        let pause = match verdict {
            Verdict::Stop => return None,
            _ if self.retries >= policy.max_retries => return None,
            Verdict::Retry => self.backoff.pause(),
            Verdict::Throttled { retry_after: None } => self.backoff.raised(policy.throttled_base),
            Verdict::Throttled { retry_after: Some(wait) } if wait > policy.max_retry_after => return None,
            Verdict::Throttled { retry_after: Some(wait) } => self.backoff.at_least(wait),
        };
        self.retries += 1;
        Some(pause)
    }

    /// Returns the pause after an attempt that is certainly not billed, without using up a retry.
    ///
    /// Use it when a rate limit was reached (429), or when the circuit breaker was open and nothing was sent.
    ///
    /// The pause is `retry_after`, or `throttled_base` if there is none, plus a random pause whose ceiling grows each time. A
    /// server that never sends a `retry_after` is therefore called less and less often as well. Neither `max_retries` nor
    /// `max_retry_after` limits these pauses: the caller has to limit the total wait, for example with a
    /// [`Deadline`](crate::Deadline).
    ///
    /// ```
    /// use antiphon_resilience::{RetryPolicy, Verdict};
    /// let mut pauses = RetryPolicy::default().max_retries(1).pauses();
    /// assert!((0..9).all(|_| pauses.after_unbilled(None) >= RetryPolicy::default().throttled_base));
    /// assert!(pauses.after(Verdict::Retry).is_some());
    /// ```
    pub fn after_unbilled(&mut self, retry_after: Option<Duration>) -> Duration {
        let wait = retry_after.unwrap_or(self.policy.throttled_base);
        wait.saturating_add(self.backoff.pause())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::SeedableRng;
    use rand::rngs::SmallRng;

    use super::{Duration, Pauses, RetryPolicy, Verdict};

    const SEED: u64 = 11;
    const RETRY: Verdict = Verdict::Retry;
    const BUSY: Verdict = Verdict::Throttled { retry_after: None };

    fn busy_for(seconds: u64) -> Verdict {
        Verdict::Throttled { retry_after: Some(Duration::from_secs(seconds)) }
    }

    /// The policy of the tables: ceilings of 1, 3, 9, 10, 10 s; after a 429, of at least 2 s.
    fn policy() -> RetryPolicy {
        let policy = RetryPolicy::default().base(Duration::from_secs(1), Duration::from_secs(2)).factor(3.0);
        policy.cap(Duration::from_secs(10)).max_retry_after(Duration::from_secs(30)).seed(SEED)
    }

    /// An expected pause, in seconds: random, at least a `retry_after`, or a fixed wait plus a random part.
    #[derive(Clone, Copy)]
    enum Pause {
        Drawn(u64),
        Asked(u64),
        Both(u64, u64),
    }

    /// Returns the exact pause, with the jitter that the policy's seed produces.
    fn exact(jitter: &mut SmallRng, pause: Pause) -> Duration {
        let mut drawn = |most: u64| Duration::from_secs(most).mul_f64(jitter.random_range(0.0..=1.0));
        match pause {
            Pause::Drawn(most) => drawn(most),
            Pause::Both(wait, most) => Duration::from_secs(wait) + drawn(most),
            Pause::Asked(wait) => {
                let wait = Duration::from_secs(wait);
                wait + Duration::from_secs_f64(wait.as_secs_f64() * jitter.random_range(0.0..=0.1))
            }
        }
    }

    #[track_caller]
    fn check<T: Copy + std::fmt::Debug>(
        policy: &RetryPolicy,
        next: impl Fn(&mut Pauses, T) -> Option<Duration>,
        rows: &[(T, Option<Pause>)],
    ) {
        let (mut pauses, mut jitter) = (policy.pauses(), SmallRng::seed_from_u64(SEED));
        for (at, (given, expected)) in rows.iter().enumerate() {
            let expected = expected.map(|pause| exact(&mut jitter, pause));
            assert_eq!(next(&mut pauses, *given), expected, "row {at}: {given:?}");
        }
    }

    #[test]
    fn each_failure_has_a_pause_until_the_retries_are_used_up() {
        use Pause::{Asked, Drawn};
        let check = |policy: RetryPolicy, rows: &[_]| check(&policy, Pauses::after, rows);
        let four = policy().max_retries(4);
        check(
            four.clone(),
            &[
                (RETRY, Some(Drawn(1))),
                (RETRY, Some(Drawn(3))),
                (RETRY, Some(Drawn(9))),
                (RETRY, Some(Drawn(10))),
                (RETRY, None),
            ],
        );
        check(four.clone(), &[(BUSY, Some(Drawn(2))), (RETRY, Some(Drawn(6))), (BUSY, Some(Drawn(10)))]);
        check(
            four.clone(),
            &[(RETRY, Some(Drawn(1))), (busy_for(7), Some(Asked(7))), (BUSY, Some(Drawn(3)))],
        );
        check(
            four.clone(),
            &[(busy_for(30), Some(Asked(30))), (busy_for(31), None), (RETRY, Some(Drawn(1)))],
        );
        check(four, &[(busy_for(0), Some(Asked(0))), (Verdict::Stop, None), (RETRY, Some(Drawn(1)))]);
        check(policy().max_retries(1), &[(busy_for(1), Some(Asked(1))), (busy_for(1), None), (BUSY, None)]);
        check(RetryPolicy::never(), &[(RETRY, None), (BUSY, None), (busy_for(0), None)]);
    }

    #[test]
    fn an_unbilled_attempt_uses_up_no_retry() {
        use Pause::{Both, Drawn};
        #[derive(Debug, Clone, Copy)]
        enum Step {
            Failed,
            Unbilled(Option<u64>),
        }
        let next = |pauses: &mut Pauses, step| match step {
            Step::Failed => pauses.after(RETRY),
            Step::Unbilled(wait) => Some(pauses.after_unbilled(wait.map(Duration::from_secs))),
        };
        check(
            &policy().max_retries(1),
            next,
            &[
                (Step::Unbilled(None), Some(Both(2, 1))),
                (Step::Unbilled(Some(0)), Some(Both(0, 3))),
                (Step::Unbilled(Some(600)), Some(Both(600, 9))),
                (Step::Failed, Some(Drawn(10))),
                (Step::Unbilled(Some(1)), Some(Both(1, 10))),
                (Step::Failed, None),
                (Step::Unbilled(None), Some(Both(2, 10))),
            ],
        );
        assert_eq!(policy().pauses().after_unbilled(Some(Duration::MAX)), Duration::MAX);
    }

    #[tokio::test(start_paused = true)]
    async fn the_retry_future_follows_the_same_rule() {
        let verdicts = [RETRY, busy_for(2), BUSY, RETRY, busy_for(3)];
        let (policy, mut attempts) = (policy().max_retries(9), crate::Attempts::default());
        let classify = |number: &u32| verdicts[*number as usize - 1];
        let op = |attempt: crate::Attempt| async move {
            if attempt.number <= 5 { Err(attempt.number) } else { Ok(()) }
        };
        policy.run(classify, op).log(&mut attempts, |_| false).await.unwrap();
        let mut pauses = policy.pauses();
        let expected = verdicts.map(|verdict| pauses.after(verdict));
        assert_eq!(attempts.iter().map(|failed| failed.pause).collect::<Vec<_>>(), expected);
    }

    proptest! {
        #[test]
        fn retries_are_bounded_by_max_retries_and_pauses_by_the_cap(
            max_retries in 0_u32..5,
            rows in proptest::collection::vec((0_u64..40, 0..4), 0..20),
        ) {
            let policy = policy().max_retries(max_retries);
            let mut pauses = policy.pauses();
            let mut used = 0;
            for (seconds, kind) in rows {
                let wait = Duration::from_secs(seconds);
                let verdict = match kind {
                    0 => {
                        prop_assert!(pauses.after_unbilled(Some(wait)) <= wait + policy.cap);
                        continue;
                    }
                    1 => RETRY,
                    2 => BUSY,
                    _ => busy_for(seconds),
                };
                let Some(pause) = pauses.after(verdict) else {
                    prop_assert!(used == max_retries || wait > policy.max_retry_after);
                    continue;
                };
                used += 1;
                let (least, most) = if kind == 3 { (wait, wait.mul_f64(1.1)) } else { (Duration::ZERO, policy.cap) };
                prop_assert!(least <= pause && pause <= most && used <= max_retries);
            }
        }
    }
}

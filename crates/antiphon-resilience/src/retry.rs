use std::time::{Duration, Instant};

use tokio::time::sleep;

use crate::backoff::Backoff;
use crate::deadline::{Deadline, now};

/// How often, and after what pause, a failed call is made again.
///
/// Exactly one layer of a call path should own retries: a server that always fails then sees `max_retries` + 1 calls.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct RetryPolicy {
    /// Calls after the first. Default 3.
    pub max_retries: u32,
    /// Ceiling of the first pause. Default 500 ms.
    pub base: Duration,
    /// Ceiling of the first pause after a [`Verdict::Throttled`] without a wish. Default 1 s.
    pub throttled_base: Duration,
    /// Growth of the ceiling from pause to pause. Default 2.
    pub factor: f64,
    /// The largest ceiling. Default 20 s.
    pub cap: Duration,
    /// A longer wish of the server is not waited for here: the error goes up at once, wish and all. Default 120 s.
    pub max_wish: Duration,
    /// Makes the jitter repeatable. Default `None`: from the system.
    pub seed: Option<u64>,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            max_retries: 3,
            base: Duration::from_millis(500),
            throttled_base: Duration::from_secs(1),
            factor: 2.0,
            cap: Duration::from_secs(20),
            max_wish: Duration::from_secs(120),
            seed: None,
        }
    }
}

/// What an error means for the next attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Another attempt would fail too, or might be paid twice.
    Stop,
    /// Another attempt may succeed.
    Retry,
    /// The server is busy, and may have said for how long.
    Throttled {
        /// The wait the server asked for: a floor for the pause.
        retry_after: Option<Duration>,
    },
}

/// Which attempt an operation is making.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Attempt {
    /// From 1.
    pub number: u32,
}

impl RetryPolicy {
    /// A policy that never calls again.
    #[must_use]
    pub fn never() -> Self {
        Self::default().max_retries(0)
    }

    /// Sets the calls after the first.
    #[must_use]
    pub fn max_retries(mut self, max_retries: u32) -> Self {
        self.max_retries = max_retries;
        self
    }

    /// Sets the ceilings of the first pause: after a failure, and after being throttled.
    #[must_use]
    pub fn base(mut self, base: Duration, throttled: Duration) -> Self {
        (self.base, self.throttled_base) = (base, throttled);
        self
    }

    /// Sets the largest ceiling of a pause.
    #[must_use]
    pub fn cap(mut self, cap: Duration) -> Self {
        self.cap = cap;
        self
    }

    /// Makes the jitter repeatable.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Calls `op` until it succeeds, `classify` says stop, the retries are used up, or the next pause would pass
    /// `deadline`.
    ///
    /// # Errors
    /// The last attempt's own error.
    ///
    /// # Cancel safety
    /// Dropping it drops the attempt under way or ends the pause; nothing else is held.
    pub async fn run<T, E, C, Op, Fut>(&self, deadline: Deadline, mut classify: C, mut op: Op) -> Result<T, E>
    where
        C: FnMut(&E) -> Verdict,
        Op: FnMut(Attempt) -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        let mut pauses: Option<Pauses> = None;
        let mut attempt = Attempt { number: 1 };
        loop {
            let err = match op(attempt).await {
                Ok(value) => return Ok(value),
                Err(err) => err,
            };
            let pauses = pauses.get_or_insert_with(|| Pauses::new(self));
            let Some(pause) = pauses.after(classify(&err), deadline, now()) else { return Err(err) };
            sleep(pause).await;
            attempt.number += 1;
        }
    }
}

/// The pauses of one call under a policy, without a clock of its own.
struct Pauses<'a> {
    policy: &'a RetryPolicy,
    backoff: Backoff,
    left: u32,
}

impl<'a> Pauses<'a> {
    fn new(policy: &'a RetryPolicy) -> Self {
        let backoff = Backoff::new(policy.base, policy.cap).factor(policy.factor);
        let backoff = match policy.seed {
            Some(seed) => backoff.seed(seed),
            None => backoff,
        };
        Self { policy, backoff, left: policy.max_retries }
    }

    fn after(&mut self, verdict: Verdict, deadline: Deadline, now: Instant) -> Option<Duration> {
        self.left = match verdict {
            Verdict::Stop => return None,
            _ => self.left.checked_sub(1)?,
        };
        let pause = match verdict {
            Verdict::Throttled { retry_after: Some(wish) } if wish > self.policy.max_wish => return None,
            Verdict::Throttled { retry_after: Some(wish) } => self.backoff.at_least(wish),
            Verdict::Throttled { retry_after: None } => {
                self.backoff.raise(self.policy.throttled_base);
                self.backoff.next()?
            }
            _ => self.backoff.next()?,
        };
        deadline.allows(pause, now).then_some(pause)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use proptest::prelude::*;
    use tokio::time::Instant;

    use super::{Deadline, Duration, Pauses, RetryPolicy, Verdict, now};

    /// Runs an operation that always fails; gives the number of calls and the time they took.
    async fn failing(policy: RetryPolicy, deadline: Deadline, verdict: Verdict) -> (u32, Duration) {
        let (calls, start) = (AtomicU32::new(0), Instant::now());
        let result: Result<(), u32> = policy
            .run(
                deadline,
                |_| verdict,
                |attempt| {
                    calls.fetch_add(1, Ordering::Relaxed);
                    async move { Err(attempt.number) }
                },
            )
            .await;
        let calls = calls.into_inner();
        assert_eq!(result, Err(calls), "the last attempt's error comes back");
        (calls, start.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_always_fails_sees_one_call_and_its_retries() {
        let (calls, took) = failing(RetryPolicy::default(), Deadline::none(), Verdict::Retry).await;
        assert_eq!(calls, 4);
        assert!(took <= Duration::from_millis(500 + 1000 + 2000 + 3), "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn an_error_that_stops_is_not_retried() {
        let (calls, took) = failing(RetryPolicy::default(), Deadline::none(), Verdict::Stop).await;
        assert_eq!((calls, took), (1, Duration::ZERO));
    }

    #[tokio::test(start_paused = true)]
    async fn a_servers_wish_is_a_floor_with_at_most_a_tenth_more() {
        let wish = Verdict::Throttled { retry_after: Some(Duration::from_secs(7)) };
        let (calls, took) = failing(RetryPolicy::default().max_retries(1), Deadline::none(), wish).await;
        assert_eq!(calls, 2);
        assert!(took >= Duration::from_secs(7) && took <= Duration::from_millis(7702), "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_wish_over_two_minutes_is_handed_up_at_once() {
        let wish = Verdict::Throttled { retry_after: Some(Duration::from_secs(121)) };
        let (calls, took) = failing(RetryPolicy::default(), Deadline::none(), wish).await;
        assert_eq!((calls, took), (1, Duration::ZERO));
    }

    #[tokio::test(start_paused = true)]
    async fn no_pause_passes_the_deadline() {
        let wish = Verdict::Throttled { retry_after: Some(Duration::from_secs(4)) };
        let deadline = Deadline::after(Duration::from_secs(10));
        let (calls, took) = failing(RetryPolicy::default().max_retries(9), deadline, wish).await;
        assert_eq!(calls, 3);
        assert!(took < Duration::from_secs(10), "{took:?}");
    }

    #[test]
    fn one_seed_gives_one_row_of_pauses() {
        let policy = RetryPolicy::default().seed(3);
        let row = |policy| {
            let mut pauses = Pauses::new(policy);
            std::array::from_fn::<_, 3, _>(|_| pauses.after(Verdict::Retry, Deadline::none(), now()))
        };
        assert_eq!(row(&policy), row(&policy));
        assert_ne!(row(&policy), row(&policy.clone().seed(4)));
    }

    proptest! {
        #[test]
        fn pauses_stay_under_their_ceilings(seed: u64, throttled in proptest::collection::vec(any::<bool>(), 1..12)) {
            let policy = RetryPolicy::default().max_retries(32).seed(seed);
            let mut pauses = Pauses::new(&policy);
            let mut ceiling = policy.base;
            for throttled in throttled {
                let verdict = match throttled {
                    true => Verdict::Throttled { retry_after: None },
                    false => Verdict::Retry,
                };
                if throttled { ceiling = ceiling.max(policy.throttled_base); }
                let pause = pauses.after(verdict, Deadline::none(), now()).unwrap();
                prop_assert!(pause <= ceiling, "{:?} over {:?}", pause, ceiling);
                ceiling = (ceiling * 2).min(policy.cap);
            }
        }
    }
}

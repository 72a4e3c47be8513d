use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use pin_project::pin_project;
use tokio::time::{Sleep, sleep};

use crate::attempts::{Attempts, FailedAttempt};
use crate::backoff::{Backoff, Jitter};
use crate::budget::RetryBudget;
use crate::deadline::{Deadline, now};
use crate::pauses::Pauses;

/// A retry policy: the number of retries and the pauses between them, with exponential backoff and full jitter.
///
/// The pause before a retry is random, between zero and a ceiling; the ceiling starts at `base` and grows by `factor` up to
/// `cap`. See [`Pauses::after`] for the exact rule.
///
/// Retry in exactly one layer of a call path. A server that always fails then receives `max_retries` + 1 calls; with two layers,
/// it would receive the square of that. Retry only calls that are idempotent or that carry an idempotency key, unless the
/// error shows that the server did nothing.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct RetryPolicy {
    /// Maximum number of attempts after the first. Default 3.
    pub max_retries: u32,
    /// Ceiling of the first pause; the pause itself is random, between zero and the ceiling. Default 500 ms.
    pub base: Duration,
    /// Minimum of the ceiling after a [`Verdict::Throttled`] without a `retry_after`. Default 1 s.
    pub throttled_base: Duration,
    /// Factor by which the ceiling grows after each pause; a factor below 1 counts as 1. Default 2.
    pub factor: f64,
    /// Maximum to which the ceiling grows. Default 20 s.
    pub cap: Duration,
    /// Longest `retry_after` that is honoured; if the server asks for more, the error is returned at once. Default 120 s.
    pub max_retry_after: Duration,
    /// Randomness of the pauses. Default [`Jitter::Full`].
    pub jitter: Jitter,
    /// Seed of the jitter, for reproducible pauses in tests. Default `None`: a random seed for each operation.
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
            max_retry_after: Duration::from_secs(120),
            jitter: Jitter::Full,
            seed: None,
        }
    }
}

/// A verdict on an error: whether, and when, to make another attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// No retry: another attempt would fail as well, or would bill a second time for work that the server may have done.
    Stop,
    /// A retry: another attempt may succeed.
    Retry,
    /// A retry after a longer pause: the server is overloaded, or a rate limit is reached (429 or 503).
    Throttled {
        /// Wait that the server asked for, if any; the pause is at least as long.
        retry_after: Option<Duration>,
    },
}

/// The attempt in progress, as passed to the operation of [`RetryPolicy::run`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Attempt {
    /// Number of the attempt, from 1.
    pub number: u32,
}

impl RetryPolicy {
    /// Creates a policy that never retries.
    #[must_use]
    pub fn never() -> Self {
        Self::default().max_retries(0)
    }

    /// Sets the maximum number of attempts after the first. Default 3.
    #[must_use]
    pub fn max_retries(mut self, max_retries: u32) -> Self {
        self.max_retries = max_retries;
        self
    }

    /// Sets the ceiling of the first pause: `base` after [`Verdict::Retry`], and at least `throttled` after
    /// [`Verdict::Throttled`]. Default 500 ms and 1 s.
    #[must_use]
    pub fn base(mut self, base: Duration, throttled: Duration) -> Self {
        (self.base, self.throttled_base) = (base, throttled);
        self
    }

    /// Sets the minimum of the ceiling after a [`Verdict::Throttled`] without a `retry_after`. Default 1 s.
    #[must_use]
    pub fn throttled_base(mut self, throttled: Duration) -> Self {
        self.throttled_base = throttled;
        self
    }

    /// Sets the maximum to which the ceiling grows. Default 20 s.
    #[must_use]
    pub fn cap(mut self, cap: Duration) -> Self {
        self.cap = cap;
        self
    }

    /// Sets the factor by which the ceiling grows after each pause; a factor below 1 counts as 1. Default 2.
    #[must_use]
    pub fn factor(mut self, factor: f64) -> Self {
        self.factor = factor;
        self
    }

    /// Sets the longest `retry_after` that is honoured. Default 120 s.
    #[must_use]
    pub fn max_retry_after(mut self, max_retry_after: Duration) -> Self {
        self.max_retry_after = max_retry_after;
        self
    }

    /// Sets the randomness of the pauses. Default [`Jitter::Full`]; with [`Jitter::Off`] each pause is as long as its ceiling,
    /// or as the `retry_after`.
    #[must_use]
    pub fn jitter(mut self, jitter: Jitter) -> Self {
        self.jitter = jitter;
        self
    }

    /// Sets the seed of the jitter, for reproducible pauses in tests. Default: a random seed for each operation.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Calls `op` until it succeeds, `classify` returns [`Verdict::Stop`], or the retries are used up.
    ///
    /// `classify` decides for each error whether another attempt is made. Before the returned future is awaited, more limits
    /// can be set: a [`deadline`](Retry::deadline), a [`budget`](Retry::budget), and a [`log`](Retry::log) of the failed
    /// attempts. If the first attempt succeeds, the retry allocates nothing and reads no clock.
    ///
    /// # Operations that need `&mut`
    /// Both closures may change what they hold (`FnMut`), but the future of `op` must borrow nothing of it: `async |_|
    /// connection.query().await` does not compile for a method that takes `&mut self`. Share the value through a mutex, which is
    /// never contended, or make the attempts in a loop with [`pauses`](RetryPolicy::pauses):
    ///
    /// ```
    /// # use antiphon_resilience::{RetryPolicy, Verdict};
    /// # struct Connection(u32);
    /// # impl Connection {
    /// #     async fn query(&mut self) -> Result<u32, &'static str> {
    /// #         self.0 += 1;
    /// #         if self.0 % 3 == 0 { Ok(self.0) } else { Err("busy") }
    /// #     }
    /// # }
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), &'static str> {
    /// # let (policy, connection) = (RetryPolicy::default(), Connection(0));
    /// let connection = tokio::sync::Mutex::new(connection);
    /// let query = |_| async { connection.lock().await.query().await };
    /// assert_eq!(policy.run(|_| Verdict::Retry, query).await, Ok(3));
    ///
    /// let (mut connection, mut pauses) = (connection.into_inner(), policy.pauses());
    /// let answer = loop {
    ///     match connection.query().await {
    ///         Ok(answer) => break answer,
    ///         Err(err) => tokio::time::sleep(pauses.after(Verdict::Retry).ok_or(err)?).await,
    ///     }
    /// };
    /// assert_eq!(answer, 6);
    /// # Ok(())
    /// # }
    /// ```
    pub fn run<T, E, C, Op, Fut>(&self, classify: C, op: Op) -> Retry<'_, C, Op, Fut, E>
    where
        C: FnMut(&E) -> Verdict,
        Op: FnMut(Attempt) -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        Retry {
            classify,
            op,
            limits: Limits { policy: self, deadline: Deadline::none(), budget: None },
            log: None,
            number: 0,
            pauses: None,
            state: State::Idle,
        }
    }

    /// Returns the pauses of one operation, for a caller that makes the attempts itself.
    #[must_use]
    pub fn pauses(&self) -> Pauses {
        Pauses::new(self.clone())
    }

    /// Returns the random pauses under this policy as an endless iterator, without `max_retries` and `retry_after`.
    ///
    /// For most callers, [`pauses`](RetryPolicy::pauses) is the better choice, since it applies the whole policy.
    #[must_use]
    pub fn backoff(&self) -> Backoff {
        let backoff = Backoff::new(self.base, self.cap).factor(self.factor).jitter(self.jitter);
        match self.seed {
            Some(seed) => backoff.seed(seed),
            None => backoff,
        }
    }
}

/// The future of [`RetryPolicy::run`]: an operation with its retries.
///
/// Resolves to the first success, or to the error of the last attempt.
///
/// # Cancel safety
/// Dropping the future drops the attempt in flight, or ends the pause. A dropped attempt may still be carried out, and billed,
/// by the server.
#[pin_project]
#[must_use = "futures do nothing unless awaited"]
pub struct Retry<'a, C, Op, Fut, E> {
    classify: C,
    op: Op,
    limits: Limits<'a>,
    log: Option<Log<'a, E>>,
    number: u32,
    // Boxed, since most calls never need it.
    pauses: Option<Box<Pauses>>,
    #[pin]
    state: State<Fut>,
}

/// The progress of a retried operation.
#[pin_project(project = StateProjection)]
enum State<Fut> {
    /// The next attempt begins with the next poll.
    Idle,
    /// An attempt is in flight.
    Calling(#[pin] Fut),
    /// The pause before the next attempt.
    Pausing(#[pin] Sleep),
    /// The result was returned.
    Ended,
}

/// The limits on the retries of one operation.
struct Limits<'a> {
    policy: &'a RetryPolicy,
    deadline: Deadline,
    budget: Option<&'a RetryBudget>,
}

/// The log of failed attempts that a caller has set.
struct Log<'a, E> {
    attempts: &'a mut Attempts,
    may_be_billed: fn(&E) -> bool,
}

impl<'a, C, Op, Fut, E> Retry<'a, C, Op, Fut, E> {
    /// Sets a deadline: if the next pause would not end before it, the error is returned at once.
    ///
    /// An attempt in flight is not cancelled at the deadline: `op` decides what to do with a partial answer.
    pub fn deadline(mut self, deadline: Deadline) -> Self {
        self.limits.deadline = deadline;
        self
    }

    /// Sets a retry budget. Each retry takes points from it and each success adds one; if too few points are left, the error is
    /// returned at once.
    pub fn budget(mut self, budget: &'a RetryBudget) -> Self {
        self.limits.budget = Some(budget);
        self
    }

    /// Adds every failed attempt to `attempts`.
    ///
    /// `may_be_billed` returns whether the attempt with this error is possibly billed: the request was sent, but its answer never
    /// arrived.
    pub fn log(mut self, attempts: &'a mut Attempts, may_be_billed: fn(&E) -> bool) -> Self {
        self.log = Some(Log { attempts, may_be_billed });
        self
    }
}

impl<T, E, C, Op, Fut> Future for Retry<'_, C, Op, Fut, E>
where
    C: FnMut(&E) -> Verdict,
    Op: FnMut(Attempt) -> Fut,
    Fut: Future<Output = Result<T, E>>,
{
    type Output = Result<T, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            match this.state.as_mut().project() {
                StateProjection::Idle => {
                    *this.number += 1;
                    let call = (this.op)(Attempt { number: *this.number });
                    this.state.set(State::Calling(call));
                }
                StateProjection::Calling(call) => {
                    let err = match ready!(call.poll(cx)) {
                        Ok(value) => {
                            this.limits.budget.inspect(|budget| budget.deposit());
                            this.state.set(State::Ended);
                            return Poll::Ready(Ok(value));
                        }
                        Err(err) => err,
                    };
                    let (verdict, now) = ((this.classify)(&err), now());
                    let pause = this.limits.pause(this.pauses, verdict, now);
                    if let Some(log) = this.log {
                        let (number, may_be_billed) = (*this.number, (log.may_be_billed)(&err));
                        log.attempts.push(FailedAttempt { number, at: now, verdict, pause, may_be_billed });
                    }
                    let Some(pause) = pause else {
                        this.state.set(State::Ended);
                        return Poll::Ready(Err(err));
                    };
                    this.state.set(State::Pausing(sleep(pause)));
                }
                StateProjection::Pausing(pause) => {
                    ready!(pause.poll(cx));
                    this.state.set(State::Idle);
                }
                // A future must not be polled after it has resolved; if it is, no further call is made.
                StateProjection::Ended => return Poll::Pending,
            }
        }
    }
}

impl<C, Op, Fut, E> fmt::Debug for Retry<'_, C, Op, Fut, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Retry").field("number", &self.number).finish_non_exhaustive()
    }
}

impl Limits<'_> {
    /// Returns the pause after an attempt that failed; `None` if it was the last one.
    fn pause(&self, pauses: &mut Option<Box<Pauses>>, verdict: Verdict, now: Instant) -> Option<Duration> {
        let pauses = pauses.get_or_insert_with(|| Box::new(self.policy.pauses()));
        let pause = pauses.after(verdict)?;
        let in_time = self.deadline.allows(pause, now);
        (in_time && self.budget.is_none_or(|budget| budget.withdraw(verdict))).then_some(pause)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use futures_util::FutureExt;
    use proptest::prelude::*;
    use tokio::time::Instant;

    use super::{Attempt, Deadline, Duration, RetryPolicy, Verdict};
    use crate::{Attempts, RetryBudget};

    /// Runs an operation that always fails; returns the number of calls and the time that they took.
    async fn failing(policy: RetryPolicy, deadline: Deadline, verdict: Verdict) -> (u32, Duration) {
        let (calls, start) = (AtomicU32::new(0), Instant::now());
        let op = |attempt: Attempt| {
            calls.fetch_add(1, Ordering::Relaxed);
            async move { Err(attempt.number) }
        };
        let result: Result<(), u32> = policy.run(|_| verdict, op).deadline(deadline).await;
        let calls = calls.into_inner();
        assert_eq!(result, Err(calls), "the last attempt's error is returned");
        (calls, start.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_always_fails_sees_one_call_and_its_retries() {
        let (calls, took) = failing(RetryPolicy::default(), Deadline::none(), Verdict::Retry).await;
        assert_eq!(calls, 4);
        assert!(took <= Duration::from_millis(500 + 1000 + 2000 + 3), "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn an_error_with_the_verdict_stop_is_not_retried() {
        let (calls, took) = failing(RetryPolicy::default(), Deadline::none(), Verdict::Stop).await;
        assert_eq!((calls, took), (1, Duration::ZERO));
    }

    #[tokio::test(start_paused = true)]
    async fn retry_after_is_a_lower_bound_with_at_most_a_tenth_more() {
        let throttled = Verdict::Throttled { retry_after: Some(Duration::from_secs(7)) };
        let (calls, took) = failing(RetryPolicy::default().max_retries(1), Deadline::none(), throttled).await;
        assert_eq!(calls, 2);
        assert!(took >= Duration::from_secs(7) && took <= Duration::from_millis(7702), "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn with_a_retry_after_over_two_minutes_the_error_is_returned_at_once() {
        let throttled = Verdict::Throttled { retry_after: Some(Duration::from_secs(121)) };
        let (calls, took) = failing(RetryPolicy::default(), Deadline::none(), throttled).await;
        assert_eq!((calls, took), (1, Duration::ZERO));
    }

    #[tokio::test(start_paused = true)]
    async fn no_pause_passes_the_deadline() {
        let throttled = Verdict::Throttled { retry_after: Some(Duration::from_secs(4)) };
        let deadline = Deadline::after(Duration::from_secs(10));
        let (calls, took) = failing(RetryPolicy::default().max_retries(9), deadline, throttled).await;
        assert_eq!(calls, 3);
        assert!(took < Duration::from_secs(10), "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn an_empty_budget_ends_the_retries_and_successes_refill_it() {
        let budget = RetryBudget::new(30);
        let policy = RetryPolicy::default().max_retries(9);
        let calls = AtomicU32::new(0);
        let op = |_| {
            calls.fetch_add(1, Ordering::Relaxed);
            async { Err::<(), _>(()) }
        };
        policy.run(|()| Verdict::Retry, op).budget(&budget).await.unwrap_err();
        assert_eq!((calls.into_inner(), budget.available()), (3, 2), "two retries at 14 each");
        policy.run(|()| Verdict::Retry, |_| async { Ok(()) }).budget(&budget).await.unwrap();
        assert_eq!(budget.available(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn the_log_has_the_time_of_each_failure_and_whether_it_was_possibly_billed() {
        let (start, mut attempts) = (Instant::now(), Attempts::default());
        let throttled = Verdict::Throttled { retry_after: Some(Duration::from_secs(2)) };
        let classify = |err: &&str| if *err == "busy" { throttled } else { Verdict::Retry };
        let op = |attempt: Attempt| async move {
            match attempt.number {
                1 => Err("cut"),
                2 => Err("busy"),
                number => Ok(number),
            }
        };
        let run = RetryPolicy::default().run(classify, op).log(&mut attempts, |err| *err == "cut").await;
        assert_eq!((run, attempts.len(), attempts.may_be_billed()), (Ok(3), 2, 1));
        let [cut, busy] = [0, 1].map(|at| attempts.iter().nth(at).unwrap().clone());
        assert_eq!((cut.number, cut.at, cut.verdict), (1, start.into_std(), Verdict::Retry));
        assert_eq!((busy.number, busy.verdict, busy.may_be_billed), (2, throttled, false));
        assert!(busy.at >= cut.at + cut.pause.unwrap() && busy.pause.unwrap() >= Duration::from_secs(2));
    }

    #[tokio::test(start_paused = true)]
    async fn a_retry_dropped_in_a_pause_or_in_a_call_makes_no_further_call() {
        for polls in 1..4 {
            let calls = AtomicU32::new(0);
            let op = |_| {
                calls.fetch_add(1, Ordering::Relaxed);
                async {
                    tokio::task::yield_now().await;
                    Err::<(), _>(())
                }
            };
            let policy = RetryPolicy::default();
            let mut run = Box::pin(policy.run(|()| Verdict::Retry, op));
            for _ in 0..polls {
                assert!((&mut run).now_or_never().is_none());
            }
            drop(run);
            tokio::time::sleep(Duration::from_secs(60)).await;
            assert_eq!(calls.into_inner(), 1, "after {polls} polls");
        }
    }

    #[test]
    fn equal_seeds_produce_equal_pauses() {
        let policy = RetryPolicy::default().seed(3);
        let row = |policy: &RetryPolicy| policy.backoff().take(3).collect::<Vec<_>>();
        assert_eq!(row(&policy), row(&policy));
        assert_ne!(row(&policy), row(&policy.clone().seed(4)));
    }

    proptest! {
        #[test]
        fn pauses_stay_under_their_ceilings(seed: u64, throttled in proptest::collection::vec(any::<bool>(), 1..12)) {
            let policy = RetryPolicy::default().seed(seed);
            let mut backoff = policy.backoff();
            let mut ceiling = policy.base;
            for throttled in throttled {
                let pause = if throttled { backoff.raised(policy.throttled_base) } else { backoff.next().unwrap() };
                if throttled { ceiling = ceiling.max(policy.throttled_base); }
                prop_assert!(pause <= ceiling, "{:?} over {:?}", pause, ceiling);
                ceiling = (ceiling * 2).min(policy.cap);
            }
        }
    }
}

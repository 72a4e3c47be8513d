use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::token_buckets::{RateLimits, TokenBuckets};
use crate::cost::Cost;
use crate::deadline::now;
use crate::fair_queue::{Decision, FairQueue};

/// A token-bucket rate limiter for requests and tokens, with a minimum spacing and a concurrency limit; see [`RateLimits`].
///
/// Use it if the limits are known. If they are not, a [`LimiterRegistry`](crate::LimiterRegistry) finds them.
///
/// A call is admitted with an estimated cost, since the number of output tokens is known only at its end;
/// [`settle`](RatePermit::settle) then corrects the estimate. The limiter is fair: callers are admitted in the order of arrival,
/// even if a later call would need fewer tokens. Clones are handles to the same limiter.
///
/// ```
/// use antiphon_resilience::{Cost, Rate, RateLimiter, RateLimits};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let limits = RateLimits::default().requests(Rate::per_minute(60)).output_tokens(Rate::per_minute(90_000));
/// let limiter = RateLimiter::new(limits);
/// let permit = limiter.acquire(Cost::request().output_tokens(400)).await;
/// // … the call, which turns out to be cheaper:
/// permit.settle(Cost::request().output_tokens(120));
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct RateLimiter {
    shared: Arc<Shared>,
}

/// The limiter behind all handles.
#[derive(Debug)]
struct Shared {
    /// Maximum number of calls in flight; `usize::MAX` for none.
    max_concurrency: usize,
    state: Mutex<State>,
    queue: FairQueue,
}

/// The state under the lock.
#[derive(Debug)]
struct State {
    buckets: TokenBuckets,
    in_flight: usize,
}

/// A permit of a [`RateLimiter`] to make one call. Hold it until the call has ended.
///
/// Dropping it frees the slot that the call takes of `max_concurrency`. The estimated cost stays spent, unless
/// [`settle`](Self::settle) replaces it by the actual cost.
#[derive(Debug)]
#[must_use = "a permit that is dropped at once limits no concurrency"]
pub struct RatePermit {
    shared: Arc<Shared>,
    cost: Cost,
}

impl RateLimiter {
    /// Creates a limiter with full buckets.
    #[must_use]
    pub fn new(limits: RateLimits) -> Self {
        let state = State { buckets: TokenBuckets::new(limits, now()), in_flight: 0 };
        let max_concurrency = limits.max_concurrency.map_or(usize::MAX, |calls| calls.max(1));
        Self {
            shared: Arc::new(Shared {
                max_concurrency,
                state: Mutex::new(state),
                queue: FairQueue::default(),
            }),
        }
    }

    /// Creates a limiter without token buckets: at most `max_concurrency` calls in flight (0 counts as 1), started at least
    /// `min_delay` apart.
    #[must_use]
    pub fn simple(max_concurrency: usize, min_delay: Duration) -> Self {
        Self::new(RateLimits::default().max_concurrency(max_concurrency).min_spacing(min_delay))
    }

    /// Waits until a call of `cost` is admitted.
    ///
    /// # Cancel safety
    /// Dropping the future takes nothing from the buckets and gives its place in the queue to the next waiter. A future that is
    /// neither dropped nor polled blocks the waiters behind it, as in any fair queue.
    pub async fn acquire(&self, cost: Cost) -> RatePermit {
        if let Some(permit) = self.try_acquire(cost) {
            return permit;
        }
        self.shared.queue.wait(0, || self.decide(cost)).await
    }

    /// Returns a permit if the limits allow a call of `cost` now and no other caller is waiting.
    ///
    /// Never waits: use it for admission control, where a call is rejected rather than delayed.
    #[must_use]
    pub fn try_acquire(&self, cost: Cost) -> Option<RatePermit> {
        self.shared.queue.try_now(0, || self.decide(cost))
    }

    /// Decides on the first caller in the queue. At the concurrency limit it waits for the end of a call, which
    /// notifies the queue; for a bucket or the spacing it waits for the computed time.
    fn decide(&self, cost: Cost) -> Decision<RatePermit> {
        let now = now();
        let mut state = self.shared.lock();
        if state.in_flight >= self.shared.max_concurrency {
            return Decision::Wait(None);
        }
        match state.buckets.take(cost, now) {
            Ok(()) => {
                state.in_flight += 1;
                Decision::Admit(RatePermit { shared: self.shared.clone(), cost })
            }
            // A time that overflows the clock never comes.
            Err(wait) => Decision::Wait(now.checked_add(wait)),
        }
    }
}

impl RatePermit {
    /// Ends the call and replaces its estimated cost by its `actual` cost.
    ///
    /// The difference in tokens is returned to the buckets or taken from them. The request itself stays counted.
    pub fn settle(self, actual: Cost) {
        self.shared.lock().buckets.settle(self.cost, actual);
    }
}

impl Drop for RatePermit {
    fn drop(&mut self) {
        self.shared.lock().in_flight -= 1;
        self.shared.queue.notify();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::{FutureExt, future::join_all};
    use tokio::time::{Instant, sleep};

    use super::{Cost, RateLimiter, RateLimits};
    use crate::Rate;

    #[tokio::test(start_paused = true)]
    async fn calls_keep_their_spacing_and_the_concurrency_limit() {
        let (limiter, start) = (RateLimiter::simple(2, Duration::from_millis(100)), Instant::now());
        let call = async || {
            let _permit = limiter.acquire(Cost::request()).await;
            let started = start.elapsed();
            sleep(Duration::from_millis(500)).await;
            started.as_millis()
        };
        let started = join_all((0..5).map(|_| call())).await;
        assert_eq!(started, [0, 100, 500, 600, 1_000]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_large_call_is_not_overtaken_by_small_ones() {
        let limits = RateLimits::default().tokens(Rate::per_second(100).burst(100));
        let (limiter, start) = (RateLimiter::new(limits), Instant::now());
        let call = async |tokens| {
            limiter
                .acquire(Cost::request().input_tokens(tokens))
                .await
                .settle(Cost::request().input_tokens(tokens));
            start.elapsed().as_millis()
        };
        let started = join_all([call(100), call(100), call(1), call(1)]).await;
        assert!(
            started[0] == 0 && (1_000..=1_002).contains(&started[1]) && started[2] > started[1],
            "{started:?}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_waiter_that_is_dropped_at_any_point_takes_nothing() {
        for before_the_place_is_free in [false, true] {
            let limits = RateLimits::default().max_concurrency(1).requests(Rate::per_second(1).burst(2));
            let limiter = RateLimiter::new(limits);
            let held = limiter.acquire(Cost::request()).await;
            let mut waiter = Box::pin(limiter.acquire(Cost::request()));
            let mut next = Box::pin(limiter.acquire(Cost::request()));
            assert!((&mut waiter).now_or_never().is_none() && (&mut next).now_or_never().is_none());
            if before_the_place_is_free {
                drop(waiter);
                drop(held);
            } else {
                drop(held);
                drop(waiter);
            }
            let permit = next.now_or_never().expect("the slot and the second token are free");
            drop(permit);
            assert!(limiter.try_acquire(Cost::request()).is_none(), "both tokens are spent");
            sleep(Duration::from_secs(1)).await;
            assert!(limiter.try_acquire(Cost::request()).is_some());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn settling_does_not_return_the_request() {
        let limits = RateLimits::default().requests(Rate::per_second(1).burst(1));
        let limiter = RateLimiter::new(limits);
        limiter.acquire(Cost::request()).await.settle(Cost::default().output_tokens(9));
        assert!(limiter.try_acquire(Cost::request()).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn try_acquire_does_not_jump_the_queue() {
        let limiter = RateLimiter::simple(1, Duration::ZERO);
        let held = limiter.acquire(Cost::request()).await;
        let mut waiter = Box::pin(limiter.acquire(Cost::request()));
        assert!((&mut waiter).now_or_never().is_none());
        drop(held);
        assert!(limiter.try_acquire(Cost::request()).is_none(), "the slot belongs to the waiter");
        assert!(waiter.now_or_never().is_some());
    }
}

use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

/// The pauses between attempts: exponential growth to a cap, with full jitter.
///
/// Pause *n*, counted from 0, is a random duration between zero and the ceiling `min(cap, base × factor^n)`, uniformly
/// distributed. Full jitter spreads the retries of many callers and needs fewer calls in total than other kinds of jitter
/// (Marc Brooker, "Exponential Backoff And Jitter", AWS, 2015).
///
/// The iterator never ends. To limit the number of retries as well, use [`RetryPolicy`](crate::RetryPolicy).
///
/// ```
/// use std::time::Duration;
/// let pauses = antiphon_resilience::Backoff::new(Duration::from_millis(500), Duration::from_secs(20)).seed(7);
/// assert!(pauses.take(3).all(|pause| pause <= Duration::from_secs(2)));
/// ```
#[derive(Debug)]
pub struct Backoff {
    ceiling: Duration,
    cap: Duration,
    factor: f64,
    jitter: SmallRng,
}

impl Backoff {
    /// Creates pauses with a random seed.
    ///
    /// The ceiling of the first pause is `base`; it doubles with each pause until it reaches `cap`.
    #[must_use]
    pub fn new(base: Duration, cap: Duration) -> Self {
        Self { ceiling: base.min(cap), cap, factor: 2.0, jitter: SmallRng::seed_from_u64(rand::random()) }
    }

    /// Sets the seed of the jitter, which makes the pauses repeatable.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.jitter = SmallRng::seed_from_u64(seed);
        self
    }

    /// Sets the factor by which the ceiling grows after each pause. Default 2; a factor below 1 counts as 1.
    #[must_use]
    pub fn factor(mut self, factor: f64) -> Self {
        self.factor = factor.max(1.0);
        self
    }

    /// Returns a random pause between `wait` and 110 % of it, so that callers with the same `wait` do not retry all at once.
    pub(crate) fn at_least(&mut self, wait: Duration) -> Duration {
        let more = wait.as_secs_f64() * self.jitter.random_range(0.0..=0.1);
        wait.saturating_add(Duration::try_from_secs_f64(more).unwrap_or_default())
    }

    /// Returns the next pause, with its ceiling raised to at least `base` (but not above `cap`).
    pub(crate) fn raised(&mut self, base: Duration) -> Duration {
        self.ceiling = self.ceiling.max(base).min(self.cap);
        self.pause()
    }

    pub(crate) fn pause(&mut self) -> Duration {
        let pause = self.ceiling.mul_f64(self.jitter.random_range(0.0..=1.0));
        let grown = self.ceiling.as_secs_f64() * self.factor;
        self.ceiling = Duration::try_from_secs_f64(grown).map_or(self.cap, |grown| grown.min(self.cap));
        pause
    }
}

impl Iterator for Backoff {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        Some(self.pause())
    }
}

use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

/// The pauses between attempts: exponential growth to a cap, with full jitter.
///
/// Pause *n*, counted from 0, is a random duration between zero and the ceiling `min(cap, base × factor^n)`, uniformly
/// distributed. Full jitter spreads the retries of many callers and needs fewer calls in total than other kinds of jitter
/// (Marc Brooker, "Exponential Backoff And Jitter", AWS, 2015). The jitter can be [seeded](Self::seed) or turned
/// [off](Self::jitter).
///
/// The iterator never ends. To limit the number of retries as well, use [`RetryPolicy`](crate::RetryPolicy). In a loop of the
/// caller, such as one that reconnects, [`reset`](Self::reset) it after a success:
///
/// ```
/// use std::time::Duration;
/// use antiphon_resilience::Backoff;
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() {
/// # let mut answers = [Err("down"), Err("down"), Ok("a message"), Err("gone"), Ok("another")].into_iter();
/// # let mut receive = async || answers.next();
/// let (mut backoff, mut received) = (Backoff::new(Duration::from_millis(500), Duration::from_secs(20)), vec![]);
/// while let Some(answer) = receive().await {
///     match answer {
///         Ok(message) => {
///             received.push(message);
///             backoff.reset();
///         }
///         Err(_) => tokio::time::sleep(backoff.pause()).await,
///     }
/// }
/// assert_eq!(received, ["a message", "another"]);
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Backoff {
    base: Duration,
    ceiling: Duration,
    cap: Duration,
    factor: f64,
    jitter: Jitter,
    random: SmallRng,
}

/// The randomness of the pauses of a [`Backoff`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Jitter {
    /// Pauses between zero and their ceiling, so that callers that failed together do not retry together. The default.
    #[default]
    Full,
    /// Pauses equal to their ceiling: for a single caller, or where exact times matter more than the load of the server.
    Off,
}

impl Backoff {
    /// Creates pauses with full jitter and a random seed.
    ///
    /// The ceiling of the first pause is `base`; it doubles with each pause until it reaches `cap`.
    #[must_use]
    pub fn new(base: Duration, cap: Duration) -> Self {
        let (ceiling, random) = (base.min(cap), SmallRng::seed_from_u64(rand::random()));
        Self { base, ceiling, cap, factor: 2.0, jitter: Jitter::default(), random }
    }

    /// Sets the seed of the jitter, which makes the pauses repeatable. Default: a random seed.
    ///
    /// ```
    /// use std::time::Duration;
    /// let pauses = antiphon_resilience::Backoff::new(Duration::from_millis(500), Duration::from_secs(20)).seed(7);
    /// assert!(pauses.clone().take(3).eq(pauses.take(3)));
    /// ```
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.random = SmallRng::seed_from_u64(seed);
        self
    }

    /// Sets the randomness of the pauses. Default [`Jitter::Full`].
    ///
    /// ```
    /// use std::time::Duration;
    /// use antiphon_resilience::{Backoff, Jitter};
    /// let pauses = Backoff::new(Duration::from_secs(1), Duration::from_secs(5)).jitter(Jitter::Off);
    /// assert_eq!(pauses.take(4).map(|pause| pause.as_secs()).collect::<Vec<_>>(), [1, 2, 4, 5]);
    /// ```
    #[must_use]
    pub fn jitter(mut self, jitter: Jitter) -> Self {
        self.jitter = jitter;
        self
    }

    /// Sets the factor by which the ceiling grows after each pause. Default 2; a factor below 1 counts as 1.
    #[must_use]
    pub fn factor(mut self, factor: f64) -> Self {
        self.factor = factor.max(1.0);
        self
    }

    /// Returns the next pause, and raises the ceiling. The same as `next`, without the `Option`.
    pub fn pause(&mut self) -> Duration {
        let pause = match self.jitter {
            Jitter::Full => part_of(self.ceiling, self.random.random_range(0.0..=1.0)),
            Jitter::Off => self.ceiling,
        };
        let grown = self.ceiling.as_secs_f64() * self.factor;
        self.ceiling = Duration::try_from_secs_f64(grown).map_or(self.cap, |grown| grown.min(self.cap));
        pause
    }

    /// Lowers the ceiling to `base` again, after a success. The jitter continues and does not repeat itself.
    pub fn reset(&mut self) {
        self.ceiling = self.base.min(self.cap);
    }

    /// Returns a random pause between `wait` and 110 % of it, so that callers with the same `wait` do not retry all at once;
    /// without jitter, `wait` itself.
    pub(crate) fn at_least(&mut self, wait: Duration) -> Duration {
        let more = match self.jitter {
            Jitter::Full => wait.as_secs_f64() * self.random.random_range(0.0..=0.1),
            Jitter::Off => 0.0,
        };
        wait.saturating_add(Duration::try_from_secs_f64(more).unwrap_or_default())
    }

    /// Returns the next pause, with its ceiling raised to at least `base` (but not above `cap`).
    pub(crate) fn raised(&mut self, base: Duration) -> Duration {
        self.ceiling = self.ceiling.max(base).min(self.cap);
        self.pause()
    }
}

impl Iterator for Backoff {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        Some(self.pause())
    }
}

/// Returns a part of a time. Rounding may make all of the longest times a little longer than the longest of all.
fn part_of(time: Duration, part: f64) -> Duration {
    Duration::try_from_secs_f64(time.as_secs_f64() * part).unwrap_or(time)
}

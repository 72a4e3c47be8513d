//! The latency models: distributions of the time from a request to the first byte of its answer.
//!
//! A latency is drawn once for each admitted request, from the scenario's seeded generator. Requests that a rate limit
//! refuses or that can never succeed are answered without one, as real front ends do before a model sees the prompt.

use std::time::Duration;

use rand::{Rng, RngExt};

/// A distribution of latencies.
///
/// The latency is the time to the first byte: it passes before the status line, also before that of a simulated fault.
/// The pace of a streamed answer after that is [`Scenario::tokens_per_second`](crate::Scenario::tokens_per_second).
///
/// | model | use it for |
/// |---|---|
/// | [`Fixed`](Self::Fixed) | exact assertions on time |
/// | [`Uniform`](Self::Uniform) | answers that overtake each other |
/// | [`LogNormal`](Self::LogNormal) | tail latencies, hedging and timeouts |
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use antiphon_sim::{Latency, Scenario};
///
/// let latency = Latency::LogNormal { median: Duration::from_millis(800), sigma: 0.5 };
/// let scenario = Scenario::default().latency(latency).seed(7);
/// assert_eq!(scenario.latency, latency);
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Latency {
    /// Constant: all answers have the same latency. No random number is drawn.
    Fixed(Duration),
    /// Uniform between a minimum and a maximum, both included. A maximum below the minimum counts as the minimum.
    Uniform(Duration, Duration),
    /// Log-normal, with a long tail, as real models have it. Half of the answers are faster than `median`.
    ///
    /// A latency is `median · e^(sigma · n)` with a standard normal `n`. Its mean is `median · e^(sigma² / 2)`, and one
    /// answer in 40 takes `e^(1.96 · sigma)` times the median or more:
    ///
    /// | `sigma` | mean / median | 1 in 40 / median |
    /// |---|---|---|
    /// | 0.25 | 1.03 | 1.6 |
    /// | 0.5 | 1.13 | 2.7 |
    /// | 1.0 | 1.65 | 7.1 |
    LogNormal {
        /// The median.
        median: Duration,
        /// The standard deviation of the logarithm: with 0.5, one answer in 40 takes 2.7 times the median or more.
        sigma: f64,
    },
}

impl Latency {
    /// Draws a latency. A log-normal one that no `Duration` can hold is replaced by the median.
    pub(crate) fn draw(self, rng: &mut impl Rng) -> Duration {
        match self {
            Self::Fixed(latency) => latency,
            Self::Uniform(least, most) => {
                least + most.saturating_sub(least).mul_f64(rng.random_range(0.0..=1.0))
            }
            Self::LogNormal { median, sigma } => {
                let factor = (sigma * standard_normal(rng)).exp();
                Duration::try_from_secs_f64(median.as_secs_f64() * factor).unwrap_or(median)
            }
        }
    }
}

/// Draws from the standard normal distribution, by the Box–Muller transform of two uniform numbers.
///
/// The first number is above 0, since its logarithm has to be finite.
fn standard_normal(rng: &mut impl Rng) -> f64 {
    let (u, v): (f64, f64) = (rng.random_range(f64::MIN_POSITIVE..1.0), rng.random_range(0.0..1.0));
    (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rand::SeedableRng;
    use rand::rngs::SmallRng;

    use super::Latency;

    #[test]
    fn latencies_follow_their_distribution() {
        let mut rng = SmallRng::seed_from_u64(1);
        let millis = Duration::from_millis;
        let mut sorted = |latency: Latency| {
            let mut drawn: Vec<Duration> = (0..1_001).map(|_| latency.draw(&mut rng)).collect();
            drawn.sort();
            [drawn[0], drawn[500], drawn[975], drawn[1_000]]
        };
        assert_eq!(sorted(Latency::Fixed(millis(7))), [millis(7); 4]);
        let [least, middle, _, most] = sorted(Latency::Uniform(millis(10), millis(20)));
        assert!(least >= millis(10) && most <= millis(20) && (millis(14)..millis(16)).contains(&middle));
        let [_, middle, high, _] = sorted(Latency::LogNormal { median: millis(100), sigma: 0.5 });
        assert!((millis(90)..millis(110)).contains(&middle), "{middle:?}");
        assert!((millis(230)..millis(320)).contains(&high), "1 in 40 takes 2.7 times the median: {high:?}");
    }
}

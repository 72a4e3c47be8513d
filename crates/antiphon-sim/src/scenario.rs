use std::time::Duration;

use rand::{Rng, RngExt};

/// How a [`Server`](crate::Server) behaves.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Scenario {
    /// The time to the first byte of an answer. Default none.
    pub latency: Latency,
    /// How fast the words of a streamed answer come; `None` is all at once. Default `None`.
    pub tokens_per_second: Option<f64>,
    /// The time between two words of an answer that trickles. Default 50 s.
    pub trickle_every: Duration,
    /// The words of an answer, if the request allows so many. Default 16.
    pub answer_tokens: u32,
    /// A limit of requests. Default none.
    pub requests: Option<Limit>,
    /// A limit of tokens: a quarter of the request's bytes, and the most that it lets the answer have. Default none.
    pub tokens: Option<Limit>,
    /// What it tells of its limits. Default [`LimitSignal::Headers`].
    pub limit_signal: LimitSignal,
    /// What goes wrong, and how often. Default nothing.
    pub faults: Faults,
    /// The key that requests must bring, in the way of their vendor. Default none is asked for.
    pub key: Option<String>,
    /// The models that there are; any other is an error. Default: whatever is asked for.
    pub models: Vec<String>,
    /// Requests at once on one HTTP/2 connection. Default 100, as hosted front ends have it.
    pub max_streams: u32,
    /// The seed of everything that is left to chance. Default 0.
    pub seed: u64,
}

/// A time that is always the same, or not.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Latency {
    /// Always the same.
    Fixed(Duration),
    /// Evenly spread from one to the other.
    Uniform(Duration, Duration),
    /// Log-normal, as the answers of real models are: half of them faster than `median`, and a long tail.
    LogNormal {
        /// Half of the answers take less.
        median: Duration,
        /// The spread: 0.5 makes one answer in 40 take 2.7 times the median.
        sigma: f64,
    },
}

/// A token bucket.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Limit {
    /// What comes back each second.
    pub per_second: f64,
    /// The most at once.
    pub burst: u32,
}

/// What a server tells of its limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum LimitSignal {
    /// `x-ratelimit-*` with each answer, and the wait with a refusal.
    Headers,
    /// `Retry-After` with a refusal, to the millisecond.
    RetryAfter,
    /// `Retry-After` with a refusal, in whole seconds.
    RetryAfterSeconds,
    /// Nothing but the status.
    None,
}

/// The part of requests, from 0 to 1, that something happens to; one thing at most to each.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[non_exhaustive]
pub struct Faults {
    /// 500 instead of an answer.
    pub error: f64,
    /// The connection, or the HTTP/2 stream, is broken off before an answer.
    pub reset: f64,
    /// The answer stops in the middle and never goes on.
    pub stall: f64,
    /// The answer stops in the middle, and events without any output follow for ever.
    pub empty: f64,
    /// The answer slows down in the middle, to a word every [`Scenario::trickle_every`].
    pub trickle: f64,
    /// The answer ends in the middle as if it were whole.
    pub half: f64,
    /// The answer is no JSON.
    pub garbage: f64,
    /// An error comes in the middle of a streamed answer.
    pub breaks: f64,
    /// The server has too much to do: 503, or 529 where the vendor has that.
    pub overloaded: f64,
    /// The account has no money left.
    pub money: f64,
    /// The answer is a web page with status 200.
    pub wrong_type: f64,
    /// The answer comes a few bytes at a time.
    pub slow: f64,
    /// The model declines to answer.
    pub refusal: f64,
    /// A filter stops the answer in the middle.
    pub filter: f64,
}

/// What happens to one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Answer,
    Error,
    Reset,
    Stall,
    Empty,
    Trickle,
    Half,
    Garbage,
    Breaks,
    Overloaded,
    Money,
    WrongType,
    Slow,
    Refusal,
    Filter,
}

impl Fate {
    /// Whether it strikes when half of the words are out.
    pub(crate) fn is_mid_stream(self) -> bool {
        matches!(self, Self::Half | Self::Stall | Self::Empty | Self::Trickle | Self::Garbage | Self::Breaks)
    }
}

impl Default for Scenario {
    fn default() -> Self {
        Self {
            latency: Latency::Fixed(Duration::ZERO),
            tokens_per_second: None,
            trickle_every: Duration::from_secs(50),
            answer_tokens: 16,
            requests: None,
            tokens: None,
            limit_signal: LimitSignal::Headers,
            faults: Faults::default(),
            key: None,
            models: Vec::new(),
            max_streams: 100,
            seed: 0,
        }
    }
}

impl Scenario {
    /// Sets the time to the first byte of an answer.
    #[must_use]
    pub fn latency(mut self, latency: Latency) -> Self {
        self.latency = latency;
        self
    }

    /// Sets how fast the words of a streamed answer come.
    #[must_use]
    pub fn tokens_per_second(mut self, rate: f64) -> Self {
        self.tokens_per_second = Some(rate);
        self
    }

    /// Sets the time between two words of an answer that trickles.
    #[must_use]
    pub fn trickle_every(mut self, gap: Duration) -> Self {
        self.trickle_every = gap;
        self
    }

    /// Sets the words of an answer.
    #[must_use]
    pub fn answer_tokens(mut self, tokens: u32) -> Self {
        self.answer_tokens = tokens;
        self
    }

    /// Sets a limit of requests.
    #[must_use]
    pub fn requests(mut self, limit: Limit) -> Self {
        self.requests = Some(limit);
        self
    }

    /// Sets a limit of tokens.
    #[must_use]
    pub fn tokens(mut self, limit: Limit) -> Self {
        self.tokens = Some(limit);
        self
    }

    /// Sets what it tells of its limits.
    #[must_use]
    pub fn limit_signal(mut self, limit_signal: LimitSignal) -> Self {
        self.limit_signal = limit_signal;
        self
    }

    /// Sets what goes wrong.
    #[must_use]
    pub fn faults(mut self, faults: Faults) -> Self {
        self.faults = faults;
        self
    }

    /// Sets the key that requests must bring.
    #[must_use]
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// Sets the models that there are.
    #[must_use]
    pub fn models(mut self, models: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.models = models.into_iter().map(Into::into).collect();
        self
    }

    /// Sets the requests at once on one HTTP/2 connection.
    #[must_use]
    pub fn max_streams(mut self, streams: u32) -> Self {
        self.max_streams = streams;
        self
    }

    /// Sets the seed of everything that is left to chance.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }
}

impl Latency {
    pub(crate) fn draw(self, rng: &mut impl Rng) -> Duration {
        match self {
            Self::Fixed(latency) => latency,
            Self::Uniform(least, most) => {
                least + most.saturating_sub(least).mul_f64(rng.random_range(0.0..=1.0))
            }
            Self::LogNormal { median, sigma } => {
                // Box and Muller's way to a normal number.
                let (u, v): (f64, f64) =
                    (rng.random_range(f64::MIN_POSITIVE..1.0), rng.random_range(0.0..1.0));
                let normal = (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos();
                Duration::try_from_secs_f64(median.as_secs_f64() * (sigma * normal).exp()).unwrap_or(median)
            }
        }
    }
}

impl Limit {
    /// So many each second, and so many at once; 0 counts as 1.
    #[must_use]
    pub const fn per_second(rate: f64, burst: u32) -> Self {
        Self { per_second: rate, burst: if burst == 0 { 1 } else { burst } }
    }
}

impl Faults {
    /// Sets the part of answers that are 500s.
    #[must_use]
    pub fn error(mut self, part: f64) -> Self {
        self.error = part;
        self
    }

    /// Sets the part of requests that are broken off before an answer.
    #[must_use]
    pub fn reset(mut self, part: f64) -> Self {
        self.reset = part;
        self
    }

    /// Sets the part of answers that stop in the middle and never go on.
    #[must_use]
    pub fn stall(mut self, part: f64) -> Self {
        self.stall = part;
        self
    }

    /// Sets the part of answers of which only empty events come after the middle.
    #[must_use]
    pub fn empty(mut self, part: f64) -> Self {
        self.empty = part;
        self
    }

    /// Sets the part of answers that slow down in the middle.
    #[must_use]
    pub fn trickle(mut self, part: f64) -> Self {
        self.trickle = part;
        self
    }

    /// Sets the part of answers that end in the middle.
    #[must_use]
    pub fn half(mut self, part: f64) -> Self {
        self.half = part;
        self
    }

    /// Sets the part of answers that are no JSON.
    #[must_use]
    pub fn garbage(mut self, part: f64) -> Self {
        self.garbage = part;
        self
    }

    /// Sets the part of streamed answers that an error breaks into.
    #[must_use]
    pub fn breaks(mut self, part: f64) -> Self {
        self.breaks = part;
        self
    }

    /// Sets the part of requests that the server is too busy for.
    #[must_use]
    pub fn overloaded(mut self, part: f64) -> Self {
        self.overloaded = part;
        self
    }

    /// Sets the part of requests that there is no money for.
    #[must_use]
    pub fn money(mut self, part: f64) -> Self {
        self.money = part;
        self
    }

    /// Sets the part of answers that are a web page.
    #[must_use]
    pub fn wrong_type(mut self, part: f64) -> Self {
        self.wrong_type = part;
        self
    }

    /// Sets the part of answers that come a few bytes at a time.
    #[must_use]
    pub fn slow(mut self, part: f64) -> Self {
        self.slow = part;
        self
    }

    /// Sets the part of answers that the model declines to give.
    #[must_use]
    pub fn refusal(mut self, part: f64) -> Self {
        self.refusal = part;
        self
    }

    /// Sets the part of answers that a filter stops.
    #[must_use]
    pub fn filter(mut self, part: f64) -> Self {
        self.filter = part;
        self
    }

    /// All parts together: more than 1 cannot be.
    #[must_use]
    pub fn sum(&self) -> f64 {
        self.all().iter().map(|(part, _)| part).sum()
    }

    fn all(&self) -> [(f64, Fate); 14] {
        [
            (self.error, Fate::Error),
            (self.reset, Fate::Reset),
            (self.stall, Fate::Stall),
            (self.empty, Fate::Empty),
            (self.trickle, Fate::Trickle),
            (self.half, Fate::Half),
            (self.garbage, Fate::Garbage),
            (self.breaks, Fate::Breaks),
            (self.overloaded, Fate::Overloaded),
            (self.money, Fate::Money),
            (self.wrong_type, Fate::WrongType),
            (self.slow, Fate::Slow),
            (self.refusal, Fate::Refusal),
            (self.filter, Fate::Filter),
        ]
    }

    pub(crate) fn draw(&self, rng: &mut impl Rng) -> Fate {
        let mut left: f64 = rng.random_range(0.0..1.0);
        for (part, fate) in self.all() {
            if left < part {
                return fate;
            }
            left -= part;
        }
        Fate::Answer
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rand::SeedableRng;
    use rand::rngs::SmallRng;

    use super::{Fate, Faults, Latency, Limit, Scenario};

    #[test]
    fn latencies_are_drawn_as_they_say() {
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
        assert!((millis(230)..millis(320)).contains(&high), "one in forty takes 2.7 times as long: {high:?}");
    }

    #[test]
    fn fates_come_as_often_as_they_should_and_one_seed_gives_one_row() {
        let faults = Faults::default().error(0.1).reset(0.1).stall(0.1).half(0.1).garbage(0.1);
        let row = |seed| {
            let mut rng = SmallRng::seed_from_u64(seed);
            (0..10_000).map(|_| faults.draw(&mut rng)).collect::<Vec<_>>()
        };
        let drawn = row(1);
        for fate in [Fate::Error, Fate::Reset, Fate::Stall, Fate::Half, Fate::Garbage] {
            let count = drawn.iter().filter(|drawn| **drawn == fate).count();
            assert!((850..1_150).contains(&count), "{fate:?}: {count}");
        }
        assert_eq!(drawn, row(1));
        assert_ne!(drawn, row(2));
    }

    #[test]
    fn what_is_set_holds() {
        let scenario = Scenario::default()
            .latency(Latency::Fixed(Duration::from_millis(1)))
            .tokens_per_second(50.0)
            .tokens(Limit::per_second(9.0, 0))
            .max_streams(7)
            .seed(3);
        assert_eq!((scenario.tokens_per_second, scenario.max_streams, scenario.seed), (Some(50.0), 7, 3));
        assert_eq!(scenario.tokens, Some(Limit::per_second(9.0, 1)), "a bucket holds one at least");
    }
}

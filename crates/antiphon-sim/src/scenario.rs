use std::time::Duration;

use rand::{Rng, RngExt};

/// The behaviour of a [`Server`](crate::Server): latency, rate limits, faults and answers. The default has no latency, limits
/// or faults. [`Scenario::parse`] reads one from TOML.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Scenario {
    /// The time from a request to the first byte of its answer. Default 0.
    pub latency: Latency,
    /// The speed of a streamed answer, in words per second; one word counts as one token. Default `None`: all words at once.
    pub tokens_per_second: Option<f64>,
    /// The time between two words of an answer with the fault [`Faults::trickle`]. Default 50 s.
    pub trickle_every: Duration,
    /// The number of words in an answer without a schema, capped by the request's limit on tokens. Default 16.
    pub answer_tokens: u32,
    /// The rate limit of requests. Default `None`.
    pub requests: Option<Limit>,
    /// The rate limit of tokens. The cost of a request is a quarter of its bytes, plus its maximum number of answer tokens, or
    /// [`answer_tokens`](Scenario::answer_tokens) if it has none. Default `None`: no limit.
    pub tokens: Option<Limit>,
    /// The signal by which rate limits are reported. Default [`LimitSignal::Headers`].
    pub limit_signal: LimitSignal,
    /// The faults and their rates. Default none.
    pub faults: Faults,
    /// The API key that requests must have, in the header of their vendor. A request with another key gets the vendor's
    /// authentication error. Default `None`: no key is checked.
    pub key: Option<String>,
    /// The models that exist; any other is an error. Default empty: every model exists.
    pub models: Vec<String>,
    /// The maximum number of concurrent streams on one HTTP/2 connection. Default 100, the limit of most hosted front ends.
    pub max_streams: u32,
    /// The seed of all random choices: latencies, faults and values. Default 0.
    pub seed: u64,
}

/// A distribution of latencies.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Latency {
    /// Constant: all answers have the same latency.
    Fixed(Duration),
    /// Uniform between a minimum and a maximum.
    Uniform(Duration, Duration),
    /// Log-normal, with a long tail, as real models have it. Half of the answers are faster than `median`.
    LogNormal {
        /// The median.
        median: Duration,
        /// The standard deviation of the logarithm: with 0.5, one answer in 40 takes 2.7 times the median or more.
        sigma: f64,
    },
}

/// A rate limit, enforced by a token bucket that is full at the start.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Limit {
    /// The refill rate, in requests or tokens per second.
    pub per_second: f64,
    /// The capacity of the token bucket: the most that is admitted at once. A request that costs more can never succeed.
    pub burst: u32,
}

/// The signal by which a server reports its rate limits to clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum LimitSignal {
    /// `x-ratelimit-*` (or the vendor's own headers) with each answer, and `Retry-After` with a 429.
    Headers,
    /// `Retry-After` with a 429, to the millisecond.
    RetryAfter,
    /// `Retry-After` with a 429, in whole seconds.
    RetryAfterSeconds,
    /// Nothing but the status 429.
    None,
}

/// The fault injection: for each fault, the fraction of requests that it affects, from 0 to 1. Default: no faults.
///
/// A request has at most one fault, so the fractions must not add up to more than 1.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[non_exhaustive]
pub struct Faults {
    /// The server responds with status 500.
    pub error: f64,
    /// The connection, or the HTTP/2 stream, is reset before an answer.
    pub reset: f64,
    /// The answer stalls in the middle: no more bytes are sent, and the connection stays open.
    pub stall: f64,
    /// The answer stops in the middle; after that, only keep-alive events without output are sent, without end.
    pub empty: f64,
    /// The answer slows down in the middle, to a word every [`Scenario::trickle_every`].
    pub trickle: f64,
    /// The answer is truncated in the middle, and the connection ends as if the answer were complete.
    pub half: f64,
    /// The answer is broken in the middle, so that it is not valid JSON.
    pub garbage: f64,
    /// A streamed answer ends with an error event in the middle; an answer that is not streamed has status 500.
    pub breaks: f64,
    /// The server is overloaded: status 503, or 529 for Anthropic, with a wait (`Retry-After`) of 1 s if waits are reported.
    pub overloaded: f64,
    /// The account has no credit left. The status is the vendor's: 429 with `insufficient_quota` for OpenAI, 400 for Anthropic.
    pub money: f64,
    /// The answer is a web page with status 200.
    pub wrong_type: f64,
    /// The answer is sent in pieces of 31 bytes, which cut characters, words and events.
    pub slow: f64,
    /// The model refuses to answer (model refusal): a complete answer that reports the refusal.
    pub refusal: f64,
    /// A content filter stops the answer in the middle. Formats that cannot report a content filter answer as usual.
    pub filter: f64,
}

/// The fate of one request: an answer or a fault.
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
    /// Returns whether the fault occurs when half of the words are sent.
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
    /// Sets the time from a request to the first byte of its answer. Default 0.
    #[must_use]
    pub fn latency(mut self, latency: Latency) -> Self {
        self.latency = latency;
        self
    }

    /// Sets the speed of a streamed answer, in words per second. Default: all words at once.
    #[must_use]
    pub fn tokens_per_second(mut self, rate: f64) -> Self {
        self.tokens_per_second = Some(rate);
        self
    }

    /// Sets the time between two words of an answer with the fault `trickle`. Default 50 s.
    #[must_use]
    pub fn trickle_every(mut self, gap: Duration) -> Self {
        self.trickle_every = gap;
        self
    }

    /// Sets the number of words in an answer without a schema. Default 16.
    #[must_use]
    pub fn answer_tokens(mut self, tokens: u32) -> Self {
        self.answer_tokens = tokens;
        self
    }

    /// Sets the rate limit (token bucket) of requests. Default: no limit.
    #[must_use]
    pub fn requests(mut self, limit: Limit) -> Self {
        self.requests = Some(limit);
        self
    }

    /// Sets the rate limit (token bucket) of tokens. Default: no limit.
    #[must_use]
    pub fn tokens(mut self, limit: Limit) -> Self {
        self.tokens = Some(limit);
        self
    }

    /// Sets the signal by which rate limits are reported. Default [`LimitSignal::Headers`].
    #[must_use]
    pub fn limit_signal(mut self, limit_signal: LimitSignal) -> Self {
        self.limit_signal = limit_signal;
        self
    }

    /// Sets the faults and their fractions. Default: no faults.
    #[must_use]
    pub fn faults(mut self, faults: Faults) -> Self {
        self.faults = faults;
        self
    }

    /// Sets the API key that requests must have. Default: no key is checked.
    #[must_use]
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// Sets the models that exist; a request for any other model gets the vendor's error. Default: every model exists.
    #[must_use]
    pub fn models(mut self, models: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.models = models.into_iter().map(Into::into).collect();
        self
    }

    /// Sets the maximum number of concurrent streams on one HTTP/2 connection. Default 100.
    #[must_use]
    pub fn max_streams(mut self, streams: u32) -> Self {
        self.max_streams = streams;
        self
    }

    /// Sets the seed of all random choices, so that a run is reproducible. Default 0.
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
                // The Box–Muller transform.
                let (u, v): (f64, f64) =
                    (rng.random_range(f64::MIN_POSITIVE..1.0), rng.random_range(0.0..1.0));
                let normal = (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos();
                Duration::try_from_secs_f64(median.as_secs_f64() * (sigma * normal).exp()).unwrap_or(median)
            }
        }
    }
}

impl Limit {
    /// Creates a limit with a refill rate of `rate` per second and a capacity of `burst`; a burst of 0 counts as 1.
    #[must_use]
    pub const fn per_second(rate: f64, burst: u32) -> Self {
        Self { per_second: rate, burst: if burst == 0 { 1 } else { burst } }
    }
}

impl Faults {
    /// Sets the fraction of requests, from 0 to 1, that get status 500.
    #[must_use]
    pub fn error(mut self, part: f64) -> Self {
        self.error = part;
        self
    }

    /// Sets the fraction of requests, from 0 to 1, whose connection or HTTP/2 stream is reset before an answer.
    #[must_use]
    pub fn reset(mut self, part: f64) -> Self {
        self.reset = part;
        self
    }

    /// Sets the fraction of answers, from 0 to 1, that stall in the middle and never resume.
    #[must_use]
    pub fn stall(mut self, part: f64) -> Self {
        self.stall = part;
        self
    }

    /// Sets the fraction of answers, from 0 to 1, that stop in the middle and then send only keep-alive events.
    #[must_use]
    pub fn empty(mut self, part: f64) -> Self {
        self.empty = part;
        self
    }

    /// Sets the fraction of answers, from 0 to 1, that slow down in the middle, to a word every [`Scenario::trickle_every`].
    #[must_use]
    pub fn trickle(mut self, part: f64) -> Self {
        self.trickle = part;
        self
    }

    /// Sets the fraction of answers, from 0 to 1, that end in the middle as if they were complete.
    #[must_use]
    pub fn half(mut self, part: f64) -> Self {
        self.half = part;
        self
    }

    /// Sets the fraction of answers, from 0 to 1, that are not valid JSON.
    #[must_use]
    pub fn garbage(mut self, part: f64) -> Self {
        self.garbage = part;
        self
    }

    /// Sets the fraction of streamed answers, from 0 to 1, that end with an error in the middle.
    #[must_use]
    pub fn breaks(mut self, part: f64) -> Self {
        self.breaks = part;
        self
    }

    /// Sets the fraction of requests, from 0 to 1, that are refused since the server is overloaded.
    #[must_use]
    pub fn overloaded(mut self, part: f64) -> Self {
        self.overloaded = part;
        self
    }

    /// Sets the fraction of requests, from 0 to 1, that are refused since the account has no credit.
    #[must_use]
    pub fn money(mut self, part: f64) -> Self {
        self.money = part;
        self
    }

    /// Sets the fraction of answers, from 0 to 1, that are a web page with status 200.
    #[must_use]
    pub fn wrong_type(mut self, part: f64) -> Self {
        self.wrong_type = part;
        self
    }

    /// Sets the fraction of answers, from 0 to 1, that are sent in pieces of 31 bytes.
    #[must_use]
    pub fn slow(mut self, part: f64) -> Self {
        self.slow = part;
        self
    }

    /// Sets the fraction of answers, from 0 to 1, that are model refusals.
    #[must_use]
    pub fn refusal(mut self, part: f64) -> Self {
        self.refusal = part;
        self
    }

    /// Sets the fraction of answers, from 0 to 1, that a content filter stops in the middle.
    #[must_use]
    pub fn filter(mut self, part: f64) -> Self {
        self.filter = part;
        self
    }

    /// Returns the sum of all fractions. It must not exceed 1, since a request has at most one fault.
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

    #[test]
    fn faults_have_their_rates_and_are_reproducible_by_seed() {
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
    fn setters_set_their_fields() {
        let scenario = Scenario::default()
            .latency(Latency::Fixed(Duration::from_millis(1)))
            .tokens_per_second(50.0)
            .tokens(Limit::per_second(9.0, 0))
            .max_streams(7)
            .seed(3);
        assert_eq!((scenario.tokens_per_second, scenario.max_streams, scenario.seed), (Some(50.0), 7, 3));
        assert_eq!(scenario.tokens, Some(Limit::per_second(9.0, 1)), "a burst of 0 counts as 1");
    }
}

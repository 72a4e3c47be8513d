//! The scenario: all that determines the behaviour of a server, as one value.
//!
//! A scenario is plain data without handles, so that it can be cloned for many servers, compared in tests, and read
//! from a file (`file`). Its parts have modules of their own: `latency`, `limit` and `faults`.

use std::time::Duration;

use crate::faults::Faults;
use crate::latency::Latency;
use crate::limit::{Limit, LimitSignal};

/// The behaviour of a [`Server`](crate::Server): latency, rate limits, faults and answers. The default has no latency,
/// limits or faults. [`Scenario::parse`] reads one from TOML.
///
/// A running server can change only its limits ([`Server::change_limits`](crate::Server::change_limits)) and its faults
/// ([`Server::change_faults`](crate::Server::change_faults)); all other fields are fixed when it starts.
///
/// A request passes the parts of a scenario in this order, and the first that objects answers it:
///
/// 1. [`key`](Self::key), the format of the body, [`models`](Self::models), and the burst of [`tokens`](Self::tokens).
///    An error here is final: a retry counts as hopeless in the [`ClientVerdict`](crate::ClientVerdict).
/// 2. [`requests`](Self::requests) and [`tokens`](Self::tokens): status 429 if one of them has no room.
/// 3. [`latency`](Self::latency), then the fault that was drawn from [`faults`](Self::faults), if any.
/// 4. The answer, with [`answer_tokens`](Self::answer_tokens) words, or a value of the request's JSON schema.
///
/// # Determinism
/// All random choices come from one generator, seeded by [`seed`](Self::seed), in the order in which requests are
/// admitted. A client that sends its requests one after another thus gets the same latencies, faults and values in each
/// run. With concurrent requests the sequence of choices is the same, but their assignment to requests depends on the
/// order of arrival. The generator is not portable: another platform or another version of this crate may have another
/// sequence for the same seed.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use antiphon_sim::{Faults, Latency, Limit, LimitSignal, Scenario};
///
/// // A busy vendor: slow, limited to 10 requests per second, and sometimes broken.
/// let scenario = Scenario::default()
///     .latency(Latency::Uniform(Duration::from_millis(200), Duration::from_millis(900)))
///     .tokens_per_second(80.0)
///     .requests(Limit::per_second(10.0, 20))
///     .limit_signal(LimitSignal::RetryAfterSeconds)
///     .faults(Faults::default().error(0.01).overloaded(0.02))
///     .seed(42);
/// assert_eq!(scenario.answer_tokens, 16);
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Scenario {
    /// The time from a request to the first byte of its answer. Default 0.
    pub latency: Latency,
    /// The speed of a streamed answer, in words per second; one word counts as one token. Default `None`: all words
    /// without a pause. The first word has no delay of its own after the latency. Words are due at fixed times, so that
    /// a slow reader gets those it missed in one go. An answer that is not streamed is sent whole after the latency.
    pub tokens_per_second: Option<f64>,
    /// The time between two words of an answer with the fault [`Faults::trickle`]. Default 50 s.
    pub trickle_every: Duration,
    /// The number of words in an answer without a schema, capped by the request's limit on tokens. Default 16. An
    /// answer that the request's limit cuts reports so, as `finish_reason` `length` does. A value that fits a schema
    /// has one token for each four characters, and is cut in the same way.
    pub answer_tokens: u32,
    /// The rate limit of requests. Default `None`: no limit. Requests for model lists and for the statistics are not
    /// limited.
    pub requests: Option<Limit>,
    /// The rate limit of tokens. The cost of a request is a quarter of its bytes, plus its maximum number of answer
    /// tokens, or [`answer_tokens`](Scenario::answer_tokens) if it has none. Default `None`: no limit.
    pub tokens: Option<Limit>,
    /// The signal by which rate limits are reported. Default [`LimitSignal::Headers`].
    pub limit_signal: LimitSignal,
    /// The faults and their rates. Default none.
    pub faults: Faults,
    /// The API key that requests must have, in the header of their vendor. A request with another key gets the vendor's
    /// authentication error: status 401, or 400 for Gemini. Model lists need the key, too; health checks do not.
    /// Default `None`: no key is checked.
    pub key: Option<String>,
    /// The models that exist; any other is an error (status 404). A request that names no model is accepted. Default
    /// empty: every model exists, and model lists have one entry, `sim-1`.
    pub models: Vec<String>,
    /// The maximum number of concurrent streams on one HTTP/2 connection (`SETTINGS_MAX_CONCURRENT_STREAMS`). Default
    /// 100, the limit of most hosted front ends. HTTP/1.1 is not affected: it has one request at a time on a
    /// connection.
    pub max_streams: u32,
    /// The seed of all random choices: latencies, faults and values. Default 0. See the section on determinism above.
    pub seed: u64,
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

    /// Sets the speed of a streamed answer, in words per second. Default: all words without a pause, as with a rate
    /// that is not positive.
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
    ///
    /// A limit below the cost of a request makes that request hopeless: leave room for
    /// [`answer_tokens`](Self::answer_tokens) or the limit that clients send.
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
    ///
    /// | format | header |
    /// |---|---|
    /// | Anthropic | `x-api-key` |
    /// | Gemini | `x-goog-api-key` |
    /// | all others | `Authorization: Bearer …` |
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

    /// Sets the maximum number of concurrent streams on one HTTP/2 connection. Default 100. A low number tests whether
    /// a client opens more connections or waits.
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Latency, Limit, Scenario};

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

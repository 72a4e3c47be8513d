//! Fault injection: the faults that a scenario can have, and the choice of one for a request.
//!
//! [`Faults`] has a fraction for each fault. A request that was admitted draws one `Fate` from the seeded generator:
//! one of the faults, or an answer. A request has at most one fault, so that the statistics count each cause by itself.
//!
//! The fate is applied in three places: `service` responds with the errors and breaks connections, `answer` damages the
//! bytes of an answer, and `wire` shortens an answer that the model or a filter declines.

use rand::{Rng, RngExt};

/// The fault injection: for each fault, the fraction of requests that it affects, from 0 to 1. Default: no faults.
///
/// A request has at most one fault, so the fractions must not add up to more than 1: beyond that, the later ones in the
/// order of the table occur less often than stated. Requests that a rate limit refuses, and those that can never
/// succeed, have no fault.
///
/// The middle of an answer is where half of its words (streamed) or half of its bytes (not streamed) are sent. The last
/// column is the output that [`Stats::billed_output_tokens`](crate::Stats::billed_output_tokens) counts.
///
/// | fault | a streamed answer | an answer that is not streamed | billed output, streamed; else |
/// |---|---|---|---|
/// | [`error`](Self::error) | status 500 | status 500 | nothing |
/// | [`reset`](Self::reset) | no status line | no status line | nothing |
/// | [`stall`](Self::stall) | silent from the middle on | silent from the middle on | the words sent; else all |
/// | [`empty`](Self::empty) | only keep-alive events from the middle on | unchanged | the words sent |
/// | [`trickle`](Self::trickle) | very slow from the middle on | unchanged | the words sent |
/// | [`half`](Self::half) | ends in the middle | ends in the middle | the words sent; else all |
/// | [`garbage`](Self::garbage) | one broken event in the middle | no JSON at all | the first half; else all |
/// | [`breaks`](Self::breaks) | an error event in the middle | status 500 | the words sent; else nothing |
/// | [`overloaded`](Self::overloaded) | status 503 or 529 | status 503 or 529 | nothing |
/// | [`money`](Self::money) | the vendor's status | the vendor's status | nothing |
/// | [`wrong_type`](Self::wrong_type) | a web page | a web page | nothing |
/// | [`endless`](Self::endless) | words without end from the middle on | words without end from the first on | the words sent |
/// | [`slow`](Self::slow) | 31 bytes a time | 31 bytes a time | all |
/// | [`refusal`](Self::refusal) | complete, without words | complete, without words | nothing |
/// | [`filter`](Self::filter) | half of the words, complete | half of the words, complete | those words |
///
/// # Examples
/// ```
/// use antiphon_sim::{Faults, Scenario};
///
/// // One request in fifty fails, one answer in a hundred is cut without notice.
/// let faults = Faults::default().error(0.02).half(0.01);
/// assert!(faults.sum() < 0.031);
/// let scenario = Scenario::default().faults(faults).seed(7);
/// assert_eq!(scenario.faults, faults);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[non_exhaustive]
pub struct Faults {
    /// The server responds with status 500. Worth a retry.
    pub error: f64,
    /// The connection, or the HTTP/2 stream, is reset before an answer. The client cannot know whether it was billed.
    pub reset: f64,
    /// The answer stalls in the middle: no more bytes are sent, and the connection stays open. Only a timeout of the
    /// client ends it.
    pub stall: f64,
    /// The answer stops in the middle; after that, only keep-alive events without output are sent, without end: one
    /// every 50 ms. A timeout between bytes does not see it, one between words does. An answer that is not streamed is
    /// complete.
    pub empty: f64,
    /// The answer slows down in the middle, to a word every
    /// [`Scenario::trickle_every`](crate::Scenario::trickle_every). An answer that is not streamed is complete.
    pub trickle: f64,
    /// The answer is truncated in the middle, and the connection ends as if the answer were complete. Neither the HTTP
    /// framing nor the status shows it: only the missing end of the format does.
    pub half: f64,
    /// The answer is broken in the middle, so that it is not valid JSON. The rest of a stream follows the broken event.
    pub garbage: f64,
    /// A streamed answer ends with an error event in the middle; an answer that is not streamed has status 500.
    pub breaks: f64,
    /// The server is overloaded: status 503, or 529 for Anthropic, with a wait (`Retry-After`) of 1 s if waits are
    /// reported.
    pub overloaded: f64,
    /// The account has no credit left. The status is the vendor's: 429 with `insufficient_quota` for OpenAI, 400 for
    /// Anthropic, 402 for llama.cpp, 429 for the others. A retry within 10 s counts as hopeless in the
    /// [`ClientVerdict`](crate::ClientVerdict).
    pub money: f64,
    /// The answer is a web page with status 200, as a captive portal or a wrong base URL has it.
    pub wrong_type: f64,
    /// The answer never ends: from the middle on a word is repeated without a pause until the client closes the connection,
    /// whatever the request's limit on tokens is.
    pub endless: f64,
    /// The answer is sent in pieces of 31 bytes, which cut characters, words and events. There is a millisecond between
    /// two pieces, and [`Scenario::tokens_per_second`](crate::Scenario::tokens_per_second) has no effect.
    pub slow: f64,
    /// The model refuses to answer (model refusal): a complete answer that reports the refusal. Ollama and llama.cpp
    /// have no field for it, so that the answer is empty.
    pub refusal: f64,
    /// A content filter stops the answer in the middle. Formats that cannot report a content filter answer as usual.
    pub filter: f64,
}

/// The fate of one request: an answer or a fault.
///
/// Each variant but `Answer` has the name of its field of [`Faults`], where its effect is described.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// An answer without a fault.
    Answer,
    /// Status 500.
    Error,
    /// A connection or stream that is reset.
    Reset,
    /// Silence from the middle on.
    Stall,
    /// Keep-alive events from the middle on.
    Empty,
    /// Slow words from the middle on.
    Trickle,
    /// An end in the middle.
    Half,
    /// Bytes that break the format.
    Garbage,
    /// An error event in the middle.
    Breaks,
    /// Status 503 or 529.
    Overloaded,
    /// An account without credit.
    Money,
    /// A web page.
    WrongType,
    /// Words without end from the middle on.
    Endless,
    /// Pieces of a few bytes.
    Slow,
    /// A model refusal.
    Refusal,
    /// A content filter.
    Filter,
}

impl Fate {
    /// Returns whether the fault occurs when half of the words are sent.
    pub(crate) fn is_mid_stream(self) -> bool {
        matches!(
            self,
            Self::Half
                | Self::Stall
                | Self::Empty
                | Self::Trickle
                | Self::Garbage
                | Self::Breaks
                | Self::Endless
        )
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

    /// Sets the fraction of answers, from 0 to 1, that slow down in the middle, to a word every
    /// [`Scenario::trickle_every`](crate::Scenario::trickle_every).
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

    /// Sets the fraction of answers, from 0 to 1, that never end.
    #[must_use]
    pub fn endless(mut self, part: f64) -> Self {
        self.endless = part;
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
    ///
    /// The server does not check it, nor that each fraction is from 0 to 1: a program that takes fractions from a user
    /// does. [`Scenario::parse`](crate::Scenario::parse) checks both.
    #[must_use]
    pub fn sum(&self) -> f64 {
        self.all().iter().map(|(part, _)| part).sum()
    }

    /// Returns each fraction with its fate, in the order in which [`draw`](Self::draw) subtracts them.
    fn all(&self) -> [(f64, Fate); 15] {
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
            (self.endless, Fate::Endless),
        ]
    }

    /// Draws the fate of one request: a single random number, compared with the cumulated fractions.
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
    use rand::SeedableRng;
    use rand::rngs::SmallRng;

    use super::{Fate, Faults};

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
}

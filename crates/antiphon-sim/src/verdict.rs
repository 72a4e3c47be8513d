//! The verdict on clients: whether a retry was too early, hopeless, or billed twice.
//!
//! The judge remembers how each request last ended, by a fingerprint of its path, key and body. The next arrival of the
//! same fingerprint is a retry, and is judged by that end:
//!
//! | last end | judged as |
//! |---|---|
//! | complete answer | repeated |
//! | refused with a reported wait that has not passed | too early |
//! | refused otherwise, failed, cut or hung up | a fair retry |
//! | hopeless: wrong key, invalid, unknown model | hopeless |
//! | larger than the limits, which have not changed since | hopeless |
//! | no credit, less than 10 s ago | hopeless |
//!
//! Requests in flight have no end yet: identical requests that are sent concurrently are not retries of each other.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Instant;

use serde::Serialize;

use crate::stats::Stats;

/// The verdict of a [`Server`](crate::Server) on its clients' retries.
///
/// Requests with the same path, key and body count as retries of one request. Three kinds of retries are counted:
/// before the wait that the server reported has passed ([`too_early`](Self::too_early)), without a chance to succeed
/// ([`hopeless`](Self::hopeless)), and billed although the answer is known ([`repeated`](Self::repeated)). The first
/// two are always wrong. A retry of a request that failed by a fault is fair.
///
/// A test that sends the same prompt several times on purpose has to make the bodies differ, by a seed for example.
///
/// ```json
/// { "clean": false, "too_early": 1, "hopeless": 0, "repeated": 0, "throttled": 0.25 }
/// ```
///
/// # Examples
/// ```
/// use antiphon_sim::{Limit, Scenario, Server};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// let server = Server::start(Scenario::default().requests(Limit::per_second(5.0, 1)), 0).await?;
/// // After the calls of a client:
/// let verdict = server.verdict();
/// assert!(verdict.clean, "the client retries wrongly: {verdict:?}");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ClientVerdict {
    /// Whether no retry was wrong: `too_early` and `hopeless` are both 0.
    pub clean: bool,
    /// Requests that were retried before the reported wait had passed. 2 ms are tolerated, for the difference between
    /// two clocks.
    pub too_early: u64,
    /// Requests that were retried although they can never succeed, such as one that is larger than the rate limit's
    /// burst. For an account without credit, that holds for 10 s.
    pub hopeless: u64,
    /// Requests that were sent again after a complete answer, and are thus billed twice. They do not affect `clean`,
    /// since a caller may want a second answer.
    pub repeated: u64,
    /// The fraction of requests that were throttled by a rate limit, from 0 to 1. A client that adapts its rate keeps
    /// it low; it does not affect `clean`.
    pub throttled: f64,
}

/// A judge of retries: requests to one path with one key and identical bodies count as one request that is sent again.
#[derive(Debug, Default)]
pub(crate) struct Judge {
    /// The last end of each request, by its fingerprint.
    seen: HashMap<u64, End>,
    too_early: u64,
    hopeless: u64,
    repeated: u64,
}

/// The way in which a request last ended.
#[derive(Debug, Clone, Copy)]
pub(crate) enum End {
    /// A complete answer.
    Answered,
    /// A refusal by a rate limit or an overloaded server, with the time until which it holds, if the client knows it.
    Refused(Option<Instant>),
    /// An error that no retry changes.
    Hopeless,
    /// A request that is larger than the burst of a rate limit: no retry changes that, but other limits do.
    TooLarge,
    /// The account had no credit at that time.
    OutOfMoney(Instant),
    /// A fault, a truncated answer, or a client that closed the connection.
    Failed,
}

/// The maximum number of remembered requests; later ones are not judged, so that memory stays bounded.
const MAX_REMEMBERED: usize = 1_000_000;

/// The time after which a retry is fair, since the account may have been topped up.
const PAYMENT_TIME: std::time::Duration = std::time::Duration::from_secs(10);

/// The tolerated difference between the server's and the client's clock.
const CLOCK_SKEW: std::time::Duration = std::time::Duration::from_millis(2);

impl Judge {
    /// Returns the fingerprint of a request by its path, key and body: a 64-bit hash, of which collisions are not
    /// expected.
    pub(crate) fn fingerprint(path: &str, key: Option<&[u8]>, body: &[u8]) -> u64 {
        let mut hasher = DefaultHasher::new();
        (path, key, body).hash(&mut hasher);
        hasher.finish()
    }

    /// Judges an arrival by the last end of the same request.
    pub(crate) fn arrived(&mut self, request: u64, now: Instant) {
        match self.seen.get(&request) {
            Some(End::Answered) => self.repeated += 1,
            Some(End::Hopeless | End::TooLarge) => self.hopeless += 1,
            Some(End::OutOfMoney(at)) if now < *at + PAYMENT_TIME => self.hopeless += 1,
            Some(End::Refused(Some(until))) if now + CLOCK_SKEW < *until => self.too_early += 1,
            _ => {}
        }
    }

    /// Forgives requests that were larger than the limits, which have changed: the next retry is fair.
    pub(crate) fn limits_changed(&mut self) {
        let too_large = self.seen.values_mut().filter(|end| matches!(end, End::TooLarge));
        too_large.for_each(|end| *end = End::Failed);
    }

    /// Remembers the end of a request, in place of its previous one.
    pub(crate) fn ended(&mut self, request: u64, end: End) {
        if self.seen.len() < MAX_REMEMBERED || self.seen.contains_key(&request) {
            self.seen.insert(request, end);
        }
    }

    /// Returns the verdict so far; `stats` has the share of throttled requests.
    pub(crate) fn verdict(&self, stats: &Stats) -> ClientVerdict {
        #[expect(clippy::cast_precision_loss, reason = "fewer than 2^52 requests")]
        let throttled = stats.throttled as f64 / stats.requests.max(1) as f64;
        let Self { too_early, hopeless, repeated, .. } = *self;
        ClientVerdict { clean: too_early + hopeless == 0, too_early, hopeless, repeated, throttled }
    }
}

#[cfg(test)]
mod tests {
    use super::{End, Judge};
    use crate::stats::Stats;

    #[test]
    fn a_request_that_was_too_large_may_be_retried_when_the_limits_have_changed() {
        let (mut judge, now) = (Judge::default(), tokio::time::Instant::now().into_std());
        judge.ended(1, End::TooLarge);
        judge.ended(2, End::Hopeless);
        judge.arrived(1, now);
        judge.limits_changed();
        judge.arrived(1, now);
        judge.arrived(2, now);
        assert_eq!(judge.verdict(&Stats::default()).hopeless, 2);
    }
}

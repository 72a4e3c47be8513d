use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Instant;

use serde::Serialize;

use crate::stats::Stats;

/// The verdict of a [`Server`](crate::Server) on its clients' retries.
///
/// Requests with the same path, key and body count as retries of one request.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ClientVerdict {
    /// Whether no retry was wrong: `too_early` and `hopeless` are both 0.
    pub clean: bool,
    /// Requests that were retried before the reported wait had passed.
    pub too_early: u64,
    /// Requests that were retried although they can never succeed, such as one that is larger than the rate limit's burst.
    pub hopeless: u64,
    /// Requests that were sent again after a complete answer, and are thus billed twice. They do not affect `clean`, since a
    /// caller may want a second answer.
    pub repeated: u64,
    /// The fraction of requests that were throttled by a rate limit, from 0 to 1.
    pub throttled: f64,
}

/// A judge of retries: requests to one path with one key and identical bodies count as one request that is sent again.
#[derive(Debug, Default)]
pub(crate) struct Judge {
    seen: HashMap<u64, End>,
    too_early: u64,
    hopeless: u64,
    repeated: u64,
}

/// The way in which a request last ended.
#[derive(Debug, Clone, Copy)]
pub(crate) enum End {
    Answered,
    Refused(Option<Instant>),
    Hopeless,
    /// The account had no credit at that time.
    OutOfMoney(Instant),
    Failed,
}

/// The maximum number of remembered requests; later ones are not judged, so that memory stays bounded.
const MAX_REMEMBERED: usize = 1_000_000;

/// The time after which a retry is fair, since the account may have been topped up.
const PAYMENT_TIME: std::time::Duration = std::time::Duration::from_secs(10);

/// The tolerated difference between the server's and the client's clock.
const CLOCK_SKEW: std::time::Duration = std::time::Duration::from_millis(2);

impl Judge {
    /// Returns the fingerprint of a request by its path, key and body.
    pub(crate) fn fingerprint(path: &str, key: Option<&[u8]>, body: &[u8]) -> u64 {
        let mut hasher = DefaultHasher::new();
        (path, key, body).hash(&mut hasher);
        hasher.finish()
    }

    pub(crate) fn arrived(&mut self, request: u64, now: Instant) {
        match self.seen.get(&request) {
            Some(End::Answered) => self.repeated += 1,
            Some(End::Hopeless) => self.hopeless += 1,
            Some(End::OutOfMoney(at)) if now < *at + PAYMENT_TIME => self.hopeless += 1,
            Some(End::Refused(Some(until))) if now + CLOCK_SKEW < *until => self.too_early += 1,
            _ => {}
        }
    }

    pub(crate) fn ended(&mut self, request: u64, end: End) {
        if self.seen.len() < MAX_REMEMBERED || self.seen.contains_key(&request) {
            self.seen.insert(request, end);
        }
    }

    pub(crate) fn verdict(&self, stats: &Stats) -> ClientVerdict {
        #[expect(clippy::cast_precision_loss, reason = "fewer than 2^52 requests")]
        let throttled = stats.throttled as f64 / stats.requests.max(1) as f64;
        let Self { too_early, hopeless, repeated, .. } = *self;
        ClientVerdict { clean: too_early + hopeless == 0, too_early, hopeless, repeated, throttled }
    }
}

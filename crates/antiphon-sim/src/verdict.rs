use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Instant;

use serde::Serialize;

use crate::stats::Stats;

/// What a [`Server`](crate::Server) thinks of its clients.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ClientVerdict {
    /// Whether nothing below is to be complained of.
    pub clean: bool,
    /// Requests that were sent again before the wait was over that the refusal had told.
    pub too_early: u64,
    /// Requests that were sent again though they can never succeed.
    pub hopeless: u64,
    /// Requests that were the same, byte for byte, as one that had been answered whole: paid twice, unless it was meant.
    /// That alone is nothing to complain of.
    pub repeated: u64,
    /// The part of requests that were refused because of a limit.
    pub throttled: f64,
}

/// Requests to one path, with one key, that are the same in every byte are taken for one that is sent again.
#[derive(Debug, Default)]
pub(crate) struct Judge {
    seen: HashMap<u64, End>,
    too_early: u64,
    hopeless: u64,
    repeated: u64,
}

/// How a request ended the last time.
#[derive(Debug, Clone, Copy)]
pub(crate) enum End {
    Answered,
    Refused(Option<Instant>),
    Hopeless,
    /// There was no money for it then.
    OutOfMoney(Instant),
    Failed,
}

/// So many requests are remembered; more are not judged, so that a long run needs no endless memory.
const MAX_REMEMBERED: usize = 1_000_000;

/// Whoever comes again after so long may have paid in the meantime.
const PAYMENT_TIME: std::time::Duration = std::time::Duration::from_secs(10);

/// A server's clock and a client's do not agree to the last bit.
const CLOCK_SKEW: std::time::Duration = std::time::Duration::from_millis(2);

impl Judge {
    /// Of a request to a path, with a key, if it brings one.
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
        #[expect(clippy::cast_precision_loss, reason = "nobody sends 2^52 requests")]
        let throttled = stats.throttled as f64 / stats.requests.max(1) as f64;
        let Self { too_early, hopeless, repeated, .. } = *self;
        ClientVerdict { clean: too_early + hopeless == 0, too_early, hopeless, repeated, throttled }
    }
}

//! The token bucket that enforces a rate limit.
//!
//! The level is computed when it is needed, from the time since the last look, so that the bucket needs no timer:
//!
//! ```text
//! level(now) = min(burst, level(at) + (now - at) * per_second)
//! ```
//!
//! Time is an argument, so that the bucket can be tested without waiting. Each operation takes constant time, but for
//! `reached`, which is linear in the number of changes of the limit.

use std::time::{Duration, Instant};

use crate::limit::Limit;

/// A token bucket as servers have it: a request that does not fit is refused and takes nothing.
///
/// The check ([`holds`](Self::holds)) and the charge ([`take`](Self::take)) are separate, since a request has to fit
/// two buckets before it is charged to either.
#[derive(Debug)]
pub(crate) struct Bucket {
    limit: Limit,
    /// The level at the time `at`, in requests or tokens.
    level: f64,
    at: Instant,
    /// The initial level, less what changes of the limit have cut off.
    first: f64,
    /// The sum of all costs taken.
    taken: f64,
    /// The refill rates per second, each with its start time, in order.
    rates: Vec<(Instant, f64)>,
}

/// The state of a bucket that a response reports.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Level {
    /// The capacity.
    pub(crate) limit: u32,
    /// The amount that the bucket holds, rounded down.
    pub(crate) remaining: f64,
    /// The time until the bucket is full.
    pub(crate) full_in: Duration,
    /// The time until the refused cost would fit; zero if it fits.
    pub(crate) wait: Duration,
}

impl Bucket {
    /// Creates a full bucket.
    pub(crate) fn new(limit: Limit, now: Instant) -> Self {
        let first = f64::from(limit.burst);
        Self { limit, level: first, at: now, first, taken: 0.0, rates: vec![(now, limit.per_second)] }
    }

    /// Changes the limit; what the bucket holds beyond the new burst is lost. A higher burst adds nothing at first.
    pub(crate) fn change(&mut self, limit: Limit, now: Instant) {
        self.holds(0.0, now);
        let level = self.level.min(f64::from(limit.burst));
        // What is lost cannot be used.
        self.first -= self.level - level;
        (self.limit, self.level) = (limit, level);
        self.rates.push((now, limit.per_second));
    }

    /// Returns the costs taken beyond the initial level, as a part of the refill between two times; `None` without a
    /// refill.
    ///
    /// This is the utilisation of the limit: 1 for a client that uses all that comes in. A client that has not used up
    /// the initial level has a negative one. The refill is counted even while the bucket is full, since a client at the
    /// limit does not let it fill.
    pub(crate) fn reached(&self, from: Instant, to: Instant) -> Option<f64> {
        let ends = self.rates.iter().skip(1).map(|(end, _)| *end).chain([to]);
        let came_in = |((begin, rate), end): (&(Instant, f64), Instant)| {
            end.min(to).saturating_duration_since((*begin).max(from)).as_secs_f64() * rate
        };
        let possible: f64 = self.rates.iter().zip(ends).map(came_in).sum();
        (possible > 0.0).then(|| (self.taken - self.first) / possible)
    }

    /// Refills the bucket and returns whether `cost` fits now; nothing is taken.
    pub(crate) fn holds(&mut self, cost: f64, now: Instant) -> bool {
        let elapsed = now.saturating_duration_since(self.at).as_secs_f64();
        (self.level, self.at) =
            ((self.level + elapsed * self.limit.per_second).min(f64::from(self.limit.burst)), now);
        self.level >= cost
    }

    /// Returns whether `cost` can ever fit.
    pub(crate) fn can_hold(&self, cost: f64) -> bool {
        cost <= f64::from(self.limit.burst)
    }

    /// Takes a cost that the bucket [`holds`](Self::holds).
    pub(crate) fn take(&mut self, cost: f64) {
        self.level -= cost;
        self.taken += cost;
    }

    /// Returns the level as of the last refill, with the wait of a request of this cost. A time that no refill reaches
    /// is reported as one day.
    pub(crate) fn level(&self, cost: f64) -> Level {
        let seconds = |missing: f64| {
            let seconds = missing.max(0.0) / self.limit.per_second;
            Duration::try_from_secs_f64(seconds).unwrap_or(Duration::from_secs(86_400))
        };
        Level {
            limit: self.limit.burst,
            remaining: self.level.floor().max(0.0),
            full_in: seconds(f64::from(self.limit.burst) - self.level),
            wait: seconds(cost - self.level),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::Bucket;
    use crate::limit::Limit;

    #[test]
    fn the_used_part_follows_changes_of_the_limit() {
        let start = Instant::now().into_std();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut bucket = Bucket::new(Limit::per_second(10.0, 5), start);
        bucket.change(Limit::per_second(2.0, 1), at(4));
        assert!(!bucket.holds(2.0, at(5)), "the level beyond the new burst is lost");
        bucket.take(1.0 + 13.0);
        // The refill is 10 from 3 s to 4 s, and 16 from 4 s to 12 s.
        assert_eq!(bucket.reached(at(3), at(12)), Some(0.5));
        assert_eq!(bucket.reached(at(3), at(3)), None);
    }
}

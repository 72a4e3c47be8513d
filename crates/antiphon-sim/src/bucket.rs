use std::time::{Duration, Instant};

use crate::scenario::Limit;

/// A token bucket as servers have it: what does not fit is refused, and takes nothing.
#[derive(Debug)]
pub(crate) struct Bucket {
    limit: Limit,
    level: f64,
    at: Instant,
}

/// What is told of a bucket.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Level {
    pub(crate) limit: u32,
    pub(crate) remaining: f64,
    pub(crate) full_in: Duration,
    /// The time until what was refused would fit.
    pub(crate) wait: Duration,
}

impl Bucket {
    pub(crate) fn new(limit: Limit, now: Instant) -> Self {
        Self { limit, level: f64::from(limit.burst), at: now }
    }

    /// Whether `cost` fits now; nothing is taken.
    pub(crate) fn holds(&mut self, cost: f64, now: Instant) -> bool {
        let elapsed = now.saturating_duration_since(self.at).as_secs_f64();
        (self.level, self.at) =
            ((self.level + elapsed * self.limit.per_second).min(f64::from(self.limit.burst)), now);
        self.level >= cost
    }

    pub(crate) fn take(&mut self, cost: f64) {
        self.level -= cost;
    }

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

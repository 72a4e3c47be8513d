use std::collections::BTreeMap;
use std::sync::{Arc, MutexGuard, PoisonError};

use super::limiter::Shared;

/// The parts of a limit, as the handles to one limiter have set them.
#[derive(Debug, Default)]
pub(super) struct Parts {
    next: u64,
    set: BTreeMap<u64, f64>,
}

/// A handle that limits this process to a part (share) of a server's limits, and leaves the rest to other processes.
///
/// Returned by [`AdaptiveLimiter::share`](crate::AdaptiveLimiter::share). Dropping the last handle restores the whole limits.
#[derive(Debug)]
pub struct LimitPart {
    shared: Arc<Shared>,
    number: u64,
}

impl LimitPart {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        let mut parts = parts(&shared);
        parts.next += 1;
        let number = parts.next;
        drop(parts);
        Self { shared, number }
    }

    /// Sets the part, from 0 to 1: rates, allowances and the maximum concurrency are multiplied by it.
    ///
    /// If a limiter has several handles, their parts are added. The sum is clamped to between 0.01 and 1: with the minimum, an
    /// occasional call still observes the limits. A relative change of at most 5 % is ignored, except back to the whole limit.
    ///
    /// `rate` is the whole limit in requests per second, if other processes have measured it. A limiter that has measured no
    /// rate itself yet adopts its part of it, once; otherwise `rate` is ignored.
    pub fn set(&self, part: f64, rate: Option<f64>) {
        let mut parts = parts(&self.shared);
        // `max` also turns a NaN into 0.
        parts.set.insert(self.number, part.max(0.0));
        self.shared.set_part(parts.sum(), rate);
    }
}

impl Drop for LimitPart {
    fn drop(&mut self) {
        let mut parts = parts(&self.shared);
        parts.set.remove(&self.number);
        self.shared.set_part(parts.sum(), None);
    }
}

impl Parts {
    fn sum(&self) -> f64 {
        if self.set.is_empty() { 1.0 } else { self.set.values().sum() }
    }
}

fn parts(shared: &Shared) -> MutexGuard<'_, Parts> {
    shared.parts.lock().unwrap_or_else(PoisonError::into_inner)
}

use std::collections::BTreeMap;
use std::sync::{Arc, MutexGuard, PoisonError};

use super::limiter::Shared;

/// The parts of a limit that the handles to one limiter have set.
#[derive(Debug, Default)]
pub(super) struct Parts {
    next: u64,
    set: BTreeMap<u64, f64>,
}

/// A part of a server's limits, while other processes have the rest: see [`AdaptiveLimiter::share`](crate::AdaptiveLimiter::share).
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

    /// Sets the part, from 0 to 1: rates, allowances and concurrency are multiplied by it. The parts of several handles add
    /// up, and a hundredth is always left, by which the limits are seen.
    ///
    /// `rate` is the requests per second of the whole limit, as other processes measured it: a limiter that has made no call
    /// begins with its part of that.
    pub fn set(&self, part: f64, rate: Option<f64>) {
        let mut parts = parts(&self.shared);
        parts.set.insert(self.number, part);
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

//! Tests of the public API.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::future_not_send,
    reason = "a test crate: panics are acceptable, and its futures stay on one thread"
)]

mod batch;
mod cancellation;
mod lanes;
#[cfg(feature = "metrics")]
mod metrics;
mod pool;
mod runner;
mod simple;

use std::sync::{Arc, Mutex};

/// A shared log of events, in order.
#[derive(Debug, Clone, Default)]
struct Log<T>(Arc<Mutex<Vec<T>>>);

impl<T: Clone> Log<T> {
    fn note(&self, what: T) {
        self.0.lock().unwrap().push(what);
    }

    fn read(&self) -> Vec<T> {
        self.0.lock().unwrap().clone()
    }
}

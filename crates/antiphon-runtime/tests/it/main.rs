//! What the crate promises, from outside.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::future_not_send,
    reason = "a test crate: panics are free, and its futures stay on one thread"
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

/// What happened, in order.
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

//! Tests of the crate's documented behaviour, through its public API.
#![expect(
    clippy::unwrap_used,
    clippy::future_not_send,
    reason = "a test crate: panics are free, its futures stay"
)]

mod imports;
mod laws;
mod merge;
mod printed;
mod progress;
mod queue;
mod timed;

use tokio::runtime::Builder;

/// Runs a future on a runtime whose clock jumps to the next timer.
fn run<F: Future>(future: F) -> F::Output {
    Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(future)
}

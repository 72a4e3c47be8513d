//! Owned concurrency: a [`Runner`] that keeps to its limit, and [`Progress`] that tells rate and time left.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let runner = antiphon_runtime::Runner::new(2);
//! let squares = runner.gather((1..=3).map(|n| async move { n * n })).await;
//! assert_eq!(squares, [Ok(1), Ok(4), Ok(9)]);
//! # }
//! ```

mod progress;
mod runner;

pub use progress::{Progress, Snapshot, Subscription};
pub use runner::{Runner, TaskError};

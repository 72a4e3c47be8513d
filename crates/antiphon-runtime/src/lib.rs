//! Structured concurrency for tokio: every task has an owner, a limit and an end.
//!
//! | to | use |
//! |---|---|
//! | run tasks by priority, with a concurrency limit and a bounded queue | [`Runner`] |
//! | await many futures in the current task | [`gather`] |
//! | reuse resources that are expensive to create (connection pool) | [`Pool`] |
//! | process items in batches with a minimum spacing | [`BatchProcessor`] |
//! | report progress: throughput and time left | [`Progress`] |
//! | run one future with a time limit, in the background, or from synchronous code | [`timeout`], [`background`], [`block_on`] |
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let runner = antiphon_runtime::Runner::new(2);
//! let squares = runner.gather((1..=3).map(|n| async move { n * n })).await;
//! assert_eq!(squares, [Ok(1), Ok(4), Ok(9)]);
//! # }
//! ```
#![cfg_attr(docsrs, feature(doc_cfg))]

mod background;
mod batch;
mod block_on;
mod clock;
mod error;
mod gather;
mod observe;
mod pool;
mod progress;
mod runner;
mod scheduler;
mod task;
mod timeout;
mod waiters;

pub use background::background;
pub use batch::BatchProcessor;
pub use block_on::{BlockOnError, block_on};
pub use error::TaskError;
pub use gather::gather;
#[cfg(feature = "metrics")]
#[cfg_attr(docsrs, doc(cfg(feature = "metrics")))]
pub use observe::describe_metrics;
pub use pool::{AcquireError, FromFns, Manage, Pool, PoolOptions, PoolStatus, Pooled};
pub use progress::{Progress, Snapshot, Subscription};
pub use runner::{Runner, Shutdown, TrySubmitError};
pub use scheduler::{Priority, RunnerMetrics, SubmitErrorKind};
pub use task::Task;
pub use timeout::{TimedOut, timeout};
pub use tokio_util::sync::CancellationToken;

/// The README's code.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

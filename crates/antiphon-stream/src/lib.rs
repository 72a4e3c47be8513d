//! Stream adaptors for asynchronous calls, with concurrency limits and backpressure.
//!
//! - [`BackpressureExt`] maps and filters items by concurrent calls, and collects them into batches and windows.
//! - [`merge`] merges many streams fairly.
//! - [`Queue`] connects many producers with many consumers.
//! - [`Stages`] is a reusable pipeline that can be run on many sources.
//!
//! Items are read from a source only when there is room for them, and all buffers are bounded. No adaptor spawns a task:
//! dropping a stream drops its calls in flight, and calls make [progress](BackpressureExt#progress) only while the stream is
//! polled. Errors are ordinary items and do not end a stream. For synchronous `map` and
//! `filter`, use the futures crate.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! use antiphon_stream::BackpressureExt;
//! use futures_util::{StreamExt as _, stream};
//!
//! let numbers = stream::iter(1..=5)
//!     .map_async(4, |n| async move { n * 2 })
//!     .filter_async(4, |n| std::future::ready(*n > 5));
//! assert_eq!(numbers.collect::<Vec<_>>().await, [6, 8, 10]);
//! # }
//! ```
#![cfg_attr(docsrs, feature(doc_cfg))]

mod batch;
mod batch_within;
mod ext;
mod filter_async;
mod in_flight;
mod map_async;
mod map_async_unordered;
mod merge;
mod queue;
mod slots;
mod stages;
mod window;

pub use batch::Batch;
pub use batch_within::BatchWithin;
pub use ext::BackpressureExt;
pub use filter_async::FilterAsync;
pub use map_async::MapAsync;
pub use map_async_unordered::MapAsyncUnordered;
pub use merge::{Merge, merge};
pub use queue::{Closed, PushError, Queue, QueueStream};
pub use stages::{Staged, Stages};
pub use window::Window;

/// The README's code.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

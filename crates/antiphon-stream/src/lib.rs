//! Adaptors for streams whose items need slow calls: [`StreamExt`] maps and filters them concurrently, in batches and
//! windows; [`merge`] takes from many streams fairly, [`Queue`] connects producers and consumers, and [`Stages`] is a
//! pipeline that runs on many sources.
//!
//! All of them apply backpressure: no adaptor spawns a task, all buffers are bounded, and dropping a stream drops its calls
//! in flight. Errors are passed on as items. For synchronous `map` and `filter`, use the futures crate.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! use antiphon_stream::StreamExt as _;
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
pub use ext::StreamExt;
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

use std::time::Duration;

use futures_core::Stream;

use crate::{Batch, BatchWithin, FilterAsync, MapAsync, MapAsyncUnordered, Window};

/// Adaptors for streams of slow calls, with concurrency limits and backpressure.
///
/// A limit, size or step of 0 counts as 1 in all of them.
pub trait StreamExt: Stream {
    /// Calls `f` on each item with at most `limit` calls in flight, and yields the results in the order of the items.
    ///
    /// A result that is ready early waits for the results before it and counts towards the limit, so memory is bounded by
    /// `limit`. Use [`map_async_unordered`](StreamExt::map_async_unordered) where order does not matter. Items are taken
    /// from the source only when there is room for their calls (backpressure).
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// use antiphon_stream::StreamExt as _;
    /// use futures_util::{StreamExt as _, stream};
    ///
    /// let lengths = stream::iter(["one", "three"]).map_async(8, |word| async move { word.len() });
    /// assert_eq!(lengths.collect::<Vec<_>>().await, [3, 5]);
    /// # }
    /// ```
    ///
    /// # Cancel safety
    /// Dropping the stream drops the calls in flight and the results that were not yet yielded.
    fn map_async<F, Fut>(self, limit: usize, f: F) -> MapAsync<Self, F, Fut>
    where
        Self: Sized,
        F: FnMut(Self::Item) -> Fut,
        Fut: Future,
    {
        MapAsync::new(self, limit, f)
    }

    /// Calls `f` on each item with at most `limit` calls in flight, and yields each result as soon as it is ready.
    ///
    /// A slow call does not delay other results, as it does in [`map_async`](StreamExt::map_async). Return the item with
    /// its result if you need to know which result belongs to which item.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() {
    /// use std::time::Duration;
    /// use antiphon_stream::StreamExt as _;
    /// use futures_util::{StreamExt as _, stream};
    ///
    /// let waits = stream::iter([30, 10, 20]).map_async_unordered(3, |ms| async move {
    ///     tokio::time::sleep(Duration::from_millis(ms)).await;
    ///     ms
    /// });
    /// assert_eq!(waits.collect::<Vec<_>>().await, [10, 20, 30]);
    /// # }
    /// ```
    ///
    /// # Cancel safety
    /// Dropping the stream drops the calls in flight and the results that were not yet yielded.
    fn map_async_unordered<F, Fut>(self, limit: usize, f: F) -> MapAsyncUnordered<Self, F, Fut>
    where
        Self: Sized,
        F: FnMut(Self::Item) -> Fut,
        Fut: Future,
    {
        MapAsyncUnordered::new(self, limit, f)
    }

    /// Keeps the items for which `f` resolves to `true`, with at most `limit` calls in flight, in the order of the source.
    ///
    /// For a check that does not wait, use `filter` of the futures crate.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// use antiphon_stream::StreamExt as _;
    /// use futures_util::{StreamExt as _, stream};
    ///
    /// // Each address would be looked up here.
    /// let lives = |host: &&str| std::future::ready(host.ends_with(".test"));
    /// let living = stream::iter(["a.test", "b.invalid", "c.test"]).filter_async(8, lives);
    /// assert_eq!(living.collect::<Vec<_>>().await, ["a.test", "c.test"]);
    /// # }
    /// ```
    ///
    /// # Cancel safety
    /// Dropping the stream drops the calls in flight and their items.
    fn filter_async<F, Fut>(self, limit: usize, f: F) -> FilterAsync<Self, F, Fut>
    where
        Self: Sized,
        F: FnMut(&Self::Item) -> Fut,
        Fut: Future<Output = bool>,
    {
        FilterAsync::new(self, limit, f)
    }

    /// Collects items into groups of `size`; the last group may be smaller, and no group is empty.
    ///
    /// The stream waits for a full group without a time limit; for a limit, use [`batch_within`](StreamExt::batch_within).
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// use antiphon_stream::StreamExt as _;
    /// use futures_util::{StreamExt as _, stream};
    ///
    /// let groups = stream::iter(1..=5).batch(2);
    /// assert_eq!(groups.collect::<Vec<_>>().await, [vec![1, 2], vec![3, 4], vec![5]]);
    /// # }
    /// ```
    ///
    /// # Cancel safety
    /// Dropping the stream drops the group that was being filled.
    fn batch(self, size: usize) -> Batch<Self>
    where
        Self: Sized,
    {
        Batch::new(self, size)
    }

    /// Collects items into groups of `size`, or of fewer once `time` has passed since a group's first item.
    ///
    /// Use it for live sources whose items must not wait long for others, such as a group commit. For sources that end
    /// soon, [`batch`](StreamExt::batch) needs no timer. A `time` that overflows the clock is no limit.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() {
    /// use std::time::Duration;
    /// use antiphon_stream::StreamExt as _;
    /// use futures_util::{StreamExt as _, stream};
    ///
    /// // Three items at once, and then none for an hour.
    /// let source = stream::iter([1, 2, 3]).chain(stream::once(async {
    ///     tokio::time::sleep(Duration::from_secs(3600)).await;
    ///     4
    /// }));
    /// let groups = source.batch_within(2, Duration::from_millis(50));
    /// assert_eq!(groups.collect::<Vec<_>>().await, [vec![1, 2], vec![3], vec![4]]);
    /// # }
    /// ```
    ///
    /// # Panics
    /// When polled outside a tokio runtime.
    ///
    /// # Cancel safety
    /// Dropping the stream drops the group that was being filled.
    fn batch_within(self, size: usize, time: Duration) -> BatchWithin<Self>
    where
        Self: Sized,
    {
        BatchWithin::new(self, size, time)
    }

    /// Yields sliding windows of `size` items, each `step` items after the one before.
    ///
    /// An incomplete window at the end is not yielded. With a `step` larger than `size`, the items between are skipped.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// use antiphon_stream::StreamExt as _;
    /// use futures_util::{StreamExt as _, stream};
    ///
    /// let windows: Vec<_> = stream::iter(1..=7).window(2, 3).collect().await;
    /// assert_eq!(windows, [[1, 2], [4, 5]]);
    /// # }
    /// ```
    ///
    /// # Cancel safety
    /// Dropping the stream drops the items of the window that was being filled.
    fn window(self, size: usize, step: usize) -> Window<Self>
    where
        Self: Sized,
        Self::Item: Clone,
    {
        Window::new(self, size, step)
    }
}

impl<S: Stream> StreamExt for S {}

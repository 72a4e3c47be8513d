use std::time::Duration;

use futures_core::Stream;

use crate::{Batch, BatchWithin, FilterAsync, MapAsync, MapAsyncUnordered, Window};

/// An extension trait with adaptors for streams whose items need asynchronous calls, such as requests to a server.
///
/// All adaptors apply backpressure: they read an item from the source only when they have room for it. A `limit`, `size` or
/// `step` of 0 counts as 1.
///
/// Name and methods differ from those of the `StreamExt` and `TryStreamExt` of futures and tokio-stream, so that it can be imported
/// beside them: `use antiphon_stream::BackpressureExt;`. The two `StreamExt` share methods with each other: import one of them.
///
/// # Progress
/// The adaptors spawn no tasks: as all futures, the calls in flight make progress only while they are polled, and that is while
/// the consumer waits for the next item. While the consumer works on an item, they rest. A server may then wait for its client,
/// a timeout may fire late, and a call that waits in a fair queue, such as that of a rate limiter, may delay the callers behind
/// it. For calls that continue meanwhile:
///
/// - poll the stream beside the consumer, with a [`Queue`](crate::Queue) between them. `join!` is enough for a consumer that
///   awaits its work; for one that computes, put one of the two into a task.
/// - or spawn each call. It is then a task, whose panic is a `JoinError`, and which has to be aborted on drop, or else it
///   outlives the stream.
///
/// ```
/// use antiphon_stream::{BackpressureExt, Queue};
/// use futures_util::{StreamExt, stream};
/// use tokio_util::task::AbortOnDropHandle;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// # let call = async |n: u32| n * 2;
/// # let work = async |_: u32| {};
/// // Up to 8 results wait in the queue, while 4 more calls are in flight.
/// let (results, mut calls) = (Queue::new(8), stream::iter(1..=5).map_async(4, call).boxed_local());
/// let produce = async {
///     while let Some(result) = calls.next().await {
///         if results.push(result).await.is_err() {
///             break;
///         }
///     }
///     results.close();
/// };
/// let consume = async {
///     let mut sum = 0;
///     while let Some(result) = results.pop().await {
///         work(result).await; // calls continue
///         sum += result;
///     }
///     sum
/// };
/// let ((), sum) = tokio::join!(produce, consume);
/// assert_eq!(sum, 30);
///
/// let spawned = stream::iter(1..=5).map_async(4, |n| AbortOnDropHandle::new(tokio::spawn(async move { n * 2 })));
/// let results: Vec<u32> = spawned.map(|result| result.expect("no call panics")).collect().await;
/// assert_eq!(results, [2, 4, 6, 8, 10]);
/// # }
/// ```
pub trait BackpressureExt: Stream {
    /// Calls `f` on each item with at most `limit` calls in flight, and yields the results in the order of the items.
    ///
    /// A result that is ready before its predecessors is held back and still counts towards `limit`. Memory is therefore bounded
    /// by `limit`, but one slow call can delay all others (head-of-line blocking). If the order does not matter, use
    /// [`map_async_unordered`](BackpressureExt::map_async_unordered).
    ///
    /// An error of a call is an ordinary item and does not end the stream. Calls make progress only while the stream is polled;
    /// see [progress](BackpressureExt#progress).
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// use antiphon_stream::BackpressureExt;
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
    /// A slow call does not delay other results; in [`map_async`](BackpressureExt::map_async) it does. To know which result belongs
    /// to which item, return the item together with its result.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() {
    /// use std::time::Duration;
    /// use antiphon_stream::BackpressureExt;
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
    /// For a synchronous predicate, use `filter` of the futures crate.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// use antiphon_stream::BackpressureExt;
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
    /// Dropping the stream drops the calls in flight and the items that they check.
    fn filter_async<F, Fut>(self, limit: usize, f: F) -> FilterAsync<Self, F, Fut>
    where
        Self: Sized,
        F: FnMut(&Self::Item) -> Fut,
        Fut: Future<Output = bool>,
    {
        FilterAsync::new(self, limit, f)
    }

    /// Collects items into batches of `size`. The last batch may be smaller; no batch is empty.
    ///
    /// The stream waits for a full batch, however long that takes. To limit the wait, use
    /// [`batch_within`](BackpressureExt::batch_within).
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// use antiphon_stream::BackpressureExt;
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

    /// Collects items into batches of `size`, or of fewer if `time` has passed since the first item of the batch arrived.
    ///
    /// Use it for a live source whose items must not wait long for others, such as the writes of a group commit. For a source
    /// that never pauses, [`batch`](BackpressureExt::batch) does the same without a timer. A `time` that overflows the clock means
    /// no limit.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() {
    /// use std::time::Duration;
    /// use antiphon_stream::BackpressureExt;
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

    /// Yields windows of `size` items; each window starts `step` items after the previous one.
    ///
    /// With `step` less than `size` the windows overlap (sliding windows); with `step` equal to `size` they adjoin; with `step`
    /// greater than `size` the items between two windows are skipped. An incomplete window at the end is not yielded, unlike
    /// the last batch of [`batch`](BackpressureExt::batch).
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// use antiphon_stream::BackpressureExt;
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

impl<S: Stream> BackpressureExt for S {}

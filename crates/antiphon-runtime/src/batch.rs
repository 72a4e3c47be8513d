use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::error::TaskError;
use crate::gather::gather;
use crate::progress::Progress;

/// A processor that makes one call per item, in batches: a batch starts when the one before it has finished.
///
/// Use it for a service that requires pauses between groups of calls, or a minimum spacing. If a call may start as soon as
/// another one has finished, use [`gather`], which has a higher throughput. To pass a whole batch to one call, use the `batch`
/// adaptor of antiphon-stream.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// use antiphon_runtime::BatchProcessor;
///
/// let doubled = BatchProcessor::new(2).process([1, 2, 3], |n| async move { n * 2 }).await;
/// assert_eq!(doubled, [Ok(2), Ok(4), Ok(6)]);
/// # }
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct BatchProcessor {
    /// The number of items in a batch; 0 counts as 1.
    pub size: usize,
    /// The maximum number of items of a batch in progress (concurrency limit); 0 counts as 1. Default 5.
    pub max_concurrency: usize,
    /// The minimum time between the starts of two items. Default zero.
    pub min_delay: Duration,
    /// A progress counter, advanced by one for each item that finished or panicked. Default none.
    pub progress: Option<Progress>,
}

impl BatchProcessor {
    /// Creates a processor with batches of `size` items; all other options have their defaults.
    #[must_use]
    pub fn new(size: usize) -> Self {
        Self { size, max_concurrency: 5, min_delay: Duration::ZERO, progress: None }
    }

    /// Sets the maximum number of items of a batch in progress (concurrency limit); 0 counts as 1. Default 5.
    #[must_use]
    pub fn max_concurrency(mut self, max_concurrency: usize) -> Self {
        self.max_concurrency = max_concurrency;
        self
    }

    /// Sets the minimum time between the starts of two items, across batches. Default zero.
    #[must_use]
    pub fn min_delay(mut self, min_delay: Duration) -> Self {
        self.min_delay = min_delay;
        self
    }

    /// Sets a progress counter, advanced by one for each item that finished or panicked.
    #[must_use]
    pub fn progress(mut self, progress: Progress) -> Self {
        self.progress = Some(progress);
        self
    }

    /// Calls `f` on each item and returns one result per item, in order.
    ///
    /// A panic is caught and becomes the [`TaskError`] of its item; the other items are not affected. The calls are polled by the
    /// caller's task and share one core.
    ///
    /// # Panics
    /// Outside a tokio runtime, if `min_delay` is not zero.
    ///
    /// # Cancel safety
    /// Dropping the future drops the items in progress and starts no further ones; the results so far are lost.
    pub async fn process<I, F, Fut>(&self, items: I, mut f: F) -> Vec<Result<Fut::Output, TaskError>>
    where
        I: IntoIterator,
        F: FnMut(I::Item) -> Fut,
        Fut: Future,
    {
        let mut items = items.into_iter().fuse();
        let mut results = Vec::new();
        let mut next_start = Instant::now();
        loop {
            let batch = items.by_ref().take(self.size.max(1));
            // Called only when a slot is free, so that a late start delays the items after it.
            let futures = batch.map(|item| {
                let start = next_start.max(Instant::now());
                next_start = start.checked_add(self.min_delay).unwrap_or_else(far_future);
                self.spaced(start, f(item))
            });
            let before = results.len();
            results.extend(gather(self.max_concurrency, futures).await);
            if results.len() == before {
                return results;
            }
        }
    }

    async fn spaced<Fut: Future>(&self, start: Instant, future: Fut) -> Fut::Output {
        if !self.min_delay.is_zero() {
            sleep_until(start).await;
        }
        let mut counted = Counted { progress: self.progress.as_ref(), has_ended: false };
        let output = future.await;
        counted.has_ended = true;
        output
    }
}

/// A guard that counts an item that finished or panicked, but not one that was cancelled.
struct Counted<'a> {
    progress: Option<&'a Progress>,
    has_ended: bool,
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        if let Some(progress) = self.progress
            && (self.has_ended || std::thread::panicking())
        {
            progress.advance(1);
        }
    }
}

/// Returns a time about 30 years ahead, for a delay that overflows `Instant`.
fn far_future() -> Instant {
    Instant::now() + Duration::from_secs(60 * 60 * 24 * 365 * 30)
}

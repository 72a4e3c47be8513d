use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::error::TaskError;
use crate::gather::gather;
use crate::progress::Progress;

/// Works through many items in batches: a whole batch ends before the next begins.
///
/// Use it where a service wants calls in groups or spaced in time. Where each item may begin as soon as another has
/// ended, [`gather`] is faster.
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
    /// Items in a batch; 0 counts as 1.
    pub size: usize,
    /// Items of a batch that are worked on at once; 0 counts as 1. Default 5.
    pub max_concurrency: usize,
    /// The least time between the beginnings of two items. Default none.
    pub min_delay: Duration,
    /// Counts each item that has ended. Default nobody.
    pub progress: Option<Progress>,
}

impl BatchProcessor {
    /// Batches of `size` items.
    #[must_use]
    pub fn new(size: usize) -> Self {
        Self { size, max_concurrency: 5, min_delay: Duration::ZERO, progress: None }
    }

    /// Sets how many items are worked on at once.
    #[must_use]
    pub fn max_concurrency(mut self, max_concurrency: usize) -> Self {
        self.max_concurrency = max_concurrency;
        self
    }

    /// Sets the least time between the beginnings of two items.
    #[must_use]
    pub fn min_delay(mut self, min_delay: Duration) -> Self {
        self.min_delay = min_delay;
        self
    }

    /// Sets who counts the items that have ended.
    #[must_use]
    pub fn progress(mut self, progress: Progress) -> Self {
        self.progress = Some(progress);
        self
    }

    /// Calls `f` on each item and returns one result for each, in order; a panic loses no other.
    ///
    /// # Cancel safety
    /// Dropping it drops what is under way and begins nothing more; results so far are lost.
    pub async fn process<I, F, Fut>(&self, items: I, mut f: F) -> Vec<Result<Fut::Output, TaskError>>
    where
        I: IntoIterator,
        F: FnMut(I::Item) -> Fut,
        Fut: Future,
    {
        let mut items = items.into_iter().fuse();
        let mut results = Vec::new();
        let mut begins = Instant::now();
        loop {
            let batch = items.by_ref().take(self.size.max(1));
            // Called only when there is room, so that what began late pushes back those after it.
            let futures = batch.map(|item| {
                let begin = begins.max(Instant::now());
                begins = begin.checked_add(self.min_delay).unwrap_or_else(far_future);
                self.spaced(begin, f(item))
            });
            let before = results.len();
            results.extend(gather(self.max_concurrency, futures).await);
            if results.len() == before {
                return results;
            }
        }
    }

    async fn spaced<Fut: Future>(&self, begin: Instant, future: Fut) -> Fut::Output {
        if !self.min_delay.is_zero() {
            sleep_until(begin).await;
        }
        let mut counted = Counted { progress: self.progress.as_ref(), has_ended: false };
        let output = future.await;
        counted.has_ended = true;
        output
    }
}

/// Counts an item that has ended, be it by a panic; one that was given up has not.
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

/// A delay beyond all calendars.
fn far_future() -> Instant {
    Instant::now() + Duration::from_secs(60 * 60 * 24 * 365 * 30)
}

use std::num::NonZeroUsize;
use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use futures_util::stream::{FuturesUnordered, StreamExt};

use crate::error::TaskError;

/// Runs all `futures` with at most `max_concurrency` of them alive (0 counts as 1), and returns their results in the
/// order given, a panic as a [`TaskError`] of its own.
///
/// Spawns nothing: the caller polls, so the futures may borrow. [`Runner::map`](crate::Runner::map) uses all cores.
/// The iterator is taken lazily, so memory beside the results is bounded by the limit.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let words = ["a", "bb"];
/// let lengths = antiphon_runtime::gather(8, words.iter().map(async |word| word.len())).await;
/// assert_eq!(lengths, [Ok(1), Ok(2)]);
/// # }
/// ```
///
/// # Cancel safety
/// Dropping it drops the futures under way and takes no further one; results so far are lost.
pub async fn gather<I>(
    max_concurrency: usize,
    futures: I,
) -> Vec<Result<<I::Item as Future>::Output, TaskError>>
where
    I: IntoIterator<Item: Future>,
{
    let limit = NonZeroUsize::new(max_concurrency).unwrap_or(NonZeroUsize::MIN).get();
    let mut results = Vec::new();
    let mut running = FuturesUnordered::new();
    for (index, future) in futures.into_iter().enumerate() {
        if running.len() == limit
            && let Some((done, result)) = running.next().await
        {
            results[done] = result;
        }
        results.push(Err(TaskError::Cancelled));
        running.push(contained(index, future));
    }
    while let Some((done, result)) = running.next().await {
        results[done] = result;
    }
    results
}

async fn contained<F: Future>(index: usize, future: F) -> (usize, Result<F::Output, TaskError>) {
    // A future that panicked is dropped and never polled again, so no broken state of it can be seen.
    let result = AssertUnwindSafe(future).catch_unwind().await;
    (index, result.map_err(|panic| TaskError::panicked(&*panic)))
}

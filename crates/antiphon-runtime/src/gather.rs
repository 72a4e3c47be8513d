use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_util::stream::{FuturesUnordered, StreamExt};
use pin_project::{pin_project, pinned_drop};
use tokio::task::coop::consume_budget;

use crate::error::TaskError;
use crate::observe::{self, Observation};
use crate::task::{Ending, drop_future};

/// Runs all `futures` with a concurrency limit of `max_concurrency` (0 counts as 1) and returns their results in order.
///
/// The futures are polled by the caller's task and not spawned. They may therefore borrow from the caller, but they share one
/// core: for CPU-bound work, [`Runner::map`](crate::Runner::map) uses all cores. A panic is caught and becomes the [`TaskError`]
/// of its future. The iterator is consumed lazily, so that at most `max_concurrency` futures exist at a time.
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
/// Dropping the future drops the futures in progress and starts no further ones; the results so far are lost.
pub async fn gather<I>(
    max_concurrency: usize,
    futures: I,
) -> Vec<Result<<I::Item as Future>::Output, TaskError>>
where
    I: IntoIterator<Item: Future>,
{
    let observation = Observation::gather();
    let limit = max_concurrency.max(1);
    let mut results = Vec::new();
    let mut running = FuturesUnordered::new();
    // Each future is first polled in this slot and gets its own allocation only if it has to wait.
    let mut first = Box::pin(Contained { index: 0, future: None });
    let mut futures = futures.into_iter().enumerate();
    loop {
        if running.len() == limit
            && let Some((done, result)) = running.next().await
        {
            results[done] = result;
        }
        let Some((index, future)) = futures.next() else { break };
        first.as_mut().begin(index, future);
        match poll_fn(|cx| Poll::Ready(first.as_mut().poll(cx))).await {
            Poll::Ready((_, result)) => {
                results.push(result);
                // A long series of futures that are ready at once must starve neither other tasks nor the waiting futures.
                consume_budget().await;
                if index % 32 == 0 {
                    while let Some((done, result)) = poll_fn(|cx| next_now(&mut running, cx)).await {
                        results[done] = result;
                    }
                }
            }
            Poll::Pending => {
                results.push(Err(TaskError::Cancelled));
                running.push(std::mem::replace(&mut first, Box::pin(Contained { index, future: None })));
            }
        }
    }
    while let Some((done, result)) = running.next().await {
        results[done] = result;
    }
    observation.end(Ending::Completed);
    results
}

/// Returns the next finished future's output without waiting for one.
fn next_now<F: Future>(running: &mut FuturesUnordered<F>, cx: &mut Context<'_>) -> Poll<Option<F::Output>> {
    match running.poll_next_unpin(cx) {
        Poll::Ready(next) => Poll::Ready(next),
        Poll::Pending => Poll::Ready(None),
    }
}

/// A future with its index in the results; a panic is caught. Dropped before its end, it counts as cancelled.
#[pin_project(PinnedDrop)]
struct Contained<F> {
    index: usize,
    #[pin]
    future: Option<F>,
}

impl<F> Contained<F> {
    fn begin(self: Pin<&mut Self>, index: usize, future: F) {
        let mut this = self.project();
        *this.index = index;
        this.future.set(Some(future));
    }
}

#[pinned_drop]
impl<F> PinnedDrop for Contained<F> {
    fn drop(self: Pin<&mut Self>) {
        if self.future.is_some() {
            observe::gathered(Ending::Cancelled);
        }
    }
}

impl<F: Future> Future for Contained<F> {
    type Output = (usize, Result<F::Output, TaskError>);

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let Some(future) = this.future.as_mut().as_pin_mut() else { return Poll::Pending };
        // A future that panicked is dropped and never polled again, so its broken state cannot be observed.
        let result = match catch_unwind(AssertUnwindSafe(|| future.poll(cx))) {
            Ok(polled) => Ok(ready!(polled)),
            Err(panic) => Err(TaskError::panicked(&*panic)),
        };
        let result = drop_future(this.future.as_mut()).and(result);
        observe::gathered(Ending::of(&result));
        Poll::Ready((*this.index, result))
    }
}

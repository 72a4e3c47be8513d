use std::any::Any;
use std::fmt;
use std::num::NonZeroUsize;
use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use futures_util::stream::{FuturesUnordered, StreamExt};

/// Runs futures with at most so many alive at once.
///
/// Use it where each piece of work is slow and independent. It spawns nothing: the work is polled by the caller and
/// ends with it.
#[derive(Debug, Clone)]
pub struct Runner {
    max_concurrency: NonZeroUsize,
}

/// Why a task gave no result.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum TaskError {
    /// It was given up before it had ended.
    Cancelled,
    /// It panicked; the panic's text.
    Panicked(String),
}

impl fmt::Display for TaskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cancelled => f.write_str("cancelled"),
            Self::Panicked(text) => write!(f, "panicked: {text}"),
        }
    }
}

impl std::error::Error for TaskError {}

impl Runner {
    /// A runner that keeps at most `max_concurrency` futures alive at once; 0 counts as 1.
    #[must_use]
    pub fn new(max_concurrency: usize) -> Self {
        Self { max_concurrency: NonZeroUsize::new(max_concurrency).unwrap_or(NonZeroUsize::MIN) }
    }

    /// The limit.
    #[must_use]
    pub fn max_concurrency(&self) -> usize {
        self.max_concurrency.get()
    }

    /// Runs all `futures` and returns their results in the order given, a panic as a [`TaskError`] of its own.
    ///
    /// The iterator is taken lazily: a future is made only when there is room for it, so memory beside the results is
    /// bounded by the limit.
    ///
    /// # Cancel safety
    /// Dropping it drops the futures under way and takes no further one; results so far are lost.
    pub async fn gather<I>(&self, futures: I) -> Vec<Result<<I::Item as Future>::Output, TaskError>>
    where
        I: IntoIterator<Item: Future>,
    {
        let mut results = Vec::new();
        let mut running = FuturesUnordered::new();
        for (index, future) in futures.into_iter().enumerate() {
            if running.len() == self.max_concurrency.get()
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
}

async fn contained<F: Future>(index: usize, future: F) -> (usize, Result<F::Output, TaskError>) {
    // A future that panicked is dropped and never polled again, so no broken state of it can be seen.
    let result = AssertUnwindSafe(future).catch_unwind().await;
    (index, result.map_err(|panic| TaskError::Panicked(panic_text(&*panic))))
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    match (panic.downcast_ref::<&str>(), panic.downcast_ref::<String>()) {
        (Some(text), _) => (*text).to_owned(),
        (_, Some(text)) => text.clone(),
        _ => "a panic without a text".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::time::Duration;

    use futures_util::FutureExt;
    use tokio::time::{Instant, sleep};

    use super::{Runner, TaskError};

    #[tokio::test(start_paused = true)]
    async fn gather_respects_its_limit_and_keeps_the_order() {
        let (alive, peak) = (Cell::new(0_usize), Cell::new(0_usize));
        let start = Instant::now();
        let jobs = (0..20_u64).map(|n| {
            let (alive, peak) = (&alive, &peak);
            async move {
                alive.set(alive.get() + 1);
                peak.set(peak.get().max(alive.get()));
                sleep(Duration::from_millis(100 + n % 2)).await;
                alive.set(alive.get() - 1);
                n
            }
        });
        let results = Runner::new(2).gather(jobs).await;
        assert_eq!(peak.get(), 2);
        assert_eq!(results, (0..20).map(Ok).collect::<Vec<_>>());
        assert_eq!(start.elapsed(), Duration::from_millis(1010));
    }

    #[tokio::test]
    async fn futures_are_made_only_when_there_is_room() {
        let made = Cell::new(0);
        let jobs = (0..100).map(|_| {
            made.set(made.get() + 1);
            std::future::pending::<()>()
        });
        assert!(Runner::new(3).gather(jobs).now_or_never().is_none());
        assert_eq!(made.get(), 4);
    }

    #[tokio::test]
    async fn a_panic_loses_no_other_result() {
        let jobs = (0..3).map(|n| async move {
            assert!(n != 1, "job {n} broke");
            n
        });
        let results = Runner::new(1).gather(jobs).await;
        assert_eq!(results, [Ok(0), Err(TaskError::Panicked("job 1 broke".to_owned())), Ok(2)]);
    }
}

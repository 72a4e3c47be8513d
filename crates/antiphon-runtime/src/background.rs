use std::pin::Pin;
use std::task::{Context, Poll, ready};

use crate::observe::Observation;
use crate::task::{Ending, Job, Task, job};

/// Spawns a future as a background task and returns an owning handle: dropping the handle cancels the task.
///
/// With `tokio::spawn`, a dropped handle detaches the task instead. Awaiting the handle returns the output, or a
/// [`TaskError`](crate::TaskError) if the task panicked. No concurrency limit applies: for more than a few tasks, use a
/// [`Runner`](crate::Runner).
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), antiphon_runtime::TaskError> {
/// let task = antiphon_runtime::background(async { 40 + 2 });
/// assert_eq!(task.await?, 42);
/// # Ok(())
/// # }
/// ```
///
/// # Panics
/// Outside a tokio runtime.
#[expect(clippy::disallowed_methods, reason = "the returned task owns it")]
pub fn background<F>(future: F) -> Task<F::Output>
where
    F: Future<Output: Send> + Send + 'static,
{
    let (job, task) = job(future, None, tracing::debug_span!("background"));
    drop(tokio::spawn(Observed { observation: Some(Observation::background()), job }));
    task
}

/// A job whose end is recorded before its task can see it.
struct Observed {
    // Dropped first, so that a job that is dropped with its runtime is recorded before it reports, too.
    observation: Option<Observation>,
    job: Job,
}

impl Future for Observed {
    type Output = Ending;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Ending> {
        let ending = ready!(Pin::new(&mut self.job).poll(cx));
        if let Some(observation) = self.observation.take() {
            observation.end(ending);
        }
        Poll::Ready(ending)
    }
}

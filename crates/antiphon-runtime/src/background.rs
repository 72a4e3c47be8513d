use crate::task::{Task, job};

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
    drop(tokio::spawn(job));
    task
}

use crate::task::{Task, job};

/// Spawns a future in the background and returns an owning handle: dropping the handle cancels the future.
///
/// No concurrency limit applies; use a [`Runner`](crate::Runner) for more than a few tasks. Unlike with `tokio::spawn`, the task
/// has an owner, and a panic is returned as a [`TaskError`](crate::TaskError).
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

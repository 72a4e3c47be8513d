use crate::task::{Task, job};

/// Starts a future beside the caller and returns a handle on it, which owns it: dropping the handle cancels the future.
///
/// Use a [`Runner`](crate::Runner) for more than a few: this has no limit. It differs from `tokio::spawn` in that the task
/// has an owner, and in that a panic comes back as a [`TaskError`](crate::TaskError).
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

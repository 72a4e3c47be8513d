use antiphon_engine::ErrorKind;

use crate::error::Error;

/// Runs CPU-bound work on tokio's blocking pool, since verification and anonymisation of large documents take longer
/// than a poll should. `None` if the runtime shut down before the work began.
///
/// A panic of the work resumes in the caller. Work that has begun runs to its end, even if the caller is dropped.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => Some(result),
        Err(join) if join.is_panic() => std::panic::resume_unwind(join.into_panic()),
        Err(_) => None,
    }
}

/// Creates the error of a run whose runtime shut down.
pub(crate) fn shutting_down() -> Error {
    Error::new(ErrorKind::Cancelled, "the runtime is shutting down")
}

use std::panic::resume_unwind;
use std::path::Path;

use tracing::Span;

use crate::error::{Error, ErrorKind};
use crate::span::{file_span, record_error, record_size};

/// Runs `work` on a blocking thread, in a span of its own; work that has started runs to its end even if the caller is
/// dropped.
pub(crate) async fn run_blocking<T, F>(operation: &'static str, path: &Path, work: F) -> Result<T, Error>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T, Error> + Send + 'static,
{
    run_blocking_in(&file_span(operation, path), operation, path, work).await
}

/// Runs `work` like [`run_blocking`], and records in its span the bytes that `size` finds in the result.
pub(crate) async fn run_sized<T, F>(
    operation: &'static str,
    path: &Path,
    size: fn(&T) -> u64,
    work: F,
) -> Result<T, Error>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T, Error> + Send + 'static,
{
    let span = file_span(operation, path);
    let result = run_blocking_in(&span, operation, path, work).await;
    result.inspect(|done| record_size(&span, size(done)))
}

/// Runs `work` like [`run_blocking`], in a span that the caller has opened.
pub(crate) async fn run_blocking_in<T, F>(
    span: &Span,
    operation: &'static str,
    path: &Path,
    work: F,
) -> Result<T, Error>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T, Error> + Send + 'static,
{
    let span = span.clone();
    let task = tokio::task::spawn_blocking(move || {
        let _entered = span.enter();
        work().inspect_err(|err| record_error(&span, err))
    });
    match task.await {
        Ok(result) => result,
        Err(join) if join.is_panic() => resume_unwind(join.into_panic()),
        Err(_) => Err(Error::new(ErrorKind::Cancelled, operation, path)),
    }
}

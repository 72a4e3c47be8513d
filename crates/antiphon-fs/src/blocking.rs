use std::panic::resume_unwind;
use std::path::Path;

use crate::error::{Error, ErrorKind};

/// Runs `work` on a blocking thread; work that has started runs to its end even if the caller is dropped.
pub(crate) async fn run_blocking<T, F>(operation: &'static str, path: &Path, work: F) -> Result<T, Error>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T, Error> + Send + 'static,
{
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(join) if join.is_panic() => resume_unwind(join.into_panic()),
        Err(_) => Err(Error::new(ErrorKind::Cancelled, operation, path)),
    }
}

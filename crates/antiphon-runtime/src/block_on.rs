use std::fmt;
use std::io;

use tokio::runtime::{Builder, Handle};

/// The error of [`block_on`]: the future was not run.
#[derive(Debug)]
#[non_exhaustive]
pub enum BlockOnError {
    /// The caller already runs inside an async runtime, where blocking would stop all other tasks of the thread. Await the
    /// future instead.
    InsideRuntime,
    /// The runtime could not be created.
    NoRuntime(io::Error),
}

impl fmt::Display for BlockOnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::InsideRuntime => {
                "block_on was called inside an async runtime: await the future there instead"
            }
            Self::NoRuntime(_) => "could not start an async runtime",
        })
    }
}

impl std::error::Error for BlockOnError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::InsideRuntime => None,
            Self::NoRuntime(err) => Some(err),
        }
    }
}

/// Runs a future to completion from synchronous code, on this thread and a new current-thread runtime.
///
/// Each call creates a runtime and drops it at the end, along with the tasks that the future has spawned. For many calls from
/// synchronous code, create one tokio runtime and reuse it.
///
/// ```
/// let sum = antiphon_runtime::block_on(async { 1 + 1 })?;
/// assert_eq!(sum, 2);
/// # Ok::<(), antiphon_runtime::BlockOnError>(())
/// ```
///
/// # Errors
/// [`InsideRuntime`](BlockOnError::InsideRuntime) if called inside a runtime, [`NoRuntime`](BlockOnError::NoRuntime) if the
/// system cannot create one.
pub fn block_on<F: Future>(future: F) -> Result<F::Output, BlockOnError> {
    if Handle::try_current().is_ok() {
        return Err(BlockOnError::InsideRuntime);
    }
    let runtime = Builder::new_current_thread().enable_all().build().map_err(BlockOnError::NoRuntime)?;
    Ok(runtime.block_on(future))
}

use std::fmt;
use std::io;

use tokio::runtime::{Builder, Handle};

/// Why [`block_on`] did not run a future.
#[derive(Debug)]
#[non_exhaustive]
pub enum BlockOnError {
    /// The caller is async already, and blocking would stop everything else on its thread: await the future instead.
    InsideRuntime,
    /// The system gave no runtime.
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

/// Runs a future to its end from synchronous code, on this thread and a runtime of its own.
///
/// What the future leaves in the background ends with it. For many calls from synchronous code, keep a runtime of tokio's:
/// this one is made and dropped with each call.
///
/// ```
/// let sum = antiphon_runtime::block_on(async { 1 + 1 })?;
/// assert_eq!(sum, 2);
/// # Ok::<(), antiphon_runtime::BlockOnError>(())
/// ```
///
/// # Errors
/// `InsideRuntime` where a runtime is at work already, `NoRuntime` where the system gives none.
pub fn block_on<F: Future>(future: F) -> Result<F::Output, BlockOnError> {
    if Handle::try_current().is_ok() {
        return Err(BlockOnError::InsideRuntime);
    }
    let runtime = Builder::new_current_thread().enable_all().build().map_err(BlockOnError::NoRuntime)?;
    Ok(runtime.block_on(future))
}

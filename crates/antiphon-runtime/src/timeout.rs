use std::fmt;
use std::time::Duration;

use crate::observe::Observation;
use crate::task::Ending;

/// The error of [`timeout`]: the future did not finish within the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimedOut {
    /// The time limit that was exceeded.
    pub after: Duration,
}

impl fmt::Display for TimedOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "timed out after {:?}", self.after)
    }
}

impl std::error::Error for TimedOut {}

/// Runs a future with a time limit, and drops it if the limit expires first.
///
/// Differs from `tokio::time::timeout` in that the error contains the limit. For a limit on each task of a
/// [`Runner`](crate::Runner), use [`Runner::task_timeout`](crate::Runner::task_timeout).
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// use std::time::Duration;
///
/// let limit = Duration::from_millis(5);
/// let late = antiphon_runtime::timeout(limit, std::future::pending::<()>()).await;
/// assert_eq!(late.unwrap_err().to_string(), "timed out after 5ms");
/// # }
/// ```
///
/// # Errors
/// [`TimedOut`] if the limit expires first.
///
/// # Panics
/// Outside a tokio runtime.
///
/// # Cancel safety
/// Dropping the call drops the future.
pub async fn timeout<F: Future>(limit: Duration, future: F) -> Result<F::Output, TimedOut> {
    let observation = Observation::timeout();
    let result = tokio::time::timeout(limit, future).await;
    observation.end(if result.is_ok() { Ending::Completed } else { Ending::TimedOut });
    result.map_err(|_| TimedOut { after: limit })
}

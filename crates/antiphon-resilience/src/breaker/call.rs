use std::error::Error;
use std::fmt;

use tracing::Instrument;

use super::circuit::{CircuitBreaker, CircuitOpen};

/// A view of a breaker that counts only some errors as failures; see [`CircuitBreaker::trips_on`].
#[derive(Clone)]
pub struct TripsOn<'a, F> {
    pub(super) breaker: &'a CircuitBreaker,
    pub(super) is_failure: F,
}

/// An error of a call through a [`CircuitBreaker`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BreakerError<E> {
    /// Rejected by the open breaker: the call was not made and is not billed.
    CircuitOpen(CircuitOpen),
    /// Error returned by the call itself, whether or not the breaker counts it as a failure.
    Failed(E),
}

impl<F> TripsOn<'_, F> {
    /// Makes a call if the breaker admits it, and reports its result to the breaker.
    ///
    /// # Errors
    /// [`BreakerError::CircuitOpen`], or the call's own error as [`BreakerError::Failed`].
    ///
    /// # Cancel safety
    /// Dropping the future drops the call, which the breaker then does not count. If it was a trial, another call may make it.
    #[expect(clippy::future_not_send, reason = "it is Send whenever the call and the predicate are")]
    pub async fn call<T, E, Fut>(&self, call: Fut) -> Result<T, BreakerError<E>>
    where
        F: Fn(&E) -> bool,
        Fut: Future<Output = Result<T, E>>,
    {
        let permit = self.breaker.permit().map_err(BreakerError::CircuitOpen)?;
        match call.instrument(permit.span.clone()).await {
            Ok(value) => {
                permit.success();
                Ok(value)
            }
            Err(err) => {
                if (self.is_failure)(&err) {
                    permit.failure();
                }
                Err(BreakerError::Failed(err))
            }
        }
    }
}

impl<F> fmt::Debug for TripsOn<'_, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TripsOn").field("breaker", self.breaker).finish_non_exhaustive()
    }
}

impl<E: fmt::Display> fmt::Display for BreakerError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CircuitOpen(rejected) => rejected.fmt(f),
            Self::Failed(err) => err.fmt(f),
        }
    }
}

impl<E: Error + 'static> Error for BreakerError<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::CircuitOpen(_) => None,
            // This error has the text of `err`, so the cause is the source of `err`.
            Self::Failed(err) => err.source(),
        }
    }
}

use antiphon_resilience::Deadline;
use tokio_util::sync::CancellationToken;

use crate::error::{Billed, Error, ErrorKind, Phase};

/// How a call is made: nothing of this changes the answer.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct CallContext {
    /// When it must be over, attempts and pauses together. Default: never.
    pub deadline: Deadline,
    /// Gives it up when cancelled.
    pub cancel: CancellationToken,
}

impl CallContext {
    /// Sets when the call must be over.
    #[must_use]
    pub fn deadline(mut self, deadline: Deadline) -> Self {
        self.deadline = deadline;
        self
    }

    /// Sets what gives the call up.
    #[must_use]
    pub fn cancel(mut self, cancel: CancellationToken) -> Self {
        self.cancel = cancel;
        self
    }

    /// Runs `work` until it ends, the call is cancelled, or its deadline has passed.
    ///
    /// # Errors
    /// `Cancelled` or `Timeout`, as possibly billed: `work` was dropped, and nobody knows how far the provider got.
    ///
    /// # Cancel safety
    /// Drops `work`.
    pub async fn guard<T>(&self, work: impl Future<Output = T> + Send) -> Result<T, Error> {
        tokio::select! {
            // What has ended has ended, and a layer within knows more of its end than this one.
            biased;
            value = work => Ok(value),
            () = self.cancel.cancelled() => {
                Err(Error::new(ErrorKind::Cancelled, "the call was cancelled").with_billed(Billed::Maybe))
            }
            () = self.deadline.passed() => {
                let kind = ErrorKind::Timeout { phase: Phase::Total };
                Err(Error::new(kind, "the call did not end before its deadline").with_billed(Billed::Maybe))
            }
        }
    }
}

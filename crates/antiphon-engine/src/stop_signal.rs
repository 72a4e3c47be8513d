//! The stop signal of a run: a cancellation token with a reason.
//!
//! Any job, the dispatcher or the reader of the input may stop the run, and several often do so for the same cause,
//! such as a wrong key. The first reason is the one that is reported. By itself, the signal does not abort calls in
//! progress; it keeps further ones from being sent.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use antiphon_llm::Deadline;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::stop::StopCause;

/// The stop signal of a run: the first reason is kept, and after it no call begins.
#[derive(Debug)]
pub(crate) struct StopSignal {
    /// The token that waiting jobs observe.
    token: CancellationToken,
    /// The first reason; always set before the token is cancelled.
    reason: Mutex<Option<StopCause>>,
    /// The deadline of the run. Reaching it does not cancel the token by itself.
    deadline: Deadline,
}

impl StopSignal {
    /// Creates the signal of a run with this deadline.
    pub(crate) fn new(deadline: Deadline) -> Self {
        Self { token: CancellationToken::new(), reason: Mutex::default(), deadline }
    }

    /// Stops the run, for this reason unless it was stopped before.
    pub(crate) fn stop(&self, reason: StopCause) {
        self.reason.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(reason);
        self.token.cancel();
    }

    /// Returns why the run was stopped; `None` while it was not.
    pub(crate) fn reason(&self) -> Option<StopCause> {
        self.reason.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns whether the run was stopped, so that no further call may begin.
    pub(crate) fn is_stopped(&self) -> bool {
        self.token.is_cancelled()
    }

    /// Returns the token that is cancelled when the run is stopped.
    pub(crate) fn token(&self) -> &CancellationToken {
        &self.token
    }

    /// Returns whether the deadline will have passed after a pause that begins at `now`. A retry that would be late is
    /// not worth the wait. Without a deadline nothing is late.
    pub(crate) fn is_late(&self, pause: Duration, now: Instant) -> bool {
        !self.deadline.allows(pause, now.into_std())
    }

    /// Returns the time of the deadline; `None` without one.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.deadline.instant().map(Instant::from_std)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use antiphon_llm::Deadline;
    use tokio::time::Instant;

    use super::StopSignal;
    use crate::stop::StopCause;

    #[test]
    fn the_first_reason_is_kept() {
        let signal = StopSignal::new(Deadline::none());
        assert!(!signal.is_stopped() && signal.reason().is_none());
        signal.stop(StopCause::Interrupted);
        signal.stop(StopCause::Cancelled);
        assert!(signal.token().is_cancelled() && matches!(signal.reason(), Some(StopCause::Interrupted)));
    }

    #[tokio::test]
    async fn a_pause_past_the_deadline_is_late() {
        let deadline = Deadline::after(Duration::from_secs(10));
        let (signal, now) = (StopSignal::new(deadline), Instant::now());
        assert!(!signal.is_late(Duration::from_secs(9), now) && signal.is_late(Duration::from_secs(11), now));
        assert!(signal.is_late(Duration::ZERO, now + Duration::from_secs(11)));
        assert!(signal.deadline().is_some() && !signal.is_stopped());
    }
}

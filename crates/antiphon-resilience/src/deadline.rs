use std::time::{Duration, Instant};

/// One instant by which everything that belongs to a call must be over: attempts, pauses and queueing together.
///
/// A time-out bounds one step and begins anew with each; pass a deadline down instead, so that the steps share one bound.
///
/// ```
/// use std::time::Duration;
/// use antiphon_resilience::{Deadline, RetryPolicy, Verdict};
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() {
/// let (policy, deadline) = (RetryPolicy::default(), Deadline::after(Duration::from_secs(5)));
/// let busy = |_: &&str| Verdict::Throttled { retry_after: Some(Duration::from_secs(30)) };
/// let answer = policy.run(busy, |_| async { Err::<(), _>("busy") }).deadline(deadline).await;
/// assert_eq!(answer, Err("busy"));
/// let left = deadline.remaining(tokio::time::Instant::now().into_std());
/// assert_eq!(left, Some(Duration::from_secs(5)), "a pause that would end too late is not begun");
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Deadline(Option<Instant>);

impl Deadline {
    /// No limit.
    #[must_use]
    pub fn none() -> Self {
        Self(None)
    }

    /// At `instant`.
    #[must_use]
    pub fn at(instant: Instant) -> Self {
        Self(Some(instant))
    }

    /// In `duration` from now, on tokio's clock; a duration too long to express is no limit.
    #[must_use]
    pub fn after(duration: Duration) -> Self {
        Self(now().checked_add(duration))
    }

    /// The instant, if there is a limit.
    #[must_use]
    pub fn instant(self) -> Option<Instant> {
        self.0
    }

    /// Time left at `now`: zero once it is over, `None` without a limit.
    #[must_use]
    pub fn remaining(self, now: Instant) -> Option<Duration> {
        self.0.map(|at| at.saturating_duration_since(now))
    }

    /// Whether a pause of `pause` from `now` would end in time.
    #[must_use]
    pub fn allows(self, pause: Duration, now: Instant) -> bool {
        self.remaining(now).is_none_or(|left| pause < left)
    }

    /// Waits until the deadline; for ever without one. Meant for `tokio::select!`.
    ///
    /// # Cancel safety
    /// A dropped call changes nothing.
    pub async fn passed(self) {
        match self.0 {
            Some(at) => tokio::time::sleep_until(at.into()).await,
            None => std::future::pending().await,
        }
    }
}

/// Tokio's clock, so that tests can pause it.
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

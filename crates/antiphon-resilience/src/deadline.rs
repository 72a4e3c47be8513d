use std::time::{Duration, Instant};

/// A deadline: the instant by which a call must have ended, with its attempts, pauses and time in queues.
///
/// A timeout limits a single step and starts again with the next one. A deadline is passed down, so that all steps share one
/// limit. Default: [`Deadline::none`].
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
    /// Creates a deadline that never passes.
    #[must_use]
    pub fn none() -> Self {
        Self(None)
    }

    /// Creates a deadline at `instant`.
    #[must_use]
    pub fn at(instant: Instant) -> Self {
        Self(Some(instant))
    }

    /// Creates a deadline `duration` from now, on tokio's clock. A duration that overflows the clock means no limit.
    #[must_use]
    pub fn after(duration: Duration) -> Self {
        Self(now().checked_add(duration))
    }

    /// Returns the instant of the deadline; `None` if there is no limit.
    #[must_use]
    pub fn instant(self) -> Option<Instant> {
        self.0
    }

    /// Returns the time left at `now`: zero once the deadline has passed, `None` if there is no limit.
    #[must_use]
    pub fn remaining(self, now: Instant) -> Option<Duration> {
        self.0.map(|at| at.saturating_duration_since(now))
    }

    /// Returns whether a pause that starts at `now` would end before the deadline.
    #[must_use]
    pub fn allows(self, pause: Duration, now: Instant) -> bool {
        self.remaining(now).is_none_or(|left| pause < left)
    }

    /// Waits until the deadline has passed; never returns if there is no limit. For use in `tokio::select!`.
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub async fn passed(self) {
        match self.0 {
            Some(at) => tokio::time::sleep_until(at.into()).await,
            None => std::future::pending().await,
        }
    }
}

/// Returns the time of tokio's clock, which tests can pause.
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

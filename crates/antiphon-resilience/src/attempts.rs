use std::time::{Duration, Instant};

use crate::retry::Verdict;

/// A log of the failed attempts of one call: when each failed, the verdict on its error, and whether it is possibly billed.
///
/// Pass it to [`Retry::log`](crate::Retry::log). The attempt that succeeds is not logged: the log of a call without failures is
/// empty and allocates nothing.
///
/// ```
/// use antiphon_resilience::{Attempts, RetryPolicy, Verdict};
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() {
/// let (policy, mut attempts) = (RetryPolicy::default(), Attempts::default());
/// let answer = policy
///     .run(|_: &&str| Verdict::Retry, |attempt| async move {
///         match attempt.number {
///             1 => Err("refused"),
///             2 => Err("cut off"),
///             _ => Ok("done"),
///         }
///     })
///     .log(&mut attempts, |err| *err == "cut off")
///     .await;
/// assert_eq!(answer, Ok("done"));
/// assert_eq!((attempts.len(), attempts.may_be_billed()), (2, 1));
/// assert!(attempts.iter().all(|failed| failed.pause.is_some()));
/// # }
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attempts(Vec<FailedAttempt>);

/// A failed attempt in a log of [`Attempts`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FailedAttempt {
    /// Number of the attempt, from 1.
    pub number: u32,
    /// Time of the failure, on tokio's clock.
    pub at: Instant,
    /// Verdict on the error of the attempt.
    pub verdict: Verdict,
    /// Pause before the next attempt; `None` if no further attempt was made.
    pub pause: Option<Duration>,
    /// Whether the attempt is possibly billed: the server may have carried out the request.
    pub may_be_billed: bool,
}

impl Attempts {
    /// Returns the number of failed attempts.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns whether no attempt failed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Iterates over the failed attempts, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &FailedAttempt> {
        self.0.iter()
    }

    /// Returns the number of failed attempts that are possibly billed.
    #[must_use]
    pub fn may_be_billed(&self) -> usize {
        self.0.iter().filter(|attempt| attempt.may_be_billed).count()
    }

    pub(crate) fn push(&mut self, failed: FailedAttempt) {
        self.0.push(failed);
    }
}

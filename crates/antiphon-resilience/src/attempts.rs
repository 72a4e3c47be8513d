use std::time::{Duration, Instant};

use crate::retry::Verdict;

/// The attempts of a call that failed: when, how, and whether they may have cost money all the same.
///
/// The attempt that succeeds is not in it, so the log of an undisturbed call is empty and allocates nothing.
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

/// One entry of [`Attempts`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FailedAttempt {
    /// From 1.
    pub number: u32,
    /// When it failed, on tokio's clock.
    pub at: Instant,
    /// What its error meant for the next one.
    pub verdict: Verdict,
    /// The pause before the next attempt; `None` if there was none.
    pub pause: Option<Duration>,
    /// Whether the other side may have done, and charged for, what was asked.
    pub may_be_billed: bool,
}

impl Attempts {
    /// How many failed.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether none failed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The failed attempts, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &FailedAttempt> {
        self.0.iter()
    }

    /// How many of them may have been billed.
    #[must_use]
    pub fn may_be_billed(&self) -> usize {
        self.0.iter().filter(|attempt| attempt.may_be_billed).count()
    }

    pub(crate) fn push(&mut self, failed: FailedAttempt) {
        self.0.push(failed);
    }
}

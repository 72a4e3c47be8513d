//! When to call again, when to wait and when to stop.
//!
//! ```
//! use antiphon_resilience::{Deadline, RetryPolicy, Verdict};
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() {
//! let policy = RetryPolicy::default().max_retries(2);
//! let answer = policy
//!     .run(Deadline::none(), |_err: &&str| Verdict::Retry, |attempt| async move {
//!         if attempt.number < 3 { Err("not yet") } else { Ok(attempt.number) }
//!     })
//!     .await;
//! assert_eq!(answer, Ok(3));
//! # }
//! ```

mod backoff;
mod deadline;
mod retry;
mod retry_after;

pub use backoff::Backoff;
pub use deadline::Deadline;
pub use retry::{Attempt, RetryPolicy, Verdict};
pub use retry_after::parse_retry_after;

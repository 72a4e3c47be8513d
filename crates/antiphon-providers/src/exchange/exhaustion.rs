//! The wait for a file descriptor, when this process or this machine has none left for a connection.
//!
//! Thousands of concurrent calls exceed the limit of open files of many systems. Such a call has not left the
//! machine, so it is retried here and not by the caller's retry policy, whose attempts are for the server's faults.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use antiphon_llm::{Error, ErrorKind};
use tokio::time::{Instant, sleep};
use tracing::warn;

/// Retries a request that could not be sent for lack of a file descriptor, with exponential backoff from 50 ms to 1 s: other
/// calls end and release theirs. Such a retry is not counted as an attempt, since nothing has left the machine.
/// The pauses are 50, 100, 200, 400 and 800 ms, and then 1 s.
///
/// # Errors
/// The last `Exhausted` after `timeout`, counted from the first failure; any other error immediately.
///
/// # Cancel safety
/// Dropping the future drops the pause or the request in progress.
pub(super) async fn retry_exhausted<T, Fut>(
    send: impl Fn() -> Fut,
    mut err: Error,
    timeout: Duration,
) -> Result<T, Error>
where
    Fut: Future<Output = Result<T, Error>>,
{
    const SHORTEST: Duration = Duration::from_millis(50);
    const LONGEST: Duration = Duration::from_secs(1);
    warn_of_exhaustion(&err);
    let (began, mut pause) = (Instant::now(), SHORTEST);
    while began.elapsed() < timeout {
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST);
        match send().await {
            Err(again) if again.kind() == ErrorKind::Exhausted => err = again,
            done => return done,
        }
    }
    Err(err)
}

/// Warns that this machine has no file descriptor left, at most every 15 seconds however many calls wait for one.
fn warn_of_exhaustion(err: &Error) {
    const PAUSE: Duration = Duration::from_secs(15);
    static LAST: Mutex<Option<Instant>> = Mutex::new(None);
    let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    if last.is_none_or(|last| last.elapsed() >= PAUSE) {
        *last = Some(Instant::now());
        warn!("{err}; waiting until one is free");
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::time::Duration;

    use antiphon_llm::{Error, ErrorKind};
    use tokio::time::Instant;

    use super::retry_exhausted;

    fn exhausted() -> Error {
        Error::new(ErrorKind::Exhausted, "too many open files")
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_without_a_descriptor_waits_for_one() {
        let (began, calls) = (Instant::now(), Cell::new(0));
        let send = async || {
            calls.set(calls.get() + 1);
            if calls.get() < 3 { Err(exhausted()) } else { Ok(calls.get()) }
        };
        let sent = retry_exhausted(&send, exhausted(), Duration::from_secs(60)).await;
        assert_eq!((sent.unwrap(), began.elapsed()), (3, Duration::from_millis(50 + 100 + 200)));
    }

    #[tokio::test(start_paused = true)]
    async fn the_wait_for_a_descriptor_ends_at_the_time_out() {
        let began = Instant::now();
        let never = async || Err::<(), _>(exhausted());
        let err = retry_exhausted(never, exhausted(), Duration::from_secs(60)).await.unwrap_err();
        assert_eq!(err.kind(), ErrorKind::Exhausted);
        assert_eq!(began.elapsed().as_secs(), 60);
    }
}

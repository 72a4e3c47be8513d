//! Ctrl-C (SIGINT) and SIGTERM: a graceful stop first, an immediate one next, an exit last.
//!
//! | signal | a run | work that resumes anyway |
//! |---|---|---|
//! | first Ctrl-C | drains: no new call, answers in progress are received and stored | cancels |
//! | second Ctrl-C | aborts the calls in progress, which are then possibly billed | exits |
//! | third Ctrl-C | exits | - |
//! | SIGTERM, first | drains and aborts, since a service manager kills soon after | cancels |
//!
//! A stop is a `CancellationToken`, so that the work itself decides what it finishes. The exit is for work that
//! observes no token because it blocks. The exit code is that of the last signal: 130 for SIGINT and 143 for SIGTERM,
//! as shells use (128 plus the number of the signal).

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use tokio::runtime::Runtime;
#[cfg(unix)]
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

#[cfg(unix)]
use super::error::TERMINATED;
use super::error::{CommandError, INTERRUPTED};
use super::output::{self, Talk};
use super::progress::{Live, counted};
use super::summary;

/// Keeps a write beyond the limit on the size of files (`ulimit -f`) from ending the program without a word: the write fails, as on
/// a full disk. tokio's handler stays when its listener and its runtime are dropped.
#[cfg(unix)]
pub(super) fn outlive_file_limit(runtime: &Runtime) {
    // The number on Linux, the BSDs and macOS; tokio has no name for it.
    const SIGXFSZ: i32 = 25;
    let _entered = runtime.enter();
    // Without the handler, such a write ends the program as before.
    let _ = signal(SignalKind::from_raw(SIGXFSZ));
}

/// Other systems have no such limit.
#[cfg(not(unix))]
pub(super) fn outlive_file_limit(_: &Runtime) {}

/// A listener for Ctrl-C (SIGINT) and SIGTERM, until it is dropped.
#[derive(Debug)]
pub(super) struct Interrupts {
    /// The exit code of the last signal; 0 before the first.
    code: Arc<AtomicU8>,
    // Aborts the listener on drop.
    _listening: JoinSet<()>,
}

impl Interrupts {
    /// Starts a listener: the first Ctrl-C cancels `drain`, so that calls in progress finish unless they stall; the second
    /// one, or SIGTERM, cancels `cancel`.
    pub(super) fn listen(drain: CancellationToken, cancel: CancellationToken, live: &Live) -> Self {
        Self::start(Some((drain, live.clone())), cancel)
    }

    /// Starts a listener for work that can be resumed later: the first Ctrl-C, or SIGTERM, cancels `cancel`.
    pub(super) fn listen_for_one(cancel: CancellationToken) -> Self {
        Self::start(None, cancel)
    }

    /// Starts the task of the listener; `drain` is the graceful stop that comes before `cancel`, if the work has one.
    fn start(drain: Option<(CancellationToken, Live)>, cancel: CancellationToken) -> Self {
        let code = Arc::new(AtomicU8::new(0));
        let mut listening = JoinSet::new();
        // The handlers are there before the work begins, not when the task first runs.
        let signals = Signals::new();
        listening.spawn(observe(signals, drain, cancel, code.clone()));
        Self { code, _listening: listening }
    }

    /// Waits for the confirmation of a run, which the first signal ends.
    ///
    /// # Errors
    /// The error of the confirmation, or that of a run that was interrupted before it began.
    pub(super) async fn unless_stopped(
        &self,
        drain: &CancellationToken,
        asking: impl Future<Output = Result<(), CommandError>>,
    ) -> Result<(), CommandError> {
        let interrupted =
            || CommandError::new(self.code().unwrap_or(INTERRUPTED), "not started: the run was interrupted");
        drain.run_until_cancelled(asking).await.unwrap_or_else(|| Err(interrupted()))
    }

    /// Returns the exit code of the interruption, if any.
    pub(super) fn code(&self) -> Option<u8> {
        Some(self.code.load(Ordering::Relaxed)).filter(|code| *code != 0)
    }
}

/// Observes the signals up to the exit of the process, and stores the exit code of the last one in `last`.
///
/// # Cancel safety
/// Dropping the future ends the observation. The handlers that tokio has installed remain, so that a later Ctrl-C has
/// no effect. The listener is therefore kept to the end of the command.
async fn observe(
    mut signals: Signals,
    drain: Option<(CancellationToken, Live)>,
    cancel: CancellationToken,
    last: Arc<AtomicU8>,
) {
    let first = signals.next().await;
    last.store(first, Ordering::Relaxed);
    if let Some((drain, live)) = &drain {
        drain.cancel();
        if first == INTERRUPTED {
            live.talk().line(&waiting(live.in_progress().await));
            last.store(signals.next().await, Ordering::Relaxed);
        }
    }
    cancel.cancel();
    // Work that still blocks does not observe tokens, such as I/O on a disk that does not respond.
    let code = signals.next().await;
    if let Some((_, live)) = drain {
        print_last(code, live.talk()).await;
    }
    std::process::exit(code.into());
}

/// Prints the summary before the process exits, unless stderr itself is what blocks: then it is left out after a second.
///
/// # Cancel safety
/// If the future is dropped, the summary may still be printed.
async fn print_last(code: u8, talk: Talk) {
    let printing = tokio::task::spawn_blocking(move || {
        output::end_live_line();
        summary::print(code, talk);
    });
    let _ = timeout(Duration::from_secs(1), printing).await;
}

/// Returns the message of an interrupted run that waits for `answers` calls in progress.
fn waiting(answers: u64) -> String {
    match answers {
        0 => "interrupted: stopping; no call is in progress".to_owned(),
        some => format!(
            "interrupted: waiting for {} in progress, up to 10 s for the next token; press Ctrl-C again to stop now",
            counted(some, "answer")
        ),
    }
}

/// Both signals, with one listener each, so that a signal between two waits is not lost.
#[cfg(unix)]
struct Signals {
    interrupt: Option<Signal>,
    terminate: Option<Signal>,
}

#[cfg(unix)]
impl Signals {
    /// Installs the handlers; from then on the signals do not end the process.
    fn new() -> Self {
        // Without a listener, the default action of the signal remains: the program ends.
        Self {
            interrupt: signal(SignalKind::interrupt()).ok(),
            terminate: signal(SignalKind::terminate()).ok(),
        }
    }

    /// Waits for the next signal, and returns its exit code. Waits forever if neither handler could be installed.
    async fn next(&mut self) -> u8 {
        async fn wait(signal: &mut Option<Signal>) {
            let received = match signal {
                Some(signal) => signal.recv().await,
                None => None,
            };
            if received.is_none() {
                std::future::pending().await
            }
        }
        tokio::select! {
            () = wait(&mut self.interrupt) => INTERRUPTED,
            () = wait(&mut self.terminate) => TERMINATED,
        }
    }
}

/// Ctrl-C only: other systems have no SIGTERM.
#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> Self {
        Self
    }

    async fn next(&mut self) -> u8 {
        match tokio::signal::ctrl_c().await {
            Ok(()) => INTERRUPTED,
            Err(_) => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::waiting;

    #[test]
    fn the_message_counts_the_answers_in_progress() {
        let one = "interrupted: waiting for 1 answer in progress, up to 10 s for the next token; press Ctrl-C again to stop now";
        assert_eq!(waiting(1), one);
        assert!(waiting(3).contains("for 3 answers in progress"));
        assert_eq!(waiting(0), "interrupted: stopping; no call is in progress");
    }
}

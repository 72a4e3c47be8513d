use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

#[cfg(unix)]
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::error::INTERRUPTED;
#[cfg(unix)]
use super::error::TERMINATED;
use super::progress::{Live, counted};

/// A listener for Ctrl-C (SIGINT) and SIGTERM, until it is dropped.
#[derive(Debug)]
pub(super) struct Interrupts {
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

    fn start(drain: Option<(CancellationToken, Live)>, cancel: CancellationToken) -> Self {
        let code = Arc::new(AtomicU8::new(0));
        let last = code.clone();
        let mut listening = JoinSet::new();
        listening.spawn(async move {
            let mut signals = Signals::new();
            let first = signals.next().await;
            last.store(first, Ordering::Relaxed);
            if let Some((drain, live)) = drain {
                drain.cancel();
                if first == INTERRUPTED {
                    let waiting = waiting(live.in_progress().await);
                    live.aside(|| live.talk().line(&waiting));
                    last.store(signals.next().await, Ordering::Relaxed);
                }
            }
            cancel.cancel();
            // Work that still blocks does not observe tokens, such as I/O on a disk that does not respond.
            std::process::exit(signals.next().await.into());
        });
        Self { code, _listening: listening }
    }

    /// Returns the exit code of the interruption, if any.
    pub(super) fn code(&self) -> Option<u8> {
        Some(self.code.load(Ordering::Relaxed)).filter(|code| *code != 0)
    }
}

/// Returns the message of an interrupted run that waits for `answers` calls in progress.
fn waiting(answers: u64) -> String {
    match answers {
        0 => "interrupted: nothing is in progress; press Ctrl-C again to stop now".to_owned(),
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
    fn new() -> Self {
        // Without a listener, the default action of the signal remains: the program ends.
        Self {
            interrupt: signal(SignalKind::interrupt()).ok(),
            terminate: signal(SignalKind::terminate()).ok(),
        }
    }

    /// Waits for the next signal, and returns its exit code.
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
        assert!(waiting(0).contains("nothing is in progress"));
    }
}

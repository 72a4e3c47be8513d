use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::error::{INTERRUPTED, TERMINATED};
use super::output::Talk;

/// Listens for Ctrl-C and for being terminated, as long as it lives.
#[derive(Debug)]
pub(super) struct Interrupts {
    code: Arc<AtomicU8>,
    // Ends when it is dropped.
    _listening: JoinSet<()>,
}

impl Interrupts {
    /// The first Ctrl-C cancels `drain`, so that what is under way ends well; the second one, or being terminated,
    /// cancels `cancel`.
    pub(super) fn listen(drain: CancellationToken, cancel: CancellationToken, talk: Talk) -> Self {
        let code = Arc::new(AtomicU8::new(0));
        let said = code.clone();
        let mut listening = JoinSet::new();
        listening.spawn(async move {
            tokio::select! {
                () = interrupted() => said.store(INTERRUPTED, Ordering::Relaxed),
                () = terminated() => {
                    said.store(TERMINATED, Ordering::Relaxed);
                    drain.cancel();
                    return cancel.cancel();
                }
            }
            drain.cancel();
            talk.line("interrupted: what is under way is finished first; press Ctrl-C again to stop now");
            tokio::select! {
                () = interrupted() => {}
                () = terminated() => said.store(TERMINATED, Ordering::Relaxed),
            }
            cancel.cancel();
        });
        Self { code, _listening: listening }
    }

    /// The exit code of the interruption, if there was one.
    pub(super) fn code(&self) -> Option<u8> {
        Some(self.code.load(Ordering::Relaxed)).filter(|code| *code != 0)
    }
}

async fn interrupted() {
    if tokio::signal::ctrl_c().await.is_err() {
        // Without a handler the system's own way of ending the program stays.
        std::future::pending().await
    }
}

#[cfg(unix)]
async fn terminated() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut signal) => drop(signal.recv().await),
        Err(_) => std::future::pending().await,
    }
}

#[cfg(not(unix))]
async fn terminated() {
    std::future::pending().await
}

use std::time::Instant;

use tokio::sync::{Notify, Semaphore};
use tokio::time::sleep_until;

/// A line in which only the first looks at the state and the clock; the others sleep, and each is woken once.
///
/// Being in the line holds nothing but the place: a caller that gives up leaves without a trace.
#[derive(Debug)]
pub(crate) struct Turns {
    first: Semaphore,
    changed: Notify,
}

/// What the first in the line finds.
pub(crate) enum Look<T> {
    /// It may go, with this.
    Go(T),
    /// It looks again at that time, or when something changes; `None` waits for a change alone.
    Wait(Option<Instant>),
}

impl Turns {
    pub(crate) fn new() -> Self {
        Self { first: Semaphore::const_new(1), changed: Notify::const_new() }
    }

    /// Waits until it is first in the line and `look` says go.
    pub(crate) async fn wait<T>(&self, mut look: impl FnMut() -> Look<T>) -> T {
        // The semaphore is fair and never closed.
        let _first = self.first.acquire().await;
        loop {
            // Before the look, so that a change between it and the wait is not missed.
            let changed = self.changed.notified();
            match look() {
                Look::Go(value) => return value,
                Look::Wait(None) => changed.await,
                Look::Wait(Some(at)) => tokio::select! {
                    () = changed => {}
                    () = sleep_until(at.into()) => {}
                },
            }
        }
    }

    /// Goes at once if nobody waits and `look` says so.
    pub(crate) fn try_go<T>(&self, look: impl FnOnce() -> Look<T>) -> Option<T> {
        let _first = self.first.try_acquire().ok()?;
        match look() {
            Look::Go(value) => Some(value),
            Look::Wait(_) => None,
        }
    }

    /// Lets the first in the line look again.
    pub(crate) fn changed(&self) {
        self.changed.notify_waiters();
    }
}

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::Notify;
use tokio::time::sleep_until;

/// A line in which only the first looks at the state and the clock; the others sleep until they are first.
///
/// Whoever has the lower priority stands before the others, and among equals whoever came first. Being in the line holds
/// nothing but the place: a caller that gives up leaves without a trace.
#[derive(Debug, Default)]
pub(crate) struct FairQueue {
    waiters: Mutex<Waiters>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Waiters {
    by_position: BTreeMap<Position, Arc<Notify>>,
    joined: u64,
}

/// The priority, and how many came before.
type Position = (u8, u64);

impl Waiters {
    fn first(&self) -> Option<Position> {
        self.by_position.first_key_value().map(|(position, _)| *position)
    }
}

/// What the first in the line finds.
pub(crate) enum Decision<T> {
    /// It may go, with this.
    Admit(T),
    /// It looks again at that time, or when something changes; `None` waits for a change alone.
    Wait(Option<Instant>),
}

impl FairQueue {
    /// Waits until it is first in the line and `decide` says go.
    pub(crate) async fn wait<T>(&self, priority: u8, mut decide: impl FnMut() -> Decision<T>) -> T {
        let waiter = Waiter::new(self, priority);
        loop {
            // Before the look, so that a change between it and the wait is not missed.
            let changed = self.changed.notified();
            if !waiter.is_first() {
                waiter.is_next.notified().await;
                continue;
            }
            match decide() {
                Decision::Admit(value) => return value,
                Decision::Wait(None) => changed.await,
                Decision::Wait(Some(at)) => tokio::select! {
                    () = changed => {}
                    () = sleep_until(at.into()) => {}
                },
            }
        }
    }

    /// Goes at once if nobody waits who is to go before, and `decide` says so.
    pub(crate) fn try_now<T>(&self, priority: u8, decide: impl FnOnce() -> Decision<T>) -> Option<T> {
        let waiters = self.waiters();
        if waiters.first().is_some_and(|(first, _)| first <= priority) {
            return None;
        }
        match decide() {
            Decision::Admit(value) => Some(value),
            Decision::Wait(_) => None,
        }
    }

    /// Lets the first in the line look again.
    pub(crate) fn notify(&self) {
        self.changed.notify_waiters();
    }

    fn waiters(&self) -> MutexGuard<'_, Waiters> {
        self.waiters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A caller in the line. When it leaves, whoever is first then is woken.
struct Waiter<'a> {
    queue: &'a FairQueue,
    position: Position,
    is_next: Arc<Notify>,
}

impl<'a> Waiter<'a> {
    fn new(queue: &'a FairQueue, priority: u8) -> Self {
        let mut waiters = queue.waiters();
        waiters.joined += 1;
        let (position, is_next) = ((priority, waiters.joined), Arc::new(Notify::new()));
        waiters.by_position.insert(position, is_next.clone());
        drop(waiters);
        Self { queue, position, is_next }
    }

    fn is_first(&self) -> bool {
        self.queue.waiters().first() == Some(self.position)
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        let mut waiters = self.queue.waiters();
        let was_first = waiters.first() == Some(self.position);
        waiters.by_position.remove(&self.position);
        let next = waiters.by_position.first_key_value().map(|(_, is_next)| is_next.clone());
        // A waker is somebody else's code, which is not run under the lock.
        drop(waiters);
        if let Some(is_next) = next.filter(|_| was_first) {
            is_next.notify_one();
        }
    }
}

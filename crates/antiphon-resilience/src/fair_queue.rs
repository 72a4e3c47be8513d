//! A fair queue (FIFO within a priority) with a decision that only its first waiter makes.
//!
//! A semaphore would not do: whether a call may start depends on its cost, the clock and what was learned meanwhile,
//! not on a number of free slots. If every waiter checked that, each change would wake all of them (thundering herd).
//! Here a change wakes the first waiter alone, and a waiter that leaves, admitted or dropped, wakes its successor.
//! Joining and leaving take logarithmic time.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::Notify;
use tokio::time::sleep_until;

/// A fair queue of waiters: only the first checks the state and the clock, the others sleep until they are first.
///
/// Waiters are ordered by priority, lowest number first, and then by arrival (FIFO). A waiter holds only its position:
/// dropping it passes the turn to the next one.
#[derive(Debug, Default)]
pub(crate) struct FairQueue {
    waiters: Mutex<Waiters>,
    /// Wakes the first waiter, which alone waits for it, to decide again.
    changed: Notify,
}

/// The callers in the queue.
#[derive(Debug, Default)]
struct Waiters {
    /// Wakes each waiter once it is first.
    by_position: BTreeMap<Position, Arc<Notify>>,
    /// Number of callers that have joined, for the order of arrival.
    joined: u64,
}

/// The priority, and the order of arrival.
type Position = (u8, u64);

impl Waiters {
    fn first(&self) -> Option<Position> {
        self.by_position.first_key_value().map(|(position, _)| *position)
    }
}

/// The decision on the first waiter.
pub(crate) enum Decision<T> {
    /// Admitted, with this result.
    Admit(T),
    /// Not yet: decide again at this time, or after [`notify`](FairQueue::notify); `None` waits for `notify` only.
    Wait(Option<Instant>),
}

impl FairQueue {
    /// Waits until the caller is first in the queue and `decide` admits it.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the queue; nothing is admitted. A future that is not polled while it is first blocks
    /// those behind it.
    pub(crate) async fn wait<T>(&self, priority: u8, mut decide: impl FnMut() -> Decision<T>) -> T {
        let waiter = Waiter::new(self, priority);
        loop {
            // Created before the state is checked, so that a change between the check and the wait is not missed.
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

    /// Returns at once: `Some` if no waiter of the same or a lower priority number is queued and `decide` admits the caller.
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

    /// Makes the first waiter decide again.
    pub(crate) fn notify(&self) {
        self.changed.notify_waiters();
    }

    fn waiters(&self) -> MutexGuard<'_, Waiters> {
        self.waiters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A caller in the queue. When it leaves, the new first waiter is woken.
struct Waiter<'a> {
    queue: &'a FairQueue,
    position: Position,
    is_next: Arc<Notify>,
}

impl<'a> Waiter<'a> {
    /// Joins the queue, behind all waiters of the same priority.
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
        // A waker is foreign code, which is not run under the lock.
        drop(waiters);
        if let Some(is_next) = next.filter(|_| was_first) {
            is_next.notify_one();
        }
    }
}

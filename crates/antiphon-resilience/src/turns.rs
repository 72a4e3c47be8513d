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
pub(crate) struct Turns {
    line: Mutex<Line>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Line {
    places: BTreeMap<Place, Arc<Notify>>,
    came: u64,
}

/// The priority, and how many came before.
type Place = (u8, u64);

impl Line {
    fn first(&self) -> Option<Place> {
        self.places.first_key_value().map(|(place, _)| *place)
    }
}

/// What the first in the line finds.
pub(crate) enum Look<T> {
    /// It may go, with this.
    Go(T),
    /// It looks again at that time, or when something changes; `None` waits for a change alone.
    Wait(Option<Instant>),
}

impl Turns {
    /// Waits until it is first in the line and `look` says go.
    pub(crate) async fn wait<T>(&self, priority: u8, mut look: impl FnMut() -> Look<T>) -> T {
        let standing = Standing::new(self, priority);
        loop {
            // Before the look, so that a change between it and the wait is not missed.
            let changed = self.changed.notified();
            if !standing.is_first() {
                standing.is_next.notified().await;
                continue;
            }
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

    /// Goes at once if nobody waits who is to go before, and `look` says so.
    pub(crate) fn try_go<T>(&self, priority: u8, look: impl FnOnce() -> Look<T>) -> Option<T> {
        let line = self.line();
        if line.first().is_some_and(|(first, _)| first <= priority) {
            return None;
        }
        match look() {
            Look::Go(value) => Some(value),
            Look::Wait(_) => None,
        }
    }

    /// Lets the first in the line look again.
    pub(crate) fn changed(&self) {
        self.changed.notify_waiters();
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A caller in the line. When it leaves, whoever is first then is woken.
struct Standing<'a> {
    turns: &'a Turns,
    place: Place,
    is_next: Arc<Notify>,
}

impl<'a> Standing<'a> {
    fn new(turns: &'a Turns, priority: u8) -> Self {
        let mut line = turns.line();
        line.came += 1;
        let (place, is_next) = ((priority, line.came), Arc::new(Notify::new()));
        line.places.insert(place, is_next.clone());
        drop(line);
        Self { turns, place, is_next }
    }

    fn is_first(&self) -> bool {
        self.turns.line().first() == Some(self.place)
    }
}

impl Drop for Standing<'_> {
    fn drop(&mut self) {
        let mut line = self.turns.line();
        let was_first = line.first() == Some(self.place);
        line.places.remove(&self.place);
        let next = line.places.first_key_value().map(|(_, is_next)| is_next.clone());
        // A waker is somebody else's code, which is not run under the lock.
        drop(line);
        if let Some(is_next) = next.filter(|_| was_first) {
            is_next.notify_one();
        }
    }
}

use std::sync::Arc;

use tokio::sync::broadcast::{Receiver, Sender, error::RecvError};

use super::machine::BreakerState;

/// A change of state of a [`CircuitBreaker`](crate::CircuitBreaker).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BreakerEvent {
    /// Name of the breaker; `None` if it has none.
    pub name: Option<Arc<str>>,
    /// State before the change.
    pub from: BreakerState,
    /// State after the change.
    pub to: BreakerState,
}

/// A receiver of one breaker's changes of state; see [`CircuitBreaker::events`](crate::CircuitBreaker::events).
///
/// A slow receiver does not delay calls: if it has more than 64 unread changes, the oldest are lost without notice.
///
/// ```
/// use antiphon_resilience::{BreakerState, CircuitBreaker};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let breaker = CircuitBreaker::simple(1, std::time::Duration::from_secs(60)).named("search");
/// let mut events = breaker.events();
/// breaker.call(async { Err::<(), _>("down") }).await.unwrap_err();
/// drop(breaker);
/// let opened = events.next().await.expect("the breaker has opened");
/// assert_eq!((opened.name.as_deref(), opened.to), (Some("search"), BreakerState::Open));
/// assert_eq!(events.next().await, None, "the breaker is gone");
/// # }
/// ```
#[derive(Debug)]
pub struct BreakerEvents(Receiver<BreakerEvent>);

impl BreakerEvents {
    /// Waits for the next change of state; returns `None` once all handles to the breaker are dropped.
    ///
    /// # Cancel safety
    /// Dropping the future loses no change: the next call returns it.
    pub async fn next(&mut self) -> Option<BreakerEvent> {
        loop {
            match self.0.recv().await {
                Ok(event) => return Some(event),
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return None,
            }
        }
    }
}

/// The subscribers of a breaker; the channel is created with the first one, so that a breaker without any has no overhead.
#[derive(Debug, Default)]
pub(super) struct Observers(Option<Sender<BreakerEvent>>);

/// The number of unread changes that are kept for each receiver.
const UNREAD: usize = 64;

impl Observers {
    /// Adds a subscriber, which gets the changes from now on.
    pub(super) fn subscribe(&mut self) -> BreakerEvents {
        BreakerEvents(self.0.get_or_insert_with(|| Sender::new(UNREAD)).subscribe())
    }

    /// Sends a change to all subscribers. Never waits: a full buffer drops its oldest change.
    pub(super) fn notify(&self, name: Option<&Arc<str>>, from: BreakerState, to: BreakerState) {
        if let Some(sender) = &self.0 {
            // It is no error if all receivers were dropped.
            let _ = sender.send(BreakerEvent { name: name.cloned(), from, to });
        }
    }
}

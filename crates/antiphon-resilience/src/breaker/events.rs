use std::sync::Arc;

use tokio::sync::broadcast::{Receiver, Sender, error::RecvError};

use super::machine::BreakerState;

/// A [`CircuitBreaker`](crate::CircuitBreaker) went from one state to another.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BreakerEvent {
    /// The breaker's name.
    pub name: Option<Arc<str>>,
    /// The state it left.
    pub from: BreakerState,
    /// The state it is in.
    pub to: BreakerState,
}

/// The changes of one breaker; see [`CircuitBreaker::events`](crate::CircuitBreaker::events).
///
/// A slow reader holds up no call: of more than 64 unread changes the oldest are lost.
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
    /// Waits for the next change; `None` once the breaker is gone.
    ///
    /// # Cancel safety
    /// A dropped call loses nothing.
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

/// Those who want to know; made when the first one asks, so that a breaker that nobody watches has no cost of it.
#[derive(Debug, Default)]
pub(super) struct Observers(Option<Sender<BreakerEvent>>);

const UNREAD: usize = 64;

impl Observers {
    pub(super) fn subscribe(&mut self) -> BreakerEvents {
        BreakerEvents(self.0.get_or_insert_with(|| Sender::new(UNREAD)).subscribe())
    }

    pub(super) fn notify(&self, name: Option<&Arc<str>>, from: BreakerState, to: BreakerState) {
        if let Some(sender) = &self.0 {
            // Nobody listening any more is no error.
            let _ = sender.send(BreakerEvent { name: name.cloned(), from, to });
        }
    }
}

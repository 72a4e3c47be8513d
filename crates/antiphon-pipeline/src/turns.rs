use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::runs::Fingerprint;

/// Turns at the runs of a store: of two equal requests at the same time the second is shown what the first one made.
/// Clones are handles to the same turns.
#[derive(Debug, Clone, Default)]
pub struct Turns(Arc<Mutex<HashMap<String, Arc<Semaphore>>>>);

/// The turn at a run. The next request of the same gets it when this is dropped.
#[derive(Debug)]
#[must_use = "the turn ends when it is dropped"]
pub struct Turn {
    _permit: Option<OwnedSemaphorePermit>,
}

impl Turns {
    /// Waits for the turn at the run of a fingerprint. The flag tells whether another request had it before.
    pub(crate) async fn take(&self, fingerprint: &Fingerprint) -> (Turn, bool) {
        let (turn, is_made) = {
            let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let key = fingerprint.to_string();
            let is_made = turns.contains_key(&key);
            (turns.entry(key).or_insert_with(|| Arc::new(Semaphore::new(1))).clone(), is_made)
        };
        // It is never closed.
        (Turn { _permit: turn.acquire_owned().await.ok() }, is_made)
    }
}

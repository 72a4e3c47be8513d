use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::runs::Fingerprint;

/// Turns at the runs of a store: of two equal requests at the same time the second is shown what the first one made.
/// Clones are handles to the same turns.
#[derive(Debug, Clone, Default)]
pub struct RunLocks {
    /// The runs that somebody has a turn at, or waits for.
    locks: Arc<Mutex<HashMap<String, Arc<Semaphore>>>>,
    /// Those that the requests of this group had a turn at.
    created: Arc<Mutex<HashSet<String>>>,
}

/// The turn at a run. The next request of the same gets it when this is dropped.
#[derive(Debug)]
#[must_use = "the turn ends when it is dropped"]
pub struct RunGuard {
    _permit: Option<OwnedSemaphorePermit>,
}

impl RunLocks {
    /// Creates a group of requests at the same runs: what is to be started fresh is so once for the group.
    #[must_use]
    pub fn group(&self) -> Self {
        Self { locks: self.locks.clone(), created: Arc::default() }
    }

    /// Waits for the turn at the run of a fingerprint. The flag tells whether another request made it: one of the same
    /// group, or one that had the turn meanwhile.
    pub(crate) async fn acquire(&self, fingerprint: &Fingerprint) -> (RunGuard, bool) {
        let key = fingerprint.to_string();
        let lock = {
            let mut locks = self.locks.lock().unwrap_or_else(PoisonError::into_inner);
            // A permit, and whoever waits for one, holds its semaphore.
            locks.retain(|_, lock| Arc::strong_count(lock) > 1);
            locks.entry(key.clone()).or_insert_with(|| Arc::new(Semaphore::new(1))).clone()
        };
        let is_repeated = !self.created.lock().unwrap_or_else(PoisonError::into_inner).insert(key);
        match lock.clone().try_acquire_owned() {
            Ok(permit) => (RunGuard { _permit: Some(permit) }, is_repeated),
            // It is never closed.
            Err(_) => (RunGuard { _permit: lock.acquire_owned().await.ok() }, true),
        }
    }
}

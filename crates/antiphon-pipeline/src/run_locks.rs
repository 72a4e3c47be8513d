use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::runs::Fingerprint;

/// Locks on the runs of a store, by fingerprint (single flight): of two equal requests at the same time, the second waits and
/// gets the result of the first. Clones share the same locks.
///
/// The locks hold within one process. Several processes that open the same run are coordinated by the leases of its store
/// instead.
#[derive(Debug, Clone, Default)]
pub struct RunLocks {
    /// A semaphore with one permit for each run that is locked or waited for.
    locks: Arc<Mutex<HashMap<String, Arc<Semaphore>>>>,
    /// Runs that requests of this group have locked.
    created: Arc<Mutex<HashSet<String>>>,
}

/// A guard that holds the lock on a run. Dropping it releases the lock to the next equal request.
#[derive(Debug)]
#[must_use = "dropping the guard releases the lock"]
pub struct RunGuard {
    _permit: Option<OwnedSemaphorePermit>,
}

impl RunLocks {
    /// Creates a new group of requests that shares these locks. Of the equal requests in a group that ask to start fresh, only
    /// the first does; the others get its result.
    #[must_use]
    pub fn group(&self) -> Self {
        Self { locks: self.locks.clone(), created: Arc::default() }
    }

    /// Waits until the run of a fingerprint is free, and locks it. The flag is `true` if another request made the run: an earlier
    /// one of the same group, or one that held the lock meanwhile.
    pub(crate) async fn acquire(&self, fingerprint: &Fingerprint) -> (RunGuard, bool) {
        let key = fingerprint.to_string();
        let lock = {
            let mut locks = self.locks.lock().unwrap_or_else(PoisonError::into_inner);
            // Each permit and each waiter holds a reference to its semaphore.
            locks.retain(|_, lock| Arc::strong_count(lock) > 1);
            locks.entry(key.clone()).or_insert_with(|| Arc::new(Semaphore::new(1))).clone()
        };
        let is_repeated = !self.created.lock().unwrap_or_else(PoisonError::into_inner).insert(key);
        match lock.clone().try_acquire_owned() {
            Ok(permit) => (RunGuard { _permit: Some(permit) }, is_repeated),
            // The semaphore is never closed.
            Err(_) => (RunGuard { _permit: lock.acquire_owned().await.ok() }, true),
        }
    }
}

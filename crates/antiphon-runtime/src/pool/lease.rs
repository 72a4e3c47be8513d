use std::sync::Arc;
use std::time::Instant;

use tokio::task::JoinHandle;

use super::manage::Manage;
use super::shared::Shared;
use crate::clock::now;

/// A guard of one slot of the pool, with or without a resource in it. Dropping it passes the resource, or the empty slot, to the
/// next waiter or back to the pool.
///
/// Kept at two machine words: an acquire moves it several times and takes 50 ns; with another field it took 130 ns.
pub(super) struct Lease<M: Manage> {
    pub(super) entry: Option<Box<Entry<M::Resource>>>,
    shared: Arc<Shared<M>>,
}

pub(super) struct Entry<R> {
    pub(super) resource: R,
    /// Set only where an option needs it, since reading the clock costs as much as the rest of an acquire.
    pub(super) born: Option<Instant>,
    pub(super) unused_since: Option<Instant>,
    /// Whether the resource is broken or in an unknown state.
    pub(super) must_close: bool,
}

impl<M: Manage> Lease<M> {
    pub(super) fn new(shared: Arc<Shared<M>>, entry: Option<Box<Entry<M::Resource>>>) -> Self {
        Self { entry, shared }
    }

    pub(super) fn is_filled(&self) -> bool {
        self.entry.is_some()
    }

    pub(super) fn fill(&mut self, resource: M::Resource) {
        let born = self.shared.options.max_lifetime.map(|_| now());
        self.entry = Some(Box::new(Entry { resource, born, unused_since: None, must_close: false }));
        self.shared.count_created();
    }

    /// Returns whether the resource can be reused. Dropping the call during the check marks it to be closed.
    pub(super) async fn is_good(&mut self) -> bool {
        let Some(entry) = &mut self.entry else { return false };
        if self.shared.is_expired(entry) {
            return false;
        }
        entry.must_close = true;
        let is_good = self.shared.manage.check(&mut entry.resource).await;
        entry.must_close = !is_good;
        is_good
    }

    pub(super) fn must_close(&mut self) {
        if let Some(entry) = &mut self.entry {
            entry.must_close = true;
        }
    }

    /// Closes the resource and returns the empty lease; `None` if the caller must acquire again, since closing panicked or no
    /// runtime is available.
    pub(super) async fn emptied(self) -> Option<Self> {
        self.dispose()?.await.ok()
    }

    /// Closes the resource in a task of the pool, which keeps the slot until then.
    pub(super) fn dispose(mut self) -> Option<JoinHandle<Self>> {
        let entry = self.entry.take()?;
        let (cleanups, runtime) = (self.shared.cleanups.clone(), self.shared.runtime()?);
        let close = async move {
            self.shared.manage.close(entry.resource).await;
            self
        };
        Some(cleanups.spawn_on(close, &runtime))
    }
}

impl<M: Manage> Drop for Lease<M> {
    fn drop(&mut self) {
        match self.entry.take() {
            None => self.shared.free_room(),
            Some(entry) if entry.must_close => drop(Self::new(self.shared.clone(), Some(entry)).dispose()),
            Some(entry) => Shared::give_back(&self.shared, entry),
        }
    }
}

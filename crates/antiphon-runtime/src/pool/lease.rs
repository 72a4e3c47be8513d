use std::sync::Arc;
use std::time::Instant;

use tokio::task::JoinHandle;

use super::manage::Manage;
use super::shared::Shared;
use crate::clock::now;

/// Room for one resource, with or without one in it. Dropping it gives the resource to the next, or the room.
///
/// Two words and no flag beside them: it is moved several times in an acquire, which took 130 ns with one and 50 without.
pub(super) struct Lease<M: Manage> {
    pub(super) entry: Option<Box<Entry<M::Resource>>>,
    shared: Arc<Shared<M>>,
}

pub(super) struct Entry<R> {
    pub(super) resource: R,
    /// Known only where an option asks for it, as reading the clock costs as much as the rest of an acquire.
    pub(super) born: Option<Instant>,
    pub(super) unused_since: Option<Instant>,
    /// It is broken, or nobody knows.
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

    /// Whether the resource can be used again. One whose check was given up is not.
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

    /// Closes the resource and gives the room back; `None` if the room is lost to this caller, since closing panicked or
    /// there is no runtime.
    pub(super) async fn emptied(self) -> Option<Self> {
        self.dispose()?.await.ok()
    }

    /// Has the resource closed by a task of the pool, which has its room until then.
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

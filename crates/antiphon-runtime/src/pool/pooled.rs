use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use super::manage::Manage;
use super::shared::{Entry, Shared, Slot};

/// A resource on loan from a [`Pool`](super::Pool); dropping it gives it back.
pub struct Pooled<M: Manage> {
    /// There until it is given back.
    entry: Option<Entry<M::Resource>>,
    shared: Arc<Shared<M>>,
    pub(super) must_close: bool,
}

impl<M: Manage> Pooled<M> {
    pub(super) fn new(shared: Arc<Shared<M>>, entry: Entry<M::Resource>) -> Self {
        Self { entry: Some(entry), shared, must_close: false }
    }

    /// Has the resource closed instead of used again, by a task that the pool owns: for one that turned out broken.
    pub fn discard(mut self) {
        self.must_close = true;
    }

    pub(super) fn shared(&self) -> &Arc<Shared<M>> {
        &self.shared
    }

    pub(super) fn is_expired(&self) -> bool {
        self.entry.as_ref().is_some_and(|entry| self.shared.is_expired(entry))
    }

    /// Closes the resource and gives the room it leaves; `None` if closing panicked, or there is no runtime.
    pub(super) async fn close_now(mut self) -> Option<Slot<M>> {
        let entry = self.entry.take()?;
        Shared::dispose(&self.shared, entry)?.await.ok()
    }
}

impl<M: Manage> Deref for Pooled<M> {
    type Target = M::Resource;

    fn deref(&self) -> &M::Resource {
        match &self.entry {
            Some(entry) => &entry.resource,
            None => unreachable!("only its drop takes the resource"),
        }
    }
}

impl<M: Manage> DerefMut for Pooled<M> {
    fn deref_mut(&mut self) -> &mut M::Resource {
        match &mut self.entry {
            Some(entry) => &mut entry.resource,
            None => unreachable!("only its drop takes the resource"),
        }
    }
}

impl<M: Manage> Drop for Pooled<M> {
    fn drop(&mut self) {
        match self.entry.take() {
            Some(entry) if self.must_close => drop(Shared::dispose(&self.shared, entry)),
            Some(entry) => Shared::give_back(&self.shared, entry),
            None => {}
        }
    }
}

impl<M: Manage<Resource: fmt::Debug>> fmt::Debug for Pooled<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pooled").field(&**self).finish()
    }
}

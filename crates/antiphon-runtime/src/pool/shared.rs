use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use tokio::runtime;
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;

use super::manage::Manage;
use super::pooled::Pooled;
use super::{Closed, PoolOptions, PoolStatus};
use crate::clock::now;
use crate::waiters::{Ticket, Waiters};

pub(super) struct Shared<M: Manage> {
    pub(super) manage: M,
    pub(super) cleanups: TaskTracker,
    options: PoolOptions,
    state: Mutex<State<M::Resource>>,
    /// Where cleanups run: known from the first use, since a resource may come back on a thread without a runtime.
    runtime: OnceLock<Option<runtime::Handle>>,
}

struct State<R> {
    /// The longest unused first; the last one is handed out, so that the others can grow old.
    idle: VecDeque<Entry<R>>,
    waiters: Waiters,
    /// Set aside for those who left the line; `None` is room for a new resource.
    granted: VecDeque<Option<Entry<R>>>,
    size: usize,
    created: u64,
    reused: u64,
    is_closed: bool,
}

pub(super) struct Entry<R> {
    pub(super) resource: R,
    /// Known only where an option asks for it: reading the clock costs as much as the rest of an acquire.
    born: Option<Instant>,
    unused_since: Option<Instant>,
}

pub(super) enum Grant<M: Manage> {
    Resource(Pooled<M>),
    Slot(Slot<M>),
}

impl<M: Manage> Shared<M> {
    pub(super) fn new(manage: M, options: PoolOptions) -> Self {
        let state = State {
            idle: VecDeque::new(),
            waiters: Waiters::default(),
            granted: VecDeque::new(),
            size: 0,
            created: 0,
            reused: 0,
            is_closed: false,
        };
        let options = PoolOptions { max_size: options.max_size.max(1), ..options };
        let cleanups = TaskTracker::new();
        Self { manage, cleanups, options, state: Mutex::new(state), runtime: OnceLock::new() }
    }

    fn state(&self) -> MutexGuard<'_, State<M::Resource>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn status(&self) -> PoolStatus {
        let state = self.state();
        PoolStatus {
            size: state.size,
            idle: state.idle.len(),
            waiting: state.waiters.len(),
            created: state.created,
            reused: state.reused,
        }
    }

    pub(super) fn count_reused(&self) {
        self.state().reused += 1;
    }

    pub(super) fn is_expired(&self, entry: &Entry<M::Resource>) -> bool {
        if entry.born.is_none() && entry.unused_since.is_none() {
            return false;
        }
        let (now, options) = (now(), self.options);
        let passed = |since: Option<Instant>, limit| {
            since.zip(limit).is_some_and(|(since, limit)| now.saturating_duration_since(since) >= limit)
        };
        passed(entry.born, options.max_lifetime) || passed(entry.unused_since, options.idle_timeout)
    }

    /// What can be had without waiting; `None` where others wait or all is out.
    pub(super) fn try_grant(this: &Arc<Self>) -> Option<Result<Grant<M>, Closed>> {
        this.runtime.get_or_init(|| runtime::Handle::try_current().ok());
        let mut state = this.state();
        if state.is_closed {
            return Some(Err(Closed));
        }
        if !state.waiters.is_empty() {
            return None;
        }
        if let Some(entry) = state.idle.pop_back() {
            drop(state);
            return Some(Ok(Grant::Resource(Pooled::new(this.clone(), entry))));
        }
        if state.size < this.options.max_size {
            state.size += 1;
            drop(state);
            return Some(Ok(Grant::Slot(Slot::new(this.clone()))));
        }
        None
    }

    /// The newest unused resource that is not too old.
    pub(super) fn try_resource(this: &Arc<Self>) -> Option<Pooled<M>> {
        loop {
            let mut state = this.state();
            if state.is_closed || !state.waiters.is_empty() {
                return None;
            }
            let entry = state.idle.pop_back()?;
            state.reused += 1;
            drop(state);
            let mut pooled = Pooled::new(this.clone(), entry);
            pooled.must_close = pooled.is_expired();
            if !pooled.must_close {
                return Some(pooled);
            }
        }
    }

    pub(super) fn give_back(this: &Arc<Self>, mut entry: Entry<M::Resource>) {
        entry.unused_since = this.options.idle_timeout.map(|_| now());
        let (waker, too_old) = {
            let mut state = this.state();
            if state.is_closed {
                (None, Some(entry))
            } else if let Some(waker) = state.waiters.serve() {
                state.granted.push_back(Some(entry));
                (Some(waker), None)
            } else {
                state.idle.push_back(entry);
                let oldest_is_old = state.idle.front().is_some_and(|oldest| this.is_expired(oldest));
                (None, if oldest_is_old { state.idle.pop_front() } else { None })
            }
        };
        waker.into_iter().for_each(Waker::wake);
        if let Some(entry) = too_old {
            drop(Self::dispose(this, entry));
        }
    }

    /// Has a resource closed by a task of the pool, which then holds the room it left.
    pub(super) fn dispose(this: &Arc<Self>, entry: Entry<M::Resource>) -> Option<JoinHandle<Slot<M>>> {
        let slot = Slot::new(this.clone());
        let handle = this.runtime.get().cloned().flatten().or_else(|| runtime::Handle::try_current().ok())?;
        let close = async move {
            slot.shared().manage.close(entry.resource).await;
            slot
        };
        Some(this.cleanups.spawn_on(close, &handle))
    }

    pub(super) fn close(this: &Arc<Self>) {
        let (entries, slots, wakers) = {
            let mut state = this.state();
            state.is_closed = true;
            let (entries, slots): (Vec<_>, Vec<_>) =
                std::mem::take(&mut state.granted).into_iter().partition(Option::is_some);
            let idle = std::mem::take(&mut state.idle);
            let wakers: Vec<_> = state.waiters.dissolve().collect();
            state.size -= slots.len();
            (entries.into_iter().flatten().chain(idle).collect::<Vec<_>>(), slots, wakers)
        };
        drop(slots);
        wakers.into_iter().for_each(Waker::wake);
        for entry in entries {
            drop(Self::dispose(this, entry));
        }
    }

    /// Room has come free: for whoever is next, else for anybody.
    fn free_room(&self) {
        let waker = {
            let mut state = self.state();
            let waker = if state.is_closed { None } else { state.waiters.serve() };
            match waker {
                Some(_) => state.granted.push_back(None),
                None => state.size -= 1,
            }
            waker
        };
        waker.into_iter().for_each(Waker::wake);
    }
}

/// Room for one resource; dropping it gives the room to the next.
pub(super) struct Slot<M: Manage> {
    shared: Option<Arc<Shared<M>>>,
}

impl<M: Manage> Slot<M> {
    fn new(shared: Arc<Shared<M>>) -> Self {
        Self { shared: Some(shared) }
    }

    pub(super) fn shared(&self) -> &Arc<Shared<M>> {
        match &self.shared {
            Some(shared) => shared,
            None => unreachable!("only filling takes it"),
        }
    }

    pub(super) fn fill(mut self, resource: M::Resource) -> Pooled<M> {
        let shared = self.shared().clone();
        self.shared = None;
        shared.state().created += 1;
        let born = shared.options.max_lifetime.map(|_| now());
        Pooled::new(shared, Entry { resource, born, unused_since: None })
    }
}

impl<M: Manage> Drop for Slot<M> {
    fn drop(&mut self) {
        if let Some(shared) = &self.shared {
            shared.free_room();
        }
    }
}

/// A place in the line, which the next gets if it is given up.
pub(super) struct Turn<'a, M: Manage> {
    shared: &'a Arc<Shared<M>>,
    ticket: Option<Ticket>,
}

impl<'a, M: Manage> Turn<'a, M> {
    pub(super) fn new(shared: &'a Arc<Shared<M>>) -> Self {
        Self { shared, ticket: None }
    }

    pub(super) fn poll(&mut self, cx: &Context<'_>) -> Poll<Result<Grant<M>, Closed>> {
        let Some(ticket) = self.ticket else {
            // Something may have come back since it was last asked for.
            if let Some(grant) = Shared::try_grant(self.shared) {
                return Poll::Ready(grant);
            }
            self.ticket = Some(self.shared.state().waiters.join(cx));
            return Poll::Pending;
        };
        let mut state = self.shared.state();
        if state.is_closed {
            self.ticket = None;
            return Poll::Ready(Err(Closed));
        }
        if state.waiters.refresh(ticket, cx) {
            return Poll::Pending;
        }
        self.ticket = None;
        let granted = state.granted.pop_front();
        drop(state);
        Poll::Ready(Ok(self.take(granted)))
    }

    fn take(&self, granted: Option<Option<Entry<M::Resource>>>) -> Grant<M> {
        let shared = self.shared.clone();
        match granted {
            Some(Some(entry)) => Grant::Resource(Pooled::new(shared, entry)),
            Some(None) => Grant::Slot(Slot::new(shared)),
            None => unreachable!("who left the line has something set aside"),
        }
    }
}

impl<M: Manage> Drop for Turn<'_, M> {
    fn drop(&mut self) {
        let Some(ticket) = self.ticket else { return };
        let mut state = self.shared.state();
        if state.is_closed || state.waiters.leave(ticket) {
            return;
        }
        let granted = state.granted.pop_front();
        drop(state);
        // Dropping what was set aside gives it to the next.
        drop(self.take(granted));
    }
}

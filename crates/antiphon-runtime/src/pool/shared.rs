use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use tokio::runtime;
use tokio_util::task::TaskTracker;
use tracing::Span;

use super::lease::{Entry, Lease};
use super::manage::Manage;
use super::{Closed, PoolOptions, PoolStatus};
use crate::clock::now;
use crate::waiters::{Ticket, Waiters};

pub(super) struct Shared<M: Manage> {
    pub(super) manage: M,
    pub(super) cleanups: TaskTracker,
    pub(super) options: PoolOptions,
    state: Mutex<State<M::Resource>>,
    /// The runtime for cleanups, stored at the first use, since a resource may be returned on a thread without a runtime.
    runtime: OnceLock<Option<runtime::Handle>>,
}

struct State<R> {
    /// Idle resources, the longest idle first; the last one is handed out, so that the others can expire.
    idle: VecDeque<Box<Entry<R>>>,
    waiters: Waiters,
    /// Grants set aside for waiters that were served; `None` is a slot for a new resource.
    granted: VecDeque<Option<Box<Entry<R>>>>,
    size: usize,
    created: u64,
    reused: u64,
    is_closed: bool,
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

    /// Returns a lease if one is available, otherwise joins the queue under `ticket` or stays in it.
    ///
    /// A ticket that is no longer in the queue has been served.
    fn poll_grant(
        this: &Arc<Self>,
        ticket: &mut Option<Ticket>,
        cx: &Context<'_>,
    ) -> Poll<Result<Lease<M>, Closed>> {
        let mut state = this.state();
        if state.is_closed {
            *ticket = None;
            return Poll::Ready(Err(Closed));
        }
        let granted = match *ticket {
            Some(held) if state.waiters.refresh(held, cx) => return Poll::Pending,
            Some(_) => {
                *ticket = None;
                state.granted.pop_front()
            }
            None if !state.waiters.is_empty() => None,
            None => match state.idle.pop_back() {
                None if state.size < this.options.max_size => {
                    state.size += 1;
                    Some(None)
                }
                idle => idle.map(Some),
            },
        };
        let Some(granted) = granted else {
            *ticket = Some(state.waiters.join(cx));
            return Poll::Pending;
        };
        state.reused += u64::from(granted.is_some());
        drop(state);
        Poll::Ready(Ok(Lease::new(this.clone(), granted)))
    }

    /// Stores the current runtime for cleanups.
    pub(super) fn note_runtime(&self) {
        self.runtime.get_or_init(|| runtime::Handle::try_current().ok());
    }

    pub(super) fn runtime(&self) -> Option<runtime::Handle> {
        // The current one first: the stored one may have shut down.
        runtime::Handle::try_current().ok().or_else(|| self.runtime.get().cloned().flatten())
    }

    pub(super) fn count_created(&self) {
        self.state().created += 1;
    }

    /// Leases the most recently used idle resource that has not expired.
    pub(super) fn try_lease(this: &Arc<Self>) -> Option<Lease<M>> {
        loop {
            let mut state = this.state();
            if state.is_closed || !state.waiters.is_empty() {
                return None;
            }
            let entry = state.idle.pop_back()?;
            state.reused += 1;
            drop(state);
            let is_expired = this.is_expired(&entry);
            let lease = Lease::new(this.clone(), Some(entry));
            if !is_expired {
                return Some(lease);
            }
            drop(lease.dispose());
        }
    }

    pub(super) fn give_back(this: &Arc<Self>, mut entry: Box<Entry<M::Resource>>) {
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
            drop(Lease::new(this.clone(), Some(entry)).dispose());
        }
    }

    pub(super) fn close(this: &Arc<Self>) {
        let (entries, wakers) = {
            let mut state = this.state();
            state.is_closed = true;
            let granted = std::mem::take(&mut state.granted);
            state.size -= granted.iter().filter(|granted| granted.is_none()).count();
            let entries = granted.into_iter().flatten().chain(std::mem::take(&mut state.idle));
            (entries, state.waiters.dissolve())
        };
        wakers.for_each(Waker::wake);
        for entry in entries {
            drop(Lease::new(this.clone(), Some(entry)).dispose());
        }
    }

    /// Passes a free slot to the next waiter, or returns it to the pool.
    pub(super) fn free_room(&self) {
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

/// A place in the queue of waiters; dropping it passes its grant to the next.
pub(super) struct Acquire<'a, M: Manage> {
    shared: &'a Arc<Shared<M>>,
    ticket: Option<Ticket>,
    /// Open while the call waits.
    span: Option<Span>,
}

impl<'a, M: Manage> Acquire<'a, M> {
    pub(super) fn new(shared: &'a Arc<Shared<M>>) -> Self {
        Self { shared, ticket: None, span: None }
    }
}

impl<M: Manage> Future for Acquire<'_, M> {
    type Output = Result<Lease<M>, Closed>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<Lease<M>, Closed>> {
        let turn = Shared::poll_grant(self.shared, &mut self.ticket, cx);
        if turn.is_pending() && self.span.is_none() {
            self.span = Some(tracing::debug_span!("pool wait"));
        }
        turn
    }
}

impl<M: Manage> Drop for Acquire<'_, M> {
    fn drop(&mut self) {
        let Some(ticket) = self.ticket else { return };
        let mut state = self.shared.state();
        if state.is_closed || state.waiters.leave(ticket) {
            return;
        }
        let granted = state.granted.pop_front();
        drop(state);
        // Dropping the grant passes it to the next waiter.
        drop(granted.map(|granted| Lease::new(self.shared.clone(), granted)));
    }
}

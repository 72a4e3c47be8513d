use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Wake, Waker};

/// Futures or streams that are polled only after they were woken, each in a slot that is reused.
///
/// A slot and its waker are allocated once, not for each future, so that a stream of a million calls allocates only as many
/// slots as may be in flight.
#[derive(Debug)]
pub(crate) struct Slots<T> {
    slots: Vec<Slot<T>>,
    free: Vec<usize>,
    woken: Arc<Woken>,
}

#[derive(Debug)]
struct Slot<T> {
    content: Pin<Box<Option<T>>>,
    waker: Waker,
}

#[derive(Debug, Default)]
struct Woken {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    queue: VecDeque<usize>,
    is_queued: Vec<bool>,
    parent: Option<Waker>,
}

impl Woken {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct SlotWaker {
    key: usize,
    woken: Arc<Woken>,
}

impl Wake for SlotWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let parent = {
            let mut state = self.woken.lock();
            // A waker that outlived its slots has no effect.
            match state.is_queued.get_mut(self.key) {
                Some(is_queued) if !*is_queued => *is_queued = true,
                _ => return,
            }
            state.queue.push_back(self.key);
            state.parent.take()
        };
        if let Some(parent) = parent {
            parent.wake();
        }
    }
}

impl<T> Drop for Slots<T> {
    /// Makes wakers that outlive the slots ineffective, and releases the task's waker.
    fn drop(&mut self) {
        let parent = {
            let mut state = self.woken.lock();
            state.is_queued.clear();
            state.queue.clear();
            state.parent.take()
        };
        drop(parent);
    }
}

impl<T> Slots<T> {
    pub(crate) fn new() -> Self {
        Self { slots: Vec::new(), free: Vec::new(), woken: Arc::default() }
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Stores `content` in a free slot and returns its key.
    pub(crate) fn insert(&mut self, content: T) -> usize {
        if let Some(key) = self.free.pop() {
            self.slots[key].content.set(Some(content));
            return key;
        }
        let key = self.slots.len();
        let waker = Waker::from(Arc::new(SlotWaker { key, woken: self.woken.clone() }));
        self.slots.push(Slot { content: Box::pin(Some(content)), waker });
        self.woken.lock().is_queued.push(false);
        key
    }

    pub(crate) fn remove(&mut self, key: usize) {
        self.slots[key].content.set(None);
        self.free.push(key);
    }

    /// Returns the content of a slot, if it has any, with a context that wakes this slot only.
    pub(crate) fn get(&mut self, key: usize) -> Option<(Pin<&mut T>, Context<'_>)> {
        let slot = self.slots.get_mut(key)?;
        Some((slot.content.as_mut().as_pin_mut()?, Context::from_waker(&slot.waker)))
    }

    /// Appends to `keys` the slots woken since the last call, in the order of their wakes, and registers the task of `cx`
    /// to be woken by the next one.
    pub(crate) fn take_woken(&mut self, keys: &mut VecDeque<usize>, cx: &Context<'_>) {
        let mut guard = self.woken.lock();
        let state = &mut *guard;
        for key in state.queue.drain(..) {
            state.is_queued[key] = false;
            keys.push_back(key);
        }
        match &mut state.parent {
            Some(waker) => waker.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
    }
}

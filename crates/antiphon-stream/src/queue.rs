use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use tokio::sync::Semaphore;
use tokio_util::sync::PollSemaphore;

/// A bounded queue with many producers and many consumers (MPMC) and backpressure: `push` waits while the queue is full.
///
/// Items are consumed in the order in which they were pushed, each by one consumer. Use this queue where several consumers share
/// the work, or where one handle both produces and consumes. For a single consumer, tokio's `mpsc` channel is enough.
///
/// The queue is closed by [`close`](Queue::close) only, not by dropping its producers. Consumers then receive the items that are
/// left, and after them `None`. Clones are handles to the same queue.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), antiphon_stream::Closed<i32>> {
/// use antiphon_stream::Queue;
/// use futures_util::StreamExt;
///
/// let queue = Queue::new(8);
/// queue.push(1).await?;
/// queue.push(2).await?;
/// queue.close();
/// assert_eq!(queue.stream().collect::<Vec<_>>().await, [1, 2]);
/// assert_eq!(queue.pop().await, None);
/// # Ok(())
/// # }
/// ```
pub struct Queue<T> {
    shared: Arc<Shared<T>>,
}

struct Shared<T> {
    state: Mutex<State<T>>,
    capacity: usize,
    /// A semaphore with a permit for each free place.
    room: Semaphore,
    /// A semaphore with a permit for each item.
    filled: Arc<Semaphore>,
}

struct State<T> {
    items: VecDeque<T>,
    is_closed: bool,
}

/// The error of [`Queue::push`]: the queue was closed. Returns the item to the caller.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Closed<T>(pub T);

/// The error of [`Queue::try_push`]. Returns the item to the caller.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum PushError<T> {
    /// The queue is full; retry once a consumer has taken an item.
    Full(T),
    /// The queue was closed; retrying is useless.
    Closed(T),
}

impl<T> Queue<T> {
    /// Creates a queue that holds at most `capacity` items; 0 counts as 1.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        let capacity = capacity.clamp(1, Semaphore::MAX_PERMITS);
        let shared = Shared {
            state: Mutex::new(State { items: VecDeque::new(), is_closed: false }),
            capacity,
            room: Semaphore::new(capacity),
            filled: Arc::new(Semaphore::new(0)),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Adds an item at the end; waits while the queue is full. Waiting producers are served in the order of their calls.
    ///
    /// # Errors
    /// [`Closed`] with the item, if the queue is closed.
    ///
    /// # Cancel safety
    /// Dropping the future drops the item without adding it, and gives its place in the line to the next producer.
    pub async fn push(&self, item: T) -> Result<(), Closed<T>> {
        match self.shared.room.acquire().await {
            Ok(place) => {
                place.forget();
                self.shared.add(item)
            }
            Err(_) => Err(Closed(item)),
        }
    }

    /// Adds an item if there is room now, without waiting.
    ///
    /// Use it for admission control: in a producer that drops or rejects items under load. To wait for room, use
    /// [`push`](Queue::push).
    ///
    /// ```
    /// use antiphon_stream::{PushError, Queue};
    /// let queue = Queue::new(1);
    /// assert_eq!(queue.try_push("first"), Ok(()));
    /// assert_eq!(queue.try_push("second"), Err(PushError::Full("second")));
    /// assert_eq!(queue.try_pop(), Some("first"));
    /// queue.close();
    /// assert_eq!(queue.try_push("third"), Err(PushError::Closed("third")));
    /// ```
    ///
    /// # Errors
    /// [`PushError`] with the item, if the queue is full or closed.
    pub fn try_push(&self, item: T) -> Result<(), PushError<T>> {
        match self.shared.room.try_acquire() {
            Ok(place) => {
                place.forget();
                self.shared.add(item).map_err(|Closed(item)| PushError::Closed(item))
            }
            Err(_) if self.is_closed() => Err(PushError::Closed(item)),
            Err(_) => Err(PushError::Full(item)),
        }
    }

    /// Removes and returns the first item; waits while the queue is empty. Returns `None` once it is closed and empty.
    ///
    /// # Cancel safety
    /// Dropping the future removes no item, and gives its place in the line to the next consumer.
    pub async fn pop(&self) -> Option<T> {
        // A closed semaphore grants no permits: the items that are left are then taken without one.
        if let Ok(item) = self.shared.filled.acquire().await {
            item.forget();
        }
        self.shared.take()
    }

    /// Removes and returns the first item, without waiting.
    ///
    /// Returns `None` if the queue is empty, or if all its items are reserved for consumers that were waiting. To distinguish an
    /// empty queue from a closed one, use [`is_closed`](Queue::is_closed).
    #[must_use]
    pub fn try_pop(&self) -> Option<T> {
        match self.shared.filled.try_acquire() {
            Ok(item) => item.forget(),
            Err(_) if self.is_closed() => {}
            Err(_) => return None,
        }
        self.shared.take()
    }

    /// Closes the queue for new items. Has no effect on a closed queue.
    ///
    /// Waiting producers get their items back as [`Closed`]. Consumers receive the items that are left, and then `None`.
    pub fn close(&self) {
        self.shared.state().is_closed = true;
        self.shared.room.close();
        self.shared.filled.close();
    }

    /// Returns whether the queue was closed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.shared.state().is_closed
    }

    /// Returns the number of items in the queue. Other handles may change it at any time.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shared.state().items.len()
    }

    /// Returns whether the queue holds no items.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the maximum number of items in the queue.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.shared.capacity
    }

    /// Returns a consumer in the form of a stream, which ends once the queue is closed and empty.
    ///
    /// Several streams of one queue share its items: each item is yielded by one of them.
    pub fn stream(&self) -> QueueStream<T> {
        QueueStream { shared: self.shared.clone(), filled: PollSemaphore::new(self.shared.filled.clone()) }
    }
}

impl<T> Shared<T> {
    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds an item, for which a permit of `room` was taken.
    fn add(&self, item: T) -> Result<(), Closed<T>> {
        {
            let mut state = self.state();
            // Closed since the permit was taken: consumers may have seen the end already.
            if state.is_closed {
                return Err(Closed(item));
            }
            state.items.push_back(item);
        }
        self.filled.add_permits(1);
        Ok(())
    }

    fn take(&self) -> Option<T> {
        let item = self.state().items.pop_front()?;
        self.room.add_permits(1);
        Some(item)
    }
}

impl<T> Clone for Queue<T> {
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone() }
    }
}

impl<T> fmt::Debug for Queue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue")
            .field("len", &self.len())
            .field("capacity", &self.capacity())
            .field("is_closed", &self.is_closed())
            .finish()
    }
}

/// The stream returned by [`Queue::stream`].
///
/// # Cancel safety
/// Dropping the stream loses no item: those in the queue are left to other consumers.
#[must_use = "streams do nothing unless polled"]
pub struct QueueStream<T> {
    shared: Arc<Shared<T>>,
    filled: PollSemaphore,
}

impl<T> Stream for QueueStream<T> {
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        if let Some(item) = ready!(self.filled.poll_acquire(cx)) {
            item.forget();
        }
        Poll::Ready(self.shared.take())
    }
}

impl<T> fmt::Debug for QueueStream<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueueStream").field("len", &self.shared.state().items.len()).finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for Closed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Closed(..)")
    }
}

impl<T> fmt::Display for Closed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the queue was closed")
    }
}

impl<T> std::error::Error for Closed<T> {}

impl<T> fmt::Debug for PushError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full(_) => "Full(..)",
            Self::Closed(_) => "Closed(..)",
        })
    }
}

impl<T> fmt::Display for PushError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full(_) => "the queue is full",
            Self::Closed(_) => "the queue was closed",
        })
    }
}

impl<T> std::error::Error for PushError<T> {}

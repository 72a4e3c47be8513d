//! Resources that are dear to make and can be used again.

mod lease;
mod manage;
mod shared;

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Duration;

use lease::Lease;
pub use manage::{FromFns, Manage};
use shared::{Acquire, Shared};

use crate::observe;

/// A bounded set of resources, such as connections, that are made when needed and used again.
///
/// A connection pool, for one. Where there is nothing to use again, and only the number of calls is to be bounded, use a
/// [`Runner`](crate::Runner) or [`gather`](crate::gather).
///
/// Those who wait are served in the order in which they came. Cloning gives another handle to the same pool; when the
/// last handle is gone the pool is closed.
///
/// [`from_fns`](Pool::from_fns) takes two functions; implement [`Manage`] where a resource must be checked before it is used
/// again.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::convert::Infallible;
/// use antiphon_runtime::Pool;
///
/// let pool = Pool::from_fns(2, || async { Ok::<_, Infallible>(String::new()) }, |_| async {});
/// let mut scratch = pool.acquire().await?;
/// scratch.push_str("used again");
/// drop(scratch);
/// assert_eq!(*pool.acquire().await?, "used again");
/// # Ok(())
/// # }
/// ```
pub struct Pool<M: Manage> {
    handle: Arc<Handle<M>>,
}

/// The size of a [`Pool`] and how long it keeps its resources; [`Manage`] has an example.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolOptions {
    /// The most resources at once, with those that are being made or closed; 0 counts as 1.
    pub max_size: usize,
    /// A resource that nobody used for so long is closed and not handed out, at the latest when it comes to its turn;
    /// each use of the pool looks at the longest unused one, too. Default: never.
    pub idle_timeout: Option<Duration>,
    /// A resource older than this is closed instead of being used again. Default: never.
    pub max_lifetime: Option<Duration>,
}

impl PoolOptions {
    /// At most `max_size` resources, kept for ever.
    #[must_use]
    pub fn new(max_size: usize) -> Self {
        Self { max_size, idle_timeout: None, max_lifetime: None }
    }

    /// Sets how long a resource may go unused.
    #[must_use]
    pub fn idle_timeout(mut self, time: Duration) -> Self {
        self.idle_timeout = Some(time);
        self
    }

    /// Sets how old a resource may become.
    #[must_use]
    pub fn max_lifetime(mut self, time: Duration) -> Self {
        self.max_lifetime = Some(time);
        self
    }
}

/// The content of a [`Pool`] at one instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolStatus {
    /// Resources that exist, are being made or are being closed.
    pub size: usize,
    /// Resources that nobody uses.
    pub idle: usize,
    /// Callers that wait for one.
    pub waiting: usize,
    /// Resources made so far.
    pub created: u64,
    /// Times that an unused one was taken again, also where it then proved bad.
    pub reused: u64,
}

/// Why a [`Pool`] gave no resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum AcquireError<E> {
    /// The pool was closed.
    Closed,
    /// None came free, or was ready, within the time given.
    TimedOut,
    /// It could not be made.
    Create(E),
}

impl<E> fmt::Display for AcquireError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closed => "the pool was closed",
            Self::TimedOut => "no resource came free in time",
            Self::Create(_) => "could not make a resource for the pool",
        })
    }
}

impl<E: std::error::Error + 'static> std::error::Error for AcquireError<E> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Create(err) => Some(err),
            Self::Closed | Self::TimedOut => None,
        }
    }
}

impl<C, D> Pool<FromFns<C, D>>
where
    FromFns<C, D>: Manage,
{
    /// A pool of at most `max_size` resources that are made by one function and closed by another.
    #[must_use]
    pub fn from_fns(max_size: usize, create: C, close: D) -> Self {
        Self::new(FromFns::new(create, close), PoolOptions::new(max_size))
    }
}

impl<M: Manage> Pool<M> {
    /// An empty pool; resources are made when they are asked for.
    #[must_use]
    pub fn new(manage: M, options: PoolOptions) -> Self {
        Self { handle: Arc::new(Handle { shared: Arc::new(Shared::new(manage, options)) }) }
    }

    /// Waits for a resource: an unused one that is still good, else a new one while there are fewer than the most.
    ///
    /// # Errors
    /// `Closed`, or `Create` with what [`Manage::create`] said.
    ///
    /// # Cancel safety
    /// A dropped call gives its turn to the next. A resource that was being checked is closed by a task that the pool
    /// owns, since nobody knows its state; one that was being made is dropped with its future.
    pub async fn acquire(&self) -> Result<Pooled<M>, AcquireError<M::Error>> {
        let shared = &self.handle.shared;
        shared.note_runtime();
        loop {
            let mut lease = Acquire::new(shared).await.map_err(|Closed| AcquireError::Closed)?;
            if lease.is_filled() {
                if lease.is_good().await {
                    observe::acquired("reused");
                    return Ok(Pooled { lease });
                }
                match lease.emptied().await {
                    Some(room) => lease = room,
                    None => continue,
                }
            }
            let resource = shared.manage.create().await.map_err(AcquireError::Create)?;
            observe::acquired("created");
            lease.fill(resource);
            return Ok(Pooled { lease });
        }
    }

    /// [`acquire`](Pool::acquire) that gives up after a time, be it in the line or while a resource is made.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use std::{convert::Infallible, time::Duration};
    /// use antiphon_runtime::{AcquireError, Pool};
    ///
    /// let pool = Pool::from_fns(1, || async { Ok::<_, Infallible>("a connection") }, |_| async {});
    /// let busy = pool.acquire().await?;
    /// let late = pool.acquire_within(Duration::from_millis(1)).await;
    /// assert_eq!(late.unwrap_err(), AcquireError::TimedOut);
    /// drop(busy);
    /// assert_eq!(*pool.acquire().await?, "a connection");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`acquire`](Pool::acquire), and `TimedOut`.
    ///
    /// # Cancel safety
    /// As [`acquire`](Pool::acquire).
    pub async fn acquire_within(&self, time: Duration) -> Result<Pooled<M>, AcquireError<M::Error>> {
        match tokio::time::timeout(time, self.acquire()).await {
            Ok(result) => result,
            Err(_) => Err(AcquireError::TimedOut),
        }
    }

    /// An unused resource, if there is one and nobody waits for it. It is not checked, since that may take time.
    #[must_use]
    pub fn try_acquire(&self) -> Option<Pooled<M>> {
        let lease = Shared::try_lease(&self.handle.shared)?;
        observe::acquired("reused");
        Some(Pooled { lease })
    }

    /// Refuses everybody who waits or comes, closes what is unused and waits until that is done. What is out is closed
    /// when it comes back, by a task that the pool owns.
    ///
    /// # Cancel safety
    /// A dropped call has still closed the pool, and closing the resources goes on; call it again to wait for that.
    pub async fn close(&self) {
        Shared::close(&self.handle.shared);
        self.handle.shared.cleanups.close();
        self.handle.shared.cleanups.wait().await;
    }

    /// What the pool holds now.
    #[must_use]
    pub fn status(&self) -> PoolStatus {
        self.handle.shared.status()
    }
}

/// A resource on loan from a [`Pool`]; dropping it gives it back.
pub struct Pooled<M: Manage> {
    /// With a resource in it, from here on.
    lease: Lease<M>,
}

impl<M: Manage> Pooled<M> {
    /// Has the resource closed instead of used again, by a task that the pool owns: for one that turned out broken.
    pub fn discard(mut self) {
        self.lease.must_close();
    }
}

impl<M: Manage> Deref for Pooled<M> {
    type Target = M::Resource;

    fn deref(&self) -> &M::Resource {
        match &self.lease.entry {
            Some(entry) => &entry.resource,
            None => unreachable!("a pooled resource is there until it is dropped"),
        }
    }
}

impl<M: Manage> DerefMut for Pooled<M> {
    fn deref_mut(&mut self) -> &mut M::Resource {
        match &mut self.lease.entry {
            Some(entry) => &mut entry.resource,
            None => unreachable!("a pooled resource is there until it is dropped"),
        }
    }
}

impl<M: Manage<Resource: fmt::Debug>> fmt::Debug for Pooled<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pooled").field(&**self).finish()
    }
}

/// The pool was closed.
struct Closed;

struct Handle<M: Manage> {
    shared: Arc<Shared<M>>,
}

impl<M: Manage> Drop for Handle<M> {
    fn drop(&mut self) {
        Shared::close(&self.shared);
    }
}

impl<M: Manage> Clone for Pool<M> {
    fn clone(&self) -> Self {
        Self { handle: self.handle.clone() }
    }
}

impl<M: Manage> fmt::Debug for Pool<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("status", &self.status()).finish_non_exhaustive()
    }
}

//! A resource pool, such as a connection pool.

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

use crate::observe::{self, Source};

/// A bounded resource pool, such as a connection pool: resources are created on demand and reused.
///
/// [`acquire`](Pool::acquire) lends a resource to the caller; dropping the [`Pooled`] guard returns it to the pool. Waiting
/// callers are served in the order of their calls (fair). Clones share the same pool; dropping the last one closes it.
///
/// [`from_fns`](Pool::from_fns) creates a pool from two functions. Implement [`Manage`] if a resource must be checked before
/// reuse, as a keep-alive connection must. If there is nothing to reuse and only the concurrency is to be limited, as by a
/// semaphore, use a [`Runner`](crate::Runner) or [`gather`](crate::gather).
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

/// Limits on the size of a [`Pool`] and on the age of its resources; see [`Manage`] for an example.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolOptions {
    /// The maximum number of resources: idle, in use, being created or being closed. 0 counts as 1.
    pub max_size: usize,
    /// The time after which an idle resource is closed instead of reused. Default `None`: never.
    ///
    /// There is no timer: the time is checked when the resource would be reused, and for the resource that has been idle longest
    /// whenever another one is returned. In a pool that is not used, idle resources stay open.
    pub idle_timeout: Option<Duration>,
    /// The age, counted from its creation, after which a resource is closed instead of reused. Checked as `idle_timeout` is.
    /// Default `None`: never.
    pub max_lifetime: Option<Duration>,
}

impl PoolOptions {
    /// Creates options for at most `max_size` resources that never expire.
    #[must_use]
    pub fn new(max_size: usize) -> Self {
        Self { max_size, idle_timeout: None, max_lifetime: None }
    }

    /// Sets the time after which an idle resource is closed instead of reused. Default: never.
    #[must_use]
    pub fn idle_timeout(mut self, time: Duration) -> Self {
        self.idle_timeout = Some(time);
        self
    }

    /// Sets the age after which a resource is closed instead of reused. Default: never.
    #[must_use]
    pub fn max_lifetime(mut self, time: Duration) -> Self {
        self.max_lifetime = Some(time);
        self
    }
}

/// The state of a [`Pool`] at one instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolStatus {
    /// Number of resources: idle, in use, being created or being closed.
    pub size: usize,
    /// Number of idle resources.
    pub idle: usize,
    /// Number of callers that wait for a resource.
    pub waiting: usize,
    /// Number of resources created since the pool was created.
    pub created: u64,
    /// Number of times that an idle resource was taken, including those that then failed the check.
    pub reused: u64,
}

/// The error of [`Pool::acquire`] and [`Pool::acquire_within`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum AcquireError<E> {
    /// The pool was closed.
    Closed,
    /// No resource became available within the time limit of [`Pool::acquire_within`].
    TimedOut,
    /// A new resource could not be created; contains the error of [`Manage::create`].
    Create(E),
}

impl<E> fmt::Display for AcquireError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closed => "the pool was closed",
            Self::TimedOut => "no resource became available in time",
            Self::Create(_) => "could not create a resource for the pool",
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
    /// Creates a pool of at most `max_size` resources from two functions: one creates a resource, the other closes it.
    ///
    /// Resources never expire and are not checked before reuse; otherwise, use [`new`](Pool::new).
    #[must_use]
    pub fn from_fns(max_size: usize, create: C, close: D) -> Self {
        Self::new(FromFns::new(create, close), PoolOptions::new(max_size))
    }
}

impl<M: Manage> Pool<M> {
    /// Creates an empty pool. Resources are created on demand by `manage`, within the limits in `options`.
    #[must_use]
    pub fn new(manage: M, options: PoolOptions) -> Self {
        Self { handle: Arc::new(Handle { shared: Arc::new(Shared::new(manage, options)) }) }
    }

    /// Returns an idle resource that passes [`Manage::check`], or creates a new one. Waits if `max_size` is reached.
    ///
    /// The wait has no time limit; for one, use [`acquire_within`](Pool::acquire_within).
    ///
    /// # Errors
    /// [`Closed`](AcquireError::Closed), or [`Create`](AcquireError::Create) with the error of [`Manage::create`].
    ///
    /// # Cancel safety
    /// Dropping the future passes its place in the queue to the next waiter and leaks no resource. A resource that was being
    /// checked is closed by a task of the pool, since its state is unknown; the future that was creating a resource is dropped.
    pub async fn acquire(&self) -> Result<Pooled<M>, AcquireError<M::Error>> {
        let shared = &self.handle.shared;
        shared.note_runtime();
        loop {
            let mut lease = Acquire::new(shared).await.map_err(|Closed| AcquireError::Closed)?;
            if lease.is_filled() {
                if lease.is_good().await {
                    observe::acquired(Source::Reused);
                    return Ok(Pooled { lease });
                }
                match lease.emptied().await {
                    Some(room) => lease = room,
                    None => continue,
                }
            }
            let resource = shared.manage.create().await.map_err(AcquireError::Create)?;
            observe::acquired(Source::Created);
            lease.fill(resource);
            return Ok(Pooled { lease });
        }
    }

    /// Acquires a resource like [`acquire`](Pool::acquire), with a time limit on the whole call: waiting, checking and creating.
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
    /// Those of [`acquire`](Pool::acquire), and [`TimedOut`](AcquireError::TimedOut).
    ///
    /// # Panics
    /// Outside a tokio runtime.
    ///
    /// # Cancel safety
    /// As for [`acquire`](Pool::acquire).
    pub async fn acquire_within(&self, time: Duration) -> Result<Pooled<M>, AcquireError<M::Error>> {
        match tokio::time::timeout(time, self.acquire()).await {
            Ok(result) => result,
            Err(_) => Err(AcquireError::TimedOut),
        }
    }

    /// Returns an idle resource if there is one and no other caller is waiting.
    ///
    /// Never waits. The resource is therefore not checked by [`Manage::check`], and no new one is created. Expired resources are
    /// closed and not returned.
    #[must_use]
    pub fn try_acquire(&self) -> Option<Pooled<M>> {
        let lease = Shared::try_lease(&self.handle.shared)?;
        observe::acquired(Source::Reused);
        Some(Pooled { lease })
    }

    /// Closes the pool and its idle resources, and waits until they are closed.
    ///
    /// Waiting and later callers get [`AcquireError::Closed`]. Resources in use are not waited for: each is closed by a task of
    /// the pool when it is returned.
    ///
    /// # Cancel safety
    /// If the future is dropped after its first poll, the pool is closed, and the closing of resources continues in the
    /// background. Call it again to wait for that.
    pub async fn close(&self) {
        Shared::close(&self.handle.shared);
        self.handle.shared.cleanups.close();
        self.handle.shared.cleanups.wait().await;
    }

    /// Returns a snapshot of the size and the counters.
    #[must_use]
    pub fn status(&self) -> PoolStatus {
        self.handle.shared.status()
    }
}

/// A guard of a resource of a [`Pool`]; dropping it returns the resource to the pool.
pub struct Pooled<M: Manage> {
    /// Always filled.
    lease: Lease<M>,
}

impl<M: Manage> Pooled<M> {
    /// Closes the resource instead of returning it to the pool. Use it for a resource that turned out to be broken.
    ///
    /// Returns at once: the resource is closed by a task of the pool, and counts towards `max_size` until then.
    pub fn discard(mut self) {
        self.lease.must_close();
    }
}

impl<M: Manage> Deref for Pooled<M> {
    type Target = M::Resource;

    fn deref(&self) -> &M::Resource {
        match &self.lease.entry {
            Some(entry) => &entry.resource,
            None => unreachable!("a pooled resource is present until it is dropped"),
        }
    }
}

impl<M: Manage> DerefMut for Pooled<M> {
    fn deref_mut(&mut self) -> &mut M::Resource {
        match &mut self.lease.entry {
            Some(entry) => &mut entry.resource,
            None => unreachable!("a pooled resource is present until it is dropped"),
        }
    }
}

impl<M: Manage<Resource: fmt::Debug>> fmt::Debug for Pooled<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pooled").field(&**self).finish()
    }
}

/// The fact that the pool was closed.
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

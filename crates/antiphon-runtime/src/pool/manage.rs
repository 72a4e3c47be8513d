use std::fmt;

/// A manager of the resources of a [`Pool`](super::Pool): creates, checks and closes them.
///
/// If no check is needed, use [`Pool::from_fns`](super::Pool::from_fns), which takes two functions instead.
///
/// ```
/// use std::convert::Infallible;
/// use std::time::Duration;
/// use antiphon_runtime::{Manage, Pool, PoolOptions};
///
/// /// A keep-alive connection that serves three requests, as some servers allow (`Keep-Alive: max=3`).
/// struct Connection {
///     remaining: u32,
/// }
///
/// struct Connections;
///
/// impl Manage for Connections {
///     type Resource = Connection;
///     type Error = Infallible;
///
///     async fn create(&self) -> Result<Connection, Infallible> {
///         Ok(Connection { remaining: 3 })
///     }
///
///     async fn check(&self, connection: &mut Connection) -> bool {
///         connection.remaining > 0
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let options = PoolOptions::new(8).idle_timeout(Duration::from_secs(90));
/// let pool = Pool::new(Connections, options);
/// for _ in 0..7 {
///     pool.acquire().await?.remaining -= 1;
/// }
/// assert_eq!(pool.status().created, 3);
/// # Ok(())
/// # }
/// ```
///
/// # Cancel safety
/// `create` and `check` are dropped at any await point when their caller is dropped; a resource whose check was dropped is
/// closed. `close` runs in a task of the pool and is dropped only with its runtime.
pub trait Manage: Send + Sync + 'static {
    /// The type of the pooled resources.
    type Resource: Send + 'static;
    /// The error of [`create`](Self::create).
    type Error: Send;

    /// Creates a resource, such as a connection. Called if no idle resource is usable and `max_size` is not reached.
    ///
    /// # Errors
    /// An error is returned to the caller of [`acquire`](super::Pool::acquire) as
    /// [`AcquireError::Create`](super::AcquireError::Create). The pool does not retry.
    fn create(&self) -> impl Future<Output = Result<Self::Resource, Self::Error>> + Send;

    /// Returns whether an idle resource is usable; the pool closes it if not. The default returns `true`.
    ///
    /// Called by [`acquire`](super::Pool::acquire) before each reuse, but not by [`try_acquire`](super::Pool::try_acquire), which
    /// never waits.
    fn check(&self, resource: &mut Self::Resource) -> impl Future<Output = bool> + Send {
        let _ = resource;
        std::future::ready(true)
    }

    /// Closes a resource that will not be used again. The default drops it.
    ///
    /// Runs in a task of the pool; until it returns, the resource counts towards `max_size`.
    fn close(&self, resource: Self::Resource) -> impl Future<Output = ()> + Send {
        drop(resource);
        std::future::ready(())
    }
}

/// The implementation of [`Manage`] by two functions, as used by [`Pool::from_fns`](super::Pool::from_fns).
pub struct FromFns<C, D> {
    create: C,
    close: D,
}

impl<C, D> FromFns<C, D> {
    pub(super) fn new(create: C, close: D) -> Self {
        Self { create, close }
    }
}

impl<C, CFut, R, E, D, DFut> Manage for FromFns<C, D>
where
    C: Fn() -> CFut + Send + Sync + 'static,
    CFut: Future<Output = Result<R, E>> + Send,
    R: Send + 'static,
    E: Send,
    D: Fn(R) -> DFut + Send + Sync + 'static,
    DFut: Future<Output = ()> + Send,
{
    type Resource = R;
    type Error = E;

    fn create(&self) -> impl Future<Output = Result<R, E>> + Send {
        (self.create)()
    }

    fn close(&self, resource: R) -> impl Future<Output = ()> + Send {
        (self.close)(resource)
    }
}

impl<C, D> fmt::Debug for FromFns<C, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FromFns").finish_non_exhaustive()
    }
}

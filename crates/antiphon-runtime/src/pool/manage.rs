use std::fmt;

/// A maker of the resources of a [`Pool`](super::Pool), which also checks and closes them.
///
/// Two functions are enough for many: see [`Pool::from_fns`](super::Pool::from_fns).
///
/// ```
/// use std::convert::Infallible;
/// use std::time::Duration;
/// use antiphon_runtime::{Manage, Pool, PoolOptions};
///
/// /// A connection that serves three requests, as some servers allow (`Keep-Alive: max=3`).
/// struct Connection {
///     exited: u32,
/// }
///
/// struct Connections;
///
/// impl Manage for Connections {
///     type Resource = Connection;
///     type Error = Infallible;
///
///     async fn create(&self) -> Result<Connection, Infallible> {
///         Ok(Connection { exited: 3 })
///     }
///
///     async fn check(&self, connection: &mut Connection) -> bool {
///         connection.exited > 0
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let options = PoolOptions::new(8).idle_timeout(Duration::from_secs(90));
/// let pool = Pool::new(Connections, options);
/// for _ in 0..7 {
///     pool.acquire().await?.exited -= 1;
/// }
/// assert_eq!(pool.status().created, 3);
/// # Ok(())
/// # }
/// ```
///
/// # Cancel safety
/// `create` and `check` are dropped wherever they wait when their caller is; a resource whose check was dropped is closed.
/// `close` runs in a task of the pool and is dropped only with its runtime.
pub trait Manage: Send + Sync + 'static {
    /// What is pooled.
    type Resource: Send + 'static;
    /// Why a resource could not be made.
    type Error: Send;

    /// Makes a resource.
    ///
    /// # Errors
    /// What the caller of [`acquire`](super::Pool::acquire) shall see.
    fn create(&self) -> impl Future<Output = Result<Self::Resource, Self::Error>> + Send;

    /// Whether a resource can be used again; one that cannot is closed. Asked before each further use.
    fn check(&self, resource: &mut Self::Resource) -> impl Future<Output = bool> + Send {
        let _ = resource;
        std::future::ready(true)
    }

    /// Ends a resource that will not be used again.
    fn close(&self, resource: Self::Resource) -> impl Future<Output = ()> + Send {
        drop(resource);
        std::future::ready(())
    }
}

/// A [`Manage`] of two functions, for [`Pool::from_fns`](super::Pool::from_fns).
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

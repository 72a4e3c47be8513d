use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use super::admission::{Admission, take_ready};
use crate::{Cost, RateLimiter, RatePermit};

/// A layer that delays requests until a [`RateLimiter`] admits them.
///
/// `cost` estimates the cost of a request; for a limit of requests alone, it returns [`Cost::request`]. All services of this
/// layer share the limiter. The permit is held until the response has come; its body is not part of the call.
///
/// ```
/// use std::convert::Infallible;
/// use antiphon_resilience::{Cost, Rate, RateLimiter, RateLimits, tower::RateLimitLayer};
/// use tower::{Service, ServiceBuilder, ServiceExt, service_fn};
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Infallible> {
/// let limiter = RateLimiter::new(RateLimits::default().requests(Rate::per_second(1)));
/// let mut echo = ServiceBuilder::new()
///     .layer(RateLimitLayer::new(limiter, |_: &u32| Cost::request()))
///     .service(service_fn(async |n: u32| Ok::<_, Infallible>(n)));
/// let start = tokio::time::Instant::now();
/// for n in 0..3 {
///     assert_eq!(echo.ready().await?.call(n).await?, n);
/// }
/// assert_eq!(start.elapsed().as_secs(), 2);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct RateLimitLayer<K> {
    limiter: RateLimiter,
    cost: K,
}

/// The service of a [`RateLimitLayer`].
#[derive(Clone)]
pub struct RateLimitService<S, K> {
    inner: S,
    settings: RateLimitLayer<K>,
}

/// The future of a [`RateLimitService`]: the wait for a permit, and the call.
///
/// # Cancel safety
/// Dropping the future leaves the queue, or drops the call and frees its slot. The cost of a call that was made stays spent.
#[pin_project]
#[must_use = "futures do nothing unless awaited"]
pub struct RateLimitFuture<S: Service<Req>, Req> {
    #[pin]
    state: State<S, Req, S::Future>,
}

/// The progress of a limited request.
#[pin_project(project = StateProjection)]
enum State<S, Req, Fut> {
    /// The request waits for its permit.
    Queued(Admission<S, Req, RatePermit>),
    /// The call is in flight. The permit is dropped when it ends.
    Calling {
        #[pin]
        call: Fut,
        permit: Option<RatePermit>,
    },
}

impl<K> RateLimitLayer<K> {
    /// Creates a layer.
    #[must_use]
    pub fn new(limiter: RateLimiter, cost: K) -> Self {
        Self { limiter, cost }
    }
}

impl<S, K: Clone> Layer<S> for RateLimitLayer<K> {
    type Service = RateLimitService<S, K>;

    fn layer(&self, inner: S) -> Self::Service {
        RateLimitService { inner, settings: self.clone() }
    }
}

impl<S, Req, K> Service<Req> for RateLimitService<S, K>
where
    S: Service<Req> + Clone,
    K: Fn(&Req) -> Cost,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = RateLimitFuture<S, Req>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Req) -> Self::Future {
        let cost = (self.settings.cost)(&request);
        if let Some(permit) = self.settings.limiter.try_acquire(cost) {
            let (call, permit) = (self.inner.call(request), Some(permit));
            return RateLimitFuture { state: State::Calling { call, permit } };
        }
        let limiter = self.settings.limiter.clone();
        let permit = async move { limiter.acquire(cost).await };
        let state = State::Queued(Admission::new(permit, take_ready(&mut self.inner), request));
        RateLimitFuture { state }
    }
}

impl<S: Service<Req>, Req> Future for RateLimitFuture<S, Req> {
    type Output = Result<S::Response, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            match this.state.as_mut().project() {
                StateProjection::Queued(admission) => {
                    let (permit, mut service, request) = ready!(admission.poll_admitted(cx));
                    let (call, permit) = (service.call(request), Some(permit));
                    this.state.set(State::Calling { call, permit });
                }
                StateProjection::Calling { call, permit } => {
                    let result = ready!(call.poll(cx));
                    drop(permit.take());
                    return Poll::Ready(result);
                }
            }
        }
    }
}

impl<K> fmt::Debug for RateLimitLayer<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimitLayer").field("limiter", &self.limiter).finish_non_exhaustive()
    }
}

impl<S, K> fmt::Debug for RateLimitService<S, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimitService").field("limiter", &self.settings.limiter).finish_non_exhaustive()
    }
}

impl<S: Service<Req>, Req> fmt::Debug for RateLimitFuture<S, Req> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimitFuture").finish_non_exhaustive()
    }
}

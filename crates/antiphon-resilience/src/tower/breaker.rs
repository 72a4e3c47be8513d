use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use super::admission::BoxError;
use crate::{BreakerPermit, CircuitBreaker, CircuitOpen};

/// A layer that rejects requests while a [`CircuitBreaker`] is open.
///
/// `is_failure` decides which results are failures of the service; a response that is none counts as a success, and an error
/// that is none is not counted. A rejected request fails with [`CircuitOpen`], boxed, and does not reach the service.
///
/// The service is ready even while the breaker is open, since an error of `poll_ready` would mean that it is of no more use.
/// All services of this layer share the breaker. A call lasts until its response; the body is not part of it.
///
/// ```
/// use std::time::Duration;
/// use antiphon_resilience::{CircuitBreaker, CircuitOpen, tower::{BoxError, BreakerLayer}};
/// use tower::{ServiceBuilder, ServiceExt, service_fn};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let breaker = BreakerLayer::new(CircuitBreaker::simple(1, Duration::from_secs(60)), Result::is_err);
/// let service = ServiceBuilder::new().layer(breaker).service(service_fn(async |_: ()| Err::<(), BoxError>("down".into())));
/// assert_eq!(service.clone().oneshot(()).await.unwrap_err().to_string(), "down");
/// assert!(service.oneshot(()).await.unwrap_err().is::<CircuitOpen>());
/// # }
/// ```
#[derive(Clone)]
pub struct BreakerLayer<C> {
    breaker: CircuitBreaker,
    is_failure: C,
}

/// The service of a [`BreakerLayer`].
#[derive(Clone)]
pub struct BreakerService<S, C> {
    inner: S,
    settings: BreakerLayer<C>,
}

/// The future of a [`BreakerService`].
///
/// # Cancel safety
/// Dropping the future drops the call, which the breaker then does not count. If it was a trial, another call may make it.
#[pin_project]
#[must_use = "futures do nothing unless awaited"]
pub struct BreakerFuture<Fut, C> {
    #[pin]
    state: State<Fut, C>,
}

/// The progress of a guarded request.
#[pin_project(project = StateProjection)]
enum State<Fut, C> {
    /// A call is in flight. The permit is taken when it ends.
    Calling {
        #[pin]
        call: Fut,
        permit: Option<BreakerPermit>,
        is_failure: C,
    },
    /// The breaker has rejected the request; `None` once that was reported.
    Rejected(Option<CircuitOpen>),
}

impl<C> BreakerLayer<C> {
    /// Creates a layer; [`Result::is_err`] as `is_failure` counts every error and no response.
    #[must_use]
    pub fn new(breaker: CircuitBreaker, is_failure: C) -> Self {
        Self { breaker, is_failure }
    }
}

impl<S, C: Clone> Layer<S> for BreakerLayer<C> {
    type Service = BreakerService<S, C>;

    fn layer(&self, inner: S) -> Self::Service {
        BreakerService { inner, settings: self.clone() }
    }
}

impl<S, Req, C> Service<Req> for BreakerService<S, C>
where
    S: Service<Req, Error: Into<BoxError>>,
    C: Fn(&Result<S::Response, S::Error>) -> bool + Clone,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = BreakerFuture<S::Future, C>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, request: Req) -> Self::Future {
        let state = match self.settings.breaker.permit() {
            Ok(permit) => State::Calling {
                call: self.inner.call(request),
                permit: Some(permit),
                is_failure: self.settings.is_failure.clone(),
            },
            Err(rejected) => State::Rejected(Some(rejected)),
        };
        BreakerFuture { state }
    }
}

impl<Fut, C, T, E> Future for BreakerFuture<Fut, C>
where
    Fut: Future<Output = Result<T, E>>,
    E: Into<BoxError>,
    C: Fn(&Result<T, E>) -> bool,
{
    type Output = Result<T, BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            StateProjection::Calling { call, permit, is_failure } => {
                let result = ready!(call.poll(cx));
                report(permit.take(), is_failure(&result), result.is_ok());
                Poll::Ready(result.map_err(Into::into))
            }
            StateProjection::Rejected(rejected) => match rejected.take() {
                Some(rejected) => Poll::Ready(Err(rejected.into())),
                None => Poll::Pending,
            },
        }
    }
}

/// Reports a result to the breaker. An error that is no failure drops the permit, and is not counted.
fn report(permit: Option<BreakerPermit>, is_failure: bool, is_response: bool) {
    let Some(permit) = permit else { return };
    if is_failure {
        permit.failure();
    } else if is_response {
        permit.success();
    }
}

impl<C> fmt::Debug for BreakerLayer<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BreakerLayer").field("breaker", &self.breaker).finish_non_exhaustive()
    }
}

impl<S, C> fmt::Debug for BreakerService<S, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BreakerService").field("breaker", &self.settings.breaker).finish_non_exhaustive()
    }
}

impl<Fut, C> fmt::Debug for BreakerFuture<Fut, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BreakerFuture").finish_non_exhaustive()
    }
}

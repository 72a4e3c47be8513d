use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use pin_project::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use super::admission::{Admission, BoxError, take_ready};
use crate::{AdaptiveLimiter, Cost, Deadline, LimitHints, Permit, Saturated};

/// A layer that delays requests until an [`AdaptiveLimiter`] admits them, and reports their results to it.
///
/// `cost` estimates the cost of a request, and `feedback` reads from each result what the limiter learns from. A refusal (429)
/// is reported and returned, not repeated: put a [`RetryLayer`](super::RetryLayer) outside. If no call is admitted in time, the
/// request fails with [`Saturated`], boxed. All services of this layer share the limiter.
///
/// ```
/// use antiphon_resilience::tower::{AdaptiveLimitLayer, BoxError, LimitFeedback};
/// use antiphon_resilience::{Cost, LimitHints, LimiterRegistry};
/// use tower::{ServiceBuilder, ServiceExt, service_fn};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), BoxError> {
/// let limiter = LimiterRegistry::default().limiter("https://api.example.org", "small-model");
/// // For an HTTP response, read the hints with `LimitHints::read`.
/// let feedback = |answer: &Result<u16, BoxError>| match answer {
///     Ok(429) => LimitFeedback::Throttled(LimitHints::default()),
///     Ok(_) => LimitFeedback::Answered { usage: None, hints: LimitHints::default() },
///     Err(_) => LimitFeedback::Failed(LimitHints::default()),
/// };
/// let service = ServiceBuilder::new()
///     .layer(AdaptiveLimitLayer::new(limiter.clone(), |_: &()| Cost::request(), feedback))
///     .service(service_fn(async |_: ()| Ok::<u16, BoxError>(200)));
/// assert_eq!(service.oneshot(()).await?, 200);
/// assert_eq!(limiter.snapshot().answered, 1);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct AdaptiveLimitLayer<K, C> {
    limiter: AdaptiveLimiter,
    cost: K,
    feedback: C,
    max_queue: Option<Duration>,
}

/// The result of a call, as an adaptive limiter learns from it.
#[derive(Debug, Clone)]
pub enum LimitFeedback {
    /// An answer.
    Answered {
        /// Actual cost of the call; `None` keeps the estimate.
        usage: Option<Cost>,
        /// Limits in the headers of the answer; the default if it has none.
        hints: LimitHints,
    },
    /// A refusal because of a limit (429), with the limits in its headers. All calls pause.
    Throttled(LimitHints),
    /// A failure for another reason, with the limits in its headers, if any.
    Failed(LimitHints),
    /// A request that was not sent: its cost is returned.
    Unsent,
}

/// The service of an [`AdaptiveLimitLayer`].
#[derive(Clone)]
pub struct AdaptiveLimitService<S, K, C> {
    inner: S,
    settings: AdaptiveLimitLayer<K, C>,
}

/// The future of an [`AdaptiveLimitService`]: the wait for a permit, and the call.
///
/// # Cancel safety
/// Dropping the future leaves the queue, or drops the call and frees its slot. The cost of a call that was made stays spent.
#[pin_project]
#[must_use = "futures do nothing unless awaited"]
pub struct AdaptiveLimitFuture<S: Service<Req>, Req, C> {
    feedback: C,
    #[pin]
    state: State<S, Req, S::Future>,
}

/// The progress of a limited request.
#[pin_project(project = StateProjection)]
enum State<S, Req, Fut> {
    /// The request waits for its permit.
    Queued(Admission<S, Req, Result<Permit, Saturated>>),
    /// The call is in flight. The permit is taken when it ends.
    Calling {
        #[pin]
        call: Fut,
        permit: Option<Permit>,
    },
}

impl<K, C> AdaptiveLimitLayer<K, C> {
    /// Creates a layer.
    #[must_use]
    pub fn new(limiter: AdaptiveLimiter, cost: K, feedback: C) -> Self {
        Self { limiter, cost, feedback, max_queue: None }
    }

    /// Sets the longest wait for a permit, after which a request fails with [`Saturated`]. Default: no limit but the policy's
    /// [`max_wait`](crate::AdaptivePolicy::max_wait).
    #[must_use]
    pub fn max_queue(mut self, wait: Duration) -> Self {
        self.max_queue = Some(wait);
        self
    }
}

impl<S, K: Clone, C: Clone> Layer<S> for AdaptiveLimitLayer<K, C> {
    type Service = AdaptiveLimitService<S, K, C>;

    fn layer(&self, inner: S) -> Self::Service {
        AdaptiveLimitService { inner, settings: self.clone() }
    }
}

impl<S, Req, K, C> Service<Req> for AdaptiveLimitService<S, K, C>
where
    S: Service<Req, Error: Into<BoxError>> + Clone,
    K: Fn(&Req) -> Cost,
    C: Fn(&Result<S::Response, S::Error>) -> LimitFeedback + Clone,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = AdaptiveLimitFuture<S, Req, C>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, request: Req) -> Self::Future {
        let (cost, limiter) = ((self.settings.cost)(&request), self.settings.limiter.clone());
        let deadline = self.settings.max_queue.map_or(Deadline::none(), Deadline::after);
        let permit = async move { limiter.acquire(cost, deadline).await };
        let state = State::Queued(Admission::new(permit, take_ready(&mut self.inner), request));
        AdaptiveLimitFuture { feedback: self.settings.feedback.clone(), state }
    }
}

impl<S, Req, C> Future for AdaptiveLimitFuture<S, Req, C>
where
    S: Service<Req, Error: Into<BoxError>>,
    C: Fn(&Result<S::Response, S::Error>) -> LimitFeedback,
{
    type Output = Result<S::Response, BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            match this.state.as_mut().project() {
                StateProjection::Queued(admission) => {
                    let (permit, mut service, request) = ready!(admission.poll_admitted(cx));
                    let (call, permit) = match permit {
                        Ok(permit) => (service.call(request), Some(permit)),
                        Err(saturated) => return Poll::Ready(Err(saturated.into())),
                    };
                    this.state.set(State::Calling { call, permit });
                }
                StateProjection::Calling { call, permit } => {
                    let result = ready!(call.poll(cx));
                    if let Some(permit) = permit.take() {
                        (this.feedback)(&result).report(permit);
                    }
                    return Poll::Ready(result.map_err(Into::into));
                }
            }
        }
    }
}

impl LimitFeedback {
    fn report(self, permit: Permit) {
        match self {
            Self::Answered { usage, hints } => permit.settle(usage, &hints),
            Self::Throttled(hints) => permit.throttled(&hints),
            Self::Failed(hints) => permit.failed(&hints),
            Self::Unsent => permit.refund(),
        }
    }
}

impl<K, C> fmt::Debug for AdaptiveLimitLayer<K, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdaptiveLimitLayer").field("max_queue", &self.max_queue).finish_non_exhaustive()
    }
}

impl<S, K, C> fmt::Debug for AdaptiveLimitService<S, K, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdaptiveLimitService").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl<S: Service<Req>, Req, C> fmt::Debug for AdaptiveLimitFuture<S, Req, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdaptiveLimitFuture").finish_non_exhaustive()
    }
}

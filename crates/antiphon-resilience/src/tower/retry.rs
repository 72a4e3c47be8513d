use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use pin_project::pin_project;
use tokio::time::{Sleep, sleep};
use tower_layer::Layer;
use tower_service::Service;

use super::admission::take_ready;
use crate::{Pauses, RetryBudget, RetryPolicy, Verdict};

/// A layer that retries requests under a [`RetryPolicy`], with exponential backoff and jitter.
///
/// `classify` returns a [`Verdict`] on each result of the inner service, whether a response or an error: with [`Verdict::Stop`],
/// or once the retries are used up, the result is returned as it is. The response of an attempt that is retried is dropped
/// before the pause.
///
/// ```
/// use antiphon_resilience::{RetryBudget, RetryPolicy, Verdict, tower::RetryLayer};
/// use tower::{ServiceBuilder, ServiceExt, service_fn};
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() {
/// let classify = |answer: &Result<u32, &str>| if answer.is_ok() { Verdict::Stop } else { Verdict::Retry };
/// let retries = RetryLayer::new(RetryPolicy::default().max_retries(2), classify).budget(RetryBudget::default());
/// let down = ServiceBuilder::new().layer(retries).service(service_fn(async |_: ()| Err("down")));
/// assert_eq!(down.oneshot(()).await, Err("down"));
/// # }
/// ```
#[derive(Clone)]
pub struct RetryLayer<C> {
    policy: RetryPolicy,
    budget: Option<RetryBudget>,
    classify: C,
}

/// The service of a [`RetryLayer`].
#[derive(Clone)]
pub struct RetryService<S, C> {
    inner: S,
    settings: RetryLayer<C>,
}

/// The future of a [`RetryService`]: a request with its retries.
///
/// # Cancel safety
/// Dropping the future drops the attempt in flight, or ends the pause. A dropped attempt may still be carried out by the server.
#[pin_project]
#[must_use = "futures do nothing unless awaited"]
pub struct RetryFuture<S: Service<Req>, Req, C> {
    service: S,
    request: Req,
    settings: RetryLayer<C>,
    pauses: Pauses,
    #[pin]
    state: State<S::Future>,
}

/// The progress of a retried request.
#[pin_project(project = StateProjection)]
enum State<Fut> {
    /// An attempt is in flight.
    Calling(#[pin] Fut),
    /// The pause before the next attempt.
    Pausing(#[pin] Sleep),
    /// The next attempt begins once the service is ready again.
    Unready,
    /// The result was returned.
    Ended,
}

impl<C> RetryLayer<C> {
    /// Creates a layer without a budget.
    #[must_use]
    pub fn new(policy: RetryPolicy, classify: C) -> Self {
        Self { policy, budget: None, classify }
    }

    /// Sets a retry budget, which all services of this layer and all clones of the budget share. Default: no budget.
    ///
    /// A response with the verdict [`Verdict::Stop`] adds a point, an error does not.
    #[must_use]
    pub fn budget(mut self, budget: RetryBudget) -> Self {
        self.budget = Some(budget);
        self
    }

    /// Returns the pause before the next attempt; `None` if `result` is the final one.
    fn pause<T, E>(&self, pauses: &mut Pauses, result: &Result<T, E>) -> Option<Duration>
    where
        C: Fn(&Result<T, E>) -> Verdict,
    {
        let verdict = (self.classify)(result);
        if let Some(budget) = self.budget.as_ref().filter(|_| result.is_ok() && verdict == Verdict::Stop) {
            budget.deposit();
        }
        let pause = pauses.after(verdict)?;
        self.budget.as_ref().is_none_or(|budget| budget.withdraw(verdict)).then_some(pause)
    }
}

impl<S, C: Clone> Layer<S> for RetryLayer<C> {
    type Service = RetryService<S, C>;

    fn layer(&self, inner: S) -> Self::Service {
        RetryService { inner, settings: self.clone() }
    }
}

impl<S, Req, C> Service<Req> for RetryService<S, C>
where
    S: Service<Req> + Clone,
    Req: Clone,
    C: Fn(&Result<S::Response, S::Error>) -> Verdict + Clone,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = RetryFuture<S, Req, C>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Req) -> Self::Future {
        let (mut service, settings) = (take_ready(&mut self.inner), self.settings.clone());
        let state = State::Calling(service.call(request.clone()));
        RetryFuture { service, request, pauses: settings.policy.pauses(), settings, state }
    }
}

impl<S, Req, C> Future for RetryFuture<S, Req, C>
where
    S: Service<Req>,
    Req: Clone,
    C: Fn(&Result<S::Response, S::Error>) -> Verdict,
{
    type Output = Result<S::Response, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            match this.state.as_mut().project() {
                StateProjection::Calling(call) => {
                    let result = ready!(call.poll(cx));
                    let Some(pause) = this.settings.pause(this.pauses, &result) else {
                        this.state.set(State::Ended);
                        return Poll::Ready(result);
                    };
                    this.state.set(State::Pausing(sleep(pause)));
                }
                StateProjection::Pausing(pause) => {
                    ready!(pause.poll(cx));
                    this.state.set(State::Unready);
                }
                StateProjection::Unready => {
                    if let Err(err) = ready!(this.service.poll_ready(cx)) {
                        this.state.set(State::Ended);
                        return Poll::Ready(Err(err));
                    }
                    let call = this.service.call(this.request.clone());
                    this.state.set(State::Calling(call));
                }
                // A future must not be polled after it has resolved; if it is, no further call is made.
                StateProjection::Ended => return Poll::Pending,
            }
        }
    }
}

impl<C> fmt::Debug for RetryLayer<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RetryLayer").field("policy", &self.policy).finish_non_exhaustive()
    }
}

impl<S, C> fmt::Debug for RetryService<S, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RetryService").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl<S: Service<Req>, Req, C> fmt::Debug for RetryFuture<S, Req, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RetryFuture").field("settings", &self.settings).finish_non_exhaustive()
    }
}

use std::error::Error;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// The error type of the layers that add errors of their own, as in the rest of tower's ecosystem. Downcast it to
/// [`CircuitOpen`](crate::CircuitOpen), [`Saturated`](crate::Saturated) or the error of the service.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// A call that waits for its permit: the service, which is ready, and the request.
pub(super) struct Admission<S, Req, P> {
    permit: Pin<Box<dyn Future<Output = P> + Send>>,
    call: Option<(S, Req)>,
}

impl<S, Req, P> Admission<S, Req, P> {
    pub(super) fn new(permit: impl Future<Output = P> + Send + 'static, service: S, request: Req) -> Self {
        Self { permit: Box::pin(permit), call: Some((service, request)) }
    }

    /// Waits for the permit; never ready again after it was.
    pub(super) fn poll_admitted(&mut self, cx: &mut Context<'_>) -> Poll<(P, S, Req)> {
        if self.call.is_none() {
            return Poll::Pending;
        }
        let permit = ready!(self.permit.as_mut().poll(cx));
        match self.call.take() {
            Some((service, request)) => Poll::Ready((permit, service, request)),
            None => Poll::Pending,
        }
    }
}

/// Takes the service whose `poll_ready` was ready, and leaves a clone, which must be polled before it is called.
pub(super) fn take_ready<S: Clone>(service: &mut S) -> S {
    let clone = service.clone();
    mem::replace(service, clone)
}

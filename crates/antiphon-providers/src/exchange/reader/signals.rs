use std::task::{Context, Waker};

use futures_util::future::BoxFuture;

use super::Facts;

/// The registration of a task that is woken by the two tokens of a call.
///
/// A future of a token takes a lock at each poll, and the reader is polled for each piece. A task that is registered is woken
/// without another poll, so that the tokens themselves are asked from then on.
pub(super) struct Signals {
    hurry: BoxFuture<'static, ()>,
    cancel: BoxFuture<'static, ()>,
    /// The waker of the registered task.
    waker: Option<Waker>,
}

impl Signals {
    /// Creates the registration, which has no task yet.
    pub(super) fn new(facts: &Facts) -> Self {
        Self {
            hurry: Box::pin(facts.hurry.clone().cancelled_owned()),
            cancel: Box::pin(facts.cancel.clone().cancelled_owned()),
            waker: None,
        }
    }

    /// Registers the task of `cx`, unless it is registered already. Call this before the tokens are asked.
    pub(super) fn register(&mut self, cx: &mut Context<'_>) {
        if self.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            return;
        }
        // A token that is cancelled wakes no one any more, and is asked next.
        let _ = self.hurry.as_mut().poll(cx);
        let _ = self.cancel.as_mut().poll(cx);
        self.waker = Some(cx.waker().clone());
    }
}

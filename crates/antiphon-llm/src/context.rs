use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use antiphon_resilience::{AdaptiveLimiter, Deadline};
use tokio_util::sync::CancellationToken;

use crate::error::{Billed, Error, ErrorKind, TimeoutPhase};

/// How a call is made: nothing of this changes the answer.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct CallContext {
    /// When it must be over, attempts and pauses together. Default: never.
    pub deadline: Deadline,
    /// Gives it up when cancelled.
    pub cancel: CancellationToken,
    /// Ends the wait for the provider's limits when cancelled; what was sent goes on to its end.
    pub drain: CancellationToken,
    /// Gives up an answer that stalls, once cancelled: one of which nothing comes for 10 s, or for the time that the provider
    /// waits for a token if that is less. An answer that comes is not cut. What is given up ends with `Cancelled`.
    pub hurry: CancellationToken,
    /// Which of the calls that wait for the provider's limits goes first: the lowest. Default: [`AdaptiveLimiter::ORDINARY`].
    pub priority: u8,
    before_send: BeforeSend,
}

impl Default for CallContext {
    fn default() -> Self {
        Self {
            deadline: Deadline::none(),
            cancel: CancellationToken::new(),
            drain: CancellationToken::new(),
            hurry: CancellationToken::new(),
            priority: AdaptiveLimiter::ORDINARY,
            before_send: BeforeSend::default(),
        }
    }
}

type HookFuture = Pin<Box<dyn Future<Output = Result<(), Error>> + Send>>;

/// Whoever is told of a call before it is sent.
#[derive(Clone, Default)]
struct BeforeSend(Option<Arc<dyn Fn() -> HookFuture + Send + Sync>>);

impl fmt::Debug for BeforeSend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "is told" } else { "nobody" })
    }
}

impl CallContext {
    /// Sets when the call must be over.
    #[must_use]
    pub fn deadline(mut self, deadline: Deadline) -> Self {
        self.deadline = deadline;
        self
    }

    /// Sets what gives the call up.
    #[must_use]
    pub fn cancel(mut self, cancel: CancellationToken) -> Self {
        self.cancel = cancel;
        self
    }

    /// Sets what ends the wait for the provider's limits. A provider from a [`Stack`](crate::Stack) with gates heeds it.
    #[must_use]
    pub fn drain(mut self, drain: CancellationToken) -> Self {
        self.drain = drain;
        self
    }

    /// Sets what gives up an answer that stalls.
    #[must_use]
    pub fn hurry(mut self, hurry: CancellationToken) -> Self {
        self.hurry = hurry;
        self
    }

    /// Sets which of the calls that wait for the provider's limits goes first: the lowest.
    #[must_use]
    pub fn priority(mut self, priority: u8) -> Self {
        self.priority = priority;
        self
    }

    /// Calls `hook` just before each call is sent, when it has waited for all that it has to wait for; the call is sent
    /// when its future ends well. A provider from a [`Stack`](crate::Stack) does so; one that stands alone does not.
    #[must_use]
    pub fn before_send<F, Fut>(mut self, hook: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), Error>> + Send + 'static,
    {
        self.before_send = BeforeSend(Some(Arc::new(move || Box::pin(hook()))));
        self
    }

    pub(crate) async fn run_before_send(&self) -> Result<(), Error> {
        match &self.before_send.0 {
            Some(hook) => hook().await,
            None => Ok(()),
        }
    }

    /// Runs `work` until it ends, the call is cancelled, or its deadline has passed.
    ///
    /// # Errors
    /// `Cancelled` or `Timeout`, as possibly billed: `work` was dropped, and nobody knows how far the provider got.
    ///
    /// # Cancel safety
    /// Drops `work`.
    pub async fn guard<T>(&self, work: impl Future<Output = T> + Send) -> Result<T, Error> {
        tokio::select! {
            // What has ended has ended, and a layer within knows more of its end than this one.
            biased;
            value = work => Ok(value),
            () = self.cancel.cancelled() => {
                Err(Error::new(ErrorKind::Cancelled, "the call was cancelled").with_billed(Billed::Maybe))
            }
            () = self.deadline.passed() => {
                let kind = ErrorKind::Timeout { phase: TimeoutPhase::Total };
                Err(Error::new(kind, "the call did not end before its deadline").with_billed(Billed::Maybe))
            }
        }
    }
}

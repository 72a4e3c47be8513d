use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use antiphon_resilience::{AdaptiveLimiter, Deadline};
use tokio_util::sync::CancellationToken;

use crate::error::{Billed, Error, ErrorKind, TimeoutPhase};

/// The options of a call that do not change its answer: deadline, cancellation, priority and before-send hook. Everything that
/// changes the answer is in the [`Prompt`](crate::Prompt).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct CallContext {
    /// The deadline of the call, including its waits, all attempts and the pauses between them. Default: none.
    pub deadline: Deadline,
    /// A token that cancels the call. Default: a new one that is never cancelled.
    pub cancel: CancellationToken,
    /// A token that stops new calls: a call that waits for admission ends with `Cancelled`, while a call that was sent
    /// continues to its end. Default: a new one that is never cancelled.
    pub drain: CancellationToken,
    /// A token that ends stalled answers with `Cancelled`. After its cancellation, an answer counts as stalled if no new text
    /// arrives for 10 s, or for the provider's timeout between two tokens if that is shorter. An answer that makes progress is
    /// not cut. Default: a new one that is never cancelled.
    pub hurry: CancellationToken,
    /// The priority among the calls that wait for admission: the lowest number is admitted first. Default:
    /// [`AdaptiveLimiter::ORDINARY`].
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

/// The hook that runs before a call is sent.
#[derive(Clone, Default)]
struct BeforeSend(Option<Arc<dyn Fn() -> HookFuture + Send + Sync>>);

impl fmt::Debug for BeforeSend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "set" } else { "none" })
    }
}

impl CallContext {
    /// Sets the deadline of the call, including its waits, all attempts and the pauses between them.
    #[must_use]
    pub fn deadline(mut self, deadline: Deadline) -> Self {
        self.deadline = deadline;
        self
    }

    /// Sets the token that cancels the call.
    #[must_use]
    pub fn cancel(mut self, cancel: CancellationToken) -> Self {
        self.cancel = cancel;
        self
    }

    /// Sets the token that stops new calls: calls that wait for admission end with `Cancelled`. Only
    /// [`Limited`](crate::Limited), which a [`Stack`](crate::Stack) with limiters contains, observes it.
    #[must_use]
    pub fn drain(mut self, drain: CancellationToken) -> Self {
        self.drain = drain;
        self
    }

    /// Sets the token that ends stalled answers with `Cancelled`: those without new text for 10 s, or for the provider's
    /// timeout between two tokens if that is shorter.
    #[must_use]
    pub fn hurry(mut self, hurry: CancellationToken) -> Self {
        self.hurry = hurry;
        self
    }

    /// Sets the priority among the calls that wait for admission: the lowest number is admitted first.
    #[must_use]
    pub fn priority(mut self, priority: u8) -> Self {
        self.priority = priority;
        self
    }

    /// Sets a before-send hook, such as one that writes an intent to a write-ahead journal.
    ///
    /// The hook runs immediately before each call is sent, after all waits, and again before each retry. The call is sent only
    /// if the hook's future returns `Ok`; an error of the hook is returned to the caller. Only a provider that a
    /// [`Stack`](crate::Stack) has built runs the hook.
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

    /// Runs `work` until it ends, the token `cancel` is cancelled, or the deadline has passed.
    ///
    /// # Errors
    /// `Cancelled` or `Timeout`. Both count as possibly billed, since `work` was dropped and the provider's progress is
    /// unknown.
    ///
    /// # Cancel safety
    /// Dropping the future drops `work`.
    pub async fn guard<T>(&self, work: impl Future<Output = T> + Send) -> Result<T, Error> {
        tokio::select! {
            // Work that has ended counts as ended: an inner layer knows more of its end than this one.
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

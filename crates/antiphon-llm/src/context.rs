use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use antiphon_resilience::{AdaptiveLimiter, Deadline};
use tokio::time::Instant;
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

    /// Runs the work of a provider's method: as [`guard`](Self::guard), but work is not begun whose call is cancelled already, or
    /// whose deadline has passed. A [`Provider`](crate::Provider) that observes neither by other means runs each of its methods
    /// in it.
    ///
    /// ```
    /// use std::time::Duration;
    /// use antiphon_llm::{CallContext, Deadline, Error, ErrorKind, TimeoutPhase};
    ///
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() {
    /// let context = CallContext::default().deadline(Deadline::after(Duration::from_secs(5)));
    /// let hangs = context.run(std::future::pending::<Result<(), Error>>());
    /// assert_eq!(hangs.await.unwrap_err().kind(), ErrorKind::Timeout { phase: TimeoutPhase::Total });
    /// # }
    /// ```
    ///
    /// # Errors
    /// The error of `work`. `Cancelled` or `Timeout`, not billed if `work` was not begun, and else possibly billed.
    ///
    /// # Cancel safety
    /// Dropping the future drops `work`.
    pub async fn run<T>(&self, work: impl Future<Output = Result<T, Error>> + Send) -> Result<T, Error> {
        self.check()?;
        self.guard(work).await.flatten()
    }

    /// Returns the error of a call that ended before it was sent.
    fn check(&self) -> Result<(), Error> {
        if self.cancel.is_cancelled() {
            return Err(Error::new(ErrorKind::Cancelled, "the call was not sent: it was cancelled"));
        }
        if self.deadline.remaining(Instant::now().into_std()).is_some_and(|left| left.is_zero()) {
            let kind = ErrorKind::Timeout { phase: TimeoutPhase::Total };
            return Err(Error::new(kind, "the call was not sent: its deadline has passed"));
        }
        Ok(())
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Billed, CallContext, CancellationToken, Deadline, Error, ErrorKind, TimeoutPhase};

    const TOO_LATE: ErrorKind = ErrorKind::Timeout { phase: TimeoutPhase::Total };

    /// Checks the end of work that ends only with its call.
    async fn check(context: &CallContext, kind: ErrorKind, billed: Billed) {
        let err = context.run(std::future::pending::<Result<(), Error>>()).await.unwrap_err();
        assert_eq!((err.kind(), err.billed()), (kind, billed), "{err}");
    }

    #[tokio::test(start_paused = true)]
    async fn work_ends_with_its_call_and_is_not_begun_after_it() {
        let context = CallContext::default().deadline(Deadline::after(Duration::from_secs(5)));
        check(&context, TOO_LATE, Billed::Maybe).await;
        check(&context, TOO_LATE, Billed::No).await;
        let cancel = CancellationToken::new();
        let context = CallContext::default().cancel(cancel.clone());
        let (_, ()) = tokio::join!(check(&context, ErrorKind::Cancelled, Billed::Maybe), async {
            tokio::time::sleep(Duration::from_secs(5)).await;
            cancel.cancel();
        });
        check(&context, ErrorKind::Cancelled, Billed::No).await;
        let not_begun = context.run(async { Ok(()) }).await;
        assert_eq!(not_begun.unwrap_err().to_string(), "the call was not sent: it was cancelled");
    }

    #[tokio::test]
    async fn work_that_ends_in_time_has_its_own_result() {
        let context = CallContext::default();
        assert_eq!(context.run(async { Ok(7) }).await.unwrap(), 7);
        let failed = context.run(async { Err::<(), _>(Error::new(ErrorKind::Auth, "no key")) });
        assert_eq!(failed.await.unwrap_err().kind(), ErrorKind::Auth);
    }
}

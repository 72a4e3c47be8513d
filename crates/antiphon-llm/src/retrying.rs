use std::sync::atomic::{AtomicBool, Ordering};

use antiphon_resilience::{RetryBudget, RetryPolicy, Verdict};
use tracing::warn;

use crate::context::CallContext;
use crate::error::Error;
use crate::forward::forward;
use crate::prompt::Prompt;
use crate::provider::Provider;
use crate::spent::Spent;
use crate::streaming::Streaming;

/// A provider that retries failed calls, with the backoff and jitter of a [`RetryPolicy`].
/// [`Error::verdict`](crate::Error::verdict) decides which errors are retried, and has the table of statuses.
///
/// A [`Stack`](crate::Stack) contains this wrapper. Use it alone if calls share no rate limit. A caller that makes the retries
/// itself, as the engine does, uses [`Stack::calls`](crate::Stack::calls).
///
/// A call is retried only if it fails before the first text, since the caller may have used the text. Calls are at-least-once:
/// the provider may bill both a failed call and its retry. Use one layer of retries only: with two layers, the numbers of
/// attempts multiply.
///
/// ```
/// use std::time::Duration;
/// use antiphon_llm::{CallContext, Message, Prompt, ProviderExt, RetryPolicy, Retrying};
/// # use std::sync::atomic::{AtomicU32, Ordering};
/// # use antiphon_llm::{BlockingProvider, Completion, Error, ErrorKind};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Error> {
/// # let calls = AtomicU32::new(0);
/// # let flaky = BlockingProvider::from_fn("flaky", 1, move |_| match calls.fetch_add(1, Ordering::Relaxed) {
/// #     0 => Err(Error::new(ErrorKind::Unavailable, "down")),
/// #     _ => Ok(Completion::new("Hello")),
/// # });
/// let quick = Duration::from_millis(1);
/// let provider = Retrying::new(flaky, RetryPolicy::default().max_retries(2).base(quick, quick));
/// let prompt = Prompt::new("m", [Message::user("Hello")]);
/// assert_eq!(provider.complete(&prompt, &CallContext::default()).await?.attempts, 2);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Retrying<P> {
    inner: P,
    policy: RetryPolicy,
    budget: Option<RetryBudget>,
}

impl<P> Retrying<P> {
    /// Wraps `inner`.
    #[must_use]
    pub fn new(inner: P, policy: RetryPolicy) -> Self {
        Self { inner, policy, budget: None }
    }

    /// Sets a retry budget, which all calls share. It bounds the additional load of retries while the provider fails. Default:
    /// no budget.
    #[must_use]
    pub fn budget(mut self, budget: RetryBudget) -> Self {
        self.budget = Some(budget);
        self
    }
}

impl<P: Provider> Retrying<P> {
    async fn begin(&self, prompt: &Prompt, context: &CallContext) -> Result<Streaming, Error> {
        // The cost of all attempts that have ended. One attempt may be several calls, as when an inner layer repeats a call
        // that was rate limited.
        let mut spent = Spent::default();
        let in_progress = AtomicBool::new(false);
        let classify = |err: &Error| {
            in_progress.store(false, Ordering::Relaxed);
            spent += err.spent();
            let verdict = err.verdict();
            if verdict != Verdict::Stop && self.policy.max_retries > 0 {
                warn!("attempt {}: {err}", spent.calls);
            }
            verdict
        };
        let op = |_| {
            in_progress.store(true, Ordering::Relaxed);
            self.inner.stream(prompt, context)
        };
        let calls = self.policy.run(classify, op).deadline(context.deadline);
        let calls = match &self.budget {
            Some(budget) => calls.budget(budget),
            None => calls,
        };
        // A cancellation or the deadline ends the pauses between calls, too.
        match context.guard(calls).await {
            Ok(Ok(streaming)) => Ok(streaming.after(spent)),
            // The last call is in the sum already.
            Ok(Err(err)) => Err(err.with_spent(spent)),
            Err(given_up) if in_progress.into_inner() => Err(given_up.after(spent)),
            // Cancelled in a pause, when no call was in progress.
            Err(given_up) => Err(given_up.with_spent(spent)),
        }
    }
}

forward!(Retrying);

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use antiphon_resilience::Deadline;
    use tokio::time::Instant;

    use super::{CallContext, Error, Prompt, RetryPolicy, Retrying, Spent};
    use crate::scripted::Scripted;
    use crate::{Billed, Completion, ErrorKind, Message, ProviderExt};

    async fn ask(
        script: Vec<Result<Completion, Error>>,
        context: CallContext,
    ) -> (usize, Duration, Result<Completion, Error>) {
        let provider = Retrying::new(Scripted::new(script), RetryPolicy::default().seed(1));
        let start = Instant::now();
        let answer = provider.complete(&Prompt::new("m", [Message::user("?")]), &context).await;
        (provider.inner.calls(), start.elapsed(), answer)
    }

    fn err(kind: ErrorKind) -> Result<Completion, Error> {
        Err(Error::new(kind, "failed"))
    }

    #[tokio::test(start_paused = true)]
    async fn retry_after_is_honoured_before_the_next_call() {
        let busy = ErrorKind::RateLimited { retry_after: Some(Duration::from_secs(7)) };
        let (calls, took, answer) =
            ask(vec![err(busy), Ok(Completion::new("ok"))], CallContext::default()).await;
        assert_eq!((calls, answer.unwrap().attempts), (2, 2));
        assert!(took >= Duration::from_secs(7), "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn an_auth_error_is_not_retried_and_an_unavailable_server_is_called_four_times() {
        let (calls, took, _) = ask(vec![err(ErrorKind::Auth)], CallContext::default()).await;
        assert_eq!((calls, took), (1, Duration::ZERO));
        let script = (0..4).map(|_| err(ErrorKind::Unavailable)).collect();
        let (calls, _, answer) = ask(script, CallContext::default()).await;
        assert_eq!((calls, answer.unwrap_err().attempts()), (4, 4));
    }

    #[tokio::test(start_paused = true)]
    async fn a_possibly_billed_call_is_kept_in_a_later_error() {
        let slow = Error::new(ErrorKind::Unavailable, "failed").with_billed(Billed::Maybe);
        let (_, _, answer) = ask(vec![Err(slow), err(ErrorKind::Auth)], CallContext::default()).await;
        let err = answer.unwrap_err();
        assert_eq!((err.kind(), err.billed()), (ErrorKind::Auth, Billed::Maybe));
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_reports_the_cost_of_earlier_calls() {
        let slow = Error::new(ErrorKind::Unavailable, "failed").with_billed(Billed::Maybe);
        let ok = || Ok(Completion::new("ok"));
        let (_, _, answer) = ask(vec![Err(slow), ok()], CallContext::default()).await;
        assert_eq!(answer.unwrap().earlier.billed(), Billed::Maybe);
        let (_, _, answer) = ask(vec![err(ErrorKind::Connect), ok()], CallContext::default()).await;
        assert_eq!(answer.unwrap().earlier.billed(), Billed::No);
    }

    #[tokio::test(start_paused = true)]
    async fn every_possibly_billed_call_is_counted() {
        let slow = || Err(Error::new(ErrorKind::Unavailable, "failed").with_billed(Billed::Maybe));
        let (_, _, answer) =
            ask(vec![slow(), slow(), Ok(Completion::new("ok"))], CallContext::default()).await;
        let spent = answer.unwrap().spent();
        assert_eq!((spent.calls, spent.possibly_billed), (3, 2));
        let (_, _, answer) = ask((0..4).map(|_| slow()).collect(), CallContext::default()).await;
        let spent = answer.unwrap_err().spent();
        assert_eq!((spent.calls, spent.possibly_billed), (4, 4));
    }

    /// Cancels after some seconds: a call takes 10 s, and the pause after it 50 s.
    async fn given_up_after(seconds: u64) -> (Spent, Billed) {
        let mut hints = antiphon_resilience::LimitHints::default();
        hints.retry_after = Some(Duration::from_secs(50));
        let free = Err(Error::new(ErrorKind::Unavailable, "down").with_limits(hints));
        let script = [free, Ok(Completion::new("late"))];
        let provider =
            Retrying::new(Scripted::new(script).slow(Duration::from_secs(10)), RetryPolicy::default());
        let (prompt, context) = (Prompt::new("m", [Message::user("?")]), CallContext::default());
        let give_up = async {
            tokio::time::sleep(Duration::from_secs(seconds)).await;
            context.cancel.cancel();
        };
        let (answer, ()) = tokio::join!(provider.complete(&prompt, &context), give_up);
        let err = answer.unwrap_err();
        assert_eq!(err.kind(), ErrorKind::Cancelled);
        (err.spent(), err.billed())
    }

    #[tokio::test(start_paused = true)]
    async fn a_cancellation_is_possibly_billed_only_while_a_call_is_in_progress() {
        let (maybe, free) = (Spent::call(Billed::Maybe), Spent::call(Billed::No));
        assert_eq!(given_up_after(5).await, (maybe, Billed::Maybe));
        assert_eq!(given_up_after(20).await, (free, Billed::No));
        assert_eq!(given_up_after(69).await, (free + maybe, Billed::Maybe));
    }

    #[tokio::test(start_paused = true)]
    async fn retry_after_is_honoured_for_every_kind_of_error() {
        let mut hints = antiphon_resilience::LimitHints::default();
        hints.retry_after = Some(Duration::from_secs(20));
        let down = Error::new(ErrorKind::Unavailable, "down").with_limits(hints);
        let (_, took, answer) = ask(vec![Err(down), Ok(Completion::new("ok"))], CallContext::default()).await;
        assert!(answer.is_ok() && took >= Duration::from_secs(20), "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_says_whether_to_retry_is_obeyed() {
        let says = |kind, should_retry| Err(Error::new(kind, "no").with_should_retry(Some(should_retry)));
        for (kind, should_retry, expected) in [
            (ErrorKind::InvalidRequest, true, 2),
            (ErrorKind::Auth, true, 2),
            (ErrorKind::Overloaded { retry_after: None }, false, 1),
            (ErrorKind::RateLimited { retry_after: None }, false, 1),
        ] {
            let script = vec![says(kind, should_retry), Ok(Completion::new("ok"))];
            let (calls, _, answer) = ask(script, CallContext::default()).await;
            assert_eq!((calls, answer.is_ok()), (expected, should_retry), "{kind:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_deadline_ends_the_pauses_with_the_last_error() {
        let busy = ErrorKind::RateLimited { retry_after: Some(Duration::from_secs(60)) };
        let context = CallContext::default().deadline(Deadline::after(Duration::from_secs(5)));
        let (calls, took, answer) = ask(vec![err(busy)], context).await;
        assert_eq!((calls, took, answer.unwrap_err().kind()), (1, Duration::ZERO, busy));
    }
}

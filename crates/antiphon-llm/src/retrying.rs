use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use antiphon_resilience::{Attempt, RetryBudget, RetryPolicy, Verdict};
use tracing::warn;

use crate::context::CallContext;
use crate::error::{Billed, Error};
use crate::forward::forward;
use crate::prompt::Prompt;
use crate::provider::Provider;
use crate::streaming::Streaming;

/// Calls the provider within again when that may help, as the policy says.
///
/// Only calls without a first word are made again: what comes after that, the caller has seen. Wrap a provider once;
/// of two layers that retry, each multiplies the other's calls.
#[derive(Debug, Clone)]
pub struct Retrying<P> {
    inner: P,
    policy: RetryPolicy,
    budget: Option<Arc<RetryBudget>>,
}

impl<P> Retrying<P> {
    /// Wraps `inner`.
    #[must_use]
    pub fn new(inner: P, policy: RetryPolicy) -> Self {
        Self { inner, policy, budget: None }
    }

    /// Sets what all calls may spend on retries together, so that a failing provider is not asked four times as often as a
    /// working one.
    #[must_use]
    pub fn budget(mut self, budget: RetryBudget) -> Self {
        self.budget = Some(Arc::new(budget));
        self
    }
}

impl<P: Provider> Retrying<P> {
    async fn begin(&self, prompt: &Prompt, context: &CallContext) -> Result<Streaming, Error> {
        // An attempt may be several calls: of a provider that is asked again for a limit, say.
        let (attempts, made, mut last) = (AtomicU32::new(0), AtomicU32::new(0), Billed::No);
        // Of the attempts before the last one.
        let mut lost = Billed::No;
        let classify = |err: &Error| {
            lost = lost.and(std::mem::replace(&mut last, err.billed()));
            let verdict = err.verdict();
            if verdict != Verdict::Stop && self.policy.max_retries > 0 {
                warn!("attempt {}: {err}", attempts.load(Ordering::Relaxed));
            }
            verdict
        };
        let op = |attempt: Attempt| {
            attempts.store(attempt.number, Ordering::Relaxed);
            async {
                let answer = self.inner.stream(prompt, context).await;
                let calls = answer.as_ref().map_or_else(Error::attempts, Streaming::attempts);
                made.fetch_add(calls, Ordering::Relaxed);
                answer
            }
        };
        let calls = self.policy.run(classify, op).deadline(context.deadline);
        let calls = match &self.budget {
            Some(budget) => calls.budget(budget),
            None => calls,
        };
        // The pauses between calls end with the caller's patience, too.
        let result = context.guard(calls).await;
        let attempts = attempts.load(Ordering::Relaxed).max(made.load(Ordering::Relaxed));
        match result.and_then(std::convert::identity) {
            Ok(streaming) => Ok(streaming.with_attempts(attempts).with_lost(lost.and(last))),
            // A last attempt that cost nothing does not undo an earlier one.
            Err(err) => {
                let billed = err.billed().and(lost);
                Err(err.with_billed(billed).with_attempts(attempts.max(1)))
            }
        }
    }
}

forward!(Retrying);

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use antiphon_resilience::Deadline;
    use tokio::time::Instant;

    use super::{Billed, CallContext, Error, Prompt, RetryPolicy, Retrying};
    use crate::scripted::Scripted;
    use crate::{Completion, ErrorKind, Message, ProviderExt};

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
    async fn a_busy_server_gets_its_wait_and_then_answers() {
        let busy = ErrorKind::RateLimited { retry_after: Some(Duration::from_secs(7)) };
        let (calls, took, answer) =
            ask(vec![err(busy), Ok(Completion::new("ok"))], CallContext::default()).await;
        assert_eq!((calls, answer.unwrap().attempts), (2, 2));
        assert!(took >= Duration::from_secs(7), "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_wrong_key_is_not_tried_again_and_a_dead_server_four_times() {
        let (calls, took, _) = ask(vec![err(ErrorKind::Auth)], CallContext::default()).await;
        assert_eq!((calls, took), (1, Duration::ZERO));
        let script = (0..4).map(|_| err(ErrorKind::Unavailable)).collect();
        let (calls, _, answer) = ask(script, CallContext::default()).await;
        assert_eq!((calls, answer.unwrap_err().attempts()), (4, 4));
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_may_have_been_billed_is_not_forgotten() {
        let slow = Error::new(ErrorKind::Unavailable, "failed").with_billed(Billed::Maybe);
        let (_, _, answer) = ask(vec![Err(slow), err(ErrorKind::Auth)], CallContext::default()).await;
        let err = answer.unwrap_err();
        assert_eq!((err.kind(), err.billed()), (ErrorKind::Auth, Billed::Maybe));
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_tells_what_the_calls_before_it_have_cost() {
        let slow = Error::new(ErrorKind::Unavailable, "failed").with_billed(Billed::Maybe);
        let ok = || Ok(Completion::new("ok"));
        let (_, _, answer) = ask(vec![Err(slow), ok()], CallContext::default()).await;
        assert_eq!(answer.unwrap().lost, Billed::Maybe);
        let (_, _, answer) = ask(vec![err(ErrorKind::Connect), ok()], CallContext::default()).await;
        assert_eq!(answer.unwrap().lost, Billed::No);
    }

    #[tokio::test(start_paused = true)]
    async fn whatever_the_trouble_is_the_servers_wait_is_kept() {
        let mut hints = antiphon_resilience::LimitHints::default();
        hints.retry_after = Some(Duration::from_secs(20));
        let down = Error::new(ErrorKind::Unavailable, "down").with_limits(hints);
        let (_, took, answer) = ask(vec![Err(down), Ok(Completion::new("ok"))], CallContext::default()).await;
        assert!(answer.is_ok() && took >= Duration::from_secs(20), "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_deadline_ends_the_pauses_with_the_last_real_error() {
        let busy = ErrorKind::RateLimited { retry_after: Some(Duration::from_secs(60)) };
        let context = CallContext::default().deadline(Deadline::after(Duration::from_secs(5)));
        let (calls, took, answer) = ask(vec![err(busy)], context).await;
        assert_eq!((calls, took, answer.unwrap_err().kind()), (1, Duration::ZERO, busy));
    }
}

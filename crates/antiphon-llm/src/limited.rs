use std::time::Duration;

use antiphon_resilience::{Cost, LimitHints, LimiterRegistry, Saturated};
use tokio::time::Instant;
use tracing::warn;

use crate::completion::{Completion, Usage};
use crate::context::CallContext;
use crate::error::{Billed, Error, ErrorKind};
use crate::forward::forward;
use crate::prompt::Prompt;
use crate::provider::{Provider, Scope};
use crate::spent::Spent;
use crate::streaming::Streaming;

/// A provider with admission control: it learns the provider's limits from its answers (adaptive concurrency), and calls wait
/// in a queue while a limit is reached (backpressure).
///
/// Use it if the limits are not known or change. For a fixed, known limit, acquire a permit of a
/// [`RateLimiter`](antiphon_resilience::RateLimiter), a token bucket, and hold it during the call.
///
/// A call that a rate limit refuses at no cost does not fail: it is queued again, until its deadline. A call that cannot be
/// admitted before its deadline fails with `RateLimited`. All calls with the same [`LimiterRegistry`] share the learned limits,
/// which are kept for each account and model.
///
/// ```
/// use antiphon_llm::{CallContext, LimiterRegistry, Limited, Message, Prompt, ProviderExt};
/// # use antiphon_llm::{BlockingProvider, Completion, Error};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Error> {
/// # let provider = BlockingProvider::from_fn("echo", 1, |prompt| Ok(Completion::new(prompt.messages[0].rendered())));
/// let limiters = LimiterRegistry::default();
/// let provider = Limited::new(provider, limiters.clone());
/// let prompt = Prompt::new("small-model", [Message::user("Hello")]);
/// provider.complete(&prompt, &CallContext::default()).await?;
/// let (scope, model, view) = limiters.snapshots().remove(0);
/// assert_eq!((scope.as_str(), model.as_str(), view.answered), ("echo", "small-model", 1));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Limited<P> {
    inner: P,
    limiters: LimiterRegistry,
    /// The provider, its address and its account.
    scope: String,
}

impl<P: Provider> Limited<P> {
    /// Wraps `inner`.
    #[must_use]
    pub fn new(inner: P, limiters: LimiterRegistry) -> Self {
        let scope = scope_of_limits(&inner.scope());
        Self { inner, limiters, scope }
    }

    async fn begin(&self, prompt: &Prompt, context: &CallContext) -> Result<Streaming, Error> {
        let limiter = self.limiters.limiter(&self.scope, &prompt.model);
        let cost = Cost::request()
            .input_tokens(prompt.estimated_tokens())
            .output_tokens(prompt.parameters.max_tokens.unwrap_or(0));
        let mut queue = Duration::ZERO;
        let mut refusal: Option<Error> = None;
        // A refused call counts as a call, although it cost nothing.
        let mut earlier = Spent::default();
        loop {
            let joined = Instant::now();
            let permit = tokio::select! {
                biased;
                () = context.drain.cancelled() => {
                    let message = "the call was not sent: the caller has stopped new calls";
                    return Err(Error::new(ErrorKind::Cancelled, message).with_spent(earlier));
                }
                permit = limiter.acquire_at(context.priority, cost, context.deadline) => permit,
            };
            let permit = permit
                .map_err(|saturated| self.saturated(&saturated, refusal.as_ref()).with_spent(earlier))?;
            queue += joined.elapsed();
            match self.inner.stream(prompt, context).await {
                Ok(streaming) => {
                    let observed = streaming.head().limits;
                    permit.observe_headers(&observed);
                    let end = move |result: Result<&Completion, &Error>| match result {
                        Ok(completion) => permit.finish(actual_cost(completion.usage)),
                        Err(err) => permit.failed(&unobserved_limits(err, &observed)),
                    };
                    return Ok(streaming.after(earlier).with_queue(queue).at_end(end));
                }
                Err(err) if is_refusal(&err) => {
                    permit.throttled(&unobserved_limits(&err, &LimitHints::default()));
                    earlier += err.spent();
                    // Explains the delay in the log.
                    warn!("attempt {}: {err}; the call is queued again", earlier.calls);
                    refusal = Some(err);
                }
                Err(err) => {
                    match err.kind() {
                        ErrorKind::CircuitOpen { .. } | ErrorKind::Exhausted => permit.refund(),
                        _ => permit.failed(&unobserved_limits(&err, &LimitHints::default())),
                    }
                    return Err(err.after(earlier));
                }
            }
        }
    }

    fn saturated(&self, saturated: &Saturated, refusal: Option<&Error>) -> Error {
        let kind = ErrorKind::RateLimited { retry_after: Some(saturated.retry_after) };
        let why = refusal.map_or(String::new(), |refusal| format!(": {refusal}"));
        Error::new(kind, format!("{}: {saturated}{why}", self.inner.scope()))
    }
}

/// Returns the name of the scope of a provider's limits: an account at an address.
pub(crate) fn scope_of_limits(scope: &Scope) -> String {
    match &scope.key_digest {
        Some(digest) => format!("{scope}, account {digest}"),
        None => scope.to_string(),
    }
}

/// Returns whether the provider only refused the call for a rate limit, at no cost, and does not rule out a retry.
fn is_refusal(err: &Error) -> bool {
    matches!(err.kind(), ErrorKind::RateLimited { .. })
        && err.billed() == Billed::No
        && err.should_retry() != Some(false)
}

/// Returns the limits of an error that were not observed before: headers describe one moment and are not observed twice.
fn unobserved_limits(err: &Error, observed: &LimitHints) -> LimitHints {
    let mut limits = if err.limits() == observed { LimitHints::default() } else { *err.limits() };
    if let ErrorKind::RateLimited { retry_after } | ErrorKind::Overloaded { retry_after } = err.kind() {
        limits.retry_after = limits.retry_after.or(retry_after);
    }
    limits
}

/// Returns the actual cost of a call; `None` where the provider did not report it.
fn actual_cost(usage: Usage) -> Option<Cost> {
    let (input, output) = usage.input.zip(usage.output)?;
    Some(Cost::request().input_tokens(input).output_tokens(output))
}

forward!(Limited);

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use antiphon_resilience::{Allowance, Deadline, LimitHints, LimiterRegistry};
    use tokio::time::{Instant, sleep};
    use tokio_util::sync::CancellationToken;

    use super::{Billed, CallContext, Error, ErrorKind, Limited, Prompt};
    use crate::scripted::Scripted;
    use crate::{Completion, Message, ProviderExt, Usage};

    fn refused(seconds: u64) -> Error {
        let wait = Some(Duration::from_secs(seconds));
        let mut hints = LimitHints::default();
        hints.retry_after = wait;
        Error::new(ErrorKind::RateLimited { retry_after: wait }, "slow down").with_limits(hints)
    }

    fn prompt() -> Prompt {
        Prompt::new("m", [Message::user("?")])
    }

    #[tokio::test(start_paused = true)]
    async fn a_refused_call_is_queued_again_and_is_not_a_failure() {
        let script = [Err(refused(7)), Err(refused(7)), Ok(Completion::new("ok"))];
        let provider = Limited::new(Scripted::new(script), LimiterRegistry::default());
        let start = Instant::now();
        let done = provider.complete(&prompt(), &CallContext::default()).await.unwrap();
        assert!(start.elapsed() >= Duration::from_secs(14), "{:?}", start.elapsed());
        assert_eq!((done.text.as_str(), provider.inner.calls(), done.attempts), ("ok", 3, 3));
        assert!(done.timing.queue >= Duration::from_secs(14), "{:?}", done.timing);
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_that_rules_out_a_retry_is_final() {
        let script = [Err(refused(7).with_should_retry(Some(false))), Ok(Completion::new("ok"))];
        let provider = Limited::new(Scripted::new(script), LimiterRegistry::default());
        let err = provider.complete(&prompt(), &CallContext::default()).await.unwrap_err();
        assert_eq!((err.should_retry(), provider.inner.calls()), (Some(false), 1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_beyond_the_deadline_is_reported_with_the_refusal() {
        let provider = Limited::new(Scripted::new([Err(refused(60))]), LimiterRegistry::default());
        let context = CallContext::default().deadline(Deadline::after(Duration::from_secs(5)));
        let err = provider.complete(&prompt(), &context).await.unwrap_err();
        assert!(
            matches!(err.kind(), ErrorKind::RateLimited { retry_after: Some(wait) } if wait.as_secs() >= 60)
        );
        assert!(err.to_string().contains("slow down"), "{err}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_drain_ends_the_wait_after_a_refusal() {
        let script = [Err(refused(60)), Ok(Completion::new("ok"))];
        let provider = Limited::new(Scripted::new(script), LimiterRegistry::default());
        let (start, drain) = (Instant::now(), CancellationToken::new());
        let (prompt, context) = (prompt(), CallContext::default().drain(drain.clone()));
        let stop = async {
            sleep(Duration::from_secs(1)).await;
            drain.cancel();
        };
        let (answer, ()) = tokio::join!(provider.complete(&prompt, &context), stop);
        let err = answer.unwrap_err();
        assert_eq!((err.kind(), err.attempts(), err.billed()), (ErrorKind::Cancelled, 1, Billed::No));
        assert_eq!((provider.inner.calls(), start.elapsed()), (1, Duration::from_secs(1)));
    }

    #[tokio::test]
    async fn limits_and_usage_are_learned_from_answers() {
        let mut hints = LimitHints::default();
        hints.requests = Allowance::new(60, 59, Duration::from_secs(1));
        let answer = Completion::new("ok").usage(Usage::new(Some(10), Some(5)));
        let mut answer = answer;
        answer.head.limits = hints;
        let limiters = LimiterRegistry::default();
        let provider = Limited::new(Scripted::new([Ok(answer)]), limiters.clone());
        provider.complete(&prompt(), &CallContext::default()).await.unwrap();
        let (scope, model, view) = limiters.snapshots().remove(0);
        assert_eq!((scope.as_str(), model.as_str()), ("scripted", "m"));
        assert!(view.requests_per_second.is_some_and(|rate| (0.9..=1.0).contains(&rate)), "{view:?}");
        assert_eq!((view.answered, view.in_flight), (1, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_was_never_made_uses_no_allowance() {
        let open = || Err(Error::new(ErrorKind::CircuitOpen { retry_after: None }, "open"));
        let mut hints = LimitHints::default();
        hints.requests = Allowance::new(2, 1, Duration::from_secs(60));
        let mut answer = Completion::new("ok");
        answer.head.limits = hints;
        let script = [Ok(answer), open(), open(), open(), Ok(Completion::new("last"))];
        let provider = Limited::new(Scripted::new(script), LimiterRegistry::default());
        let start = Instant::now();
        for _ in 0..5 {
            let _ = provider.complete(&prompt(), &CallContext::default()).await;
        }
        assert_eq!((provider.inner.calls(), start.elapsed()), (5, Duration::ZERO));
    }
}

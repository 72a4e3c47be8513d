use antiphon_resilience::{CircuitBreaker, CircuitOpen};

use crate::completion::Completion;
use crate::context::CallContext;
use crate::error::{Error, ErrorKind, TimeoutPhase, TruncationCause};
use crate::forward::forward;
use crate::prompt::Prompt;
use crate::provider::Provider;
use crate::streaming::Streaming;

/// A provider with a circuit breaker: while too many calls fail, it rejects calls with `CircuitOpen`, except for occasional
/// trial calls.
///
/// An error counts as a failure if the provider is responsible for it: it cannot be reached, fails, is overloaded, times out or
/// ends an answer early. An invalid answer, a rate limit, a wrong API key, an invalid prompt and a cancellation by the caller
/// do not count.
///
/// A [`Stack`](crate::Stack) puts the breaker inside all waits. Use the wrapper alone in a program without retries that must
/// fail fast while a service is down:
///
/// ```
/// use std::time::Duration;
/// use antiphon_llm::{CallContext, CircuitBreaker, ErrorKind, Guarded, Message, Prompt, ProviderExt};
/// # use antiphon_llm::{BlockingProvider, Error};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// # let provider = BlockingProvider::from_fn("down", 1, |_| Err(Error::new(ErrorKind::Unavailable, "down")));
/// let provider = Guarded::new(provider, CircuitBreaker::simple(2, Duration::from_secs(60)));
/// let (prompt, context) = (Prompt::new("m", [Message::user("Hello")]), CallContext::default());
/// for _ in 0..2 {
///     assert_eq!(provider.complete(&prompt, &context).await.unwrap_err().kind(), ErrorKind::Unavailable);
/// }
/// let err = provider.complete(&prompt, &context).await.unwrap_err();
/// assert!(matches!(err.kind(), ErrorKind::CircuitOpen { retry_after: Some(_) }));
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Guarded<P> {
    inner: P,
    breaker: CircuitBreaker,
}

impl<P> Guarded<P> {
    /// Wraps `inner`.
    #[must_use]
    pub fn new(inner: P, breaker: CircuitBreaker) -> Self {
        Self { inner, breaker }
    }
}

/// The meaning of a call's end for the provider's health.
enum Outcome {
    Success,
    Failure,
    Neutral,
}

impl<P: Provider> Guarded<P> {
    async fn begin(&self, prompt: &Prompt, context: &CallContext) -> Result<Streaming, Error> {
        let mut permit = self.breaker.permit().map_err(|rejected| self.rejected(&rejected))?;
        let answer = self.inner.stream(prompt, context).await;
        if answer.is_ok() {
            permit.answered();
        }
        let end = move |result: Result<&Completion, &Error>| match outcome(result.err()) {
            Outcome::Success => permit.success(),
            Outcome::Failure => permit.failure(),
            Outcome::Neutral => drop(permit),
        };
        match answer {
            Ok(streaming) => Ok(streaming.at_end(end)),
            Err(err) => {
                end(Err(&err));
                Err(err)
            }
        }
    }

    /// Returns the error of a rejected call; a breaker without a name has that of the provider.
    fn rejected(&self, rejected: &CircuitOpen) -> Error {
        let kind = ErrorKind::CircuitOpen { retry_after: rejected.retry_after };
        let mut rejected = rejected.clone();
        rejected.name.get_or_insert_with(|| self.inner.scope().to_string().into());
        Error::new(kind, rejected.to_string())
    }
}

fn outcome(err: Option<&Error>) -> Outcome {
    match err.map(Error::kind) {
        None
        | Some(
            ErrorKind::ModelRefusal
            | ErrorKind::Filtered
            | ErrorKind::Truncated { cause: TruncationCause::MaxTokens | TruncationCause::Stopped },
        ) => Outcome::Success,
        Some(
            ErrorKind::Connect
            | ErrorKind::Tls
            | ErrorKind::Unavailable
            | ErrorKind::Overloaded { .. }
            | ErrorKind::Truncated { cause: TruncationCause::Disconnected }
            | ErrorKind::Timeout {
                phase:
                    TimeoutPhase::Connect
                    | TimeoutPhase::FirstToken
                    | TimeoutPhase::NextToken
                    | TimeoutPhase::Call,
            },
        ) => Outcome::Failure,
        Some(_) => Outcome::Neutral,
    }
}

forward!(Guarded);

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use antiphon_resilience::{BreakerState, CircuitBreaker};

    use super::{CallContext, Error, ErrorKind, Guarded, Prompt};
    use crate::scripted::Scripted;
    use crate::{Completion, Message, ProviderExt};

    #[tokio::test(start_paused = true)]
    async fn failures_open_the_breaker_and_a_successful_trial_closes_it() {
        let down = || Err(Error::new(ErrorKind::Unavailable, "down"));
        let limit = Err(Error::new(ErrorKind::RateLimited { retry_after: None }, "slow down"));
        let script = [limit, down(), down(), Ok(Completion::new("ok"))];
        let breaker = CircuitBreaker::simple(2, Duration::from_secs(30));
        let provider = Guarded::new(Scripted::new(script), breaker.clone());
        let prompt = Prompt::new("m", [Message::user("?")]);
        let ask = || async { provider.complete(&prompt, &CallContext::default()).await };
        for _ in 0..3 {
            ask().await.unwrap_err();
        }
        let err = ask().await.unwrap_err();
        let wait = Some(Duration::from_secs(30));
        assert_eq!((err.kind(), provider.inner.calls()), (ErrorKind::CircuitOpen { retry_after: wait }, 3));
        assert_eq!(err.to_string(), "scripted is not called for another 30 s: too many calls failed");
        tokio::time::sleep(Duration::from_secs(31)).await;
        ask().await.unwrap();
        assert_eq!(breaker.status().state, BreakerState::Closed);
    }

    #[tokio::test(start_paused = true)]
    async fn errors_that_are_not_the_providers_fault_do_not_open_the_breaker() {
        for kind in [ErrorKind::InvalidResponse, ErrorKind::Exhausted] {
            let breaker = CircuitBreaker::simple(2, Duration::from_secs(30));
            let failed = |_| Err(Error::new(kind, "no"));
            let provider = Guarded::new(Scripted::new((0..5).map(failed)), breaker.clone());
            for _ in 0..5 {
                let prompt = Prompt::new("m", [Message::user("?")]);
                let err = provider.complete(&prompt, &CallContext::default()).await.unwrap_err();
                assert_eq!(err.kind(), kind);
            }
            assert_eq!(breaker.status().state, BreakerState::Closed);
        }
    }
}

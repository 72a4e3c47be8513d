use std::sync::Arc;

use tracing::warn;

use crate::context::CallContext;
use crate::error::{Error, ErrorKind, TimeoutPhase};
use crate::forward::forward;
use crate::prompt::Prompt;
use crate::provider::Provider;
use crate::spent::Spent;
use crate::streaming::Streaming;

/// A provider with fallbacks: if the first provider cannot answer, it calls other providers, in order.
///
/// Use [`Stack::fallback`](crate::Stack::fallback) for providers with separate limits, breakers and retries, and this type for
/// a custom rule ([`when`](Self::when)). The answer of a fallback is marked as one of another model
/// ([`Head::other_model`](crate::Head)), so that it is not cached.
///
/// The next provider is called only if the error comes before the first text, since the caller may have used the text. The kind
/// of the error decides whether another provider may help. By default, the next provider is not called for an invalid prompt, a
/// model refusal, filtered content, an invalid answer, a cancellation, a lack of file descriptors, or the deadline of the call.
///
/// ```
/// use std::sync::Arc;
/// use antiphon_llm::{CallContext, ErrorKind, Fallback, Message, Prompt, ProviderExt};
/// # use antiphon_llm::{BlockingProvider, Completion, Error};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Error> {
/// # let large = BlockingProvider::from_fn("large", 1, |_| Err(Error::new(ErrorKind::ContextTooLong, "too long")));
/// # let small = BlockingProvider::from_fn("small", 1, |_| Ok(Completion::new("an answer")));
/// let context = CallContext::default();
/// let prompt = Prompt::new("large-model", [Message::user("A long question")]);
/// let provider = Fallback::new(large).or(Arc::new(small), "small-model");
/// let answer = provider.complete(&prompt, &context).await?;
/// assert_eq!((answer.text.as_str(), answer.attempts, answer.head.other_model), ("an answer", 2, true));
/// assert_eq!(answer.head.model.as_deref(), Some("small-model"));
///
/// // Another model only while the first one cannot be reached.
/// let provider = provider.when(|kind| matches!(kind, ErrorKind::Connect | ErrorKind::Unavailable));
/// let err = provider.complete(&prompt, &context).await.unwrap_err();
/// assert_eq!(err.kind(), ErrorKind::ContextTooLong);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Fallback<P> {
    inner: P,
    others: Vec<(Arc<dyn Provider>, String)>,
    may_help: fn(ErrorKind) -> bool,
}

impl<P> Fallback<P> {
    /// Wraps `inner`, which is called first, with the model of the prompt.
    #[must_use]
    pub fn new(inner: P) -> Self {
        Self { inner, others: Vec::new(), may_help: another_may_help }
    }

    /// Adds a provider that is called next, with `model` in place of the prompt's model.
    #[must_use]
    pub fn or(mut self, provider: Arc<dyn Provider>, model: impl Into<String>) -> Self {
        self.others.push((provider, model.into()));
        self
    }

    /// Sets the rule for the errors after which the next provider is called. Default: the errors for which another provider may
    /// help, such as an outage, a rate limit or a context that is too long.
    #[must_use]
    pub fn when(mut self, may_help: fn(ErrorKind) -> bool) -> Self {
        self.may_help = may_help;
        self
    }
}

fn another_may_help(kind: ErrorKind) -> bool {
    match kind {
        ErrorKind::InvalidRequest
        | ErrorKind::ModelRefusal
        | ErrorKind::Filtered
        | ErrorKind::SchemaMismatch
        | ErrorKind::Cancelled
        | ErrorKind::Exhausted
        | ErrorKind::Timeout { phase: TimeoutPhase::Total } => false,
        ErrorKind::Auth
        | ErrorKind::ModelNotFound
        | ErrorKind::Unsupported
        | ErrorKind::Quota
        | ErrorKind::RateLimited { .. }
        | ErrorKind::Overloaded { .. }
        | ErrorKind::CircuitOpen { .. }
        | ErrorKind::Connect
        | ErrorKind::Tls
        | ErrorKind::Unavailable
        | ErrorKind::Timeout {
            phase:
                TimeoutPhase::Connect | TimeoutPhase::FirstToken | TimeoutPhase::NextToken | TimeoutPhase::Call,
        }
        | ErrorKind::Truncated { .. }
        | ErrorKind::ContextTooLong
        | ErrorKind::InvalidResponse => true,
    }
}

impl<P: Provider> Fallback<P> {
    async fn begin(&self, prompt: &Prompt, context: &CallContext) -> Result<Streaming, Error> {
        let mut earlier = Spent::default();
        let mut answer = self.inner.stream(prompt, context).await;
        for (provider, model) in &self.others {
            let err = match answer {
                Err(err) if (self.may_help)(err.kind()) => err,
                answer => return after(answer, earlier),
            };
            warn!("{err}; asking {} for {model}", provider.scope());
            earlier += err.spent();
            let mut prompt = prompt.clone();
            prompt.model.clone_from(model);
            // An error of the guard must include the earlier calls, too.
            let next = context.guard(provider.stream(&prompt, context)).await;
            answer = next.and_then(std::convert::identity).map(|next| next.of_other_model(model));
        }
        after(answer, earlier)
    }
}

/// Returns an answer with the calls before it.
fn after(answer: Result<Streaming, Error>, earlier: Spent) -> Result<Streaming, Error> {
    match answer {
        Ok(streaming) => Ok(streaming.after(earlier)),
        Err(err) => Err(err.after(earlier)),
    }
}

forward!(Fallback);

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use antiphon_resilience::Deadline;

    use super::{CallContext, Error, ErrorKind, Fallback, Prompt};
    use crate::scripted::Scripted;
    use crate::{Billed, Completion, Message, ProviderExt};

    async fn ask(first: ErrorKind, second: ErrorKind) -> (usize, usize, Result<Completion, Error>) {
        let err = |kind| Err(Error::new(kind, "no").with_billed(Billed::Maybe));
        let next = Arc::new(Scripted::new([err(second)]));
        let last = Arc::new(Scripted::new([Ok(Completion::new("at last"))]));
        let provider = Fallback::new(Scripted::new([err(first)])).or(next.clone(), "n").or(last.clone(), "l");
        let answer =
            provider.complete(&Prompt::new("m", [Message::user("?")]), &CallContext::default()).await;
        assert!(next.models.lock().unwrap().iter().all(|model| model == "n"));
        (next.calls(), last.calls(), answer)
    }

    #[tokio::test(start_paused = true)]
    async fn a_timeout_counts_the_earlier_calls() {
        let failed = Err(Error::new(ErrorKind::Auth, "no").with_billed(Billed::Maybe));
        let slow = Scripted::new([Ok(Completion::new("late"))]).slow(Duration::from_secs(9));
        let provider = Fallback::new(Scripted::new([failed])).or(Arc::new(slow), "n");
        let context = CallContext::default().deadline(Deadline::after(Duration::from_secs(5)));
        let err = provider.complete(&Prompt::new("m", [Message::user("?")]), &context).await.unwrap_err();
        assert_eq!((err.attempts(), err.spent().possibly_billed), (2, 2));
    }

    #[tokio::test]
    async fn the_next_provider_is_asked_where_that_may_help() {
        let (next, last, answer) = ask(ErrorKind::Quota, ErrorKind::Connect).await;
        let answer = answer.unwrap();
        assert_eq!((next, last, answer.text.as_str(), answer.attempts), (1, 1, "at last", 3));
        assert_eq!(answer.earlier.billed(), Billed::Maybe);
        assert_eq!(answer.spent().possibly_billed, 2);
        let (next, last, answer) = ask(ErrorKind::Auth, ErrorKind::ModelRefusal).await;
        let err = answer.unwrap_err();
        assert_eq!((next, last, err.kind(), err.attempts()), (1, 0, ErrorKind::ModelRefusal, 2));
        let (next, _, answer) = ask(ErrorKind::InvalidRequest, ErrorKind::Connect).await;
        assert_eq!((next, answer.unwrap_err().billed()), (0, Billed::Maybe));
    }
}

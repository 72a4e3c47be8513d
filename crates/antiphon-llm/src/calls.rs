use std::sync::Arc;

use antiphon_resilience::{AdaptiveLimiter, LimiterRegistry};

use crate::context::CallContext;
use crate::error::Error;
use crate::forward::forward;
use crate::limited::scope_of_limits;
use crate::prompt::Prompt;
use crate::provider::Provider;
use crate::streaming::Streaming;

/// A provider that runs the before-send hook of each call: see [`CallContext::before_send`]. The innermost wrapper: the hook
/// runs after all waits.
#[derive(Debug, Clone)]
pub(crate) struct Hooked<P> {
    inner: P,
}

impl<P: Provider> Hooked<P> {
    pub(crate) fn new(inner: P) -> Self {
        Self { inner }
    }

    async fn begin(&self, prompt: &Prompt, context: &CallContext) -> Result<Streaming, Error> {
        context.run_before_send().await?;
        self.inner.stream(prompt, context).await
    }
}

forward!(Hooked);

/// A provider without retries that runs the before-send hook of each call, for a caller that keeps a write-ahead journal and
/// makes the retries itself. [`Stack::calls`](crate::Stack::calls) creates it and has an example.
///
/// One exception remains: if the stack has limiters, a call that a rate limit refused at no cost is queued again, and its hook
/// runs again.
#[derive(Debug, Clone)]
pub struct Calls {
    provider: Arc<dyn Provider>,
    limiters: Option<LimiterRegistry>,
}

impl Calls {
    pub(crate) fn new(provider: Arc<dyn Provider>, limiters: Option<LimiterRegistry>) -> Self {
        Self { provider, limiters }
    }

    /// Returns the provider.
    #[must_use]
    pub fn provider(&self) -> &Arc<dyn Provider> {
        &self.provider
    }

    /// Wraps the provider in a custom layer, which becomes the outermost one.
    #[must_use]
    pub fn layer(self, layer: impl FnOnce(Arc<dyn Provider>) -> Arc<dyn Provider>) -> Self {
        Self { provider: layer(self.provider), ..self }
    }

    /// Returns the adaptive limiter of the first provider for a model; `None` for a stack without limiters. Limiters of
    /// fallbacks are in the registries of their own stacks.
    #[must_use]
    pub fn limiter(&self, model: &str) -> Option<AdaptiveLimiter> {
        let limiters = self.limiters.as_ref()?;
        Some(limiters.limiter(&scope_of_limits(&self.provider.scope()), model))
    }

    /// Returns the name of the rate limit that [`limiter`](Self::limiter) enforces: vendor, address, account (a digest of the
    /// API key) and model. Processes that share a limit identify it by this name.
    #[must_use]
    pub fn limit_scope(&self, model: &str) -> String {
        format!("{}, {model}", scope_of_limits(&self.provider.scope()))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Duration;

    use antiphon_resilience::{LimitHints, LimiterRegistry};

    use crate::scripted::Scripted;
    use crate::{CallContext, Completion, Error, ErrorKind, Message, Prompt, ProviderExt, Stack};

    type Script = Vec<Result<Completion, Error>>;

    fn failed(kind: ErrorKind) -> Result<Completion, Error> {
        Err(Error::new(kind, "no"))
    }

    fn refused() -> Error {
        let retry_after = Some(Duration::from_secs(1));
        let mut hints = LimitHints::default();
        hints.retry_after = retry_after;
        Error::new(ErrorKind::RateLimited { retry_after }, "slow down").with_limits(hints)
    }

    #[tokio::test(start_paused = true)]
    async fn every_call_runs_its_hook_before_it_is_sent_and_none_is_retried() {
        let scripted =
            Scripted::new([Err(refused()), Ok(Completion::new("ok")), failed(ErrorKind::Unavailable)]);
        let calls = Stack::new(scripted).limiters(LimiterRegistry::default()).calls();
        let sent = Arc::new(AtomicU32::new(0));
        let count = sent.clone();
        let context = CallContext::default().before_send(move || {
            count.fetch_add(1, Ordering::Relaxed);
            std::future::ready(Ok(()))
        });
        let prompt = Prompt::new("m", [Message::user("?")]);
        calls.provider().complete(&prompt, &context).await.unwrap();
        assert_eq!(sent.load(Ordering::Relaxed), 2, "the refusal, and the answer");
        let err = calls.provider().complete(&prompt, &context).await.unwrap_err();
        assert_eq!((err.kind(), sent.load(Ordering::Relaxed)), (ErrorKind::Unavailable, 3));
    }

    #[tokio::test]
    async fn a_call_whose_hook_fails_is_not_sent() {
        let calls = Stack::new(Scripted::new([])).calls();
        let context = CallContext::default()
            .before_send(|| std::future::ready(Err(Error::new(ErrorKind::Cancelled, "the journal is full"))));
        let prompt = Prompt::new("m", [Message::user("?")]);
        let err = calls.provider().complete(&prompt, &context).await.unwrap_err();
        assert!(err.to_string().contains("the journal is full"), "{err}");
    }

    /// Asks a chain of three providers as the engine does; returns the calls of each, the answer, and whether each call
    /// followed its own intent.
    async fn ask_chain(scripts: [Script; 3]) -> ([usize; 3], Result<Completion, Error>, bool) {
        let scripted = scripts.map(|script| Arc::new(Scripted::new(script)));
        let [first, second, third] = scripted.clone().map(Stack::new);
        let calls =
            first.fallback(second.limiters(LimiterRegistry::default()), "n").fallback(third, "l").calls();
        let (intents, in_order) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
        let (count, ordered, sent) = (intents.clone(), in_order.clone(), scripted.clone());
        let context = CallContext::default().before_send(move || {
            let sent: usize = sent.iter().map(|provider| provider.calls()).sum();
            let earlier = count.fetch_add(1, Ordering::Relaxed);
            ordered.fetch_add(u32::from(sent == earlier as usize), Ordering::Relaxed);
            std::future::ready(Ok(()))
        });
        let answer = calls.provider().complete(&Prompt::new("m", [Message::user("?")]), &context).await;
        let calls = scripted.map(|provider| provider.calls());
        let (intents, in_order) = (intents.load(Ordering::Relaxed), in_order.load(Ordering::Relaxed));
        (calls, answer, intents as usize == calls.iter().sum::<usize>() && in_order == intents)
    }

    #[tokio::test(start_paused = true)]
    async fn each_call_of_a_fallback_has_an_intent_before_it_is_sent_and_none_is_repeated() {
        let script = [
            vec![failed(ErrorKind::Unavailable)],
            vec![failed(ErrorKind::Connect)],
            vec![Ok(Completion::new("ok"))],
        ];
        let (calls, answer, intended) = ask_chain(script).await;
        let answer = answer.unwrap();
        assert_eq!((calls, answer.attempts, answer.head.other_model, intended), ([1, 1, 1], 3, true, true));
        // Only a refusal that cost nothing is sent again, by the limiter of its own stack and with a new intent.
        let script = [
            vec![failed(ErrorKind::Auth)],
            vec![Err(refused()), failed(ErrorKind::Unavailable)],
            vec![failed(ErrorKind::Overloaded { retry_after: None })],
        ];
        let (calls, answer, intended) = ask_chain(script).await;
        let err = answer.unwrap_err();
        let kind = ErrorKind::Overloaded { retry_after: None };
        assert_eq!((calls, err.kind(), err.attempts(), intended), ([1, 2, 1], kind, 4, true));
        // An error with which another provider cannot help ends the chain.
        let script = [vec![failed(ErrorKind::Quota)], vec![failed(ErrorKind::ModelRefusal)], vec![]];
        let (calls, answer, intended) = ask_chain(script).await;
        assert_eq!((calls, answer.unwrap_err().kind(), intended), ([1, 1, 0], ErrorKind::ModelRefusal, true));
    }

    #[tokio::test]
    async fn an_intent_that_fails_ends_the_answer_before_any_fallback() {
        let scripted = [0, 1].map(|_| Arc::new(Scripted::new([failed(ErrorKind::Unavailable)])));
        let [first, second] = scripted.clone().map(Stack::new);
        let calls = first.fallback(second, "n").calls();
        // The journal is full after one intent.
        let left = Arc::new(AtomicU32::new(1));
        let context = CallContext::default().before_send(move || {
            let full =
                left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_err();
            std::future::ready(if full {
                Err(Error::new(ErrorKind::Cancelled, "the journal is full"))
            } else {
                Ok(())
            })
        });
        let prompt = Prompt::new("m", [Message::user("?")]);
        let err = calls.provider().complete(&prompt, &context).await.unwrap_err();
        assert_eq!((err.kind(), scripted.map(|provider| provider.calls())), (ErrorKind::Cancelled, [1, 0]));
    }

    #[tokio::test(start_paused = true)]
    async fn the_limits_of_a_fallback_are_its_own() {
        let limiters = LimiterRegistry::default();
        let first = Stack::new(Scripted::new([failed(ErrorKind::Auth), failed(ErrorKind::Auth)]))
            .limiters(limiters.clone());
        let second = Scripted::new([Err(refused()), Ok(Completion::new("ok")), Ok(Completion::new("ok"))]);
        let second = Stack::new(second.named("second")).limiters(limiters.clone());
        let calls = first.fallback(second, "n").calls();
        let prompt = Prompt::new("m", [Message::user("?")]);
        for _ in 0..2 {
            calls.provider().complete(&prompt, &CallContext::default()).await.unwrap();
        }
        let views = limiters.snapshots().into_iter();
        let views: Vec<_> =
            views.map(|(scope, model, view)| (scope, model, view.answered, view.throttled)).collect();
        assert_eq!(
            views,
            [("scripted".to_owned(), "m".to_owned(), 0, 0), ("second".to_owned(), "n".to_owned(), 2, 1)]
        );
        assert!(
            calls.limiter("m").is_some_and(|limiter| limiter.snapshot().throttled == 0),
            "the first provider's limiter"
        );
    }
}

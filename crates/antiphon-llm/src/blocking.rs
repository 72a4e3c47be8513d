use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::Semaphore;

use crate::completion::Completion;
use crate::context::CallContext;
use crate::error::{Error, ErrorKind};
use crate::prompt::Prompt;
use crate::provider::{Capabilities, Health, Model, Provider, Scope};
use crate::streaming::Streaming;

/// A provider in blocking code, such as a binding to a C library. [`BlockingProvider`] turns it into a [`Provider`].
pub trait SyncProvider: fmt::Debug + Send + Sync + 'static {
    /// Returns the scope of the calls: the vendor, the address and the account whose rate limits and credit they use.
    fn scope(&self) -> Scope;

    /// Returns the complete answer. The method may block; it runs on a thread for blocking code.
    ///
    /// # Errors
    /// The error of the call. Its kind decides whether a wrapper retries.
    fn complete(&self, prompt: &Prompt) -> Result<Completion, Error>;
}

/// A provider that runs blocking code on a bounded number of threads. A semaphore is the concurrency limit: further calls wait
/// (backpressure).
///
/// Use it for code that cannot be made async; implement [`Provider`] for a client of an HTTP service, which needs no thread per
/// call. A cancelled call stops waiting, but its thread runs to the end. The list of models is empty, and no capabilities are
/// known. [`from_fn`](Self::from_fn) creates a provider from a closure, for tests and examples.
///
/// ```
/// use antiphon_llm::{BlockingProvider, CallContext, Completion, Error, Message, Prompt, ProviderExt, Scope, SyncProvider};
///
/// #[derive(Debug)]
/// struct Shouting;
///
/// impl SyncProvider for Shouting {
///     fn scope(&self) -> Scope {
///         Scope::new("shouting", None)
///     }
///
///     fn complete(&self, prompt: &Prompt) -> Result<Completion, Error> {
///         Ok(Completion::new(prompt.messages[0].rendered().to_uppercase()))
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Error> {
/// let provider = BlockingProvider::new(Shouting, 4);
/// let answer = provider.complete(&Prompt::new("m", [Message::user("hello")]), &CallContext::default()).await?;
/// assert_eq!(answer.text, "HELLO");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct BlockingProvider<S> {
    inner: Arc<S>,
    threads: Arc<Semaphore>,
}

impl<S> BlockingProvider<S> {
    /// Wraps `inner`, which runs at most `max_threads` calls at the same time; 0 counts as 1.
    #[must_use]
    pub fn new(inner: S, max_threads: usize) -> Self {
        Self { inner: Arc::new(inner), threads: Arc::new(Semaphore::new(max_threads.max(1))) }
    }
}

impl<F> BlockingProvider<FnProvider<F>>
where
    F: Fn(&Prompt) -> Result<Completion, Error> + Send + Sync + 'static,
{
    /// Creates a provider that answers with a function, in at most `max_threads` calls at the same time; 0 counts as 1.
    ///
    /// ```
    /// use antiphon_llm::{BlockingProvider, CallContext, Completion, Error, Message, Prompt, ProviderExt};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Error> {
    /// let provider = BlockingProvider::from_fn("echo", 4, |prompt| Ok(Completion::new(prompt.messages[0].rendered())));
    /// let answer = provider.complete(&Prompt::new("m", [Message::user("Hello")]), &CallContext::default()).await?;
    /// assert_eq!(answer.text, "Hello");
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn from_fn(vendor: impl Into<String>, max_threads: usize, answer: F) -> Self {
        Self::new(FnProvider { scope: Scope::new(vendor, None), answer }, max_threads)
    }
}

/// A [`SyncProvider`] over a closure, created by [`BlockingProvider::from_fn`].
pub struct FnProvider<F> {
    scope: Scope,
    answer: F,
}

impl<F> SyncProvider for FnProvider<F>
where
    F: Fn(&Prompt) -> Result<Completion, Error> + Send + Sync + 'static,
{
    fn scope(&self) -> Scope {
        self.scope.clone()
    }

    fn complete(&self, prompt: &Prompt) -> Result<Completion, Error> {
        (self.answer)(prompt)
    }
}

impl<F> fmt::Debug for FnProvider<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FnProvider").field("scope", &self.scope).finish_non_exhaustive()
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: SyncProvider> Provider for BlockingProvider<S> {
    fn scope(&self) -> Scope {
        self.inner.scope()
    }

    /// Runs the call on a thread. Dropping it, its cancellation or its deadline does not end the thread, which keeps its permit
    /// until the call has returned.
    async fn stream(&self, prompt: &Prompt, context: &CallContext) -> Result<Streaming, Error> {
        context.run(self.answer(prompt)).await
    }

    async fn models(&self, _: &CallContext) -> Result<Vec<Model>, Error> {
        Ok(Vec::new())
    }

    async fn health(&self, _: &CallContext) -> Result<Health, Error> {
        Ok(Health::default())
    }

    async fn capabilities(&self, _: &str, _: &CallContext) -> Capabilities {
        Capabilities::default()
    }
}

impl<S: SyncProvider> BlockingProvider<S> {
    /// Waits for a permit and runs the call on a thread.
    async fn answer(&self, prompt: &Prompt) -> Result<Streaming, Error> {
        let shut = |_| Error::new(ErrorKind::Cancelled, "the runtime is shutting down");
        let permit = self.threads.clone().acquire_owned().await.map_err(shut)?;
        let (inner, prompt) = (self.inner.clone(), prompt.clone());
        let output = prompt.output.clone();
        let work = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            inner.complete(&prompt)
        });
        let answer = match work.await {
            Ok(answer) => answer?,
            Err(join) if join.is_panic() => std::panic::resume_unwind(join.into_panic()),
            Err(_) => return Err(Error::new(ErrorKind::Cancelled, "the runtime is shutting down")),
        };
        answer.into_complete(&output).map(Streaming::from_completion)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::{BlockingProvider, CallContext, Completion, Error, Prompt, Scope, SyncProvider};
    use crate::{Deadline, ErrorKind, Message, Provider, ProviderExt, TimeoutPhase};

    #[derive(Debug, Default)]
    struct Counting {
        now: AtomicUsize,
        most: AtomicUsize,
    }

    impl SyncProvider for Counting {
        fn scope(&self) -> Scope {
            Scope::new("counting", None)
        }

        #[expect(clippy::disallowed_methods, reason = "blocking is what this one is for")]
        fn complete(&self, _: &Prompt) -> Result<Completion, Error> {
            let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
            self.most.fetch_max(now, Ordering::SeqCst);
            std::thread::sleep(Duration::from_millis(5));
            self.now.fetch_sub(1, Ordering::SeqCst);
            Ok(Completion::new("ok"))
        }
    }

    #[tokio::test]
    async fn no_more_threads_than_allowed_run_at_the_same_time() {
        let provider = BlockingProvider::new(Counting::default(), 3);
        let prompt = Prompt::new("m", [Message::user("?")]);
        let context = CallContext::default();
        let calls = (0..12).map(|_| provider.complete(&prompt, &context));
        let answers = futures_util::future::join_all(calls).await;
        assert!(answers.into_iter().all(|answer| answer.is_ok()));
        assert_eq!(provider.inner.most.load(Ordering::SeqCst), 3);
    }

    #[tokio::test]
    async fn the_deadline_ends_a_stream_that_waits_for_a_thread() {
        let provider = BlockingProvider::new(Counting::default(), 1);
        let _all = provider.threads.clone().acquire_many_owned(1).await.unwrap();
        let context = CallContext::default().deadline(Deadline::after(Duration::from_millis(20)));
        let prompt = Prompt::new("m", [Message::user("?")]);
        let err = provider.stream(&prompt, &context).await.unwrap_err();
        assert_eq!(err.kind(), ErrorKind::Timeout { phase: TimeoutPhase::Total });
    }
}

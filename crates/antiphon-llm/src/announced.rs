use std::sync::Arc;

use antiphon_resilience::{Gate, Gates};

use crate::context::CallContext;
use crate::error::Error;
use crate::forward::forward;
use crate::limited::scope_of_limits;
use crate::prompt::Prompt;
use crate::provider::Provider;
use crate::streaming::Streaming;

/// Tells of every call just before it is sent: see [`CallContext::before_call`]. It stands next to the provider, within all
/// that waits.
#[derive(Debug, Clone)]
pub(crate) struct Announced<P> {
    inner: P,
}

impl<P: Provider> Announced<P> {
    pub(crate) fn new(inner: P) -> Self {
        Self { inner }
    }

    async fn begin(&self, prompt: &Prompt, context: &CallContext) -> Result<Streaming, Error> {
        context.announce().await?;
        self.inner.stream(prompt, context).await
    }
}

forward!(Announced);

/// A provider that makes one call for each prompt, tells of it just before it is sent, and never makes it again: for
/// whoever keeps a journal and owns the retries. From [`Stack::calls`](crate::Stack::calls).
///
/// A refusal for a limit that cost nothing goes back into the line, and is announced anew.
#[derive(Debug, Clone)]
pub struct Calls {
    provider: Arc<dyn Provider>,
    gates: Option<Gates>,
}

impl Calls {
    pub(crate) fn new(provider: Arc<dyn Provider>, gates: Option<Gates>) -> Self {
        Self { provider, gates }
    }

    /// The provider.
    #[must_use]
    pub fn provider(&self) -> &Arc<dyn Provider> {
        &self.provider
    }

    /// The same calls through a layer of the caller's own, which stands around all others.
    #[must_use]
    pub fn layer(self, layer: impl FnOnce(Arc<dyn Provider>) -> Arc<dyn Provider>) -> Self {
        Self { provider: layer(self.provider), ..self }
    }

    /// What keeps to the limits for a model; `None` where nobody does.
    #[must_use]
    pub fn gate(&self, model: &str) -> Option<Gate> {
        let gates = self.gates.as_ref()?;
        Some(gates.gate(&scope_of_limits(&self.provider.scope()), model))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Duration;

    use antiphon_resilience::{Gates, LimitHints};

    use crate::scripted::Scripted;
    use crate::{CallContext, Completion, Error, ErrorKind, Message, Prompt, ProviderExt, Stack};

    fn refused() -> Error {
        let retry_after = Some(Duration::from_secs(1));
        let mut hints = LimitHints::default();
        hints.retry_after = retry_after;
        Error::new(ErrorKind::RateLimited { retry_after }, "slow down").with_limits(hints)
    }

    #[tokio::test(start_paused = true)]
    async fn every_call_is_told_of_before_it_is_sent_and_none_is_made_again() {
        let failed = Error::new(ErrorKind::Unavailable, "down");
        let scripted = Scripted::new([Err(refused()), Ok(Completion::new("ok")), Err(failed)]);
        let calls = Stack::new(scripted).gates(Gates::default()).calls();
        let told = Arc::new(AtomicU32::new(0));
        let count = told.clone();
        let context = CallContext::default().before_call(move || {
            count.fetch_add(1, Ordering::Relaxed);
            std::future::ready(Ok(()))
        });
        let prompt = Prompt::new("m", [Message::user("?")]);
        calls.provider().complete(&prompt, &context).await.unwrap();
        assert_eq!(told.load(Ordering::Relaxed), 2, "the refusal, and the answer");
        let err = calls.provider().complete(&prompt, &context).await.unwrap_err();
        assert_eq!((err.kind(), told.load(Ordering::Relaxed)), (ErrorKind::Unavailable, 3));
    }

    #[tokio::test]
    async fn what_cannot_be_told_is_not_sent() {
        let calls = Stack::new(Scripted::new([])).calls();
        let context = CallContext::default()
            .before_call(|| std::future::ready(Err(Error::new(ErrorKind::Cancelled, "the journal is full"))));
        let prompt = Prompt::new("m", [Message::user("?")]);
        let err = calls.provider().complete(&prompt, &context).await.unwrap_err();
        assert!(err.to_string().contains("the journal is full"), "{err}");
    }
}

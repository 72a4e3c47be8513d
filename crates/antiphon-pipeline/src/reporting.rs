use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use antiphon_llm::{
    CallContext, Capabilities, Delta, Error, Health, Model, Prompt, Provider, Scope, Streaming, async_trait,
};
use futures_util::StreamExt;

use antiphon_engine::RunEvent;

pub(crate) use antiphon_engine::OnEvent;

/// Emits an event for each chunk of a streamed answer, and keeps the text of the newest answer.
pub(crate) struct Reporting {
    pub(crate) inner: Arc<dyn Provider>,
    pub(crate) on_event: OnEvent,
    pub(crate) words: PartialText,
}

/// The partial text of an answer.
#[derive(Debug, Clone, Default)]
pub(crate) struct PartialText(Arc<Mutex<String>>);

impl PartialText {
    fn text(&self) -> MutexGuard<'_, String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the text.
    pub(crate) fn take(&self) -> String {
        std::mem::take(&mut *self.text())
    }
}

impl fmt::Debug for Reporting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Reporting").field(&self.inner).finish()
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Provider for Reporting {
    fn scope(&self) -> Scope {
        self.inner.scope()
    }

    async fn stream(&self, prompt: &Prompt, context: &CallContext) -> Result<Streaming, Error> {
        let streaming = self.inner.stream(prompt, context).await?;
        let (head, attempts) = (streaming.head().clone(), streaming.attempts());
        let (on_event, so_far) = (self.on_event.clone(), self.words.clone());
        so_far.text().clear();
        let observed = streaming.inspect(move |delta| {
            if let Ok(Delta::Text(words)) = delta {
                so_far.text().push_str(words);
                on_event(RunEvent::Text { bytes: words.len() as u64 });
            }
        });
        Ok(Streaming::start(head, observed).await?.with_attempts(attempts))
    }

    async fn models(&self, context: &CallContext) -> Result<Vec<Model>, Error> {
        self.inner.models(context).await
    }

    async fn health(&self, context: &CallContext) -> Result<Health, Error> {
        self.inner.health(context).await
    }

    async fn capabilities(&self, model: &str, context: &CallContext) -> Capabilities {
        self.inner.capabilities(model, context).await
    }
}

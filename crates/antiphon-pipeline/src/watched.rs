use std::fmt;
use std::sync::Arc;

use antiphon_llm::{
    CallContext, Capabilities, Delta, Error, Health, Model, Prompt, Provider, Scope, Streaming, async_trait,
};
use futures_util::StreamExt;

use crate::event::Event;

pub(crate) type OnEvent = Arc<dyn Fn(Event) + Send + Sync>;

/// Tells of every piece of an answer as it comes.
pub(crate) struct Watched {
    pub(crate) inner: Arc<dyn Provider>,
    pub(crate) on_event: OnEvent,
}

impl fmt::Debug for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Watched").field(&self.inner).finish()
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Provider for Watched {
    fn scope(&self) -> Scope {
        self.inner.scope()
    }

    async fn stream(&self, prompt: &Prompt, context: &CallContext) -> Result<Streaming, Error> {
        let streaming = self.inner.stream(prompt, context).await?;
        let (head, attempts) = (streaming.head().clone(), streaming.attempts());
        let on_event = self.on_event.clone();
        let told = streaming.inspect(move |delta| {
            if let Ok(Delta::Text(words)) = delta {
                on_event(Event::Words { bytes: words.len() });
            }
        });
        Ok(Streaming::begun(head, told).await?.with_attempts(attempts))
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

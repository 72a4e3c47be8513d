use std::time::Duration;

use antiphon_http::SecretString;
use antiphon_llm::{
    CallContext, Capabilities, Error, Model, Prompt, Provider, Scope, Streaming, async_trait,
};

use crate::chat::{Chat, Config, checked_base_url};
use crate::prices;

/// OpenAI's models, by its chat completions.
///
/// The key goes into the `Authorization` header and nowhere else. Schemas are sent in strict mode without `minLength`,
/// `maxLength` and `uniqueItems`, which it does not support
/// (<https://platform.openai.com/docs/guides/structured-outputs>); they are enforced here.
#[derive(Debug, Clone)]
pub struct OpenAi {
    chat: Chat,
}

impl OpenAi {
    /// The model to ask when nobody names one: the cheapest current one that takes a million tokens.
    pub const DEFAULT_MODEL: &'static str = "gpt-6-luna";

    /// OpenAI with a key.
    #[must_use]
    pub fn new(key: SecretString) -> Self {
        let config = Config {
            vendor: "openai".to_owned(),
            base_url: "https://api.openai.com/v1".to_owned(),
            key: Some(key),
            // Its reasoning models refuse the older `max_tokens`.
            token_limit: "max_completion_tokens",
            refused_keywords: &["minLength", "maxLength", "uniqueItems"],
            // Reasoning models say nothing while they think.
            token_timeout: Duration::from_secs(120),
            max_connections: 100,
        };
        Self { chat: Chat::new(config) }
    }

    /// Sets another address for the same service.
    ///
    /// # Errors
    /// `InvalidRequest` for what is no address, or one with a secret in it.
    pub fn base_url(self, url: &str) -> Result<Self, Error> {
        let base_url = checked_base_url(url)?;
        Ok(Self { chat: Chat::new(Config { base_url, ..self.chat.config().clone() }) })
    }

    /// Sets the time to the first token and between two of them; default 120 s.
    #[must_use]
    pub fn token_timeout(self, token_timeout: Duration) -> Self {
        Self { chat: Chat::new(Config { token_timeout, ..self.chat.config().clone() }) }
    }

    /// Sets how many connections may be in use at once; a further call waits until one is free. Default 100.
    #[must_use]
    pub fn max_connections(self, max_connections: usize) -> Self {
        Self { chat: Chat::new(Config { max_connections, ..self.chat.config().clone() }) }
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Provider for OpenAi {
    fn scope(&self) -> Scope {
        self.chat.scope()
    }

    async fn stream(&self, prompt: &Prompt, context: &CallContext) -> Result<Streaming, Error> {
        self.chat.stream(prompt, context).await
    }

    async fn models(&self, context: &CallContext) -> Result<Vec<Model>, Error> {
        self.chat.models(context).await
    }

    /// From this crate's table: OpenAI does not tell.
    async fn capabilities(&self, model: &str, _: &CallContext) -> Capabilities {
        Capabilities::default().context_window(prices::context_window("openai", model))
    }
}

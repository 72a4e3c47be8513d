use std::time::Duration;

use antiphon_http::SecretString;
use antiphon_llm::{
    CallContext, Capabilities, Error, Model, Prompt, Provider, Scope, Streaming, async_trait,
};

use crate::chat::{Chat, Config, checked_base_url};

/// Any server that speaks OpenAI's chat completions: llama.cpp, LM Studio, vLLM, Ollama, hosted ones.
///
/// Where a server refuses JSON schemas it is asked for a JSON object instead, and where it refuses that too, in words;
/// in any case the schema is enforced here.
#[derive(Debug, Clone)]
pub struct Compatible {
    chat: Chat,
}

impl Compatible {
    /// A server by its base URL, without a key. An address without a path gets `/v1`.
    ///
    /// # Errors
    /// `InvalidRequest` for what is no address, or one with a secret in it.
    pub fn new(base_url: &str) -> Result<Self, Error> {
        let config = Config {
            vendor: "compatible".to_owned(),
            base_url: checked_base_url(base_url)?,
            key: None,
            // Ollama silently ignores the newer `max_completion_tokens`.
            token_limit: "max_tokens",
            refused_keywords: &[],
            // A local model may read a long prompt for minutes before it says its first word.
            token_timeout: Duration::from_secs(300),
            max_connections: 100,
        };
        Ok(Self { chat: Chat::new(config) })
    }

    /// Sets the key, sent as a bearer token in the `Authorization` header.
    #[must_use]
    pub fn key(self, key: SecretString) -> Self {
        Self { chat: Chat::new(Config { key: Some(key), ..self.chat.config().clone() }) }
    }

    /// Sets the name under which it is reported; default `compatible`.
    #[must_use]
    pub fn named(self, name: &str) -> Self {
        Self { chat: Chat::new(Config { vendor: name.to_owned(), ..self.chat.config().clone() }) }
    }

    /// Sets the time to the first token and between two of them; default 300 s.
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
impl Provider for Compatible {
    fn scope(&self) -> Scope {
        self.chat.scope()
    }

    async fn stream(&self, prompt: &Prompt, context: &CallContext) -> Result<Streaming, Error> {
        self.chat.stream(prompt, context).await
    }

    async fn models(&self, context: &CallContext) -> Result<Vec<Model>, Error> {
        self.chat.models(context).await
    }

    async fn capabilities(&self, model: &str, context: &CallContext) -> Capabilities {
        self.chat.capabilities(model, context).await
    }
}

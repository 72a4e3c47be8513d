//! The client of a server that speaks chat completions: the provider that OpenAI, llama.cpp and compatible
//! servers share.

use std::sync::Arc;

use antiphon_llm::{
    CallContext, Capabilities, Dialect, Embedder, Embeddings, Error, Health, InvalidParam, Model, Prompt,
    Provider, SamplingParams, Scope, Streaming, Usage, async_trait,
};
use serde_json::{Value, json};
use tokio::sync::OnceCell;
use tokio::time::Instant;
use tracing::info;

use super::stream::ChatDecoder;
use super::wire;
use crate::exchange::{
    CallRequest, Endpoint, Link, ModeFallback, Page, ParamTable, RefusedFields, StructuredMode,
};
use crate::limits;
use crate::registry::CheckParams;

/// The differences between servers of this format.
#[derive(Debug, Clone)]
pub(crate) struct Quirks {
    /// The sampling parameters that the server has, with their fields in the request.
    pub(crate) params: ParamTable,
    /// The dialect of JSON schema that the server supports.
    pub(crate) dialect: Dialect,
    /// The structured output modes to try, strictest first.
    pub(crate) modes: &'static [StructuredMode],
}

/// A server that speaks chat completions.
#[derive(Debug, Clone)]
pub(crate) struct Chat {
    /// The link to the server.
    pub(crate) link: Link,
    /// The server's differences.
    pub(crate) quirks: Quirks,
    modes: ModeFallback,
    /// The fields that the server refuses.
    pub(crate) refused: RefusedFields,
    /// The list of models, fetched once and cached if that succeeds.
    models: Arc<OnceCell<Vec<Model>>>,
}

impl Chat {
    /// Creates a client; nothing is sent.
    pub(crate) fn new(endpoint: Endpoint, quirks: Quirks) -> Self {
        let modes = ModeFallback::new(quirks.modes);
        let refused = RefusedFields::default();
        Self { link: Link::new(endpoint), quirks, modes, refused, models: Arc::default() }
    }

    /// Returns a client of the server with a changed endpoint.
    ///
    /// What was learned about modes and fields, and the list of models, belong to the old endpoint and are discarded.
    pub(crate) fn with(&self, change: impl FnOnce(&mut Endpoint)) -> Self {
        let (link, modes) = (self.link.with(change), ModeFallback::new(self.quirks.modes));
        let refused = RefusedFields::default();
        Self { link, quirks: self.quirks.clone(), modes, refused, models: Arc::default() }
    }

    /// Fetches the list of models, which this format has in one page.
    pub(crate) async fn list(&self, context: &CallContext) -> Result<(Vec<Model>, &'static str), Error> {
        let page = |answer: &Value| Some(Page { models: wire::models(answer)?, next: None });
        self.link.models("/models", context, page).await
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Provider for Chat {
    fn scope(&self) -> Scope {
        self.link.scope(None)
    }

    async fn stream(&self, prompt: &Prompt, context: &CallContext) -> Result<Streaming, Error> {
        let began = Instant::now();
        self.link.check(prompt, &self.quirks.params)?;
        info!("asking {} for {}", self.link.endpoint.base_url, prompt.model);
        let ask = |mode| {
            let body = wire::request(prompt, &self.quirks, mode);
            async move { self.refused.post(&self.link, "/chat/completions", body, context).await }
        };
        let (response, mode) = self.link.until_hurried(context, self.modes.ask(prompt, ask)).await?;
        let schema = self.modes.sent(prompt, mode, &self.quirks.dialect);
        self.link.streaming(response, ChatDecoder, CallRequest { prompt, schema, began, context }).await
    }

    async fn models(&self, context: &CallContext) -> Result<Vec<Model>, Error> {
        let list = || async { Ok(self.list(context).await?.0) };
        // Another call may fetch the list, under limits of its own.
        context.run(Box::pin(self.models.get_or_try_init(list))).await.cloned()
    }

    async fn health(&self, context: &CallContext) -> Result<Health, Error> {
        Link::health_by(self.list(context)).await
    }

    async fn capabilities(&self, model: &str, context: &CallContext) -> Capabilities {
        // A server that cannot list its models may still answer.
        let models = self.models(context).await.unwrap_or_default();
        let known = models.iter().find(|known| known.id == model);
        let window = known.and_then(|known| known.context_window);
        self.modes.capable(Capabilities::default().context_window(window), &self.quirks.dialect)
    }
}

impl CheckParams for Chat {
    fn check_params(&self, parameters: &SamplingParams) -> Result<(), InvalidParam> {
        self.link.check_params(parameters, &self.quirks.params, |prompt| {
            let modes = self.quirks.modes.iter();
            modes.map(|mode| wire::request(prompt, &self.quirks, *mode)).collect()
        })
    }
}

/// The maximum number of texts of one call, as OpenAI allows them
/// (<https://developers.openai.com/api/reference/resources/embeddings>).
const MAX_TEXTS: usize = 2_048;

#[async_trait]
impl Embedder for Chat {
    /// Sends the texts in calls of up to 2,048, one after the other, and adds up the tokens that they report. The sum is
    /// unknown if one of the calls reports none.
    async fn embed(&self, model: &str, texts: &[String], context: &CallContext) -> Result<Embeddings, Error> {
        let mut all = Embeddings::default().usage(Usage::NOTHING);
        for texts in texts.chunks(MAX_TEXTS) {
            let body = json!({ "model": model, "input": texts, "encoding_format": "float" });
            let response = self.link.post("/embeddings", &body, context).await?;
            let answer = self.link.json_within(limits::embeddings(texts.len()), response, context).await?;
            all = wire::embeddings(&answer, texts.len(), all)?;
        }
        Ok(all)
    }
}

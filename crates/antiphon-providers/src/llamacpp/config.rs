//! The provider for llama.cpp's server: its construction, its two routes, and what the server reports of
//! itself.

use std::sync::Arc;
use std::time::Duration;

use antiphon_http::{Request, SecretString};
use antiphon_llm::{
    AnswerLimits, CallContext, Capabilities, Embedder, Embeddings, Error, ErrorKind, Health, InvalidParam,
    Model, Prompt, Provider, SamplingParams, Scope, Streaming, async_trait,
};
use serde_json::Value;
use tokio::sync::OnceCell;
use tokio::time::Instant;
use tracing::info;

use super::stream::NativeDecoder;
use super::{errors, kind, wire};
use crate::chat::{Chat, Quirks};
use crate::exchange::{
    CallRequest, Endpoint, Link, ModeFallback, OWN_TIMEOUT, StructuredMode, check_fits, checked_base_url,
    connection_settings, grammar_dialect, least_tokens, local_server,
};
use crate::registry::{BuildError, Built, CheckParams, Kind, Options};

/// A provider for llama.cpp's server, usually on the user's own machine. It uses the server's chat completions, or its own
/// `/completion` if [`native`](Self::native) is set.
///
/// The server reports its concurrency limit (slots), so that the limit need not be configured or learned.
///
/// Answers are streamed as server-sent events. Default time limits: 300 s to the first token and between two tokens, since a
/// local model may process a long prompt for minutes; see [`call_timeout`](Self::call_timeout) for the whole call.
///
/// ```
/// use antiphon_llm::Provider;
/// use antiphon_providers::LlamaCpp;
///
/// let provider = LlamaCpp::new("http://localhost:8080")?;
/// assert_eq!(provider.scope().base_url.as_deref(), Some("http://localhost:8080/v1"));
/// # Ok::<(), antiphon_llm::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct LlamaCpp {
    /// The link to the server's routes outside `/v1`.
    link: Link,
    /// The client of the server's OpenAI-compatible interface.
    chat: Chat,
    /// Whether answers come from `/completion`.
    native: bool,
    modes: ModeFallback,
    /// The context window of a slot, fetched once for the first prompt that might not fit.
    window: Arc<OnceCell<Option<u64>>>,
}

/// The properties that the server reports of itself (`/props`).
///
/// Fetched by [`LlamaCpp::props`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Props {
    /// The concurrency limit: the number of slots for calls.
    pub slots: u32,
    /// The maximum number of tokens of prompt and answer of one call together.
    pub context_window: Option<u64>,
    /// The model's alias, or its path where it has none.
    pub model: Option<String>,
    /// The server's build.
    pub build: Option<String>,
}

/// A slot of the server: a place for one call at a time (`/slots`).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Slot {
    /// The slot's number.
    pub id: u64,
    /// Whether the slot is processing a call.
    pub is_busy: bool,
}

impl LlamaCpp {
    /// Creates a provider for the server at a URL, with or without `/v1` at its end.
    ///
    /// # Errors
    /// `InvalidRequest` for a text that is not an HTTP address, or one with a user, password, query or fragment.
    pub fn new(url: &str) -> Result<Self, Error> {
        let base_url = checked_base_url(url, "/v1")?;
        let endpoint = Endpoint::new("llamacpp", base_url, OWN_TIMEOUT, errors::fault);
        let quirks = Quirks {
            params: wire::chat_params(),
            dialect: grammar_dialect(),
            modes: &[StructuredMode::JsonSchema, StructuredMode::JsonObject, StructuredMode::PromptOnly],
        };
        Ok(Self::over(Chat::new(endpoint, quirks), false))
    }

    /// Creates the provider over a client, and a second link to the routes at the server's root.
    fn over(chat: Chat, native: bool) -> Self {
        let link = chat.link.with(|endpoint| {
            if let Some(root) = endpoint.base_url.strip_suffix("/v1") {
                endpoint.base_url = root.to_owned();
            }
        });
        Self {
            link,
            chat,
            native,
            modes: ModeFallback::new(&[StructuredMode::JsonSchema, StructuredMode::PromptOnly]),
            window: Arc::default(),
        }
    }

    /// Refuses a prompt that does not fit into a slot. The server is asked for the size of its slots once, and only for a prompt
    /// that is longer than any server's smallest slot.
    ///
    /// # Errors
    /// `ContextTooLong`, with both numbers.
    async fn check_fits(&self, prompt: &Prompt, context: &CallContext) -> Result<(), Error> {
        const SMALLEST: u64 = 512;
        let least = least_tokens(prompt);
        if least < SMALLEST {
            return Ok(());
        }
        let window = || async { self.props_within(context).await.map(|props| props.context_window) };
        // A server that does not answer reports that to the call itself.
        let Ok(Some(window)) = self.window.get_or_try_init(window).await else { return Ok(()) };
        let fix =
            "Start the server with a larger --ctx-size, which its slots (-np) share, or shorten the prompt";
        check_fits(&prompt.model, least, *window, fix)
    }

    /// Sets the key, for a server that was started with `--api-key`.
    #[must_use]
    pub fn key(self, key: SecretString) -> Self {
        self.with(|endpoint| endpoint.auth.key = Some(key))
    }

    /// Uses the server's own `/completion` instead of chat completions. The server's template is applied to the prompt
    /// beforehand, with a separate request.
    #[must_use]
    pub fn native(mut self) -> Self {
        self.native = true;
        self
    }

    /// Returns the provider with a changed endpoint and new connection pools.
    fn with(self, change: impl FnOnce(&mut Endpoint)) -> Self {
        Self::over(self.chat.with(change), self.native)
    }

    /// Fetches the properties that the server reports of itself.
    ///
    /// # Errors
    /// An error with the reason why the server does not answer; `InvalidResponse` if another program answers.
    ///
    /// # Cancel safety
    /// A dropped call changes nothing.
    pub async fn props(&self) -> Result<Props, Error> {
        self.props_within(&CallContext::default()).await
    }

    /// Fetches the properties within the limits of a call.
    async fn props_within(&self, context: &CallContext) -> Result<Props, Error> {
        let (props, _) = self.link.get("/props", context).await?;
        wire::props(&props).ok_or_else(|| {
            let base_url = &self.link.endpoint.base_url;
            Error::new(
                ErrorKind::InvalidResponse,
                format!("{base_url}: the program that answers is not a llama.cpp server"),
            )
        })
    }

    /// Lists the server's slots for calls. A server that was started with `--no-slots` does not report them.
    ///
    /// # Errors
    /// An error with the reason why the slots cannot be listed.
    ///
    /// # Cancel safety
    /// A dropped call changes nothing.
    pub async fn slots(&self) -> Result<Vec<Slot>, Error> {
        let (slots, _) = self.link.get("/slots", &CallContext::default()).await?;
        let slot = |slot: &Value| {
            let is_busy = slot["is_processing"].as_bool()?;
            Some(Slot { id: slot["id"].as_u64()?, is_busy })
        };
        Ok(slots.as_array().into_iter().flatten().filter_map(slot).collect())
    }

    /// Returns the prompt with the model's template applied.
    ///
    /// # Errors
    /// `InvalidResponse` for a server that returns no prompt; any error of the request.
    async fn templated(
        &self,
        prompt: &Prompt,
        mode: StructuredMode,
        context: &CallContext,
    ) -> Result<String, Error> {
        let messages = wire::messages(prompt, mode);
        let response = self.link.post("/apply-template", &messages, context).await?;
        // The answer repeats the prompt, and is sent as one, as it is.
        let max = AnswerLimits::of(prompt).piece;
        let answer = self.link.own_json(max, response, context).await?;
        let text = answer["prompt"].as_str().map(str::to_owned);
        text.ok_or_else(|| {
            let message = "/apply-template returned no prompt; update the server if it is older than 2025";
            Error::new(ErrorKind::InvalidResponse, message)
        })
    }
}

connection_settings!(LlamaCpp, "/v1", 300);

/// Constructs the provider for the registry.
pub(super) fn build(kind: &Kind, options: &Options) -> Result<Built, BuildError> {
    let url = options.base_url.as_deref().unwrap_or(kind::DEFAULT_URL);
    let server = LlamaCpp::new(url)?;
    let server = match &options.key {
        Some(key) => server.key(key.clone()),
        None => server,
    };
    let server = server.configured(options);
    let server = if kind.route(options)? == Some("native") { server.native() } else { server };
    Ok(Built { reports_slots: true, is_engine: true, ..local_server(options, server) })
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Provider for LlamaCpp {
    fn scope(&self) -> Scope {
        if self.native { self.chat.link.scope(Some("native")) } else { self.chat.scope() }
    }

    async fn stream(&self, prompt: &Prompt, context: &CallContext) -> Result<Streaming, Error> {
        self.check_fits(prompt, context).await?;
        if !self.native {
            return self.chat.stream(prompt, context).await;
        }
        self.link.check(prompt, &wire::PARAMS)?;
        let began = Instant::now();
        info!("asking {} for {}", self.link.endpoint.base_url, prompt.model);
        let ask = |mode| async move {
            let text = self.templated(prompt, mode, context).await?;
            self.link.call("/completion", &wire::completion(prompt, &text, mode), context).await
        };
        let (response, mode) = self.link.until_hurried(context, self.modes.ask(prompt, ask)).await?;
        let schema = self.modes.sent(prompt, mode, &grammar_dialect());
        self.link.streaming(response, NativeDecoder, CallRequest { prompt, schema, began, context }).await
    }

    async fn models(&self, context: &CallContext) -> Result<Vec<Model>, Error> {
        self.chat.models(context).await
    }

    async fn health(&self, context: &CallContext) -> Result<Health, Error> {
        let began = Instant::now();
        let url = self.link.endpoint.url("/health");
        let request = Request::get(&url).first_byte_timeout(Duration::from_secs(5));
        let response = self.link.send(request, context).await?;
        let (latency, version) = (began.elapsed(), response.version());
        let props = self.props_within(context).await?;
        let (models, _) = self.chat.list(context).await?;
        Ok(Health::new(latency)
            .http_version(version)
            .version(props.build)
            .models(models.len())
            .parallel(Some(props.slots)))
    }

    async fn capabilities(&self, _: &str, context: &CallContext) -> Capabilities {
        let known = match self.props_within(context).await {
            Ok(props) => {
                Capabilities::default().context_window(props.context_window).parallel(Some(props.slots))
            }
            Err(_) => Capabilities::default(),
        };
        self.modes.capable(known, &grammar_dialect())
    }
}

impl CheckParams for LlamaCpp {
    fn check_params(&self, parameters: &SamplingParams) -> Result<(), InvalidParam> {
        if !self.native {
            return self.chat.check_params(parameters);
        }
        self.link.check_params(parameters, &wire::PARAMS, |prompt| {
            let modes = [StructuredMode::JsonSchema, StructuredMode::PromptOnly];
            modes.map(|mode| wire::completion(prompt, "", mode)).to_vec()
        })
    }
}

#[async_trait]
impl Embedder for LlamaCpp {
    async fn embed(&self, model: &str, texts: &[String], context: &CallContext) -> Result<Embeddings, Error> {
        self.chat.embed(model, texts, context).await
    }
}

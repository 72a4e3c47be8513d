use std::time::Duration;

use antiphon_http::{Request, SecretString};
use antiphon_llm::{
    CallContext, Capabilities, Embedder, Embeddings, Error, ErrorKind, Health, Model, Prompt, Provider,
    Scope, Streaming, async_trait,
};
use serde_json::{Map, Value};
use tokio::time::Instant;
use tracing::info;

use super::stream::NativeDecoder;
use super::{errors, kind, wire};
use crate::chat::{Chat, Quirks};
use crate::exchange::{
    Auth, CallRequest, Endpoint, Link, ModeFallback, StructuredMode, connection_settings, grammar_dialect,
    local_server, weakened,
};
use crate::registry::{BuildError, Built, Kind, Options};

/// llama.cpp's server on one's own machine: by its chat completions, or by its own `/completion`.
///
/// It tells how many calls it works on at once, so that nobody has to guess.
#[derive(Debug, Clone)]
pub struct LlamaCpp {
    /// Its routes without `/v1` before them.
    link: Link,
    chat: Chat,
    native: bool,
    modes: ModeFallback,
}

/// What the server says of itself (`/props`).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Props {
    /// The calls that it works on at once.
    pub slots: u32,
    /// The tokens that prompt and answer of one call may have together.
    pub context_window: Option<u64>,
    /// The model's name.
    pub model: Option<String>,
    /// Its build.
    pub build: Option<String>,
}

/// A place for one call (`/slots`).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Slot {
    /// Its number.
    pub id: u64,
    /// Whether a call is worked on in it.
    pub is_busy: bool,
}

impl LlamaCpp {
    /// The server at an address, with or without `/v1` behind it.
    ///
    /// # Errors
    /// `InvalidRequest` for what is no address, or one with a secret in it.
    pub fn new(url: &str) -> Result<Self, Error> {
        let endpoint = Endpoint {
            vendor: "llamacpp".to_owned(),
            base_url: crate::exchange::checked_base_url(url, "/v1")?,
            auth: Auth::default(),
            headers: Vec::new(),
            // A local model may read a long prompt for minutes before it says its first word.
            token_timeout: Duration::from_secs(300),
            call_timeout: None,
            max_connections: 100,
            faults: errors::fault,
        };
        let quirks = Quirks {
            token_limit: "max_tokens".to_owned(),
            dialect: grammar_dialect(),
            modes: &[StructuredMode::JsonSchema, StructuredMode::JsonObject, StructuredMode::PromptOnly],
            extra: Map::new(),
        };
        Ok(Self::over(Chat::new(endpoint, quirks), false))
    }

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
        }
    }

    /// Sets the key, where the server was started with `--api-key`.
    #[must_use]
    pub fn key(self, key: SecretString) -> Self {
        self.with(|endpoint| endpoint.auth.key = Some(key))
    }

    /// Asks by the server's own `/completion` instead. The model's template is applied by the server beforehand, in a call
    /// of its own.
    #[must_use]
    pub fn native(mut self) -> Self {
        self.native = true;
        self
    }

    fn with(self, change: impl FnOnce(&mut Endpoint)) -> Self {
        Self::over(self.chat.with(change), self.native)
    }

    /// What the server says of itself.
    ///
    /// # Errors
    /// Why it does not answer, or that something else does.
    ///
    /// # Cancel safety
    /// Nothing is changed, so nothing is lost.
    pub async fn props(&self) -> Result<Props, Error> {
        let (props, _) = self.link.get("/props").await?;
        wire::props(&props).ok_or_else(|| {
            let base_url = &self.link.endpoint.base_url;
            Error::new(
                ErrorKind::InvalidResponse,
                format!("what answers at {base_url} is no llama.cpp server"),
            )
        })
    }

    /// The server's places for calls. A server started with `--no-slots` does not tell.
    ///
    /// # Errors
    /// Why they cannot be listed.
    ///
    /// # Cancel safety
    /// Nothing is changed, so nothing is lost.
    pub async fn slots(&self) -> Result<Vec<Slot>, Error> {
        let (slots, _) = self.link.get("/slots").await?;
        let slot = |slot: &Value| {
            let is_busy = slot["is_processing"].as_bool()?;
            Some(Slot { id: slot["id"].as_u64()?, is_busy })
        };
        Ok(slots.as_array().into_iter().flatten().filter_map(slot).collect())
    }

    /// The prompt as the model's template has it.
    async fn templated(&self, prompt: &Prompt, mode: StructuredMode) -> Result<String, Error> {
        let response = self.link.post("/apply-template", &wire::messages(prompt, mode)).await?;
        let answer = self.link.json(response).await?;
        let text = answer["prompt"].as_str().map(str::to_owned);
        text.ok_or_else(|| {
            let message = "/apply-template gives no prompt; is the server of before 2025?";
            Error::new(ErrorKind::InvalidResponse, message)
        })
    }
}

connection_settings!(LlamaCpp, "/v1", 300);

/// Constructs it as the registry asks for it.
pub(super) fn build(kind: &Kind, options: &Options) -> Result<Built, BuildError> {
    let url = options.base_url.as_deref().unwrap_or(kind::DEFAULT_URL);
    let server = LlamaCpp::new(url)?.configured(options);
    let server = if kind.route(options)? == Some("native") { server.native() } else { server };
    let server = match &options.key {
        Some(key) => server.key(key.clone()),
        None => server,
    };
    Ok(Built { reports_slots: true, ..local_server(options, server) })
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Provider for LlamaCpp {
    fn scope(&self) -> Scope {
        if self.native { self.chat.scope().variant("native") } else { self.chat.scope() }
    }

    async fn stream(&self, prompt: &Prompt, context: &CallContext) -> Result<Streaming, Error> {
        if !self.native {
            return self.chat.stream(prompt, context).await;
        }
        let began = Instant::now();
        info!("asking {} for {}", self.link.endpoint.base_url, prompt.model);
        let ask = |mode| async move {
            let text = self.templated(prompt, mode).await?;
            self.link.post("/completion", &wire::completion(prompt, &text, mode)).await
        };
        let (response, mode) = self.link.until_hurried(context, self.modes.ask(prompt, ask)).await?;
        let weakened = weakened(&prompt.output, mode, &grammar_dialect());
        self.link.streaming(response, NativeDecoder, CallRequest { prompt, weakened, began, context }).await
    }

    async fn models(&self, context: &CallContext) -> Result<Vec<Model>, Error> {
        self.chat.models(context).await
    }

    async fn health(&self, _: &CallContext) -> Result<Health, Error> {
        let began = Instant::now();
        let url = format!("{}/health", self.link.endpoint.base_url);
        let response = self.link.send(Request::get(&url).first_byte_timeout(Duration::from_secs(5))).await?;
        let (latency, version) = (began.elapsed(), response.version());
        let props = self.props().await?;
        let (models, _) = self.chat.list().await?;
        Ok(Health::new(latency)
            .http_version(version)
            .version(props.build)
            .models(models.len())
            .parallel(Some(props.slots)))
    }

    async fn capabilities(&self, _: &str, _: &CallContext) -> Capabilities {
        match self.props().await {
            Ok(props) => {
                Capabilities::default().context_window(props.context_window).parallel(Some(props.slots))
            }
            Err(_) => Capabilities::default(),
        }
    }
}

#[async_trait]
impl Embedder for LlamaCpp {
    async fn embed(&self, model: &str, texts: &[String], context: &CallContext) -> Result<Embeddings, Error> {
        self.chat.embed(model, texts, context).await
    }
}

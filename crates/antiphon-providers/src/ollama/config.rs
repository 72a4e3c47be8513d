//! The provider for Ollama: its construction, its two routes, and the management of models.

use antiphon_http::SecretString;
use antiphon_llm::{
    CallContext, Capabilities, Embedder, Embeddings, Error, ErrorKind, Health, InvalidParam, Model, Prompt,
    Provider, SamplingParams, Scope, Streaming, Usage, async_trait,
};
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use tokio::time::Instant;
use tracing::{info, warn};

use super::context_length::{ContextLengths, ReportedContext};
use super::host::url_of_host;
use super::stream::OllamaDecoder;
use super::{errors, kind, wire};
use crate::exchange::{
    CallRequest, Endpoint, Link, ModeFallback, OWN_TIMEOUT, Page, StructuredMode, check_fits,
    checked_base_url, connection_settings, grammar_dialect, least_tokens, local_server,
};
use crate::limits::{self, MAX_PROGRESS};
use crate::registry::{BuildError, Built, CheckParams, Kind, Options, PullProgress};

/// A provider for an Ollama server, usually on the user's own machine, by its own API.
///
/// A prompt that does not fit into the context window is an error. (By default, an Ollama server truncates it silently; this
/// provider turns that off.) Unless [`context`](Self::context) sets the context window, it follows the prompts: it grows in steps
/// of powers of two, so that the server rarely loads the model again, up to the window with which the model was trained.
///
/// The server does not report its concurrency limit (`OLLAMA_NUM_PARALLEL`, 1 by default). An adaptive limiter that begins with
/// few calls finds it, as that of antiphon-connect does.
///
/// Answers are streamed as NDJSON. Default time limits: 300 s to the first token and between two tokens, since a local model may
/// process a long prompt for minutes; see [`call_timeout`](Self::call_timeout) for the whole call.
///
/// ```
/// use antiphon_llm::Provider;
/// use antiphon_providers::Ollama;
///
/// let provider = Ollama::at_host("box:11434")?.context(16_384);
/// assert_eq!(provider.scope().base_url.as_deref(), Some("http://box:11434"));
/// # Ok::<(), antiphon_llm::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Ollama {
    link: Link,
    modes: ModeFallback,
    route: Route,
    /// The context window to request, in tokens; `None`: as the prompts need it.
    context: Option<u64>,
    /// The context windows of the models, as far as they are known.
    lengths: ContextLengths,
}

/// The route by which answers are requested.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Route {
    /// `/api/chat`: the conversation as messages, to which the model's template is applied.
    Chat,
    /// `/api/generate`: the conversation as one text.
    Generate,
}

/// The context window that each model has at least, in tokens: the server is not asked for one that is no larger.
const SHORTEST: u64 = 2_048;
/// The advice for a prompt that is longer than any context of its model.
const LARGER_MODEL: &str = "Use a model with a larger context, or a shorter prompt";

/// A model that the server holds in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LoadedModel {
    /// The model's name.
    pub model: String,
    /// The context window with which it was loaded: the maximum number of tokens of prompt and answer together.
    pub context_window: Option<u64>,
    /// The memory that the model occupies, in bytes, including memory on a graphics card.
    pub bytes: u64,
    /// The memory that the model occupies on a graphics card, in bytes.
    pub bytes_on_gpu: u64,
}

impl Ollama {
    /// The default address of the server.
    pub const DEFAULT_URL: &'static str = kind::DEFAULT_URL;

    /// Creates a provider for the server at a URL. Use [`at_host`](Self::at_host) for a value of `OLLAMA_HOST`.
    ///
    /// # Errors
    /// `InvalidRequest` for a text that is not an HTTP address, or one with a user, password, query or fragment.
    pub fn new(url: &str) -> Result<Self, Error> {
        let base_url = checked_base_url(url, "")?;
        let endpoint = Endpoint::new("ollama", base_url, OWN_TIMEOUT, errors::fault);
        let modes = ModeFallback::new(&[
            StructuredMode::JsonSchema,
            StructuredMode::JsonObject,
            StructuredMode::PromptOnly,
        ]);
        let lengths = ContextLengths::default();
        Ok(Self { link: Link::new(endpoint), modes, route: Route::Chat, context: None, lengths })
    }

    /// Creates a provider for the server at an address in the form of `OLLAMA_HOST`: a host, a port, or both, with or without
    /// a scheme (<https://docs.ollama.com/faq>).
    ///
    /// # Errors
    /// `InvalidRequest` for a text that is not such an address.
    pub fn at_host(host: &str) -> Result<Self, Error> {
        Self::new(&url_of_host(host))
    }

    /// Sets the key, for a server that needs one; it is sent as a bearer token in the `Authorization` header.
    #[must_use]
    pub fn key(self, key: SecretString) -> Self {
        self.with(|endpoint| endpoint.auth.key = Some(key))
    }

    /// Uses `/api/generate` instead of `/api/chat`: the conversation is sent as one text.
    #[must_use]
    pub fn generate(mut self) -> Self {
        self.route = Route::Generate;
        self
    }

    /// Sets the context window: the maximum number of tokens of prompt and answer together. The server reloads the model if the
    /// value differs from that of the loaded model. Default: as large as the prompts need it.
    #[must_use]
    pub fn context(mut self, tokens: u64) -> Self {
        self.context = Some(tokens);
        self
    }

    /// Returns the provider with a changed endpoint and a new connection pool; what was learned about modes is
    /// kept.
    fn with(self, change: impl FnOnce(&mut Endpoint)) -> Self {
        Self { link: self.link.with(change), ..self }
    }

    /// Lists the models that the server holds in memory (`/api/ps`).
    ///
    /// # Errors
    /// An error with the reason why the models cannot be listed.
    ///
    /// # Cancel safety
    /// A dropped call changes nothing.
    pub async fn loaded(&self) -> Result<Vec<LoadedModel>, Error> {
        self.loaded_within(&CallContext::default()).await
    }

    /// Lists the models in memory within the limits of a call.
    async fn loaded_within(&self, context: &CallContext) -> Result<Vec<LoadedModel>, Error> {
        let (answer, _) = self.link.get("/api/ps", context).await?;
        let loaded = |entry: &Value| {
            Some(LoadedModel {
                model: entry["model"].as_str().or(entry["name"].as_str())?.to_owned(),
                context_window: entry["context_length"].as_u64(),
                bytes: entry["size"].as_u64().unwrap_or(0),
                bytes_on_gpu: entry["size_vram"].as_u64().unwrap_or(0),
            })
        };
        Ok(answer["models"].as_array().into_iter().flatten().filter_map(loaded).collect())
    }

    /// Pulls a model: the server downloads it (`/api/pull`). `on_progress` is called with each step.
    ///
    /// # Errors
    /// An error with the reason why the model cannot be pulled; `ModelNotFound` for an unknown name.
    ///
    /// # Cancel safety
    /// A dropped call closes the connection. The server keeps what it has, and resumes at the next request for the model.
    pub async fn pull(
        &self,
        model: &str,
        mut on_progress: impl FnMut(PullProgress) + Send,
    ) -> Result<(), Error> {
        let response =
            self.link.post("/api/pull", &json!({ "model": model }), &CallContext::default()).await?;
        let place = response.endpoint();
        let mut lines = response.limited_to(MAX_PROGRESS).lines();
        let failed = |kind, why: &str| {
            Error::new(kind, format!("{place}: cannot fetch {model}: {}", self.link.cleaned(why)))
        };
        while let Some(line) = lines.next().await {
            let line = line.map_err(|err| failed(ErrorKind::Unavailable, &err.to_string()))?;
            let Ok(mut line) = serde_json::from_str::<Value>(&line) else { continue };
            self.link.redactor.redact_value(&mut line);
            if let Some(fault) = errors::fault(200, &line, None) {
                let is_missing = fault.message.contains("file does not exist");
                let kind = if is_missing { ErrorKind::ModelNotFound } else { fault.kind };
                return Err(failed(kind, &fault.message));
            }
            let status = line["status"].as_str().unwrap_or_default().to_owned();
            let is_done = status == "success";
            on_progress(PullProgress {
                status,
                completed: line["completed"].as_u64(),
                total: line["total"].as_u64(),
            });
            if is_done {
                return Ok(());
            }
        }
        Err(failed(ErrorKind::Unavailable, "the connection ended before the download was complete"))
    }

    /// Returns the context window to request for a prompt; `None` for that of the server. Asks the server once for each model that
    /// needs more than every server has.
    ///
    /// # Errors
    /// `ContextTooLong` for a prompt that does not fit into the window that was set, or into that of the model's training.
    async fn window_for(&self, prompt: &Prompt, context: &CallContext) -> Result<Option<u64>, Error> {
        let model = prompt.model.as_str();
        let known = self.lengths.of(model);
        if let Some(window) = self.context {
            let trained = known.trained.get_or_init(|| self.trained_below(window, model, context)).await;
            return self.set_window(prompt, window, *trained).map(Some);
        }
        // A model that the server forwards to a cloud has the context of the cloud.
        let Some(needed) = known.needs(prompt).filter(|_| !wire::is_remote_name(model)) else {
            return Ok(None);
        };
        let reported = known.reported.get_or_try_init(|| self.reported(model, context)).await;
        let reported = reported.copied().unwrap_or_default();
        if let Some(trained) = reported.trained {
            check_fits(model, least_tokens(prompt), trained, LARGER_MODEL)?;
        }
        Ok(Some(known.window(needed, reported)))
    }

    /// Returns the context window to request if one is set: no more than that of the model's training, if that is smaller.
    ///
    /// # Errors
    /// `ContextTooLong` for a prompt that does not fit into it.
    fn set_window(&self, prompt: &Prompt, set: u64, trained: Option<u64>) -> Result<u64, Error> {
        let (model, least) = (prompt.model.as_str(), least_tokens(prompt));
        if let Some(trained) = trained {
            return check_fits(model, least, trained, LARGER_MODEL).map(|()| trained);
        }
        let fix =
            format!("Raise context in [providers.{}], or shorten the prompt", self.link.endpoint.vendor);
        check_fits(model, least, set, &fix).map(|()| set)
    }

    /// Returns the context window of a model's training if it is smaller than the one that is set, with a warning. A model that the
    /// server forwards to a cloud has the context of the cloud. Servers that do not report it are asked once.
    async fn trained_below(&self, set: u64, model: &str, context: &CallContext) -> Option<u64> {
        if set <= SHORTEST || wire::is_remote_name(model) {
            return None;
        }
        let trained = self.trained_context(model, context).await.filter(|trained| *trained < set)?;
        let vendor = &self.link.endpoint.vendor;
        warn!(
            "context is {set} in [providers.{vendor}], and {model} was trained with {trained} tokens: {trained} are requested"
        );
        Some(trained)
    }

    /// Asks the server for the context windows of a model. They are not known of a server that does not answer.
    async fn reported(&self, model: &str, context: &CallContext) -> Result<ReportedContext, ()> {
        let trained = self.trained_context(model, context).await;
        let reported = ReportedContext { trained, loaded: self.loaded_context(model, context).await };
        if reported == ReportedContext::default() { Err(()) } else { Ok(reported) }
    }

    /// Returns the context window with which the server holds a model in memory, if it does.
    async fn loaded_context(&self, model: &str, context: &CallContext) -> Option<u64> {
        let loaded = self.loaded_within(context).await.unwrap_or_default();
        let latest = format!("{model}:latest");
        loaded.into_iter().find(|loaded| loaded.model == model || loaded.model == latest)?.context_window
    }

    /// Returns the context window with which a model was trained, if the server reports it (`/api/show`).
    async fn trained_context(&self, model: &str, context: &CallContext) -> Option<u64> {
        let response = self.link.post("/api/show", &json!({ "model": model }), context).await.ok()?;
        wire::trained_context(&self.link.json(response, context).await.ok()?)
    }

    /// Fetches the list of installed models, which has one page.
    async fn list(&self, context: &CallContext) -> Result<(Vec<Model>, &'static str), Error> {
        let page = |answer: &Value| Some(Page { models: wire::models(answer)?, next: None });
        self.link.models("/api/tags", context, page).await
    }
}

connection_settings!(Ollama, "", 300);

/// Creates a provider for the address that options name, in the form of `OLLAMA_HOST`, with their key.
fn reached_by(options: &Options) -> Result<Ollama, Error> {
    let server = Ollama::at_host(options.base_url.as_deref().unwrap_or_default())?;
    Ok(match &options.key {
        Some(key) => server.key(key.clone()),
        None => server,
    })
}

/// Constructs the provider for the registry.
pub(super) fn build(kind: &Kind, options: &Options) -> Result<Built, BuildError> {
    if options.context == Some(0) {
        let message = "context is 0: it must be at least 1 token. Leave it out, and it follows the prompts";
        return Err(BuildError::Invalid(Error::new(ErrorKind::InvalidRequest, message)));
    }
    let server = reached_by(options)?.configured(options);
    let mut server = if kind.route(options)? == Some("generate") { server.generate() } else { server };
    server.context = options.context;
    Ok(Built { is_engine: true, ..local_server(options, server) })
}

/// Fetches a model for the registry.
pub(super) fn pull<'a>(
    options: &'a Options,
    model: &'a str,
    on_progress: &'a mut (dyn FnMut(PullProgress) + Send),
) -> BoxFuture<'a, Result<(), Error>> {
    Box::pin(async move { reached_by(options)?.configured(options).pull(model, on_progress).await })
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Provider for Ollama {
    fn scope(&self) -> Scope {
        let route = if self.route == Route::Generate { "generate" } else { "chat" };
        self.link.scope(Some(&format!("{route} {:?}", self.context)))
    }

    async fn stream(&self, prompt: &Prompt, context: &CallContext) -> Result<Streaming, Error> {
        let began = Instant::now();
        self.link.check(prompt, &wire::PARAMS)?;
        info!("asking {} for {}", self.link.endpoint.base_url, prompt.model);
        let path = match self.route {
            Route::Chat => "/api/chat",
            Route::Generate => "/api/generate",
        };
        let window = self.window_for(prompt, context).await?;
        let ask = |mode| {
            let body = wire::request(prompt, self.route, window, mode);
            async move { self.link.call(path, &body, context).await }
        };
        let (response, mode) = self.link.until_hurried(context, self.modes.ask(prompt, ask)).await?;
        let schema = self.modes.sent(prompt, mode, &grammar_dialect());
        self.link.streaming(response, OllamaDecoder, CallRequest { prompt, schema, began, context }).await
    }

    async fn models(&self, context: &CallContext) -> Result<Vec<Model>, Error> {
        Ok(self.list(context).await?.0)
    }

    async fn health(&self, context: &CallContext) -> Result<Health, Error> {
        let (answer, _) = self.link.get("/api/version", context).await?;
        let number = answer["version"].as_str().map(str::to_owned);
        Ok(Link::health_by(self.list(context)).await?.version(number))
    }

    /// Returns the context window that is set, up to that of the model's training; without one, the latter, since the window
    /// follows the prompts, or else that of the loaded model.
    async fn capabilities(&self, model: &str, context: &CallContext) -> Capabilities {
        let trained = self.trained_context(model, context).await;
        let window = match (self.context, trained) {
            (Some(context), Some(most)) => Some(context.min(most)),
            (None, None) => self.loaded_context(model, context).await,
            (context, trained) => context.or(trained),
        };
        self.modes.capable(Capabilities::default().context_window(window), &grammar_dialect())
    }
}

impl CheckParams for Ollama {
    fn check_params(&self, parameters: &SamplingParams) -> Result<(), InvalidParam> {
        // A window is requested whether or not one is set: of a long prompt, the one that it needs.
        let window = self.context.or(Some(1));
        self.link.check_params(parameters, &wire::PARAMS, |prompt| {
            let modes = [StructuredMode::JsonSchema, StructuredMode::JsonObject, StructuredMode::PromptOnly];
            modes.map(|mode| wire::request(prompt, self.route, window, mode)).to_vec()
        })
    }
}

#[async_trait]
impl Embedder for Ollama {
    /// Sends all texts in one call.
    async fn embed(&self, model: &str, texts: &[String], context: &CallContext) -> Result<Embeddings, Error> {
        // A text that is too long is an error, and not truncated silently.
        let body = json!({ "model": model, "input": texts, "truncate": false });
        let response = self.link.post("/api/embed", &body, context).await?;
        let answer = self.link.json_within(limits::embeddings(texts.len()), response, context).await?;
        let vectors = wire::vectors(&answer, texts.len())?;
        Ok(Embeddings::new(vectors).usage(Usage::new(answer["prompt_eval_count"].as_u64(), Some(0))))
    }
}

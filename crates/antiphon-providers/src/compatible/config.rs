//! The provider for compatible servers, and its construction from a description and the registry's options.

use std::time::Duration;

use antiphon_http::{Request, SecretString};
use antiphon_llm::{
    CallContext, Capabilities, Embedder, Embeddings, Error, ErrorKind, Health, InvalidParam, Model, Prompt,
    Provider, SamplingParams, Scope, Streaming, async_trait,
};

use super::metrics::EngineLoad;
use super::vendor::Vendor;
use crate::chat::Chat;
use crate::exchange::{Endpoint, check_fits, connection_settings, least_tokens, local_server};
use crate::limits::MAX_LIST;
use crate::registry::{BuildError, Built, CheckParams, Kind, Options};

/// The time limit of the metrics' head: no model has to run for them.
const METRICS_TIMEOUT: Duration = Duration::from_secs(5);

/// A provider for any server that speaks OpenAI's chat completions, such as LM Studio, vLLM or a hosted service. A [`Vendor`]
/// describes the differences of one.
///
/// Structured output: the JSON schema is sent to the server. If the server rejects it, a JSON object is requested instead (JSON
/// mode), and if that is rejected as well, the schema is only put into the prompt. In each case this crate checks the answer
/// against the schema.
///
/// Answers are streamed as server-sent events. Default time limits: 300 s to the first token and between two tokens; see
/// [`call_timeout`](Self::call_timeout) for the whole call. A server that does not stream is supported as well. A call is sent
/// once: for retries and rate limits wrap the provider with [`Stack`](antiphon_llm::Stack).
///
/// ```
/// use antiphon_llm::Provider;
/// use antiphon_providers::{Compatible, Vendor};
///
/// let vendor = Vendor::new("lab", "http://localhost:8000")?;
/// let provider = Compatible::of(&vendor, None)?;
/// assert_eq!(provider.scope().base_url.as_deref(), Some("http://localhost:8000/v1"));
/// # Ok::<(), antiphon_llm::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Compatible {
    chat: Chat,
    /// Whether the list of models is asked for the context window before a long prompt is sent, as of engines that users run.
    checks_window: bool,
    /// Whether the metrics of the server show its load, as those of vLLM do.
    shows_load: bool,
}

impl Compatible {
    /// Creates a provider for a base URL, without a key. An address without a path gets `/v1`.
    ///
    /// # Errors
    /// `InvalidRequest` for a text that is not an HTTP address, or one with a user, password, query or fragment.
    pub fn new(base_url: &str) -> Result<Self, Error> {
        Self::of(&Vendor::new("compatible", base_url)?, None)
    }

    /// Creates a provider from a vendor's description, and with the key if the vendor needs one.
    ///
    /// # Errors
    /// `InvalidRequest` for a vendor without an address: name one with [`Vendor::base_url`].
    pub fn of(vendor: &Vendor, key: Option<SecretString>) -> Result<Self, Error> {
        let checks_window = vendor.key_env.is_none() && key.is_none();
        let chat = Chat::new(vendor.endpoint(key)?, vendor.quirks());
        Ok(Self { chat, checks_window, shows_load: vendor.batches })
    }

    /// Sets the key, sent as a bearer token in the `Authorization` header unless the vendor has a custom header.
    #[must_use]
    pub fn key(self, key: SecretString) -> Self {
        self.with(|endpoint| endpoint.auth.key = Some(key))
    }

    /// Returns the provider with a changed endpoint and a new connection pool.
    fn with(self, change: impl FnOnce(&mut Endpoint)) -> Self {
        Self { chat: self.chat.with(change), ..self }
    }

    /// Fetches the metrics of vLLM; nothing is known of another server.
    async fn load(&self, context: &CallContext) -> Option<EngineLoad> {
        let root = self.chat.link.endpoint.base_url.trim_end_matches("/v1");
        let request = Request::get(&format!("{root}/metrics")).first_byte_timeout(METRICS_TIMEOUT);
        let response = self.chat.link.send(request, context).await.ok()?;
        Some(EngineLoad::of(&response.limited_to(MAX_LIST).text().await.ok()?))
    }

    /// Refuses a prompt that does not fit into the context window that an engine reports in its list of models, as vLLM does in
    /// `max_model_len`. The list is fetched once, for the first long prompt.
    ///
    /// # Errors
    /// `ContextTooLong`, with both numbers.
    async fn check_fits(&self, prompt: &Prompt, context: &CallContext) -> Result<(), Error> {
        const LONG: u64 = 2_048;
        if !self.checks_window {
            return Ok(());
        }
        let least = least_tokens(prompt);
        if least < LONG {
            return Ok(());
        }
        let window = self.chat.capabilities(&prompt.model, context).await.context_window;
        let fix =
            "Start the engine with a larger context (--max-model-len, --ctx-size), or shorten the prompt";
        window.map_or(Ok(()), |window| check_fits(&prompt.model, least, window, fix))
    }
}

connection_settings!(Compatible, "/v1", 300);

/// Constructs the provider for the registry: from the shipped vendor of the options' name if there is one, and the options
/// override it.
///
/// # Errors
/// [`BuildError::MissingKey`] where options name a variable for the key and have no key;
/// [`BuildError::Invalid`] for an invalid option, or without an address.
pub(super) fn build(_: &Kind, options: &Options) -> Result<Built, BuildError> {
    let vendor = located(options)?;
    if options.key.is_none() && !options.key_env.is_empty() && !options.authenticates_by_header() {
        return Err(BuildError::MissingKey { variables: options.key_env.clone() });
    }
    let vendor = vendor.with(options)?;
    let provider = Compatible::of(&vendor, options.key.clone())?.configured(options);
    let built = local_server(options, provider);
    Ok(Built {
        // An engine that batches hundreds of calls has no slots to be found.
        is_engine: vendor.free && !vendor.batches,
        reports_slots: vendor.batches,
        slots_vary: vendor.batches,
        is_local: built.is_local && vendor.free,
        lists_what_it_has: vendor.key_env.is_none(),
        default_model: vendor.default_model,
        ..built
    })
}

/// Returns the vendor, at the address that options name or else at its own.
///
/// # Errors
/// `InvalidRequest` for an invalid address, or none at all.
fn located(options: &Options) -> Result<Vendor, Error> {
    let name = &options.name;
    match (Vendor::find(name), &options.base_url) {
        (Some(vendor), None) => Ok(vendor),
        (Some(vendor), Some(url)) => vendor.base_url(url),
        (None, Some(url)) => Vendor::new(name, url),
        (None, None) => {
            let message = format!(
                "the provider {name} has no address. Add one, such as --base-url http://localhost:8080/v1"
            );
            Err(Error::new(ErrorKind::InvalidRequest, message))
        }
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Provider for Compatible {
    fn scope(&self) -> Scope {
        self.chat.scope()
    }

    async fn stream(&self, prompt: &Prompt, context: &CallContext) -> Result<Streaming, Error> {
        self.check_fits(prompt, context).await?;
        self.chat.stream(prompt, context).await
    }

    async fn models(&self, context: &CallContext) -> Result<Vec<Model>, Error> {
        self.chat.models(context).await
    }

    async fn health(&self, context: &CallContext) -> Result<Health, Error> {
        self.chat.health(context).await
    }

    async fn capabilities(&self, model: &str, context: &CallContext) -> Capabilities {
        let known = self.chat.capabilities(model, context).await;
        if !self.shows_load {
            return known;
        }
        let load = self.load(context).await.unwrap_or_default();
        let window = known.context_window.filter(|window| *window > 0);
        let full = load.cache_tokens.zip(window).map(|(tokens, window)| tokens / window);
        let full = full.and_then(|calls| u32::try_from(calls.max(1)).ok());
        known.parallel(load.running_while_others_wait).full_length_calls(full)
    }
}

impl CheckParams for Compatible {
    fn check_params(&self, parameters: &SamplingParams) -> Result<(), InvalidParam> {
        self.chat.check_params(parameters)
    }
}

#[async_trait]
impl Embedder for Compatible {
    async fn embed(&self, model: &str, texts: &[String], context: &CallContext) -> Result<Embeddings, Error> {
        self.chat.embed(model, texts, context).await
    }
}

#[cfg(test)]
mod tests {
    use antiphon_http::SecretString;

    use super::{Compatible, Vendor};

    #[test]
    fn a_key_that_is_set_later_is_sent_in_the_vendors_header() {
        let text = "name = 'lab'\nbase_url = 'http://h/v1'\nauth = 'header:x-lab-key'";
        let vendor = Vendor::parse("lab.toml", text).unwrap();
        let provider = Compatible::of(&vendor, None).unwrap().key(SecretString::from("k"));
        let auth = &provider.chat.link.endpoint.auth;
        assert_eq!((auth.header.as_deref(), auth.key.is_some()), (Some("x-lab-key"), true));
    }
}

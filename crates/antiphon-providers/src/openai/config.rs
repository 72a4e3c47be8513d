//! The provider for OpenAI: its construction, the schema dialect of strict mode, and the choice between two
//! APIs.

use antiphon_http::SecretString;
use antiphon_llm::{
    CallContext, Capabilities, Dialect, Embedder, Embeddings, Error, Health, InvalidParam, Model, Prompt,
    Provider, SamplingParams, Scope, Streaming, async_trait,
};
use tokio::time::Instant;
use tracing::info;

use super::stream::ResponsesDecoder;
use super::{errors, kind, wire};
use crate::chat::{Chat, Quirks};
use crate::exchange::{
    Auth, CLOUD_TIMEOUT, CallRequest, Endpoint, ModeFallback, StructuredMode, at_address, cloud,
    connection_settings, key_of,
};
use crate::prices;
use crate::registry::{BuildError, Built, CheckParams, Kind, Options};

/// A provider for OpenAI's models, by chat completions or the Responses API.
///
/// The key is sent only in the `Authorization` header. Structured output: schemas are sent in strict mode without the keywords
/// that it does not support (<https://developers.openai.com/api/docs/guides/structured-outputs#supported-schemas>); this crate
/// checks answers against those. A schema that strict mode cannot express at all, such as one with optional properties or
/// arbitrary keys, is sent without strict mode, as a hint.
///
/// OpenAI's reasoning models reject any temperature but their default.
///
/// Answers are streamed as server-sent events. Default time limits: 120 s to the first token and between two tokens; see
/// [`call_timeout`](Self::call_timeout) for the whole call. A call is sent once: for retries and rate limits wrap the provider
/// with [`Stack`](antiphon_llm::Stack). For other servers that speak OpenAI's format use `Compatible`.
///
/// ```
/// use antiphon_llm::Provider;
/// use antiphon_providers::{OpenAi, SecretString};
///
/// let provider = OpenAi::new(SecretString::from("key")).responses();
/// assert_eq!(provider.scope().vendor, "openai");
/// ```
#[derive(Debug, Clone)]
pub struct OpenAi {
    chat: Chat,
    api: Api,
    modes: ModeFallback,
}

/// The API of a provider. Answers of the two are cached apart, since the same prompt may be answered
/// differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Api {
    /// Chat completions, the format that compatible servers speak as well.
    Chat,
    /// The Responses API, without storage.
    Responses,
}

/// The keywords that strict mode rejects.
///
/// A request with one of them fails with status 400, so constraints among them are sent as text in the
/// descriptions.
const UNSUPPORTED: &[&str] = &[
    "$comment",
    "$id",
    "$schema",
    "allOf",
    "contains",
    "default",
    "dependentRequired",
    "dependentSchemas",
    "deprecated",
    "discriminator",
    "else",
    "examples",
    "if",
    "maxContains",
    "maxLength",
    "maxProperties",
    "minContains",
    "minLength",
    "minProperties",
    "not",
    "patternProperties",
    "prefixItems",
    "propertyNames",
    "readOnly",
    "then",
    "unevaluatedItems",
    "unevaluatedProperties",
    "uniqueItems",
    "writeOnly",
];

/// The values of `format` that strict mode accepts.
const FORMATS: &[&str] =
    &["date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"];

/// Returns the schema dialect of strict mode:
/// <https://developers.openai.com/api/docs/guides/structured-outputs#supported-schemas>.
///
/// Strict mode demands an object as the root, and closed objects all of whose properties are required; `oneOf` is
/// sent as `anyOf`, and a `$ref` has no keywords beside it.
fn dialect() -> Dialect {
    Dialect::default()
        .unsupported(UNSUPPORTED)
        .formats(FORMATS)
        .closed()
        .bare_refs()
        .all_required()
        .any_of()
        .object_root()
}

impl OpenAi {
    /// The default model of the registry: the cheapest current one with a context window of a million tokens.
    pub const DEFAULT_MODEL: &'static str = kind::DEFAULT_MODEL;

    /// Creates a provider with a key, which uses chat completions.
    #[must_use]
    pub fn new(key: SecretString) -> Self {
        let endpoint = Endpoint {
            auth: Auth { header: None, key: Some(key) },
            ..Endpoint::new("openai", kind::BASE_URL, CLOUD_TIMEOUT, errors::fault)
        };
        let quirks = Quirks {
            params: wire::chat_params(),
            dialect: dialect(),
            modes: &[StructuredMode::JsonSchema, StructuredMode::JsonObject, StructuredMode::PromptOnly],
        };
        let modes = ModeFallback::new(&[StructuredMode::JsonSchema, StructuredMode::PromptOnly]);
        Self { chat: Chat::new(endpoint, quirks), api: Api::Chat, modes }
    }

    /// Uses the Responses API instead of chat completions. That API has no seed, no stop sequences and no penalties: a prompt with
    /// one of them is rejected.
    #[must_use]
    pub fn responses(mut self) -> Self {
        self.api = Api::Responses;
        self
    }

    /// Returns the provider with a changed endpoint and a new connection pool.
    fn with(self, change: impl FnOnce(&mut Endpoint)) -> Self {
        Self { chat: self.chat.with(change), ..self }
    }

    /// Begins an answer by the Responses API.
    async fn respond(&self, prompt: &Prompt, context: &CallContext) -> Result<Streaming, Error> {
        let began = Instant::now();
        let link = &self.chat.link;
        link.check(prompt, &wire::PARAMS)?;
        info!("asking {} for {}", link.endpoint.base_url, prompt.model);
        let ask = |mode| {
            let body = wire::request(prompt, &self.chat.quirks.dialect, mode);
            async move { self.chat.refused.post(link, "/responses", body, context).await }
        };
        let (response, mode) = link.until_hurried(context, self.modes.ask(prompt, ask)).await?;
        let schema = self.modes.sent(prompt, mode, &self.chat.quirks.dialect);
        link.streaming(response, ResponsesDecoder::default(), CallRequest { prompt, schema, began, context })
            .await
    }
}

connection_settings!(OpenAi, "/v1", 120);

/// Constructs the provider for the registry.
pub(super) fn build(kind: &Kind, options: &Options) -> Result<Built, BuildError> {
    let provider = OpenAi::new(key_of(options)?).configured(options);
    let provider = at_address(provider, options, OpenAi::base_url)?;
    let provider = if kind.route(options)? == Some("responses") { provider.responses() } else { provider };
    Ok(cloud(kind, options, provider))
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Provider for OpenAi {
    fn scope(&self) -> Scope {
        match self.api {
            Api::Chat => self.chat.scope(),
            Api::Responses => self.chat.link.scope(Some("responses")),
        }
    }

    async fn stream(&self, prompt: &Prompt, context: &CallContext) -> Result<Streaming, Error> {
        match self.api {
            Api::Chat => self.chat.stream(prompt, context).await,
            // Boxed, so that the future of the other route does not have its size.
            Api::Responses => Box::pin(self.respond(prompt, context)).await,
        }
    }

    async fn models(&self, context: &CallContext) -> Result<Vec<Model>, Error> {
        self.chat.models(context).await
    }

    async fn health(&self, context: &CallContext) -> Result<Health, Error> {
        self.chat.health(context).await
    }

    /// Returns the limits in this crate's table, since OpenAI's API does not report them.
    async fn capabilities(&self, model: &str, _: &CallContext) -> Capabilities {
        self.modes.capable(prices::capabilities("openai", model), &self.chat.quirks.dialect)
    }
}

impl CheckParams for OpenAi {
    fn check_params(&self, parameters: &SamplingParams) -> Result<(), InvalidParam> {
        match self.api {
            Api::Chat => self.chat.check_params(parameters),
            Api::Responses => self.chat.link.check_params(parameters, &wire::PARAMS, |prompt| {
                let modes = [StructuredMode::JsonSchema, StructuredMode::PromptOnly];
                modes.map(|mode| wire::request(prompt, &self.chat.quirks.dialect, mode)).to_vec()
            }),
        }
    }
}

#[async_trait]
impl Embedder for OpenAi {
    async fn embed(&self, model: &str, texts: &[String], context: &CallContext) -> Result<Embeddings, Error> {
        self.chat.embed(model, texts, context).await
    }
}

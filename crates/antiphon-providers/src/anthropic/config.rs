//! The provider for the Messages API: its construction, its schema dialect and its calls.

use antiphon_http::SecretString;
use antiphon_llm::{
    CallContext, Capabilities, Dialect, Error, Health, InvalidParam, Model, Prompt, Provider, SamplingParams,
    Scope, Streaming, async_trait,
};
use serde_json::Value;
use tokio::time::Instant;
use tracing::info;

use super::stream::MessagesDecoder;
use super::{errors, kind, wire};
use crate::exchange::{
    Auth, CLOUD_TIMEOUT, CallRequest, Endpoint, Link, ModeFallback, Page, StructuredMode, at_address, cloud,
    connection_settings, key_of,
};
use crate::prices;
use crate::registry::{BuildError, Built, CheckParams, Kind, Options};

/// A provider for Anthropic's models, by the Messages API.
///
/// The key is sent only in the `x-api-key` header. Anthropic's models of 2026 reject any temperature. The API has no seed and no
/// penalties: a prompt with one of them is rejected. The API requires a maximum number of tokens: if the prompt sets none, the model's own limit is
/// sent, or 8,192 if that is not known.
///
/// Structured output: schemas are sent without the keywords that Anthropic does not support; this crate checks answers against
/// those. A schema that Anthropic's dialect cannot express at all, such as one whose objects have arbitrary keys, is put into the
/// prompt.
///
/// Answers are streamed as server-sent events. Default time limits: 120 s to the first token and between two tokens; see
/// [`call_timeout`](Self::call_timeout) for the whole call. A call is sent once: for retries and rate limits wrap the provider
/// with [`Stack`](antiphon_llm::Stack).
///
/// The capabilities of a model (context window, maximum answer) come from this crate's table; the list of
/// models has the context window where the API reports it.
///
/// ```
/// use antiphon_llm::Provider;
/// use antiphon_providers::{Anthropic, SecretString};
///
/// let provider = Anthropic::new(SecretString::from("key"));
/// assert_eq!(provider.scope().vendor, "anthropic");
/// ```
#[derive(Debug, Clone)]
pub struct Anthropic {
    link: Link,
    modes: ModeFallback,
}

/// The keywords that structured outputs reject.
///
/// A request with one of them fails with status 400, so constraints among them are sent as text in the
/// descriptions.
const UNSUPPORTED: &[&str] = &[
    "$comment",
    "$id",
    "$schema",
    "contains",
    "dependentRequired",
    "dependentSchemas",
    "deprecated",
    "discriminator",
    "else",
    "examples",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "if",
    "maxContains",
    "maxItems",
    "maxLength",
    "maxProperties",
    "maximum",
    "minContains",
    "minLength",
    "minProperties",
    "minimum",
    "multipleOf",
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

/// The values of `format` that structured outputs accept.
const FORMATS: &[&str] =
    &["date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"];

/// Returns the schema dialect of structured outputs, without a beta:
/// <https://platform.claude.com/docs/en/build-with-claude/structured-outputs>.
///
/// `minItems` is accepted up to 1, every object must have `additionalProperties: false`, and `oneOf` is sent as
/// `anyOf`. An object with arbitrary keys, an `allOf` of several schemas, or recursion cannot be expressed.
pub(super) fn dialect() -> Dialect {
    Dialect::default()
        .unsupported(UNSUPPORTED)
        .formats(FORMATS)
        .max_min_items(1)
        .closed()
        .any_of()
        .inline_refs()
        .acyclic()
}

impl Anthropic {
    /// The default model of the registry: the cheapest current one with a context window of a million tokens.
    pub const DEFAULT_MODEL: &'static str = kind::DEFAULT_MODEL;

    /// Creates a provider with a key.
    #[must_use]
    pub fn new(key: SecretString) -> Self {
        let endpoint = Endpoint {
            auth: Auth { header: Some("x-api-key".to_owned()), key: Some(key) },
            // The later version of 2026-10-21 rejects a temperature for every model; this one leaves that to the model.
            headers: vec![("anthropic-version".to_owned(), "2023-06-01".to_owned())],
            ..Endpoint::new("anthropic", kind::BASE_URL, CLOUD_TIMEOUT, errors::fault)
        };
        Self {
            link: Link::new(endpoint),
            modes: ModeFallback::new(&[StructuredMode::JsonSchema, StructuredMode::PromptOnly]),
        }
    }

    /// Returns the provider with a changed endpoint and a new connection pool; what was learned about modes is
    /// kept.
    fn with(self, change: impl FnOnce(&mut Endpoint)) -> Self {
        Self { link: self.link.with(change), ..self }
    }

    /// Fetches the list of models, page by page.
    ///
    /// The page after the model `m` is `&after_id=m`, as long as `has_more` is true.
    async fn list(&self, context: &CallContext) -> Result<(Vec<Model>, &'static str), Error> {
        let page = |page: &Value| {
            let models = wire::models(page)?;
            let last = models.last().filter(|_| page["has_more"] == true);
            let next = last.map(|model| ("after_id", model.id.clone()));
            Some(Page { models, next })
        };
        self.link.models("/models?limit=1000", context, page).await
    }
}

connection_settings!(Anthropic, "/v1", 120);

/// Constructs the provider for the registry.
pub(super) fn build(kind: &Kind, options: &Options) -> Result<Built, BuildError> {
    let provider = Anthropic::new(key_of(options)?).configured(options);
    Ok(cloud(kind, options, at_address(provider, options, Anthropic::base_url)?))
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Provider for Anthropic {
    fn scope(&self) -> Scope {
        self.link.scope(None)
    }

    async fn stream(&self, prompt: &Prompt, context: &CallContext) -> Result<Streaming, Error> {
        let began = Instant::now();
        self.link.check(prompt, &wire::PARAMS)?;
        info!("asking {} for {}", self.link.endpoint.base_url, prompt.model);
        let ask = |mode| {
            let body = wire::request(prompt, wire::expressible_mode(prompt, mode));
            async move { self.link.call("/messages", &body, context).await }
        };
        let (response, mode) = self.link.until_hurried(context, self.modes.ask(prompt, ask)).await?;
        let schema = self.modes.sent(prompt, wire::expressible_mode(prompt, mode), &dialect());
        self.link
            .streaming(response, MessagesDecoder::default(), CallRequest { prompt, schema, began, context })
            .await
    }

    async fn models(&self, context: &CallContext) -> Result<Vec<Model>, Error> {
        Ok(self.list(context).await?.0)
    }

    async fn health(&self, context: &CallContext) -> Result<Health, Error> {
        Link::health_by(self.list(context)).await
    }

    /// Returns the limits in this crate's table.
    async fn capabilities(&self, model: &str, _: &CallContext) -> Capabilities {
        self.modes.capable(prices::capabilities("anthropic", model), &dialect())
    }
}

impl CheckParams for Anthropic {
    fn check_params(&self, parameters: &SamplingParams) -> Result<(), InvalidParam> {
        self.link.check_params(parameters, &wire::PARAMS, |prompt| {
            let modes = [StructuredMode::JsonSchema, StructuredMode::PromptOnly];
            modes.map(|mode| wire::request(prompt, mode)).to_vec()
        })
    }
}

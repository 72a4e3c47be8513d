//! The provider for the Gemini API: its construction, its schema dialect, its calls and its embeddings.

use antiphon_http::SecretString;
use antiphon_llm::{
    CallContext, Capabilities, Dialect, Embedder, Embeddings, Error, Health, InvalidParam, Model, Prompt,
    Provider, SamplingParams, Scope, Streaming, async_trait,
};
use serde_json::{Value, json};
use tokio::time::Instant;
use tracing::info;

use super::stream::GenerateDecoder;
use super::{errors, kind, wire};
use crate::exchange::{
    Auth, CLOUD_TIMEOUT, CallRequest, Endpoint, Link, ModeFallback, Page, StructuredMode, at_address, cloud,
    connection_settings, key_of,
};
use crate::limits;
use crate::prices;
use crate::registry::{BuildError, Built, CheckParams, Kind, Options};

/// A provider for Google's Gemini models.
///
/// The key is sent only in the `x-goog-api-key` header. Models from 3.6 on ignore any temperature. The limit `maxOutputTokens`
/// covers reasoning and answer together.
///
/// Structured output: schemas are sent as `responseJsonSchema` without the keywords that Gemini ignores; this crate checks
/// answers against those.
///
/// Answers are streamed as server-sent events. Default time limits: 120 s to the first token and between two tokens; see
/// [`call_timeout`](Self::call_timeout) for the whole call. A call is sent once: for retries and rate limits wrap the provider
/// with [`Stack`](antiphon_llm::Stack).
///
/// ```
/// use antiphon_llm::Provider;
/// use antiphon_providers::{Gemini, SecretString};
///
/// let provider = Gemini::new(SecretString::from("key"));
/// assert_eq!(provider.scope().vendor, "gemini");
/// ```
#[derive(Debug, Clone)]
pub struct Gemini {
    link: Link,
    modes: ModeFallback,
}

/// The keywords that `responseJsonSchema` ignores.
///
/// A schema with them is accepted, so that leaving them out makes it visible which ones are not enforced.
const UNSUPPORTED: &[&str] = &[
    "$schema",
    "allOf",
    "contains",
    "default",
    "dependentRequired",
    "dependentSchemas",
    "discriminator",
    "else",
    "examples",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "if",
    "maxContains",
    "maxLength",
    "maxProperties",
    "minContains",
    "minLength",
    "minProperties",
    "multipleOf",
    "not",
    "pattern",
    "patternProperties",
    "propertyNames",
    "then",
    "unevaluatedItems",
    "unevaluatedProperties",
    "uniqueItems",
];

/// Returns the schema dialect of `responseJsonSchema`: <https://ai.google.dev/api/generate-content#v1beta.GenerationConfig>.
///
/// Each `$ref` is sent as a copy of its definition; one that stays, since its definition refers to itself, has no keywords beside
/// it. `const` is sent as an `enum` with one value.
pub(super) fn dialect() -> Dialect {
    Dialect::default().unsupported(UNSUPPORTED).inline_refs().bare_refs().enum_of_one()
}

impl Gemini {
    /// The default model of the registry: the cheapest one whose shutdown has not been announced.
    pub const DEFAULT_MODEL: &'static str = kind::DEFAULT_MODEL;

    /// Creates a provider with a key.
    #[must_use]
    pub fn new(key: SecretString) -> Self {
        let endpoint = Endpoint {
            auth: Auth { header: Some("x-goog-api-key".to_owned()), key: Some(key) },
            ..Endpoint::new("gemini", kind::BASE_URL, CLOUD_TIMEOUT, errors::fault)
        };
        Self {
            link: Link::new(endpoint),
            modes: ModeFallback::new(&[
                StructuredMode::JsonSchema,
                StructuredMode::JsonObject,
                StructuredMode::PromptOnly,
            ]),
        }
    }

    /// Returns the provider with a changed endpoint and a new connection pool; what was learned about modes is
    /// kept.
    fn with(self, change: impl FnOnce(&mut Endpoint)) -> Self {
        Self { link: self.link.with(change), ..self }
    }

    /// Fetches the list of models, page by page.
    ///
    /// The last page has no `nextPageToken`, or an empty one.
    async fn list(&self, context: &CallContext) -> Result<(Vec<Model>, &'static str), Error> {
        let page = |page: &Value| {
            let token = page["nextPageToken"].as_str().filter(|token| !token.is_empty());
            let next = token.map(|token| ("pageToken", token.to_owned()));
            Some(Page { models: wire::models(page)?, next })
        };
        self.link.models("/models?pageSize=1000", context, page).await
    }
}

connection_settings!(Gemini, "/v1beta", 120);

/// Constructs the provider for the registry.
pub(super) fn build(kind: &Kind, options: &Options) -> Result<Built, BuildError> {
    let provider = Gemini::new(key_of(options)?).configured(options);
    Ok(cloud(kind, options, at_address(provider, options, Gemini::base_url)?))
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Provider for Gemini {
    fn scope(&self) -> Scope {
        self.link.scope(None)
    }

    async fn stream(&self, prompt: &Prompt, context: &CallContext) -> Result<Streaming, Error> {
        let began = Instant::now();
        self.link.check(prompt, &wire::PARAMS)?;
        info!("asking {} for {}", self.link.endpoint.base_url, prompt.model);
        let path = format!("/{}:streamGenerateContent?alt=sse", wire::model_path(&prompt.model)?);
        let ask = |mode| {
            let (body, path) = (wire::request(prompt, mode), &path);
            async move { self.link.call(path, &body, context).await }
        };
        let (response, mode) = self.link.until_hurried(context, self.modes.ask(prompt, ask)).await?;
        let schema = self.modes.sent(prompt, mode, &dialect());
        self.link
            .streaming(response, GenerateDecoder::default(), CallRequest { prompt, schema, began, context })
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
        self.modes.capable(prices::capabilities("gemini", model), &dialect())
    }
}

impl CheckParams for Gemini {
    fn check_params(&self, parameters: &SamplingParams) -> Result<(), InvalidParam> {
        self.link.check_params(parameters, &wire::PARAMS, |prompt| {
            let modes = [StructuredMode::JsonSchema, StructuredMode::JsonObject, StructuredMode::PromptOnly];
            modes.map(|mode| wire::request(prompt, mode)).to_vec()
        })
    }
}

/// The maximum number of texts of one call: <https://ai.google.dev/gemini-api/docs/embeddings>.
const MAX_TEXTS: usize = 100;

#[async_trait]
impl Embedder for Gemini {
    /// Sends the texts in calls of up to 100, one after the other. The API reports no token counts for
    /// embeddings.
    async fn embed(&self, model: &str, texts: &[String], context: &CallContext) -> Result<Embeddings, Error> {
        let model = wire::model_path(model)?;
        let mut vectors = Vec::with_capacity(texts.len());
        for texts in texts.chunks(MAX_TEXTS) {
            let requests: Vec<_> = texts
                .iter()
                .map(|text| json!({ "model": model, "content": { "parts": [{ "text": text }] } }))
                .collect();
            let body = json!({ "requests": requests });
            let response = self.link.post(&format!("/{model}:batchEmbedContents"), &body, context).await?;
            let answer = self.link.json_within(limits::embeddings(texts.len()), response, context).await?;
            vectors.extend(wire::vectors(&answer, texts.len())?);
        }
        Ok(Embeddings::new(vectors))
    }
}

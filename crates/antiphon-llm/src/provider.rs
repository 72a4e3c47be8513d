use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
#[cfg(feature = "schema")]
use schemars::JsonSchema;
#[cfg(feature = "schema")]
use serde::de::DeserializeOwned;
#[cfg(feature = "schema")]
use serde_json::Value;

use crate::completion::{Completion, Usage};
use crate::context::CallContext;
use crate::dialect::Dialect;
use crate::error::Error;
use crate::prompt::Prompt;
use crate::schema::Schema;
use crate::streaming::Streaming;
#[cfg(feature = "schema")]
use crate::structured::{SchemaRetryPolicy, Structured};

/// A source of answers to prompts.
///
/// Implement the trait for a vendor, a local engine, or a wrapper around another provider. To make calls, use the methods of
/// [`ProviderExt`]; to implement it with blocking code, use [`SyncProvider`](crate::SyncProvider).
///
/// Every method that waits ends with its call: with `Cancelled` once [`CallContext::cancel`] is cancelled, and with `Timeout` in
/// the phase `Total` once [`CallContext::deadline`] has passed. The providers of antiphon-providers and [`BlockingProvider`]
/// observe both; an implementation gets the same by [`CallContext::run`].
///
/// [`BlockingProvider`]: crate::BlockingProvider
#[async_trait]
pub trait Provider: fmt::Debug + Send + Sync + 'static {
    /// Returns the scope of the calls: the vendor, the address and the account whose rate limits and credit they use.
    fn scope(&self) -> Scope;

    /// Begins an answer. The future resolves when the first text, or an error, has arrived.
    ///
    /// # Errors
    /// The error of the call; `Cancelled` or `Timeout` if the call's cancellation or deadline comes first. No text has reached
    /// the caller, so a wrapper may retry. The returned stream ends with the same errors, and the partial answer.
    ///
    /// # Cancel safety
    /// Dropping the future, or the returned stream, closes the connection. The provider may already have worked on the answer
    /// and may bill it.
    async fn stream(&self, prompt: &Prompt, context: &CallContext) -> Result<Streaming, Error>;

    /// Returns the models that the provider offers.
    ///
    /// # Errors
    /// The error of the request for the list; `Cancelled` or `Timeout` if the call's cancellation or deadline comes first.
    ///
    /// # Cancel safety
    /// A dropped call changes nothing.
    async fn models(&self, context: &CallContext) -> Result<Vec<Model>, Error>;

    /// Checks that the provider responds, without a call to a model. Returns the latency and the details that the provider
    /// reported.
    ///
    /// # Errors
    /// The error of the request, if the provider does not respond; `Cancelled` or `Timeout` if the call's cancellation or
    /// deadline comes first.
    ///
    /// # Cancel safety
    /// A dropped call changes nothing.
    async fn health(&self, context: &CallContext) -> Result<Health, Error>;

    /// Returns the known capabilities of a model. An unknown capability is `None`, not an error; so is one that was not known
    /// when the call's cancellation or deadline came.
    ///
    /// # Cancel safety
    /// A dropped call changes nothing.
    async fn capabilities(&self, model: &str, context: &CallContext) -> Capabilities;
}

/// A source of embeddings: vectors that represent texts, so that texts with similar meanings have vectors that are close to
/// each other.
///
/// The trait is separate from [`Provider`], since a model for embeddings is rarely a model that answers prompts. The providers
/// in antiphon-providers implement it if the vendor has such models. The crates of this workspace use no embeddings: they
/// search by words (BM25) and find near duplicates by MinHash, without calls. Use embeddings to find texts that express the
/// same in other words.
///
/// ```
/// use antiphon_llm::{CallContext, Embedder, Embeddings, Error, async_trait};
///
/// /// Counts of letters: an embedding by plain statistics, without a model.
/// #[derive(Debug)]
/// struct Letters;
///
/// #[async_trait]
/// impl Embedder for Letters {
///     async fn embed(&self, _: &str, texts: &[String], _: &CallContext) -> Result<Embeddings, Error> {
///         let count = |text: &String| {
///             let mut counts = vec![0.0_f32; 26];
///             for letter in text.bytes().filter(u8::is_ascii_lowercase) {
///                 counts[usize::from(letter - b'a')] += 1.0;
///             }
///             counts
///         };
///         Ok(Embeddings::new(texts.iter().map(count).collect()))
///     }
/// }
///
/// fn cosine(a: &[f32], b: &[f32]) -> f32 {
///     let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
///     dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Error> {
/// let texts = ["weaving on a loom", "the looms weave", "a quick fox"].map(str::to_owned);
/// let vectors = Letters.embed("letters", &texts, &CallContext::default()).await?.vectors;
/// assert!(cosine(&vectors[0], &vectors[1]) > cosine(&vectors[0], &vectors[2]));
/// # Ok(())
/// # }
/// ```
#[async_trait]
pub trait Embedder: fmt::Debug + Send + Sync + 'static {
    /// Returns one vector for each text, in the order of the texts. Vendors allow some hundreds of texts per call; an
    /// implementation splits a longer list into several calls.
    ///
    /// # Errors
    /// The error of a call; `Cancelled` or `Timeout` if the call's cancellation or deadline comes first. An implementation
    /// returns either all vectors or an error.
    ///
    /// # Cancel safety
    /// Dropping the future closes the connection; vectors that have arrived are lost.
    async fn embed(&self, model: &str, texts: &[String], context: &CallContext) -> Result<Embeddings, Error>;
}

/// The embeddings of some texts.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct Embeddings {
    /// One vector for each text, in the order of the texts. All vectors have the same length.
    pub vectors: Vec<Vec<f32>>,
    /// Tokens, as far as the provider reported them.
    pub usage: Usage,
}

/// The scope of a provider's calls: the vendor, the address and the account whose rate limits and credit they use.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Scope {
    /// The provider's short name, such as `openai`.
    pub vendor: String,
    /// The base URL of the provider's API; `None` if nothing leaves the process.
    pub base_url: Option<String>,
    /// Other settings that change the answers, such as the API in use or fields that are added to each request.
    pub variant: Option<String>,
    /// A digest of the API key, which distinguishes accounts without revealing a key.
    pub key_digest: Option<String>,
}

/// A model that a provider offers.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Model {
    /// The model's name at the provider.
    pub id: String,
    /// The context window: the maximum number of tokens of prompt and answer together; `None` if unknown.
    pub context_window: Option<u64>,
    /// Whether the model writes text, unlike one that only makes embeddings, transcripts or images. Default: yes.
    pub answers: bool,
    /// Whether a local engine only forwards the model's calls to a cloud. Default: no.
    pub is_remote: bool,
}

/// The result of a provider's health check.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Health {
    /// The time from the request to the response.
    pub latency: Duration,
    /// The HTTP version in use, if any.
    pub http_version: Option<&'static str>,
    /// The number of models that the provider lists, if they were requested.
    pub models: Option<usize>,
    /// The number of calls that the provider runs concurrently, such as the slots of a local engine; `None` if it is not
    /// reported.
    pub parallel: Option<u32>,
    /// The provider's version, where it is reported.
    pub version: Option<String>,
}

/// The known capabilities of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Capabilities {
    /// The context window: the maximum number of tokens of prompt and answer together.
    pub context_window: Option<u64>,
    /// The maximum number of tokens of one answer.
    pub max_output: Option<u64>,
    /// The number of calls that the provider runs concurrently.
    pub parallel: Option<u32>,
    /// The number of calls with a full context window for which the provider has memory at once; more calls that are as long wait
    /// in its queue. Not serialised.
    #[serde(skip)]
    pub full_length_calls: Option<u32>,
    /// Whether answers come from statistics instead of a language model, as with the `offline` provider. Default: no.
    pub without_model: bool,
    /// The dialect in which schemas are sent; `None` if it is not known. Not serialised.
    #[serde(skip)]
    pub dialect: Option<Dialect>,
    /// Whether schemas are put into the prompt only, since the provider is known not to enforce them. Default: no. Not
    /// serialised.
    #[serde(skip)]
    pub schema_in_prompt: bool,
}

impl Embeddings {
    /// Creates embeddings with an unknown number of tokens.
    #[must_use]
    pub fn new(vectors: Vec<Vec<f32>>) -> Self {
        Self { vectors, usage: Usage::default() }
    }

    /// Sets the tokens.
    #[must_use]
    pub fn usage(mut self, usage: Usage) -> Self {
        self.usage = usage;
        self
    }
}

impl Scope {
    /// Creates the scope of a vendor at an address, without an account.
    #[must_use]
    pub fn new(vendor: impl Into<String>, base_url: Option<String>) -> Self {
        Self { vendor: vendor.into(), base_url, variant: None, key_digest: None }
    }

    /// Sets the other settings that change the answers. Use [`variant_digest`](Self::variant_digest) if they may contain a
    /// secret.
    #[must_use]
    pub fn variant(mut self, variant: impl Into<String>) -> Self {
        self.variant = Some(variant.into());
        self
    }

    /// Sets the other settings that change the answers, as a digest.
    ///
    /// Use it for settings that may contain a secret, since a scope is stored, for example in a cassette.
    ///
    /// ```
    /// let scope = antiphon_llm::Scope::new("lab", None).variant_digest("x-team-key: secret");
    /// assert!(!format!("{scope:?}").contains("secret"));
    /// ```
    #[must_use]
    pub fn variant_digest(self, settings: &str) -> Self {
        let digest = blake3::derive_key("antiphon 2026 variant of a scope", settings.as_bytes());
        self.variant(digest[..16].iter().map(|byte| format!("{byte:02x}")).collect::<String>())
    }

    /// Sets the account. Only a digest of its API key is stored.
    #[must_use]
    pub fn key(mut self, key: &str) -> Self {
        let digest = blake3::derive_key("antiphon 2026 scope of a key", key.as_bytes());
        self.key_digest = Some(digest[..8].iter().map(|byte| format!("{byte:02x}")).collect());
        self
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.vendor)?;
        match &self.base_url {
            Some(url) => write!(f, " at {url}"),
            None => Ok(()),
        }
    }
}

impl Model {
    /// Creates a model that writes text, with the size of its context window in tokens where that is known.
    #[must_use]
    pub fn new(id: impl Into<String>, context_window: Option<u64>) -> Self {
        Self { id: id.into(), context_window, answers: true, is_remote: false }
    }

    /// Sets whether a local engine only forwards the model's calls to a cloud.
    #[must_use]
    pub fn is_remote(mut self, is_remote: bool) -> Self {
        self.is_remote = is_remote;
        self
    }

    /// Sets whether the model writes text.
    #[must_use]
    pub fn answers(mut self, answers: bool) -> Self {
        self.answers = answers;
        self
    }
}

impl Health {
    /// Creates the result of a check that took `latency`.
    #[must_use]
    pub fn new(latency: Duration) -> Self {
        Self { latency, ..Self::default() }
    }

    /// Sets the HTTP version in use.
    #[must_use]
    pub fn http_version(mut self, version: &'static str) -> Self {
        self.http_version = Some(version);
        self
    }

    /// Sets the number of models that the provider lists.
    #[must_use]
    pub fn models(mut self, models: usize) -> Self {
        self.models = Some(models);
        self
    }

    /// Sets the number of calls that run at the same time.
    #[must_use]
    pub fn parallel(mut self, parallel: Option<u32>) -> Self {
        self.parallel = parallel;
        self
    }

    /// Sets the provider's version.
    #[must_use]
    pub fn version(mut self, version: Option<String>) -> Self {
        self.version = version;
        self
    }
}

impl Capabilities {
    /// Sets the dialect in which schemas are sent.
    #[must_use]
    pub fn dialect(mut self, dialect: Dialect) -> Self {
        self.dialect = Some(dialect);
        self
    }

    /// Sets whether schemas are put into the prompt only.
    #[must_use]
    pub fn schema_in_prompt(mut self, schema_in_prompt: bool) -> Self {
        self.schema_in_prompt = schema_in_prompt;
        self
    }

    /// Returns the parts of a schema that the provider will not enforce, as [`Head::weakened`](crate::Head::weakened) reports
    /// them after a call: JSON pointers, `[""]` for the whole schema, and none if nothing is known of the provider.
    #[must_use]
    pub fn weakened(&self, schema: &Schema) -> Vec<String> {
        let whole = || vec![String::new()];
        match self.dialect.map(|dialect| schema.compile(&dialect)) {
            _ if self.schema_in_prompt => whole(),
            Some(compiled) if !compiled.inexpressible.is_empty() => whole(),
            Some(compiled) => compiled.weakened.clone(),
            None => Vec::new(),
        }
    }

    /// Sets the size of the context window in tokens.
    #[must_use]
    pub fn context_window(mut self, tokens: Option<u64>) -> Self {
        self.context_window = tokens;
        self
    }

    /// Sets the maximum number of tokens of one answer.
    #[must_use]
    pub fn max_output(mut self, tokens: Option<u64>) -> Self {
        self.max_output = tokens;
        self
    }

    /// Sets the number of calls that run at the same time.
    #[must_use]
    pub fn parallel(mut self, calls: Option<u32>) -> Self {
        self.parallel = calls;
        self
    }

    /// Sets the number of calls with a full context window for which the provider has memory at once.
    #[must_use]
    pub fn full_length_calls(mut self, full_length_calls: Option<u32>) -> Self {
        self.full_length_calls = full_length_calls;
        self
    }

    /// Marks the answers as made without a language model.
    #[must_use]
    pub fn without_model(mut self) -> Self {
        self.without_model = true;
        self
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<P: Provider + ?Sized> Provider for Arc<P> {
    fn scope(&self) -> Scope {
        (**self).scope()
    }

    async fn stream(&self, prompt: &Prompt, context: &CallContext) -> Result<Streaming, Error> {
        (**self).stream(prompt, context).await
    }

    async fn models(&self, context: &CallContext) -> Result<Vec<Model>, Error> {
        (**self).models(context).await
    }

    async fn health(&self, context: &CallContext) -> Result<Health, Error> {
        (**self).health(context).await
    }

    async fn capabilities(&self, model: &str, context: &CallContext) -> Capabilities {
        (**self).capabilities(model, context).await
    }
}

/// The methods of every [`Provider`] for callers: complete answers, and structured output.
pub trait ProviderExt: Provider {
    /// Makes a call and returns the complete answer. Use [`Provider::stream`] for the text while it arrives.
    ///
    /// # Errors
    /// The error of the call. If the answer had begun, [`Error::partial`] has its text.
    ///
    /// # Cancel safety
    /// Dropping the future closes the connection; the text that has arrived is lost.
    fn complete(
        &self,
        prompt: &Prompt,
        context: &CallContext,
    ) -> impl Future<Output = Result<Completion, Error>> + Send {
        async move {
            let streaming = context.guard(self.stream(prompt, context)).await??;
            streaming.complete(context).await
        }
    }

    /// Makes a call and returns the answer as JSON that fits `schema` (structured output).
    ///
    /// After an invalid answer there is one schema retry: the model is asked again, with the violations. Use
    /// [`SchemaRetryPolicy`] for another number of retries or strict parsing.
    ///
    /// # Errors
    /// `SchemaMismatch` if the answer to the schema retry is invalid, too; `Truncated` for an answer that was cut; or the
    /// provider's error.
    ///
    /// # Cancel safety
    /// Dropping the future closes the connection; the text that has arrived is lost.
    #[cfg(feature = "schema")]
    fn complete_json(
        &self,
        prompt: &Prompt,
        schema: &Schema,
        context: &CallContext,
    ) -> impl Future<Output = Result<Structured<Value>, Error>> + Send {
        SchemaRetryPolicy::default().json(self, prompt, schema, context)
    }

    /// Makes a call and returns the answer as a `T`. The schema is generated from `T`; after an invalid answer there is one
    /// schema retry, as in [`complete_json`](Self::complete_json).
    ///
    /// ```
    /// # use antiphon_llm::{CallContext, Error, Prompt, Provider, ProviderExt, Message};
    /// #[derive(serde::Deserialize, schemars::JsonSchema)]
    /// struct City {
    ///     name: String,
    ///     inhabitants: u32,
    /// }
    ///
    /// # async fn ask(provider: &impl Provider) -> Result<City, Error> {
    /// let prompt = Prompt::new("small-model", [Message::user("The capital of France?")]);
    /// let city = provider.complete_as::<City>(&prompt, &CallContext::default()).await?;
    /// # Ok(city.value)
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`complete_json`](Self::complete_json), and `SchemaMismatch` if the answers fit the schema but cannot be deserialised
    /// as a `T`.
    ///
    /// # Cancel safety
    /// Dropping the future closes the connection; the text that has arrived is lost.
    #[cfg(feature = "schema")]
    fn complete_as<T: DeserializeOwned + JsonSchema + Send + 'static>(
        &self,
        prompt: &Prompt,
        context: &CallContext,
    ) -> impl Future<Output = Result<Structured<T>, Error>> + Send {
        SchemaRetryPolicy::default().typed(self, prompt, context)
    }
}

impl<P: Provider + ?Sized> ProviderExt for P {}

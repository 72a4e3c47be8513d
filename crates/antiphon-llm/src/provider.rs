use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::completion::{Completion, Usage};
use crate::context::CallContext;
use crate::error::Error;
use crate::prompt::Prompt;
use crate::schema::Schema;
use crate::streaming::Streaming;
use crate::structured::{SchemaRetryPolicy, Structured};

/// Answers prompts.
///
/// Implement it for a vendor, a local engine, or a wrapper around another provider; callers use [`ProviderExt`].
#[async_trait]
pub trait Provider: fmt::Debug + Send + Sync + 'static {
    /// Whose limits and whose money a call uses.
    fn scope(&self) -> Scope;

    /// Begins an answer; resolves when its first words, or the error, have arrived.
    ///
    /// # Errors
    /// Why there is no answer. Nothing of it has been seen by the caller, so a wrapper may try again.
    ///
    /// # Cancel safety
    /// Dropping the call, or the stream it gives, hangs up; the provider may have been working and may bill for it.
    async fn stream(&self, prompt: &Prompt, context: &CallContext) -> Result<Streaming, Error>;

    /// The models that can be asked.
    ///
    /// # Errors
    /// Why they cannot be listed.
    ///
    /// # Cancel safety
    /// Nothing is changed, so nothing is lost.
    async fn models(&self, context: &CallContext) -> Result<Vec<Model>, Error>;

    /// Whether it answers, without a model's work: what that took, and what it told.
    ///
    /// # Errors
    /// Why it does not answer.
    ///
    /// # Cancel safety
    /// Nothing is changed, so nothing is lost.
    async fn health(&self, context: &CallContext) -> Result<Health, Error>;

    /// What is known of a model; unknown is not an error.
    ///
    /// # Cancel safety
    /// Nothing is changed, so nothing is lost.
    async fn capabilities(&self, model: &str, context: &CallContext) -> Capabilities;
}

/// A source of embeddings: vectors of texts, which are near each other where the texts have similar meanings.
///
/// A trait of its own beside [`Provider`], since the models that embed are seldom those that answer. The providers of
/// antiphon-providers that have such models implement it. The crates of this workspace search by words (BM25) and find
/// near duplicates by MinHash, which need no calls; use embeddings where other words for the same thing must be found.
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
    /// Returns one vector for each text, in their order. Vendors allow some hundreds of texts a call; implementations split
    /// more.
    ///
    /// # Errors
    /// Why there are none; never some of them.
    ///
    /// # Cancel safety
    /// Hangs up; vectors that have come are lost.
    async fn embed(&self, model: &str, texts: &[String], context: &CallContext) -> Result<Embeddings, Error>;
}

/// Vectors of texts.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct Embeddings {
    /// One for each text, in their order; all of one length.
    pub vectors: Vec<Vec<f32>>,
    /// Tokens, as far as the provider told.
    pub usage: Usage,
}

/// Whose limits and whose money a call uses.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Scope {
    /// The provider's short name, such as `openai`.
    pub vendor: String,
    /// Where it is reached; `None` where nothing leaves the process.
    pub base_url: Option<String>,
    /// What else changes its answers: the interface it is asked by, fields that each request has.
    pub variant: Option<String>,
    /// A digest of the key, so that two accounts are told apart and neither key is known.
    pub key_digest: Option<String>,
}

/// A model that can be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Model {
    /// Its name at the provider.
    pub id: String,
    /// The tokens that prompt and answer may have together.
    pub context_window: Option<u64>,
    /// Whether it writes text; a model that only embeds, hears or paints does not. Default: it does.
    pub answers: bool,
    /// Whether a local engine only hands it on to a cloud. Default: it does not.
    pub is_remote: bool,
}

/// A provider that answers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Health {
    /// The time from the question to the answer.
    pub latency: Duration,
    /// The HTTP version spoken, if any.
    pub http_version: Option<&'static str>,
    /// The models that it lists, if it was asked for them.
    pub models: Option<usize>,
    /// The calls that it works on at once, where it tells: the slots of a local engine.
    pub parallel: Option<u32>,
    /// Its version, where it tells.
    pub version: Option<String>,
}

/// What is known of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Capabilities {
    /// The tokens that prompt and answer may have together.
    pub context_window: Option<u64>,
    /// The most tokens of one answer.
    pub max_output: Option<u64>,
    /// The calls that are worked on at once, where that is known.
    pub parallel: Option<u32>,
    /// Whether answers come from plain statistics and no language model at all.
    pub without_model: bool,
}

impl Embeddings {
    /// Vectors, with nothing known of their tokens.
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
    /// A vendor, and where it is reached.
    #[must_use]
    pub fn new(vendor: impl Into<String>, base_url: Option<String>) -> Self {
        Self { vendor: vendor.into(), base_url, variant: None, key_digest: None }
    }

    /// Sets what else changes its answers.
    #[must_use]
    pub fn variant(mut self, variant: impl Into<String>) -> Self {
        self.variant = Some(variant.into());
        self
    }

    /// Sets what else changes its answers by a digest, for settings that may have a secret among them: a scope is stored,
    /// in a cassette say.
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

    /// Sets whose account it is, by a digest of its key.
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
    /// A model and, where it is known, the size of its context in tokens.
    #[must_use]
    pub fn new(id: impl Into<String>, context_window: Option<u64>) -> Self {
        Self { id: id.into(), context_window, answers: true, is_remote: false }
    }

    /// Says whether a local engine only hands it on to a cloud.
    #[must_use]
    pub fn is_remote(mut self, is_remote: bool) -> Self {
        self.is_remote = is_remote;
        self
    }

    /// Says whether it writes text.
    #[must_use]
    pub fn answers(mut self, answers: bool) -> Self {
        self.answers = answers;
        self
    }
}

impl Health {
    /// A provider that took so long to answer.
    #[must_use]
    pub fn new(latency: Duration) -> Self {
        Self { latency, ..Self::default() }
    }

    /// Sets the HTTP version spoken.
    #[must_use]
    pub fn http_version(mut self, version: &'static str) -> Self {
        self.http_version = Some(version);
        self
    }

    /// Sets how many models it lists.
    #[must_use]
    pub fn models(mut self, models: usize) -> Self {
        self.models = Some(models);
        self
    }

    /// Sets the calls that it works on at once.
    #[must_use]
    pub fn parallel(mut self, parallel: Option<u32>) -> Self {
        self.parallel = parallel;
        self
    }

    /// Sets its version.
    #[must_use]
    pub fn version(mut self, version: Option<String>) -> Self {
        self.version = version;
        self
    }
}

impl Capabilities {
    /// Sets the size of the context in tokens.
    #[must_use]
    pub fn context_window(mut self, tokens: Option<u64>) -> Self {
        self.context_window = tokens;
        self
    }

    /// Sets the most tokens of one answer.
    #[must_use]
    pub fn max_output(mut self, tokens: Option<u64>) -> Self {
        self.max_output = tokens;
        self
    }

    /// Sets the calls that are worked on at once.
    #[must_use]
    pub fn parallel(mut self, calls: Option<u32>) -> Self {
        self.parallel = calls;
        self
    }

    /// Says that no language model is used.
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

/// What callers want of a [`Provider`].
pub trait ProviderExt: Provider {
    /// The whole answer.
    ///
    /// # Errors
    /// Why there is none; [`Error::partial`] has the words that came.
    ///
    /// # Cancel safety
    /// Hangs up; the words so far are lost.
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

    /// The answer as JSON that fits `schema`; where it does not, the model is asked once more and told why.
    /// [`SchemaRetryPolicy`] has other ways.
    ///
    /// # Errors
    /// `SchemaMismatch` after the second try, `Truncated` for an answer that was cut, or why there is none.
    ///
    /// # Cancel safety
    /// Hangs up; the words so far are lost.
    fn complete_json(
        &self,
        prompt: &Prompt,
        schema: &Schema,
        context: &CallContext,
    ) -> impl Future<Output = Result<Structured<Value>, Error>> + Send {
        SchemaRetryPolicy::default().json(self, prompt, schema, context)
    }

    /// The answer as a `T`, whose schema the answer has to fit; where it does not, the model is asked once more and told
    /// why.
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
    /// As [`complete_json`](Self::complete_json); and `SchemaMismatch` for an answer that fits the schema and is no `T`.
    ///
    /// # Cancel safety
    /// Hangs up; the words so far are lost.
    fn complete_as<T: DeserializeOwned + JsonSchema + Send + 'static>(
        &self,
        prompt: &Prompt,
        context: &CallContext,
    ) -> impl Future<Output = Result<Structured<T>, Error>> + Send {
        SchemaRetryPolicy::default().typed(self, prompt, context)
    }
}

impl<P: Provider + ?Sized> ProviderExt for P {}

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;

use crate::completion::Completion;
use crate::context::CallContext;
use crate::error::Error;
use crate::prompt::Prompt;
use crate::schema::Schema;
use crate::streaming::Streaming;
use crate::structured::{self, Structured};

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

    /// What is known of a model; unknown is not an error.
    ///
    /// # Cancel safety
    /// Nothing is changed, so nothing is lost.
    async fn capabilities(&self, model: &str, context: &CallContext) -> Capabilities;
}

/// Whose limits and whose money a call uses.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Scope {
    /// The provider's short name, such as `openai`.
    pub vendor: String,
    /// Where it is reached; `None` where nothing leaves the process.
    pub base_url: Option<String>,
}

/// A model that can be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Model {
    /// Its name at the provider.
    pub id: String,
    /// The tokens that prompt and answer may have together.
    pub context_window: Option<u64>,
}

/// What is known of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Capabilities {
    /// The tokens that prompt and answer may have together.
    pub context_window: Option<u64>,
    /// Whether answers come from plain statistics and no language model at all.
    pub without_model: bool,
}

impl Scope {
    /// A vendor, and where it is reached.
    #[must_use]
    pub fn new(vendor: impl Into<String>, base_url: Option<String>) -> Self {
        Self { vendor: vendor.into(), base_url }
    }
}

impl Model {
    /// A model and, where it is known, the size of its context in tokens.
    #[must_use]
    pub fn new(id: impl Into<String>, context_window: Option<u64>) -> Self {
        Self { id: id.into(), context_window }
    }
}

impl Capabilities {
    /// Sets the size of the context in tokens.
    #[must_use]
    pub fn context_window(mut self, tokens: Option<u64>) -> Self {
        self.context_window = tokens;
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
        structured::complete_json(self, prompt, schema, context)
    }
}

impl<P: Provider + ?Sized> ProviderExt for P {}

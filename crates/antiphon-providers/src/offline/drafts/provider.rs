use std::sync::Arc;

use antiphon_llm::{
    CallContext, CancellationToken, Capabilities, Completion, DocumentPart, Error, ErrorKind, Head, Health,
    InvalidParam, Model, Prompt, Provider, SamplingParams, Schema, Scope, Streaming, async_trait,
};
use serde_json::Value;

use super::personas::{self, Wanted};
use super::portfolio;
use crate::offline::kind::MODEL;
use crate::registry::{BuildError, Built, CheckParams, Kind, Options};

/// A provider that answers the built-in recipes from the prompt's documents alone: no model, no network, no cost.
///
/// The recipe is recognised by its schema. Any other prompt is `Unsupported`.
///
/// Drafts are useful for a first look, for tests without a network, and as the default if no model is available. They never
/// replace an answer of a model: a session in which a model was named does not fall back to them.
///
/// ```
/// use antiphon_llm::Provider;
/// use antiphon_providers::Offline;
///
/// assert_eq!(Offline::new().scope().vendor, "offline");
/// assert_eq!(Offline::MODEL, "extractive-1");
/// ```
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct Offline;

impl Offline {
    /// The name of its only model.
    pub const MODEL: &'static str = MODEL;

    /// Creates the provider, which has no settings.
    #[must_use]
    pub fn new() -> Self {
        Self
    }
}

/// A built-in recipe.
enum Recipe {
    /// Personas, with the requirements of their schema.
    Personas(Wanted),
    /// The parts of a portfolio.
    Portfolio,
}

impl Recipe {
    /// Recognises a recipe by its schema; `None` for any other schema.
    fn of(schema: &Schema) -> Option<Self> {
        match Wanted::of(schema) {
            Some(wanted) => Some(Self::Personas(wanted)),
            None => portfolio::is_wanted(schema).then_some(Self::Portfolio),
        }
    }

    /// Drafts an answer that fits the recipe's schema, on the current thread.
    fn draft(&self, documents: &[DocumentPart], cancel: &CancellationToken) -> Result<Value, Error> {
        match self {
            Self::Personas(wanted) => personas::draft(documents, wanted, cancel),
            Self::Portfolio => portfolio::draft(documents, cancel),
        }
    }
}

/// Constructs the provider for the registry.
pub(crate) fn build(_: &Kind, _: &Options) -> Result<Built, BuildError> {
    Ok(Built {
        provider: Arc::new(Offline::new()),
        default_model: Some(MODEL.to_owned()),
        lists_what_it_has: true,
        is_local: true,
        has_models: false,
        reports_slots: false,
        slots_vary: false,
        is_engine: false,
        price_names: Vec::new(),
        unpriced_field: None,
        price_vendor: None,
        checked: Arc::new(Offline),
    })
}

impl CheckParams for Offline {
    /// Accepts any parameters: without a model they have no effect.
    fn check_params(&self, _: &SamplingParams) -> Result<(), InvalidParam> {
        Ok(())
    }
}

#[async_trait]
impl Provider for Offline {
    fn scope(&self) -> Scope {
        // Another version may draft differently, so that its answers must not be cached for this one.
        Scope::new("offline", None).variant(env!("CARGO_PKG_VERSION"))
    }

    async fn stream(&self, prompt: &Prompt, context: &CallContext) -> Result<Streaming, Error> {
        let Some(recipe) = prompt.output.schema().and_then(Recipe::of) else {
            let message = "offline answers the built-in recipes only: use another provider for this prompt";
            return Err(Error::new(ErrorKind::Unsupported, message));
        };
        let documents: Vec<_> = prompt.documents().cloned().collect();
        let cancel = context.cancel.clone();
        let work = tokio::task::spawn_blocking(move || recipe.draft(&documents, &cancel));
        let answer = match work.await {
            Ok(answer) => answer?,
            Err(join) if join.is_panic() => std::panic::resume_unwind(join.into_panic()),
            Err(_) => return Err(Error::new(ErrorKind::Cancelled, "the call was cancelled")),
        };
        let head = Head::new(None, Some(MODEL.to_owned()));
        Ok(Streaming::from_completion(Completion::new(answer.to_string()).head(head)))
    }

    async fn models(&self, _: &CallContext) -> Result<Vec<Model>, Error> {
        Ok(vec![Model::new(MODEL, None)])
    }

    async fn health(&self, _: &CallContext) -> Result<Health, Error> {
        Ok(Health::default().models(1))
    }

    async fn capabilities(&self, _: &str, _: &CallContext) -> Capabilities {
        Capabilities::default().without_model()
    }
}

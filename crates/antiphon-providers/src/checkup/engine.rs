//! Local engines that were discovered, with their health and models.

use antiphon_llm::{CallContext, Error, Health, Model, Provider};
use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use super::result::latency_ms;
use crate::registry::Built;

/// A local engine that answers, with its health and models. The serialised form has the names of the models and the first error.
///
/// To find engines use [`discover`](crate::local::discover); to examine any provider, with advice, use
/// [`Subject`](super::Subject).
#[derive(Debug)]
#[non_exhaustive]
pub struct LocalEngine {
    /// The engine's name.
    pub name: String,
    /// The engine's address.
    pub base_url: String,
    /// The engine's health, or the reason why it is not known.
    pub health: Result<Health, Error>,
    /// The models that it can use without a download, or the reason why they cannot be listed.
    pub models: Result<Vec<Model>, Error>,
}

impl LocalEngine {
    /// Requests the health and the models of an engine. An error of either is part of the result.
    ///
    /// Health and models are requested one after the other, with the provider's own time limits. No model is
    /// called.
    ///
    /// ```
    /// use antiphon_providers::checkup::LocalEngine;
    /// use antiphon_providers::local::{discover, engines};
    /// use antiphon_providers::registry::Options;
    ///
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// for engine in discover(engines(|_| None)).await {
    ///     let Some(kind) = engine.kind() else { continue };
    ///     let built = kind.build(&Options::new(engine.name).base_url(engine.base_url()))?;
    ///     println!("{}", serde_json::to_string(&LocalEngine::ask(&built).await)?);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Cancel safety
    /// A dropped call changes nothing.
    pub async fn ask(built: &Built) -> Self {
        let (scope, context) = (built.provider.scope(), CallContext::default());
        Self {
            name: scope.vendor,
            base_url: scope.base_url.unwrap_or_default(),
            health: built.provider.health(&context).await,
            models: built.provider.models(&context).await,
        }
    }
}

impl Serialize for LocalEngine {
    /// Serialises a flat object:
    ///
    /// ```json
    /// {"name": "ollama", "base_url": "http://127.0.0.1:11434", "version": "0.12.0", "parallel": null, "latency_ms": 7,
    ///  "models": ["llama3.2"], "error": null}
    /// ```
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let health = self.health.as_ref().ok();
        let models: Vec<&str> = self.models.iter().flatten().map(|model| model.id.as_str()).collect();
        let error = self.health.as_ref().err().or(self.models.as_ref().err());
        let mut fields = serializer.serialize_struct("LocalEngine", 7)?;
        fields.serialize_field("name", &self.name)?;
        fields.serialize_field("base_url", &self.base_url)?;
        fields.serialize_field("version", &health.and_then(|health| health.version.as_deref()))?;
        fields.serialize_field("parallel", &health.and_then(|health| health.parallel))?;
        fields.serialize_field("latency_ms", &health.map(latency_ms))?;
        fields.serialize_field("models", &models)?;
        fields.serialize_field("error", &error.map(ToString::to_string))?;
        fields.end()
    }
}

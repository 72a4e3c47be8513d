//! The models that providers list, with limits and prices.

use antiphon_llm::{CallContext, Error, Model, Price, Provider};
use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use crate::prices::Prices;
use crate::registry::Built;

/// The models of one provider; its serialised form has an empty list where there is an error.
///
/// Listing sends no prompt, so that nothing is billed.
#[derive(Debug)]
#[non_exhaustive]
pub struct ProviderModels {
    /// The provider and its address.
    pub provider: String,
    /// The models, or the reason why they cannot be listed.
    pub models: Result<Vec<ModelInfo>, Error>,
}

/// A model with its limits and its price.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct ModelInfo {
    /// The model's name at the provider.
    pub id: String,
    /// Whether the model generates text.
    pub answers: bool,
    /// The maximum number of tokens of prompt and answer together; `None` if it is not known.
    pub context_window: Option<u64>,
    /// The maximum number of tokens of an answer; `None` if it is not known.
    pub max_output: Option<u64>,
    /// The price for a short prompt, zero for a local model; `None` if it is not known.
    #[serde(flatten, serialize_with = "usd_micros")]
    pub price: Option<Price>,
}

impl ProviderModels {
    /// Lists the models of a provider. Limits and prices that the provider does not report are added from the table `prices`.
    ///
    /// ```
    /// use antiphon_providers::checkup::ProviderModels;
    /// use antiphon_providers::prices::Prices;
    /// use antiphon_providers::registry::{Kind, Options};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # if !Kind::find("offline").is_some_and(Kind::is_built) { return Ok(()); }
    /// let built = Kind::find("offline").ok_or("unknown")?.build(&Options::new("offline"))?;
    /// let listed = ProviderModels::list(&built, &Prices::shipped()).await;
    /// for model in listed.models? {
    ///     println!("{} of {}", model.id, listed.provider);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Cancel safety
    /// A dropped call changes nothing.
    pub async fn list(built: &Built, prices: &Prices) -> Self {
        let models = built.provider.models(&CallContext::default()).await;
        let models = models
            .map(|models| models.into_iter().map(|model| ModelInfo::new(model, built, prices)).collect());
        Self { provider: built.provider.scope().to_string(), models }
    }
}

impl ModelInfo {
    /// Completes a model with the limits and the price of the table. A limit that the provider reports
    /// prevails.
    fn new(model: Model, built: &Built, prices: &Prices) -> Self {
        let vendor = built.price_vendor.as_deref().unwrap_or_default();
        let known = prices.capabilities(vendor, &model.id);
        let price = built.price(prices, &model.id, model.is_remote, 0);
        Self {
            answers: model.answers,
            context_window: model.context_window.or(known.context_window),
            max_output: known.max_output,
            price,
            id: model.id,
        }
    }
}

/// Serialises a price as millionths of a US dollar for a million tokens.
#[expect(clippy::ref_option, reason = "the signature that serde calls")]
fn usd_micros<S: Serializer>(price: &Option<Price>, serializer: S) -> Result<S::Ok, S::Error> {
    let mut fields = serializer.serialize_struct("Price", 2)?;
    fields.serialize_field("input_usd_micros", &price.map(|price| price.input))?;
    fields.serialize_field("output_usd_micros", &price.map(|price| price.output))?;
    fields.end()
}

impl Serialize for ProviderModels {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("ProviderModels", 3)?;
        fields.serialize_field("provider", &self.provider)?;
        fields.serialize_field("error", &self.models.as_ref().err().map(ToString::to_string))?;
        fields.serialize_field("models", self.models.as_deref().unwrap_or_default())?;
        fields.end()
    }
}

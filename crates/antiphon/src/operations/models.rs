use antiphon_engine::near_name;
use antiphon_llm::{CallContext, Error as LlmError, Price, Provider};

use crate::runtime::{ConnectError, Session, Settings, build, local, located};

/// The models of one provider.
#[derive(Debug)]
#[non_exhaustive]
pub struct ProviderModels {
    /// The provider, and where it is.
    pub provider: String,
    /// Its models, or why they cannot be listed.
    pub models: Result<Vec<ModelInfo>, LlmError>,
}

/// What is known of a model.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ModelInfo {
    /// Its name at the provider.
    pub id: String,
    /// The tokens that prompt and answer may have together.
    pub context_window: Option<u64>,
    /// The most tokens of an answer.
    pub max_output: Option<u64>,
    /// What it costs for a short prompt; `None` if that is not known.
    pub price: Option<Price>,
    /// Whether it writes text.
    pub answers: bool,
}

/// The models of the provider that the settings name; without one, those of the local engines that answer.
///
/// # Errors
/// What of the settings is missing or wrong.
///
/// # Cancel safety
/// Nothing is changed, so nothing is lost.
pub async fn models(settings: &Settings) -> Result<Vec<ProviderModels>, ConnectError> {
    let built = match &settings.provider {
        Some(named) => vec![build(settings, &located(settings, &named.value).await)?],
        None => local(settings).await?.into_iter().map(|(_, built)| built).collect(),
    };
    let mut all = Vec::new();
    for built in built {
        let provider = built.provider.scope();
        let listed = built.provider.models(&CallContext::default()).await;
        let models = listed.map(|listed| {
            let vendor = built.price_vendor.as_deref().unwrap_or_default();
            let known = |model: antiphon_llm::Model| {
                let table = settings.prices.capabilities(vendor, &model.id);
                let price = match built.is_local && !model.is_remote {
                    true => Some(Price::FREE),
                    false => settings.prices.price(vendor, &model.id, 0),
                };
                ModelInfo {
                    context_window: model.context_window.or(table.context_window),
                    max_output: table.max_output,
                    price,
                    answers: model.answers,
                    id: model.id,
                }
            };
            listed.into_iter().map(known).collect()
        });
        all.push(ProviderModels { provider: provider.to_string(), models });
    }
    Ok(all)
}

/// Models of the session's provider whose names are like the one that it does not have, the likeliest first.
///
/// # Cancel safety
/// Nothing is changed, so nothing is lost.
pub async fn near_models(session: &Session) -> Vec<String> {
    let listed = session.provider.models(&CallContext::default()).await.unwrap_or_default();
    let mut names: Vec<String> =
        listed.into_iter().filter(|model| model.answers).map(|model| model.id).collect();
    let mut near = Vec::new();
    while near.len() < 3
        && let Some(name) = near_name(&session.model, names.iter().map(String::as_str)).map(str::to_owned)
    {
        names.retain(|other| *other != name);
        near.push(name);
    }
    near
}

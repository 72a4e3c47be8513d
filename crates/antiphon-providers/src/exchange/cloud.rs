//! The construction of providers for vendors' own services (OpenAI, Anthropic, Gemini) from the registry's
//! options.
//!
//! Such a service needs a key, has one default address, lists models that need no download, and has prices in
//! the shipped table. For servers that users run themselves, `local_server` is the counterpart.

use std::sync::Arc;

use antiphon_llm::{Error, Provider};
use secrecy::SecretString;

use crate::registry::{BuildError, Built, CheckParams, Kind, Options};

/// Returns the key, without which a cloud answers no call; an empty one, which is not sent, where a secret header authenticates.
///
/// # Errors
/// [`BuildError::MissingKey`] with the environment variables that the caller looked up.
pub(crate) fn key_of(options: &Options) -> Result<SecretString, BuildError> {
    let missing = || BuildError::MissingKey { variables: options.key_env.clone() };
    match &options.key {
        Some(key) => Ok(key.clone()),
        None if options.authenticates_by_header() => Ok(SecretString::from("")),
        None => Err(missing()),
    }
}

/// Moves a provider to the address that options name, if they name one.
///
/// `base_url` is the provider's own setter, which knows the path that an address without one gets.
///
/// # Errors
/// `InvalidRequest` for an invalid address.
pub(crate) fn at_address<P>(
    provider: P,
    options: &Options,
    base_url: impl FnOnce(P, &str) -> Result<P, Error>,
) -> Result<P, Error> {
    match &options.base_url {
        Some(url) => base_url(provider, url),
        None => Ok(provider),
    }
}

/// Wraps up the provider of a vendor's own service, at its own address or at another one.
///
/// Prices apply by this table, since another service at a custom address may charge differently:
///
/// | address | name in options | prices |
/// |---|---|---|
/// | the vendor's | any | the vendor's |
/// | custom | the kind's | none but those that a user sets, so the cost of a run is unknown |
/// | custom | another | those of a custom table under that name |
///
/// Prices that a user sets apply at every address: see [`Built::price`].
pub(crate) fn cloud(kind: &Kind, options: &Options, provider: impl Provider + CheckParams) -> Built {
    let provider = Arc::new(provider);
    let price_vendor = match &options.base_url {
        None => kind.price_vendor.map(str::to_owned),
        // Under a custom name the user's table may have prices for it; under the vendor's name it is another service.
        Some(_) => Some(options.name.clone()).filter(|name| name != kind.name),
    };
    Built {
        checked: provider.clone(),
        provider,
        default_model: kind.default_model.map(str::to_owned),
        lists_what_it_has: false,
        is_local: false,
        has_models: true,
        reports_slots: false,
        slots_vary: false,
        is_engine: false,
        price_names: Vec::new(),
        unpriced_field: None,
        price_vendor,
    }
}

//! The construction of providers for servers that users run themselves: Ollama, llama.cpp and compatible
//! servers.
//!
//! Such a server lists only models that it can use without a download, needs a key only if its user set one,
//! and costs nothing if it runs on this machine. Hosted services of the kind `compatible` begin with the same
//! facts and override them.

use std::sync::Arc;

use antiphon_http::is_loopback;
use antiphon_llm::Provider;

use crate::registry::{Built, CheckParams, Options};

/// Wraps up the provider of a server that users run themselves, on this machine or on another.
///
/// `is_local` is judged by the address alone. A server on another machine of the user is not local: it may be a
/// paid service.
pub(crate) fn local_server(options: &Options, provider: impl Provider + CheckParams) -> Built {
    let provider = Arc::new(provider);
    Built {
        is_local: provider.scope().base_url.is_some_and(|url| is_loopback(&url)),
        checked: provider.clone(),
        provider,
        default_model: None,
        lists_what_it_has: true,
        has_models: true,
        reports_slots: false,
        slots_vary: false,
        is_engine: false,
        price_names: Vec::new(),
        unpriced_field: None,
        price_vendor: Some(options.name.clone()),
    }
}

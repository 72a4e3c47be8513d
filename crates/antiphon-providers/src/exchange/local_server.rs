//! The construction of providers for servers that users run themselves: Ollama, llama.cpp and compatible
//! servers.
//!
//! Such a server lists only models that it can use without a download, needs a key only if its user set one,
//! and costs nothing if it runs on this machine. Hosted services of the kind `compatible` begin with the same
//! facts and override them.

use std::sync::Arc;

use antiphon_llm::Provider;
use url::{Host, Url};

use crate::registry::{Built, Options};

/// Wraps up the provider of a server that users run themselves, on this machine or on another.
///
/// `is_local` is judged by the address alone. A server on another machine of the user is not local: it may be a
/// paid service.
pub(crate) fn local_server(options: &Options, provider: impl Provider) -> Built {
    Built {
        is_local: provider.scope().base_url.is_some_and(|url| is_of_this_machine(&url)),
        provider: Arc::new(provider),
        default_model: None,
        lists_what_it_has: true,
        has_models: true,
        reports_slots: false,
        price_vendor: Some(options.name.clone()),
    }
}

/// Returns whether an address is a loopback address: `localhost`, 127.0.0.0/8 or `::1`. Names are not resolved.
fn is_of_this_machine(url: &str) -> bool {
    let url = Url::parse(url).ok();
    match url.as_ref().and_then(Url::host) {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::is_of_this_machine;

    #[test]
    fn loopback_addresses_belong_to_this_machine() {
        for (url, expected) in [
            ("http://localhost:1234/v1", true),
            ("http://127.0.0.2:1", true),
            ("http://[::1]:1", true),
            ("http://192.168.0.7:1", false),
            ("http://localhost.example", false),
            ("no address", false),
        ] {
            assert_eq!(is_of_this_machine(url), expected, "{url}");
        }
    }
}

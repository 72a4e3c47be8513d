use std::sync::Arc;

use antiphon_llm::Provider;
use url::{Host, Url};

use crate::registry::{Built, Options};

/// Wraps up the provider of a server that users run themselves, on this machine or on another.
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

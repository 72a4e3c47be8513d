use std::sync::Arc;

use antiphon_llm::{Error, ErrorKind, Provider};
use secrecy::SecretString;
use url::{Host, Url};

use super::endpoint::Endpoint;
use crate::registry::{BuildError, Built, Kind, Options};

impl Endpoint {
    /// Sets what options say of the connection, but for address and key.
    pub(crate) fn configure(&mut self, options: &Options) {
        options.name.clone_into(&mut self.vendor);
        self.token_timeout = options.token_timeout.unwrap_or(self.token_timeout);
        self.max_connections = options.max_connections.unwrap_or(self.max_connections);
    }
}

/// The key, without which a cloud answers nothing.
pub(crate) fn key_of(options: &Options) -> Result<SecretString, BuildError> {
    let missing = || BuildError::MissingKey { variables: options.key_env.clone() };
    options.key.clone().ok_or_else(missing)
}

/// The same provider at the address that options name, if they name one.
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

/// The route that options name, if it is one of the kind's; else the kind's default.
pub(crate) fn route_of(kind: &Kind, options: &Options) -> Result<&'static str, Error> {
    let wanted = options.route.as_deref().or(kind.routes.first().copied()).unwrap_or_default();
    kind.routes.iter().copied().find(|route| *route == wanted).ok_or_else(|| {
        let known: Vec<String> = kind.routes.iter().map(|route| format!("{route:?}")).collect();
        let (name, known) = (&options.name, known.join(" or "));
        let message = format!("the provider {name} has no route {wanted:?}: it is {known}");
        Error::new(ErrorKind::InvalidRequest, message)
    })
}

/// A vendor's own service, at its own address or at another one.
pub(crate) fn cloud(kind: &Kind, options: &Options, provider: impl Provider) -> Built {
    let price_vendor = match &options.base_url {
        None => kind.price_vendor.map(str::to_owned),
        // Under a name of its own it may have prices of its own; under the vendor's it is another service.
        Some(_) => Some(options.name.clone()).filter(|name| name != kind.name),
    };
    Built {
        provider: Arc::new(provider),
        default_model: kind.default_model.map(str::to_owned),
        lists_what_it_has: false,
        is_local: false,
        has_models: true,
        tells_slots: false,
        price_vendor,
    }
}

/// A server of the user's own, on this machine or on another.
pub(crate) fn own_server(options: &Options, provider: impl Provider) -> Built {
    Built {
        is_local: provider.scope().base_url.is_some_and(|url| is_of_this_machine(&url)),
        provider: Arc::new(provider),
        default_model: None,
        lists_what_it_has: true,
        has_models: true,
        tells_slots: false,
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
    fn loopback_addresses_are_of_this_machine() {
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

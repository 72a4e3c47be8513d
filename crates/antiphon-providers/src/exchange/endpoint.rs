//! Address, authentication and time limits of a server, and the validation of addresses that users write.
//!
//! A key is a [`SecretString`] until the header is set, goes only to the configured host (redirects are not
//! followed), and is never part of an address: addresses are logged and stored in scopes.

use std::time::Duration;

use antiphon_http::{Request, SecretString};
use antiphon_llm::{Error, ErrorKind, Redactor, Scope, redact};
use secrecy::ExposeSecret;
use url::Url;

use super::additions::{Additions, merged_over};
use super::fault::ReadFault;
use crate::registry::Options;

/// The default token time-out of a vendor's own service: reasoning models send nothing while they reason.
///
/// The value bounds the wait for the first token and each pause between two.
#[cfg(feature = "_cloud")]
pub(crate) const CLOUD_TIMEOUT: Duration = Duration::from_secs(120);

/// The default token time-out of a server that users run: a local model may process a long prompt for minutes
/// before its first token.
#[cfg(feature = "_own")]
pub(crate) const OWN_TIMEOUT: Duration = Duration::from_secs(300);

/// The endpoint of a server: its address, authentication, time limits, connection pool, and the reader of its errors.
#[derive(Debug, Clone)]
pub(crate) struct Endpoint {
    /// The provider's name in scopes, logs and reports.
    pub(crate) vendor: String,
    /// The address to which paths are appended, as [`checked_base_url`] returns it: without a trailing slash.
    pub(crate) base_url: String,
    pub(crate) auth: Auth,
    /// The environment variable from which the key was read, for the error of a rejected key.
    pub(crate) key_variable: Option<String>,
    /// Headers of every request that the format itself needs; none of them is a secret.
    pub(crate) headers: Vec<(String, String)>,
    /// The additions of the user to each request.
    pub(crate) additions: Additions,
    /// Secrets in use that are not part of a request, such as the password of a proxy.
    pub(crate) other_secrets: Vec<SecretString>,
    /// The maximum time to the first token and between two of them.
    pub(crate) token_timeout: Duration,
    /// The maximum time of a whole call; `None`: derived from the token time-out and the number of tokens.
    pub(crate) call_timeout: Option<Duration>,
    /// The size of the connection pool: the maximum number of connections in use at a time.
    pub(crate) max_connections: usize,
    /// The reader of the server's errors.
    pub(crate) faults: ReadFault,
}

/// The authentication of requests.
#[derive(Debug, Clone, Default)]
pub(crate) struct Auth {
    /// The vendor's own header for the key; `None`: `Authorization: Bearer`.
    pub(crate) header: Option<String>,
    /// The key; `None`: the server needs none.
    pub(crate) key: Option<SecretString>,
}

impl Endpoint {
    /// Creates an endpoint without key and headers, whose call time-out is derived, and with a pool of 100
    /// connections.
    pub(crate) fn new(
        vendor: &str,
        base_url: impl Into<String>,
        token_timeout: Duration,
        faults: ReadFault,
    ) -> Self {
        Self {
            vendor: vendor.to_owned(),
            base_url: base_url.into(),
            auth: Auth::default(),
            key_variable: None,
            headers: Vec::new(),
            additions: Additions::default(),
            other_secrets: Vec::new(),
            token_timeout,
            call_timeout: None,
            max_connections: 100,
            faults,
        }
    }

    /// Returns the scope of the calls: vendor, address, a digest of the additions, and one of the account, by which rate limits
    /// and caches are kept apart. Secret headers belong to the account, as the key does.
    pub(crate) fn scope(&self) -> Scope {
        let scope = Scope::new(&self.vendor, Some(self.base_url.clone()));
        let scope = match self.additions.identity(None) {
            Some(additions) => scope.variant_digest(&additions),
            None => scope,
        };
        let of_headers = self.additions.secret_headers.iter().map(|(_, value)| value);
        let secrets: Vec<&str> =
            self.auth.key.iter().chain(of_headers).map(ExposeSecret::expose_secret).collect();
        if secrets.is_empty() { scope } else { scope.key(&secrets.join("\n")) }
    }

    /// Creates the redactor of the server's texts: it removes the key, secret headers, other secrets in use, and the values of
    /// other headers, parameters and fields that the user adds.
    pub(crate) fn redactor(&self) -> Redactor {
        let of_headers = self.additions.secret_headers.iter().map(|(_, value)| value);
        let secrets = self.auth.key.iter().chain(of_headers).chain(&self.other_secrets);
        let (named, values) = self.additions.values();
        Redactor::new(secrets.map(ExposeSecret::expose_secret).chain(named), values)
    }

    /// Returns the address of a path, with the query of the additions.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{}", self.base_url, self.additions.with_query(path))
    }

    /// Applies the connection settings of options, except address and key.
    ///
    /// An option that is not set keeps the endpoint's value. The vendor's name is always replaced by that of
    /// the options.
    pub(crate) fn configure(&mut self, options: &Options) {
        options.name.clone_into(&mut self.vendor);
        self.key_variable.clone_from(&options.key_variable);
        self.token_timeout = options.token_timeout.unwrap_or(self.token_timeout);
        self.call_timeout = options.call_timeout.or(self.call_timeout);
        self.max_connections = options.max_connections.unwrap_or(self.max_connections);
        self.add(options);
    }

    /// Applies the additions of options, and the header of the key.
    ///
    /// A secret header that authenticates replaces the key: a proxy must not receive the vendor's key beside its own.
    fn add(&mut self, options: &Options) {
        if let Some(name) = &options.key_header {
            self.auth.header = Some(name.clone()).filter(|name| !name.eq_ignore_ascii_case("authorization"));
        }
        if options.authenticates_by_header() {
            self.auth.key = None;
        }
        let Additions { body, headers, secret_headers, query } = &mut self.additions;
        *body = merged_over(options.extra_body.clone(), std::mem::take(body));
        headers.retain(|(name, _)| !options.headers.keys().any(|own| own.eq_ignore_ascii_case(name)));
        headers.extend(options.headers.clone());
        headers.sort();
        secret_headers.extend(options.secret_headers.clone());
        query.extend(options.query.clone());
        self.other_secrets.extend(options.other_secrets.clone());
    }

    /// Adds the key, the fixed headers and the user's to a request. Of the same name, the last one counts.
    pub(crate) fn prepare(&self, request: Request) -> Request {
        let request = match (&self.auth.key, &self.auth.header) {
            (None, _) => request,
            (Some(key), None) => request.bearer(key),
            (Some(key), Some(name)) => request.header(name, key.expose_secret()),
        };
        let headers = self.headers.iter().chain(&self.additions.headers);
        let request = headers.fold(request, |request, (name, value)| request.header(name, value));
        let secret = self.additions.secret_headers.iter();
        secret.fold(request, |request, (name, value)| request.header(name, value.expose_secret()))
    }
}

/// Validates and normalises an address, so that paths can be appended: it gets no trailing slash, and `default_path` if it has
/// no path.
///
/// Users paste addresses from documentation, so these common forms are accepted:
///
/// | text | `default_path` | result |
/// |---|---|---|
/// | `http://h:1` | `/v1` | `http://h:1/v1` |
/// | `https://h/api/v3/chat/completions` | `/v1` | `https://h/api/v3` |
/// | `http://h:1/v1/` | (empty) | `http://h:1` |
///
/// # Errors
/// `InvalidRequest` for a text that is not an HTTP address, or one with a user, password, query or fragment.
pub(crate) fn checked_base_url(text: &str, default_path: &str) -> Result<String, Error> {
    let invalid = |why: &str| {
        let message =
            format!("{}: {why}. Write it as in http://HOST:PORT{default_path}", unusable_name(text));
        Error::new(ErrorKind::InvalidRequest, message)
    };
    let url = Url::parse(text).map_err(|err| invalid(&format!("it cannot be read ({err})")))?;
    if let Some(why) = unusable(&url) {
        return Err(invalid(why));
    }
    let base = url.as_str().trim_end_matches('/');
    let base = base.strip_suffix("/chat/completions").unwrap_or(base);
    // For a server whose own paths begin at its root, users often know the address of its OpenAI-compatible interface.
    let base = if default_path.is_empty() { base.strip_suffix("/v1").unwrap_or(base) } else { base };
    Ok(match url.path() {
        "/" => format!("{base}{default_path}"),
        _ => base.to_owned(),
    })
}

/// Returns the beginning of the error of an address, with the address itself, unless it may be or contain a key.
fn unusable_name(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || ":/.-_[]".contains(c);
    // A key that was pasted in place of an address has no colon, and a user with a password no port.
    let place = text.split_once("://").map_or(text, |(_, place)| place);
    let authority = place.split('/').next().unwrap_or_default();
    let port = authority.rsplit_once(':').map(|(_, port)| port);
    let has_form = port.map_or(text.contains("://"), |port| port.bytes().all(|byte| byte.is_ascii_digit()));
    if text.len() <= 80 && has_form && text.chars().all(is_plain) && redact(text, &[]) == text {
        format!("cannot use the base URL {text:?}")
    } else {
        "cannot use the base URL".to_owned()
    }
}

/// Returns the reason why an address cannot be a base URL, if there is one.
fn unusable(url: &Url) -> Option<&'static str> {
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Some("it must begin with http:// or https:// and a host");
    }
    let has_more = !url.username().is_empty()
        || url.password().is_some()
        || url.query().is_some()
        || url.fragment().is_some();
    has_more.then_some("it must have no user, password, query or fragment: a key belongs in the environment, and parameters into query")
}

#[cfg(test)]
mod tests {
    use super::checked_base_url;

    #[track_caller]
    fn check(text: &str, expected: Option<&str>) {
        assert_eq!(checked_base_url(text, "/v1").ok().as_deref(), expected, "{text}");
    }

    #[test]
    fn errors_name_the_address_and_no_key() {
        let error = |text: &str| checked_base_url(text, "/v1").unwrap_err().to_string();
        assert_eq!(
            error("localhost:8080"),
            "cannot use the base URL \"localhost:8080\": it must begin with http:// or https:// and a host. Write it as in \
             http://HOST:PORT/v1"
        );
        for text in [
            "http://u:planted@h/v1",
            "http://h/v1?key=planted",
            "sk planted",
            "ada:planted",
            "ftp://sk-planted-0123456789",
        ] {
            let err = error(text);
            assert!(err.starts_with("cannot use the base URL: it ") && !err.contains("planted"), "{err}");
        }
    }

    #[cfg(all(feature = "_cloud", feature = "_own"))]
    #[test]
    fn the_registry_knows_the_default_timeouts() {
        for kind in crate::registry::kinds().iter().filter(|kind| !kind.is_offline) {
            let is_cloud = kind.price_vendor.is_some();
            let expected = if is_cloud { super::CLOUD_TIMEOUT } else { super::OWN_TIMEOUT };
            assert_eq!(kind.default_token_timeout(), expected, "{kind}");
        }
    }

    #[test]
    fn addresses_are_normalised() {
        check("http://localhost:8080", Some("http://localhost:8080/v1"));
        check("http://localhost:8080/v1/", Some("http://localhost:8080/v1"));
        check("https://h.example/api/v3/chat/completions", Some("https://h.example/api/v3"));
        for bad in [
            "",
            "localhost:8080",
            "ftp://h/",
            "http://",
            "http://u:p@h/v1",
            "http://h/v1?key=1",
            "http://h/#x",
        ] {
            check(bad, None);
        }
        assert_eq!(checked_base_url("http://h:1/", "").unwrap(), "http://h:1");
        assert_eq!(checked_base_url("http://h:1/v1/", "").unwrap(), "http://h:1");
    }
}

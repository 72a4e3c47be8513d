use std::time::Duration;

use antiphon_http::{Request, SecretString};
use antiphon_llm::{Error, ErrorKind, Scope};
use secrecy::ExposeSecret;
use url::Url;

use super::fault::Fault;

/// Where a server is, how one is let in, and how it says that something went wrong.
#[derive(Debug, Clone)]
pub(crate) struct Endpoint {
    pub(crate) vendor: String,
    pub(crate) base_url: String,
    pub(crate) auth: Auth,
    /// Sent with every request; none of them is a secret.
    pub(crate) headers: Vec<(String, String)>,
    /// The time to the first token and between two of them.
    pub(crate) token_timeout: Duration,
    /// Connections in use at once.
    pub(crate) max_connections: usize,
    /// Reads an error from a status and a body, if it is one.
    pub(crate) faults: fn(u16, &serde_json::Value, Option<Duration>) -> Option<Fault>,
}

/// How one is let in.
#[derive(Debug, Clone)]
pub(crate) enum Auth {
    /// By nobody.
    None,
    /// By `Authorization: Bearer`.
    Bearer(SecretString),
    /// By a header of the vendor's own.
    Header(String, SecretString),
}

impl Endpoint {
    pub(crate) fn scope(&self) -> Scope {
        let scope = Scope::new(&self.vendor, Some(self.base_url.clone()));
        match self.auth.key() {
            Some(key) => scope.key(key.expose_secret()),
            None => scope,
        }
    }

    /// The same way in, with another key.
    pub(crate) fn with_key(&self, key: SecretString) -> Self {
        let auth = match &self.auth {
            Auth::Header(name, _) => Auth::Header(name.clone(), key),
            Auth::None | Auth::Bearer(_) => Auth::Bearer(key),
        };
        Self { auth, ..self.clone() }
    }

    pub(crate) fn dressed(&self, request: Request) -> Request {
        let request = match &self.auth {
            Auth::None => request,
            Auth::Bearer(key) => request.bearer(key),
            Auth::Header(name, key) => request.header(name, key.expose_secret()),
        };
        self.headers.iter().fold(request, |request, (name, value)| request.header(name, value))
    }
}

impl Auth {
    pub(crate) fn key(&self) -> Option<&SecretString> {
        match self {
            Self::None => None,
            Self::Bearer(key) | Self::Header(_, key) => Some(key),
        }
    }
}

/// A value as it may stand in an address.
pub(crate) fn encoded(value: &str) -> String {
    url::form_urlencoded::byte_serialize(value.as_bytes()).collect()
}

/// An address to which paths can be added: without a slash at its end, and with `default_path` if it has no path at all.
pub(crate) fn checked_base_url(text: &str, default_path: &str) -> Result<String, Error> {
    let invalid = |why: &str| {
        let message = format!("the base URL {why}, as in http://localhost:8080{default_path}");
        Error::new(ErrorKind::InvalidRequest, message)
    };
    let url = Url::parse(text).map_err(|err| invalid(&format!("cannot be read ({err})")))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(invalid("must begin with http:// or https:// and a host"));
    }
    if !url.username().is_empty()
        || url.password().is_some()
        || url.query().is_some()
        || url.fragment().is_some()
    {
        return Err(invalid(
            "must have no user, password, query or fragment: a key belongs into the environment",
        ));
    }
    let base = url.as_str().trim_end_matches('/');
    let base = base.strip_suffix("/chat/completions").unwrap_or(base);
    // Of a server whose own paths begin at its root, people often know the address of its OpenAI-compatible interface.
    let base = if default_path.is_empty() { base.strip_suffix("/v1").unwrap_or(base) } else { base };
    Ok(match url.path() {
        "/" => format!("{base}{default_path}"),
        _ => base.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::checked_base_url;

    #[track_caller]
    fn check(text: &str, expected: Option<&str>) {
        assert_eq!(checked_base_url(text, "/v1").ok().as_deref(), expected, "{text}");
    }

    #[test]
    fn addresses_are_put_into_one_form() {
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

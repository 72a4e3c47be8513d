use std::time::Duration;

use antiphon_http::{Request, SecretString};
use antiphon_llm::{Error, ErrorKind, Scope};
use secrecy::ExposeSecret;
use url::Url;

use super::fault::Fault;
use crate::registry::Options;

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
    /// The time of a whole call; `None`: derived from the token time-out and the tokens.
    pub(crate) call_timeout: Option<Duration>,
    /// Connections in use at once.
    pub(crate) max_connections: usize,
    /// Reads an error from a status and a body, if it is one.
    pub(crate) faults: fn(u16, &serde_json::Value, Option<Duration>) -> Option<Fault>,
}

/// How one is let in.
#[derive(Debug, Clone, Default)]
pub(crate) struct Auth {
    /// The vendor's own header for the key; `None`: `Authorization: Bearer`.
    pub(crate) header: Option<String>,
    /// The key; `None`: everyone is let in.
    pub(crate) key: Option<SecretString>,
}

impl Endpoint {
    pub(crate) fn scope(&self) -> Scope {
        let scope = Scope::new(&self.vendor, Some(self.base_url.clone()));
        match &self.auth.key {
            Some(key) => scope.key(key.expose_secret()),
            None => scope,
        }
    }

    /// Sets what options say of the connection, but for address and key.
    pub(crate) fn configure(&mut self, options: &Options) {
        options.name.clone_into(&mut self.vendor);
        self.token_timeout = options.token_timeout.unwrap_or(self.token_timeout);
        self.call_timeout = options.call_timeout.or(self.call_timeout);
        self.max_connections = options.max_connections.unwrap_or(self.max_connections);
    }

    pub(crate) fn prepare(&self, request: Request) -> Request {
        let request = match (&self.auth.key, &self.auth.header) {
            (None, _) => request,
            (Some(key), None) => request.bearer(key),
            (Some(key), Some(name)) => request.header(name, key.expose_secret()),
        };
        self.headers.iter().fold(request, |request, (name, value)| request.header(name, value))
    }
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

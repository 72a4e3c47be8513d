use std::fmt;
use std::time::Duration;

use reqwest::Method;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use url::Url;

use crate::error::{Error, ErrorKind};

/// A request to be sent. What is wrong with it is told when it is sent.
pub struct Request {
    pub(crate) method: Method,
    url: Result<Url, String>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Option<Vec<u8>>,
    pub(crate) first_byte_timeout: Option<Duration>,
    problem: Option<String>,
}

impl Request {
    /// Asks for what stands under `url`.
    #[must_use]
    pub fn get(url: &str) -> Self {
        Self::new(Method::GET, url)
    }

    /// Hands something over to `url`.
    #[must_use]
    pub fn post(url: &str) -> Self {
        Self::new(Method::POST, url)
    }

    fn new(method: Method, url: &str) -> Self {
        let url = Url::parse(url).map_err(|err| err.to_string());
        Self { method, url, headers: HeaderMap::new(), body: None, first_byte_timeout: None, problem: None }
    }

    /// Sets a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        match (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            (Ok(name), Ok(mut value)) => {
                // Vendors keep keys in headers of many names.
                value.set_sensitive(true);
                self.headers.insert(name, value);
            }
            _ => self.problem = Some(format!("the header {name} has characters that a header cannot have")),
        }
        self
    }

    /// Sets `Authorization: Bearer …`, and sees to it that nothing prints it.
    #[must_use]
    pub fn bearer(mut self, key: &SecretString) -> Self {
        match HeaderValue::try_from(format!("Bearer {}", key.expose_secret())) {
            Ok(mut value) => {
                value.set_sensitive(true);
                self.headers.insert(AUTHORIZATION, value);
            }
            Err(_) => self.problem = Some("the key has characters that a header cannot have".to_owned()),
        }
        self
    }

    /// Sets the body to a value as JSON.
    #[must_use]
    pub fn json(mut self, value: &impl Serialize) -> Self {
        match serde_json::to_vec(value) {
            Ok(body) => {
                self.body = Some(body);
                self.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            }
            Err(err) => self.problem = Some(format!("the body cannot be written as JSON: {err}")),
        }
        self
    }

    /// Sets how long the answer's head may take, instead of the client's own limit.
    #[must_use]
    pub fn first_byte_timeout(mut self, timeout: Duration) -> Self {
        self.first_byte_timeout = Some(timeout);
        self
    }

    /// Method and host, for errors; nothing that could be a secret.
    pub(crate) fn place(&self) -> String {
        let host = self.url.as_ref().ok().and_then(Url::host_str);
        let port = self.url.as_ref().ok().and_then(Url::port);
        match (host, port) {
            (Some(host), Some(port)) => format!("{} {host}:{port}", self.method),
            (Some(host), None) => format!("{} {host}", self.method),
            (None, _) => self.method.to_string(),
        }
    }

    /// The address, if the request can be sent at all.
    pub(crate) fn checked_url(&self) -> Result<Url, Error> {
        let invalid = |reason: String| Error::new(ErrorKind::InvalidRequest, self.place(), reason);
        if let Some(problem) = &self.problem {
            return Err(invalid(problem.clone()));
        }
        let url = self.url.clone().map_err(|err| invalid(format!("the address is not valid: {err}")))?;
        match url.scheme() {
            "http" | "https" if url.has_host() => Ok(url),
            scheme => Err(invalid(format!("addresses begin with http or https, not {scheme}"))),
        }
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Request").field(&self.place()).finish()
    }
}

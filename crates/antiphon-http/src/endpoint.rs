use std::fmt;
use std::sync::Arc;

use http::Method;

/// The method and host of a request, for errors, spans and logs. Neither can be a secret.
#[derive(Debug, Clone)]
pub(crate) struct Endpoint {
    method: Method,
    host: Arc<str>,
}

impl Endpoint {
    pub(crate) fn new(method: Method, host: Arc<str>) -> Self {
        Self { method, host }
    }

    pub(crate) fn method(&self) -> &str {
        self.method.as_str()
    }

    pub(crate) fn host(&self) -> &str {
        &self.host
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host() {
            "" => write!(f, "{}", self.method),
            host => write!(f, "{} {host}", self.method),
        }
    }
}

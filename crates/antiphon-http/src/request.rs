use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use antiphon_resilience::Deadline;
use bytes::Bytes;
use futures_core::Stream;
use futures_util::{StreamExt, TryStreamExt};
use http::Method;
use http::header::{
    ACCEPT, ACCEPT_ENCODING, ACCEPT_LANGUAGE, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName,
    HeaderValue, IF_RANGE, RANGE,
};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use tokio::time::Instant;
use url::{ParseError, Position, Url};

use crate::endpoint::Endpoint;
use crate::error::{BodyError, Error, ErrorKind, RequestPhase};

/// A request to be sent. What is wrong with it is told when it is sent.
#[derive(Clone)]
pub struct Request {
    pub(crate) method: Method,
    url: Result<Url, String>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Payload,
    pub(crate) first_byte_timeout: Option<Duration>,
    pub(crate) deadline: Deadline,
    problem: Option<String>,
}

/// A request and where it goes, in a box of its own: it is handed on often, and is large.
#[derive(Clone)]
pub(crate) struct PreparedRequest {
    pub(crate) request: Request,
    pub(crate) url: Url,
}

impl PreparedRequest {
    /// The same request to where it was sent on. To another host go only headers that hold no secret, and no body.
    pub(crate) fn redirected(mut self: Box<Self>, url: Url) -> Box<Self> {
        if self.url.origin() != url.origin() {
            let headers = &mut self.request.headers;
            let harmless = [RANGE, IF_RANGE, ACCEPT, ACCEPT_ENCODING, ACCEPT_LANGUAGE];
            let kept = harmless.map(|name| headers.remove(&name).map(|value| (name, value)));
            *headers = kept.into_iter().flatten().collect();
            self.request.body = Payload::Nothing;
        }
        self.url = url;
        self
    }
}

/// What is sent along.
#[derive(Clone)]
pub(crate) enum Payload {
    Nothing,
    Bytes(Bytes),
    /// It can be sent once.
    Stream(Arc<Mutex<Option<reqwest::Body>>>, SendActivity),
    /// It is made anew for each attempt.
    #[cfg(feature = "transfer")]
    Form(Arc<dyn Fn() -> reqwest::multipart::Form + Send + Sync>, SendActivity),
}

/// When a piece of a body was last taken to be sent.
#[derive(Debug, Clone)]
pub(crate) struct SendActivity(Arc<Mutex<Instant>>);

impl SendActivity {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new(Instant::now())))
    }

    pub(crate) fn last(&self) -> Instant {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn note(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }
}

impl Payload {
    /// Adds it to what is sent now; `None` if it can be sent only once, and was.
    pub(crate) fn add_to(self, sending: reqwest::RequestBuilder) -> Option<reqwest::RequestBuilder> {
        Some(match self {
            Self::Nothing => sending,
            Self::Bytes(bytes) => sending.body(bytes),
            Self::Stream(body, _) => {
                let body = body.lock().unwrap_or_else(PoisonError::into_inner).take()?;
                sending.body(body)
            }
            #[cfg(feature = "transfer")]
            Self::Form(make, _) => sending.multipart(make()),
        })
    }

    /// When pieces of it are taken, if it comes in pieces.
    pub(crate) fn activity(&self) -> Option<SendActivity> {
        match self {
            Self::Nothing | Self::Bytes(_) => None,
            Self::Stream(_, activity) => Some(activity.clone()),
            #[cfg(feature = "transfer")]
            Self::Form(_, activity) => Some(activity.clone()),
        }
    }
}

impl Request {
    /// Asks for what stands under `url`.
    #[must_use]
    pub fn get(url: &str) -> Self {
        Self::of(Method::GET, url)
    }

    /// Hands something over to `url`.
    #[must_use]
    pub fn post(url: &str) -> Self {
        Self::of(Method::POST, url)
    }

    /// Puts something under `url`.
    #[must_use]
    pub fn put(url: &str) -> Self {
        Self::of(Method::PUT, url)
    }

    /// Removes what stands under `url`.
    #[must_use]
    pub fn delete(url: &str) -> Self {
        Self::of(Method::DELETE, url)
    }

    /// A request of any method, such as `PATCH` or `HEAD`.
    #[must_use]
    pub fn new(method: &str, url: &str) -> Self {
        let (method, problem) = match Method::from_bytes(method.as_bytes()) {
            Ok(method) => (method, None),
            Err(_) => (Method::GET, Some(format!("{} is no method", method.escape_debug()))),
        };
        Self { problem, ..Self::of(method, url) }
    }

    fn of(method: Method, url: &str) -> Self {
        Self {
            method,
            url: Url::parse(url).map_err(|err| match err {
                ParseError::RelativeUrlWithoutBase => "it does not begin with http:// or https://".to_owned(),
                err => err.to_string(),
            }),
            headers: HeaderMap::new(),
            body: Payload::Nothing,
            first_byte_timeout: None,
            deadline: Deadline::none(),
            problem: None,
        }
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
            _ => {
                self.problem = Some(format!(
                    "the header {} has characters that a header cannot have",
                    name.escape_debug()
                ));
            }
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

    /// Names the request, so that a server that knows `Idempotency-Key` does it once however often it comes. Such a
    /// request is sent again also when it may have been done; a `POST` or `PATCH` without one is not.
    #[must_use]
    pub fn idempotency_key(self, key: &str) -> Self {
        self.header("idempotency-key", key)
    }

    /// Names the request as `X-Request-Id`, for the server's log.
    #[must_use]
    pub fn request_id(self, id: &str) -> Self {
        self.header("x-request-id", id)
    }

    /// Sets the body to a value as JSON.
    #[must_use]
    pub fn json(mut self, value: &(impl Serialize + ?Sized)) -> Self {
        match serde_json::to_vec(value) {
            Ok(body) => {
                self.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
                self.body = Payload::Bytes(body.into());
            }
            Err(err) => self.problem = Some(format!("the body cannot be written as JSON: {err}")),
        }
        self
    }

    /// Sets the body to bytes.
    #[must_use]
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = Payload::Bytes(body.into());
        self
    }

    /// Sets the body to what a stream gives while it is being sent. It can be sent once: the request is not retried.
    #[must_use]
    pub fn stream<S, E>(mut self, body: S) -> Self
    where
        S: Stream<Item = Result<Bytes, E>> + Send + 'static,
        E: Into<Box<dyn std::error::Error + Send + Sync>> + 'static,
    {
        let activity = SendActivity::new();
        let taken = activity.clone();
        let pieces = body.inspect(move |_| taken.note()).map_err(|err| BodyError {
            kind: ErrorKind::InvalidRequest,
            reason: format!("its body could not be had: {}", err.into()),
        });
        self.body = Payload::Stream(Arc::new(Mutex::new(Some(reqwest::Body::wrap_stream(pieces)))), activity);
        self
    }

    /// Sets the body to a form that is made anew for each attempt.
    #[cfg(feature = "transfer")]
    pub(crate) fn form(
        mut self,
        make: impl Fn() -> reqwest::multipart::Form + Send + Sync + 'static,
        activity: SendActivity,
    ) -> Self {
        self.body = Payload::Form(Arc::new(make), activity);
        self
    }

    /// Sets how long the answer's head may take, instead of the client's own limit.
    #[must_use]
    pub fn first_byte_timeout(mut self, timeout: Duration) -> Self {
        self.first_byte_timeout = Some(timeout);
        self
    }

    /// Sets by when everything must be over: waiting for its turn, attempts, pauses, and the body.
    #[must_use]
    pub fn deadline(mut self, deadline: Deadline) -> Self {
        self.deadline = deadline;
        self
    }

    /// Whether it does no harm to send it twice.
    pub(crate) fn may_be_repeated(&self) -> bool {
        self.method.is_idempotent() || self.headers.contains_key("idempotency-key")
    }

    pub(crate) fn can_be_repeated(&self) -> bool {
        !matches!(self.body, Payload::Stream(..))
    }

    /// The request with its address, if it can be sent at all.
    pub(crate) fn prepared(mut self) -> Result<Box<PreparedRequest>, Error> {
        if let Some(reason) = self.problem() {
            return Err(Error::new(ErrorKind::InvalidRequest, RequestPhase::Queue, self.origin(), reason));
        }
        // It stands beside the request from now on.
        match std::mem::replace(&mut self.url, Err(String::new())) {
            Ok(url) => Ok(Box::new(PreparedRequest { request: self, url })),
            Err(reason) => {
                Err(Error::new(ErrorKind::InvalidRequest, RequestPhase::Queue, self.origin(), reason))
            }
        }
    }

    /// What is wrong with it.
    fn problem(&self) -> Option<String> {
        if let Some(problem) = &self.problem {
            return Some(problem.clone());
        }
        match &self.url {
            Err(reason) => Some(format!("the address is not valid: {reason}")),
            Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => None,
            Ok(url) => Some(format!("addresses begin with http or https, not {}", url.scheme())),
        }
    }

    /// Method and host, for errors.
    pub(crate) fn origin(&self) -> Endpoint {
        Endpoint::new(self.method.clone(), self.host().into())
    }

    /// Host and port, as far as there are any; nothing that could be a secret.
    fn host(&self) -> &str {
        self.url.as_ref().map_or("", |url| &url[Position::BeforeHost..Position::AfterPort])
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Request").field(&format_args!("{} {}", self.method, self.host())).finish()
    }
}

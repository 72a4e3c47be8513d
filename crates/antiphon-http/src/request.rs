use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use antiphon_resilience::Deadline;
use bytes::Bytes;
use futures_core::Stream;
use futures_util::{StreamExt, TryStreamExt, stream};
use http::Method;
use http::header::{
    ACCEPT, ACCEPT_ENCODING, ACCEPT_LANGUAGE, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName,
    HeaderValue, IF_RANGE, RANGE,
};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use tokio::time::Instant;
use url::{Position, Url};

use crate::endpoint::Endpoint;
use crate::error::{BodyError, Error, ErrorKind};
use crate::invalid::InvalidRequest;

/// A request for [`Client::send`](crate::Client::send). The setters never fail: [`send`](crate::Client::send) reports an
/// invalid value as `InvalidRequest`.
///
/// ```
/// use antiphon_http::Request;
/// let request = Request::post("https://example.org/orders").idempotency_key("order-7").json(&[1, 2]);
/// # drop(request);
/// ```
#[derive(Clone)]
pub struct Request {
    pub(crate) method: Method,
    /// The address, or the reason why it cannot be parsed.
    url: Result<Url, InvalidRequest>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Payload,
    pub(crate) first_byte_timeout: Option<Duration>,
    pub(crate) deadline: Deadline,
    /// Whether `deadline` is the client's timeout, and not the caller's.
    pub(crate) has_client_timeout: bool,
    /// The last value that a setter could not use.
    problem: Option<InvalidRequest>,
}

/// A request and its parsed address; boxed, since it is moved often and is large.
#[derive(Clone)]
pub(crate) struct PreparedRequest {
    pub(crate) request: Request,
    pub(crate) url: Url,
}

impl PreparedRequest {
    /// Returns the request for a redirect's target. For another host, only headers that cannot hold a secret are kept, and no
    /// body.
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

/// The body of a request.
#[derive(Clone)]
pub(crate) enum Payload {
    /// No body.
    Nothing,
    /// Bytes in memory, which can be sent any number of times.
    Bytes(Bytes),
    /// A stream, which can be sent once.
    Stream(Arc<Mutex<Option<reqwest::Body>>>, SendActivity),
    /// A form that is created for each attempt.
    #[cfg(feature = "transfer")]
    Form(Arc<dyn Fn() -> reqwest::multipart::Form + Send + Sync>, SendActivity),
}

/// The progress of sending a body in pieces: the time at which a piece was last taken to be sent, and whether all were.
#[derive(Debug, Clone)]
pub(crate) struct SendActivity(Arc<Mutex<Sending>>);

/// The progress behind a [`SendActivity`].
#[derive(Debug, Clone, Copy)]
struct Sending {
    last: Instant,
    is_done: bool,
}

impl SendActivity {
    /// Creates an activity at the present time.
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new(Sending { last: Instant::now(), is_done: false })))
    }

    /// Returns the time of the last activity.
    pub(crate) fn last(&self) -> Instant {
        self.lock().last
    }

    /// Returns whether the last piece was taken.
    pub(crate) fn is_done(&self) -> bool {
        self.lock().is_done
    }

    /// Records that a piece is taken now, of this attempt's body.
    pub(crate) fn note(&self) {
        *self.lock() = Sending { last: Instant::now(), is_done: false };
    }

    /// Records that all pieces were taken.
    pub(crate) fn end(&self) {
        self.lock().is_done = true;
    }

    fn lock(&self) -> MutexGuard<'_, Sending> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Payload {
    /// Adds the body to the request; `None` if it can be sent only once, and was.
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

    /// Returns the sending activity of a body that is sent in pieces.
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
    /// Creates a `GET` request.
    #[must_use]
    pub fn get(url: &str) -> Self {
        Self::of(Method::GET, url)
    }

    /// Creates a `POST` request.
    #[must_use]
    pub fn post(url: &str) -> Self {
        Self::of(Method::POST, url)
    }

    /// Creates a `PUT` request.
    #[must_use]
    pub fn put(url: &str) -> Self {
        Self::of(Method::PUT, url)
    }

    /// Creates a `DELETE` request.
    #[must_use]
    pub fn delete(url: &str) -> Self {
        Self::of(Method::DELETE, url)
    }

    /// Creates a request with any method, such as `PATCH` or `HEAD`.
    #[must_use]
    pub fn new(method: &str, url: &str) -> Self {
        let (method, problem) = match Method::from_bytes(method.as_bytes()) {
            Ok(method) => (method, None),
            Err(_) => (Method::GET, Some(InvalidRequest::Method)),
        };
        Self { problem, ..Self::of(method, url) }
    }

    fn of(method: Method, url: &str) -> Self {
        Self {
            method,
            url: Url::parse(url).map_err(InvalidRequest::Address),
            headers: HeaderMap::new(),
            body: Payload::Nothing,
            first_byte_timeout: None,
            deadline: Deadline::none(),
            has_client_timeout: false,
            problem: None,
        }
    }

    /// Sets a header, and replaces an earlier value. The value is marked as sensitive, so that it is never logged.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        match (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            (Ok(name), Ok(mut value)) => {
                // Vendors use headers of many names for keys.
                value.set_sensitive(true);
                self.headers.insert(name, value);
            }
            (Ok(name), Err(_)) => self.problem = Some(InvalidRequest::HeaderValue(name)),
            (Err(_), _) => self.problem = Some(InvalidRequest::HeaderName),
        }
        self
    }

    /// Sets `Authorization: Bearer …`, and marks it as sensitive: it is never logged.
    #[must_use]
    pub fn bearer(mut self, key: &SecretString) -> Self {
        match HeaderValue::try_from(format!("Bearer {}", key.expose_secret())) {
            Ok(mut value) => {
                value.set_sensitive(true);
                self.headers.insert(AUTHORIZATION, value);
            }
            Err(_) => self.problem = Some(InvalidRequest::Key),
        }
        self
    }

    /// Sets the idempotency key (`Idempotency-Key`).
    ///
    /// A server that supports the header processes the request once, even if it arrives several times. If the response is
    /// missing, a request with a key is retried; a `POST` or `PATCH` without a key is not, since the server may have acted on
    /// it.
    #[must_use]
    pub fn idempotency_key(self, key: &str) -> Self {
        self.header("idempotency-key", key)
    }

    /// Sets `X-Request-Id`, by which the server's log can be searched.
    #[must_use]
    pub fn request_id(self, id: &str) -> Self {
        self.header("x-request-id", id)
    }

    /// Sets the body to a value as JSON, and the content type to `application/json`.
    #[must_use]
    pub fn json(mut self, value: &(impl Serialize + ?Sized)) -> Self {
        match serde_json::to_vec(value) {
            Ok(body) => {
                self.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
                self.body = Payload::Bytes(body.into());
            }
            Err(_) => self.problem = Some(InvalidRequest::Json),
        }
        self
    }

    /// Sets the body to bytes. No content type is set.
    #[must_use]
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = Payload::Bytes(body.into());
        self
    }

    /// Sets the body to a stream, which is read while it is sent. A stream can be read only once, so the request is never
    /// retried. No content type is set.
    #[must_use]
    pub fn stream<S, E>(mut self, body: S) -> Self
    where
        S: Stream<Item = Result<Bytes, E>> + Send + 'static,
        E: Into<Box<dyn std::error::Error + Send + Sync>> + 'static,
    {
        let activity = SendActivity::new();
        let (taken, ended) = (activity.clone(), activity.clone());
        let pieces = body.inspect(move |_| taken.note()).map_err(|err| BodyError {
            kind: ErrorKind::InvalidRequest,
            reason: format!("cannot read the request body: {}", err.into()),
        });
        let end = stream::poll_fn(move |_| {
            ended.end();
            Poll::Ready(None)
        });
        let body = reqwest::Body::wrap_stream(pieces.chain(end));
        self.body = Payload::Stream(Arc::new(Mutex::new(Some(body))), activity);
        self
    }

    /// Sets the body to a form that is created for each attempt.
    #[cfg(feature = "transfer")]
    pub(crate) fn form(
        mut self,
        make: impl Fn() -> reqwest::multipart::Form + Send + Sync + 'static,
        activity: SendActivity,
    ) -> Self {
        self.body = Payload::Form(Arc::new(make), activity);
        self
    }

    /// Sets the maximum time to the response's head, including the opening of the connection, instead of the client's
    /// [`first_byte_timeout`](crate::ClientBuilder::first_byte_timeout).
    #[must_use]
    pub fn first_byte_timeout(mut self, timeout: Duration) -> Self {
        self.first_byte_timeout = Some(timeout);
        self
    }

    /// Sets the deadline of the whole request: queueing, attempts, the pauses between them, and the body. A request that exceeds
    /// it fails with [`DeadlineExceeded`](crate::ErrorKind::DeadlineExceeded). The deadline replaces the client's
    /// [`timeout`](crate::ClientBuilder::timeout).
    #[must_use]
    pub fn deadline(mut self, deadline: Deadline) -> Self {
        self.deadline = deadline;
        self
    }

    /// Applies the client's timeout, unless the caller has set a deadline.
    pub(crate) fn limit_by(&mut self, timeout: Option<Duration>) {
        if let (None, Some(timeout)) = (self.deadline.instant(), timeout) {
            (self.deadline, self.has_client_timeout) = (Deadline::after(timeout), true);
        }
    }

    /// Returns whether the request is idempotent, by its method or by an idempotency key.
    pub(crate) fn may_be_repeated(&self) -> bool {
        self.method.is_idempotent() || self.headers.contains_key("idempotency-key")
    }

    /// Returns whether the body can be sent again: not if it is a stream.
    pub(crate) fn can_be_repeated(&self) -> bool {
        !matches!(self.body, Payload::Stream(..))
    }

    /// Returns the request with its address, or the reason why it cannot be sent.
    pub(crate) fn prepared(mut self) -> Result<Box<PreparedRequest>, Error> {
        let origin = self.origin();
        match self.take_url() {
            Ok(url) => Ok(Box::new(PreparedRequest { request: self, url })),
            Err(reason) => Err(Error::invalid_request(&reason, origin)),
        }
    }

    /// Takes the address, which is kept beside the request from now on.
    fn take_url(&mut self) -> Result<Url, InvalidRequest> {
        if let Some(problem) = self.problem.take() {
            return Err(problem);
        }
        let url = std::mem::replace(&mut self.url, Err(InvalidRequest::Taken))?;
        let is_http = matches!(url.scheme(), "http" | "https") && url.has_host();
        is_http.then_some(url).ok_or(InvalidRequest::Scheme)
    }

    /// Returns the method and host, for errors.
    pub(crate) fn origin(&self) -> Endpoint {
        Endpoint::new(self.method.clone(), self.host().into())
    }

    /// Returns the host and port, empty for an invalid address. Neither can be a secret.
    fn host(&self) -> &str {
        self.url.as_ref().map_or("", |url| &url[Position::BeforeHost..Position::AfterPort])
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Request").field(&format_args!("{} {}", self.method, self.host())).finish()
    }
}

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use antiphon_resilience::Attempt;
use serde::Serialize;
use tracing::{Instrument, Span, field, info, info_span};
use url::{Position, Url};

use crate::attempt::{self, Failure};
use crate::endpoint::Endpoint;
use crate::error::{Error, ErrorKind, RequestPhase};
use crate::hosts::{Host, HostLimits, Hosts};
use crate::network_policy::NOT_PUBLIC;
use crate::options::ClientBuilder;
use crate::request::{PreparedRequest, Request};
use crate::response::Response;
use crate::retry::HttpRetry;
use crate::transport::Transport;

/// An HTTP client with a connection pool; a clone is another handle to the same pool.
///
/// Each request is sent once, unless the client has a [retry policy](ClientBuilder::retry). The default client has the
/// timeouts and limits that [`ClientBuilder`] lists, and no retry policy, circuit breaker or rate limiter. Create one
/// client and clone it: each new one has a connection pool of its own.
///
/// | method | with a retry policy, retried if the server may have acted on it and sent no response |
/// |---|---|
/// | [`get`](Self::get), [`put`](Self::put), [`delete`](Self::delete) | yes |
/// | [`post`](Self::post) | no |
/// | [`send`](Self::send), for a [`Request`] with headers and body | if the request is idempotent |
///
/// All of them treat statuses alike: a response with any status is a success, even 404 or 500, as in reqwest. Use
/// [`Response::error_for_status`] to check the status. [`batch`](Self::batch), [`download`](Self::download) and
/// [`upload`](Self::upload) check it themselves.
///
/// If the server closed a connection while that was idle, the request is sent once more on another one, also without a retry
/// policy. That is no attempt, and is not reported:
///
/// | request | sent once more |
/// |---|---|
/// | nothing of it was written | yes, whatever its method |
/// | written; idempotent by its method or its [key](Request::idempotency_key) | yes, if the connection had answered before and ended within 1 s without a response |
/// | written; not idempotent, such as a `POST` without a key | no: the server may have acted on it, and the error is `Interrupted` |
/// | written; its body is a stream, or it was sent on HTTP/2 | no |
///
/// # Examples
/// ```no_run
/// use antiphon_http::{Client, Error, Request};
/// # async fn example() -> Result<(), Error> {
/// let client = Client::default();
/// let request = Request::post("https://example.org/orders").idempotency_key("order-7").json(&[1, 2]);
/// let response = client.send(request).await?;
/// println!("{} after {} attempts", response.status(), response.attempts());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Client {
    pub(crate) inner: Arc<Inner>,
}

/// The client behind all handles.
#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) options: ClientBuilder,
    /// Hosts that requests were sent to, with their connections in use.
    pub(crate) hosts: Hosts,
    /// Clients of reqwest that own the connections.
    pub(crate) transport: Transport,
}

impl Default for Client {
    fn default() -> Self {
        Self::builder().build()
    }
}

impl Client {
    /// Returns a builder for the client's timeouts, limits, retries, circuit breaker and rate limiter.
    #[must_use]
    pub fn builder() -> ClientBuilder {
        ClientBuilder::default()
    }

    /// Creates a client that sends its requests with a custom reqwest client.
    ///
    /// Connection pool, connect timeout, TLS, proxies, redirects and user agent are those of the reqwest client; all other
    /// options, such as the other timeouts and `max_body`, are the defaults of [`ClientBuilder`]. HTTP/2 requests to one host
    /// share one connection. The end of connecting cannot be seen from outside: a first-byte timeout or a deadline that passes in
    /// it has the phase `FirstByte`.
    #[must_use]
    pub fn from_reqwest(client: reqwest::Client) -> Self {
        Self::over(Transport::Given(client), ClientBuilder::default())
    }

    pub(crate) fn new(options: ClientBuilder) -> Self {
        Self::over(Transport::Own(Box::default()), options)
    }

    fn over(transport: Transport, options: ClientBuilder) -> Self {
        let limits = HostLimits {
            max_streams: options.max_streams_per_connection,
            max_connections: options.max_connections,
            speaks_http2: options.http2_prior_knowledge,
            retry_budget: options.retry.as_ref().and_then(|retry| retry.budget),
        };
        Self { inner: Arc::new(Inner { options, hosts: Hosts::new(limits), transport }) }
    }

    /// Sends a `GET` request to `url`. Any status is a success, as for [`send`](Client::send).
    ///
    /// # Errors
    /// As [`send`](Client::send).
    ///
    /// # Cancel safety
    /// Dropping the future closes the connection.
    pub async fn get(&self, url: &str) -> Result<Response, Error> {
        self.send(Request::get(url)).await
    }

    /// Sends a value as JSON in a `POST` request. If the response is missing, the request is not retried, since the server may
    /// have acted on it. Use [`send`](Client::send) with [`Request::idempotency_key`] for a request that may be retried in this
    /// case, too.
    ///
    /// # Errors
    /// As [`send`](Client::send).
    ///
    /// # Cancel safety
    /// Dropping the future closes the connection; the server may have acted on the request.
    pub async fn post(&self, url: &str, value: &(impl Serialize + Sync + ?Sized)) -> Result<Response, Error> {
        self.send(Request::post(url).json(value)).await
    }

    /// Sends a value as JSON in a `PUT` request. A `PUT` is idempotent, so it is retried also if the
    /// response is missing.
    ///
    /// # Errors
    /// As [`send`](Client::send).
    ///
    /// # Cancel safety
    /// Dropping the future closes the connection; the server may have acted on the request.
    pub async fn put(&self, url: &str, value: &(impl Serialize + Sync + ?Sized)) -> Result<Response, Error> {
        self.send(Request::put(url).json(value)).await
    }

    /// Sends a `DELETE` request to `url`. A `DELETE` is idempotent, so it is retried also if the
    /// response is missing.
    ///
    /// # Errors
    /// As [`send`](Client::send).
    ///
    /// # Cancel safety
    /// Dropping the future closes the connection; the server may have acted on the request.
    pub async fn delete(&self, url: &str) -> Result<Response, Error> {
        self.send(Request::delete(url)).await
    }

    /// Sends a request and returns the response as soon as its head has arrived.
    ///
    /// Any status is a success of this method, even 404 or 500: use [`Response::error_for_status`] to check the status. With a
    /// retry policy, the response is that of the last attempt.
    ///
    /// # Errors
    /// `InvalidRequest`, also for a host that the [network policy](ClientBuilder::network_policy) excludes; `CircuitOpen` while
    /// the circuit breaker is open; `Connect`, `Exhausted`, `Tls`, `Timeout`, `DeadlineExceeded`, `Interrupted` or
    /// `InvalidResponse` if no head arrived.
    ///
    /// # Cancel safety
    /// Dropping the future closes the connection; the server may have acted on the request.
    pub async fn send(&self, mut request: Request) -> Result<Response, Error> {
        request.limit_by(self.inner.options.timeout);
        let mut prepared = request.prepared()?;
        let mut left = self.inner.options.max_redirects;
        loop {
            self.check_policy(&prepared)?;
            let repeat = (left > 0 && prepared.request.method.is_safe()).then(|| prepared.clone());
            let response = self.send_once(prepared).await?;
            let to = repeat.and_then(|repeat| Some((redirect(&response, &repeat.url)?, repeat)));
            let Some((to, repeat)) = to else { return Ok(response) };
            left -= 1;
            prepared = repeat.redirected(to);
        }
    }

    /// Refuses an address that the network policy excludes. Each target of a redirect is checked, too.
    fn check_policy(&self, prepared: &PreparedRequest) -> Result<(), Error> {
        if !self.inner.options.network_policy.excludes(&prepared.url) {
            return Ok(());
        }
        let host = &prepared.url[Position::BeforeHost..Position::AfterPort];
        let endpoint = Endpoint::new(prepared.request.method.clone(), host.into());
        Err(Error::new(ErrorKind::InvalidRequest, RequestPhase::Queue, endpoint, NOT_PUBLIC))
    }

    /// Sends a request, with its retries and without redirects.
    async fn send_once(&self, prepared: Box<PreparedRequest>) -> Result<Response, Error> {
        let PreparedRequest { request, url } = &*prepared;
        let host = self.inner.hosts.for_url(url);
        let span = info_span!(
            "http.client.request",
            otel.kind = "client",
            http.request.method = request.method.as_str(),
            server.address = url.host_str(),
            server.port = url.port_or_known_default(),
            url.scheme = url.scheme(),
            http.response.status_code = field::Empty,
            error.r#type = field::Empty,
        );
        let result = self.with_retries(prepared, host).instrument(span.clone()).await;
        record(&span, result.as_ref().map(Response::status));
        result
    }

    /// Sends a request under the retry policy and the host's retry budget. A body that can be sent only once is not
    /// retried.
    async fn with_retries(&self, prepared: Box<PreparedRequest>, host: Arc<Host>) -> Result<Response, Error> {
        let retry = self.inner.options.retry.as_ref().filter(|_| prepared.request.can_be_repeated());
        let Some(HttpRetry { policy, .. }) = retry else {
            return attempt::send(&self.inner, &prepared, host, 1).await.or_else(Failure::into_result);
        };
        let (deadline, may_be_repeated) = (prepared.request.deadline, prepared.request.may_be_repeated());
        let attempts = AtomicU32::new(0);
        let op = |attempt: Attempt| {
            attempts.store(attempt.number, Ordering::Relaxed);
            attempt::send(&self.inner, &prepared, host.clone(), attempt.number)
        };
        let classify = |failure: &Failure| {
            info!("attempt {}: {failure}", attempts.load(Ordering::Relaxed));
            failure.verdict(may_be_repeated)
        };
        let mut run = policy.run(classify, op).deadline(deadline);
        if let Some(budget) = &host.retry_budget {
            run = run.budget(budget);
        }
        let result = run.await.or_else(Failure::into_result);
        let attempts = attempts.load(Ordering::Relaxed);
        match result {
            Ok(response) => Ok(response.with_attempts(attempts)),
            Err(err) => Err(err.with_attempts(attempts)),
        }
    }
}

/// Returns the redirect's target, if the response is a redirect that may be followed.
fn redirect(response: &Response, from: &Url) -> Option<Url> {
    if !matches!(response.status(), 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let to = from.join(response.header("location")?).ok()?;
    let is_secret_no_more = from.scheme() == "https" && to.scheme() != "https";
    (matches!(to.scheme(), "http" | "https") && !is_secret_no_more).then_some(to)
}

/// Records the result in the span: the status, and the kind of a failure.
pub(crate) fn record(span: &Span, result: Result<u16, &Error>) {
    if span.is_disabled() {
        return;
    }
    match result {
        Ok(status) => {
            span.record("http.response.status_code", status);
            if status >= 400 {
                span.record("error.type", field::display(status));
            }
        }
        Err(err) => {
            span.record("error.type", kind_name(err.kind()));
        }
    }
}

/// Returns the name of a kind for the attribute `error.type`; `_OTHER` is OpenTelemetry's fallback.
fn kind_name(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::InvalidRequest => "invalid_request",
        ErrorKind::Connect => "connect",
        ErrorKind::Tls => "tls",
        ErrorKind::Timeout { phase: RequestPhase::Queue } => "queue_timeout",
        ErrorKind::Timeout { phase: RequestPhase::Connect } => "connect_timeout",
        ErrorKind::Timeout { .. } => "timeout",
        ErrorKind::DeadlineExceeded => "deadline_exceeded",
        ErrorKind::Interrupted => "interrupted",
        ErrorKind::InvalidResponse => "invalid_response",
        ErrorKind::CircuitOpen { .. } => "rejected",
        _ => "_OTHER",
    }
}

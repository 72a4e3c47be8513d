use std::fmt;
use std::time::Duration;

use antiphon_resilience::{CircuitBreaker, RateLimiter};

use crate::client::Client;
use crate::network_policy::NetworkPolicy;
use crate::retry::HttpRetry;

/// A builder for a [`Client`]: its timeouts, limits, retries, circuit breaker and rate limiter.
///
/// Retry policy, circuit breaker and rate limiter are off by default. Each attempt of a request first waits for the rate
/// limiter, then for a free connection, and then asks the circuit breaker. A half-open breaker therefore never spends a trial
/// call on an attempt that still waits in a queue.
///
/// ```
/// use std::time::Duration;
/// use antiphon_http::{Client, RetryPolicy};
/// let client = Client::builder().retry(RetryPolicy::default()).idle_timeout(Duration::from_secs(10)).build();
/// # drop(client);
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub struct ClientBuilder {
    /// The maximum time to open a connection, including the TLS handshake. Default 5 s.
    pub connect_timeout: Duration,
    /// The maximum time of an attempt to the response's head, including the opening of its connection. If it passes before the
    /// connection is open, the phase of the `Timeout` is `Connect`. The time restarts with each piece of a streamed request body.
    /// Default 30 s.
    pub first_byte_timeout: Duration,
    /// The maximum time between two pieces of a response body. Default 30 s.
    pub idle_timeout: Duration,
    /// The maximum total time of a request: queueing, all attempts, the pauses between them, and reading the body. Default
    /// `None`: no limit. [`Request::deadline`](crate::Request::deadline) takes precedence.
    pub timeout: Option<Duration>,
    /// The maximum size in bytes, after decompression, of a body that is read as a whole, and of each event or line of a
    /// stream. Default 16 MiB.
    pub max_body: usize,
    /// The maximum number of requests in flight on one HTTP/2 connection before another is opened. Default 100, the limit of
    /// most hosted front ends; 0 counts as 1.
    pub max_streams_per_connection: usize,
    /// The size of the connection pool of each host. Further requests wait until a connection is free (backpressure). Idle
    /// connections are kept alive (keep-alive). The limit does not apply to HTTP/2, where requests share connections. Default
    /// 100; 0 counts as 1.
    pub max_connections: usize,
    /// Whether requests to `http` addresses use HTTP/2 without negotiation (prior knowledge). Default false: they use HTTP/1.1.
    /// For `https` addresses the version is negotiated by ALPN.
    pub http2_prior_knowledge: bool,
    /// The maximum number of redirects that a `GET`, a `HEAD` or another request with a safe method follows. Headers that were
    /// set for one host are not sent to another, and a redirect from `https` to `http` is not followed. Default 0: the redirect
    /// itself is the response.
    pub max_redirects: u32,
    /// The hosts that the client may connect to. Default [`NetworkPolicy::Any`].
    pub network_policy: NetworkPolicy,
    /// The `User-Agent` header. Default `antiphon/` and the version.
    pub user_agent: String,
    /// The retries: policy, statuses and budget. Default `None`: a request is sent once.
    pub retry: Option<HttpRetry>,
    /// The circuit breaker, which rejects requests while the server fails. Default `None`.
    pub breaker: Option<CircuitBreaker>,
    /// The token-bucket rate limiter. Default `None`.
    pub rate_limiter: Option<RateLimiter>,
    pub(crate) roots: Vec<Vec<u8>>,
}

impl Default for ClientBuilder {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            first_byte_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(30),
            timeout: None,
            max_body: 16 << 20,
            max_streams_per_connection: 100,
            max_connections: 100,
            http2_prior_knowledge: false,
            max_redirects: 0,
            network_policy: NetworkPolicy::Any,
            user_agent: concat!("antiphon/", env!("CARGO_PKG_VERSION")).to_owned(),
            retry: None,
            breaker: None,
            rate_limiter: None,
            roots: Vec::new(),
        }
    }
}

impl fmt::Debug for ClientBuilder {
    /// Writes all options but the user agent and the certificates.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientBuilder")
            .field("connect_timeout", &self.connect_timeout)
            .field("first_byte_timeout", &self.first_byte_timeout)
            .field("idle_timeout", &self.idle_timeout)
            .field("timeout", &self.timeout)
            .field("max_body", &self.max_body)
            .field("max_streams_per_connection", &self.max_streams_per_connection)
            .field("max_connections", &self.max_connections)
            .field("http2_prior_knowledge", &self.http2_prior_knowledge)
            .field("max_redirects", &self.max_redirects)
            .field("network_policy", &self.network_policy)
            .field("retry", &self.retry)
            .field("breaker", &self.breaker)
            .field("rate_limiter", &self.rate_limiter)
            .finish_non_exhaustive()
    }
}

impl ClientBuilder {
    /// Sets the maximum time to open a connection, including the TLS handshake. Default 5 s.
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// Sets the maximum time of an attempt to the response's head, including the opening of its connection. Default 30 s.
    #[must_use]
    pub fn first_byte_timeout(mut self, timeout: Duration) -> Self {
        self.first_byte_timeout = timeout;
        self
    }

    /// Sets the maximum time between two pieces of a response body. Default 30 s.
    #[must_use]
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.idle_timeout = timeout;
        self
    }

    /// Sets the maximum total time of a request: queueing, attempts, pauses and body. A request that exceeds it fails with
    /// [`DeadlineExceeded`](crate::ErrorKind::DeadlineExceeded). Default: no limit.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Sets the maximum size in bytes of a decompressed body that is read as a whole, and of each event or line. Default 16
    /// MiB.
    #[must_use]
    pub fn max_body(mut self, bytes: usize) -> Self {
        self.max_body = bytes;
        self
    }

    /// Sets the size of the connection pool of each host. Default 100; 0 counts as 1.
    #[must_use]
    pub fn max_connections(mut self, connections: usize) -> Self {
        self.max_connections = connections;
        self
    }

    /// Sets the maximum number of requests in flight on one HTTP/2 connection. Default 100; 0 counts as 1.
    #[must_use]
    pub fn max_streams_per_connection(mut self, streams: usize) -> Self {
        self.max_streams_per_connection = streams;
        self
    }

    /// Uses HTTP/2 without negotiation (prior knowledge) for `http` addresses.
    #[must_use]
    pub fn http2_prior_knowledge(mut self) -> Self {
        self.http2_prior_knowledge = true;
        self
    }

    /// Sets the network policy: the hosts that the client may connect to. Use [`NetworkPolicy::Public`] against SSRF where
    /// users supply addresses.
    #[must_use]
    pub fn network_policy(mut self, network_policy: NetworkPolicy) -> Self {
        self.network_policy = network_policy;
        self
    }

    /// Sets the maximum number of redirects that a `GET`, a `HEAD` or another request with a safe method follows. Default 0.
    #[must_use]
    pub fn max_redirects(mut self, redirects: u32) -> Self {
        self.max_redirects = redirects;
        self
    }

    /// Sets the `User-Agent` header.
    #[must_use]
    pub fn user_agent(mut self, name: impl Into<String>) -> Self {
        self.user_agent = name.into();
        self
    }

    /// Sets the retries: a [`RetryPolicy`](crate::RetryPolicy), or an [`HttpRetry`] with a budget and other statuses, too.
    ///
    /// | failure | retried for |
    /// |---|---|
    /// | a status of [`HttpRetry::statuses`]; by default 408, 429, 500, 502, 503, 504 and 529 | every method |
    /// | a connection that cannot be opened in time, no file descriptor left | every method, since nothing was sent |
    /// | no response in time, an invalid one, a connection that breaks before the head | idempotent requests; see [`Request::idempotency_key`] |
    /// | TLS: a certificate that is unknown, expired or of another name | none |
    /// | any failure after the response's head; a body that is a stream; a deadline | none |
    ///
    /// Retry in one layer only: if two layers retry, their numbers of attempts multiply.
    ///
    /// [`Request::idempotency_key`]: crate::Request::idempotency_key
    #[must_use]
    pub fn retry(mut self, retry: impl Into<HttpRetry>) -> Self {
        self.retry = Some(retry.into());
        self
    }

    /// Sets the circuit breaker, which rejects requests while it is open.
    ///
    /// The statuses 500, 502, 503 and 504, failed connections and missing responses count as failures; every other response
    /// counts as a success, except for 408, 429 and 529, which do not count. Every timeout of the client counts as a failure, also
    /// its total [`timeout`](Self::timeout), if it passes after the request has left the queue. Invalid requests, errors of this
    /// machine and a request's own [`deadline`](crate::Request::deadline) do not count.
    #[must_use]
    pub fn breaker(mut self, breaker: CircuitBreaker) -> Self {
        self.breaker = Some(breaker);
        self
    }

    /// Sets the rate limiter. Each attempt takes one request from the token bucket and holds its concurrency permit until the
    /// body has been read or dropped.
    #[must_use]
    pub fn rate_limiter(mut self, limiter: RateLimiter) -> Self {
        self.rate_limiter = Some(limiter);
        self
    }

    /// Adds trusted root certificates in PEM to those of the platform. An invalid certificate is not reported here, but by the
    /// first request to an `https` address, as `Tls`.
    #[must_use]
    pub fn add_root_certificate(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.roots.push(pem.into());
        self
    }

    /// Creates the client. No connection is opened and no certificate is read before the first request.
    #[must_use]
    pub fn build(self) -> Client {
        Client::new(self)
    }
}

use std::time::Duration;

use antiphon_resilience::{CircuitBreaker, RateLimiter, RetryPolicy};

use crate::client::Client;
use crate::network_policy::NetworkPolicy;

/// A builder for a [`Client`]: its timeouts, limits, retries, circuit breaker and rate limiter.
///
/// Retry policy, circuit breaker and rate limiter are off by default. A request passes them in this order: retry, rate limiter,
/// free connection, breaker. So every attempt waits for the rate limiter, and no trial call of a half-open breaker is held
/// during that wait.
///
/// ```
/// use std::time::Duration;
/// use antiphon_http::{Client, RetryPolicy};
/// let client = Client::builder().retry(RetryPolicy::default()).idle_timeout(Duration::from_secs(10)).build();
/// # drop(client);
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ClientBuilder {
    /// The maximum time to open a connection, with its TLS handshake. Default 5 s.
    pub connect_timeout: Duration,
    /// The maximum time from sending to the response's head; it restarts with each piece of a streamed request body. Default
    /// 30 s.
    pub first_byte_timeout: Duration,
    /// The maximum time between two pieces of a response body. Default 30 s.
    pub idle_timeout: Duration,
    /// The maximum time of a request in total: queueing, attempts, pauses between them, and the body. Default `None`: no limit.
    /// A deadline of the request takes precedence.
    pub timeout: Option<Duration>,
    /// The maximum size in bytes, decompressed, of a body that is read whole, and of one event or line of a stream. Default
    /// 16 MiB.
    pub max_body: usize,
    /// The maximum number of requests in flight on one HTTP/2 connection before another is opened. Default 100, as hosted front
    /// ends allow; 0 counts as 1.
    pub max_streams_per_connection: usize,
    /// The size of the connection pool of each host: a request beyond it waits until a connection is free. Connections are kept
    /// alive for the next request. The limit does not apply to HTTP/2, where requests share connections. Default 100; 0 counts
    /// as 1.
    pub max_connections: usize,
    /// Whether HTTP/2 is used with unencrypted servers without negotiation. Default false: HTTP/1.1. Encrypted servers negotiate
    /// the version by ALPN.
    pub http2_prior_knowledge: bool,
    /// The maximum number of redirects that a `GET` or `HEAD` follows. Headers that were set for one host are not sent to
    /// another, and a redirect from `https` to `http` is not followed. Default 0: the redirect itself is the response.
    pub max_redirects: u32,
    /// The hosts that the client may connect to. Default [`NetworkPolicy::Any`].
    pub network_policy: NetworkPolicy,
    /// The `User-Agent` header. Default `antiphon/` and the version.
    pub user_agent: String,
    /// The retry policy. Default `None`: a request is sent once.
    pub retry: Option<RetryPolicy>,
    /// The retry budget of each host in points, see [`RetryBudget`](crate::RetryBudget). Default `None`: no limit.
    pub retry_budget: Option<u32>,
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
            retry_budget: None,
            breaker: None,
            rate_limiter: None,
            roots: Vec::new(),
        }
    }
}

impl ClientBuilder {
    /// Sets the maximum time to open a connection.
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// Sets the maximum time from sending to the response's head.
    #[must_use]
    pub fn first_byte_timeout(mut self, timeout: Duration) -> Self {
        self.first_byte_timeout = timeout;
        self
    }

    /// Sets the maximum time between two pieces of a response body.
    #[must_use]
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.idle_timeout = timeout;
        self
    }

    /// Sets the maximum time of a request in total.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Sets the maximum size of a body, decompressed, in bytes.
    #[must_use]
    pub fn max_body(mut self, bytes: usize) -> Self {
        self.max_body = bytes;
        self
    }

    /// Sets the size of the connection pool of each host.
    #[must_use]
    pub fn max_connections(mut self, connections: usize) -> Self {
        self.max_connections = connections;
        self
    }

    /// Sets the maximum number of requests in flight on one HTTP/2 connection.
    #[must_use]
    pub fn max_streams_per_connection(mut self, streams: usize) -> Self {
        self.max_streams_per_connection = streams;
        self
    }

    /// Uses HTTP/2 with unencrypted servers without negotiation.
    #[must_use]
    pub fn http2_prior_knowledge(mut self) -> Self {
        self.http2_prior_knowledge = true;
        self
    }

    /// Sets the hosts that the client may connect to.
    #[must_use]
    pub fn network_policy(mut self, network_policy: NetworkPolicy) -> Self {
        self.network_policy = network_policy;
        self
    }

    /// Sets the maximum number of redirects that a `GET` or `HEAD` follows.
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

    /// Sets the retry policy. Retried are the statuses 408, 429, 500, 502, 503, 504 and 529 and failed connections, for every
    /// method, and missing responses for idempotent requests; see [`Request::idempotency_key`].
    ///
    /// Retry in one layer only: with two, each multiplies the other's calls.
    ///
    /// [`Request::idempotency_key`]: crate::Request::idempotency_key
    #[must_use]
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.retry = Some(policy);
        self
    }

    /// Sets the retry budget of each host, in points.
    #[must_use]
    pub fn retry_budget(mut self, points: u32) -> Self {
        self.retry_budget = Some(points);
        self
    }

    /// Sets the circuit breaker; requests are rejected while it is open. Statuses 500, 502, 503 and 504, failed connections and
    /// missing responses count as failures; 408, 429 and 529 do not count; everything else is a success.
    #[must_use]
    pub fn breaker(mut self, breaker: CircuitBreaker) -> Self {
        self.breaker = Some(breaker);
        self
    }

    /// Sets the rate limiter. Each attempt takes one request from it, and holds its concurrency permit until the body has been
    /// read.
    #[must_use]
    pub fn rate_limiter(mut self, limiter: RateLimiter) -> Self {
        self.rate_limiter = Some(limiter);
        self
    }

    /// Adds trusted root certificates in PEM to those of the platform. The first request to an `https` address reports an invalid
    /// one.
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

use std::time::Duration;

use antiphon_resilience::{CircuitBreaker, RateLimiter, RetryPolicy};

use crate::client::Client;
use crate::network_policy::NetworkPolicy;

/// How a [`Client`] waits, what it accepts, and what it does on bad days.
///
/// Retry, breaker and rate limiter are off unless they are given. In the way of a request they stand in this order:
/// retry, rate limiter, free connection, breaker; so every attempt waits for its turn, and no trial of a breaker is held
/// while it does.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ClientBuilder {
    /// The time to a connection. Default 5 s.
    pub connect_timeout: Duration,
    /// The time from sending to the answer's head. Default 30 s.
    pub first_byte_timeout: Duration,
    /// The time between two pieces of a body. Default 30 s.
    pub idle_timeout: Duration,
    /// The time that a request may take in all: waiting for its turn, attempts, pauses, and its body. Default `None`.
    pub timeout: Option<Duration>,
    /// The size of a body that is read whole, and of one event or line of a stream, unpacked, in bytes. Default 16 MiB.
    pub max_body: usize,
    /// Requests under way on one HTTP/2 connection before another is opened. Default 100, as hosted front ends allow.
    pub max_streams_per_connection: usize,
    /// Connections in use at once to each host; a further request waits until one is free. They stay open for the next
    /// request. It does not bind HTTP/2, where requests share connections. Default 100; 0 counts as 1.
    pub max_connections: usize,
    /// Whether unencrypted servers are spoken to in HTTP/2 at once. Default: in HTTP/1.1. Encrypted ones choose for
    /// themselves.
    pub http2_prior_knowledge: bool,
    /// How many redirects a `GET` or `HEAD` follows. Headers that were set for one host do not go to another, and nothing
    /// goes from `https` to `http`. Default 0: the redirect itself is the answer.
    pub max_redirects: u32,
    /// Which machines it speaks to. Default: all.
    pub network_policy: NetworkPolicy,
    /// What the client calls itself. Default `antiphon/` and the version.
    pub user_agent: String,
    /// When a request is sent again. Default `None`: never.
    pub retry: Option<RetryPolicy>,
    /// The points that retries to one host may cost, see [`RetryBudget`](crate::RetryBudget). Default `None`: no end of them.
    pub retry_budget: Option<u32>,
    /// What stops requests to servers that do not work. Default `None`.
    pub breaker: Option<CircuitBreaker>,
    /// What keeps requests to a limit. Default `None`.
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
    /// Sets the time to a connection.
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// Sets the time from sending to the answer's head.
    #[must_use]
    pub fn first_byte_timeout(mut self, timeout: Duration) -> Self {
        self.first_byte_timeout = timeout;
        self
    }

    /// Sets the time between two pieces of a body.
    #[must_use]
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.idle_timeout = timeout;
        self
    }

    /// Sets the time that a request may take in all.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Sets the largest body, unpacked, in bytes.
    #[must_use]
    pub fn max_body(mut self, bytes: usize) -> Self {
        self.max_body = bytes;
        self
    }

    /// Sets how many connections to one host may be in use at once.
    #[must_use]
    pub fn max_connections(mut self, connections: usize) -> Self {
        self.max_connections = connections;
        self
    }

    /// Sets how many requests may be under way on one HTTP/2 connection.
    #[must_use]
    pub fn max_streams_per_connection(mut self, streams: usize) -> Self {
        self.max_streams_per_connection = streams;
        self
    }

    /// Speaks HTTP/2 to unencrypted servers at once.
    #[must_use]
    pub fn http2_prior_knowledge(mut self) -> Self {
        self.http2_prior_knowledge = true;
        self
    }

    /// Sets which machines it speaks to.
    #[must_use]
    pub fn network_policy(mut self, network_policy: NetworkPolicy) -> Self {
        self.network_policy = network_policy;
        self
    }

    /// Sets how many redirects a `GET` or `HEAD` follows.
    #[must_use]
    pub fn max_redirects(mut self, redirects: u32) -> Self {
        self.max_redirects = redirects;
        self
    }

    /// Sets what the client calls itself.
    #[must_use]
    pub fn user_agent(mut self, name: impl Into<String>) -> Self {
        self.user_agent = name.into();
        self
    }

    /// Sends requests again as `policy` says, after the statuses 408, 429, 500, 502, 503, 504 and 529, without a
    /// connection, and, where a request may be sent twice, without an answer; see [`Request::idempotency_key`].
    ///
    /// Let one layer alone retry: of two, each multiplies the other's calls.
    ///
    /// [`Request::idempotency_key`]: crate::Request::idempotency_key
    #[must_use]
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.retry = Some(policy);
        self
    }

    /// Sets the points that retries to one host may cost.
    #[must_use]
    pub fn retry_budget(mut self, points: u32) -> Self {
        self.retry_budget = Some(points);
        self
    }

    /// Stops requests while `breaker` is open. Statuses 500, 502, 503 and 504, connections that fail and answers that do
    /// not come are failures; 408, 429 and 529 count for nothing; everything else is a success.
    #[must_use]
    pub fn breaker(mut self, breaker: CircuitBreaker) -> Self {
        self.breaker = Some(breaker);
        self
    }

    /// Sends requests as `limiter` allows; each costs one request, until its body has been read.
    #[must_use]
    pub fn rate_limiter(mut self, limiter: RateLimiter) -> Self {
        self.rate_limiter = Some(limiter);
        self
    }

    /// Trusts the certificates in `pem`, too. What is wrong with them is told by the first request to an `https` address.
    #[must_use]
    pub fn add_root_certificate(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.roots.push(pem.into());
        self
    }

    /// The client. Nothing is opened and no certificate is read before the first request.
    #[must_use]
    pub fn build(self) -> Client {
        Client::new(self)
    }
}

//! The hosts of a client: which connection a request goes to, and how many are in use (connection pool, backpressure).
//!
//! | version | limit | a further request |
//! |---|---|---|
//! | HTTP/1.1 | `max_connections` in flight for each host | waits (semaphore, in the order of arrival) |
//! | HTTP/2 | `max_streams_per_connection` in flight on each connection | opens another connection, up to 32 |
//!
//! The version is known with the first response. Until then a host counts as HTTP/1.1, unless HTTP/2 is
//! used without negotiation.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use antiphon_resilience::RetryBudget;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use url::{Host as Name, Position, Url};

use crate::reused::{AnsweredConnections, ConnectionEnds};

/// The maximum number of HTTP/2 connections to one host: a server with 3,200 requests in flight is not short of connections.
const MAX_SHARDS: usize = 32;

/// The number of hosts above which unused ones are removed.
const MAX_HOSTS: usize = 4_096;

/// The hosts that requests were sent to, each with its count of requests in flight.
#[derive(Debug)]
pub(crate) struct Hosts {
    limits: HostLimits,
    hosts: Mutex<HashMap<Box<str>, Arc<Host>>>,
}

/// The limits of each host.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HostLimits {
    /// Maximum number of requests in flight on one HTTP/2 connection; 0 counts as 1.
    pub(crate) max_streams: usize,
    /// Maximum number of HTTP/1.1 connections; 0 counts as 1.
    pub(crate) max_connections: usize,
    /// Whether HTTP/2 is used with unencrypted servers without negotiation.
    pub(crate) speaks_http2: bool,
    /// The retry budget of one host, in points.
    pub(crate) retry_budget: Option<u32>,
}

/// One host, with the number of requests in flight on each of its connections.
///
/// An HTTP/2 connection has a maximum number of concurrent streams (100 on most hosted front ends) and queues further requests,
/// while a second connection would have room. So a host has several clients with one connection each: a request goes to the
/// connection with the fewest requests in flight, and another connection is opened once all are full.
#[derive(Debug)]
pub(crate) struct Host {
    /// Host and port, for errors.
    pub(crate) name: Arc<str>,
    /// Kind of client that its requests need.
    pub(crate) route: Route,
    /// Budget for the retries of all requests to the host.
    pub(crate) retry_budget: Option<RetryBudget>,
    /// Connections that have answered, by which a closed idle connection is recognised.
    pub(crate) answered: AnsweredConnections,
    max_streams: usize,
    shards: Mutex<Shards>,
    /// The semaphore with a permit for each connection; closed once HTTP/2 was seen, where requests share connections.
    connections: Arc<Semaphore>,
}

/// The clients of a host, each with one HTTP/2 connection or any number of HTTP/1.1 ones.
#[derive(Debug)]
struct Shards {
    /// Requests in flight, by client.
    in_flight: Vec<usize>,
    /// Whether the host answered in HTTP/2, or is to be spoken to in it.
    speaks_http2: bool,
}

/// The kind of client that a host needs. Hosts on this machine are never reached over a proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Route {
    /// `https`, over a proxy if one is configured.
    Secure,
    /// `https` on this machine.
    SecureLoopback,
    /// `http`, over a proxy if one is configured.
    Plain,
    /// `http` on this machine.
    Loopback,
}

impl Route {
    fn of(url: &Url) -> Self {
        match (url.scheme() == "https", is_loopback_url(url)) {
            (true, false) => Self::Secure,
            (true, true) => Self::SecureLoopback,
            (false, false) => Self::Plain,
            (false, true) => Self::Loopback,
        }
    }

    pub(crate) fn is_secure(self) -> bool {
        matches!(self, Self::Secure | Self::SecureLoopback)
    }

    pub(crate) fn is_loopback(self) -> bool {
        matches!(self, Self::SecureLoopback | Self::Loopback)
    }
}

/// A slot on one of a host's connections, released on drop.
#[derive(Debug)]
pub(crate) struct ConnectionSlot {
    host: Arc<Host>,
    shard: usize,
    /// The HTTP/1.1 connection that answered, which is idle once the slot is released.
    answered_by: Option<ConnectionEnds>,
    _connection: Option<OwnedSemaphorePermit>,
}

impl Hosts {
    pub(crate) fn new(limits: HostLimits) -> Self {
        Self { limits, hosts: Mutex::default() }
    }

    /// Returns the host of `url`.
    pub(crate) fn for_url(&self, url: &Url) -> Arc<Host> {
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        // Scheme, host and port, without user and password, which may be secret.
        let key = if url.username().is_empty() && url.password().is_none() {
            &url[..Position::AfterPort]
        } else {
            &format!("{}://{}", url.scheme(), &url[Position::BeforeHost..Position::AfterPort])
        };
        if let Some(host) = hosts.get(key) {
            return host.clone();
        }
        if hosts.len() >= MAX_HOSTS {
            hosts.retain(|_, host| Arc::strong_count(host) > 1);
        }
        let host = Arc::new(Host::new(url, self.limits));
        hosts.insert(key.into(), host.clone());
        host
    }
}

impl Host {
    fn new(url: &Url, limits: HostLimits) -> Self {
        let route = Route::of(url);
        // Encrypted servers negotiate the version by ALPN.
        let speaks_http2 = limits.speaks_http2 && !route.is_secure();
        let connections = Arc::new(Semaphore::new(limits.max_connections.clamp(1, Semaphore::MAX_PERMITS)));
        if speaks_http2 {
            connections.close();
        }
        Self {
            name: url[Position::BeforeHost..Position::AfterPort].into(),
            route,
            retry_budget: limits.retry_budget.map(RetryBudget::new),
            answered: AnsweredConnections::default(),
            max_streams: limits.max_streams.max(1),
            shards: Mutex::new(Shards { in_flight: Vec::new(), speaks_http2 }),
            connections,
        }
    }

    /// Waits while all connections are in use, then returns a slot on the connection with the fewest requests in flight.
    pub(crate) async fn slot(self: Arc<Self>) -> ConnectionSlot {
        let connection = self.connections.clone().acquire_owned().await.ok();
        let shard = self.lock().acquire(self.max_streams);
        ConnectionSlot { host: self, shard, answered_by: None, _connection: connection }
    }

    fn lock(&self) -> MutexGuard<'_, Shards> {
        self.shards.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shards {
    /// Returns the client with the fewest requests in flight, or another one if all HTTP/2 connections are full, and
    /// counts the request.
    fn acquire(&mut self, max_streams: usize) -> usize {
        let least = self.in_flight.iter().enumerate().min_by_key(|(_, in_flight)| **in_flight);
        // With HTTP/1.1 a client opens a connection for each concurrent request, so only HTTP/2 can be full.
        let shard = match least {
            Some((shard, in_flight))
                if !self.speaks_http2 || *in_flight < max_streams || self.in_flight.len() >= MAX_SHARDS =>
            {
                shard
            }
            _ => {
                self.in_flight.push(0);
                self.in_flight.len() - 1
            }
        };
        self.in_flight[shard] += 1;
        shard
    }
}

impl ConnectionSlot {
    pub(crate) fn host(&self) -> &Arc<Host> {
        &self.host
    }

    pub(crate) fn shard(&self) -> usize {
        self.shard
    }

    /// Records the connection and the HTTP version of a response.
    pub(crate) fn observe(&mut self, response: &reqwest::Response) {
        self.observe_version(response.version());
        self.answered_by = ConnectionEnds::of(response);
        self.note_use();
    }

    /// Records that the connection is in use, and may be reused after it.
    fn note_use(&self) {
        if let Some(ends) = self.answered_by {
            self.host.answered.insert(ends, Instant::now());
        }
    }

    /// Records the HTTP version of a response; HTTP/2 lifts the limit on connections.
    fn observe_version(&self, version: http::Version) {
        if version == http::Version::HTTP_2 && !self.host.connections.is_closed() {
            self.host.lock().speaks_http2 = true;
            self.host.connections.close();
        }
    }
}

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        self.note_use();
        self.host.lock().in_flight[self.shard] -= 1;
    }
}

/// Returns whether an address is one of this machine: 127.0.0.0/8, `::1`, `localhost` or a name below it, which is reserved for
/// that (RFC 6761). Names are not resolved, and a text that is no address is not one of this machine.
///
/// ```
/// use antiphon_http::is_loopback;
///
/// assert!(is_loopback("http://127.0.0.2:8080/v1") && is_loopback("http://[::1]:1") && is_loopback("http://localhost"));
/// assert!(!is_loopback("http://192.168.0.7:1") && !is_loopback("http://localhost.example") && !is_loopback("no address"));
/// ```
#[must_use]
pub fn is_loopback(address: &str) -> bool {
    Url::parse(address).is_ok_and(|url| is_loopback_url(&url))
}

fn is_loopback_url(url: &Url) -> bool {
    match url.host() {
        Some(Name::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Name::Ipv4(address)) => address.is_loopback(),
        Some(Name::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use futures_util::FutureExt;
    use url::Url;

    use super::{ConnectionSlot, Host, HostLimits, Hosts, Route};

    fn hosts(max_streams: usize, max_connections: usize) -> Hosts {
        Hosts::new(HostLimits { max_streams, max_connections, speaks_http2: false, retry_budget: None })
    }

    fn host(max_streams: usize, max_connections: usize) -> Arc<Host> {
        hosts(max_streams, max_connections).for_url(&Url::parse("http://h/").unwrap())
    }

    fn slots(host: &Arc<Host>, count: usize) -> Vec<ConnectionSlot> {
        (0..count).map(|_| host.clone().slot().now_or_never().unwrap()).collect()
    }

    #[test]
    fn a_host_is_keyed_by_scheme_host_and_port_without_credentials() {
        let hosts = hosts(1, 1);
        let of = |url: &str| hosts.for_url(&Url::parse(url).unwrap());
        assert!(Arc::ptr_eq(&of("http://h/a?b#c"), &of("http://user:secret@h:80/d")));
        assert!(!Arc::ptr_eq(&of("http://h/"), &of("https://h/")));
        assert!(!format!("{hosts:?}").contains("secret"));
        assert_eq!((of("http://h/").route, of("http://[::1]:9/").route), (Route::Plain, Route::Loopback));
        assert_eq!((&*of("http://h/").name, &*of("http://h:8080/").name), ("h", "h:8080"));
    }

    #[tokio::test]
    async fn a_slot_waits_for_a_free_connection_unless_http2_was_seen() {
        let host = host(2, 2);
        let mut both = slots(&host, 2);
        let mut third = Box::pin(host.clone().slot());
        assert!((&mut third).now_or_never().is_none());
        both.pop();
        let third = third.now_or_never().unwrap();
        let mut fourth = Box::pin(host.clone().slot());
        assert!((&mut fourth).now_or_never().is_none());
        third.observe_version(http::Version::HTTP_2);
        assert!(fourth.now_or_never().is_some());
    }

    #[tokio::test]
    async fn another_connection_is_used_only_when_http2_connections_are_full() {
        let host = host(2, 100);
        let http1 = slots(&host, 9);
        assert_eq!(host.lock().in_flight, [9]);
        http1[0].observe_version(http::Version::HTTP_2);
        drop(http1);
        let http2 = slots(&host, 5);
        assert_eq!(host.lock().in_flight, [2, 2, 1]);
        drop(http2);
        drop(slots(&host, 1));
        assert_eq!(host.lock().in_flight, [0, 0, 0]);
    }
}

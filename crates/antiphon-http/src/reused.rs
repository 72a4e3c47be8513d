//! Connections that a server closed while they were idle.
//!
//! A server may close an idle connection at the moment in which a request is sent on it (RFC 9112, section 9.3.1). hyper
//! repeats a request of which nothing was written. For one that was written, this module decides:
//!
//! | sign | meaning |
//! |---|---|
//! | the connection had answered an earlier request | it was idle, and the server may have closed it for that |
//! | it ended without a response, by its end or by a reset | nothing of this request was acknowledged |
//! | it ended within 1 s | the close crossed the request on its way; a server that works on a request takes longer |
//!
//! With all three, the request is sent once more, on the same attempt. A new connection that ends like this is an error, since the
//! server may have acted on the request. hyper does not report whether it had read the beginning of a head.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper_util::client::legacy::Error as LegacyError;
use hyper_util::client::legacy::connect::HttpInfo;
use tokio::time::Instant;

use crate::error::causes;

/// The time within which a connection that was closed while it was idle ends: a round trip, with room for slow networks.
const CROSSING: Duration = Duration::from_secs(1);
/// The time after which an idle connection is not in the pool any more (reqwest's default): until then, no other connection of
/// this process has the same addresses, since the kernel chooses local ports at random.
const POOL_IDLE: Duration = Duration::from_secs(90);
/// The maximum number of connections that are remembered for a host.
const MAX_CONNECTIONS: usize = 1_024;

/// The addresses of both ends of a connection, which identify it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct ConnectionEnds {
    local: SocketAddr,
    remote: SocketAddr,
}

impl ConnectionEnds {
    /// Returns the ends of the connection that a response arrived on; `None` for HTTP/2, whose connections are shared.
    pub(crate) fn of(response: &reqwest::Response) -> Option<Self> {
        let info = response.extensions().get().filter(|_| response.version() < http::Version::HTTP_2)?;
        Some(Self::of_info(info))
    }

    fn of_info(info: &HttpInfo) -> Self {
        Self { local: info.local_addr(), remote: info.remote_addr() }
    }
}

/// The HTTP/1.1 connections of a host that have answered, each with the time at which it was last in use.
#[derive(Debug, Default)]
pub(crate) struct AnsweredConnections(Mutex<HashMap<ConnectionEnds, Instant>>);

impl AnsweredConnections {
    /// Records that a connection is in use. Above the maximum, those that are not in the pool any more are removed.
    pub(crate) fn insert(&self, ends: ConnectionEnds, now: Instant) {
        let mut connections = self.lock();
        if connections.len() >= MAX_CONNECTIONS {
            connections.retain(|_, last| now.saturating_duration_since(*last) < POOL_IDLE);
        }
        if connections.len() < MAX_CONNECTIONS {
            connections.insert(ends, now);
        }
    }

    /// Removes a connection that has ended. Returns whether it was one that had answered and was in the pool since.
    pub(crate) fn remove(&self, ends: ConnectionEnds, now: Instant) -> bool {
        let last = self.lock().remove(&ends);
        last.is_some_and(|last| now.saturating_duration_since(last) < POOL_IDLE)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ConnectionEnds, Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns whether a request failed because the server had closed its connection while that was idle; `sent` is the time at
/// which the request was sent.
pub(crate) fn was_closed_while_idle(
    err: &reqwest::Error,
    connections: &AnsweredConnections,
    sent: Instant,
) -> bool {
    let now = Instant::now();
    is_close(err)
        && ended_connection(err).is_some_and(|ends| connections.remove(ends, now))
        && is_crossing(now.saturating_duration_since(sent))
}

/// Returns whether a connection that ended after this time may have been closed before the request arrived.
fn is_crossing(after: Duration) -> bool {
    after < CROSSING
}

/// Returns the connection that a request failed on; `None` if it had none.
fn ended_connection(err: &reqwest::Error) -> Option<ConnectionEnds> {
    let legacy = causes(err).find_map(|cause| cause.downcast_ref::<LegacyError>())?;
    let mut extensions = http::Extensions::new();
    legacy.connect_info()?.get_extras(&mut extensions);
    extensions.get().map(ConnectionEnds::of_info)
}

/// Returns whether a connection ended before a response, by its end or by a reset.
fn is_close(err: &reqwest::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    causes(err).any(|cause| {
        let io = cause.downcast_ref::<io::Error>().map(io::Error::kind);
        let hyper = cause.downcast_ref::<hyper::Error>();
        hyper.is_some_and(|err| err.is_incomplete_message() || err.is_canceled())
            || matches!(io, Some(BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof))
    })
}

#[cfg(test)]
mod tests {
    use super::{
        AnsweredConnections, CROSSING, ConnectionEnds, Duration, Instant, MAX_CONNECTIONS, POOL_IDLE,
        is_crossing,
    };

    fn ends(port: u16) -> ConnectionEnds {
        ConnectionEnds { local: ([127, 0, 0, 1], port).into(), remote: ([127, 0, 0, 1], 1).into() }
    }

    #[test]
    fn only_a_connection_that_has_answered_lately_counts_as_reused() {
        let (connections, now) = (AnsweredConnections::default(), Instant::now());
        assert!(!connections.remove(ends(1), now));
        connections.insert(ends(1), now);
        assert!(connections.remove(ends(1), now + Duration::from_secs(60)));
        assert!(!connections.remove(ends(1), now), "a new connection may get the same port");
        connections.insert(ends(1), now);
        assert!(!connections.remove(ends(1), now + POOL_IDLE));
    }

    #[test]
    fn the_number_of_remembered_connections_is_bounded() {
        let (connections, now) = (AnsweredConnections::default(), Instant::now());
        let all = || (1..=u16::MAX).take(MAX_CONNECTIONS).map(ends);
        all().for_each(|ends| connections.insert(ends, now));
        connections.insert(ends(u16::MAX), now);
        assert!(!connections.remove(ends(u16::MAX), now));
        connections.insert(ends(u16::MAX), now + POOL_IDLE);
        assert!(connections.remove(ends(u16::MAX), now + POOL_IDLE));
        assert!(all().all(|ends| !connections.remove(ends, now + POOL_IDLE)));
    }

    #[test]
    fn a_connection_that_ends_late_was_not_closed_while_it_was_idle() {
        assert_eq!([CROSSING / 2, CROSSING].map(is_crossing), [true, false]);
    }
}

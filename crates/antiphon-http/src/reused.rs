//! Connections that a server closed while they were idle.
//!
//! A server may close an idle connection at the moment in which a request is sent on it (RFC 9112, section 9.3.1). hyper
//! repeats a request of which nothing was written, whatever its method: it reports such a request as cancelled. For one that was
//! written, this module decides:
//!
//! | sign | meaning |
//! |---|---|
//! | the request is idempotent, by its method or by a key | a second copy does no harm (RFC 9110, section 9.2.2) |
//! | the connection had answered an earlier request | it was idle, and the server may have closed it for that |
//! | it ended without a response, by its end or by a reset | nothing of this request was acknowledged |
//! | it ended within 1 s after the request was sent | the close crossed the request on its way |
//!
//! With all four, the request is sent once more, on the same attempt. A server that dies of a request ends the connection in the
//! same way, and no sign separates the two: a request that is not idempotent is an error once a byte of it was written. A new
//! connection that ends like this is an error for every method.

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
    /// Returns the ends of the connection that a response arrived on; `None` for one that cannot be used again, and for HTTP/2,
    /// whose connections are shared.
    pub(crate) fn of(response: &reqwest::Response) -> Option<Self> {
        let stays = response.version() == http::Version::HTTP_11 && !is_closing(response.headers());
        response.extensions().get().filter(|_| stays).map(Self::of_info)
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
        if connections.len() < MAX_CONNECTIONS || connections.contains_key(&ends) {
            connections.insert(ends, now);
        }
    }

    /// Removes a connection that has ended, and returns whether it was idle in the pool before `sent`: not one that had never
    /// answered, or was not in the pool any more.
    pub(crate) fn remove(&self, ends: ConnectionEnds, sent: Instant) -> bool {
        self.lock().remove(&ends).is_some_and(|last| sent.saturating_duration_since(last) < POOL_IDLE)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ConnectionEnds, Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns whether a request failed because the server had closed its connection while that was idle, and may be sent once
/// more; `sent` is the time at which it was sent.
pub(crate) fn was_closed_while_idle(
    err: &reqwest::Error,
    connections: &AnsweredConnections,
    sent: Instant,
    is_idempotent: bool,
) -> bool {
    let after = sent.elapsed();
    is_close(err)
        && ended_connection(err).is_some_and(|ends| connections.remove(ends, sent))
        && (is_unwritten(err) || (is_idempotent && after < CROSSING))
}

/// Returns whether the server closes the connection after its response.
fn is_closing(headers: &http::HeaderMap) -> bool {
    let values =
        headers.get_all(http::header::CONNECTION).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|token| token.trim().eq_ignore_ascii_case("close"))
}

/// Returns the connection that a request failed on; `None` if it had none.
fn ended_connection(err: &reqwest::Error) -> Option<ConnectionEnds> {
    let legacy = causes(err).find_map(|cause| cause.downcast_ref::<LegacyError>())?;
    let mut extensions = http::Extensions::new();
    legacy.connect_info()?.get_extras(&mut extensions);
    extensions.get().map(ConnectionEnds::of_info)
}

/// Returns whether nothing of a request was written: hyper cancels a request that is still in its queue when the connection
/// ends.
pub(crate) fn is_unwritten(err: &reqwest::Error) -> bool {
    causes(err).filter_map(|cause| cause.downcast_ref::<hyper::Error>()).any(hyper::Error::is_canceled)
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
    use super::{AnsweredConnections, ConnectionEnds, Duration, Instant, MAX_CONNECTIONS, POOL_IDLE};

    fn ends(port: u16) -> ConnectionEnds {
        ConnectionEnds { local: ([127, 0, 0, 1], port).into(), remote: ([127, 0, 0, 1], 1).into() }
    }

    #[test]
    fn only_a_connection_that_has_answered_lately_counts_as_reused() {
        let (connections, now) = (AnsweredConnections::default(), Instant::now());
        let minute = Duration::from_secs(60);
        assert!(!connections.remove(ends(1), now));
        connections.insert(ends(1), now);
        assert!(connections.remove(ends(1), now + minute));
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
        let later = now + POOL_IDLE / 2;
        connections.insert(ends(1), later);
        assert!(connections.remove(ends(1), later), "a known one is refreshed");
        connections.insert(ends(u16::MAX), now + POOL_IDLE);
        assert!(connections.remove(ends(u16::MAX), now + POOL_IDLE));
        assert!(!all().any(|ends| connections.remove(ends, now + POOL_IDLE)));
    }
}

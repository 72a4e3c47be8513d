//! Connections that a server closed while they were idle.
//!
//! A server may close an idle connection at the moment in which a request is sent on it (RFC 9112, section 9.3.1). hyper
//! repeats a request of which nothing was written. For one that was written, this module decides:
//!
//! | sign | meaning |
//! |---|---|
//! | the connection had answered an earlier request | it was idle, and the server may have closed it for that |
//! | it ended without a response, by its end or by a reset | nothing of this request was acknowledged |
//! | it ended soon after the request was sent | the close crossed the request on its way |
//!
//! With all three, the request is sent once more, on the same attempt. A server that dies of a request ends the connection in
//! the same way, so for a request that is not idempotent the signs are stricter: the connection was idle for at least 1 s, the
//! shortest keep-alive time-out that servers have, and it ended within 250 ms. A new connection that ends like this is an error,
//! since the server may have acted on the request. hyper does not report whether it had read the beginning of a head.

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
/// The same time for a request that is not idempotent.
const SHORT_CROSSING: Duration = Duration::from_millis(250);
/// The time for which a connection was idle before a request that is not idempotent is sent again.
const KEPT_ALIVE: Duration = Duration::from_secs(1);
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

    /// Removes a connection that has ended, and returns the time for which it was idle before `sent`; `None` for one that had
    /// not answered, or was not in the pool any more.
    pub(crate) fn remove(&self, ends: ConnectionEnds, sent: Instant) -> Option<Duration> {
        let last = self.lock().remove(&ends)?;
        Some(sent.saturating_duration_since(last)).filter(|idle| *idle < POOL_IDLE)
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
    is_idempotent: bool,
) -> bool {
    let after = sent.elapsed();
    is_close(err)
        && ended_connection(err)
            .and_then(|ends| connections.remove(ends, sent))
            .is_some_and(|idle| is_crossing(idle, after, is_idempotent))
}

/// Returns whether a connection that was idle for some time, and ended this long after a request was sent, may have been closed
/// before the request arrived.
fn is_crossing(idle: Duration, after: Duration, is_idempotent: bool) -> bool {
    if is_idempotent { after < CROSSING } else { idle >= KEPT_ALIVE && after < SHORT_CROSSING }
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
        AnsweredConnections, CROSSING, ConnectionEnds, Duration, Instant, KEPT_ALIVE, MAX_CONNECTIONS,
        POOL_IDLE, SHORT_CROSSING, is_crossing,
    };

    fn ends(port: u16) -> ConnectionEnds {
        ConnectionEnds { local: ([127, 0, 0, 1], port).into(), remote: ([127, 0, 0, 1], 1).into() }
    }

    #[test]
    fn only_a_connection_that_has_answered_lately_counts_as_reused() {
        let (connections, now) = (AnsweredConnections::default(), Instant::now());
        let minute = Duration::from_secs(60);
        assert_eq!(connections.remove(ends(1), now), None);
        connections.insert(ends(1), now);
        assert_eq!(connections.remove(ends(1), now + minute), Some(minute));
        assert_eq!(connections.remove(ends(1), now), None, "a new connection may get the same port");
        connections.insert(ends(1), now);
        assert_eq!(connections.remove(ends(1), now + POOL_IDLE), None);
    }

    #[test]
    fn the_number_of_remembered_connections_is_bounded() {
        let (connections, now) = (AnsweredConnections::default(), Instant::now());
        let all = || (1..=u16::MAX).take(MAX_CONNECTIONS).map(ends);
        all().for_each(|ends| connections.insert(ends, now));
        connections.insert(ends(u16::MAX), now);
        assert_eq!(connections.remove(ends(u16::MAX), now), None);
        let later = now + POOL_IDLE / 2;
        connections.insert(ends(1), later);
        assert!(connections.remove(ends(1), later).is_some(), "a known one is refreshed");
        connections.insert(ends(u16::MAX), now + POOL_IDLE);
        assert!(connections.remove(ends(u16::MAX), now + POOL_IDLE).is_some());
        assert!(all().all(|ends| connections.remove(ends, now + POOL_IDLE).is_none()));
    }

    #[test]
    fn a_request_that_is_not_idempotent_needs_stricter_signs() {
        let crossing =
            |idle, after| [true, false].map(|is_idempotent| is_crossing(idle, after, is_idempotent));
        assert_eq!(crossing(Duration::ZERO, SHORT_CROSSING / 2), [true, false]);
        assert_eq!(crossing(KEPT_ALIVE, SHORT_CROSSING / 2), [true, true]);
        assert_eq!(crossing(KEPT_ALIVE, SHORT_CROSSING), [true, false]);
        assert_eq!(crossing(KEPT_ALIVE, CROSSING), [false, false]);
    }
}

//! Tests of the crate's public API: against wiremock for ordinary responses, a server of raw bytes for broken ones, and the
//! simulator for limits and HTTP/2.
#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test crate: panics and std are free")]

mod guards;
mod http2;
mod hung;
mod raw;
mod retries;
mod reused;
mod secrets;
mod secure;
mod spans;
mod streams;
#[cfg(feature = "transfer")]
mod transfer;
mod unusual;
mod usual;

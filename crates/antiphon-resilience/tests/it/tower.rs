//! The layers for tower: the contract of `poll_ready`, permits and errors, and a server and a client of hyper.
#![expect(clippy::unwrap_used, reason = "a test crate: panics are free")]

mod contract;
mod loopback;

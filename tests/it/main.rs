//! The crates together, against a server that answers from a script.
#![expect(clippy::unwrap_used, reason = "a test crate: a panic is a failed test")]

mod corpus;
mod http;
mod offline;
mod pipeline;
mod providers;
mod sample;
mod spans;

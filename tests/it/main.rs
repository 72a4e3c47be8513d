//! Cross-crate tests, against scripted servers and the simulator.
#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test crate: a panic is a failed test, and it may read the clock"
)]

mod conformance;
mod content;
mod corpus;
mod engine;
mod experiments;
mod generated_schemas;
mod hostile;
mod http;
mod manners;
mod offline;
mod pipeline;
mod providers;
mod quotes;
mod sample;
mod sampling;
mod secrets;
mod spans;
mod stored;
mod vendor_answers;
mod wire;

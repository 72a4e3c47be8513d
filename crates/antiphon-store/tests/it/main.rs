//! The store as its users see it.
#![expect(
    clippy::cast_possible_truncation,
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a test may block and panic"
)]

mod conformance;
mod file;

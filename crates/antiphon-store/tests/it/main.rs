//! The store as its users see it.
#![expect(clippy::cast_possible_truncation, clippy::unwrap_used, clippy::panic, reason = "a test may panic")]

mod conformance;
#[cfg(feature = "sqlite")]
mod file;
#[cfg(feature = "sqlite")]
mod killed;
mod place;

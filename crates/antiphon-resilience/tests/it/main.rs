//! Tests of the crate's documented behaviour, through its public API.

mod breaker;
mod limits;
mod retry;
#[cfg(feature = "tower")]
mod tower;

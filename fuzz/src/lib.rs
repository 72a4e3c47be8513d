//! Invariants that must hold for any input.

mod checks;

pub use checks::{answer, limits, ndjson, sse, waits};

//! What must hold for any input.

mod checks;

pub use checks::{limits, ndjson, sse, waits};

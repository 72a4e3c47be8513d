//! Finding a limit that nobody has told, and staying just under it.

mod belief;
mod concurrency;
mod delivered;
mod dimension;
mod gate;
mod gates;

pub use belief::{GateView, Saturated};
pub use gate::{Gate, GateError, Permit, Reply};
pub use gates::{GatePolicy, Gates};

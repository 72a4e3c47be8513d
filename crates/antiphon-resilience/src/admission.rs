//! Finding a limit that nobody has told, and staying just under it.

mod belief;
mod bursts;
mod concurrency;
mod delivered;
mod dimension;
mod gate;
mod gates;
mod part;
mod weight;

pub use belief::{GateView, Saturated};
pub use gate::{Gate, GateError, Permit, Reply};
pub use gates::{GatePolicy, Gates};
pub use part::LimitPart;

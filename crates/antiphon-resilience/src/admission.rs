//! Admission control with adaptive concurrency: finds limits that are not known and stays just under them.

mod advertised;
mod bursts;
mod concurrency_limit;
mod cost_factor;
mod delivery_rate;
mod limiter;
mod part;
mod registry;
mod state;

pub use limiter::{AdaptiveLimiter, LimiterError, Permit, Reply};
pub use part::LimitPart;
pub use registry::{AdaptivePolicy, LimiterRegistry};
pub use state::{LimiterSnapshot, Saturated};

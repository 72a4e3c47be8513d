//! Admission control with adaptive concurrency: finds the unknown limits of a server and stays just below them.

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

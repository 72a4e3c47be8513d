//! Circuit breakers, which stop calls to a service that fails.

mod call;
mod circuit;
mod events;
mod machine;
mod policy;
mod registry;
mod window;

pub use call::{BreakerError, TripsOn};
pub use circuit::{BreakerPermit, CircuitBreaker, CircuitOpen};
pub use events::{BreakerEvent, BreakerEvents};
pub use machine::{BreakerMachine, BreakerState, BreakerStatus, BreakerTicket, CallResult};
pub use policy::{BreakerPolicy, BreakerWindow, SlowCalls};
pub use registry::{BreakerRegistry, PolicyConflict};

//! Keeping to limits that are known.

mod buckets;
mod driver;

pub use buckets::{Rate, RateLimits, TokenBuckets};
pub use driver::{RateLimiter, RatePermit};

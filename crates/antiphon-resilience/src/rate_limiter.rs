//! Rate limiting by token buckets, for known limits.

mod driver;
mod token_buckets;

pub use driver::{RateLimiter, RatePermit};
pub use token_buckets::{Rate, RateLimits, TokenBuckets};

//! Parsing of the headers by which a server reports its limits.

mod headers;
mod wait;

pub use headers::{Allowance, LimitHints};
pub use wait::{parse_reset, parse_retry_after, parse_retry_info};

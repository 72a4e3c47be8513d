//! Parsing of the headers and messages by which a server reports its limits.

mod headers;
mod wait;
mod words;

pub use headers::{Allowance, LimitHints};
pub use wait::{parse_reset, parse_retry_after, parse_retry_info};
pub use words::parse_wait_in_message;

//! The engine that gets through rows: every call is in the journal before it is sent, every result before it is told.
//!
//! `dispatch` hands rows out, `job` is the life of one, `budget` and `learned` know what it may cost.

mod budget;
mod dispatch;
mod feed;
mod job;
mod learned;
mod rest;
mod seen;
mod shared;
mod status;
mod stop;
mod timings;
mod work;

pub use budget::{Budget, Exhausted, Grant};
pub use dispatch::{Engine, Options, Row};
pub use job::Failed;
pub use status::Status;
pub use stop::Stop;
pub use timings::Phase;
pub use work::{Unfit, Work};

pub use seen::Usual;
pub(crate) use shared::bytes as bytes_of;
pub(crate) use timings::PHASES;

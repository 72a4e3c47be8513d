//! The registry of providers: one table, with an entry for each kind and each shipped vendor.
//!
//! Everything that a program needs to know about a vendor before the first call is data here: names for configuration and help
//! texts, environment variables for key and address, the default model, the supported options, the way in which its engine is
//! found and started, and the constructor. A kind whose cargo feature is off is still listed, but its construction fails with the
//! feature's name.
//!
//! To add a vendor, describe it in a separate folder and name that description in the table.

mod built;
mod entry;
mod error;
mod kind;
mod options;
mod pull;
mod server;
mod table;

pub use built::Built;
#[cfg(any(feature = "_http", feature = "offline"))]
pub(crate) use built::CheckParams;
pub use entry::RegistryEntry;
pub use error::BuildError;
pub use kind::{Kind, Variable};
pub use options::Options;
pub use pull::{ModelPull, PullProgress};
pub use server::{LocalServer, SlotSetting};
pub use table::{entries, entry, kinds, puller, servers};

pub(crate) use kind::if_built;
pub(crate) use server::Probe;

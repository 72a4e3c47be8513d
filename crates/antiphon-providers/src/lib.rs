//! Providers.

#[cfg(feature = "offline")]
pub mod offline;

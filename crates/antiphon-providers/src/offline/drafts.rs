//! The provider and its text statistics, compiled in by the cargo feature `offline`; its description in `kind` always is.

mod cues;
mod facts;
mod item;
mod naming;
mod outline;
mod personas;
mod portfolio;
mod provider;
mod select;
mod speech;
mod text;

pub use provider::Offline;

pub(super) use provider::build;

//! Drafts without a model: the built-in recipes answered by text statistics over the prompt's documents.
//!
//! Everything it writes is a sentence of the documents; what they do not say stays empty. The same documents give
//! the same answer. Its cue phrases are English.

#[cfg(feature = "offline")]
mod cues;
#[cfg(feature = "offline")]
mod facts;
#[cfg(feature = "offline")]
mod item;
mod kind;
#[cfg(feature = "offline")]
mod outline;
#[cfg(feature = "offline")]
mod personas;
#[cfg(feature = "offline")]
mod portfolio;
#[cfg(feature = "offline")]
mod provider;
#[cfg(feature = "offline")]
mod select;
#[cfg(feature = "offline")]
mod speech;
#[cfg(feature = "offline")]
mod text;

#[cfg(feature = "offline")]
pub use provider::Offline;

pub(crate) use kind::KIND;

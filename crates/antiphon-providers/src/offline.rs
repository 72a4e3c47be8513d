//! Drafts without a model: the built-in recipes answered by text statistics over the prompt's documents.
//!
//! Everything it writes is a sentence of the documents; what they do not say stays empty. The same documents give
//! the same answer. Its cue phrases are English.

#[cfg(feature = "offline")]
mod drafts;
mod kind;

#[cfg(feature = "offline")]
pub use drafts::Offline;

pub(crate) use kind::KIND;

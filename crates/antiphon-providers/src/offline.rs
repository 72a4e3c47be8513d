//! Drafts without a model: the built-in recipes answered by text statistics over the prompt's documents.
//!
//! Every text in an answer is a sentence of the documents, so that nothing is a hallucination; a field for which they have no
//! sentence stays empty. The same documents yield the same answer. The cue phrases are English.

#[cfg(feature = "offline")]
mod drafts;
mod kind;

#[cfg(feature = "offline")]
pub use drafts::Offline;

pub(crate) use kind::KIND;

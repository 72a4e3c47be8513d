//! Drafts without a model: the built-in recipes answered by text statistics over the prompt's documents.
//!
//! Every text in an answer is a sentence of the documents, so that no text can be a hallucination. A field for which the
//! documents have no sentence stays empty. The same documents always yield the same answer. The cue phrases are English.

#[cfg(feature = "offline")]
mod drafts;
mod kind;

#[cfg(feature = "offline")]
pub use drafts::Offline;

pub(crate) use kind::KIND;

//! Drafts without a model: the built-in recipes answered by text statistics over the prompt's documents.
//!
//! Everything it writes is a sentence that a participant said; what nobody said stays empty. The same documents give
//! the same answer. Its cue phrases are English.

mod cluster;
mod cues;
mod facts;
mod personas;
mod provider;
mod select;
mod speech;
mod terms;

pub use provider::Offline;

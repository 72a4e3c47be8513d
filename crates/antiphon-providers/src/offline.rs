//! Drafts without a model: the built-in recipes answered by text statistics over the prompt's documents.
//!
//! Everything it writes is a sentence of the documents; what they do not say stays empty. The same documents give
//! the same answer. Its cue phrases are English.

mod cues;
mod facts;
mod item;
mod outline;
mod personas;
mod portfolio;
mod provider;
mod select;
mod speech;
mod text;

pub use provider::Offline;

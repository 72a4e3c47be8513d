//! Finding the JSON in a model's answer, without ever guessing.
//!
//! Models put JSON into code fences, between sentences, and behind their thoughts. What is found is taken only when it
//! is whole and there is one of it: a cut answer is named as cut, and two different values are named as ambiguous.
//! What is whole in a cut answer is told by [`salvage`], to whoever asks for it.

mod extract;
mod repair;
mod salvage;

pub use extract::{Extracted, JsonError, JsonErrorKind, Repair, Strictness, extract, extract_with};
pub use salvage::{Salvaged, salvage};

//! Text statistics: sentence splitting, TF-IDF terms, clustering and MinHash similarity.
//!
//! - [`sentences()`] splits a text into sentences.
//! - [`Terms`] computes TF-IDF vectors, and [`cluster`] groups texts by them.
//! - [`MinHash`] estimates the similarity of two texts (near-duplicate detection).
//! - [`is_english`] says whether the statistics apply, and [`embeds`] finds the parts of Markdown that a page cannot have.
//!
//! All functions are synchronous and deterministic: they use no random numbers, so the same texts always return the
//! same result. The crate does no I/O and calls no language model. Stop words and abbreviations are English.
//!
//! ```
//! use antiphon_text::{Terms, cluster};
//! let said = ["flour and dough", "apples at the market", "dough before dawn", "market apples"];
//! let (terms, vectors) = Terms::count(said.iter().map(|text| [*text]));
//! assert_eq!(cluster(&vectors, terms.len(), 2..=2, || false), [vec![0, 2], vec![1, 3]]);
//! ```
#![cfg_attr(docsrs, feature(doc_cfg))]

mod clusters;
mod embeds;
mod language;
mod min_hash;
mod sentences;
mod terms;

pub use clusters::{Centroid, centroid, cluster};
pub use embeds::{Embed, embeds, without_embeds};
pub use language::{is_english, is_foreign};
pub use min_hash::MinHash;
pub use sentences::sentences;
pub use terms::{SparseVector, Terms};

/// The README's code.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

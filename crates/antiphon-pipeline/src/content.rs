//! From notes to the copy of a portfolio site, in the voice of a theme.
//!
//! `ContentEngine` asks a provider for it, `recipe` is the same as a recipe over rows, for the bulk engine. Links and
//! numbers that the notes do not have are taken out again, and a [`Voice`]'s rules hold whatever the model wrote.

mod engine;
mod grounding;
mod portfolio;
mod recipe;
mod sources;
mod voice;

pub use engine::{ContentEngine, GeneratedContent};
pub use grounding::{Reason, Removed};
pub use portfolio::{CallToAction, Content, Hero, Link, Project};
pub use recipe::{ContentRow, recipe};
pub use sources::{LoadedNotes, SitePage};
pub use voice::{Case, TextRule, Voice};

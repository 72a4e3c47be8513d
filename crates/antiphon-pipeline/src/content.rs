//! From notes to the copy of a portfolio site, in the voice of a theme.
//!
//! `ContentEngine` asks a provider for it, `recipe` is the same as a recipe over rows, for the bulk engine. Links and
//! numbers that the notes do not have are taken out again, and a [`Voice`]'s rules hold whatever the model wrote.

mod asking;
mod engine;
mod grounds;
mod portfolio;
mod sources;
mod voice;

pub use asking::{Notes, recipe};
pub use engine::{ContentEngine, Made};
pub use grounds::{Reason, Removed};
pub use portfolio::{CallToAction, Content, Hero, Link, Project};
pub use sources::{LoadedNotes, SitePage};
pub use voice::{Case, TextRule, Voice};

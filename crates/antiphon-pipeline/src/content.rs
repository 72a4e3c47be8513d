//! The copy of a portfolio site from notes, in the voice of a theme.
//!
//! [`ContentEngine`] generates it with a provider; [`recipe()`] is the same task as a recipe over rows, for a run of the
//! engine. Answers are structured output. Grounding removes links and numbers that the notes do not contain
//! (hallucination), and the rules of a [`Voice`] are applied to every text, whatever the model wrote.

mod engine;
mod grounding;
mod left_out;
mod portfolio;
mod recipe;
mod sources;
mod voice;

pub use engine::{ContentEngine, GeneratedContent};
pub use grounding::{Reason, Removed};
pub use left_out::CopyOrigin;
pub use portfolio::{CallToAction, Content, Hero, Link, Project};
pub use recipe::{ContentRow, recipe};
pub use sources::{LoadedNotes, SitePage};
pub use voice::{Case, TextRule, Voice};

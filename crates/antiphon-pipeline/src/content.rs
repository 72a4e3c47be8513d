//! From notes to the copy of a portfolio site, in the voice of a theme.
//!
//! `ContentEngine` asks a provider for it, `recipe` is the same as a recipe over rows, for the bulk engine. Links and
//! numbers that the notes do not have are taken out again, and a [`Voice`]'s rules hold whatever the model wrote.

#[cfg(feature = "store")]
mod asking;
#[cfg(feature = "store")]
mod engine;
mod grounds;
mod portfolio;
mod voice;

#[cfg(feature = "store")]
pub use asking::{Notes, recipe};
#[cfg(feature = "store")]
pub use engine::{ContentEngine, Made};
pub use grounds::{Reason, Removed};
pub use portfolio::{CallToAction, Content, Hero, Link, Project};
pub use voice::{Case, TextRule, Voice};

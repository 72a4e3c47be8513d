//! Checkups of providers: which of them answer, with which models, and what to do about those that do not.

mod engine;
mod finding;
mod models;
mod subject;

pub use engine::LocalEngine;
pub use finding::{Checkup, Finding};
pub use models::{ModelInfo, ProviderModels};
pub use subject::Subject;

//! Checkups of providers: which of them answer, with which models, and what to do about those that do not.

mod engine;
mod models;
mod result;
mod subject;

pub use engine::LocalEngine;
pub use models::{ModelInfo, ProviderModels};
pub use result::{Checkup, CheckupResult};
pub use subject::Subject;

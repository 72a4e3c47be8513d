//! Personas: recipe, prompt, answer schema, verification of citations, near-duplicate rejection and rules.

mod answer;
mod count;
mod coverage;
pub(crate) mod digest;
pub(crate) mod distil;
mod distinct;
mod preset;
mod recipe;
mod types;
mod validation;

pub(crate) use self::answer::Answer;
pub use self::count::{Count, NoCount};
pub use self::coverage::{Coverage, DocumentCoverage, PersonaCoverage};
pub use self::distinct::Duplicate;
pub(crate) use self::distinct::deduplicate;
pub use self::preset::PersonaRecipe;
pub(crate) use self::recipe::separated;
pub(crate) use self::recipe::{NAME, prompt, schema};
pub use self::types::{Evidence, Match, Persona, Personas, Quote, SourcePlace, Unverified};
pub use self::validation::{Finding, Level, Rule, Validation};
pub(crate) use self::validation::{Rules, validate};

//! Schemas for structured output. The feature `schema` has their construction and the check of answers against them; without
//! it, the type has no value, so that a `match` over the forms of an answer is the same in every build.

mod definition;
#[cfg(feature = "schema")]
mod limits;
#[cfg(feature = "schema")]
mod recursion;
#[cfg(feature = "schema")]
mod references;
#[cfg(not(feature = "schema"))]
mod unbuilt;
#[cfg(feature = "schema")]
mod validation;

pub use definition::Schema;
#[cfg(feature = "schema")]
pub use validation::Violation;

#[cfg(not(feature = "schema"))]
use unbuilt as validator;
#[cfg(feature = "schema")]
use validation as validator;

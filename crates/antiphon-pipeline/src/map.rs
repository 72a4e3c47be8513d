//! A prompt over rows: recipes, results in the order of the rows, and the report.

mod estimate;
mod output;
mod recipe;
mod report;
mod run;

pub use crate::checks::Check;
pub use estimate::Estimate;
pub use output::{Destination, Lines, Order, export};
pub use recipe::{Drawing, Recipe};
pub use report::{Cause, MapReport, MapStatus, MapTime, PossiblyBilled, causes};
pub use run::{Mapped, Mapping, OnStatus};

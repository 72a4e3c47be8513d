//! Experiments: a folder with data, how personas are drawn from it, and all that came of it.

mod definition;
mod folder;
mod history;

pub use self::definition::{Definition, Drawn};
pub use self::folder::{Experiment, How};
pub use self::history::{ExperimentInfo, PastRun, Statistics};

//! Experiments: a folder with data, how personas are drawn from it, and all that came of it.

mod definition;
mod folder;
mod history;

pub use self::definition::{Definition, PersonaDefaults};
pub use self::folder::{AddMode, Experiment};
pub use self::history::{ExperimentInfo, PastRun, Statistics};

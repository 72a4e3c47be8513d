//! Experiments: a folder with data, defaults for generating personas from it, and the outputs of all its runs.

mod definition;
mod folder;
mod history;
mod links;

pub use self::definition::{Definition, PersonaDefaults};
pub use self::folder::{AddMode, Experiment};
pub use self::history::{ExperimentInfo, PastRun, Statistics};

//! The operations on runs, with plain data as input and output: nothing in this module prints, reads the environment or depends
//! on a command line.
//!
//! A [`RunRequest`] describes a run; a [`Workspace`] is a folder of runs, and its methods are the operations on them. Errors are
//! [`OperationError`]s, whose kind a front end (a command line or a server) maps to an exit code or an HTTP status.

mod content;
mod error;
mod experiments;
mod export;
mod legacy;
mod map;
mod outcome;
mod personas;
mod report;
mod request;
mod runs;
mod sources;
mod start;
mod workspace;

pub use antiphon_connect::{doctor, local_engines, models, near_models, pull};
pub use antiphon_engine::{Change, ResultRow, RunDiff, RunEvent, RunInfo, RunLimits};
pub use antiphon_http::{FetchError, FetchRequest, Fetched, FetchedFile, fetch, without_secrets};
pub use antiphon_pipeline::experiment::{ExperimentInfo, PastRun};
pub use antiphon_providers::checkup::{Checkup, CheckupResult, LocalEngine, ModelInfo, ProviderModels};
pub use antiphon_providers::registry::puller;
pub use error::{Hint, OperationError, OperationErrorKind, StopNotice};
pub use experiments::{ExperimentStart, Experiments};
pub use export::ExportFormat;
pub use outcome::{ContentResult, MapResult, PersonasResult, Plan, RunOutcome, RunResult};
pub use request::{Anonymise, OutputOptions, RecipeSource, RunKind, RunRequest};
pub use runs::{ListFilter, Page, ResultList, RunList};
pub use sources::{fetch_document, is_address};
pub use workspace::{Watch, Workspace};

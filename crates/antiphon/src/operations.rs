//! The operations on runs, with plain data as input and output: nothing in this module prints, reads the environment or depends
//! on a command line.
//!
//! A [`RunRequest`] describes a run; a [`Workspace`] is a folder of runs, and its methods are the operations on them. Errors are
//! [`OperationError`]s, whose kind a front end (a command line or a server) maps to an exit code or an HTTP status.
//!
//! | to | use |
//! |---|---|
//! | describe a run | [`RunRequest::map`], [`RunRequest::personas`], [`RunRequest::content`] |
//! | estimate its cost | [`Workspace::plan`] |
//! | run it | [`Workspace::start`], [`Workspace::start_all`] |
//! | resume it | [`Workspace::resume`], [`Workspace::retry_failed`] |
//! | observe and stop it | [`Watch`], [`Workspace::cancel`] |
//! | read its results | [`Workspace::status`], [`Workspace::results`], [`Workspace::export`], [`Workspace::report`] |
//! | compare runs | [`Workspace::list`], [`Workspace::diff`] |
//! | delete runs | [`Workspace::delete`], [`Workspace::prune`] |
//! | keep documents and settings together | [`Experiments`] |
//! | fetch documents | [`fetch_document`] for one, [`fetch`] for many |
//! | look at providers | [`doctor`], [`examine`], [`models`], [`local_engines`] |
//!
//! A request is data, so another process can continue its run; everything that belongs to this process, such as
//! callbacks and cancellation tokens, is in the [`Watch`]. All operations are safe to call concurrently, on one
//! workspace or on several: runs are coordinated by locks within a process and by leases in the store between
//! processes.

mod anonymising;
mod completed;
mod content;
mod deletion;
mod error;
mod experiments;
mod export;
mod hint;
mod legacy;
mod map;
mod outcome;
mod personas;
mod report;
mod request;
mod runs;
mod sources;
mod start;
mod stop_notice;
mod workspace;

pub use antiphon_connect::{
    Examination, ExaminedStep, StepState, doctor, examine, local_engines, models, near_models, pull,
};
pub use antiphon_engine::{Change, CurrentStatus, ResultRow, RunDiff, RunEvent, RunInfo, RunLimits};
pub use antiphon_http::{FetchError, FetchRequest, Fetched, FetchedFile, fetch, without_secrets};
pub use antiphon_pipeline::experiment::{ExperimentInfo, PastRun};
pub use antiphon_providers::checkup::{Checkup, CheckupResult, LocalEngine, ModelInfo, ProviderModels};
pub use antiphon_providers::registry::puller;
pub use deletion::{DeletedRun, KeptRun, PruneFilter, Pruned};
pub use error::{Hint, OperationError, OperationErrorKind};
pub use experiments::{ExperimentStart, Experiments};
pub use export::{ExportFormat, Exported};
pub use outcome::{ContentResult, ExpectedCost, MapResult, PersonasResult, Plan, RunOutcome, RunResult};
pub use request::{Anonymise, OutputOptions, RecipeSource, RunKind, RunRequest};
pub use runs::{ListFilter, Page, ResultList, RunList};
pub use sources::{fetch_document, is_address};
pub use stop_notice::StopNotice;
pub use workspace::{Watch, Workspace};

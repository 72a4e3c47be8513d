//! What can be done, as plain data in and out: nothing here prints, reads the environment or knows a command line.

mod content;
mod doctor;
mod export;
mod fetch;
mod generate;
mod local;
mod map;
mod models;
mod report;
mod runs;
mod sources;

pub use content::{ContentRequest, SitePage, Sites, content, estimate_content, themes};
pub use doctor::{Checkup, Finding, doctor};
pub use export::{ExportFormat, export_run};
pub use fetch::{FetchError, FetchRequest, Fetched, FetchedFile, fetch, without_secrets};
pub use generate::{Done, GenerateReport, GenerateRequest, RunOutcome, Watch, estimate_generation, generate};
pub use local::{LocalEngine, local_engines, pull, puller};
pub use map::{MapRequest, WORTH_TELLING, estimate, map};
pub use models::{ModelInfo, ProviderModels, models, near_models};
pub use report::report_run;
pub use runs::{Change, RunDiff, RunInfo, diff_runs, run_info, runs};
pub use sources::{fetch_document, is_address};

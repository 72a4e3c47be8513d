//! What can be done, as plain data in and out: nothing here prints, reads the environment or knows a command line.

#[cfg(feature = "sqlite")]
mod content;
mod doctor;
#[cfg(feature = "sqlite")]
mod export;
mod fetch;
#[cfg(feature = "sqlite")]
mod generate;
mod local;
#[cfg(feature = "sqlite")]
mod map;
mod models;
#[cfg(feature = "sqlite")]
mod report;
#[cfg(feature = "sqlite")]
mod runs;
#[cfg(feature = "sqlite")]
mod sources;

#[cfg(feature = "sqlite")]
pub use content::{ContentRequest, SitePage, Sites, content, estimate_content, themes};
pub use doctor::{Checkup, Finding, doctor};
#[cfg(feature = "sqlite")]
pub use export::{ExportFormat, export_run};
pub use fetch::{FetchError, FetchRequest, Fetched, FetchedFile, fetch, without_secrets};
#[cfg(feature = "sqlite")]
pub use generate::{Done, GenerateReport, GenerateRequest, RunOutcome, Watch, estimate_generation, generate};
#[cfg(feature = "ollama")]
pub use local::pull;
pub use local::{LocalEngine, local_engines};
#[cfg(feature = "sqlite")]
pub use map::{MapRequest, WORTH_TELLING, estimate, map};
pub use models::{ModelInfo, ProviderModels, models, near_models};
#[cfg(feature = "sqlite")]
pub use report::report_run;
#[cfg(feature = "sqlite")]
pub use runs::{Change, RunDiff, RunInfo, diff_runs, run_info, runs};
#[cfg(feature = "sqlite")]
pub use sources::{fetch_document, is_address};

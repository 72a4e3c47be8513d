//! What can be done, as plain data in and out: nothing here prints, reads the environment or knows a command line.

mod fetch;
mod generate;

pub use fetch::{FetchError, FetchRequest, Fetched, FetchedFile, fetch, without_secrets};
pub use generate::{Done, GenerateReport, GenerateRequest, RunOutcome, Watch, generate};

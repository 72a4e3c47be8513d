//! What can be done, as plain data in and out: nothing here prints, reads the environment or knows a command line.

mod generate;

pub use generate::{Done, GenerateReport, GenerateRequest, RunOutcome, Watch, generate};

//! Runs of recipes over rows with a language model: the intent of each call is a write-ahead record in the store, and each result
//! is durable before it is reported.
//!
//! A [`Recipe`] has the prompt template for a row, and the schema and checks of an answer. A [`Mapping`] applies it to all rows
//! of an input, and resumes a run that did not finish. An [`Engine`] processes the jobs of one run under a [`Budget`], with a
//! concurrency limit, retries, schema retries, salvage of cut answers, deduplication and a cache. For a few rows in memory, whose
//! outcomes the next step needs, use [`JobBatch`]. For a custom recipe implement [`Work`].
//!
//! ```
//! use antiphon_engine::Recipe;
//! let recipe = Recipe::parse("towns.toml", "prompt = \"In which country is {{ name }}?\"")?;
//! let prompt = recipe.asking("some-model")?.prompt("{\"name\": \"Ulm\"}");
//! assert_eq!(prompt.unwrap().messages[0].rendered(), "In which country is Ulm?");
//! # Ok::<(), antiphon_engine::Error>(())
//! ```
//!
//! | task | type |
//! |---|---|
//! | apply a recipe to all rows of a file | [`Mapping`] |
//! | process a few rows in memory | [`JobBatch`] |
//! | process the jobs of a run with a custom receiver of outcomes | [`Engine`] |
//! | write a recipe in code | [`Work`] |
//! | show progress | [`RunEvent`], [`Meter`] |
//! | inspect, compare or export stored runs | [`RunInfo`], [`RunSummary`], [`RunDiff`], [`export`] |
//!
//! # Guarantees
//! - No call is sent before its intent is durable (write-ahead), so after a crash every call is either settled or
//!   counted as possibly billed. Calls are therefore at-least-once: the call of a crashed process may be sent again by
//!   the next one.
//! - Each row has at most one result: the first that is settled. Settlements carry the attempt of the job as a fencing
//!   token. A late result, of a worker whose lease has expired, is kept beside the first and never replaces it.
//! - A budget holds for all processes that work on the run together: the store rejects an intent that might exceed it.
//! - Queues are bounded. A slow receiver of outcomes slows the calls down (backpressure), and so do slow calls the
//!   reading of the input.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod accounts;
mod batch;
mod budget;
mod checks;
mod decimal;
mod diff;
mod differs;
mod dispatch;
mod engine;
mod error;
mod estimate;
mod event;
mod failed_rows;
mod feed;
mod file_output;
#[cfg(test)]
mod fixtures;
mod health;
mod held;
mod histogram;
mod identity;
mod input;
mod inspect;
mod job;
mod limit_sharing;
mod limits;
mod list_check;
mod list_place;
mod mapping;
mod meter;
mod missing_elements;
mod place;
mod reading;
mod recipe;
mod remarks;
mod report;
mod rest;
mod results;
mod run_state;
mod schema_file;
mod served;
mod shared;
mod status;
mod stop;
mod stop_signal;
mod summary;
mod template_limits;
mod template_value;
mod text_writer;
mod time_spent;
mod timings;
mod toml_file;
mod usage;
mod work;

pub use batch::{BatchOutcome, JobBatch};
pub use budget::{Budget, Exhausted, Grant};
pub use checks::{Check, CheckViolations, Checks, InvalidCheck};
pub use diff::{Change, RunDiff};
pub use engine::{Engine, JobDetails, JobOutcome, Journal, MAX_RETRIES, Options, Pricing};
pub use error::{Error, ErrorKind};
pub use estimate::Estimate;
pub use event::{EVENT_SCHEMA, RunEvent};
pub use feed::RowSource;
pub use input::Input;
pub use inspect::{CurrentStatus, ResultRow, RunInfo};
pub use job::JobFailure;
pub use limits::{RunLimits, usd_micros};
pub use mapping::{Mapped, Mapping, OnEvent};
pub use meter::{DocumentsReading, Meter, Reading, RowsReading};
pub use missing_elements::{MissingElements, prompt_for_rest};
pub use recipe::Recipe;
pub use remarks::RunWarning;
pub use report::{Cause, LONG_RUN, MapReport, MapStatus, MapTime, PossiblyBilled, causes};
pub use results::{Destination, Lines, Order, export};
pub use status::{ProviderLimits, Status, Waiting};
pub use stop::StopCause;
pub use summary::{RowSummary, RunSummary};
pub use text_writer::{TextWriter, each_result};
pub use timings::Phase;
pub use toml_file::{at_param, near_name, read_toml, without_value};
pub use usage::{UsageMeans, UsageQuantiles};
pub use work::{Accepted, Invalid, InvalidRow, JobView, Unique, Work};

pub(crate) use timings::PHASES;

/// The examples in the README, as doctests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

//! A store for runs, their jobs and their paid answers. A result is stored before it is reported.
//!
//! A [`Store`] is in memory ([`Store::in_memory`]) or in one SQLite file (`Store::open`, feature `sqlite`, on by default); both
//! have the same methods.
//!
//! A [`Run`] is a list of jobs. A job is first queued; then intended, when the write-ahead record of a call is stored that is
//! about to be sent; and finally accepted or failed. Several processes may work on one run: each is a worker with a lease, and
//! the other workers take over the jobs of a worker that has died.
//!
//! A change is stored when its method returns, so a run in a file can be resumed after a crash at any instant. Calls are
//! at-least-once, and results exactly-once. The crate does not depend on language models: rows, answers and results are texts.
//!
//! ```
//! use antiphon_store::{Bill, Intent, NewRun, Settlement, Store};
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), antiphon_store::Error> {
//! let store = Store::in_memory();
//! let run = store.open_run(NewRun::new("fingerprint of the command")).await?;
//! run.enqueue(vec!["{\"city\": \"Oslo\"}".to_owned()]).await?;
//! run.seal().await?;
//! let job = run.claim(10).await?.remove(0);
//! let attempt = run.intend(Intent::new(job.index).attempt(job.attempt)).await?;
//! run.settle(Settlement::accepted(job.index, "cold", Bill::call(Some(40))).attempt(attempt)).await?;
//! assert!(run.claim(10).await?.is_empty());
//! assert_eq!(run.tally().await?.accepted, 1);
//! # Ok(())
//! # }
//! ```
#![cfg_attr(docsrs, feature(doc_cfg))]

mod backend;
mod error;
mod filter;
mod job;
mod limit;
mod memory;
mod pages;
mod record;
mod run;
#[cfg(feature = "sqlite")]
mod sqlite;
mod store;
mod worker;

pub use error::{Error, ErrorKind};
pub use filter::RunFilter;
pub use job::{Answer, Bill, Intent, Job, JobRecord, JobState, LateResult, Settled, Settlement};
pub use limit::{LimitDemand, LimitShare, MeasuredRate};
pub use pages::Pages;
pub use record::{NewRun, RunRecord, RunStatus, Tally};
pub use run::Run;
pub use store::Store;
pub use worker::{Heartbeat, Interrupted};

/// The examples of the README, as doctests.
#[cfg(all(doctest, feature = "sqlite"))]
#[doc = include_str!("../README.md")]
struct Readme;

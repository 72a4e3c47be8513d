//! Runs, their jobs, and the answers that were paid for: on the disk before anybody is told.
//!
//! A [`Store`] is one file. A [`Run`] is a list of jobs of which each goes from queued over intended (a call is about to be
//! sent) and answered to accepted or failed; whoever holds a `Run` is its only owner. What a verb has returned from is
//! kept: after a crash at any instant the same run goes on where it stood. It knows no language model; rows, answers and
//! results are texts to it.
//!
//! ```
//! use antiphon_store::{Bill, Intent, NewRun, Settlement, Store};
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = antiphon_fs::temp_dir()?;
//! # let path = folder.path().join("antiphon.db");
//! let store = Store::open(&path).await?;
//! let run = store.open_run(NewRun::new("fingerprint of the command")).await?;
//! run.enqueue(vec!["{\"city\": \"Oslo\"}".to_owned()]).await?;
//! run.seal().await?;
//! let job = run.claim(10).await?.remove(0);
//! run.intend(Intent::new(job.index, [0; 32])).await?;
//! run.settle(Settlement::accepted(job.index, "cold", Bill::call(Some(40)))).await?;
//! assert!(run.claim(10).await?.is_empty());
//! assert_eq!(run.tally().await?.accepted, 1);
//! # Ok(())
//! # }
//! ```

mod error;
mod job;
mod pages;
mod record;
mod run;
mod sqlite;
mod store;

pub use error::{Error, ErrorKind};
pub use job::{Answer, Bill, Intent, Job, JobRecord, JobState, Settlement};
pub use pages::Pages;
pub use record::{NewRun, RunRecord, RunStatus, Tally};
pub use run::{Interrupted, Run};
pub use store::Store;

/// The README's code.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

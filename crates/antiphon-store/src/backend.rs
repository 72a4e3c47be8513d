//! The back ends behind [`Store`](crate::Store) and [`Run`](crate::Run), and the verbs that each of them has.

use std::fmt;

use jiff::Timestamp;

use crate::error::{Error, ErrorKind};
use crate::filter::RunFilter;
use crate::job::{Answer, Intent, Job, JobRecord, Settlement};
use crate::memory::Memory;
use crate::record::{NewRun, RunRecord, RunStatus, Tally};
use crate::run::Interrupted;
#[cfg(feature = "sqlite")]
use crate::sqlite::Sqlite;

/// A handle to one of the back ends; clones share its data.
#[derive(Debug, Clone)]
pub(crate) enum Backend {
    Memory(Memory),
    #[cfg(feature = "sqlite")]
    Sqlite(Sqlite),
}

/// The exclusive right to work on a run, and the run as its new owner finds it.
pub(crate) struct Owned {
    pub(crate) record: RunRecord,
    /// Calls that the last owner intended and never settled, in the order of their jobs.
    pub(crate) interrupted: Vec<Interrupted>,
    pub(crate) guard: Guard,
}

/// A guard whose drop gives the ownership of a run back.
pub(crate) type Guard = Box<dyn fmt::Debug + Send + Sync>;

/// Declares the verbs once and passes each to the back end in use.
macro_rules! verbs {
    ($($(#[$doc:meta])* $verb:ident($($argument:ident: $of:ty),*) -> $kept:ty;)*) => {
        impl Backend {$(
            $(#[$doc])*
            pub(crate) async fn $verb(&self, $($argument: $of),*) -> Result<$kept, Error> {
                match self {
                    Self::Memory(memory) => memory.$verb($($argument),*).await,
                    #[cfg(feature = "sqlite")]
                    Self::Sqlite(sqlite) => sqlite.$verb($($argument),*).await,
                }
            }
        )*}
    };
}

// A run is known by its number in the store, `run` or `seq`, which grows with each new run.
verbs! {
    /// The newest run with this fingerprint, unless that was cancelled or a fresh one is asked for; else a new run with this
    /// id.
    find_or_create(new: NewRun, id: String) -> (i64, RunRecord);
    /// Takes the run for the caller and queues again what the last owner left: `Busy` while another owner lives.
    own(run: i64, id: String) -> Owned;
    /// Up to two runs whose ids begin with this prefix.
    find(prefix: String) -> Vec<(i64, RunRecord)>;
    /// Up to `most` selected runs, newest first, of those before this one.
    runs_page(filter: RunFilter, before: Option<i64>, most: usize) -> Vec<(i64, RunRecord)>;
    /// The status of a run as it is now.
    status(run: i64) -> RunStatus;
    /// Ends a run as cancelled unless it has ended, and returns it as it is then.
    cancel(run: i64) -> RunRecord;
    /// Replaces the stored request of a run.
    set_request(run: i64, request: String) -> ();
    /// Adds jobs at the end of a run: all or none.
    enqueue(run: i64, rows: Vec<String>) -> ();
    /// Stores the number of jobs as the run's total.
    seal(run: i64) -> u64;
    /// Up to `most` queued jobs from this index on.
    queued(run: i64, from: u64, most: usize) -> Vec<Job>;
    /// Records that a call is about to be sent: `Conflict` for a job that has ended.
    intend(run: i64, intent: Intent) -> ();
    /// Records how a call has ended: `Conflict` for a job that has ended.
    settle(run: i64, settlement: Settlement) -> ();
    /// Queues the failed jobs again, and marks a run that has any as stopped unless it was cancelled.
    retry_failed(run: i64) -> u64;
    /// Stores how the run ended this time; a cancelled run stays cancelled.
    finish(run: i64, status: RunStatus, report: String) -> ();
    /// The sums over all jobs of a run.
    tally(run: i64) -> Tally;
    /// Up to `most` jobs from this index on.
    jobs(run: i64, from: u64, most: usize) -> Vec<JobRecord>;
    /// Up to `most` failed jobs from this index on.
    failed(run: i64, from: u64, most: usize) -> Vec<JobRecord>;
    /// The first `most` jobs with possibly billed calls.
    lost(run: i64, most: usize) -> Vec<u64>;
    /// The cached answers to these questions, in their order.
    answers(keys: Vec<[u8; 32]>) -> Vec<Option<Answer>>;
    /// Stores a note under a name, over the one before.
    remember(name: String, note: String) -> ();
    /// The note under a name.
    recall(name: String) -> Option<String>;
}

impl Backend {
    /// Waits until the last handle has gone and the files are closed, if the back end has files.
    pub(crate) async fn close(self) {
        match self {
            Self::Memory(memory) => memory.close().await,
            #[cfg(feature = "sqlite")]
            Self::Sqlite(sqlite) => sqlite.close().await,
        }
    }
}

impl Error {
    /// Another owner, in the process with this number if that is known, works on the run.
    pub(crate) fn busy(id: &str, process: &str) -> Self {
        let process = if process.is_empty() { String::new() } else { format!(" {process}") };
        Self::new(ErrorKind::Busy, format!("run {id} is being worked on by process{process}"))
    }

    /// A change to a job that takes no more changes.
    pub(crate) fn job_ended(index: u64) -> Self {
        Self::new(ErrorKind::Conflict, format!("job {index} has ended already, or was never enqueued"))
    }
}

/// The time now, in milliseconds since 1970.
pub(crate) fn now() -> i64 {
    Timestamp::now().as_millisecond()
}

//! The back ends behind [`Store`](crate::Store) and [`Run`](crate::Run), and the verbs that each of them has.

use std::fmt;

use jiff::Timestamp;

use crate::error::{Error, ErrorKind};
use crate::filter::RunFilter;
use crate::job::{Answer, Intent, Job, JobRecord, LateResult, Settled, Settlement};
use crate::limit::{LimitDemand, LimitShare};
use crate::memory::Memory;
use crate::record::{NewRun, RunRecord, RunStatus, Tally};
#[cfg(feature = "sqlite")]
use crate::sqlite::Sqlite;
use crate::worker::{Heartbeat, Interrupted, Lease};

/// A handle to one of the back ends; clones share its data.
#[derive(Debug, Clone)]
pub(crate) enum Backend {
    Memory(Memory),
    #[cfg(feature = "sqlite")]
    Sqlite(Sqlite),
}

/// A new worker of a run, and the run as it finds it.
pub(crate) struct Joined {
    pub(crate) record: RunRecord,
    pub(crate) worker: i64,
    /// Calls that dead workers intended and never settled, in the order of their jobs.
    pub(crate) interrupted: Vec<Interrupted>,
    pub(crate) guard: Guard,
}

/// A guard whose drop ends a worker's lease.
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
    /// The newest run with this fingerprint, unless it was cancelled or a fresh run is requested; else a new run with this id.
    find_or_create(new: NewRun, id: String) -> (i64, RunRecord);
    /// The newest run with this fingerprint.
    newest(fingerprint: String) -> Option<(i64, RunRecord)>;
    /// Makes the caller a worker of the run, after it has taken over the jobs of those that have died.
    join(run: i64, id: String, lease: Lease) -> Joined;
    /// Renews the lease of a worker, and takes over the jobs of those whose lease has ended.
    heartbeat(run: i64, id: String, worker: i64) -> Heartbeat;
    /// Stores a worker's demand for a rate limit, and returns its part.
    share_limit(run: i64, worker: i64, wanted: LimitDemand) -> LimitShare;
    /// Up to two runs whose ids begin with this prefix.
    find(prefix: String) -> Vec<(i64, RunRecord)>;
    /// Up to `most` selected runs, newest first, of those before this one.
    runs_page(filter: RunFilter, before: Option<i64>, most: usize) -> Vec<(i64, RunRecord)>;
    /// The number of workers of a run that are alive.
    workers(run: i64, id: String) -> u64;
    /// Deletes a run that has no living workers, with its jobs, its notes and the answers that it stored. Returns the number
    /// of its living workers: if it is not 0, nothing was deleted.
    delete(run: i64, id: String) -> u64;
    /// The status of a run as it is now.
    status(run: i64) -> RunStatus;
    /// Cancels a run unless it has ended, and returns its new record.
    cancel(run: i64) -> RunRecord;
    /// Replaces the stored request of a run.
    set_request(run: i64, request: String) -> ();
    /// Adds those of the jobs from index `first` on that the run does not have yet; without `first`, adds all jobs at the end
    /// of the run. Adds all of them or none, and returns the number of jobs of the run.
    enqueue(run: i64, first: Option<u64>, rows: Vec<String>) -> u64;
    /// Stores the number of jobs as the run's total.
    seal(run: i64) -> u64;
    /// Leases the first `most` jobs that are queued, or put back and due, to a worker.
    claim(run: i64, worker: i64, most: usize) -> Vec<Job>;
    /// The earliest due time of the jobs that wait, in milliseconds since 1970.
    next_due(run: i64) -> Option<i64>;
    /// Releases those of these jobs that a worker holds and has made no call for.
    release(run: i64, worker: i64, jobs: Vec<u64>) -> ();
    /// Releases all jobs that a worker holds and has made no call for, except these.
    release_others(run: i64, worker: i64, known: Vec<u64>) -> ();
    /// Stores the write-ahead record of a worker's call, and returns the job's attempts.
    intend(run: i64, worker: i64, intent: Intent) -> u32;
    /// Releases a part of the budget that is held for possibly billed calls.
    release_held(run: i64, micros: u64) -> ();
    /// Stores the settlement of a worker's call.
    settle(run: i64, worker: i64, settlement: Settlement) -> Settled;
    /// Up to `most` late results, from this job on.
    late(run: i64, from: u64, most: usize) -> Vec<LateResult>;
    /// Queues the failed jobs again, and marks a run that has any as stopped unless it was cancelled.
    retry_failed(run: i64) -> u64;
    /// Stores the status with which a worker ended the run, and returns whether it was stored. A cancelled run stays cancelled,
    /// a run on which others still work is not stopped, and a run that others have finished keeps their report.
    finish(run: i64, worker: Option<i64>, status: RunStatus, report: String) -> bool;
    /// The sums over all jobs of a run.
    tally(run: i64) -> Tally;
    /// The number of calls in progress without a known upper bound of their cost. Reads all jobs of the run.
    unbounded_intents(run: i64) -> u64;
    /// Up to `most` jobs from this index on.
    jobs(run: i64, from: u64, most: usize) -> Vec<JobRecord>;
    /// Up to `most` failed jobs from this index on.
    failed(run: i64, from: u64, most: usize) -> Vec<JobRecord>;
    /// The first `most` jobs with possibly billed calls.
    lost(run: i64, most: usize) -> Vec<u64>;
    /// The cached answers to these questions, in their order.
    answers(keys: Vec<[u8; 32]>) -> Vec<Option<Answer>>;
    /// Stores a note under a name, in place of an earlier one.
    set_note(name: String, note: String) -> ();
    /// The note under a name.
    note(name: String) -> Option<String>;
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
    /// A call that could take the run over its limit.
    pub(crate) fn over_budget(committed: u64, max_cost: u64) -> Self {
        let message =
            format!("the run may already cost {committed} of at most {max_cost} millionths of a US dollar");
        Self::new(ErrorKind::OverBudget, message)
    }

    /// A result with something that another job has.
    pub(crate) fn not_unique(index: u64, at: usize, other: u64) -> Self {
        let message = format!("the result of job {index} is not unique: job {other} has the same value");
        Self::new(ErrorKind::NotUnique { at }, message)
    }

    /// A run that cannot be deleted yet.
    pub(crate) fn at_work(id: &str, workers: u64) -> Self {
        let workers = if workers == 1 { "a worker is".to_owned() } else { format!("{workers} workers are") };
        Self::new(ErrorKind::Conflict, format!("run {id} cannot be deleted: {workers} at work on it"))
    }

    /// Jobs that would leave a gap before them.
    pub(crate) fn gap(jobs: u64) -> Self {
        Self::new(
            ErrorKind::Conflict,
            format!("cannot add jobs: the run has {jobs}, and those that follow them are missing"),
        )
    }

    /// A change by a worker that does not hold the job.
    pub(crate) fn fenced(index: u64) -> Self {
        Self::new(ErrorKind::Fenced, format!("job {index} is held by another worker"))
    }

    /// A change to a job that takes no more changes.
    pub(crate) fn job_ended(index: u64) -> Self {
        Self::new(ErrorKind::Conflict, format!("job {index} has ended, or was never enqueued"))
    }
}

/// The time now, in milliseconds since 1970.
pub(crate) fn now() -> i64 {
    Timestamp::now().as_millisecond()
}

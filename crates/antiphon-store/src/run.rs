use std::sync::{Mutex, PoisonError};

use tokio::sync::Semaphore;

use crate::backend::{Backend, Guard, Owned};
use crate::error::Error;
use crate::job::{Intent, Job, JobRecord, Settlement};
use crate::pages::Pages;
use crate::record::{RunRecord, RunStatus, Tally};

/// One run. From [`Store::open_run`](crate::Store::open_run) and [`take_run`](crate::Store::take_run) the caller owns it and
/// no one else works on it while the handle lives; from [`look_at`](crate::Store::look_at) it is there to be read.
///
/// Every verb that changes something returns when the change is stored. In a file that means on the disk: an answer or a
/// result survives a loss of power, and an [`Intent`] alone survives the death of the process and not that of the machine.
#[derive(Debug)]
pub struct Run {
    backend: Backend,
    seq: i64,
    record: RunRecord,
    interrupted: Vec<Interrupted>,
    /// One claim at a time, so that two do not read the same jobs.
    claiming: Semaphore,
    /// Jobs before this one were claimed.
    cursor: Mutex<u64>,
    owner: Option<Guard>,
}

/// A call that was intended when the run's last owner died: it may have been billed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Interrupted {
    /// The job.
    pub index: u64,
    /// The most it may have cost, in millionths of a US dollar; `None` if that is not known.
    pub reserved: Option<u64>,
}

impl Interrupted {
    pub(crate) fn new(index: u64, reserved: Option<u64>) -> Self {
        Self { index, reserved }
    }
}

impl Run {
    pub(crate) fn new(backend: Backend, seq: i64, record: RunRecord) -> Self {
        let (claiming, cursor) = (Semaphore::new(1), Mutex::default());
        Self { backend, seq, record, interrupted: Vec::new(), claiming, cursor, owner: None }
    }

    pub(crate) fn owned(backend: Backend, seq: i64, owned: Owned) -> Self {
        let Owned { record, interrupted, guard } = owned;
        Self { interrupted, owner: Some(guard), ..Self::new(backend, seq, record) }
    }

    /// Returns the run as it was when this handle was opened.
    #[must_use]
    pub fn record(&self) -> &RunRecord {
        &self.record
    }

    /// Whether this handle owns the run, and may change it.
    #[must_use]
    pub fn is_owned(&self) -> bool {
        self.owner.is_some()
    }

    /// Returns the calls that the run's last owner intended and never settled. Their jobs are queued again.
    #[must_use]
    pub fn interrupted(&self) -> &[Interrupted] {
        &self.interrupted
    }

    /// Adds jobs at the end.
    ///
    /// # Errors
    /// `StorageFull` or `Io`; then none was added.
    ///
    /// # Cancel safety
    /// A dropped call may still add all of them: ask [`tally`](Self::tally) how many there are.
    pub async fn enqueue(&self, rows: Vec<String>) -> Result<(), Error> {
        self.backend.enqueue(self.seq, rows).await
    }

    /// Marks the list of jobs as complete, and returns their number.
    ///
    /// # Errors
    /// `StorageFull` or `Io`.
    ///
    /// # Cancel safety
    /// A dropped call may still mark it.
    pub async fn seal(&self) -> Result<u64, Error> {
        self.backend.seal(self.seq).await
    }

    /// Claims up to `most` queued jobs that this handle did not claim before, in their order. Fewer, or none, where no more
    /// are queued yet. Claims at the same time share no job.
    ///
    /// # Errors
    /// `Io`.
    ///
    /// # Cancel safety
    /// A dropped call claims nothing.
    pub async fn claim(&self, most: usize) -> Result<Vec<Job>, Error> {
        let _turn = self.claiming.acquire().await;
        let from = *self.cursor.lock().unwrap_or_else(PoisonError::into_inner);
        let jobs = self.backend.queued(self.seq, from, most).await?;
        if let Some(last) = jobs.last() {
            *self.cursor.lock().unwrap_or_else(PoisonError::into_inner) = last.index + 1;
        }
        Ok(jobs)
    }

    /// Records that a call is about to be sent: the write-ahead record of it. Send the call only after this returned.
    ///
    /// # Errors
    /// `Conflict` for a job that has ended; `StorageFull` or `Io`.
    ///
    /// # Cancel safety
    /// A dropped call may still be recorded; the job then counts as possibly billed if its owner dies.
    pub async fn intend(&self, intent: Intent) -> Result<(), Error> {
        self.backend.intend(self.seq, intent).await
    }

    /// Records how a call has ended. Report no result before this returned.
    ///
    /// # Errors
    /// `Conflict` for a job that has ended: its first result stays. `StorageFull` or `Io`.
    ///
    /// # Cancel safety
    /// A dropped call may still be recorded.
    pub async fn settle(&self, settlement: Settlement) -> Result<(), Error> {
        self.backend.settle(self.seq, settlement).await
    }

    /// Queues the failed jobs again, and returns their number. Their cost so far stays in the tally.
    ///
    /// # Errors
    /// `StorageFull` or `Io`.
    ///
    /// # Cancel safety
    /// A dropped call may still queue them; this handle may then claim them no more, and the next owner does.
    pub async fn retry_failed(&self) -> Result<u64, Error> {
        let _turn = self.claiming.acquire().await;
        let queued = self.backend.retry_failed(self.seq).await?;
        *self.cursor.lock().unwrap_or_else(PoisonError::into_inner) = 0;
        Ok(queued)
    }

    /// Reads the status of the run as it is now: an owner polls it to see that the run was cancelled.
    /// [`record`](Self::record) has the status of when it was opened.
    ///
    /// # Errors
    /// `Io`.
    ///
    /// # Cancel safety
    /// Nothing is changed, so nothing is lost.
    pub async fn status(&self) -> Result<RunStatus, Error> {
        self.backend.status(self.seq).await
    }

    /// Replaces the stored request text, so that a request of an earlier version is stored as this version writes it. The
    /// [`record`](Self::record) of this handle stays as it was read.
    ///
    /// # Errors
    /// `StorageFull` or `Io`.
    ///
    /// # Cancel safety
    /// A dropped call may still replace it.
    pub async fn set_request(&self, request: String) -> Result<(), Error> {
        self.backend.set_request(self.seq, request).await
    }

    /// Stores how the run ended this time, and a report: a JSON text. A cancelled run stays cancelled, whatever the status is.
    ///
    /// # Errors
    /// `StorageFull` or `Io`.
    ///
    /// # Cancel safety
    /// A dropped call may still store it.
    pub async fn finish(&self, status: RunStatus, report: String) -> Result<(), Error> {
        self.backend.finish(self.seq, status, report).await
    }

    /// Returns the sums of jobs, calls, tokens and cost.
    ///
    /// # Errors
    /// `Io`.
    ///
    /// # Cancel safety
    /// Nothing is changed, so nothing is lost.
    pub async fn tally(&self) -> Result<Tally, Error> {
        self.backend.tally(self.seq).await
    }

    /// Returns all jobs, a page at a time.
    pub fn pages(&self) -> Pages<'_> {
        Pages::all(self)
    }

    /// Returns the failed jobs, a page at a time.
    pub fn failed(&self) -> Pages<'_> {
        Pages::failed(self)
    }

    pub(crate) async fn failed_from(&self, from: u64, most: usize) -> Result<Vec<JobRecord>, Error> {
        self.backend.failed(self.seq, from, most).await
    }

    /// Returns the first `most` jobs with possibly billed calls, in their order.
    ///
    /// # Errors
    /// `Io`.
    ///
    /// # Cancel safety
    /// Nothing is changed, so nothing is lost.
    pub async fn lost(&self, most: usize) -> Result<Vec<u64>, Error> {
        self.backend.lost(self.seq, most).await
    }

    /// Returns up to `most` jobs from the one with index `from` on, in their order. To read results in pages, begin with 0
    /// and continue with the last index and one: jobs neither move nor vanish, so that no page misses one, and the cost of a
    /// page does not grow with `from`. [`pages`](Self::pages) does so.
    ///
    /// # Errors
    /// `Io`.
    ///
    /// # Cancel safety
    /// Nothing is changed, so nothing is lost.
    pub async fn jobs(&self, from: u64, most: usize) -> Result<Vec<JobRecord>, Error> {
        self.backend.jobs(self.seq, from, most).await
    }
}

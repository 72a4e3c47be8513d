use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Semaphore;

use crate::backend::{Backend, Guard, Joined};
use crate::error::{Error, ErrorKind};
use crate::job::{Intent, Job, JobRecord, LateResult, Settled, Settlement};
use crate::limit::{LimitDemand, LimitShare};
use crate::pages::Pages;
use crate::record::{RunRecord, RunStatus, Tally};
use crate::worker::{Heartbeat, Interrupted};

/// One run. A handle from [`Store::open_run`](crate::Store::open_run) or [`join_run`](crate::Store::join_run) is a worker of the
/// run: it holds the jobs that it claimed while its lease lasts. One from [`read_run`](crate::Store::read_run) only reads.
///
/// Every verb that changes something returns when the change is stored. In a file that means on the disk: an answer or a
/// result survives a loss of power, and a claim or an [`Intent`] alone survives the death of the process and not that of the
/// machine.
///
/// # Leases
/// A worker shows that it lives by a [`heartbeat`](Self::heartbeat) each second. One that is silent for its lease, or whose
/// process has ended, is dead: the next heartbeat of anyone queues its jobs again, and counts its calls in progress as possibly
/// billed. If it was only slow, the job's index and attempt fence it off: its next [`Intent`] for such a
/// job is refused with `Fenced`, and what it paid for is kept by [`settle`](Self::settle).
#[derive(Debug)]
pub struct Run {
    backend: Backend,
    seq: i64,
    record: RunRecord,
    worker: Option<Worker>,
}

/// The worker that a handle is.
#[derive(Debug)]
struct Worker {
    id: i64,
    interrupted: Vec<Interrupted>,
    /// One claim at a time.
    claiming: Semaphore,
    /// The jobs that were claimed and have not ended.
    held: Mutex<HashSet<u64>>,
    /// Whether a claim was begun whose reply was not seen: it may have leased jobs that no one knows of.
    is_unsure: AtomicBool,
    /// Ends the lease.
    _guard: Guard,
}

impl Worker {
    fn held(&self) -> MutexGuard<'_, HashSet<u64>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Run {
    pub(crate) fn new(backend: Backend, seq: i64, record: RunRecord) -> Self {
        Self { backend, seq, record, worker: None }
    }

    pub(crate) fn joined(backend: Backend, seq: i64, joined: Joined) -> Self {
        let Joined { record, worker: id, interrupted, guard } = joined;
        let (claiming, held, is_unsure) = (Semaphore::new(1), Mutex::default(), AtomicBool::new(false));
        let worker = Worker { id, interrupted, claiming, held, is_unsure, _guard: guard };
        Self { backend, seq, record, worker: Some(worker) }
    }

    /// Returns the run as it was when this handle was opened.
    #[must_use]
    pub fn record(&self) -> &RunRecord {
        &self.record
    }

    /// Whether this handle is a worker of the run, and may claim its jobs.
    #[must_use]
    pub fn is_worker(&self) -> bool {
        self.worker.is_some()
    }

    /// Returns the calls that workers who died had intended and not settled when this one joined. Their jobs are queued again.
    #[must_use]
    pub fn interrupted(&self) -> &[Interrupted] {
        self.worker.as_ref().map_or(&[], |worker| &worker.interrupted)
    }

    /// Renews the lease of this worker, which ends five seconds after the last heartbeat or claim unless
    /// [`Store::lease`](crate::Store::lease) says otherwise, and takes over the jobs of workers whose leases have ended.
    ///
    /// # Errors
    /// `StorageFull` or `Io`.
    ///
    /// # Cancel safety
    /// A dropped call may still have its effects.
    pub async fn heartbeat(&self) -> Result<Heartbeat, Error> {
        self.backend.heartbeat(self.seq, self.record.id.clone(), self.worker()?.id).await
    }

    /// Stores how much of a provider's limit this worker can use, and returns the part that is its own until it asks again: in
    /// proportion to the demands of all workers that name the scope, of other runs, too, and never more than they have left. Ask
    /// with each heartbeat. It renews the lease.
    ///
    /// ```
    /// use antiphon_store::{LimitDemand, NewRun, Store};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), antiphon_store::Error> {
    /// let store = Store::in_memory();
    /// let (first, second) = (store.open_run(NewRun::new("f")).await?, store.open_run(NewRun::new("f")).await?);
    /// let demand = LimitDemand::new("openai small-model", 50.0);
    /// assert_eq!(first.share_limit(demand.clone()).await?.part, 1.0);
    /// assert_eq!(second.share_limit(demand.clone()).await?.part, 0.0); // until the first one asks again
    /// assert_eq!(first.share_limit(demand.clone()).await?.part, 0.5);
    /// assert_eq!(second.share_limit(demand).await?.part, 0.5);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `StorageFull` or `Io`.
    ///
    /// # Cancel safety
    /// A dropped call may still have stored the demand; the next one replaces it.
    pub async fn share_limit(&self, demand: LimitDemand) -> Result<LimitShare, Error> {
        self.backend.share_limit(self.seq, self.worker()?.id, demand).await
    }

    /// Adds jobs at the end.
    ///
    /// # Errors
    /// `StorageFull` or `Io`; then none was added.
    ///
    /// # Cancel safety
    /// A dropped call may still add all of them: ask [`tally`](Self::tally) how many there are.
    pub async fn enqueue(&self, rows: Vec<String>) -> Result<(), Error> {
        self.backend.enqueue(self.seq, None, rows).await.map(drop)
    }

    /// Adds the jobs with the indexes from `first` on, but for those that the run has already, and returns the number of its
    /// jobs: so several workers may enqueue the same input, each from its beginning.
    ///
    /// ```
    /// use antiphon_store::{NewRun, Store};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), antiphon_store::Error> {
    /// let run = Store::in_memory().open_run(NewRun::new("f")).await?;
    /// assert_eq!(run.enqueue_from(0, vec!["a".to_owned(), "b".to_owned()]).await?, 2);
    /// assert_eq!(run.enqueue_from(1, vec!["b".to_owned(), "c".to_owned()]).await?, 3);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `Conflict` if jobs before `first` are missing; `StorageFull` or `Io`. None was added then.
    ///
    /// # Cancel safety
    /// A dropped call may still add all of them; the same call again adds none twice.
    pub async fn enqueue_from(&self, first: u64, rows: Vec<String>) -> Result<u64, Error> {
        self.backend.enqueue(self.seq, Some(first), rows).await
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

    /// Claims up to `most` jobs that are queued, or put back and due, in their order: no other worker has them while the lease
    /// of this one lasts. Fewer, or none, where no more are queued.
    ///
    /// # Errors
    /// `StorageFull` or `Io`.
    ///
    /// # Cancel safety
    /// A dropped call may still claim jobs; the next claim gives them back first.
    pub async fn claim(&self, most: usize) -> Result<Vec<Job>, Error> {
        let worker = self.worker()?;
        let _turn = worker.claiming.acquire().await;
        if worker.is_unsure.swap(true, Ordering::Relaxed) {
            let known = worker.held().iter().copied().collect();
            self.backend.release_others(self.seq, worker.id, known).await?;
        }
        let mut jobs = self.backend.claim(self.seq, worker.id, most).await?;
        worker.is_unsure.store(false, Ordering::Relaxed);
        let mut held = worker.held();
        // A worker whose lease had ended has its earlier jobs again: a task is on them already.
        jobs.retain(|job| held.insert(job.index));
        Ok(jobs)
    }

    /// Returns when the first job that was put back and that no worker holds is due, in milliseconds since 1970; `None` if there is
    /// no such job. It reads all jobs that no worker holds.
    ///
    /// # Errors
    /// `Io`.
    ///
    /// # Cancel safety
    /// Nothing is changed, so nothing is lost.
    pub async fn next_due(&self) -> Result<Option<i64>, Error> {
        self.backend.next_due(self.seq).await
    }

    /// Gives claimed jobs back of which no call was made, so that another worker may claim them.
    ///
    /// # Errors
    /// `StorageFull` or `Io`.
    ///
    /// # Cancel safety
    /// A dropped call may still give them back.
    pub async fn release(&self, jobs: Vec<u64>) -> Result<(), Error> {
        let worker = self.worker()?;
        {
            let mut held = worker.held();
            held.retain(|job| !jobs.contains(job));
        }
        self.backend.release(self.seq, worker.id, jobs).await
    }

    /// Records that a call is about to be sent: the write-ahead record of it. Send the call only after this returned. Returns
    /// the attempts of the job, this one included: the fencing token of its settlement. A job that no worker holds is claimed
    /// with it.
    ///
    /// # Errors
    /// `Fenced` for a job that another worker holds, has made attempts at or has ended; `OverBudget` for a call that could take the
    /// run over [`Intent::max_cost`]; `Conflict` for an intent without attempts of a job that has ended; `StorageFull` or `Io`.
    ///
    /// # Cancel safety
    /// A dropped call may still be recorded; the job then counts as possibly billed if its worker dies.
    pub async fn intend(&self, intent: Intent) -> Result<u32, Error> {
        let (worker, index) = (self.worker()?, intent.index);
        let intended = self.backend.intend(self.seq, worker.id, intent).await;
        self.forget_if_fenced(worker, index, intended.as_ref().err()).await;
        intended
    }

    /// Takes back a part of what the run's budget holds for possibly billed calls, once it is known that they cost less: see
    /// [`Bill::held`](crate::Bill::held).
    ///
    /// # Errors
    /// `StorageFull` or `Io`.
    ///
    /// # Cancel safety
    /// A dropped call may still take it back.
    pub async fn release_held(&self, micros: u64) -> Result<(), Error> {
        self.backend.release_held(self.seq, micros).await
    }

    /// Records how a call has ended. Report no result before this returned. A settlement is known by its job and
    /// [attempt](Settlement::attempt): one that is sent again counts once.
    ///
    /// A result is never refused: if another worker has taken the job over, the first result is the job's, and a later one is
    /// kept beside it ([`Settled::Late`], [`late`](Self::late)). What the attempt was held at as possibly billed is replaced by its bill.
    ///
    /// # Errors
    /// `Fenced` for a failure, or for a job that is to be queued again, of a worker that no longer holds the job: its bill is
    /// counted all the same. `NotUnique` for a result with something that another job has and only one may have; then nothing is
    /// stored. `Conflict` for a settlement without an attempt of a job that has ended. `StorageFull` or `Io`.
    ///
    /// # Cancel safety
    /// A dropped call may still be recorded.
    pub async fn settle(&self, settlement: Settlement) -> Result<Settled, Error> {
        let worker = self.worker()?;
        let (index, is_end) = (settlement.index, settlement.state.is_end());
        let settled = self.backend.settle(self.seq, worker.id, settlement).await;
        self.forget_if_fenced(worker, index, settled.as_ref().err()).await;
        if is_end && settled.is_ok() {
            worker.held().remove(&index);
        }
        settled
    }

    /// Returns up to `most` results that came when their jobs had another one already, from the job with index `from` on.
    ///
    /// # Errors
    /// `Io`.
    ///
    /// # Cancel safety
    /// Nothing is changed, so nothing is lost.
    pub async fn late(&self, from: u64, most: usize) -> Result<Vec<LateResult>, Error> {
        self.backend.late(self.seq, from, most).await
    }

    /// Queues the failed jobs again, and returns their number. Their cost so far stays in the tally.
    ///
    /// # Errors
    /// `StorageFull` or `Io`.
    ///
    /// # Cancel safety
    /// A dropped call may still queue them.
    pub async fn retry_failed(&self) -> Result<u64, Error> {
        self.backend.retry_failed(self.seq).await
    }

    /// Reads the status of the run as it is now: [`heartbeat`](Self::heartbeat) returns it, too.
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

    /// Stores how the run ended this time, and a report: a JSON text. A cancelled run stays cancelled, whatever the status is,
    /// and one that others work on stays open where this worker alone has stopped. Returns whether it was stored: a run that
    /// others finished keeps their report, where this worker has only stopped.
    ///
    /// # Errors
    /// `StorageFull` or `Io`.
    ///
    /// # Cancel safety
    /// A dropped call may still store it.
    pub async fn finish(&self, status: RunStatus, report: String) -> Result<bool, Error> {
        let worker = self.worker.as_ref().map(|worker| worker.id);
        self.backend.finish(self.seq, worker, status, report).await
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
    pub async fn possibly_billed(&self, most: usize) -> Result<Vec<u64>, Error> {
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

    /// Another worker holds the job, or it has ended.
    async fn forget_if_fenced(&self, worker: &Worker, index: u64, err: Option<&Error>) {
        if err.is_some_and(|err| matches!(err.kind(), ErrorKind::Fenced | ErrorKind::Conflict)) {
            worker.held().remove(&index);
            // A claim may have brought it back just now, and left it to the task that ends here.
            let _ = self.backend.release(self.seq, worker.id, vec![index]).await;
        }
    }

    fn worker(&self) -> Result<&Worker, Error> {
        let message = "this handle only reads: it is no worker of the run";
        self.worker.as_ref().ok_or_else(|| Error::new(ErrorKind::Conflict, message))
    }
}

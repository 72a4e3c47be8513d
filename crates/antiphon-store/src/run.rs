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

/// A handle to one run.
///
/// A handle from [`Store::open_run`](crate::Store::open_run) or [`join_run`](crate::Store::join_run) is a worker of the run: it
/// holds the jobs that it has claimed while its lease lasts. A handle from [`read_run`](crate::Store::read_run) is not a
/// worker: it reads, but methods that need a lease ([`heartbeat`](Self::heartbeat), [`share_limit`](Self::share_limit),
/// [`claim`](Self::claim), [`release`](Self::release), [`intend`](Self::intend) and [`settle`](Self::settle)) return
/// `Conflict`.
///
/// A method that changes something returns when the change is stored. In a file, a settlement is flushed to the disk (fsync)
/// and survives a power failure. A claim or an [`Intent`] is not flushed: it survives the death of the process, but may be lost
/// in a power failure.
///
/// # Leases
/// A worker renews its lease by a [`heartbeat`](Self::heartbeat), ideally every second. A worker that sends none for longer
/// than its lease, or whose process has ended, counts as dead. The next worker that joins or sends a heartbeat then queues its
/// jobs again and counts its calls in progress as possibly billed. Calls are therefore at-least-once, and results exactly-once.
///
/// If such a worker was only slow, the fencing token (index and attempt of the job) protects the run: its next [`Intent`] for a
/// job that was taken over is refused with `Fenced`, while [`settle`](Self::settle) keeps a result that was paid for.
#[derive(Debug)]
pub struct Run {
    backend: Backend,
    seq: i64,
    record: RunRecord,
    worker: Option<Worker>,
}

/// The state of a handle that is a worker.
#[derive(Debug)]
struct Worker {
    id: i64,
    interrupted: Vec<Interrupted>,
    /// A semaphore of one permit: claims run one at a time.
    claiming: Semaphore,
    /// The jobs that were claimed and have not ended.
    held: Mutex<HashSet<u64>>,
    /// Whether a claim was dropped before its reply arrived: it may have leased jobs that no task knows of.
    is_unsure: AtomicBool,
    /// A guard whose drop ends the lease.
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

    /// Returns whether this handle is a worker of the run, and may claim its jobs.
    #[must_use]
    pub fn is_worker(&self) -> bool {
        self.worker.is_some()
    }

    /// Returns the calls of dead workers that were in progress and that this worker took over when it joined. Their jobs are
    /// queued again. [`heartbeat`](Self::heartbeat) reports later ones.
    #[must_use]
    pub fn interrupted(&self) -> &[Interrupted] {
        self.worker.as_ref().map_or(&[], |worker| &worker.interrupted)
    }

    /// Renews the lease of this worker, and takes over the jobs of workers whose leases have ended.
    ///
    /// The lease ends 5 s after the last heartbeat, [`claim`](Self::claim) or [`share_limit`](Self::share_limit), or after the
    /// time that [`Store::lease`](crate::Store::lease) sets.
    ///
    /// # Errors
    /// `Conflict` if this handle is not a worker; `StorageFull` or `Io`.
    ///
    /// # Cancel safety
    /// A dropped call may still have its effects.
    pub async fn heartbeat(&self) -> Result<Heartbeat, Error> {
        self.backend.heartbeat(self.seq, self.record.id.clone(), self.worker()?.id).await
    }

    /// Stores this worker's demand for a provider's rate limit, and returns the part that it may use until its next call.
    ///
    /// The part is in proportion to the demands of all workers with the same scope, including those of other runs, and never
    /// more than the other workers have left. Call this method with each heartbeat; it renews the lease, too.
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
    /// `Conflict` if this handle is not a worker; `StorageFull` or `Io`.
    ///
    /// # Cancel safety
    /// A dropped call may still have stored the demand; the next one replaces it.
    pub async fn share_limit(&self, demand: LimitDemand) -> Result<LimitShare, Error> {
        self.backend.share_limit(self.seq, self.worker()?.id, demand).await
    }

    /// Adds jobs at the end of the run. See [`enqueue_from`](Self::enqueue_from) for several workers with one input.
    ///
    /// # Errors
    /// `StorageFull` or `Io`. In this case no job was added.
    ///
    /// # Cancel safety
    /// A dropped call may still add all of them: [`tally`](Self::tally) returns their number.
    pub async fn enqueue(&self, rows: Vec<String>) -> Result<(), Error> {
        self.backend.enqueue(self.seq, None, rows).await.map(drop)
    }

    /// Adds jobs with consecutive indexes that begin with `first`, and returns the number of jobs that the run then has.
    ///
    /// Jobs that the run already has are skipped (deduplication by index), so several workers can enqueue the same input, each
    /// from its beginning.
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
    /// `Conflict` if jobs before `first` are missing; `StorageFull` or `Io`. In each case no job was added.
    ///
    /// # Cancel safety
    /// A dropped call may still add all of them; a repeated call adds no job twice.
    pub async fn enqueue_from(&self, first: u64, rows: Vec<String>) -> Result<u64, Error> {
        self.backend.enqueue(self.seq, Some(first), rows).await
    }

    /// Marks the list of jobs as complete, and returns their number, which becomes [`RunRecord::total`].
    ///
    /// # Errors
    /// `StorageFull` or `Io`.
    ///
    /// # Cancel safety
    /// A dropped call may still mark it.
    pub async fn seal(&self) -> Result<u64, Error> {
        self.backend.seal(self.seq).await
    }

    /// Claims up to `most` jobs that are queued, or put back and due, in the order of their indexes.
    ///
    /// No other worker can claim them while the lease of this worker lasts. Returns fewer jobs, or none, if no more are due;
    /// [`next_due`](Self::next_due) returns the time of the next one.
    ///
    /// # Errors
    /// `Conflict` if this handle is not a worker; `StorageFull` or `Io`.
    ///
    /// # Cancel safety
    /// A dropped call may still claim jobs; the next claim releases them first.
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
        // A worker whose lease had ended may claim its earlier jobs again: a task works on them already.
        jobs.retain(|job| held.insert(job.index));
        Ok(jobs)
    }

    /// Returns the earliest due time of the jobs that were put back and that no worker holds, in milliseconds since 1970 (UTC);
    /// `None` without such a job.
    ///
    /// The call reads every job that no worker holds, so its cost grows with the queue.
    ///
    /// # Errors
    /// `Io`.
    ///
    /// # Cancel safety
    /// A dropped call changes nothing.
    pub async fn next_due(&self) -> Result<Option<i64>, Error> {
        self.backend.next_due(self.seq).await
    }

    /// Releases claimed jobs, so that another worker may claim them. Jobs with a call in progress stay with this worker.
    ///
    /// # Errors
    /// `Conflict` if this handle is not a worker; `StorageFull` or `Io`.
    ///
    /// # Cancel safety
    /// A dropped call may still release them.
    pub async fn release(&self, jobs: Vec<u64>) -> Result<(), Error> {
        let worker = self.worker()?;
        {
            let mut held = worker.held();
            held.retain(|job| !jobs.contains(job));
        }
        self.backend.release(self.seq, worker.id, jobs).await
    }

    /// Stores the write-ahead record of a call that is about to be sent.
    ///
    /// Send the call only after this method has returned. Returns the number of attempts at the job, including this one: pass
    /// it to [`Settlement::attempt`] as the fencing token. A job that no worker holds is claimed at the same time.
    ///
    /// # Errors
    /// `Fenced` if another worker holds the job, has made attempts at it or has ended it; `OverBudget` if the cost of the run
    /// could exceed [`Intent::max_cost`]; `Conflict` for an intent without an attempt for a job that has ended, or if this
    /// handle is not a worker; `StorageFull` or `Io`.
    ///
    /// # Cancel safety
    /// A dropped call may still be recorded; the job then counts as possibly billed if its worker dies.
    pub async fn intend(&self, intent: Intent) -> Result<u32, Error> {
        let (worker, index) = (self.worker()?, intent.index);
        let intended = self.backend.intend(self.seq, worker.id, intent).await;
        self.forget_if_fenced(worker, index, intended.as_ref().err()).await;
        intended
    }

    /// Releases `micros` millionths of a US dollar of the budget that is held for possibly billed calls. Use it once it is
    /// known that these calls cost less: see [`Bill::held`](crate::Bill::held).
    ///
    /// # Errors
    /// `StorageFull` or `Io`.
    ///
    /// # Cancel safety
    /// A dropped call may still release it.
    pub async fn release_held(&self, micros: u64) -> Result<(), Error> {
        self.backend.release_held(self.seq, micros).await
    }

    /// Stores the settlement of a call.
    ///
    /// Report a result only after this method has returned. The index of the job and the [attempt](Settlement::attempt) are the
    /// idempotency key: a repeated settlement counts once.
    ///
    /// A late result is not refused. If another worker has taken the job over, the result that arrives first becomes the result
    /// of the job, and the other one is kept as a late result ([`Settled::Late`], [`late`](Self::late)). The bill of the
    /// attempt replaces the amount that was held for it as possibly billed.
    ///
    /// # Errors
    /// `Fenced` if this worker no longer holds the job and the settlement has no result to keep (a failure, or a job to queue
    /// again); the bill is counted all the same. `NotUnique` if another job already has one of the unique values; nothing is
    /// stored. `Conflict` for a settlement without an attempt for a job that has ended, or if this handle is not a worker.
    /// `StorageFull` or `Io`.
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

    /// Returns up to `most` late results, from the job with index `from` on: results that were paid for and arrived when their
    /// jobs already had another result.
    ///
    /// # Errors
    /// `Io`.
    ///
    /// # Cancel safety
    /// A dropped call changes nothing.
    pub async fn late(&self, from: u64, most: usize) -> Result<Vec<LateResult>, Error> {
        self.backend.late(self.seq, from, most).await
    }

    /// Queues the failed jobs again, and returns their number. Their cost so far stays in the tally. If there are failed jobs,
    /// the status of the run becomes `Stopped`, unless the run was cancelled.
    ///
    /// # Errors
    /// `StorageFull` or `Io`.
    ///
    /// # Cancel safety
    /// A dropped call may still queue them.
    pub async fn retry_failed(&self) -> Result<u64, Error> {
        self.backend.retry_failed(self.seq).await
    }

    /// Returns the number of workers of the run that are alive, in this process and in others.
    ///
    /// An open run without workers was interrupted: its processes were killed.
    ///
    /// ```
    /// use antiphon_store::{NewRun, Store};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), antiphon_store::Error> {
    /// let store = Store::in_memory();
    /// let worker = store.open_run(NewRun::new("f")).await?;
    /// let reader = store.read_run("latest").await?;
    /// assert_eq!(reader.workers().await?, 1);
    /// drop(worker);
    /// assert_eq!(reader.workers().await?, 0);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `NotFound` if the run was deleted; `Io`.
    ///
    /// # Cancel safety
    /// A dropped call changes nothing.
    pub async fn workers(&self) -> Result<u64, Error> {
        self.backend.workers(self.seq, self.record.id.clone()).await
    }

    /// Returns the current status of the run, as [`heartbeat`](Self::heartbeat) does; [`record`](Self::record) has the status at
    /// the time when this handle was opened.
    ///
    /// # Errors
    /// `Io`.
    ///
    /// # Cancel safety
    /// A dropped call changes nothing.
    pub async fn status(&self) -> Result<RunStatus, Error> {
        self.backend.status(self.seq).await
    }

    /// Replaces the stored request text, for example after a migration from the format of an earlier version. The
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

    /// Stores the status with which this worker ended the run, and a report: a JSON text. Returns whether the report was
    /// stored.
    ///
    /// A cancelled run stays cancelled. If this worker has only stopped, a run on which other workers still work stays open,
    /// and a run that others have finished keeps their report. A run that is finished again keeps the time of its end.
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

    /// Returns the tally of the run: the sums of jobs, calls, tokens and cost.
    ///
    /// # Errors
    /// `Io`.
    ///
    /// # Cancel safety
    /// A dropped call changes nothing.
    pub async fn tally(&self) -> Result<Tally, Error> {
        self.backend.tally(self.seq).await
    }

    /// Returns the tally that the next worker will find: of a run without living workers, the calls in progress are counted as
    /// possibly billed. Use it to show a run, and [`tally`](Self::tally) to work on it.
    ///
    /// ```
    /// use antiphon_store::{Intent, NewRun, Store};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), antiphon_store::Error> {
    /// let store = Store::in_memory();
    /// let worker = store.open_run(NewRun::new("f")).await?;
    /// worker.enqueue(vec!["row".to_owned()]).await?;
    /// worker.intend(Intent::new(0)).await?;
    /// let reader = store.read_run("latest").await?;
    /// assert_eq!(reader.next_tally().await?.possibly_billed, 0);
    /// drop(worker); // as if its process had been killed
    /// assert_eq!(reader.next_tally().await?.possibly_billed, 1);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `NotFound` if the run was deleted; `Io`.
    ///
    /// # Cancel safety
    /// A dropped call changes nothing.
    pub async fn next_tally(&self) -> Result<Tally, Error> {
        // In this order: the calls of a worker that leaves in between are settled.
        let (workers, tally) = (self.workers().await?, self.tally().await?);
        if workers > 0 || tally.intended == 0 {
            return Ok(tally);
        }
        Ok(tally.interrupted(self.backend.unbounded_intents(self.seq).await?))
    }

    /// Returns a reader of all jobs, a page at a time.
    pub fn pages(&self) -> Pages<'_> {
        Pages::all(self)
    }

    /// Returns a reader of the failed jobs, a page at a time.
    pub fn failed(&self) -> Pages<'_> {
        Pages::failed(self)
    }

    /// Returns up to `most` failed jobs, in ascending order from index `from` on.
    pub(crate) async fn failed_from(&self, from: u64, most: usize) -> Result<Vec<JobRecord>, Error> {
        self.backend.failed(self.seq, from, most).await
    }

    /// Returns the indexes of the first `most` jobs with possibly billed calls, in ascending order.
    ///
    /// # Errors
    /// `Io`.
    ///
    /// # Cancel safety
    /// A dropped call changes nothing.
    pub async fn possibly_billed(&self, most: usize) -> Result<Vec<u64>, Error> {
        self.backend.lost(self.seq, most).await
    }

    /// Returns up to `most` jobs, in ascending order from index `from` on.
    ///
    /// To read all jobs in pages, begin with 0 and continue with the last index plus one, as [`pages`](Self::pages) does. Jobs
    /// are never moved or removed, so no page misses one, and the cost of a page does not grow with `from`.
    ///
    /// # Errors
    /// `Io`.
    ///
    /// # Cancel safety
    /// A dropped call changes nothing.
    pub async fn jobs(&self, from: u64, most: usize) -> Result<Vec<JobRecord>, Error> {
        self.backend.jobs(self.seq, from, most).await
    }

    /// Drops a job from those that this worker holds, after an error that says that another worker holds it or that it has ended.
    async fn forget_if_fenced(&self, worker: &Worker, index: u64, err: Option<&Error>) {
        if err.is_some_and(|err| matches!(err.kind(), ErrorKind::Fenced | ErrorKind::Conflict)) {
            worker.held().remove(&index);
            // A claim may have returned the job just now, and left it to the task that ends here.
            let _ = self.backend.release(self.seq, worker.id, vec![index]).await;
        }
    }

    /// Returns the worker of this handle; `Conflict` for a read-only handle.
    fn worker(&self) -> Result<&Worker, Error> {
        let message = "this handle is read-only: it is not a worker of the run";
        self.worker.as_ref().ok_or_else(|| Error::new(ErrorKind::Conflict, message))
    }
}

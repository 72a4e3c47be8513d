use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::clock::now;
use crate::error::TaskError;
use crate::gather::gather;
use crate::observe;
use crate::scheduler::{
    NextJob, Priority, RunnerMetrics, Scheduler, SubmitErrorKind, WorkerAction, WorkerState,
};
use crate::task::{Ending, Job, Task, job};
use crate::waiters::Ticket;

/// Runs tasks with at most so many at once, the most urgent first: a bounded runner and a priority scheduler in one.
///
/// Use [`submit`](Runner::submit) for work that arrives bit by bit or differs in urgency, [`map`](Runner::map) for one
/// function over many inputs on all cores, and [`gather`](Runner::gather) for futures that the caller itself polls.
/// Tasks run on worker loops that take them from five lanes, so that a task costs no spawn of its own.
///
/// Dropping a runner cancels everything it has; [`shutdown`](Runner::shutdown) can let it end first.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), antiphon_runtime::TaskError> {
/// use antiphon_runtime::{Priority, Runner};
///
/// let runner = Runner::new(4);
/// let slow = runner.submit(async { 20 + 1 }).await;
/// let urgent = runner.submit_at(Priority::Critical, async { 21 }).await;
/// assert_eq!(slow.await? + urgent.await?, 42);
/// # Ok(())
/// # }
/// ```
pub struct Runner {
    shared: Arc<Shared>,
    task_timeout: Option<Duration>,
}

/// The ways in which a [`Runner`] stops; see [`Runner::shutdown`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shutdown {
    /// Everything that was submitted runs to its end.
    Drain,
    /// What runs is dropped, what waits never begins.
    Cancel,
}

/// A future that [`Runner::try_submit`] did not take.
pub struct TrySubmitError<F> {
    /// Why.
    pub kind: SubmitErrorKind,
    /// The future, untouched.
    pub future: F,
}

impl<F> fmt::Debug for TrySubmitError<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TrySubmitError").field("kind", &self.kind).finish_non_exhaustive()
    }
}

impl<F> fmt::Display for TrySubmitError<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            SubmitErrorKind::QueueFull => "the runner's queue is full",
            SubmitErrorKind::Closed => "the runner was shut down",
        })
    }
}

impl<F> std::error::Error for TrySubmitError<F> {}

impl Runner {
    /// A runner with at most `max_concurrency` tasks at once and 16 times as many in its queue; 0 counts as 1.
    #[must_use]
    pub fn new(max_concurrency: usize) -> Self {
        let max_workers = max_concurrency.max(1);
        let max_queued = max_workers.saturating_mul(16);
        let scheduler = Scheduler::new(max_workers, max_queued);
        let shared = Arc::new(Shared { scheduler: Mutex::new(scheduler), workers: Mutex::default() });
        Self { shared, task_timeout: None }
    }

    /// Sets how many tasks may wait in the queue; 0 counts as 1. A full queue makes [`submit`](Runner::submit) wait.
    #[must_use]
    pub fn max_queued(self, max_queued: usize) -> Self {
        self.shared.scheduler().max_queued = max_queued.max(1);
        self
    }

    /// Sets how long a task may run from its beginning; a longer one is dropped and ends as
    /// [`TaskError::TimedOut`]. Default: for ever. Tasks that were submitted before keep theirs.
    #[must_use]
    pub fn task_timeout(mut self, limit: Duration) -> Self {
        self.task_timeout = Some(limit);
        self
    }

    /// The most tasks at once.
    #[must_use]
    pub fn max_concurrency(&self) -> usize {
        self.shared.scheduler().max_workers
    }

    /// Hands a future over at [`Priority::Normal`] and returns a handle on it; waits only for room in the queue.
    ///
    /// On a runner that was shut down the future is dropped and the task is [`TaskError::Cancelled`].
    ///
    /// # Panics
    /// Outside a tokio runtime.
    ///
    /// # Cancel safety
    /// A call dropped while it waits for room drops the future unpolled, and its turn in the line goes to the next.
    pub async fn submit<F>(&self, future: F) -> Task<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        self.submit_at(Priority::default(), future).await
    }

    /// [`submit`](Runner::submit) at a priority: a more urgent task begins before all less urgent ones that wait, and
    /// equal ones in the order in which they came. What runs already is not interrupted. Those who wait for room in a full
    /// queue get it in turn, whatever their priority.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    ///
    /// # Cancel safety
    /// As [`submit`](Runner::submit).
    pub async fn submit_at<F>(&self, priority: Priority, future: F) -> Task<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        let (job, task) = self.job(priority, future);
        let job = match self.shared.try_push(priority, job) {
            Ok(entry) => return task.at(Some(entry)),
            Err(job) => job,
        };
        let mut reservation = Reservation { shared: &self.shared, ticket: None };
        let entry =
            if poll_fn(|cx| reservation.poll(cx)).await { self.shared.push(priority, job) } else { None };
        task.at(entry)
    }

    /// [`submit_at`](Runner::submit_at) that never waits, for a caller that would rather refuse than queue (backpressure): a
    /// service that answers 503, say.
    ///
    /// ```
    /// use antiphon_runtime::{Priority, SubmitErrorKind, Runner};
    /// use std::future::pending;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let runner = Runner::new(1).max_queued(1);
    /// let first = runner.try_submit(Priority::Normal, pending::<()>());
    /// assert!(first.is_ok());
    /// let refused = runner.try_submit(Priority::Normal, pending::<()>()).expect_err("the queue is full");
    /// assert_eq!(refused.kind, SubmitErrorKind::QueueFull);
    /// // The future comes back untouched: it can wait for room after all, or be dropped.
    /// drop(refused.future);
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`TrySubmitError`], with the future, while the queue is full or after a shutdown.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn try_submit<F>(&self, priority: Priority, future: F) -> Result<Task<F::Output>, TrySubmitError<F>>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        let room = self.shared.scheduler().try_room();
        if let Err(kind) = room {
            return Err(TrySubmitError { kind, future });
        }
        let (job, task) = self.job(priority, future);
        Ok(task.at(self.shared.push(priority, job)))
    }

    /// Runs all `futures` and returns their results in the order given, a panic as a [`TaskError`] of its own.
    ///
    /// The caller polls them, so they may borrow; they share one core, and this runner's tasks do not count against
    /// them. The iterator is taken lazily: a future is made only when there is room for it, so memory beside the
    /// results is bounded by the limit.
    ///
    /// # Cancel safety
    /// Dropping it drops the futures under way and takes no further one; results so far are lost.
    pub async fn gather<I>(&self, futures: I) -> Vec<Result<<I::Item as Future>::Output, TaskError>>
    where
        I: IntoIterator<Item: Future>,
    {
        let max_concurrency = self.max_concurrency();
        match self.task_timeout {
            None => gather(max_concurrency, futures).await,
            Some(limit) => {
                let timed = futures.into_iter().map(|future| tokio::time::timeout(limit, future));
                let results = gather(max_concurrency, timed).await;
                results.into_iter().map(|result| result?.map_err(|_| TaskError::TimedOut)).collect()
            }
        }
    }

    /// Calls `f` on every input and returns the results in the order of the inputs; the work is spread over all cores
    /// and keeps to this runner's limit together with everything else it runs.
    ///
    /// Inputs are taken lazily, at most as many ahead as the runner has slots and places in its queue.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let runner = antiphon_runtime::Runner::new(4);
    /// let lengths = runner.map(["a", "bb", "ccc"], |word| async move { word.len() }).await;
    /// assert_eq!(lengths, [Ok(1), Ok(2), Ok(3)]);
    /// # }
    /// ```
    ///
    /// # Panics
    /// Outside a tokio runtime.
    ///
    /// # Cancel safety
    /// Dropping it cancels what it has submitted; results so far are lost.
    pub async fn map<I, F, Fut>(&self, inputs: I, mut f: F) -> Vec<Result<Fut::Output, TaskError>>
    where
        I: IntoIterator,
        F: FnMut(I::Item) -> Fut,
        Fut: Future<Output: Send> + Send + 'static,
    {
        let (mut tasks, mut results) = (VecDeque::<Task<Fut::Output>>::new(), Vec::new());
        for input in inputs {
            while tasks.front().is_some_and(Task::is_finished)
                && let Some(task) = tasks.pop_front()
            {
                results.push(task.await);
            }
            tasks.push_back(self.submit(f(input)).await);
        }
        for task in tasks {
            results.push(task.await);
        }
        results
    }

    /// Takes nothing more, and returns when nothing runs any more; every task has then its result or is
    /// [`TaskError::Cancelled`].
    ///
    /// ```
    /// use antiphon_runtime::{Runner, Shutdown, TaskError};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let runner = Runner::new(1);
    /// let begun = runner.submit(async { 1 }).await;
    /// let queued = runner.submit(async { 2 }).await;
    /// runner.shutdown(Shutdown::Drain).await;
    /// assert_eq!((begun.await, queued.await), (Ok(1), Ok(2)));
    /// let late = runner.submit(async { 3 }).await;
    /// assert_eq!(late.await, Err(TaskError::Cancelled));
    /// # }
    /// ```
    ///
    /// # Cancel safety
    /// A dropped call has still closed the runner. Call it again to wait further, or to cancel what a drain waits for.
    pub async fn shutdown(&self, how: Shutdown) {
        let wakers = self.shared.scheduler().close();
        wakers.into_iter().for_each(Waker::wake);
        if how == Shutdown::Cancel {
            self.shared.drop_queue();
            self.shared.workers().abort_all();
        }
        poll_fn(|cx| self.shared.scheduler().poll_exited(cx)).await;
        // Workers that died with their runtime may have left some.
        self.shared.drop_queue();
    }

    /// Counts and times so far.
    #[must_use]
    pub fn metrics(&self) -> RunnerMetrics {
        self.shared.scheduler().metrics()
    }

    fn job<F>(&self, priority: Priority, future: F) -> (Job, Task<F::Output>)
    where
        F: Future<Output: Send> + Send + 'static,
    {
        job(future, self.task_timeout, tracing::debug_span!("task", ?priority))
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        self.shared.scheduler().close();
        self.shared.drop_queue();
        // Workers own the rest, and dropping their set aborts them.
        drop(std::mem::take(&mut *self.shared.workers()));
    }
}

impl fmt::Debug for Runner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runner")
            .field("max_concurrency", &self.max_concurrency())
            .field("metrics", &self.metrics())
            .finish_non_exhaustive()
    }
}

struct Shared {
    scheduler: Mutex<Scheduler>,
    workers: Mutex<JoinSet<()>>,
}

impl Shared {
    fn scheduler(&self) -> MutexGuard<'_, Scheduler> {
        self.scheduler.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn workers(&self) -> MutexGuard<'_, JoinSet<()>> {
        self.workers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues a job on the place that was taken for it; a closed runner drops it, and its task is cancelled by that.
    fn push(self: &Arc<Self>, priority: Priority, job: Job) -> Option<QueueEntry> {
        let now = now();
        // Not in one expression: a job that is given back is dropped outside the lock.
        let pushed = self.scheduler().push(priority, job, now);
        let (seq, action) = pushed.ok()?;
        Some(self.pushed(priority, seq, action))
    }

    /// Queues a job if there is a place for it, else gives it back.
    fn try_push(self: &Arc<Self>, priority: Priority, job: Job) -> Result<QueueEntry, Job> {
        let now = now();
        let pushed = self.scheduler().try_push(priority, job, now);
        let (seq, action) = pushed?;
        Ok(self.pushed(priority, seq, action))
    }

    fn pushed(self: &Arc<Self>, priority: Priority, seq: u64, action: WorkerAction) -> QueueEntry {
        observe::submitted();
        self.wake_worker(action);
        QueueEntry { shared: self.clone(), priority, seq }
    }

    fn wake_worker(self: &Arc<Self>, action: WorkerAction) {
        match action {
            WorkerAction::None => {}
            WorkerAction::Wake(waker) => waker.wake(),
            WorkerAction::Spawn(id) => {
                // Should spawning panic, the worker's drop takes it back.
                let worker = Worker { shared: self.clone(), id, running: None, state: WorkerState::Idle };
                // One could wait on a busy thread while the others have nothing to do.
                let threads = tokio::runtime::Handle::current().metrics().num_workers();
                self.scheduler().max_waking = threads.max(2);
                let mut workers = self.workers();
                while workers.try_join_next().is_some() {}
                workers.spawn(worker);
            }
        }
    }

    fn drop_queue(&self) {
        let jobs = self.scheduler().drain();
        for job in jobs {
            observe::ended(Ending::Cancelled, None);
            drop(job);
        }
    }
}

/// Where a task stands in line.
pub(crate) struct QueueEntry {
    shared: Arc<Shared>,
    priority: Priority,
    seq: u64,
}

impl QueueEntry {
    /// Takes the job out of the line, so that its task is cancelled at once; false if it has begun.
    pub(crate) fn withdraw(&self) -> bool {
        let withdrawn = self.shared.scheduler().withdraw(self.priority, self.seq);
        let Some((job, waker)) = withdrawn else { return false };
        drop(job);
        observe::ended(Ending::Cancelled, None);
        waker.into_iter().for_each(Waker::wake);
        true
    }
}

/// A turn in the line for room in the queue, which the next gets if it is given up.
struct Reservation<'a> {
    shared: &'a Shared,
    ticket: Option<Ticket>,
}

impl Reservation<'_> {
    fn poll(&mut self, cx: &Context<'_>) -> Poll<bool> {
        self.shared.scheduler().poll_room(&mut self.ticket, cx)
    }
}

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            let waker = self.shared.scheduler().release_room(ticket);
            waker.into_iter().for_each(Waker::wake);
        }
    }
}

/// Takes job after job and polls it to its end.
struct Worker {
    shared: Arc<Shared>,
    id: usize,
    running: Option<(Job, Instant)>,
    state: WorkerState,
}

/// Jobs that end without waiting, before others on this thread get a turn.
const STREAK: usize = 32;

impl Future for Worker {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let worker = &mut *self;
        let mut time = None;
        for _ in 0..STREAK {
            let mut ended = None;
            if let Some((job, began)) = &mut worker.running {
                let Poll::Ready(ending) = Pin::new(job).poll(cx) else { return Poll::Pending };
                let over = now();
                let ran = over.saturating_duration_since(*began);
                observe::ended(ending, Some(ran));
                (ended, time) = (Some((ending, ran)), Some(over));
            }
            let time = time.unwrap_or_else(now);
            let (next, waker, action) = {
                let mut scheduler = worker.shared.scheduler();
                if let Some((ending, ran)) = ended {
                    scheduler.ended(ending, ran);
                }
                scheduler.next(worker.id, worker.state, time, cx)
            };
            waker.into_iter().for_each(Waker::wake);
            let has_summoned = !matches!(action, WorkerAction::None);
            worker.shared.wake_worker(action);
            // Only now, with its slot given back and counted, does the job report to its task.
            drop(worker.running.take());
            match next {
                NextJob::Run(job) => {
                    (worker.running, worker.state) = (Some((job, time)), WorkerState::Busy);
                    if has_summoned {
                        // The executor keeps whom a thread wakes for that thread, where it would wait for this job;
                        // whoever gives up its turn is taken by another thread.
                        break;
                    }
                }
                NextJob::Exit => {
                    worker.state = WorkerState::Busy;
                    return Poll::Ready(());
                }
                NextJob::Wait => {
                    worker.state = WorkerState::Idle;
                    return Poll::Pending;
                }
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        if let Some((job, began)) = self.running.take() {
            let ran = now().saturating_duration_since(began);
            observe::ended(Ending::Cancelled, Some(ran));
            self.shared.scheduler().ended(Ending::Cancelled, ran);
            drop(job);
        }
        let (wakers, is_orphaned) = self.shared.scheduler().exited(self.id, self.state);
        if is_orphaned {
            // The runtime that they waited for is gone.
            self.shared.drop_queue();
        }
        wakers.into_iter().for_each(Waker::wake);
    }
}

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

/// A task runner and priority scheduler with a concurrency limit and a bounded queue (backpressure).
///
/// Use [`submit`](Runner::submit) for work that arrives over time or differs in priority, [`map`](Runner::map) for one function
/// over many inputs on all cores, and [`gather`](Runner::gather) for futures that borrow from the caller. Worker tasks, at most
/// as many as the concurrency limit, take the tasks from a queue per priority, so that a task is cheaper than a `tokio::spawn`.
///
/// Dropping a runner cancels all its tasks; [`shutdown`](Runner::shutdown) can let them finish first.
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

/// The treatment of unfinished tasks by [`Runner::shutdown`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shutdown {
    /// Running and queued tasks run to completion.
    Drain,
    /// Running tasks are dropped at their current await point, and queued tasks never start.
    Cancel,
}

/// The error of [`Runner::try_submit`], which returns the future to the caller.
pub struct TrySubmitError<F> {
    /// The reason for the rejection.
    pub kind: SubmitErrorKind,
    /// The future, which was not polled.
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
    /// Creates a runner with a concurrency limit of `max_concurrency` (0 counts as 1) and a queue for 16 times as many tasks.
    #[must_use]
    pub fn new(max_concurrency: usize) -> Self {
        let max_workers = max_concurrency.max(1);
        let max_queued = max_workers.saturating_mul(16);
        let scheduler = Scheduler::new(max_workers, max_queued);
        let shared = Arc::new(Shared { scheduler: Mutex::new(scheduler), workers: Mutex::default() });
        Self { shared, task_timeout: None }
    }

    /// Sets the maximum number of queued tasks; 0 counts as 1. While the queue is full, [`submit`](Runner::submit) waits.
    #[must_use]
    pub fn max_queued(self, max_queued: usize) -> Self {
        self.shared.scheduler().max_queued = max_queued.max(1);
        self
    }

    /// Sets the time limit of tasks submitted from now on, measured from the start of each. Default: no limit. A task that
    /// exceeds it is dropped and returns [`TaskError::TimedOut`].
    #[must_use]
    pub fn task_timeout(mut self, limit: Duration) -> Self {
        self.task_timeout = Some(limit);
        self
    }

    /// Returns the maximum number of running tasks (concurrency limit).
    #[must_use]
    pub fn max_concurrency(&self) -> usize {
        self.shared.scheduler().max_workers
    }

    /// Submits a future at [`Priority::Normal`] and returns a handle to its task. Waits while the queue is full (backpressure).
    ///
    /// Dropping the handle cancels the task. After a shutdown, the task is cancelled at once ([`TaskError::Cancelled`]).
    ///
    /// # Panics
    /// Outside a tokio runtime.
    ///
    /// # Cancel safety
    /// Dropping the call while it waits drops `future` unpolled and gives its place in the line to the next waiter.
    pub async fn submit<F>(&self, future: F) -> Task<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        self.submit_at(Priority::default(), future).await
    }

    /// Submits a future with a priority; otherwise the same as [`submit`](Runner::submit).
    ///
    /// A task starts before all queued tasks of lower priority; tasks of equal priority start in the order of submission. Running
    /// tasks are not preempted. Callers that wait for a full queue are served in the order of their calls, at any priority.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    ///
    /// # Cancel safety
    /// As for [`submit`](Runner::submit).
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

    /// Submits a future if the queue has room; never waits.
    ///
    /// Use it for admission control: in a caller that rejects excess load, such as a server that answers 503.
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
    /// // The future is returned untouched: submit it with `submit_at`, or drop it.
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

    /// Runs all `futures` in the caller's task and returns their results, or the [`TaskError`] of a panic, in order.
    ///
    /// Like the function [`gather`], with this runner's concurrency limit and task timeout. The futures are polled by the caller:
    /// they may borrow, and share one core. They are not tasks of the runner and take none of its slots, so both together may
    /// exceed the limit. The iterator is consumed lazily: at most `max_concurrency` futures exist at a time.
    ///
    /// # Panics
    /// Outside a tokio runtime, if a task timeout is set.
    ///
    /// # Cancel safety
    /// Dropping the call drops the futures in progress and starts no further ones; the results so far are lost.
    pub async fn gather<I>(&self, futures: I) -> Vec<Result<<I::Item as Future>::Output, TaskError>>
    where
        I: IntoIterator<Item: Future>,
    {
        let max_concurrency = self.max_concurrency();
        match self.task_timeout {
            None => gather(max_concurrency, futures).await,
            Some(limit) => {
                let timed = futures.into_iter().map(|future| crate::timeout(limit, future));
                let results = gather(max_concurrency, timed).await;
                results.into_iter().map(|result| result?.map_err(|_| TaskError::TimedOut)).collect()
            }
        }
    }

    /// Calls `f` on every input and returns the results in the order of the inputs.
    ///
    /// The futures are submitted as tasks of this runner at [`Priority::Normal`]: they use all cores and share the concurrency
    /// limit with its other tasks. Inputs are consumed lazily: the next one is taken once the previous one is in the queue.
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
    /// Dropping the call cancels the tasks that it has submitted; the results so far are lost.
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

    /// Stops accepting tasks and waits until all tasks have ended; those that did not finish return [`TaskError::Cancelled`].
    ///
    /// ```
    /// use antiphon_runtime::{Runner, Shutdown, TaskError};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let runner = Runner::new(1);
    /// let first = runner.submit(async { 1 }).await;
    /// let queued = runner.submit(async { 2 }).await;
    /// runner.shutdown(Shutdown::Drain).await;
    /// assert_eq!((first.await, queued.await), (Ok(1), Ok(2)));
    /// let late = runner.submit(async { 3 }).await;
    /// assert_eq!(late.await, Err(TaskError::Cancelled));
    /// # }
    /// ```
    ///
    /// # Cancel safety
    /// A call dropped after its first poll leaves the runner closed; call it again to wait, or to cancel a drain.
    pub async fn shutdown(&self, how: Shutdown) {
        let wakers = self.shared.scheduler().close();
        wakers.into_iter().for_each(Waker::wake);
        if how == Shutdown::Cancel {
            self.shared.drop_queue();
            self.shared.workers().abort_all();
        }
        poll_fn(|cx| self.shared.scheduler().poll_exited(cx)).await;
        // Workers dropped with their runtime may have left jobs in the queue.
        self.shared.drop_queue();
    }

    /// Returns a snapshot of the counters and durations.
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
        // The workers own the running jobs, and dropping their set aborts them.
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

    /// Queues a job on its reserved place; a closed runner drops it, which cancels its task.
    fn push(self: &Arc<Self>, priority: Priority, job: Job) -> Option<QueueEntry> {
        let now = now();
        // Not in one expression: a job that is returned is dropped outside the lock.
        let pushed = self.scheduler().push(priority, job, now);
        let (seq, action) = pushed.ok()?;
        Some(self.pushed(priority, seq, action))
    }

    /// Queues a job if the queue has room, otherwise returns it.
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
                // If spawning panics, the worker's drop updates the counts.
                let worker = Worker { shared: self.clone(), id, running: None, state: WorkerState::Idle };
                // As many as threads: a single woken worker could wait on a busy thread while others are idle.
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

/// The position of a job in the queue.
pub(crate) struct QueueEntry {
    shared: Arc<Shared>,
    priority: Priority,
    seq: u64,
}

impl QueueEntry {
    /// Removes the job from the queue, which cancels its task at once; returns false if the job has started.
    pub(crate) fn withdraw(&self) -> bool {
        let withdrawn = self.shared.scheduler().withdraw(self.priority, self.seq);
        let Some((job, waker)) = withdrawn else { return false };
        drop(job);
        observe::ended(Ending::Cancelled, None);
        waker.into_iter().for_each(Waker::wake);
        true
    }
}

/// A place in the line of callers that wait for a full queue; dropping it passes the turn on.
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

/// A worker loop that takes one job after another and polls it to its end.
struct Worker {
    shared: Arc<Shared>,
    id: usize,
    running: Option<(Job, Instant)>,
    state: WorkerState,
}

/// The maximum number of jobs finished in one poll before the worker yields to other tasks of the thread.
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
                let end = now();
                let ran = end.saturating_duration_since(*began);
                observe::ended(ending, Some(ran));
                (ended, time) = (Some((ending, ran)), Some(end));
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
            let has_woken = !matches!(action, WorkerAction::None);
            worker.shared.wake_worker(action);
            // Only now, with the slot released and the metrics updated, the job reports to its task.
            drop(worker.running.take());
            match next {
                NextJob::Run(job) => {
                    (worker.running, worker.state) = (Some((job, time)), WorkerState::Busy);
                    if has_woken {
                        // The executor keeps a worker that this thread wakes in the thread's own slot, where it would
                        // wait for this job. A worker that yields can be stolen by another thread.
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
            // The runtime of the queued jobs is gone.
            self.shared.drop_queue();
        }
        wakers.into_iter().for_each(Waker::wake);
    }
}

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::time::Sleep;
use tracing::Span;

use crate::error::TaskError;
use crate::runner::QueueEntry;

/// An owning handle to a task of a [`Runner`](crate::Runner) or of [`background`](crate::background).
///
/// Awaiting the handle returns the result of the task, or a [`TaskError`] if it was cancelled, timed out or panicked. Dropping
/// the handle cancels the task, unlike a `JoinHandle` of tokio; [`detach`](Task::detach) lets the task continue without a
/// handle.
///
/// ```
/// use std::time::Duration;
/// use antiphon_runtime::{Runner, TaskError};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let runner = Runner::new(2);
/// let slow = runner.submit(tokio::time::sleep(Duration::from_secs(600))).await;
/// let quick = runner.submit(async { "done" }).await;
/// assert_eq!(quick.await, Ok("done"));
/// assert_eq!(slow.cancel().await, Err(TaskError::Cancelled));
/// assert_eq!(runner.metrics().cancelled, 1, "its slot is free again");
/// # }
/// ```
///
/// # Cancel safety
/// `&mut task` can be awaited, for example in `tokio::select!`: dropping that future loses nothing. Dropping the handle itself
/// cancels the task.
#[must_use = "dropping a task cancels it: await it, or detach it"]
pub struct Task<T> {
    cell: Arc<dyn Slot<T>>,
    /// The job's entry in the queue, for withdrawing it on cancellation.
    entry: Option<QueueEntry>,
    is_owner: bool,
}

impl<T> Task<T> {
    /// Returns whether the task has ended, with or without a result; awaiting it then returns immediately.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.cell.state().is_finished
    }

    /// Cancels the task and waits until its future is dropped and its slot is free.
    ///
    /// A queued task never starts; a running task is dropped at its next await point.
    ///
    /// # Errors
    /// [`TaskError::Cancelled`] if the task was cancelled. If the task ended before, its own result or error is returned.
    ///
    /// # Cancel safety
    /// Dropping the future cancels the task as well, without waiting for its end.
    pub async fn cancel(self) -> Result<T, TaskError> {
        self.request_cancel();
        self.await
    }

    /// Detaches the task: it runs to its end without a handle, and its result is dropped.
    ///
    /// A task of a runner is still cancelled when the runner is dropped or shut down by cancelling.
    pub fn detach(mut self) {
        self.is_owner = false;
    }

    fn request_cancel(&self) {
        if let Some(entry) = &self.entry
            && entry.withdraw()
        {
            return;
        }
        let waker = {
            let mut state = self.cell.state();
            state.is_cancelled = true;
            state.job.take()
        };
        waker.into_iter().for_each(Waker::wake);
    }
}

impl<T> Future for Task<T> {
    type Output = Result<T, TaskError>;

    /// # Panics
    /// If polled again after it has returned its result.
    #[expect(clippy::panic, reason = "as for any future polled after completion")]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.cell.state();
        if state.is_finished {
            let outcome = state.outcome.take();
            drop(state);
            self.is_owner = false;
            let Some(outcome) = outcome else { panic!("a task was polled after it had returned its result") };
            return Poll::Ready(outcome);
        }
        keep(&mut state.task, cx);
        Poll::Pending
    }
}

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        if self.is_owner {
            self.request_cancel();
        }
    }
}

impl<T> fmt::Debug for Task<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task").field("is_finished", &self.is_finished()).finish_non_exhaustive()
    }
}

/// The side of a job that its [`Task`] sees.
trait Slot<T>: Send + Sync {
    fn state(&self) -> MutexGuard<'_, State<T>>;
}

/// The side of a job that its worker sees.
trait Run: Send + Sync {
    fn poll(&self, cx: &mut Context<'_>) -> Poll<Ending>;
    fn report(&self);
}

/// A future and the slot for its result, shared by the worker and the [`Task`].
///
/// It is shared so that in most cases the thread that allocated it also frees it: freeing the memory of another thread takes a
/// lock of the allocator.
struct Cell<F: Future> {
    work: Mutex<Work<F>>,
    state: Mutex<State<F::Output>>,
    /// Boxed, since it is mostly absent and every word of a job moves between cores.
    extras: Option<Box<Extras>>,
}

struct Extras {
    limit: Option<Duration>,
    span: Span,
}

struct Work<F: Future> {
    future: Pin<Box<Option<F>>>,
    deadline: Option<Pin<Box<Sleep>>>,
}

struct State<T> {
    /// Set as soon as the future has finished, visible to the task once `is_finished` is set.
    outcome: Option<Result<T, TaskError>>,
    is_finished: bool,
    is_cancelled: bool,
    task: Option<Waker>,
    job: Option<Waker>,
}

impl<T> State<T> {
    /// Returns whether the job continues; if so, a request to cancel it wakes the task that polls now.
    fn should_continue(&mut self, cx: &Context<'_>) -> bool {
        if !self.is_cancelled {
            keep(&mut self.job, cx);
        }
        !self.is_cancelled
    }
}

/// Keeps the waker of the task that polls now.
fn keep(kept: &mut Option<Waker>, cx: &Context<'_>) {
    match kept {
        Some(waker) => waker.clone_from(cx.waker()),
        none => *none = Some(cx.waker().clone()),
    }
}

/// The outcome of a job or of another future, for metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    Completed,
    Panicked,
    TimedOut,
    Cancelled,
}

impl Ending {
    pub(crate) fn of<T>(outcome: &Result<T, TaskError>) -> Self {
        match outcome {
            Ok(_) => Self::Completed,
            Err(TaskError::Cancelled) => Self::Cancelled,
            Err(TaskError::TimedOut) => Self::TimedOut,
            Err(TaskError::Panicked(_)) => Self::Panicked,
        }
    }
}

/// The future of a task, polled by a worker.
///
/// Reports to its [`Task`] on drop, whatever the outcome, so that the worker can release the slot and update the metrics before
/// the result is visible. Dropping it never panics, even if the future, its result or a waker does: the worker has other jobs.
pub(crate) struct Job(Option<Arc<dyn Run>>);

/// Creates a job and the task that receives its result.
pub(crate) fn job<F>(future: F, limit: Option<Duration>, span: Span) -> (Job, Task<F::Output>)
where
    F: Future<Output: Send> + Send + 'static,
{
    let work = Work { future: Box::pin(Some(future)), deadline: None };
    let has_extras = limit.is_some() || !span.is_disabled();
    let extras = has_extras.then(|| Box::new(Extras { limit, span }));
    let state = State { outcome: None, is_finished: false, is_cancelled: false, task: None, job: None };
    let cell = Arc::new(Cell { work: Mutex::new(work), state: Mutex::new(state), extras });
    (Job(Some(cell.clone())), Task { cell, entry: None, is_owner: true })
}

impl Future for Job {
    type Output = Ending;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Ending> {
        match &self.0 {
            Some(run) => run.poll(cx),
            None => Poll::Ready(Ending::Cancelled),
        }
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        if let Some(run) = self.0.take() {
            // The result of a detached task is dropped here, too.
            let reported = catch_unwind(AssertUnwindSafe(move || {
                run.report();
                drop(run);
            }));
            drop(reported);
        }
    }
}

impl<T> Task<T> {
    pub(crate) fn at(mut self, entry: Option<QueueEntry>) -> Self {
        self.entry = entry;
        self
    }
}

impl<F: Future> Cell<F> {
    fn work(&self) -> MutexGuard<'_, Work<F>> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<F: Future<Output: Send> + Send> Slot<F::Output> for Cell<F> {
    fn state(&self) -> MutexGuard<'_, State<F::Output>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<F: Future<Output: Send> + Send> Run for Cell<F> {
    fn poll(&self, cx: &mut Context<'_>) -> Poll<Ending> {
        let _entered = self.extras.as_ref().map(|extras| extras.span.enter());
        let limit = self.extras.as_ref().and_then(|extras| extras.limit);
        let mut guard = self.work();
        let work = &mut *guard;
        let Some(future) = work.future.as_mut().as_pin_mut() else { return Poll::Ready(Ending::Cancelled) };
        let outcome = if self.state().is_cancelled {
            Err(TaskError::Cancelled)
        } else {
            // A future that panicked is dropped and never polled again, so its broken state cannot be observed.
            match catch_unwind(AssertUnwindSafe(|| future.poll(cx))) {
                Ok(Poll::Ready(value)) => Ok(value),
                Err(panic) => Err(TaskError::panicked(&*panic)),
                Ok(Poll::Pending) => match limit {
                    Some(limit) if timed_out(&mut work.deadline, limit, cx) => Err(TaskError::TimedOut),
                    _ if self.state().should_continue(cx) => return Poll::Pending,
                    _ => Err(TaskError::Cancelled),
                },
            }
        };
        let outcome = drop_future(work.future.as_mut()).and(outcome);
        let ending = Ending::of(&outcome);
        self.state().outcome = Some(outcome);
        Poll::Ready(ending)
    }

    fn report(&self) {
        let mut state = self.state();
        if state.outcome.is_none() {
            drop(state);
            let outcome = drop_future(self.work().future.as_mut()).and(Err(TaskError::Cancelled));
            state = self.state();
            state.outcome = Some(outcome);
        }
        state.is_finished = true;
        state.job = None;
        let waker = state.task.take();
        drop(state);
        waker.into_iter().for_each(Waker::wake);
    }
}

fn timed_out(deadline: &mut Option<Pin<Box<Sleep>>>, limit: Duration, cx: &mut Context<'_>) -> bool {
    deadline.get_or_insert_with(|| Box::pin(tokio::time::sleep(limit))).as_mut().poll(cx).is_ready()
}

/// Drops a finished future before its end is reported. A panic in its drop becomes the task's panic.
pub(crate) fn drop_future<F>(mut future: Pin<&mut Option<F>>) -> Result<(), TaskError> {
    let dropped = catch_unwind(AssertUnwindSafe(|| future.set(None)));
    dropped.map_err(|panic| TaskError::panicked(&*panic))
}

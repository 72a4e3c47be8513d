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

/// A handle on work that runs elsewhere: on a [`Runner`](crate::Runner), or in the [`background`](crate::background).
///
/// Awaiting it gives the result. Dropping it asks the work to stop; [`detach`](Task::detach) lets it run on.
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
/// Awaiting `&mut task` loses nothing when it is dropped; dropping the task itself cancels the work.
#[must_use = "dropping a task cancels it: await it, or detach it"]
pub struct Task<T> {
    cell: Arc<dyn Slot<T>>,
    /// Where it stands in line, so that it can leave the line when it is cancelled.
    entry: Option<QueueEntry>,
    is_owner: bool,
}

impl<T> Task<T> {
    /// Whether the work is over: then awaiting does not wait.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.cell.state().is_over
    }

    /// Asks the work to stop and waits until it is really gone, its slot given back.
    ///
    /// # Errors
    /// `Cancelled` if it stopped. Work that was faster gives its result.
    ///
    /// # Cancel safety
    /// The request stands even if nobody waits for its end.
    pub async fn cancel(self) -> Result<T, TaskError> {
        self.request_cancel();
        self.await
    }

    /// Lets the work run to its end although no one waits for it; its result is dropped. It still belongs to its runner,
    /// whose end is its end.
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
    /// If it is polled again after it has given its result.
    #[expect(clippy::panic, reason = "as any future may that is polled after its end")]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.cell.state();
        if state.is_over {
            let outcome = state.outcome.take();
            drop(state);
            self.is_owner = false;
            let Some(outcome) = outcome else { panic!("a task gives its result once") };
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

/// What a task sees of its job.
trait Slot<T>: Send + Sync {
    fn state(&self) -> MutexGuard<'_, State<T>>;
}

/// What whoever runs a job sees of it.
trait Run: Send + Sync {
    fn poll(&self, cx: &mut Context<'_>) -> Poll<Ending>;
    fn report(&self);
}

/// A future and where its result is left. Runner and task share it, so that it is mostly freed by the thread that made
/// it: freeing another thread's memory costs a lock of the allocator.
struct Cell<F: Future> {
    work: Mutex<Work<F>>,
    state: Mutex<State<F::Output>>,
    /// Boxed, since it is mostly absent and every word of a job travels from core to core and back.
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
    /// Set as soon as the future has ended, to be seen once it is over.
    outcome: Option<Result<T, TaskError>>,
    is_over: bool,
    is_cancelled: bool,
    task: Option<Waker>,
    job: Option<Waker>,
}

impl<T> State<T> {
    /// Whether the job goes on; if so, a request to cancel it wakes the task that polls now.
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

/// How a job ended, for those who count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    Completed,
    Panicked,
    TimedOut,
    Cancelled,
}

impl Ending {
    fn of<T>(outcome: &Result<T, TaskError>) -> Self {
        match outcome {
            Ok(_) => Self::Completed,
            Err(TaskError::Cancelled) => Self::Cancelled,
            Err(TaskError::TimedOut) => Self::TimedOut,
            Err(TaskError::Panicked(_)) => Self::Panicked,
        }
    }
}

/// The work itself, polled by whoever runs it. It reports to its [`Task`] when it is dropped, however it ended: so
/// that whoever runs it can give the slot back and count before anybody sees the result.
///
/// Dropping it never panics, whatever the future, its result or a waker does: whoever runs it has others to run.
pub(crate) struct Job(Option<Arc<dyn Run>>);

/// A job, and the task that will have its result.
pub(crate) fn job<F>(future: F, limit: Option<Duration>, span: Span) -> (Job, Task<F::Output>)
where
    F: Future<Output: Send> + Send + 'static,
{
    let work = Work { future: Box::pin(Some(future)), deadline: None };
    let has_extras = limit.is_some() || !span.is_disabled();
    let extras = has_extras.then(|| Box::new(Extras { limit, span }));
    let state = State { outcome: None, is_over: false, is_cancelled: false, task: None, job: None };
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
            // A result that nobody waits for is dropped here, too.
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
            // A future that panicked is dropped and never polled again, so no broken state of it can be seen.
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
        state.is_over = true;
        state.job = None;
        let waker = state.task.take();
        drop(state);
        waker.into_iter().for_each(Waker::wake);
    }
}

fn timed_out(deadline: &mut Option<Pin<Box<Sleep>>>, limit: Duration, cx: &mut Context<'_>) -> bool {
    deadline.get_or_insert_with(|| Box::pin(tokio::time::sleep(limit))).as_mut().poll(cx).is_ready()
}

/// What the future held is released before anybody hears of its end. A panic in that is the task's panic.
pub(crate) fn drop_future<F>(mut future: Pin<&mut Option<F>>) -> Result<(), TaskError> {
    let dropped = catch_unwind(AssertUnwindSafe(|| future.set(None)));
    dropped.map_err(|panic| TaskError::panicked(&*panic))
}

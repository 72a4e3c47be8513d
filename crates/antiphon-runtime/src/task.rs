use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use pin_project::{pin_project, pinned_drop};
use tokio::time::Sleep;
use tracing::Span;

use crate::error::TaskError;
use crate::runner::Place;

/// A handle on work that runs elsewhere: on a [`Runner`](crate::Runner), or in the [`background`](crate::background).
///
/// Awaiting it gives the result. Dropping it asks the work to stop; [`detach`](Task::detach) lets it run on.
///
/// # Cancel safety
/// Awaiting `&mut task` loses nothing when it is dropped; dropping the task itself cancels the work.
#[must_use = "dropping a task cancels it: await it, or detach it"]
pub struct Task<T> {
    cell: Arc<Cell<T>>,
    /// Where it stands in line, so that it can leave the line when it is cancelled.
    place: Option<Place>,
    is_owner: bool,
}

impl<T> Task<T> {
    /// Whether the work is over: then awaiting does not wait.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.cell.lock().is_over
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

    /// Lets the work run to its end without anybody who waits for it; its result is dropped.
    pub fn detach(mut self) {
        self.is_owner = false;
    }

    fn request_cancel(&self) {
        if let Some(place) = &self.place
            && place.leave_line()
        {
            return;
        }
        let waker = {
            let mut state = self.cell.lock();
            state.is_cancelled = true;
            state.job.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl<T> Future for Task<T> {
    type Output = Result<T, TaskError>;

    /// # Panics
    /// If it is polled again after it has given its result.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.cell.lock();
        if let Some(outcome) = state.outcome.take() {
            drop(state);
            self.is_owner = false;
            return Poll::Ready(outcome);
        }
        assert!(!state.is_over, "a task gives its result once");
        match &mut state.task {
            Some(waker) => waker.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
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

/// Where a job leaves its result for its task.
struct Cell<T> {
    state: Mutex<State<T>>,
}

struct State<T> {
    outcome: Option<Result<T, TaskError>>,
    is_over: bool,
    is_cancelled: bool,
    task: Option<Waker>,
    job: Option<Waker>,
}

impl<T> Cell<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the job goes on; if so, a request to cancel it wakes the task that polls now.
    fn goes_on(&self, cx: &Context<'_>) -> bool {
        let mut state = self.lock();
        if !state.is_cancelled {
            match &mut state.job {
                Some(waker) => waker.clone_from(cx.waker()),
                none => *none = Some(cx.waker().clone()),
            }
        }
        !state.is_cancelled
    }

    fn finish(&self, outcome: Result<T, TaskError>) {
        let waker = {
            let mut state = self.lock();
            state.is_over = true;
            state.outcome = Some(outcome);
            state.job = None;
            state.task.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// The work itself, polled by whoever runs it. It reports to its [`Task`] when it is dropped, however it ended: so
/// that whoever runs it can give the slot back and count before anybody sees the result.
#[pin_project(PinnedDrop)]
pub(crate) struct Job<F: Future> {
    #[pin]
    future: Option<F>,
    outcome: Option<Result<F::Output, TaskError>>,
    cell: Arc<Cell<F::Output>>,
    limit: Option<Duration>,
    deadline: Option<Pin<Box<Sleep>>>,
    span: Span,
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

impl<F: Future> Job<F> {
    pub(crate) fn new(future: F, limit: Option<Duration>, span: Span) -> Self {
        let state = State { outcome: None, is_over: false, is_cancelled: false, task: None, job: None };
        let cell = Arc::new(Cell { state: Mutex::new(state) });
        Self { future: Some(future), outcome: None, cell, limit, deadline: None, span }
    }

    pub(crate) fn task(&self) -> Task<F::Output> {
        Task { cell: self.cell.clone(), place: None, is_owner: true }
    }
}

impl<T> Task<T> {
    pub(crate) fn at(mut self, place: Option<Place>) -> Self {
        self.place = place;
        self
    }
}

impl<F: Future> Future for Job<F> {
    type Output = Ending;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Ending> {
        let mut this = self.project();
        let _entered = this.span.enter();
        let Some(future) = this.future.as_mut().as_pin_mut() else { return Poll::Ready(Ending::Cancelled) };
        let outcome = if this.cell.lock().is_cancelled {
            Err(TaskError::Cancelled)
        } else {
            // A future that panicked is dropped and never polled again, so no broken state of it can be seen.
            match catch_unwind(AssertUnwindSafe(|| future.poll(cx))) {
                Ok(Poll::Ready(value)) => Ok(value),
                Err(panic) => Err(TaskError::panicked(&*panic)),
                Ok(Poll::Pending) => match this.limit {
                    Some(limit) if timed_out(this.deadline, *limit, cx) => Err(TaskError::TimedOut),
                    _ if this.cell.goes_on(cx) => return Poll::Pending,
                    _ => Err(TaskError::Cancelled),
                },
            }
        };
        let outcome = drop_future(this.future).and(outcome);
        let ending = Ending::of(&outcome);
        *this.outcome = Some(outcome);
        Poll::Ready(ending)
    }
}

#[pinned_drop]
impl<F: Future> PinnedDrop for Job<F> {
    fn drop(self: Pin<&mut Self>) {
        let this = self.project();
        let given_up = || drop_future(this.future).and(Err(TaskError::Cancelled));
        this.cell.finish(this.outcome.take().unwrap_or_else(given_up));
    }
}

fn timed_out(deadline: &mut Option<Pin<Box<Sleep>>>, limit: Duration, cx: &mut Context<'_>) -> bool {
    deadline.get_or_insert_with(|| Box::pin(tokio::time::sleep(limit))).as_mut().poll(cx).is_ready()
}

/// What the future held is released before anybody hears of its end. A panic in that is the task's panic.
fn drop_future<F>(mut future: Pin<&mut Option<F>>) -> Result<(), TaskError> {
    let dropped = catch_unwind(AssertUnwindSafe(|| future.set(None)));
    dropped.map_err(|panic| TaskError::panicked(&*panic))
}

use std::collections::VecDeque;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use crate::task::{Ending, Job};
use crate::waiters::{Ticket, Waiters};

/// The priority of a task in the queue of a [`Runner`](crate::Runner).
///
/// Tasks of equal priority start in the order of submission. There is no aging: a steady flow of tasks can starve those of lower
/// priority.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Priority {
    /// Started before tasks of all other priorities.
    Critical,
    /// Started before `Normal` tasks.
    High,
    /// The default priority.
    #[default]
    Normal,
    /// Started after `Normal` tasks.
    Low,
    /// Started only if no task of another priority is queued.
    Background,
}

impl Priority {
    /// All priorities, from the most to the least urgent.
    pub const ALL: [Self; 5] = [Self::Critical, Self::High, Self::Normal, Self::Low, Self::Background];
}

/// Counters and durations of a [`Runner`](crate::Runner); see [`Runner::metrics`](crate::Runner::metrics).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct RunnerMetrics {
    /// Number of tasks in the queue.
    pub queued: usize,
    /// Number of running tasks.
    pub running: usize,
    /// Number of tasks that finished with a result.
    pub completed: u64,
    /// Number of tasks that panicked.
    pub failed: u64,
    /// Number of tasks that exceeded the runner's [`task_timeout`](crate::Runner::task_timeout).
    pub timed_out: u64,
    /// Number of tasks that were cancelled, while running or while queued.
    pub cancelled: u64,
    /// Total time in the queue of all tasks that have started; divided by their number, the mean queue time.
    pub wait_time: Duration,
    /// Total run time of all tasks that have ended, from start to end (not CPU time).
    pub run_time: Duration,
}

/// The state machine of a runner: its queue and its workers, without a clock or I/O.
#[derive(Default)]
pub(crate) struct Scheduler {
    lanes: [VecDeque<Queued>; 5],
    room: Waiters,
    /// Number of places in the queue that are reserved for submitters but not filled yet.
    reserved: usize,
    idle: Vec<(usize, Waker)>,
    /// Workers that were woken or spawned and have not polled the queue yet.
    waking: usize,
    workers: usize,
    next_worker: usize,
    next_seq: u64,
    is_closed: bool,
    closers: Vec<Waker>,
    metrics: RunnerMetrics,
    /// The limit on `waking`: each worker wakes the next before it starts a job, so the number of threads suffices.
    pub(crate) max_waking: usize,
    pub(crate) max_workers: usize,
    pub(crate) max_queued: usize,
}

struct Queued {
    seq: u64,
    job: Job,
    since: Instant,
}

/// The worker to wake or spawn after the queue has grown.
pub(crate) enum WorkerAction {
    None,
    Wake(Waker),
    /// Spawn another worker with this id.
    Spawn(usize),
}

/// The state of a worker before it requests a job.
#[derive(Debug, Clone, Copy)]
pub(crate) enum WorkerState {
    Busy,
    /// Waiting to be woken, or woken and not yet at the queue.
    Idle,
}

/// The next step of a worker.
pub(crate) enum NextJob {
    Run(Job),
    Wait,
    Exit,
}

impl Scheduler {
    pub(crate) fn new(max_workers: usize, max_queued: usize) -> Self {
        Self { max_waking: 2, max_workers, max_queued, ..Self::default() }
    }

    pub(crate) fn metrics(&self) -> RunnerMetrics {
        self.metrics
    }

    /// Returns whether the queue has room for a caller that is not waiting for it yet.
    fn has_room(&self) -> bool {
        self.room.is_empty() && self.metrics.queued + self.reserved < self.max_queued
    }

    /// Waits in line for a place in the queue and reserves it; returns false if the runner is closed.
    pub(crate) fn poll_room(&mut self, ticket: &mut Option<Ticket>, cx: &Context<'_>) -> Poll<bool> {
        if self.is_closed {
            return Poll::Ready(false);
        }
        match *ticket {
            None if self.has_room() => self.reserved += 1,
            None => {
                *ticket = Some(self.room.join(cx));
                return Poll::Pending;
            }
            Some(held) if self.room.refresh(held, cx) => return Poll::Pending,
            Some(_) => *ticket = None,
        }
        Poll::Ready(true)
    }

    /// Combines [`try_room`](Self::try_room) and [`push`](Self::push), which is the common case.
    pub(crate) fn try_push(
        &mut self,
        priority: Priority,
        job: Job,
        now: Instant,
    ) -> Result<(u64, WorkerAction), Job> {
        match self.try_room() {
            Ok(()) => self.push(priority, job, now),
            Err(_) => Err(job),
        }
    }

    /// Reserves a place in the queue if one is free.
    pub(crate) fn try_room(&mut self) -> Result<(), SubmitErrorKind> {
        match (self.is_closed, self.has_room()) {
            (true, _) => Err(SubmitErrorKind::Closed),
            (_, false) => Err(SubmitErrorKind::QueueFull),
            _ => {
                self.reserved += 1;
                Ok(())
            }
        }
    }

    /// Leaves the line for room, or releases the place that was reserved for the ticket meanwhile.
    pub(crate) fn release_room(&mut self, ticket: Ticket) -> Option<Waker> {
        if self.room.leave(ticket) || self.is_closed {
            return None;
        }
        self.reserved -= 1;
        self.offer_room()
    }

    fn offer_room(&mut self) -> Option<Waker> {
        if self.metrics.queued + self.reserved >= self.max_queued {
            return None;
        }
        let waker = self.room.serve()?;
        self.reserved += 1;
        Some(waker)
    }

    /// Queues a job on its reserved place. A closed runner returns the job.
    pub(crate) fn push(
        &mut self,
        priority: Priority,
        job: Job,
        now: Instant,
    ) -> Result<(u64, WorkerAction), Job> {
        if self.is_closed {
            return Err(job);
        }
        self.reserved -= 1;
        let seq = self.next_seq;
        self.next_seq += 1;
        self.lanes[priority as usize].push_back(Queued { seq, job, since: now });
        self.metrics.queued += 1;
        Ok((seq, self.wake_worker()))
    }

    /// Removes a job from the queue before it has started.
    pub(crate) fn withdraw(&mut self, priority: Priority, seq: u64) -> Option<(Job, Option<Waker>)> {
        let lane = &mut self.lanes[priority as usize];
        let at = lane.binary_search_by_key(&seq, |queued| queued.seq).ok()?;
        let queued = lane.remove(at)?;
        self.metrics.queued -= 1;
        self.metrics.cancelled += 1;
        Some((queued.job, self.offer_room()))
    }

    /// Selects an idle or new worker for the queued jobs.
    fn wake_worker(&mut self) -> WorkerAction {
        if self.metrics.queued == 0 || self.waking >= self.max_waking {
            return WorkerAction::None;
        }
        if let Some((_, waker)) = self.idle.pop() {
            self.waking += 1;
            return WorkerAction::Wake(waker);
        }
        if self.workers < self.max_workers {
            self.waking += 1;
            self.workers += 1;
            self.next_worker += 1;
            return WorkerAction::Spawn(self.next_worker);
        }
        WorkerAction::None
    }

    /// Returns the next step of a worker, with a submitter to wake and a worker to wake or spawn.
    pub(crate) fn next(
        &mut self,
        id: usize,
        state: WorkerState,
        now: Instant,
        cx: &Context<'_>,
    ) -> (NextJob, Option<Waker>, WorkerAction) {
        self.mark_active(id, state);
        let Some(queued) = self.lanes.iter_mut().find_map(VecDeque::pop_front) else {
            if self.is_closed {
                return (NextJob::Exit, None, WorkerAction::None);
            }
            self.idle.push((id, cx.waker().clone()));
            return (NextJob::Wait, None, WorkerAction::None);
        };
        self.metrics.queued -= 1;
        self.metrics.running += 1;
        self.metrics.wait_time += now.saturating_duration_since(queued.since);
        (NextJob::Run(queued.job), self.offer_room(), self.wake_worker())
    }

    fn mark_active(&mut self, id: usize, state: WorkerState) {
        match state {
            WorkerState::Busy => {}
            WorkerState::Idle => match self.idle.iter().position(|(other, _)| *other == id) {
                Some(at) => drop(self.idle.swap_remove(at)),
                None => self.waking -= 1,
            },
        }
    }

    pub(crate) fn ended(&mut self, ending: Ending, ran: Duration) {
        let metrics = &mut self.metrics;
        metrics.running -= 1;
        metrics.run_time += ran;
        match ending {
            Ending::Completed => metrics.completed += 1,
            Ending::Panicked => metrics.failed += 1,
            Ending::TimedOut => metrics.timed_out += 1,
            Ending::Cancelled => metrics.cancelled += 1,
        }
    }

    /// Removes worker `id`; after the last one, returns the wakers of shutdown calls and whether queued jobs are orphaned.
    pub(crate) fn exited(&mut self, id: usize, state: WorkerState) -> (Vec<Waker>, bool) {
        self.mark_active(id, state);
        self.workers -= 1;
        if self.workers > 0 {
            return (Vec::new(), false);
        }
        (std::mem::take(&mut self.closers), self.metrics.queued > 0)
    }

    /// Closes the runner and returns the wakers of idle workers and waiting submitters.
    pub(crate) fn close(&mut self) -> Vec<Waker> {
        self.is_closed = true;
        self.reserved = 0;
        // Idle workers count as woken: each polls the queue once more, finds it empty and exits.
        self.waking += self.idle.len();
        let idle = self.idle.drain(..).map(|(_, waker)| waker);
        idle.chain(self.room.dissolve()).collect()
    }

    /// Removes and returns all queued jobs.
    pub(crate) fn drain(&mut self) -> Vec<Job> {
        let jobs: Vec<_> =
            self.lanes.iter_mut().flat_map(|lane| lane.drain(..)).map(|queued| queued.job).collect();
        self.metrics.queued = 0;
        self.metrics.cancelled += jobs.len() as u64;
        jobs
    }

    /// Waits until all workers have exited.
    pub(crate) fn poll_exited(&mut self, cx: &Context<'_>) -> Poll<()> {
        if self.workers == 0 {
            return Poll::Ready(());
        }
        if !self.closers.iter().any(|waker| waker.will_wake(cx.waker())) {
            self.closers.push(cx.waker().clone());
        }
        Poll::Pending
    }
}

/// The reason for which [`Runner::try_submit`](crate::Runner::try_submit) rejected a future.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SubmitErrorKind {
    /// The queue is full; retry later.
    QueueFull,
    /// The runner was shut down and accepts no more tasks.
    Closed,
}

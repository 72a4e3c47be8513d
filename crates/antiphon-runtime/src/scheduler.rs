use std::collections::VecDeque;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use crate::task::{Ending, Job};
use crate::waiters::{Ticket, Waiters};

/// The order in which waiting tasks begin. Within one priority, first come is first served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Priority {
    /// Before everything else.
    Critical,
    /// Before the ordinary.
    High,
    /// The ordinary.
    #[default]
    Normal,
    /// After the ordinary.
    Low,
    /// Only when nothing else waits.
    Background,
}

impl Priority {
    /// Every priority, the most urgent first.
    pub const ALL: [Self; 5] = [Self::Critical, Self::High, Self::Normal, Self::Low, Self::Background];
}

/// Counts and times of a [`Runner`](crate::Runner); see [`Runner::metrics`](crate::Runner::metrics).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct RunnerMetrics {
    /// Tasks that wait for a slot.
    pub queued: usize,
    /// Tasks that have a slot.
    pub running: usize,
    /// Tasks that gave a result.
    pub completed: u64,
    /// Tasks that panicked.
    pub failed: u64,
    /// Tasks that ran into the runner's time limit.
    pub timed_out: u64,
    /// Tasks that were given up, while they ran or before.
    pub cancelled: u64,
    /// How long all tasks that began had waited in the queue, added up.
    pub wait_time: Duration,
    /// How long all tasks that ended had run, added up.
    pub run_time: Duration,
}

/// The queue of a runner and who works on it, without a clock or a task of its own.
#[derive(Default)]
pub(crate) struct Scheduler {
    lanes: [VecDeque<Queued>; 5],
    room: Waiters,
    /// Places in the queue that are promised to those who left the line for room.
    reserved: usize,
    idle: Vec<(usize, Waker)>,
    /// Workers that were woken or made and have not looked at the queue yet.
    waking: usize,
    workers: usize,
    next_worker: usize,
    next_seq: u64,
    is_closed: bool,
    closers: Vec<Waker>,
    metrics: RunnerMetrics,
    /// Of those that are being woken at once: each summons the next before it begins, so that as many as there are
    /// threads suffice.
    pub(crate) max_waking: usize,
    pub(crate) max_workers: usize,
    pub(crate) max_queued: usize,
}

struct Queued {
    seq: u64,
    job: Job,
    since: Instant,
}

/// Who must be told after the queue has grown.
pub(crate) enum WorkerAction {
    None,
    Wake(Waker),
    /// There is work for another worker: this is its number.
    Spawn(usize),
}

/// What a worker did before it asked for a job.
#[derive(Debug, Clone, Copy)]
pub(crate) enum WorkerState {
    Busy,
    /// It was to be woken, or was and has not looked at the queue yet.
    Idle,
}

/// What a worker does next.
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

    /// Whether a place in the queue is free for somebody who is not in line for one.
    fn has_room(&self) -> bool {
        self.room.is_empty() && self.metrics.queued + self.reserved < self.max_queued
    }

    /// Waits in line for a place in the queue and takes it; false: the runner is closed, and there is none.
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

    /// [`try_room`](Self::try_room) and [`push`](Self::push) at once, which is the ordinary case.
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

    /// Takes a place in the queue if one is free.
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

    /// Leaves the line for room, or gives the place back that was promised meanwhile.
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

    /// Queues a job on the place that was taken for it. A closed runner gives the job back.
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

    /// Takes a job out of the queue before it has begun.
    pub(crate) fn withdraw(&mut self, priority: Priority, seq: u64) -> Option<(Job, Option<Waker>)> {
        let lane = &mut self.lanes[priority as usize];
        let at = lane.binary_search_by_key(&seq, |queued| queued.seq).ok()?;
        let queued = lane.remove(at)?;
        self.metrics.queued -= 1;
        self.metrics.cancelled += 1;
        Some((queued.job, self.offer_room()))
    }

    /// Somebody to work on what is queued.
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

    /// The most urgent job for a worker; and whom to wake or hire besides.
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

    /// Worker `id` is gone; who waits for the last one to go must be woken, and whether it left jobs to nobody.
    pub(crate) fn exited(&mut self, id: usize, state: WorkerState) -> (Vec<Waker>, bool) {
        self.mark_active(id, state);
        self.workers -= 1;
        if self.workers > 0 {
            return (Vec::new(), false);
        }
        (std::mem::take(&mut self.closers), self.metrics.queued > 0)
    }

    /// Takes nothing more; who must be woken to see it.
    pub(crate) fn close(&mut self) -> Vec<Waker> {
        self.is_closed = true;
        self.reserved = 0;
        // The idle ones count as woken: each looks once more, finds nothing, and leaves.
        self.waking += self.idle.len();
        let idle = self.idle.drain(..).map(|(_, waker)| waker);
        idle.chain(self.room.dissolve()).collect()
    }

    /// Everything that has not begun.
    pub(crate) fn drain(&mut self) -> Vec<Job> {
        let jobs: Vec<_> =
            self.lanes.iter_mut().flat_map(|lane| lane.drain(..)).map(|queued| queued.job).collect();
        self.metrics.queued = 0;
        self.metrics.cancelled += jobs.len() as u64;
        jobs
    }

    /// Waits until nobody works any more.
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

/// Why [`Runner::try_submit`](crate::Runner::try_submit) took nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SubmitErrorKind {
    /// The queue is full for now.
    QueueFull,
    /// The runner was shut down.
    Closed,
}

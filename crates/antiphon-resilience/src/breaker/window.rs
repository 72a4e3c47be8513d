use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::policy::BreakerWindow;

/// How a call ended, as far as the breaker minds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) failed: bool,
    pub(crate) slow: bool,
}

/// How many calls there were, and how they ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) started: u32,
    pub(crate) ended: u32,
    pub(crate) failed: u32,
    pub(crate) slow: u32,
}

impl Tally {
    fn end(&mut self, outcome: Outcome) {
        self.ended += 1;
        self.failed += u32::from(outcome.failed);
        self.slow += u32::from(outcome.slow);
    }

    fn add(&mut self, other: Self) {
        self.started += other.started;
        self.ended += other.ended;
        self.failed += other.failed;
        self.slow += other.slow;
    }
}

/// Calls in the order in which they began, whichever ends first.
///
/// By their ends, quick failures would be all that is seen while slow successes are still in flight. A call is judged among
/// those that began before it, of which one in flight has not failed. They are kept in slices of a tenth of a window, so that
/// a call costs the same however long the window is.
#[derive(Debug)]
pub(super) struct Calls {
    window: BreakerWindow,
    slices: VecDeque<Slice>,
    /// The number of the oldest slice that is kept.
    oldest: u64,
    in_flight: u32,
}

#[derive(Debug)]
struct Slice {
    /// Only of a time window.
    started_at: Option<Instant>,
    tally: Tally,
}

/// The parts of a window.
const SLICES: u32 = 10;

/// Four windows are kept. Where so many calls began and ended during one that failed, those like it are a small share.
const KEPT: usize = 40;

impl Calls {
    pub(super) fn new(window: BreakerWindow) -> Self {
        Self { window, slices: VecDeque::new(), oldest: 0, in_flight: 0 }
    }

    /// Whether the beginning of a call must be given with its time.
    pub(super) fn needs_time(&self) -> bool {
        matches!(self.window, BreakerWindow::Time(_))
    }

    /// Counts a call that begins, and returns the number of its slice; `now` is only read by a time window.
    pub(super) fn begin(&mut self, now: Option<Instant>) -> u64 {
        self.in_flight += 1;
        if self.slices.back().is_none_or(|slice| self.is_full(slice, now)) {
            if self.slices.len() >= KEPT {
                self.slices.pop_front();
                self.oldest += 1;
            }
            self.slices.push_back(Slice { started_at: now, tally: Tally::default() });
        }
        if let Some(slice) = self.slices.back_mut() {
            slice.tally.started += 1;
        }
        self.newest()
    }

    /// Counts the end of a call of this slice.
    pub(super) fn end(&mut self, number: u64, outcome: Outcome) {
        self.in_flight = self.in_flight.saturating_sub(1);
        if let Some(slice) = self.slice(number) {
            slice.tally.end(outcome);
        }
    }

    /// Forgets a call of this slice, which was given up.
    pub(super) fn release(&mut self, number: u64) {
        self.in_flight = self.in_flight.saturating_sub(1);
        if let Some(slice) = self.slice(number) {
            slice.tally.started = slice.tally.started.saturating_sub(1);
        }
    }

    /// Returns the number of the newest slice.
    pub(super) fn newest(&self) -> u64 {
        self.oldest + (self.slices.len() as u64).saturating_sub(1)
    }

    /// Adds up the window that ends with this slice; an empty one if that is forgotten.
    pub(super) fn up_to(&self, number: u64) -> Tally {
        let kept = number.checked_sub(self.oldest).and_then(|index| usize::try_from(index).ok());
        let Some(index) = kept.filter(|index| *index < self.slices.len()) else { return Tally::default() };
        self.sum(index, self.slices[index].started_at)
    }

    /// Adds up the window that ends `now`.
    pub(super) fn at(&self, now: Instant) -> Tally {
        self.slices.len().checked_sub(1).map_or(Tally::default(), |newest| self.sum(newest, Some(now)))
    }

    fn sum(&self, last: usize, at: Option<Instant>) -> Tally {
        let mut tally = Tally::default();
        for slice in self.slices.range(..=last).rev() {
            let is_before = match self.window {
                BreakerWindow::Count(size) => tally.started >= self.span(size),
                BreakerWindow::Time(length) => age(slice, at) >= length,
            };
            if is_before {
                break;
            }
            tally.add(slice.tally);
        }
        tally
    }

    /// The calls in a window that counts: never fewer than are in flight, since a few in a row are a small part of those.
    fn span(&self, size: u32) -> u32 {
        size.max(self.in_flight)
    }

    fn is_full(&self, slice: &Slice, now: Option<Instant>) -> bool {
        match self.window {
            BreakerWindow::Count(size) => slice.tally.started >= (self.span(size) / SLICES).max(1),
            BreakerWindow::Time(length) => age(slice, now) >= (length / SLICES).max(Duration::from_nanos(1)),
        }
    }

    fn slice(&mut self, number: u64) -> Option<&mut Slice> {
        let index = number.checked_sub(self.oldest)?;
        self.slices.get_mut(usize::try_from(index).ok()?)
    }
}

fn age(slice: &Slice, now: Option<Instant>) -> Duration {
    let (Some(started_at), Some(now)) = (slice.started_at, now) else { return Duration::ZERO };
    now.saturating_duration_since(started_at)
}

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::policy::BreakerWindow;

/// The result of a call, as the window counts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// Whether the service failed.
    pub(crate) failed: bool,
    /// Whether the call took as long as the policy's rule for slow calls; independent of `failed`.
    pub(crate) slow: bool,
}

/// The numbers of calls started and ended, and of those that failed or were slow.
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

/// A sliding window of call counts, ordered by the start of the calls and not by their end.
///
/// If they were ordered by their end, only quick failures would be counted while slow successes are still in flight. When a call
/// ends, the share of failures is computed over the window that ends with its start; calls in flight count as not failed.
/// Counts are kept in slices of a tenth of the window, so that the cost per call does not depend on the size of the window.
#[derive(Debug)]
pub(super) struct Calls {
    window: BreakerWindow,
    /// Slices, the oldest first; at most `KEPT`.
    slices: VecDeque<Slice>,
    /// Number of the oldest slice that is kept.
    oldest: u64,
    in_flight: u32,
}

#[derive(Debug)]
struct Slice {
    /// Start of the slice, in a time window only.
    started_at: Option<Instant>,
    tally: Tally,
}

/// The number of slices of a window.
const SLICES: u32 = 10;

/// The number of slices that are kept: four windows. The result of a call that started before them is not counted: so many calls
/// have started since then that calls as slow as it are a small share.
const KEPT: usize = 40;

impl Calls {
    pub(super) fn new(window: BreakerWindow) -> Self {
        // An empty window would never hold a result, and the breaker never open.
        let window = match window {
            BreakerWindow::Count(size) => BreakerWindow::Count(size.max(1)),
            BreakerWindow::Time(length) => BreakerWindow::Time(length.max(Duration::from_nanos(1))),
        };
        Self { window, slices: VecDeque::new(), oldest: 0, in_flight: 0 }
    }

    /// Returns whether `begin` needs the time of a call's start.
    pub(super) fn needs_time(&self) -> bool {
        matches!(self.window, BreakerWindow::Time(_))
    }

    /// Counts the start of a call, and returns the number of its slice; only a time window uses `now`.
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

    /// Removes a call of this slice, which was dropped.
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

    /// Returns the counts of the window that ends with this slice; all zero if the slice is no longer kept.
    pub(super) fn up_to(&self, number: u64) -> Tally {
        let kept = number.checked_sub(self.oldest).and_then(|index| usize::try_from(index).ok());
        let Some(index) = kept.filter(|index| *index < self.slices.len()) else { return Tally::default() };
        self.sum(index, self.slices[index].started_at)
    }

    /// Returns the counts of the window that ends `now`.
    pub(super) fn at(&self, now: Instant) -> Tally {
        self.slices.len().checked_sub(1).map_or(Tally::default(), |newest| self.sum(newest, Some(now)))
    }

    /// Adds up the slices from `last` backwards until the window is filled; `at` is the end of a time window.
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

    /// Returns the size of a count window: at least the calls in flight, since a few failures are a small share of those.
    fn span(&self, size: u32) -> u32 {
        size.max(self.in_flight)
    }

    /// Returns whether the next call begins another slice: after a tenth of the window, in calls or in time.
    fn is_full(&self, slice: &Slice, now: Option<Instant>) -> bool {
        match self.window {
            BreakerWindow::Count(size) => slice.tally.started >= (self.span(size) / SLICES).max(1),
            BreakerWindow::Time(length) => age(slice, now) >= (length / SLICES).max(Duration::from_nanos(1)),
        }
    }

    /// Returns the slice with this number; `None` if it is no longer kept.
    fn slice(&mut self, number: u64) -> Option<&mut Slice> {
        let index = number.checked_sub(self.oldest)?;
        self.slices.get_mut(usize::try_from(index).ok()?)
    }
}

/// Returns the age of a slice; zero in a count window, which has no times.
fn age(slice: &Slice, now: Option<Instant>) -> Duration {
    let (Some(started_at), Some(now)) = (slice.started_at, now) else { return Duration::ZERO };
    now.saturating_duration_since(started_at)
}

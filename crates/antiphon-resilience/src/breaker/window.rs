use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::policy::Window;

/// How a call ended, as far as the breaker minds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) failed: bool,
    pub(crate) slow: bool,
}

/// How many calls there were, and how they ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) calls: u32,
    pub(crate) failed: u32,
    pub(crate) slow: u32,
}

impl Tally {
    fn add(&mut self, outcome: Outcome) {
        self.calls += 1;
        self.failed += u32::from(outcome.failed);
        self.slow += u32::from(outcome.slow);
    }

    fn remove(&mut self, other: Self) {
        self.calls -= other.calls;
        self.failed -= other.failed;
        self.slow -= other.slow;
    }
}

/// The results in a window, with their sum kept so that each costs the same, however long the window is.
#[derive(Debug)]
pub(super) enum Results {
    Last { size: usize, outcomes: VecDeque<Outcome>, tally: Tally },
    Since { slice: Duration, slices: VecDeque<(Instant, Tally)>, tally: Tally },
}

/// The parts that a time window slides by.
const SLICES: u32 = 10;

impl Results {
    pub(super) fn new(window: Window) -> Self {
        match window {
            Window::Count(size) => {
                let size = usize::try_from(size.max(1)).unwrap_or(usize::MAX);
                Self::Last { size, outcomes: VecDeque::new(), tally: Tally::default() }
            }
            Window::Time(length) => {
                let slice = (length / SLICES).max(Duration::from_nanos(1));
                Self::Since { slice, slices: VecDeque::new(), tally: Tally::default() }
            }
        }
    }

    /// Whether a result must be given with its time.
    pub(super) fn needs_time(&self) -> bool {
        matches!(self, Self::Since { .. })
    }

    pub(super) fn tally(&self) -> Tally {
        match self {
            Self::Last { tally, .. } | Self::Since { tally, .. } => *tally,
        }
    }

    /// Adds a result; `now` is only looked at by a time window.
    pub(super) fn add(&mut self, outcome: Outcome, now: Option<Instant>) {
        match self {
            Self::Last { size, outcomes, tally } => {
                if outcomes.len() >= *size
                    && let Some(oldest) = outcomes.pop_front()
                {
                    let mut gone = Tally::default();
                    gone.add(oldest);
                    tally.remove(gone);
                }
                outcomes.push_back(outcome);
                tally.add(outcome);
            }
            Self::Since { slice, slices, tally } => {
                let Some(now) = now else { return };
                expire(*slice, slices, tally, now);
                match slices.back_mut() {
                    Some((begun, last)) if now.saturating_duration_since(*begun) < *slice => {
                        last.add(outcome)
                    }
                    _ => {
                        let mut first = Tally::default();
                        first.add(outcome);
                        slices.push_back((now, first));
                    }
                }
                tally.add(outcome);
            }
        }
    }

    /// Drops what has left a time window by `now`.
    pub(super) fn forget(&mut self, now: Instant) {
        if let Self::Since { slice, slices, tally } = self {
            expire(*slice, slices, tally, now);
        }
    }
}

fn expire(slice: Duration, slices: &mut VecDeque<(Instant, Tally)>, tally: &mut Tally, now: Instant) {
    while let Some((begun, oldest)) = slices.front()
        && now.saturating_duration_since(*begun) >= slice * SLICES
    {
        tally.remove(*oldest);
        slices.pop_front();
    }
}

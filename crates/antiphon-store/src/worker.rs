use std::time::Duration;

use crate::record::RunStatus;

/// The longest time between two heartbeats of a worker that counts as alive.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lease(Duration);

impl Lease {
    pub(crate) const DEFAULT: Self = Self(Duration::from_secs(5));

    pub(crate) fn new(time: Duration) -> Self {
        Self(time)
    }

    /// Returns the lease in milliseconds.
    pub(crate) fn millis(self) -> i64 {
        i64::try_from(self.0.as_millis()).unwrap_or(i64::MAX)
    }
}

/// A worker's times, in milliseconds since 1970.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen {
    /// The last heartbeat.
    pub(crate) at: i64,
    /// The first heartbeat since the last gap of more than half a lease.
    pub(crate) since: i64,
    /// The lease; [`LEFT`] once the worker has left.
    pub(crate) lease: i64,
}

/// The lease of a worker that has left: its jobs are taken over when another worker joins or sends its next heartbeat.
pub(crate) const LEFT: i64 = -1;

impl Seen {
    pub(crate) fn new(now: i64, lease: Lease) -> Self {
        Self { at: now, since: now, lease: lease.millis() }
    }

    /// Records a heartbeat.
    pub(crate) fn beat(&mut self, now: i64) {
        if now < self.at || now.saturating_sub(self.at) > self.lease / 2 {
            // The whole machine may have slept: heartbeats of the other workers may be about to arrive.
            self.since = now;
        }
        self.at = now;
    }

    /// Returns whether the lease lasts, as one sees it who is no worker of the run.
    pub(crate) fn is_alive(&self, now: i64) -> bool {
        self.lease != LEFT && now.saturating_sub(self.at) <= self.lease
    }

    /// Returns whether another worker's lease has ended, as this worker sees it: only one that was alive for as long can know.
    pub(crate) fn outlives(&self, other: &Self) -> bool {
        // The clock may have been set back since the other's last heartbeat.
        let seen = if other.at > self.at { self.since } else { other.at.max(self.since) };
        other.lease == LEFT || self.at.saturating_sub(seen) > other.lease
    }
}

/// A call that was in progress when its worker died. It counts as possibly billed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Interrupted {
    /// The index of the job.
    pub index: u64,
    /// The most that the call may have cost, in millionths of a US dollar; `None` if that is not known.
    pub reserved: Option<u64>,
}

impl Interrupted {
    pub(crate) fn new(index: u64, reserved: Option<u64>) -> Self {
        Self { index, reserved }
    }
}

/// The state of a run at a heartbeat of one of its workers.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Heartbeat {
    /// The current status of the run: another process may have cancelled it.
    pub status: RunStatus,
    /// The number of other workers that are alive.
    pub others: u64,
    /// The calls that were in progress at workers that this heartbeat found dead. Each is reported by one heartbeat only. Their
    /// jobs are queued again.
    pub interrupted: Vec<Interrupted>,
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Lease, Seen};

    #[test]
    fn a_silent_worker_is_dead_after_its_lease() {
        let lease = Lease::new(Duration::from_secs(5));
        let (mut alive, silent) = (Seen::new(0, lease), Seen::new(1_000, lease));
        for now in (1_000..=6_000).step_by(1_000) {
            alive.beat(now);
            assert!(!alive.outlives(&silent), "{now}");
        }
        alive.beat(6_001);
        assert!(alive.outlives(&silent) && !silent.outlives(&alive));
    }

    #[test]
    fn a_machine_that_slept_declares_no_one_dead_until_a_lease_later() {
        let lease = Lease::new(Duration::from_secs(5));
        let (mut first, second) = (Seen::new(0, lease), Seen::new(0, lease));
        for now in (3_600_000..=3_605_000).step_by(1_000) {
            first.beat(now);
            assert!(!first.outlives(&second), "{now}");
        }
        first.beat(3_605_001);
        assert!(first.outlives(&second));
    }
}

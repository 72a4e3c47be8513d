//! Keys, states and numbers as SQLite stores them.

use crate::job::JobState;
use crate::record::RunStatus;

/// Jobs of one run are side by side: the run is the upper half of their key.
const JOBS_OF_A_RUN: u64 = 1 << 32;

/// Returns the key of a run's job.
#[expect(
    clippy::cast_possible_wrap,
    reason = "an index is below 2^32, and 2^31 runs are more than any store has"
)]
pub(super) fn key(run: i64, index: u64) -> i64 {
    (run << 32) | (index.min(JOBS_OF_A_RUN - 1) as i64)
}

/// Returns the index of the job with this key.
#[expect(clippy::cast_sign_loss, reason = "keys are positive")]
pub(super) fn index(key: i64) -> u64 {
    key as u64 % JOBS_OF_A_RUN
}

/// Returns a number as SQLite stores it, with a sign; it saturates.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Returns a number that SQLite stored with a sign; a negative one, which is never stored, counts as 0.
pub(super) fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}

/// Returns a small number that SQLite stored, such as an attempt; one out of range counts as 0.
pub(super) fn small(number: i64) -> u32 {
    u32::try_from(number).unwrap_or_default()
}

impl JobState {
    /// Returns the number of the state in a database, which must not change; 2 is not in use.
    pub(super) fn code(self) -> i64 {
        match self {
            Self::Queued => 0,
            Self::Intended => 1,
            Self::Accepted => 3,
            Self::Failed => 4,
            Self::PutBack => 5,
        }
    }

    /// Returns the state for a number.
    pub(super) fn of(code: i64) -> Self {
        match code {
            1 => Self::Intended,
            3 => Self::Accepted,
            4 => Self::Failed,
            5 => Self::PutBack,
            _ => Self::Queued,
        }
    }
}

impl RunStatus {
    /// Returns the status for a name in a database.
    pub(super) fn of(name: &str) -> Self {
        match name {
            "finished" => Self::Finished,
            "stopped" => Self::Stopped,
            "cancelled" => Self::Cancelled,
            _ => Self::Open,
        }
    }
}

//! The causes of a run's early stop.
//!
//! A stop is an outcome rather than an error: what was accepted is durable, and the run can be resumed. So the cause is
//! returned beside the report, and each front decides whether it is a failure. As an error, a cause becomes a kind of
//! [`Error`] that says what the caller can do.
//!
//! [`Error`]: crate::Error

use std::fmt;
use std::time::Duration;

use antiphon_store::Tally;

/// The cause of a run's stop before all its rows ended. Accepted results are kept, and the run can be resumed, unless it was
/// [`Cancelled`](Self::Cancelled).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum StopCause {
    /// The rest of the budget is less than the next call may cost. All amounts are in millionths of a US dollar.
    Budget {
        /// The budget.
        cap: u64,
        /// The amount that was spent.
        spent: u64,
        /// The most that possibly billed calls may have cost in addition to `spent`.
        possible: u64,
        /// The most that calls in progress may cost: those of other processes, once the run has stopped.
        reserved: u64,
        /// The most that the next call may cost, if its answer is the shortest that is worth a call.
        needs: u64,
    },
    /// The provider rejects the calls of this account, or cannot be reached.
    Provider(antiphon_llm::Error),
    /// The provider accepts no more calls for longer than [`Options::max_pause`](crate::Options::max_pause), or asked for too
    /// many pauses in a row.
    Saturated {
        /// The time after which a call is worthwhile again.
        retry_after: Duration,
    },
    /// The deadline has passed; no call began after it.
    Deadline {
        /// The error of the last call, if that call failed and its retry would begin only after the deadline.
        last: Option<antiphon_llm::Error>,
    },
    /// The run was interrupted: [`Options::drain`](crate::Options::drain) or [`Options::cancel`](crate::Options::cancel) was
    /// cancelled.
    Interrupted,
    /// The run was cancelled for good, in the store, by any process. Calls in progress had 5 s to finish. The run cannot be
    /// resumed.
    Cancelled,
    /// The reader of the results has gone: for example, the other end of a pipe was closed.
    Unread,
    /// The store cannot be written; settlements that are durable are kept.
    Store(antiphon_store::Error),
    /// Results cannot be written; they are in the store.
    Output(String),
    /// The next rows of the input cannot be read.
    Input(String),
    /// A defect of this program, or of a custom recipe.
    Internal(String),
}

impl StopCause {
    /// Returns the cause with the amounts that the store has once all calls have ended: while a call is being settled, the
    /// counters do not have its cost yet.
    pub(crate) fn with_amounts(self, tally: &Tally) -> Self {
        match self {
            Self::Budget { cap, needs, .. } => {
                let (spent, possible, reserved) = (tally.settled, tally.possible, tally.reserved);
                Self::Budget { cap, spent, possible, reserved, needs }
            }
            other => other,
        }
    }

    /// Returns a short name for reports.
    ///
    /// The name is the first element of [`MapReport::stopped_by`](crate::MapReport::stopped_by). For
    /// [`Provider`](Self::Provider) it is the name of the provider's error, such as `auth`, since that decides what to
    /// do.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Budget { .. } => "budget",
            Self::Provider(err) => err.kind().name(),
            Self::Saturated { .. } => "saturated",
            Self::Deadline { .. } => "deadline",
            Self::Interrupted => "interrupted",
            Self::Cancelled => "cancelled",
            Self::Unread => "unread",
            Self::Store(_) => "store",
            Self::Output(_) => "output",
            Self::Input(_) => "input",
            Self::Internal(_) => "internal",
        }
    }
}

/// Formats a sentence without a full stop. Amounts are shown in US dollars.
impl fmt::Display for StopCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Budget { cap, spent: 0, possible: 0, reserved: 0, needs } => {
                write!(f, "the budget of {} is too small: a call may cost {}", Usd(*cap), Usd(*needs))
            }
            Self::Budget { cap, spent, possible, reserved, needs } => {
                write!(f, "the budget of {} is used up: {} spent", Usd(*cap), Usd(*spent))?;
                if *possible > 0 {
                    write!(f, ", {} possibly billed", Usd(*possible))?;
                }
                if *reserved > 0 {
                    write!(f, ", {} reserved for calls in progress", Usd(*reserved))?;
                }
                write!(f, ", and the next call may cost {}", Usd(*needs))
            }
            Self::Provider(err) => err.fmt(f),
            Self::Output(message) | Self::Input(message) | Self::Internal(message) => f.write_str(message),
            Self::Saturated { retry_after } => {
                write!(f, "the provider takes no more calls for {} s", retry_after.as_secs())
            }
            Self::Deadline { last: None } => f.write_str("the deadline has passed"),
            Self::Deadline { last: Some(err) } => {
                write!(f, "the deadline has passed; the last call failed: {err}")
            }
            Self::Interrupted => f.write_str("the run was interrupted"),
            Self::Cancelled => f.write_str("the run was cancelled"),
            Self::Unread => f.write_str("its results are no longer read"),
            Self::Store(err) => err.fmt(f),
        }
    }
}

/// An amount in millionths of a US dollar, shown with four decimals, or with six where four would show nothing.
struct Usd(u64);

impl fmt::Display for Usd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            1..100 => write!(f, "$0.{:06}", self.0),
            // Rounded as the summary of a run is, so that both show the same amount.
            _ => write!(f, "${:.4}", self.0 as f64 / 1e6),
        }
    }
}

#[cfg(test)]
mod tests {
    use antiphon_store::Tally;

    use super::StopCause;

    #[test]
    fn a_budget_stop_names_the_cost_of_the_next_call() {
        let message = |spent, possible| {
            StopCause::Budget { cap: 1_000, spent, possible, reserved: 0, needs: 42 }.to_string()
        };
        assert_eq!(message(0, 0), "the budget of $0.0010 is too small: a call may cost $0.000042");
        assert_eq!(
            message(1_234_567, 0),
            "the budget of $0.0010 is used up: $1.2346 spent, and the next call may cost $0.000042"
        );
        assert_eq!(
            message(0, 200_000),
            "the budget of $0.0010 is used up: $0.0000 spent, $0.2000 possibly billed, and the next call may cost $0.000042"
        );
    }

    #[test]
    fn the_amounts_of_a_budget_stop_are_those_of_the_store() {
        // What the counters had when the last call was refused: two calls were being settled.
        let stop = StopCause::Budget { cap: 50_000, spent: 43_500, possible: 0, reserved: 0, needs: 4_600 };
        let mut tally = Tally::default();
        (tally.settled, tally.reserved) = (44_000, 2_000);
        assert_eq!(
            stop.with_amounts(&tally).to_string(),
            "the budget of $0.0500 is used up: $0.0440 spent, $0.0020 reserved for calls in progress, and the next call may cost \
             $0.0046"
        );
        let other = StopCause::Interrupted.with_amounts(&tally);
        assert_eq!(other.to_string(), "the run was interrupted");
    }
}

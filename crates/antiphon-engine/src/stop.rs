use std::fmt;
use std::time::Duration;

/// Why a run ended before all its rows did. It can be gone on with.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum StopCause {
    /// Less is left of the budget than a further call may cost. All in millionths of a US dollar.
    Budget {
        /// The budget.
        cap: u64,
        /// What was spent.
        spent: u64,
        /// What calls without a bill may have cost on top, at most.
        possible: u64,
        /// What a further call may cost, with the shortest answer that is worth one.
        needs: u64,
    },
    /// The provider takes no call of this account, or cannot be reached.
    Provider(antiphon_llm::Error),
    /// The provider takes no more calls for a long time.
    Saturated {
        /// When it is worth asking again.
        retry_after: Duration,
    },
    /// The deadline has passed: no call began after it.
    Deadline {
        /// What was the matter last, if a call had failed and would have been made again.
        last: Option<antiphon_llm::Error>,
    },
    /// Somebody asked it to.
    Interrupted,
    /// The run was cancelled for good.
    Cancelled,
    /// Nobody wants more results: whoever read them has gone.
    Unread,
    /// The journal cannot be written: what was acknowledged is kept.
    Store(antiphon_store::Error),
    /// Results cannot be written; they are in the store.
    Output(String),
    /// The rows cannot be read on.
    Input(String),
    /// A defect of this program, or of a recipe in Rust.
    Internal(String),
}

impl StopCause {
    /// A short name for reports.
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

impl fmt::Display for StopCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Budget { cap, spent: 0, possible: 0, needs } => {
                write!(f, "the budget of {} is too small: a call may cost {}", Usd(*cap), Usd(*needs))
            }
            Self::Budget { spent, possible, needs, .. } => {
                write!(f, "the budget is used up: {} spent", Usd(*spent))?;
                if *possible > 0 {
                    write!(f, ", {} possibly billed", Usd(*possible))?;
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
            Self::Interrupted => f.write_str("it was asked to stop"),
            Self::Cancelled => f.write_str("the run was cancelled"),
            Self::Unread => f.write_str("its results are no longer read"),
            Self::Store(err) => err.fmt(f),
        }
    }
}

/// Millionths of a US dollar for people: four digits, and of less than that all six.
struct Usd(u64);

impl fmt::Display for Usd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (dollars, micros) = (self.0 / 1_000_000, self.0 % 1_000_000);
        match self.0 {
            1..100 => write!(f, "$0.{micros:06}"),
            _ => write!(f, "${dollars}.{:04}", micros / 100),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::StopCause;

    #[test]
    fn a_budget_that_is_too_small_says_what_a_call_may_cost() {
        let told = |spent, possible| StopCause::Budget { cap: 1_000, spent, possible, needs: 42 }.to_string();
        assert_eq!(told(0, 0), "the budget of $0.0010 is too small: a call may cost $0.000042");
        assert_eq!(
            told(1_234_567, 0),
            "the budget is used up: $1.2345 spent, and the next call may cost $0.000042"
        );
        assert_eq!(
            told(0, 200_000),
            "the budget is used up: $0.0000 spent, $0.2000 possibly billed, and the next call may cost $0.000042"
        );
    }
}

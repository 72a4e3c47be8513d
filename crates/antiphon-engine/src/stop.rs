use std::time::Duration;

/// Why a run ended before all its rows did. It can be gone on with.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Stop {
    /// Nothing is left of the budget that a further call would need.
    Budget {
        /// What was spent, in millionths of a US dollar; calls that may have been billed count in full.
        spent: u64,
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

impl Stop {
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

impl std::fmt::Display for Stop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Budget { spent } => {
                #[expect(clippy::cast_precision_loss, reason = "for people")]
                let dollars = *spent as f64 / 1e6;
                write!(f, "the budget is used up: ${dollars:.4} are spent")
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

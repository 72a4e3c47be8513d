use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use antiphon_resilience::{LimitHints, Verdict};

use crate::completion::{Completion, Usage};
use crate::spent::Spent;

/// Why there is no answer, or only a part of one. A clone tells the same to another caller of the same call.
#[derive(Debug, Clone)]
pub struct Error(Box<Inner>);

#[derive(Debug, Clone)]
struct Inner {
    kind: ErrorKind,
    message: String,
    source: Option<Arc<dyn StdError + Send + Sync>>,
    limits: LimitHints,
    partial: Option<Completion>,
    request_id: Option<String>,
    spent: Spent,
}

/// What a caller can do about an [`Error`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The prompt or its parameters are not acceptable to the provider.
    InvalidRequest,
    /// The key is missing, wrong, or may not do this.
    Auth,
    /// The provider has no such model, or not for this key.
    ModelNotFound,
    /// The provider cannot do what was asked.
    Unsupported,
    /// The account's money or allowance is used up: no later call will succeed either.
    Quota,
    /// Too many calls or tokens for now.
    RateLimited {
        /// The wait that the provider asked for.
        retry_after: Option<Duration>,
    },
    /// The provider has too much to do.
    Overloaded {
        /// The wait that the provider asked for.
        retry_after: Option<Duration>,
    },
    /// Calls are held back for now because too many of them failed: see [`Guarded`](crate::Guarded).
    CircuitOpen {
        /// The time until the next trial.
        retry_after: Option<Duration>,
    },
    /// No connection came about.
    Connect,
    /// This process, or this machine, has no file descriptor left for a connection; nothing was sent. Says nothing of the
    /// provider.
    Exhausted,
    /// The provider failed, or a connection broke before the first words.
    Unavailable,
    /// It took too long.
    Timeout {
        /// What was waited for.
        phase: TimeoutPhase,
    },
    /// The answer is cut; see [`Error::partial`].
    Truncated {
        /// What cut it.
        cause: TruncationCause,
    },
    /// The model declined to answer.
    ModelRefusal,
    /// The provider's filter stopped the prompt or the answer.
    Filtered,
    /// Prompt and answer do not fit into the model's context.
    ContextTooLong,
    /// What came back is not of the provider's format.
    InvalidResponse,
    /// The answer is no JSON, or does not fit the schema, even after it was asked for again.
    SchemaMismatch,
    /// The caller gave up.
    Cancelled,
}

/// What was waited for in vain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TimeoutPhase {
    /// The connection.
    Connect,
    /// The first words.
    FirstToken,
    /// The next words.
    NextToken,
    /// The end of an answer that comes too slowly, against the provider's limit for one call.
    Call,
    /// The end of the call, against its deadline.
    Total,
}

/// What cut an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TruncationCause {
    /// The limit of tokens.
    MaxTokens,
    /// The connection ended before the answer did.
    Disconnected,
}

/// Whether a failed call costs money.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Billed {
    /// Surely not.
    #[default]
    No,
    /// The model may have worked on it.
    Maybe,
    /// So much was counted.
    Yes(Usage),
}

impl Billed {
    /// What two calls cost together; where one of them is not known, their sum is not.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::No, billed) | (billed, Self::No) => billed,
            (Self::Yes(mut usage), Self::Yes(more)) => {
                usage += more;
                Self::Yes(usage)
            }
            (Self::Maybe, _) | (_, Self::Maybe) => Self::Maybe,
        }
    }
}

impl ErrorKind {
    /// A short name for reports and metrics, of which there are few.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::Auth => "auth",
            Self::ModelNotFound => "model_not_found",
            Self::Unsupported => "unsupported",
            Self::Quota => "quota",
            Self::RateLimited { .. } => "rate_limited",
            Self::Overloaded { .. } => "overloaded",
            Self::CircuitOpen { .. } => "circuit_open",
            Self::Connect => "connect",
            Self::Exhausted => "exhausted",
            Self::Unavailable => "unavailable",
            Self::Timeout { .. } => "timeout",
            Self::Truncated { .. } => "truncated",
            Self::ModelRefusal => "refused",
            Self::Filtered => "filtered",
            Self::ContextTooLong => "context_too_long",
            Self::InvalidResponse => "invalid_response",
            Self::SchemaMismatch => "schema_mismatch",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether the same call may succeed later, and how to wait for it.
    #[must_use]
    pub fn verdict(self) -> Verdict {
        match self {
            Self::RateLimited { retry_after } | Self::Overloaded { retry_after } => {
                Verdict::Throttled { retry_after }
            }
            Self::Connect
            | Self::Exhausted
            | Self::Unavailable
            | Self::Timeout { phase: TimeoutPhase::Connect | TimeoutPhase::FirstToken }
            | Self::Truncated { cause: TruncationCause::Disconnected } => Verdict::Retry,
            Self::InvalidRequest
            | Self::Auth
            | Self::ModelNotFound
            | Self::Unsupported
            | Self::Quota
            | Self::CircuitOpen { .. }
            | Self::Timeout { phase: TimeoutPhase::NextToken | TimeoutPhase::Call | TimeoutPhase::Total }
            | Self::Truncated { cause: TruncationCause::MaxTokens }
            | Self::ModelRefusal
            | Self::Filtered
            | Self::ContextTooLong
            | Self::InvalidResponse
            | Self::SchemaMismatch
            | Self::Cancelled => Verdict::Stop,
        }
    }
}

impl Error {
    /// An error of a first attempt that surely cost nothing.
    #[must_use]
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            message: message.into(),
            source: None,
            limits: LimitHints::default(),
            partial: None,
            request_id: None,
            spent: Spent::call(Billed::No),
        }))
    }

    /// Sets the cause.
    #[must_use]
    pub fn with_source(mut self, source: impl StdError + Send + Sync + 'static) -> Self {
        self.0.source = Some(Arc::new(source));
        self
    }

    /// Sets what there is of the answer.
    #[must_use]
    pub fn with_partial(mut self, partial: Completion) -> Self {
        self.0.partial = Some(partial);
        self
    }

    /// Sets whether the call costs money.
    #[must_use]
    pub fn with_billed(mut self, billed: Billed) -> Self {
        self.0.spent = Spent { calls: self.0.spent.calls, ..Spent::call(billed) };
        self
    }

    /// Sets what all calls that led to the error cost, in place of what was known of them.
    #[must_use]
    pub fn with_spent(mut self, spent: Spent) -> Self {
        self.0.spent = spent;
        self
    }

    /// Adds calls that were made before the one that failed.
    #[must_use]
    pub fn after(mut self, earlier: Spent) -> Self {
        self.0.spent += earlier;
        self
    }

    /// Sets the provider's own name for the call.
    #[must_use]
    pub fn with_request_id(mut self, request_id: Option<String>) -> Self {
        self.0.request_id = request_id;
        self
    }

    /// Sets how many calls were made.
    #[must_use]
    pub fn with_attempts(mut self, attempts: u32) -> Self {
        self.0.spent.calls = attempts;
        self
    }

    /// Sets what the provider told of its limits.
    #[must_use]
    pub fn with_limits(mut self, limits: LimitHints) -> Self {
        self.0.limits = limits;
        self
    }

    /// What the provider told of its limits.
    #[must_use]
    pub fn limits(&self) -> &LimitHints {
        &self.0.limits
    }

    /// What the caller can do.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Returns what the error means for the next attempt: its kind's [`verdict`](ErrorKind::verdict), with the wait that the
    /// provider asked for wherever it said so. Whatever the trouble is, the provider knows best how long it takes.
    ///
    /// ```
    /// use antiphon_llm::{Error, ErrorKind, LimitHints, Verdict};
    /// use std::time::Duration;
    /// let mut limits = LimitHints::default();
    /// limits.retry_after = Some(Duration::from_secs(20));
    /// let err = Error::new(ErrorKind::Unavailable, "down for maintenance").with_limits(limits);
    /// assert_eq!(err.verdict(), Verdict::Throttled { retry_after: Some(Duration::from_secs(20)) });
    /// ```
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        match (self.0.kind.verdict(), self.0.limits.retry_after) {
            (Verdict::Stop, _) => Verdict::Stop,
            (Verdict::Retry, None) => Verdict::Retry,
            (Verdict::Retry, retry_after) => Verdict::Throttled { retry_after },
            (Verdict::Throttled { retry_after }, hinted) => {
                Verdict::Throttled { retry_after: retry_after.or(hinted) }
            }
        }
    }

    /// What there is of the answer: text, and tokens if they were told.
    #[must_use]
    pub fn partial(&self) -> Option<&Completion> {
        self.0.partial.as_ref()
    }

    /// Calls made, from 1; 0 where none was sent, or the call was another's.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.0.spent.calls
    }

    /// The provider's own name for the call, for its support.
    #[must_use]
    pub fn request_id(&self) -> Option<&str> {
        self.0.request_id.as_deref()
    }

    /// Whether the calls cost money, in one word.
    #[must_use]
    pub fn billed(&self) -> Billed {
        self.0.spent.billed()
    }

    /// Returns what all calls that led to the error cost.
    #[must_use]
    pub fn spent(&self) -> Spent {
        self.0.spent
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)?;
        if self.attempts() > 1 {
            write!(f, " (after {} attempts)", self.attempts())?;
        }
        match &self.0.request_id {
            Some(id) => write!(f, " (request {id})"),
            None => Ok(()),
        }
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|err| err as _)
    }
}

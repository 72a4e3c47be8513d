use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use antiphon_resilience::{LimitHints, Verdict};

use crate::completion::{Completion, Usage};
use crate::spent::Spent;

/// An error of a call, with its kind, its cost and the partial answer, if any. Callers that share a call (single flight) get
/// clones of its error.
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
    status: Option<u16>,
    code: Option<String>,
    should_retry: Option<bool>,
    resets_in: Option<Duration>,
    spent: Spent,
}

/// The kind of an [`Error`], by which a caller decides how to react. [`verdict`](Self::verdict) returns whether a retry may
/// help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A prompt or parameters that the provider does not accept.
    InvalidRequest,
    /// An API key that is missing, wrong, or lacks the permission.
    Auth,
    /// A model that the provider does not have, or that this API key may not use.
    ModelNotFound,
    /// A feature that the provider does not support.
    Unsupported,
    /// An account whose credit is used up, or its quota of a day or a month. A retry does not help; for a quota,
    /// [`Error::resets_in`] may have the time until the next one.
    Quota,
    /// A rate limit: too many calls or tokens in a short time (status 429).
    RateLimited {
        /// The wait that the provider asked for.
        retry_after: Option<Duration>,
    },
    /// A provider that is overloaded (status 503 or 529).
    Overloaded {
        /// The wait that the provider asked for.
        retry_after: Option<Duration>,
    },
    /// An open circuit breaker, which rejected the call because too many calls failed. Nothing was sent. See
    /// [`Guarded`](crate::Guarded).
    CircuitOpen {
        /// The time until the next trial call.
        retry_after: Option<Duration>,
    },
    /// A connection that could not be opened.
    Connect,
    /// A TLS handshake that failed, or a certificate that is unknown, expired or of another name. A retry does not help.
    Tls,
    /// A lack of file descriptors in this process or on this machine. Nothing was sent, and the provider is not at fault.
    Exhausted,
    /// A provider that fails, or a connection that broke before the first text.
    Unavailable,
    /// A timeout, or the deadline of the call.
    Timeout {
        /// The phase of the call that timed out.
        phase: TimeoutPhase,
    },
    /// A truncated answer. [`Error::partial`] has the text that arrived.
    Truncated {
        /// The cause of the truncation.
        cause: TruncationCause,
    },
    /// A model refusal: the model declined to answer.
    ModelRefusal,
    /// A prompt or an answer that the provider's content filter stopped.
    Filtered,
    /// A prompt that, with the answer, does not fit into the model's context window.
    ContextTooLong,
    /// A response that does not have the provider's format.
    InvalidResponse,
    /// An answer that is not JSON or does not fit the schema, even after the schema retries.
    SchemaMismatch,
    /// A cancellation by the caller.
    Cancelled,
}

/// The phases of a call that can time out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TimeoutPhase {
    /// The wait for the connection.
    Connect,
    /// The wait for the first text.
    FirstToken,
    /// The wait for the next text.
    NextToken,
    /// One call as a whole, against the provider's maximum time per call. The answer arrived too slowly.
    Call,
    /// All calls and the pauses between them, against the deadline of the caller.
    Total,
}

/// The cause of a cut answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TruncationCause {
    /// The answer reached the token limit.
    MaxTokens,
    /// The connection, or the provider, ended the answer early.
    Disconnected,
    /// The model stopped for a reason that is no natural end of an answer: it called a tool, paused, or gave a reason that is
    /// not known. The message has the provider's word for it.
    Stopped,
}

/// The billing of a call: not billed, possibly billed, or billed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Billed {
    /// Certainly not billed.
    #[default]
    No,
    /// Possibly billed: the model may have worked on the call.
    Maybe,
    /// Billed for these tokens.
    Yes(Usage),
}

impl Billed {
    /// Returns the billing of two calls together: `Maybe` if either is possibly billed.
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
    /// Returns a short name for reports and metrics, from a small fixed set.
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
            Self::Tls => "tls",
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

    /// Returns whether a retry of the call may succeed, and the wait that the provider asked for.
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
            | Self::Tls
            | Self::CircuitOpen { .. }
            | Self::Timeout { phase: TimeoutPhase::NextToken | TimeoutPhase::Call | TimeoutPhase::Total }
            | Self::Truncated { cause: TruncationCause::MaxTokens | TruncationCause::Stopped }
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
    /// Creates an error of one call that was certainly not billed.
    #[must_use]
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            message: message.into(),
            source: None,
            limits: LimitHints::default(),
            partial: None,
            request_id: None,
            status: None,
            code: None,
            should_retry: None,
            resets_in: None,
            spent: Spent::call(Billed::No),
        }))
    }

    /// Sets the cause.
    #[must_use]
    pub fn with_source(mut self, source: impl StdError + Send + Sync + 'static) -> Self {
        self.0.source = Some(Arc::new(source));
        self
    }

    /// Sets the partial answer.
    #[must_use]
    pub fn with_partial(mut self, partial: Completion) -> Self {
        self.0.partial = Some(partial);
        self
    }

    /// Sets whether the call was billed. Default: [`Billed::No`].
    #[must_use]
    pub fn with_billed(mut self, billed: Billed) -> Self {
        self.0.spent = Spent { calls: self.0.spent.calls, ..Spent::call(billed) };
        self
    }

    /// Sets the number and usage of all calls that led to the error, and replaces the earlier value.
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

    /// Sets the provider's own id of the call.
    #[must_use]
    pub fn with_request_id(mut self, request_id: Option<String>) -> Self {
        self.0.request_id = request_id;
        self
    }

    /// Sets the HTTP status of the response.
    #[must_use]
    pub fn with_status(mut self, status: Option<u16>) -> Self {
        self.0.status = status;
        self
    }

    /// Sets the vendor's code of the error.
    #[must_use]
    pub fn with_code(mut self, code: Option<String>) -> Self {
        self.0.code = code;
        self
    }

    /// Sets whether the server wants the call to be retried, as in the header `x-should-retry`. It prevails over the kind; see
    /// [`verdict`](Self::verdict).
    #[must_use]
    pub fn with_should_retry(mut self, should_retry: Option<bool>) -> Self {
        self.0.should_retry = should_retry;
        self
    }

    /// Sets the time until a used-up quota resets.
    #[must_use]
    pub fn with_resets_in(mut self, resets_in: Option<Duration>) -> Self {
        self.0.resets_in = resets_in;
        self
    }

    /// Sets the number of calls that were made. Default: 1.
    #[must_use]
    pub fn with_attempts(mut self, attempts: u32) -> Self {
        self.0.spent.calls = attempts;
        self
    }

    /// Sets the limits that the provider reported.
    #[must_use]
    pub fn with_limits(mut self, limits: LimitHints) -> Self {
        self.0.limits = limits;
        self
    }

    /// Returns the limits that the provider reported.
    #[must_use]
    pub fn limits(&self) -> &LimitHints {
        &self.0.limits
    }

    /// Returns the kind of the error.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Returns the verdict for the next attempt: the [`verdict`](ErrorKind::verdict) of the kind, with the wait that the
    /// provider asked for (`Retry-After`), if any. The wait is honoured for every kind that may be retried.
    ///
    /// A server that says whether to retry (`x-should-retry`, as OpenAI and Anthropic send it) is obeyed, whatever the kind is.
    /// Without that header, this is the table of all providers of this workspace:
    ///
    /// | status | retried |
    /// |---|---|
    /// | 408, 409, 425 | yes |
    /// | 429 | yes, after the wait; not for used-up credit, for a quota of a day or a month, or for a request that exceeds the limit alone |
    /// | 500 to 599, but for 501 and 505 | yes |
    /// | 501, 505, and every other one | no |
    /// | none: no connection, or one that broke before the first text | yes |
    ///
    /// A body that names a definite cause (a prompt that is too long, an unknown model, a wrong key, the content filter) prevails
    /// over the status: some servers report these with status 500.
    ///
    /// ```
    /// use antiphon_llm::{Error, ErrorKind, LimitHints, Verdict};
    /// use std::time::Duration;
    /// let mut limits = LimitHints::default();
    /// limits.retry_after = Some(Duration::from_secs(20));
    /// let err = Error::new(ErrorKind::Unavailable, "down for maintenance").with_limits(limits);
    /// assert_eq!(err.verdict(), Verdict::Throttled { retry_after: Some(Duration::from_secs(20)) });
    /// assert_eq!(err.with_should_retry(Some(false)).verdict(), Verdict::Stop);
    /// let err = Error::new(ErrorKind::InvalidRequest, "try that again").with_should_retry(Some(true));
    /// assert_eq!(err.verdict(), Verdict::Retry);
    /// ```
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let of_kind = match (self.0.kind.verdict(), self.0.should_retry) {
            (_, Some(false)) => Verdict::Stop,
            (Verdict::Stop, Some(true)) => Verdict::Retry,
            (verdict, _) => verdict,
        };
        match (of_kind, self.0.limits.retry_after) {
            (Verdict::Stop, _) => Verdict::Stop,
            (Verdict::Retry, None) => Verdict::Retry,
            (Verdict::Retry, retry_after) => Verdict::Throttled { retry_after },
            (Verdict::Throttled { retry_after }, hinted) => {
                Verdict::Throttled { retry_after: retry_after.or(hinted) }
            }
        }
    }

    /// Returns the HTTP status of the response; for an error inside an answer with status 200, the status that the error itself
    /// names, if it names one. `None` if no response arrived.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        self.0.status
    }

    /// Returns the vendor's code of the error, such as `insufficient_quota` or `overloaded_error`, where the response has one.
    ///
    /// ```
    /// use antiphon_llm::{Error, ErrorKind};
    /// let err = Error::new(ErrorKind::Quota, "pay").with_status(Some(429)).with_code(Some("insufficient_quota".to_owned()));
    /// assert_eq!((err.status(), err.code()), (Some(429), Some("insufficient_quota")));
    /// ```
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        self.0.code.as_deref()
    }

    /// Returns whether the server wants the call to be retried, if it says so (`x-should-retry`).
    #[must_use]
    pub fn should_retry(&self) -> Option<bool> {
        self.0.should_retry
    }

    /// Returns the time until a used-up quota resets, counted from the response, where the server reports it.
    #[must_use]
    pub fn resets_in(&self) -> Option<Duration> {
        self.0.resets_in
    }

    /// Returns the partial answer, if any: the text that arrived, and the usage if it was reported.
    #[must_use]
    pub fn partial(&self) -> Option<&Completion> {
        self.0.partial.as_ref()
    }

    /// Returns the number of calls that led to the error; 0 for a shared call of another caller, or if the error ended a wait
    /// before the first call. A call that a circuit breaker rejected counts as one attempt, although nothing was sent.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.0.spent.calls
    }

    /// Returns the provider's id of the call, which its support asks for.
    #[must_use]
    pub fn request_id(&self) -> Option<&str> {
        self.0.request_id.as_deref()
    }

    /// Returns the billing of all calls: `Maybe` if one of them was possibly billed.
    #[must_use]
    pub fn billed(&self) -> Billed {
        self.0.spent.billed()
    }

    /// Returns the number and usage of all calls that led to the error.
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

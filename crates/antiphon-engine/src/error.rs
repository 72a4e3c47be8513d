//! The error of this crate, and the conversions into it.
//!
//! Errors are wrapped where the crate knows their meaning: the same error of a file is [`ErrorKind::Place`] before the
//! first call, when nothing was paid for, and [`ErrorKind::Files`] after it. The text of the wrapped error becomes the
//! text of this one, so `source` returns the next cause, and no text appears twice in a report with all causes.

use std::error::Error as StdError;
use std::fmt;

use antiphon_data::Failure;
use antiphon_llm::Completion;
use antiphon_runtime::TaskError;

use crate::stop::StopCause;

/// An error of this crate. [`kind`](Self::kind) says what the caller can do, and the text says what happened.
///
/// The error of a run that stopped with partial progress does not lose it: accepted results stay in the store, and the run can be
/// resumed.
///
/// # Examples
/// ```
/// use antiphon_engine::{ErrorKind, Recipe};
/// let err = Recipe::parse("towns.toml", "prompt = 1").unwrap_err();
/// assert_eq!(err.kind(), ErrorKind::Config);
/// ```
#[derive(Debug)]
pub struct Error(Box<Inner>);

#[derive(Debug)]
struct Inner {
    kind: ErrorKind,
    message: String,
    source: Option<Source>,
}

/// The wrapped error. Its type is kept, so that callers can reach the details of a provider's or a loader's error.
#[derive(Debug)]
enum Source {
    Input(antiphon_data::Error),
    Provider(antiphon_llm::Error),
    Files(antiphon_fs::Error),
    Store(antiphon_store::Error),
}

/// The kinds of [`Error`], by what a caller can do.
///
/// | kinds | reaction |
/// |---|---|
/// | `Config`, `Input`, `Place`, `Exists` | correct the request or the input |
/// | `Changed` | restore what changed, or start fresh |
/// | `Budget`, `Deadline` | resume with a higher limit |
/// | `Cancelled` | resume, unless the run was cancelled in the store |
/// | `Provider`, `Store` | as their own kinds say; resume once the cause is fixed |
/// | `Files` | free space or correct the path; results are in the store |
/// | `Internal` | report the defect; the run can be resumed |
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The configuration or the recipe is invalid.
    Config,
    /// The run cannot be resumed, since its input, recipe, model or provider changed: the message names what differs.
    Changed,
    /// No document or row could be loaded: see [`Error::failures`].
    Input,
    /// The provider returned no usable answer: see [`Error::provider`].
    Provider(antiphon_llm::ErrorKind),
    /// Results could not be written, or earlier ones could not be read.
    Files,
    /// The destination of results cannot be written. This was found before the first call, so nothing was paid for.
    Place,
    /// A file exists at the destination of results and must not be replaced. No call was sent.
    Exists,
    /// The budget is used up.
    Budget,
    /// The deadline passed before all calls could begin.
    Deadline,
    /// The store cannot be used.
    Store(antiphon_store::ErrorKind),
    /// The run was interrupted or cancelled before it had its result.
    Cancelled,
    /// A defect of this program: a task panicked.
    Internal,
}

impl Error {
    /// Creates an error without a source.
    #[must_use]
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner { kind, message: message.into(), source: None }))
    }

    /// Creates an error with the wrapped one, whose text `message` is.
    fn caused(kind: ErrorKind, message: String, source: Source) -> Self {
        Self(Box::new(Inner { kind, message, source: Some(source) }))
    }

    /// Wraps an error of loading documents or rows: `Cancelled` if the loading was cancelled, otherwise `Input`.
    #[must_use]
    pub fn input(err: antiphon_data::Error) -> Self {
        let kind = match err.kind() {
            antiphon_data::ErrorKind::Cancelled => ErrorKind::Cancelled,
            _ => ErrorKind::Input,
        };
        Self::caused(kind, err.to_string(), Source::Input(err))
    }

    /// Wraps a provider's error: `Cancelled` if the call was cancelled, otherwise `Provider` with the kind of that
    /// error.
    #[must_use]
    pub fn from_provider(err: antiphon_llm::Error) -> Self {
        let kind = match err.kind() {
            antiphon_llm::ErrorKind::Cancelled => ErrorKind::Cancelled,
            kind => ErrorKind::Provider(kind),
        };
        Self::caused(kind, err.to_string(), Source::Provider(err))
    }

    /// Wraps an error of a file. For a destination that is checked before the first call use [`place`](Self::place).
    #[must_use]
    pub fn files(err: antiphon_fs::Error) -> Self {
        Self::caused(ErrorKind::Files, err.to_string(), Source::Files(err))
    }

    /// Wraps the error of a destination that cannot be written.
    #[must_use]
    pub fn place(err: antiphon_fs::Error) -> Self {
        Self::caused(ErrorKind::Place, err.to_string(), Source::Files(err))
    }

    /// Wraps an error of the store, whose kind becomes a part of this one's.
    #[must_use]
    pub fn store(err: antiphon_store::Error) -> Self {
        Self::caused(ErrorKind::Store(err.kind()), err.to_string(), Source::Store(err))
    }

    /// Wraps an error of the store while a run is opened: `Place` where the store's folder or file cannot be written.
    #[must_use]
    pub(crate) fn opening(err: antiphon_store::Error) -> Self {
        use antiphon_store::ErrorKind as Kind;
        match err.kind() {
            Kind::StorageFull | Kind::PermissionDenied | Kind::Io => {
                Self::caused(ErrorKind::Place, err.to_string(), Source::Store(err))
            }
            _ => Self::store(err),
        }
    }

    /// Creates the error of a run that stopped before it had its result, with the partial answer if any.
    ///
    /// An interruption (of the kind [`ErrorKind::Cancelled`]) or a saturated provider has an error of the provider as
    /// its source, since only those carry a partial answer. A partial answer that the provider's error has already is kept, and `partial` is ignored.
    #[must_use]
    pub fn stopped(stop: StopCause, partial: Option<String>) -> Self {
        let message = stop.to_string();
        let with_text = |err: antiphon_llm::Error| match (err.partial(), partial) {
            (None, Some(text)) => Self::from_provider(err.with_partial(Completion::new(text))),
            _ => Self::from_provider(err),
        };
        match stop {
            StopCause::Provider(err) => with_text(err),
            StopCause::Interrupted | StopCause::Cancelled => {
                with_text(antiphon_llm::Error::new(antiphon_llm::ErrorKind::Cancelled, message))
            }
            StopCause::Saturated { retry_after } => {
                let kind = antiphon_llm::ErrorKind::RateLimited { retry_after: Some(retry_after) };
                with_text(antiphon_llm::Error::new(kind, message))
            }
            StopCause::Budget { .. } => Self::new(ErrorKind::Budget, message),
            StopCause::Deadline { .. } => Self::new(ErrorKind::Deadline, message),
            StopCause::Store(err) => Self::store(err),
            StopCause::Output(_) => Self::new(ErrorKind::Files, message),
            StopCause::Input(_) => Self::new(ErrorKind::Input, message),
            StopCause::Unread | StopCause::Internal(_) => Self::internal(message),
        }
    }

    /// Creates the error of a task that panicked: a defect of this program, contained in its own run.
    #[must_use]
    pub fn from_panic(err: &TaskError) -> Self {
        Self::internal(format!("a defect of this program: {err}"))
    }

    /// Creates the error of a defect of this program.
    #[must_use]
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Internal, message)
    }

    /// Returns the kind, on which a caller can base its reaction.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Returns the wrapped provider's error, with its partial answer and its cost; `None` if another error or none is
    /// wrapped.
    #[must_use]
    pub fn provider(&self) -> Option<&antiphon_llm::Error> {
        match &self.0.source {
            Some(Source::Provider(err)) => Some(err),
            _ => None,
        }
    }

    /// Converts this error into the wrapped provider's error; `None` if another error or none is wrapped.
    #[must_use]
    pub fn into_provider(self) -> Option<antiphon_llm::Error> {
        match self.0.source {
            Some(Source::Provider(err)) => Some(err),
            _ => None,
        }
    }

    /// Returns the wrapped error of loading documents or rows; `None` if another error or none is wrapped.
    #[must_use]
    pub fn loading(&self) -> Option<&antiphon_data::Error> {
        match &self.0.source {
            Some(Source::Input(err)) => Some(err),
            _ => None,
        }
    }

    /// Returns the files that could not be loaded, with the reasons; empty for kinds other than [`ErrorKind::Input`].
    #[must_use]
    pub fn failures(&self) -> &[Failure] {
        match &self.0.source {
            Some(Source::Input(err)) => err.failures(),
            _ => &[],
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl StdError for Error {
    /// Returns the cause of the wrapped error. The wrapped error itself is skipped, since its text is already the text of this
    /// one.
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self.0.source.as_ref()? {
            Source::Input(err) => err.source(),
            Source::Provider(err) => err.source(),
            Source::Files(err) => err.source(),
            Source::Store(err) => err.source(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;
    use std::time::Duration;

    use antiphon_llm::{Error as LlmError, ErrorKind as LlmKind};

    use super::{Error, ErrorKind, StopCause};

    #[track_caller]
    fn check(stop: StopCause, kind: ErrorKind, message: &str) {
        let err = Error::stopped(stop, None);
        assert_eq!((err.kind(), err.to_string().as_str()), (kind, message));
        assert!(err.failures().is_empty() && err.source().is_none());
    }

    #[test]
    fn each_cause_of_a_stop_has_its_kind_and_message() {
        let retry_after = Duration::from_secs(90);
        let limited = LlmKind::RateLimited { retry_after: Some(retry_after) };
        check(
            StopCause::Saturated { retry_after },
            ErrorKind::Provider(limited),
            "the provider takes no more calls for 90 s",
        );
        check(StopCause::Deadline { last: None }, ErrorKind::Deadline, "the deadline has passed");
        let last = Some(LlmError::new(LlmKind::Unavailable, "down"));
        check(
            StopCause::Deadline { last },
            ErrorKind::Deadline,
            "the deadline has passed; the last call failed: down",
        );
        check(StopCause::Interrupted, ErrorKind::Cancelled, "the run was interrupted");
        check(StopCause::Cancelled, ErrorKind::Cancelled, "the run was cancelled");
        check(StopCause::Unread, ErrorKind::Internal, "its results are no longer read");
        check(StopCause::Input("a.csv: no".to_owned()), ErrorKind::Input, "a.csv: no");
        check(StopCause::Output("no room".to_owned()), ErrorKind::Files, "no room");
        check(StopCause::Internal("a defect".to_owned()), ErrorKind::Internal, "a defect");
        let budget = StopCause::Budget { cap: 1_000, spent: 0, possible: 0, reserved: 0, needs: 42 };
        check(budget, ErrorKind::Budget, "the budget of $0.0010 is too small: a call may cost $0.000042");
    }

    #[test]
    fn a_providers_error_keeps_the_partial_answer() {
        let refused = || StopCause::Provider(LlmError::new(LlmKind::Auth, "wrong key"));
        let err = Error::stopped(refused(), Some("half".to_owned()));
        assert_eq!(err.kind(), ErrorKind::Provider(LlmKind::Auth));
        assert_eq!(
            err.provider().and_then(LlmError::partial).map(|partial| partial.text.as_str()),
            Some("half")
        );
        assert_eq!(err.into_provider().map(|err| err.kind()), Some(LlmKind::Auth));
        assert!(Error::internal("a defect").into_provider().is_none());
    }
}

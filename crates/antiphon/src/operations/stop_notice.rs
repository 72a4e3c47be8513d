//! The notice of a run that stopped early: an outcome with results, and not an error, but with the same kinds and
//! hints.
//!
//! A run that stopped can be resumed by the same request, except after a permanent cancellation. The advice says what
//! would make the next start go further: a larger budget, more time, or a fixed cause.

use antiphon_engine::StopCause;
use antiphon_llm::ErrorKind as LlmKind;
use serde::Serialize;

use super::error::{Hint, OperationErrorKind, hint_of, kind_of_provider};

/// The reason why a run stopped before all its rows ended. It can be resumed, unless it was cancelled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct StopNotice {
    /// The cause's short name, as in reports, such as `budget` or `deadline`.
    pub cause: String,
    /// The message, one sentence.
    pub message: String,
    /// The kind, by what a caller can do; `None` if the stop is no error, as when the reader of the results has gone.
    pub kind: Option<OperationErrorKind>,
    /// The advice, the most important first; on resuming the run last.
    pub hints: Vec<Hint>,
}

impl From<&StopCause> for StopNotice {
    fn from(stop: &StopCause) -> Self {
        let (kind, hint) = kind_and_hint(stop);
        let of_provider = if let StopCause::Provider(err) = stop { hint_of(err.kind()) } else { None };
        let hints = of_provider.into_iter().chain([hint]).collect();
        Self { cause: stop.name().to_owned(), message: stop.to_string(), kind, hints }
    }
}

/// Returns the kind of a stop, and the advice on resuming the run.
fn kind_and_hint(stop: &StopCause) -> (Option<OperationErrorKind>, Hint) {
    let (kind, hint) = match stop {
        StopCause::Unread => return (None, Hint::Resumes),
        StopCause::Interrupted => (OperationErrorKind::Cancelled, Hint::Resumes),
        StopCause::Cancelled => (OperationErrorKind::Cancelled, Hint::StartAgain),
        StopCause::Budget { .. } => (OperationErrorKind::Budget, Hint::RaiseMaxCost),
        StopCause::Deadline { .. } => (OperationErrorKind::Incomplete, Hint::Resumes),
        StopCause::Provider(err) => (kind_of_provider_stop(err.kind()), Hint::Resumes),
        StopCause::Saturated { .. } => (OperationErrorKind::Incomplete, Hint::RunAgainLater),
        StopCause::Store(_) | StopCause::Output(_) => (OperationErrorKind::Internal, Hint::ResumesWhenFixed),
        StopCause::Input(_) => (OperationErrorKind::Request, Hint::Resumes),
        _ => (OperationErrorKind::Internal, Hint::Resumes),
    };
    (Some(kind), hint)
}

/// Returns the kind for a provider's error that stopped a run: an unknown model stops all rows, so it is a wrong
/// setting.
fn kind_of_provider_stop(kind: LlmKind) -> OperationErrorKind {
    match kind {
        LlmKind::ModelNotFound => OperationErrorKind::Configuration,
        kind => kind_of_provider(kind),
    }
}

//! The error of an operation, with its kind and its advice.
//!
//! All errors of the crates below become an [`OperationError`] here, so that each front end maps one type. The mapping
//! keeps three things apart: the kind says what a caller can do and decides on exit codes, the message says what
//! happened, and hints say what to do next, as data.

use std::fmt;
use std::path::PathBuf;

use antiphon_engine::ErrorKind;
use antiphon_llm::{ErrorKind as LlmKind, TimeoutPhase, TruncationCause};
use antiphon_pipeline::{Persona, Report};
use antiphon_render::{RenderError, RenderErrorKind};
use serde::{Deserialize, Serialize};

pub use super::hint::Hint;
use crate::runtime::{ConfigError, ConnectError, ConnectErrorKind};

/// The error of an operation, for every front end: its kind maps to an exit code or an HTTP status, and its hints are data that
/// the front end phrases for its users.
///
/// The message contains the texts of all causes, so the error has no `source`. Serialised, it is a document of its own:
///
/// ```json
/// { "schema": "antiphon.error/1", "kind": "request", "error": "…", "hints": [{ "advice": "name_provider" }] }
/// ```
///
/// Failed rows of a run are not an error: see [`RunOutcome`](super::RunOutcome), whose
/// [`StopNotice`](super::StopNotice) has the same kinds and hints.
///
/// ```
/// use antiphon::operations::{Hint, OperationError, OperationErrorKind};
///
/// let err = OperationError::new(OperationErrorKind::Request, "no provider is named").hint(Hint::NameProvider);
/// assert_eq!((err.kind(), err.hints()), (OperationErrorKind::Request, &[Hint::NameProvider][..]));
/// assert!(serde_json::to_string(&err)?.contains(r#""hints":[{"advice":"name_provider"}]"#));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug)]
pub struct OperationError(Box<Inner>);

/// The parts of an error, boxed so that a `Result` with one stays small.
#[derive(Debug)]
struct Inner {
    kind: OperationErrorKind,
    /// The message with the texts of all sources.
    message: String,
    /// The cause, kept for its report and its kind.
    source: Option<antiphon_pipeline::Error>,
    /// The advice, the most important first.
    hints: Vec<Hint>,
    /// The run's folder with the partial results.
    folder: Option<PathBuf>,
    input: Option<PathBuf>,
    /// The personas that exist in memory alone, since they could not be written.
    unwritten: Option<Vec<Persona>>,
}

/// The kinds of [`OperationError`], by what a caller can do.
///
/// The command line maps each kind to an exit code:
///
/// | kind | exit code |
/// |---|---|
/// | `Internal`, `Busy` | 1 |
/// | `Request`, `NotFound`, `Conflict` | 2 |
/// | `Configuration` | 3 |
/// | `Incomplete` | 4 |
/// | `Failed` | 5 |
/// | `Budget` | 6 |
/// | `Cancelled` | 130 |
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum OperationErrorKind {
    /// The request is invalid: an input, a recipe or a value in it is wrong.
    Request,
    /// The run or the store does not exist.
    NotFound,
    /// The run is in a state that does not allow the operation.
    Conflict,
    /// A setting, a key or an account is missing or wrong.
    Configuration,
    /// Some of the work is left or failed, and can be done later: a deadline passed, or a limit was reached.
    Incomplete,
    /// The operation has no result: the provider returned no valid answer, or files could not be written.
    Failed,
    /// The budget is used up.
    Budget,
    /// Another process kept the store busy for too long.
    Busy,
    /// The operation was cancelled or interrupted.
    Cancelled,
    /// A defect of this program, or a store that cannot be used.
    Internal,
}

impl OperationError {
    /// Creates an error without a source.
    #[must_use]
    pub fn new(kind: OperationErrorKind, message: impl Into<String>) -> Self {
        let (source, hints, folder, input, unwritten) = (None, Vec::new(), None, None, None);
        Self(Box::new(Inner { kind, message: message.into(), source, hints, folder, input, unwritten }))
    }

    /// Creates the error of a defect of this program.
    #[must_use]
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(OperationErrorKind::Internal, message)
    }

    /// Adds advice.
    /// The most important advice comes first, so add it in that order.
    #[must_use]
    pub fn hint(mut self, hint: Hint) -> Self {
        self.0.hints.push(hint);
        self
    }

    /// Removes a hint that does not apply.
    pub(super) fn without_hint(mut self, hint: &Hint) -> Self {
        self.0.hints.retain(|given| given != hint);
        self
    }

    /// Changes the kind `Failed` to `Configuration`, since the folder of runs cannot be used.
    pub(super) fn of_place(mut self) -> Self {
        if self.0.kind == OperationErrorKind::Failed {
            self.0.kind = OperationErrorKind::Configuration;
        }
        self
    }

    /// Sets the run's folder, which has the partial results.
    pub(super) fn in_folder(mut self, folder: impl Into<Option<PathBuf>>) -> Self {
        self.0.folder = folder.into();
        self
    }

    /// Sets the input that the error is about.
    pub(super) fn of_input(mut self, input: impl Into<PathBuf>) -> Self {
        self.0.input = Some(input.into());
        self
    }

    /// Adds personas that could not be written.
    pub(super) fn with_unwritten(mut self, personas: Vec<Persona>) -> Self {
        self.0.unwritten = Some(personas);
        self
    }

    /// Returns the kind, which says what the caller can do.
    #[must_use]
    pub fn kind(&self) -> OperationErrorKind {
        self.0.kind
    }

    /// Returns the advice, the most important first.
    #[must_use]
    pub fn hints(&self) -> &[Hint] {
        &self.0.hints
    }

    /// Returns the run's folder, which has the partial results; `None` if the error occurred before it was created.
    #[must_use]
    pub fn folder(&self) -> Option<&PathBuf> {
        self.0.folder.as_ref()
    }

    /// Returns the input that the error is about.
    /// `None` if the error occurred before the run was connected to its provider, or is not about a run.
    #[must_use]
    pub fn input(&self) -> Option<&PathBuf> {
        self.0.input.as_ref()
    }

    /// Returns the report of a persona run up to the error: its steps, usage and cost.
    #[must_use]
    pub fn report(&self) -> Option<&Report> {
        self.0.source.as_ref().and_then(antiphon_pipeline::Error::report)
    }

    /// Returns the personas that could not be written, for example on a full disk. This is their only copy.
    #[must_use]
    pub fn unwritten(&self) -> Option<&[Persona]> {
        self.0.unwritten.as_deref()
    }

    /// Returns whether the provider does not have the model.
    pub(super) fn is_unknown_model(&self) -> bool {
        let unknown = ErrorKind::Provider(LlmKind::ModelNotFound);
        self.0.source.as_ref().is_some_and(|err| err.kind() == unknown)
    }
}

impl fmt::Display for OperationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

// The text of all sources is part of the message already.
impl std::error::Error for OperationError {}

impl Serialize for OperationError {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Document<'a> {
            schema: &'static str,
            kind: OperationErrorKind,
            error: &'a str,
            hints: &'a [Hint],
        }
        let Inner { kind, message, hints, .. } = &*self.0;
        Document { schema: "antiphon.error/1", kind: *kind, error: message, hints }.serialize(to)
    }
}

/// Keeps the error as the source of the report, and adds at most 10 of its failed documents as hints.
impl From<antiphon_pipeline::Error> for OperationError {
    fn from(err: antiphon_pipeline::Error) -> Self {
        let message = match err.kind() {
            // It has the file and the reason; its cause is the database's number for that.
            ErrorKind::Store(_) => err.to_string(),
            _ => with_sources(&err),
        };
        let mut error = Self::new(kind_of(&err), message);
        let unread = |failure: &antiphon_data::Failure| Hint::Unread { failure: failure.to_string() };
        error.0.hints.extend(err.failures().iter().take(10).map(unread));
        error.0.hints.extend(match err.kind() {
            ErrorKind::Provider(kind) => hint_of(kind),
            ErrorKind::Budget => Some(Hint::RaiseMaxCost),
            ErrorKind::Deadline => Some(Hint::RaiseDeadline),
            ErrorKind::Exists => Some(Hint::Overwrite),
            ErrorKind::Place => Some(Hint::NamePlace),
            ErrorKind::Changed => Some(Hint::StartFresh),
            ErrorKind::Input if err.is_about_speakers() => Some(Hint::NameSpeakers),
            ErrorKind::Input => err
                .loading()
                .filter(|err| err.is_about_encoding())
                .map(|err| Hint::NameEncoding { probably: err.probable_encoding().map(str::to_owned) }),
            _ => None,
        });
        error.0.source = Some(err);
        error
    }
}

impl From<antiphon_engine::Error> for OperationError {
    fn from(err: antiphon_engine::Error) -> Self {
        antiphon_pipeline::Error::from(err).into()
    }
}

impl From<antiphon_store::Error> for OperationError {
    fn from(err: antiphon_store::Error) -> Self {
        antiphon_pipeline::Error::store(err).into()
    }
}

impl From<antiphon_fs::Error> for OperationError {
    fn from(err: antiphon_fs::Error) -> Self {
        antiphon_pipeline::Error::files(err).into()
    }
}

impl From<RenderError> for OperationError {
    fn from(err: RenderError) -> Self {
        let kind = match err.kind() {
            RenderErrorKind::Theme | RenderErrorKind::Template => OperationErrorKind::Request,
            RenderErrorKind::Internal => OperationErrorKind::Internal,
            _ => OperationErrorKind::Failed,
        };
        let message = match std::error::Error::source(&err) {
            Some(why) if err.kind() == RenderErrorKind::Files => format!("{err}: {why}"),
            _ => err.to_string(),
        };
        Self::new(kind, message)
    }
}

/// An error that a flag caused is fixed in the request, any other in the configuration.
impl From<ConfigError> for OperationError {
    fn from(err: ConfigError) -> Self {
        let kind =
            if err.is_of_flags() { OperationErrorKind::Request } else { OperationErrorKind::Configuration };
        Self::new(kind, err.to_string())
    }
}

impl From<ConnectError> for OperationError {
    fn from(err: ConnectError) -> Self {
        let kind = match err.kind() {
            ConnectErrorKind::Request => OperationErrorKind::Request,
            ConnectErrorKind::Provider(kind) => kind_of_provider(kind),
            _ => OperationErrorKind::Configuration,
        };
        let mut error = Self::new(kind, err.to_string());
        if let Some(name) = err.missing_key().first() {
            error = error.hint(Hint::SetVariable { name: name.clone() });
        }
        if let ConnectErrorKind::Provider(kind) = err.kind() {
            error.0.hints.extend(hint_of(kind));
            error.0.hints.extend(matches!(kind, LlmKind::Connect | LlmKind::Tls).then_some(Hint::RunDoctor));
        }
        error
    }
}

impl From<&antiphon_llm::Error> for OperationError {
    fn from(err: &antiphon_llm::Error) -> Self {
        hint_of(err.kind())
            .into_iter()
            .fold(Self::new(kind_of_provider(err.kind()), err.to_string()), Self::hint)
    }
}

/// Returns the message of an error with those of all its sources, the outermost first.
fn with_sources(err: &dyn std::error::Error) -> String {
    let mut message = err.to_string();
    let mut cause = err.source();
    while let Some(source) = cause {
        message = format!("{message}: {source}");
        cause = source.source();
    }
    message
}

/// Returns the kind for a provider's error: a rejected key or an account without credit is a matter of configuration.
pub(super) fn kind_of_provider(kind: LlmKind) -> OperationErrorKind {
    match kind {
        LlmKind::Auth | LlmKind::Quota => OperationErrorKind::Configuration,
        _ => OperationErrorKind::Failed,
    }
}

/// Returns the kind for an error of a pipeline. An input that cannot be loaded is a wrong request, unless the error
/// lists documents that failed: then the files are at fault.
fn kind_of(err: &antiphon_pipeline::Error) -> OperationErrorKind {
    use antiphon_store::ErrorKind as StoreKind;
    match err.kind() {
        ErrorKind::Config | ErrorKind::Exists | ErrorKind::Changed => OperationErrorKind::Request,
        ErrorKind::Place => OperationErrorKind::Configuration,
        ErrorKind::Input if err.failures().is_empty() => OperationErrorKind::Request,
        ErrorKind::Provider(kind) => kind_of_provider(kind),
        ErrorKind::Cancelled => OperationErrorKind::Cancelled,
        ErrorKind::Internal => OperationErrorKind::Internal,
        ErrorKind::Budget => OperationErrorKind::Budget,
        ErrorKind::Deadline => OperationErrorKind::Incomplete,
        ErrorKind::Store(StoreKind::Newer) => OperationErrorKind::Configuration,
        ErrorKind::Store(StoreKind::NotFound) => OperationErrorKind::NotFound,
        ErrorKind::Store(StoreKind::Conflict) => OperationErrorKind::Conflict,
        ErrorKind::Store(StoreKind::Busy) => OperationErrorKind::Busy,
        ErrorKind::Store(StoreKind::Damaged) => OperationErrorKind::Internal,
        _ => OperationErrorKind::Failed,
    }
}

/// Returns the hint for a provider's error.
/// `None` if no advice would be more helpful than the message.
pub(super) fn hint_of(kind: LlmKind) -> Option<Hint> {
    Some(match kind {
        LlmKind::Auth => Hint::CheckKey,
        LlmKind::Quota => Hint::CheckBilling,
        LlmKind::ModelNotFound => Hint::NameModel,
        LlmKind::Connect | LlmKind::Tls => Hint::CheckServer,
        LlmKind::Exhausted => Hint::RaiseOpenFiles,
        LlmKind::InvalidResponse | LlmKind::Unsupported => Hint::CheckAddress,
        LlmKind::InvalidRequest => Hint::ChangeParameters,
        LlmKind::Timeout { phase: TimeoutPhase::Total } => Hint::RaiseDeadline,
        LlmKind::Timeout { phase: TimeoutPhase::Call } => Hint::RaiseCallTimeout,
        LlmKind::Timeout { .. } => Hint::RaiseTokenTimeout,
        LlmKind::Truncated { cause: TruncationCause::MaxTokens } => Hint::AllowLongerAnswers,
        LlmKind::Truncated { cause: TruncationCause::Disconnected | TruncationCause::Stopped } => {
            Hint::RunAgain
        }
        LlmKind::RateLimited { .. } | LlmKind::Overloaded { .. } => Hint::RunAgainLater,
        LlmKind::SchemaMismatch => Hint::UseLargerModel,
        LlmKind::ContextTooLong => Hint::RaiseContext,
        LlmKind::CircuitOpen { .. } => Hint::ProviderFailing,
        _ => return None,
    })
}

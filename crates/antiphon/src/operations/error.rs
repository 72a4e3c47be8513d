use std::fmt;
use std::path::PathBuf;

use antiphon_engine::{ErrorKind, StopCause};
use antiphon_llm::{ErrorKind as LlmKind, TimeoutPhase, TruncationCause};
use antiphon_pipeline::{Persona, Report};
use antiphon_render::{RenderError, RenderErrorKind};
use serde::{Deserialize, Serialize};

use crate::runtime::{ConfigError, ConnectError, ConnectErrorKind};

/// The error of an operation, for every front end: its kind maps to an exit code or an HTTP status, and its hints are data that
/// the front end puts into words.
#[derive(Debug)]
pub struct OperationError(Box<Inner>);

#[derive(Debug)]
struct Inner {
    kind: OperationErrorKind,
    message: String,
    source: Option<antiphon_pipeline::Error>,
    hints: Vec<Hint>,
    folder: Option<PathBuf>,
    input: Option<PathBuf>,
    unwritten: Option<Vec<Persona>>,
}

/// The kinds of [`OperationError`], by what a caller can do.
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

/// Advice about an error or a stop, as data that a front end puts into words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "advice", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Hint {
    /// Check the key and its permissions.
    CheckKey,
    /// Set the environment variable for the key.
    SetVariable {
        /// The variable's name.
        name: String,
    },
    /// Check the account's billing: it has no credit or quota left.
    CheckBilling,
    /// Name a model that the server has.
    NameModel,
    /// Name one of the provider's models with a similar name.
    SimilarModels {
        /// The models, the most similar first.
        models: Vec<String>,
    },
    /// Name a provider: no local engine answers.
    NameProvider,
    /// Try the simulated vendor.
    TrySimulator,
    /// Draft personas or sites offline, which needs no key and no network.
    TryOffline,
    /// Check whether the server is running, and its address.
    CheckServer,
    /// Check whether the address is that of this provider's API.
    CheckAddress,
    /// Run the doctor, to see which providers answer.
    RunDoctor,
    /// Change the parameters that the provider does not accept.
    ChangeParameters,
    /// Allow more time with a later deadline.
    RaiseDeadline,
    /// Raise the limit of open files (each connection is one), or lower the concurrency.
    RaiseOpenFiles,
    /// Allow more time for one answer.
    RaiseCallTimeout,
    /// Allow more time between tokens.
    RaiseTokenTimeout,
    /// Allow longer answers, or ask for fewer personas.
    AllowLongerAnswers,
    /// Replace the existing file, or name another one.
    Overwrite,
    /// Start a fresh run with the changed input, since the earlier one cannot be resumed with it.
    StartFresh,
    /// Make the same request again.
    RunAgain,
    /// Make the same request again later, for example when the rate limit has reset.
    RunAgainLater,
    /// Use a larger model or a smaller task, for which the schema is easier to satisfy.
    UseLargerModel,
    /// Raise the model's context size, or use less input.
    RaiseContext,
    /// Wait, or use another provider: this one fails so often that its circuit breaker is open.
    ProviderFailing,
    /// Raise the budget: the same request then resumes.
    RaiseMaxCost,
    /// Set the budget of the run.
    SetMaxCost,
    /// Make the same request again: it resumes with the rows that are left.
    Resumes,
    /// Fix the cause, which is outside this program; then the same request resumes.
    ResumesWhenFixed,
    /// Make the same request again: it starts a new run, since this one was cancelled.
    StartAgain,
    /// Resume the run: no row has failed, so there is nothing to retry.
    ResumeRun {
        /// The run's id.
        run: String,
    },
    /// Use a similar name that exists.
    DidYouMean {
        /// The name.
        name: String,
    },
    /// A file that could not be used, and why.
    Unread {
        /// The file with the reason.
        failure: String,
    },
    /// Fetch the document first: the input is an address, and runs read files.
    FetchFirst,
    /// Allow plain HTTP and addresses of this machine.
    AllowLocal,
    /// The subject of the error, such as an experiment.
    About {
        /// The subject's name.
        what: String,
    },
    /// List the experiments.
    ListExperiments,
    /// Add data to an experiment.
    AddData {
        /// The experiment's name.
        experiment: String,
    },
    /// Repeat the whole command with its input, since the rows are not in the store.
    GiveCommandAgain,
    /// See the partial results in the run's folder.
    SeeFolder {
        /// The folder.
        folder: PathBuf,
    },
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

impl From<antiphon_pipeline::Error> for OperationError {
    fn from(err: antiphon_pipeline::Error) -> Self {
        let mut message = err.to_string();
        let mut cause = std::error::Error::source(&err);
        while let Some(source) = cause {
            message = format!("{message}: {source}");
            cause = source.source();
        }
        let mut error = Self::new(kind_of(&err), message);
        let unread = |failure: &antiphon_data::Failure| Hint::Unread { failure: failure.to_string() };
        error.0.hints.extend(err.failures().iter().take(10).map(unread));
        error.0.hints.extend(match err.kind() {
            ErrorKind::Provider(kind) => hint_of(kind),
            ErrorKind::Budget => Some(Hint::RaiseMaxCost),
            ErrorKind::Deadline => Some(Hint::RaiseDeadline),
            ErrorKind::Exists => Some(Hint::Overwrite),
            ErrorKind::Changed => Some(Hint::StartFresh),
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

fn kind_of_provider(kind: LlmKind) -> OperationErrorKind {
    match kind {
        LlmKind::Auth | LlmKind::Quota => OperationErrorKind::Configuration,
        _ => OperationErrorKind::Failed,
    }
}

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
        LlmKind::Truncated { cause: TruncationCause::Disconnected } => Hint::RunAgain,
        LlmKind::RateLimited { .. } | LlmKind::Overloaded { .. } => Hint::RunAgainLater,
        LlmKind::SchemaMismatch => Hint::UseLargerModel,
        LlmKind::ContextTooLong => Hint::RaiseContext,
        LlmKind::CircuitOpen { .. } => Hint::ProviderFailing,
        _ => return None,
    })
}

/// The reason why a run stopped before all its rows ended. It can be resumed, unless it was cancelled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct StopNotice {
    /// The cause's short name, as in reports.
    pub cause: String,
    /// The message, one sentence.
    pub message: String,
    /// The kind, by what a caller can do; `None` if the stop is no error, as when the reader of the results has gone.
    pub kind: Option<OperationErrorKind>,
    /// The hints.
    pub hints: Vec<Hint>,
}

impl From<&StopCause> for StopNotice {
    fn from(stop: &StopCause) -> Self {
        let (kind, hints) = match stop {
            StopCause::Unread => (None, vec![Hint::Resumes]),
            StopCause::Interrupted => (Some(OperationErrorKind::Cancelled), vec![Hint::Resumes]),
            StopCause::Cancelled => (Some(OperationErrorKind::Cancelled), vec![Hint::StartAgain]),
            StopCause::Budget { .. } => (Some(OperationErrorKind::Budget), vec![Hint::RaiseMaxCost]),
            StopCause::Deadline { .. } => (Some(OperationErrorKind::Incomplete), vec![Hint::Resumes]),
            StopCause::Provider(err) => {
                let is_of_account =
                    matches!(err.kind(), LlmKind::Auth | LlmKind::Quota | LlmKind::ModelNotFound);
                let kind = if is_of_account {
                    OperationErrorKind::Configuration
                } else {
                    OperationErrorKind::Failed
                };
                (Some(kind), hint_of(err.kind()).into_iter().chain([Hint::Resumes]).collect())
            }
            StopCause::Saturated { .. } => (Some(OperationErrorKind::Incomplete), vec![Hint::RunAgainLater]),
            StopCause::Store(_) | StopCause::Output(_) => {
                (Some(OperationErrorKind::Internal), vec![Hint::ResumesWhenFixed])
            }
            StopCause::Input(_) => (Some(OperationErrorKind::Request), vec![Hint::Resumes]),
            _ => (Some(OperationErrorKind::Internal), vec![Hint::Resumes]),
        };
        Self { cause: stop.name().to_owned(), message: stop.to_string(), kind, hints }
    }
}

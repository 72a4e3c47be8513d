use std::error::Error as StdError;
use std::fmt;

use antiphon_data::Failure;
use antiphon_engine::{ErrorKind, JobFailure};
use antiphon_runtime::TaskError;

use crate::report::Report;

/// The error of a generation, with the report of the run as far as it got.
///
/// The report has the cost so far, and an error of the provider has its partial answer. A run whose store outlives the process
/// can be resumed.
///
/// | error | [`report`](Self::report) | [`provider`](Self::provider) |
/// |---|---|---|
/// | before the documents are loaded | no | only for a cancelled load |
/// | of the store | only if it failed in the distillation | no |
/// | of a call, of an answer, or of a limit | yes | if the provider is the reason |
///
/// # Examples
/// ```
/// use antiphon_pipeline::{Error, ErrorKind};
/// let err = Error::new(ErrorKind::Config, "unknown theme");
/// assert_eq!((err.kind(), err.to_string().as_str()), (ErrorKind::Config, "unknown theme"));
/// assert!(err.report().is_none() && err.provider().is_none());
/// ```
#[derive(Debug)]
pub struct Error {
    inner: antiphon_engine::Error,
    report: Option<Box<Report>>,
    /// Whether the sides of the speakers are the reason.
    is_about_speakers: bool,
}

impl Error {
    /// Creates an error without a source.
    #[must_use]
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        antiphon_engine::Error::new(kind, message).into()
    }

    /// Wraps an error of loading documents or rows.
    #[must_use]
    pub fn input(err: antiphon_data::Error) -> Self {
        antiphon_engine::Error::input(err).into()
    }

    /// Wraps a provider's error. A cancelled call is `Cancelled`, every other one `Provider` with its kind.
    pub(crate) fn from_provider(err: antiphon_llm::Error) -> Self {
        antiphon_engine::Error::from_provider(err).into()
    }

    /// Wraps the failure of a job: the provider's error if there is one, otherwise `Internal`, since the rows are from
    /// this crate.
    pub(crate) fn from_job(failed: JobFailure) -> Self {
        match failed.cause {
            Some(err) => Self::from_provider(err),
            None => Self::internal(failed.message),
        }
    }

    /// Wraps an error of a file.
    #[must_use]
    pub fn files(err: antiphon_fs::Error) -> Self {
        antiphon_engine::Error::files(err).into()
    }

    /// Wraps an error of the store.
    #[must_use]
    pub fn store(err: antiphon_store::Error) -> Self {
        antiphon_engine::Error::store(err).into()
    }

    /// Wraps a task that panicked: a defect of this program, contained in its own run.
    #[must_use]
    pub fn from_panic(err: &TaskError) -> Self {
        antiphon_engine::Error::from_panic(err).into()
    }

    /// Creates the error of a defect of this program.
    #[must_use]
    pub fn internal(message: impl Into<String>) -> Self {
        antiphon_engine::Error::internal(message).into()
    }

    /// Returns the kind of the error, which says what the caller can do.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.inner.kind()
    }

    /// Returns the provider's own error, with its partial answer and its cost.
    #[must_use]
    pub fn provider(&self) -> Option<&antiphon_llm::Error> {
        self.inner.provider()
    }

    /// Consumes the error and returns the provider's own, if it has one.
    #[must_use]
    pub fn into_provider(self) -> Option<antiphon_llm::Error> {
        self.inner.into_provider()
    }

    /// Returns the files that could not be used, if that is the reason.
    #[must_use]
    pub fn failures(&self) -> &[Failure] {
        self.inner.failures()
    }

    /// Creates the error of documents whose speakers have no clear side, or not the names of the recipe.
    pub(crate) fn speakers(message: impl Into<String>) -> Self {
        Self { is_about_speakers: true, ..Self::new(ErrorKind::Input, message) }
    }

    /// Returns whether the sides of the speakers are the reason: names of
    /// [`PersonaRecipe::interviewers`](crate::PersonaRecipe::interviewers) or
    /// [`PersonaRecipe::participants`](crate::PersonaRecipe::participants) settle them.
    #[must_use]
    pub fn is_about_speakers(&self) -> bool {
        self.is_about_speakers
    }

    /// Returns the error of loading documents or rows, if that is the reason.
    #[must_use]
    pub fn loading(&self) -> Option<&antiphon_data::Error> {
        self.inner.loading()
    }

    /// Attaches the report of the run; an earlier one is replaced.
    pub(crate) fn with_report(mut self, report: Report) -> Self {
        self.report = Some(Box::new(report));
        self
    }

    /// Returns the report of the run, with its progress and cost; `None` if no document was loaded, or the store failed
    /// outside the distillation.
    #[must_use]
    pub fn report(&self) -> Option<&Report> {
        self.report.as_deref()
    }
}

impl From<antiphon_engine::Error> for Error {
    fn from(inner: antiphon_engine::Error) -> Self {
        Self { inner, report: None, is_about_speakers: false }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl StdError for Error {
    /// Returns the cause of the wrapped error: the wrapped error's text is this error's text already.
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.inner.source()
    }
}

use std::error::Error as StdError;
use std::fmt;

use antiphon_data::Failure;
use antiphon_runtime::TaskError;

use crate::report::Report;

/// Why there is no result.
#[derive(Debug)]
pub struct Error(Box<Inner>);

#[derive(Debug)]
struct Inner {
    kind: ErrorKind,
    message: String,
    source: Option<Source>,
    report: Option<Report>,
}

#[derive(Debug)]
enum Source {
    Input(antiphon_data::Error),
    Provider(antiphon_llm::Error),
    Files(antiphon_fs::Error),
    #[cfg(feature = "store")]
    Store(antiphon_store::Error),
}

/// What a caller can do about an [`Error`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The configuration cannot be met.
    Config,
    /// No document could be loaded: see [`Error::failures`].
    Input,
    /// The provider gave no answer that can be used: see [`Error::provider`].
    Provider(antiphon_llm::ErrorKind),
    /// Results could not be written, or earlier ones not read.
    Files,
    /// Nothing is left of the budget.
    Budget,
    /// The journal cannot be used.
    #[cfg(feature = "store")]
    Store(antiphon_store::ErrorKind),
    /// It was given up.
    Cancelled,
    /// A defect of this program: a task panicked.
    Internal,
}

impl Error {
    /// An error of a kind, for whoever builds on the pipeline.
    #[must_use]
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner { kind, message: message.into(), source: None, report: None }))
    }

    /// Why nothing could be loaded.
    #[must_use]
    pub fn input(err: antiphon_data::Error) -> Self {
        let kind = match err.kind() {
            antiphon_data::ErrorKind::Cancelled => ErrorKind::Cancelled,
            _ => ErrorKind::Input,
        };
        let message = err.to_string();
        Self(Box::new(Inner { kind, message, report: None, source: Some(Source::Input(err)) }))
    }

    pub(crate) fn from_provider(err: antiphon_llm::Error) -> Self {
        let kind = match err.kind() {
            antiphon_llm::ErrorKind::Cancelled => ErrorKind::Cancelled,
            kind => ErrorKind::Provider(kind),
        };
        let message = err.to_string();
        Self(Box::new(Inner { kind, message, report: None, source: Some(Source::Provider(err)) }))
    }

    /// What stands in the way of a file.
    #[must_use]
    pub fn files(err: antiphon_fs::Error) -> Self {
        let message = err.to_string();
        Self(Box::new(Inner {
            kind: ErrorKind::Files,
            message,
            report: None,
            source: Some(Source::Files(err)),
        }))
    }

    /// The journal's own error.
    #[cfg(feature = "store")]
    #[must_use]
    pub fn store(err: antiphon_store::Error) -> Self {
        let kind = ErrorKind::Store(err.kind());
        let message = err.to_string();
        Self(Box::new(Inner { kind, message, report: None, source: Some(Source::Store(err)) }))
    }

    /// What the caller can do.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The provider's own error, with its partial answer and its cost.
    #[must_use]
    pub fn provider(&self) -> Option<&antiphon_llm::Error> {
        match &self.0.source {
            Some(Source::Provider(err)) => Some(err),
            _ => None,
        }
    }

    /// The provider's own error by itself.
    #[must_use]
    pub fn into_provider(self) -> Option<antiphon_llm::Error> {
        match self.0.source {
            Some(Source::Provider(err)) => Some(err),
            _ => None,
        }
    }

    /// A task that panicked: a defect of this program, contained in its own run.
    #[must_use]
    pub fn from_panic(err: &TaskError) -> Self {
        Self::internal(format!("a defect of this program: {err}"))
    }

    /// A defect of this program.
    #[must_use]
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Internal, message)
    }

    pub(crate) fn with_report(mut self, report: Report) -> Self {
        self.0.report = Some(report);
        self
    }

    /// How far the run came and what it cost; `None` if no document was loaded.
    #[must_use]
    pub fn report(&self) -> Option<&Report> {
        self.0.report.as_ref()
    }

    /// The files that could not be used, where that is the reason.
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
    /// What lies behind the wrapped error: its own text is this error's text already.
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self.0.source.as_ref()? {
            Source::Input(err) => err.source(),
            Source::Provider(err) => err.source(),
            Source::Files(err) => err.source(),
            #[cfg(feature = "store")]
            Source::Store(err) => err.source(),
        }
    }
}

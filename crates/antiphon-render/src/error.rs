use std::error::Error as StdError;
use std::fmt;

/// The error of rendering or of writing pages.
///
/// The kind is one of [`RenderErrorKind`], by what the caller can do: fix a theme, choose another folder, or report a defect.
#[derive(Debug)]
pub struct RenderError {
    kind: RenderErrorKind,
    message: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// The kind of a [`RenderError`], which says what the caller can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RenderErrorKind {
    /// The template of a theme has a syntax error, or fails when it is rendered.
    Template,
    /// A theme does not exist, or is invalid.
    Theme,
    /// A file cannot be read or written.
    Files,
    /// A template of this crate is broken, which is a defect, or the runtime is shutting down.
    Internal,
}

impl RenderError {
    pub(crate) fn new(kind: RenderErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), source: None }
    }

    pub(crate) fn template(err: minijinja::Error) -> Self {
        let name = err.name().unwrap_or("a page").to_owned();
        let line = err.line().map(|line| format!(":{line}")).unwrap_or_default();
        let detail = err.detail().map(|detail| format!(": {detail}")).unwrap_or_default();
        let message = format!("the template {name}{line} is broken: {}{detail}", err.kind());
        Self { kind: RenderErrorKind::Template, message, source: Some(Box::new(err)) }
    }

    pub(crate) fn files(err: antiphon_fs::Error) -> Self {
        Self {
            kind: RenderErrorKind::Files,
            message: err.to_string(),
            source: err.source().map(|why| why.to_string().into()),
        }
    }

    /// Turns any error into one of the theme: an unreadable folder is a mistake of the caller who named it.
    pub(crate) fn of_theme(self) -> Self {
        let message = match &self.source {
            Some(why) if self.kind == RenderErrorKind::Files => format!("{}: {why}", self.message),
            _ => self.message.clone(),
        };
        Self { kind: RenderErrorKind::Theme, message, source: self.source }
    }

    /// Creates the error of a broken template of this crate.
    pub(crate) fn defect(err: minijinja::Error) -> Self {
        Self { kind: RenderErrorKind::Internal, ..Self::template(err) }
    }

    pub(crate) fn interrupted() -> Self {
        Self::new(RenderErrorKind::Internal, "the runtime is shutting down")
    }

    /// Returns the kind of the error.
    #[must_use]
    pub fn kind(&self) -> RenderErrorKind {
        self.kind
    }
}

impl fmt::Display for RenderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl StdError for RenderError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_ref().map(|source| &**source as &(dyn StdError + 'static))
    }
}

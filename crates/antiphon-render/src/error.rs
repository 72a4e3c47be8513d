//! Errors of rendering.
//!
//! Themes are written by users, so that most errors are mistakes in their files: the message has the file and the line,
//! and then what to do.

use std::error::Error as StdError;
use std::fmt;

/// The error of rendering or of writing pages.
///
/// The kind is one of [`RenderErrorKind`], by what the caller can do: fix a theme, choose another folder, or report a
/// defect. The source, if there is one, is the error of the template engine or of the operating system.
///
/// ```
/// use antiphon_render::{RenderErrorKind, Theme};
/// let err = Theme::built_in("brutal").unwrap_err();
/// assert_eq!(err.kind(), RenderErrorKind::Theme);
/// assert_eq!(err.to_string(), "unknown theme brutal; did you mean brutalist?");
/// ```
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
    /// The template of a theme has a syntax error, or fails when it is rendered, for example at an undefined variable.
    Template,
    /// A theme does not exist, or is invalid: its `theme.toml`, its style sheet, its template or the name of its
    /// folder.
    Theme,
    /// A file cannot be read or written, or must not be overwritten.
    Files,
    /// A template of this crate is broken, which is a defect, or the runtime is shutting down.
    Internal,
}

impl RenderError {
    /// Creates an error without a source.
    pub(crate) fn new(kind: RenderErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), source: None }
    }

    /// Creates the error of a theme's template, with the template's name and the line.
    pub(crate) fn template(err: minijinja::Error) -> Self {
        let name = err.name().unwrap_or("a page").to_owned();
        let line = err.line().map(|line| format!(":{line}")).unwrap_or_default();
        let detail = err.detail().map(|detail| format!(": {detail}")).unwrap_or_default();
        let message = format!("the template {name}{line} is broken: {}{detail}", err.kind());
        Self { kind: RenderErrorKind::Template, message, source: Some(Box::new(err)) }
    }

    /// Creates the error of a file operation. The source is kept as a text.
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

    /// Creates the error of a rendering that a shutdown of the runtime prevented.
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

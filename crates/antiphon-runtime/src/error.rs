use std::any::Any;
use std::fmt;

/// Why a task gave no result.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum TaskError {
    /// It was given up before it had ended.
    Cancelled,
    /// It ran longer than the runner allows a task.
    TimedOut,
    /// It panicked; the panic's text.
    Panicked(String),
}

impl TaskError {
    pub(crate) fn panicked(panic: &(dyn Any + Send)) -> Self {
        let text = match (panic.downcast_ref::<&str>(), panic.downcast_ref::<String>()) {
            (Some(text), _) => (*text).to_owned(),
            (_, Some(text)) => text.clone(),
            _ => "a panic without a text".to_owned(),
        };
        Self::Panicked(text)
    }
}

impl fmt::Display for TaskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cancelled => f.write_str("cancelled"),
            Self::TimedOut => f.write_str("timed out"),
            Self::Panicked(text) => write!(f, "panicked: {text}"),
        }
    }
}

impl std::error::Error for TaskError {}

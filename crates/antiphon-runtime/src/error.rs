use std::any::Any;
use std::fmt;

/// The error of a task that ended without a result.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum TaskError {
    /// The task was cancelled before it finished, by its handle, by a shutdown, or because its runtime ended.
    Cancelled,
    /// The task exceeded the runner's [`task_timeout`](crate::Runner::task_timeout).
    TimedOut,
    /// The task panicked; contains the panic message, or `no message` if the payload is not a string.
    Panicked(String),
}

impl TaskError {
    pub(crate) fn panicked(panic: &(dyn Any + Send)) -> Self {
        let text = match (panic.downcast_ref::<&str>(), panic.downcast_ref::<String>()) {
            (Some(text), _) => (*text).to_owned(),
            (_, Some(text)) => text.clone(),
            _ => "no message".to_owned(),
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

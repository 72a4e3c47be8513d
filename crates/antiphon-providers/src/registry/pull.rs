use std::fmt;

use antiphon_llm::Error;
use futures_util::future::BoxFuture;

use super::options::Options;

/// The progress of a server that downloads a model.
///
/// A model may consist of several files: `completed` and `total` are those of the current file, and `None` for steps without a
/// download.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PullProgress {
    /// The server's name for the current step.
    pub status: String,
    /// The bytes received of the current file.
    pub completed: Option<u64>,
    /// The size of the current file in bytes.
    pub total: Option<u64>,
}

/// The support of an engine for pulling models, used by [`Kind::pull`](super::Kind::pull).
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct ModelPull {
    /// The address at which the engine itself can be downloaded.
    pub install: &'static str,
    /// The name of a small model, as an example.
    pub example: &'static str,
    /// The function that fetches a model; `None`: not compiled in.
    pub(crate) run: Option<Run>,
}

/// A function that fetches a model, and calls back with each step.
type Run = for<'a> fn(
    &'a Options,
    &'a str,
    &'a mut (dyn FnMut(PullProgress) + Send),
) -> BoxFuture<'a, Result<(), Error>>;

impl fmt::Debug for ModelPull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { install, example, .. } = self;
        f.debug_struct("ModelPull")
            .field("install", install)
            .field("example", example)
            .finish_non_exhaustive()
    }
}

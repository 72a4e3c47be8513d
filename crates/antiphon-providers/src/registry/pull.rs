use std::fmt;

use antiphon_llm::Error;
use futures_util::future::BoxFuture;

use super::options::Options;

/// The progress of a server that fetches a model.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PullProgress {
    /// The step that the server is at.
    pub status: String,
    /// The bytes that have come of the file that is fetched now.
    pub completed: Option<u64>,
    /// The bytes of that file.
    pub total: Option<u64>,
}

/// The capability of an engine to fetch models; [`Kind::pull`](super::Kind::pull) uses it.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct ModelPull {
    /// The address from which the engine itself can be had.
    pub install: &'static str,
    /// A small model, as an example.
    pub example: &'static str,
    /// Fetches a model; `None`: not compiled in.
    pub(crate) run: Option<Run>,
}

/// Fetches a model, and calls back with each step.
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

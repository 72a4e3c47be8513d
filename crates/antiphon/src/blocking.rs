//! Blocking versions of the operations for callers that are not async, with the same types and errors.
//!
//! All calls share one runtime, so that connections are kept alive (keep-alive) between calls. Within an async runtime, including
//! the threads of its blocking pool, each function returns [`BlockOnError::InsideRuntime`]: await the operation itself there.
//!
//! ```
//! use antiphon::blocking;
//! use antiphon::llm::{Message, Prompt};
//! use antiphon::operations::{RunRequest, Watch, Workspace};
//! use antiphon::pipeline::PersonaRecipe;
//! use antiphon::runtime::{Environment, Flags, resolve};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = antiphon::fs::temp_dir()?;
//! # let (input, out) = (folder.path().join("p1.txt"), folder.path().join("out"));
//! # blocking::run(antiphon::fs::write(&input, "P1: I want to sleep through the night for once. I hate the noise in this street.\n"))??;
//! let settings = resolve(&Flags::default().offline(), &Environment::default(), &[])?;
//! let session = blocking::connect(&settings)??;
//! let workspace = Workspace::new(Environment::default(), Vec::new(), out);
//! let recipe = PersonaRecipe::parse("recipe.toml", "count = 1")?;
//! let request = RunRequest::personas(input, &recipe)?.provider("offline");
//! let outcome = blocking::start(&workspace, &request, Watch::default())??;
//! assert!(!outcome.personas().is_empty());
//! let err = blocking::complete(&session, &Prompt::new("m", [Message::user("Hello?")])).unwrap_err();
//! assert!(err.to_string().contains("use another provider"), "the offline provider cannot chat");
//! # Ok(())
//! # }
//! ```

use std::io;
use std::sync::LazyLock;

use antiphon_http::Client;
use antiphon_llm::{CallContext, Completion, Error, ErrorKind, Prompt, ProviderExt};
use antiphon_runtime::{BlockOnError, CancellationToken};
use tokio::runtime::{Builder, Handle, Runtime};

use crate::operations::{
    self, FetchRequest, Fetched, OperationError, RunOutcome, RunRequest, Watch, Workspace,
};
use crate::runtime::{self, ConnectError, Session, Settings};

/// The runtime of all blocking calls, started by the first one and never stopped. One worker thread is enough, since
/// calls block their own threads and the runtime only drives connections between them.
static RUNTIME: LazyLock<io::Result<Runtime>> = LazyLock::new(|| {
    Builder::new_multi_thread().worker_threads(1).thread_name("antiphon-blocking").enable_all().build()
});

/// Runs any future of these crates to completion on the shared runtime.
///
/// The future runs on the calling thread and need not be `Send`; tasks that it spawns run on the runtime, also after
/// the call. A panic of the future is passed on to the caller.
///
/// ```
/// assert_eq!(antiphon::blocking::run(async { 1 + 1 })?, 2);
/// # Ok::<(), antiphon::runtime::BlockOnError>(())
/// ```
///
/// # Errors
/// `InsideRuntime` if the caller is inside an async runtime, `NoRuntime` if the runtime cannot be started.
pub fn run<F: Future>(future: F) -> Result<F::Output, BlockOnError> {
    if Handle::try_current().is_ok() {
        return Err(BlockOnError::InsideRuntime);
    }
    match &*RUNTIME {
        Ok(runtime) => Ok(runtime.block_on(future)),
        Err(err) => Err(BlockOnError::NoRuntime(io::Error::new(err.kind(), err.to_string()))),
    }
}

/// Blocks on [`runtime::connect`].
///
/// # Errors
/// Outer: as [`run`]. Inner: as [`runtime::connect`].
pub fn connect(settings: &Settings) -> Result<Result<Session, ConnectError>, BlockOnError> {
    run(runtime::connect(settings))
}

/// Blocks on [`Workspace::start`].
/// To stop the run from another thread, keep a clone of a token in the [`Watch`].
///
/// # Errors
/// Outer: as [`run`]. Inner: as [`Workspace::start`].
pub fn start(
    workspace: &Workspace,
    request: &RunRequest,
    watch: Watch,
) -> Result<Result<RunOutcome, OperationError>, BlockOnError> {
    run(workspace.start(request, watch))
}

/// Blocks on [`Workspace::start_all`], with at most `max_concurrency` runs at a time.
/// Events of these runs are not observed; use the async version for a [`Watch`].
///
/// # Errors
/// The errors of [`run`]. The error of a request is in its place in the list.
pub fn start_all(
    workspace: &Workspace,
    requests: &[RunRequest],
    max_concurrency: usize,
) -> Result<Vec<Result<RunOutcome, OperationError>>, BlockOnError> {
    run(workspace.start_all(requests, max_concurrency, &Watch::default()))
}

/// Blocks on [`Workspace::close`].
/// A workspace that is dropped instead loses no results, but a copy of its store may lack the latest.
///
/// # Errors
/// The errors of [`run`].
pub fn close(workspace: Workspace) -> Result<(), BlockOnError> {
    run(workspace.close())
}

/// Completes a prompt and returns the whole answer. The session's model replaces the prompt's.
///
/// Retries and rate limits of the session apply; nothing is stored. For many prompts use a run, which resumes and has a
/// budget.
///
/// # Errors
/// The provider's error. Inside an async runtime `InvalidRequest`, with the [`BlockOnError`] as its source.
pub fn complete(session: &Session, prompt: &Prompt) -> Result<Completion, Error> {
    let mut prompt = prompt.clone();
    prompt.model.clone_from(&session.model);
    let context = CallContext::default();
    run(session.provider.complete(&prompt, &context))
        .unwrap_or_else(|err| Err(Error::new(ErrorKind::InvalidRequest, err.to_string()).with_source(err)))
}

/// Blocks on [`operations::fetch`], without a callback.
///
/// # Errors
/// Outer: as [`run`]. Inner: the folder cannot be created.
pub fn fetch(
    client: &Client,
    request: &FetchRequest,
) -> Result<Result<Vec<Fetched>, antiphon_fs::Error>, BlockOnError> {
    run(operations::fetch(client, request, |_| (), CancellationToken::new()))
}

#[cfg(test)]
mod tests {
    use super::{BlockOnError, run};

    #[test]
    fn all_calls_share_one_runtime_and_nesting_is_an_error() {
        assert_eq!(run(async { 1 }).unwrap() + run(async { 2 }).unwrap(), 3);
        let inside = run(async { run(async {}) }).unwrap();
        assert!(matches!(inside, Err(BlockOnError::InsideRuntime)));
        assert!(inside.unwrap_err().to_string().contains("await the future there"));
    }
}

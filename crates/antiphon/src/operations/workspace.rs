//! The workspace, with the store and the sessions that its operations share, and the watch on one run.
//!
//! A workspace connects lazily: the store is opened by the first operation that needs it, and each provider by the
//! first request that names it. All state is behind shared references, so one workspace serves concurrent requests. A
//! request is completed here before it is stored:
//!
//! | field | completed by, in this order |
//! |---|---|
//! | provider | configuration, a local engine, offline drafts |
//! | model, fallbacks | recipe, configuration, provider |
//! | sampling parameters | recipe, configuration |
//! | budget, concurrency limit | configuration |

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use antiphon_engine::{Lines, OnEvent, Recipe, RunEvent};
use antiphon_pipeline::RunLocks;
use antiphon_runtime::CancellationToken;
use antiphon_store::Store;
use tokio::sync::OnceCell;

use super::completed::{check_budget, check_parameters, complete_by_recipe, complete_by_session};
use super::error::{Hint, OperationError, OperationErrorKind};
use super::request::{RunKind, RunRequest};
use crate::runtime::{Cassette, ConfigFile, Environment, Flags, Session, Settings, connect, resolve};

/// The store's file in the folder of runs.
#[cfg(feature = "sqlite")]
const JOURNAL: &str = "antiphon.db";

/// A folder of runs with its store and a configuration, whose methods are the operations on runs.
///
/// A process may have several workspaces, even for one folder. Call [`close`](Self::close) at the end, so that the store is
/// complete in one file.
///
/// ```
/// use antiphon::operations::{RunRequest, Watch, Workspace};
/// use antiphon::pipeline::PersonaRecipe;
/// use antiphon::runtime::Environment;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = antiphon::fs::temp_dir()?;
/// # let (input, out) = (folder.path().join("p1.txt"), folder.path().join("out"));
/// # antiphon::fs::write(&input, "P1: I want to sleep through the night for once. I hate the noise in this street.\n").await?;
/// let workspace = Workspace::new(Environment::default(), Vec::new(), out);
/// let recipe = PersonaRecipe::parse("recipe.toml", "count = 1")?;
/// let request = RunRequest::personas(input, &recipe)?.provider("offline");
/// let outcome = workspace.start(&request, Watch::default()).await?;
/// let status = workspace.status(&outcome.run_id).await?;
/// assert_eq!((status.accepted, status.failed), (1, 0));
/// workspace.close().await;
/// # Ok(())
/// # }
/// ```
pub struct Workspace {
    environment: Environment,
    /// The configuration files, sorted by precedence.
    files: Vec<ConfigFile>,
    /// The folder of runs.
    folder: PathBuf,
    /// The store, opened by the first operation that needs it.
    store: OnceCell<Store>,
    /// Connected providers, cached for the requests that name the same one.
    sessions: Mutex<HashMap<Named, Arc<OnceCell<Session>>>>,
    cassette: Option<Cassette>,
    /// The locks on the runs of this workspace: of two equal requests, the second waits for the first.
    pub(super) locks: RunLocks,
}

/// Provider, address, model and fallbacks, as a request names them.
type Named = (Option<String>, Option<String>, Option<String>, Option<Vec<String>>);

/// The callbacks and cancellation tokens by which a caller observes and controls a run. None of them are stored.
///
/// Clones of the tokens may be cancelled from any task or thread, for example by a signal handler: first `drain`, and `cancel` if
/// the caller does not want to wait.
///
/// ```
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicU32, Ordering};
///
/// use antiphon::operations::{RunRequest, Watch, Workspace};
/// use antiphon::pipeline::PersonaRecipe;
/// use antiphon::runtime::Environment;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = antiphon::fs::temp_dir()?;
/// # let (input, out) = (folder.path().join("p1.txt"), folder.path().join("out"));
/// # antiphon::fs::write(&input, "P1: I want to sleep through the night for once. I hate the noise in this street.\n").await?;
/// let events = Arc::new(AtomicU32::new(0));
/// let count = events.clone();
/// let watch = Watch::default().on_event(move |_| {
///     count.fetch_add(1, Ordering::Relaxed);
/// });
/// let stop = watch.drain.clone(); // for a signal handler, which calls `stop.cancel()`
///
/// let workspace = Workspace::new(Environment::default(), Vec::new(), out);
/// let request = RunRequest::personas(input, &PersonaRecipe::parse("recipe.toml", "count = 1")?)?.provider("offline");
/// workspace.start(&request, watch).await?;
/// assert!(events.load(Ordering::Relaxed) > 0 && !stop.is_cancelled());
/// # workspace.close().await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub struct Watch {
    /// The token for a graceful stop: once it is cancelled, no call starts and calls in progress finish. An answer that stalls
    /// for 10 s is aborted.
    pub drain: CancellationToken,
    /// The token for an immediate stop: once it is cancelled, calls in progress are aborted as well, and count as possibly
    /// billed.
    pub cancel: CancellationToken,
    /// The receiver of results for a request with the output `-`.
    pub(super) results: Option<Lines>,
    /// The file for the input `-`.
    pub(super) stdin: Option<PathBuf>,
    /// Whether the results file of the request replaces one that is not the run's own.
    pub(super) overwrite: bool,
    /// The callback for events.
    pub(super) on_event: OnEvent,
    /// The callback for events of several runs, with the input of each.
    of_input: Option<OnInputEvent>,
}

/// A callback for the events of several runs, with the input of the run that each is of.
type OnInputEvent = Arc<dyn Fn(&str, RunEvent) + Send + Sync>;

/// A connected provider, and the request completed by the configuration.
pub(super) struct Connected {
    pub(super) session: Session,
    /// The request as it is stored, with provider, model and limits filled in.
    pub(super) request: RunRequest,
    /// The recipe of a map run, read once.
    pub(super) recipe: Option<Recipe>,
}

impl Workspace {
    /// Creates the workspace of a folder, which need not exist, with an environment and configuration files. The folder and the
    /// store are created by the first run.
    #[must_use]
    pub fn new(environment: Environment, files: Vec<ConfigFile>, folder: impl Into<PathBuf>) -> Self {
        let (store, sessions, locks) = (OnceCell::new(), Mutex::default(), RunLocks::default());
        Self { environment, files, folder: folder.into(), store, sessions, cassette: None, locks }
    }

    /// Sets a cassette, to record the answers of this workspace's runs or to replay recorded ones. Default: none. It is not
    /// stored with a run: one that is resumed elsewhere calls its provider.
    #[must_use]
    pub fn cassette(mut self, cassette: impl Into<Option<Cassette>>) -> Self {
        self.cassette = cassette.into();
        self
    }

    /// Returns the folder of all runs.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Closes the store, and waits at most 1 s until its files are closed, so that a copy of the store's file is complete.
    ///
    /// # Cancel safety
    /// A dropped call stops waiting; nothing is lost.
    pub async fn close(self) {
        if let Some(store) = self.store.into_inner() {
            // An abandoned task may hold a handle for longer than is worth waiting.
            let _ = tokio::time::timeout(Duration::from_secs(1), store.close()).await;
        }
    }

    /// Returns the store, which is created if it does not exist.
    pub(super) async fn store(&self) -> Result<&Store, OperationError> {
        let opened = self.store.get_or_try_init(|| async {
            match self.cassette {
                // A replay is kept in memory: an answer that was not recorded must not fail the recorded run.
                Some(Cassette::Replay(_)) => Ok(Store::in_memory()),
                _ => open(&self.folder).await,
            }
        });
        opened.await.map_err(unusable)
    }

    /// Returns the store if it exists, to read it: where it cannot be written, such as in an archive or the folder of another
    /// user, it is opened without changes.
    ///
    /// # Errors
    /// `NotFound` if it does not exist.
    pub(super) async fn readable(&self) -> Result<&Store, OperationError> {
        match self.existing().await {
            Err(err) if err.kind() == OperationErrorKind::Configuration => {
                let opened = self.store.get_or_try_init(|| open_read_only(&self.folder));
                // The first error says that it cannot be written; the second one why it cannot be read either.
                opened.await.map_err(unusable).map_err(|err| self.with_permission(err))
            }
            opened => opened,
        }
    }

    /// Returns the store if it exists.
    ///
    /// # Errors
    /// `NotFound` if it does not.
    pub(super) async fn existing(&self) -> Result<&Store, OperationError> {
        if self.store.initialized() || has_store(&self.folder).await {
            // Another place does not have the runs.
            return self.store().await.map_err(|err| self.with_permission(err));
        }
        let message = format!("there are no runs in {}", self.folder.display());
        Err(OperationError::new(OperationErrorKind::NotFound, message))
    }

    /// Replaces the advice to name another place by that to allow writing in this one, which has the runs.
    fn with_permission(&self, err: OperationError) -> OperationError {
        if !err.hints().contains(&Hint::NamePlace) {
            return err;
        }
        err.without_hint(&Hint::NamePlace).hint(Hint::AllowWriting { folder: self.folder.clone() })
    }

    /// Returns the error of a change to the store, with advice where it cannot be written.
    pub(super) fn unwritable(&self, err: antiphon_store::Error) -> OperationError {
        self.with_permission(unusable(err))
    }

    /// Returns the store, or an empty one in memory if it does not exist: an estimate creates no files.
    pub(super) async fn read_only_store(&self) -> Result<Store, OperationError> {
        if self.store.initialized() || has_store(&self.folder).await {
            self.store().await.cloned()
        } else {
            Ok(Store::in_memory())
        }
    }

    /// Resolves the settings of a request with environment and files.
    pub(super) fn settings(&self, request: &RunRequest) -> Result<Settings, OperationError> {
        let mut flags = Flags::default().fallback(request.fallback.clone()).cassette(self.cassette.clone());
        flags.offline = request.provider.as_deref() == Some("offline");
        if !flags.offline {
            (flags.provider, flags.model) = (request.provider.clone(), request.model.clone());
        }
        flags.base_url.clone_from(&request.base_url);
        flags.max_concurrency = request.limits.max_concurrency.filter(|most| *most > 0);
        Ok(resolve(&flags, &self.environment, &self.files)?)
    }

    /// Returns the session of the provider that a request names: connected once, and shared by concurrent requests,
    /// which wait for the same attempt.
    async fn session(&self, request: &RunRequest, settings: &Settings) -> Result<Session, OperationError> {
        let RunRequest { provider, base_url, model, fallback, .. } = request.clone();
        let named = (provider, base_url, model, fallback);
        let ready = {
            let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
            sessions.entry(named.clone()).or_default().clone()
        };
        let connected = ready.get_or_try_init(|| connect(settings)).await.cloned();
        // A failure or the offline default is not cached: the server, or a local engine, may answer the next request.
        if !connected.as_ref().is_ok_and(|session| !(session.chosen_by_default && session.is_offline())) {
            self.sessions.lock().unwrap_or_else(PoisonError::into_inner).remove(&named);
        }
        Ok(connected?)
    }

    /// Connects to the provider of a request, and completes the request by its recipe, the configuration and the
    /// provider. Emits [`RunEvent::Connected`].
    ///
    /// # Errors
    /// `Request` for a recipe that is not valid, and for a budget with a model whose price is not known; the errors of
    /// the configuration and of connecting.
    pub(super) async fn connect(
        &self,
        request: &RunRequest,
        watch: &Watch,
        purpose: Purpose,
    ) -> Result<Connected, OperationError> {
        let mut request = request.clone();
        request.read_schema_file().await?;
        let (mut recipe, parameters) = complete_by_recipe(&mut request)?;
        let settings = self.settings(&request)?;
        let session = match purpose {
            Purpose::Run => {
                self.session(&request, &settings).await.map_err(|err| offline_instead(err, request.kind))?
            }
            Purpose::Plan => {
                let missing = settings.missing_headers().into_iter();
                missing.for_each(|message| watch.emit(RunEvent::Warning { message }));
                connect(&settings.clone().without_missing_keys()).await?
            }
        };
        watch.emit(connected_event(&session));
        let most = settings.max_concurrency.as_ref().map(|most| most.value);
        if let Some(message) = most.and_then(|most| session.beyond_slots(most)) {
            watch.emit(RunEvent::Warning { message });
        }
        complete_by_session(&mut request, &session, &settings);
        let parameters = request.over(parameters);
        check_parameters(&session, &request, &parameters)?;
        let session = session.priced_for(&parameters);
        if let Some(recipe) = &mut recipe {
            recipe.parameters = parameters;
        }
        check_budget(&session, &request.limits)?;
        if let Some(why) = session.cost_unknown() {
            watch.emit(RunEvent::Warning {
                message: format!("the cost of the run is not known, since {why}"),
            });
        }
        Ok(Connected { session, request, recipe })
    }
}

/// Describes the connected provider for the observer of a run.
fn connected_event(session: &Session) -> RunEvent {
    RunEvent::Connected {
        provider: session.why.clone(),
        by_default: session.chosen_by_default,
        offline: session.is_offline(),
    }
}

/// The purpose of connecting to a provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Model calls.
    Run,
    /// An estimate, which needs no key.
    Plan,
}

impl fmt::Debug for Workspace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Workspace").field("folder", &self.folder).finish_non_exhaustive()
    }
}

impl Default for Watch {
    fn default() -> Self {
        Self {
            drain: CancellationToken::new(),
            cancel: CancellationToken::new(),
            results: None,
            stdin: None,
            overwrite: false,
            on_event: Arc::new(|_| ()),
            of_input: None,
        }
    }
}

impl Watch {
    /// Sets a callback for every event. It must not block: it is called on the tasks of the run, which wait for it.
    /// Default: none.
    #[must_use]
    pub fn on_event(mut self, on_event: impl Fn(RunEvent) + Send + Sync + 'static) -> Self {
        self.on_event = Arc::new(on_event);
        self
    }

    /// Sets a callback for every event of [`Workspace::start_all`], with the input of its run, in place of
    /// [`on_event`](Self::on_event): the events of concurrent runs are mixed otherwise. Default: none.
    #[must_use]
    pub fn on_input_event(mut self, on_event: impl Fn(&str, RunEvent) + Send + Sync + 'static) -> Self {
        self.of_input = Some(Arc::new(on_event));
        self
    }

    /// Returns the watch on one of several runs.
    pub(super) fn of_run(&self, input: String) -> Self {
        let mut watch = self.clone();
        if let Some(on_event) = watch.of_input.clone() {
            watch.on_event = Arc::new(move |event| on_event(&input, event));
        }
        watch
    }

    /// Sets the receiver of results for a request with the output `-`. Default: none; then they go to the run's folder.
    #[must_use]
    pub fn results(mut self, results: Lines) -> Self {
        self.results = Some(results);
        self
    }

    /// Sets the file that is read for the input `-`. Default: none.
    #[must_use]
    pub fn stdin(mut self, file: impl Into<PathBuf>) -> Self {
        self.stdin = Some(file.into());
        self
    }

    /// Sets whether an existing results file that is not the run's own is replaced. Default: false, which makes it an error.
    #[must_use]
    pub fn overwrite(mut self, overwrite: bool) -> Self {
        self.overwrite = overwrite;
        self
    }

    /// Calls the callback with an event, on the task that reports it.
    pub(super) fn emit(&self, event: RunEvent) {
        (self.on_event)(event);
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch")
            .field("drain", &self.drain)
            .field("cancel", &self.cancel)
            .finish_non_exhaustive()
    }
}

/// Opens the store's file, which is created if it does not exist.
#[cfg(feature = "sqlite")]
async fn open(folder: &Path) -> Result<Store, antiphon_store::Error> {
    Store::open(folder.join(JOURNAL)).await
}

/// Opens the store's file without changing it.
#[cfg(feature = "sqlite")]
async fn open_read_only(folder: &Path) -> Result<Store, antiphon_store::Error> {
    Store::open_read_only(folder.join(JOURNAL)).await
}

/// Opens an empty store in memory: without the feature `sqlite` there is no file.
#[cfg(not(feature = "sqlite"))]
async fn open_read_only(_: &Path) -> Result<Store, antiphon_store::Error> {
    std::future::ready(Ok(Store::in_memory())).await
}

/// Returns the error of a store that cannot be used, with advice where another folder helps.
fn unusable(err: antiphon_store::Error) -> OperationError {
    let is_place = err.kind() == antiphon_store::ErrorKind::PermissionDenied;
    let error = OperationError::from(err).of_place();
    if is_place { error.hint(Hint::NamePlace) } else { error }
}

/// Opens a store in memory: without the feature `sqlite`, runs live as long as the workspace.
#[cfg(not(feature = "sqlite"))]
async fn open(_: &Path) -> Result<Store, antiphon_store::Error> {
    std::future::ready(Ok(Store::in_memory())).await
}

/// Returns whether the folder has a store. A folder that cannot be read counts as having none.
#[cfg(feature = "sqlite")]
async fn has_store(folder: &Path) -> bool {
    antiphon_fs::exists(folder.join(JOURNAL)).await.is_ok_and(|there| there)
}

/// Returns that the folder has no store, since none is ever written without the feature `sqlite`.
#[cfg(not(feature = "sqlite"))]
async fn has_store(_: &Path) -> bool {
    std::future::ready(false).await
}

/// Adds the advice to work without a key, for the kinds of runs that can.
fn offline_instead(err: OperationError, kind: RunKind) -> OperationError {
    let lacks_key = err.hints().iter().any(|hint| matches!(hint, Hint::SetVariable { .. }));
    if lacks_key && kind != RunKind::Map { err.hint(Hint::TryOffline) } else { err }
}

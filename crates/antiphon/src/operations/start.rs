use std::path::PathBuf;

use antiphon_engine::RunLimits;
use antiphon_pipeline::RunLocks;
use antiphon_runtime::{Runner, TaskError};
use antiphon_store::{Run, RunRecord, RunStatus};

use super::error::{Hint, OperationError, OperationErrorKind};
use super::legacy;
use super::outcome::{Plan, RunOutcome};
use super::request::{RunKind, RunRequest};
use super::workspace::{Connected, Purpose, Watch, Workspace};
use super::{content, map, personas};
use crate::runtime::Session;

/// How a run is opened.
#[derive(Debug, Clone)]
pub(super) enum Opening {
    /// By its fingerprint: the newest one of the same, or a new one. Requests of one call have turns in common.
    New(RunLocks),
    /// By its id.
    Resumed(Box<Resumption>),
}

/// A run that is resumed by its id.
#[derive(Debug, Clone)]
pub(super) struct Resumption {
    pub(super) record: RunRecord,
    pub(super) retry_failed: bool,
    /// Whether the recipe is stored with the run. An earlier version stored its file's name alone.
    pub(super) has_recipe: bool,
}

impl Opening {
    pub(super) fn id(&self) -> Option<String> {
        match self {
            Self::New(_) => None,
            Self::Resumed(resumed) => Some(resumed.record.id.clone()),
        }
    }

    /// Returns the turns at runs that requests of one call have in common.
    pub(super) fn locks(&self) -> RunLocks {
        match self {
            Self::New(locks) => locks.clone(),
            Self::Resumed(_) => RunLocks::default(),
        }
    }

    pub(super) fn retries_failed(&self) -> bool {
        matches!(self, Self::Resumed(resumed) if resumed.retry_failed)
    }

    /// Whether all rows are in the store, so that no input is needed.
    pub(super) fn has_all_rows(&self) -> bool {
        matches!(self, Self::Resumed(resumed) if resumed.record.total.is_some())
    }

    /// Whether the recipe that the run began with is stored with it, so that nothing else can stand in its place.
    pub(super) fn has_recipe(&self) -> bool {
        matches!(self, Self::Resumed(resumed) if resumed.has_recipe)
    }
}

impl Workspace {
    /// Says what a request would take: calls, tokens, money and time. Makes no call.
    ///
    /// # Errors
    /// As [`start`](Self::start), for what can be seen without a call.
    ///
    /// # Cancel safety
    /// Nothing is changed, so nothing is lost.
    pub async fn plan(&self, request: &RunRequest, watch: &Watch) -> Result<Plan, OperationError> {
        let connected = self.connect(request, watch, Purpose::Plan).await?;
        match request.kind {
            RunKind::Map => map::plan(self, &connected, watch).await,
            RunKind::Personas => personas::plan(self, &connected, watch).await,
            RunKind::Content => content::plan(self, &connected, watch).await,
        }
    }

    /// Runs a request to its end: intents are stored before calls are sent, and results before they are reported. The same
    /// request again resumes what was broken off, and of a finished run nothing is asked. The run's id comes with
    /// [`RunEvent::Started`](antiphon_engine::RunEvent::Started), before anything is asked.
    ///
    /// # Errors
    /// `Request` for what cannot work, `Configuration` for a key or a setting; of personas also why there are none. Rows that fail are no error: see [`RunOutcome`].
    ///
    /// # Cancel safety
    /// Hangs up. What was accepted is kept, and calls in progress count as possibly billed.
    pub async fn start(&self, request: &RunRequest, watch: Watch) -> Result<RunOutcome, OperationError> {
        self.start_in(self.locks.group(), request, watch).await
    }

    async fn start_in(
        &self,
        locks: RunLocks,
        request: &RunRequest,
        watch: Watch,
    ) -> Result<RunOutcome, OperationError> {
        let connected = self.connect(request, &watch, Purpose::Run).await?;
        self.execute(connected, Opening::New(locks), watch).await
    }

    /// Runs several requests, at most so many at once: one outcome for each, in order. One that fails, even by a panic, loses
    /// no other.
    ///
    /// # Cancel safety
    /// As [`start`](Self::start), for all of them.
    pub async fn start_all(
        &self,
        requests: &[RunRequest],
        max_concurrency: usize,
        watch: &Watch,
    ) -> Vec<Result<RunOutcome, OperationError>> {
        let locks = self.locks.group();
        let runs = requests.iter().map(|request| self.start_in(locks.clone(), request, watch.clone()));
        let outcomes = Runner::new(max_concurrency.max(1)).gather(runs).await;
        let defect =
            |err: TaskError| Err(OperationError::internal(format!("a defect of this program: {err}")));
        outcomes.into_iter().map(|outcome| outcome.unwrap_or_else(defect)).collect()
    }

    /// Resumes a run by its id, the beginning of one, or `latest`, from what the store has; `limits` take the place of those
    /// that are set in them.
    ///
    /// # Errors
    /// As [`start`](Self::start); `NotFound` and `Conflict` for the run's name.
    ///
    /// # Cancel safety
    /// As [`start`](Self::start).
    pub async fn resume(
        &self,
        run: &str,
        limits: &RunLimits,
        watch: Watch,
    ) -> Result<RunOutcome, OperationError> {
        self.open_again(run, limits, watch, false).await
    }

    /// Asks again about the rows of a run that failed, and resumes it.
    ///
    /// # Errors
    /// As [`resume`](Self::resume).
    ///
    /// # Cancel safety
    /// As [`start`](Self::start).
    pub async fn retry_failed(
        &self,
        run: &str,
        limits: &RunLimits,
        watch: Watch,
    ) -> Result<RunOutcome, OperationError> {
        self.open_again(run, limits, watch, true).await
    }

    async fn open_again(
        &self,
        run: &str,
        limits: &RunLimits,
        watch: Watch,
        retry_failed: bool,
    ) -> Result<RunOutcome, OperationError> {
        let store = self.existing().await?;
        let found = store.read_run(run).await?;
        let is_left = matches!(found.record().status, RunStatus::Open | RunStatus::Stopped);
        if retry_failed && is_left && found.tally().await?.failed == 0 {
            let run = found.record().id.clone();
            let message = format!("no row of run {run} has failed");
            let error = OperationError::new(OperationErrorKind::Conflict, message);
            return Err(error.hint(Hint::ResumeRun { run }));
        }
        let has_recipe = RunRequest::read(&found.record().request).is_ok();
        let mut request = self.request_of(&found).await?;
        request.limits = request.limits.overridden_by(limits);
        let connected = self.connect(&request, &watch, Purpose::Run).await?;
        let record = found.record().clone();
        // The queue of failed jobs changes only when it is clear that the run can be resumed.
        let opening = Opening::Resumed(Box::new(Resumption { record, retry_failed, has_recipe }));
        self.execute(connected, opening, watch).await
    }

    async fn execute(
        &self,
        connected: Connected,
        opening: Opening,
        watch: Watch,
    ) -> Result<RunOutcome, OperationError> {
        let input = PathBuf::from(connected.request.input_name());
        let session = connected.session.clone();
        let done = match connected.request.kind {
            RunKind::Map => Box::pin(map::run(self, connected, opening, watch)).await,
            RunKind::Personas => Box::pin(personas::run(self, connected, opening, watch)).await,
            RunKind::Content => Box::pin(content::run(self, connected, opening, watch)).await,
        };
        match done {
            Ok(outcome) => Ok(outcome),
            // No address leads to what was not recorded.
            Err(err) if session.is_replayed => Err(err.without_hint(&Hint::CheckAddress).of_input(input)),
            Err(err) => Err(with_similar_models(err, &session).await.of_input(input)),
        }
    }

    /// What a stored run is asked to do.
    pub(super) async fn request_of(&self, run: &Run) -> Result<RunRequest, OperationError> {
        let record = run.record();
        if record.kind.contains('/') {
            let message = format!("run {} is a part of other runs: resume those", record.id);
            return Err(OperationError::new(OperationErrorKind::Conflict, message));
        }
        match RunRequest::read(&record.request) {
            Ok(request) => Ok(request),
            Err(err) => legacy::request(record).await.unwrap_or_else(|| {
                let message = format!("run {} does not tell how it was begun: {err}", record.id);
                let error = OperationError::new(OperationErrorKind::Configuration, message);
                Err(error.hint(Hint::GiveCommandAgain))
            }),
        }
    }
}

async fn with_similar_models(err: OperationError, session: &Session) -> OperationError {
    if !err.is_unknown_model() {
        return err;
    }
    match super::near_models(session).await {
        models if models.is_empty() => err,
        models => err.hint(Hint::SimilarModels { models }),
    }
}

//! Estimating, starting and resuming of runs.
//!
//! All ways lead through the same steps: the request is completed and connected, the kind of run creates its mapping or
//! generation from it, and the engine or the pipeline opens the run in the store. They differ in how the run is found:
//! by the fingerprint of its rows, recipe and provider, or by its id.

use std::path::{Path, PathBuf};

use antiphon_engine::RunLimits;
use antiphon_llm::Price;
use antiphon_pipeline::RunLocks;
use antiphon_runtime::{Runner, TaskError};
use antiphon_store::{Run, RunRecord, RunStatus};

use super::error::{Hint, OperationError, OperationErrorKind};
use super::legacy;
use super::outcome::{ExpectedCost, Plan, RunOutcome};
use super::request::{RunKind, RunRequest};
use super::workspace::{Connected, Purpose, Watch, Workspace};
use super::{content, map, personas};
use crate::runtime::Session;

/// The way in which a run is opened.
#[derive(Debug, Clone)]
pub(super) enum Opening {
    /// None: the request is estimated, and no file is created.
    Estimate,
    /// By its fingerprint: the newest run with the same one, or a new run. The locks are shared by the requests of one call.
    New(RunLocks),
    /// By its id, to resume it.
    Resumed(Box<Resumption>),
}

/// A run that is resumed by its id.
#[derive(Debug, Clone)]
pub(super) struct Resumption {
    /// The run as the store had it when it was named.
    pub(super) record: RunRecord,
    /// Whether its failed rows are queued again.
    pub(super) retry_failed: bool,
    /// Whether the recipe is stored with the run. An earlier version stored its file's name alone.
    pub(super) has_recipe: bool,
}

impl Opening {
    /// Returns the id of the run to resume; `None` if the fingerprint decides.
    pub(super) fn id(&self) -> Option<String> {
        match self {
            Self::Estimate | Self::New(_) => None,
            Self::Resumed(resumed) => Some(resumed.record.id.clone()),
        }
    }

    /// Returns the locks on runs, which the requests of one call share.
    pub(super) fn locks(&self) -> RunLocks {
        match self {
            Self::New(locks) => locks.clone(),
            Self::Estimate | Self::Resumed(_) => RunLocks::default(),
        }
    }

    /// Returns the purpose for which the run is opened.
    pub(super) fn purpose(&self) -> Purpose {
        match self {
            Self::Estimate => Purpose::Plan,
            Self::New(_) | Self::Resumed(_) => Purpose::Run,
        }
    }

    /// Returns whether failed rows are retried.
    pub(super) fn retries_failed(&self) -> bool {
        matches!(self, Self::Resumed(resumed) if resumed.retry_failed)
    }

    /// Returns whether all rows are in the store, so that no input is needed.
    pub(super) fn has_all_rows(&self) -> bool {
        matches!(self, Self::Resumed(resumed) if resumed.record.total.is_some())
    }

    /// Returns whether the recipe that the run was started with is stored with it, so that it cannot have changed.
    pub(super) fn has_recipe(&self) -> bool {
        matches!(self, Self::Resumed(resumed) if resumed.has_recipe)
    }
}

impl Workspace {
    /// Estimates a request: calls, tokens, cost and time. Makes no model call, creates no files and needs no API key.
    ///
    /// # Errors
    /// The errors of [`start`](Self::start), for errors that are found without a call.
    ///
    /// # Cancel safety
    /// A dropped call changes nothing.
    pub async fn plan(&self, request: &RunRequest, watch: &Watch) -> Result<Plan, OperationError> {
        let connected = self.connect(request, watch, Purpose::Plan).await?;
        let mut plan = self.plan_of(&connected, watch).await?;
        if let (Plan::Rows(estimate), Some(recipe)) = (&mut plan, &connected.recipe) {
            let session = &connected.session;
            estimate.weakened = recipe.weakened(&session.model, &*session.provider).await?;
        }
        Ok(plan)
    }

    async fn plan_of(&self, connected: &Connected, watch: &Watch) -> Result<Plan, OperationError> {
        match connected.request.kind {
            RunKind::Map => map::plan(self, connected, watch).await,
            RunKind::Personas => personas::plan(self, connected, watch).await,
            RunKind::Content => content::plan(self, connected, watch).await,
        }
    }

    /// Returns the cost that a request may have. Reads the input only if the price of the model is known and not zero.
    ///
    /// The provider is connected as for [`start`](Self::start), which then uses the connection; no model is called.
    ///
    /// # Errors
    /// The errors of [`start`](Self::start), for errors that are found without a call.
    ///
    /// # Cancel safety
    /// A dropped call changes nothing.
    pub async fn expected_cost(
        &self,
        request: &RunRequest,
        watch: &Watch,
    ) -> Result<ExpectedCost, OperationError> {
        let connected = self.connect(request, watch, Purpose::Run).await?;
        if connected.request.limits.max_cost.is_some() {
            return Ok(ExpectedCost::Bounded);
        }
        match connected.session.price(0) {
            None => Ok(ExpectedCost::Unknown { base_urls: connected.session.unpriced_urls().to_vec() }),
            Some(price) if price == Price::FREE || price == Price::PREPAID => Ok(ExpectedCost::Bounded),
            Some(_) => {
                // The run reports its input itself.
                let silent = watch.clone().on_event(|_| ());
                let range = self.plan_of(&connected, &silent).await?.cost_range();
                let unknown = ExpectedCost::Unknown { base_urls: Vec::new() };
                Ok(range.map_or(unknown, |(least, most)| ExpectedCost::Between { least, most }))
            }
        }
    }

    /// Runs a request to completion, with a write-ahead journal: intents are stored before calls are sent, and results before
    /// they are reported. The same request again resumes an interrupted run, and returns a finished one without any call. The
    /// run's id is reported by [`RunEvent::Started`](antiphon_engine::RunEvent::Started), before any model is called.
    ///
    /// # Errors
    /// `Request` for an invalid request, `Configuration` for a missing key or an invalid setting, and for personas the reason why
    /// none were generated. Failed rows are not an error: see [`RunOutcome`].
    ///
    /// # Cancel safety
    /// A dropped call closes the connections. Accepted results are kept, and calls in progress count as possibly billed.
    pub async fn start(&self, request: &RunRequest, watch: Watch) -> Result<RunOutcome, OperationError> {
        self.start_in(self.locks.group(), request, watch).await
    }

    /// Starts a request within a group of locks: equal requests of one call are one run, of which the second returns
    /// the result.
    async fn start_in(
        &self,
        locks: RunLocks,
        request: &RunRequest,
        watch: Watch,
    ) -> Result<RunOutcome, OperationError> {
        let connected = self.connect(request, &watch, Purpose::Run).await?;
        self.execute(connected, Opening::New(locks), watch).await
    }

    /// Runs several requests, at most `max_concurrency` at a time, and returns one outcome for each, in order. A failure, even a
    /// panic, does not affect the others.
    ///
    /// # Cancel safety
    /// The same as for [`start`](Self::start), for all of them.
    pub async fn start_all(
        &self,
        requests: &[RunRequest],
        max_concurrency: usize,
        watch: &Watch,
    ) -> Vec<Result<RunOutcome, OperationError>> {
        let locks = self.locks.group();
        let runs = requests
            .iter()
            .map(|request| self.start_in(locks.clone(), request, watch.of_run(request.input_name())));
        let outcomes = Runner::new(max_concurrency.max(1)).gather(runs).await;
        let defect =
            |err: TaskError| Err(OperationError::internal(format!("a defect of this program: {err}")));
        outcomes.into_iter().map(|outcome| outcome.unwrap_or_else(defect)).collect()
    }

    /// Resumes a run, named by its id, a prefix of it, or `latest`, from its stored request. Limits that are set in `limits`
    /// override the stored ones.
    ///
    /// # Errors
    /// The errors of [`start`](Self::start); `NotFound` if there is no such run, `Conflict` if several ids have the prefix.
    ///
    /// # Cancel safety
    /// The same as for [`start`](Self::start).
    pub async fn resume(
        &self,
        run: &str,
        limits: &RunLimits,
        watch: Watch,
    ) -> Result<RunOutcome, OperationError> {
        self.open_again(run, limits, watch, false).await
    }

    /// Retries the failed rows of a run, and resumes it.
    ///
    /// # Errors
    /// The errors of [`resume`](Self::resume); `Conflict` for a run in which no row has failed.
    ///
    /// # Cancel safety
    /// The same as for [`start`](Self::start).
    pub async fn retry_failed(
        &self,
        run: &str,
        limits: &RunLimits,
        watch: Watch,
    ) -> Result<RunOutcome, OperationError> {
        self.open_again(run, limits, watch, true).await
    }

    /// Resumes a run by its id, with or without its failed rows.
    async fn open_again(
        &self,
        run: &str,
        limits: &RunLimits,
        watch: Watch,
        retry_failed: bool,
    ) -> Result<RunOutcome, OperationError> {
        let store = self.existing().await?;
        let found = store.read_run(run).await?;
        if retry_failed {
            check_has_failed(&found, self.folder()).await?;
        }
        let has_recipe = RunRequest::read(&found.record().request).is_ok();
        let mut request = self.request_of(&found).await?;
        request.limits = request.limits.overridden_by(limits);
        let connected = self.connect(&request, &watch, Purpose::Run).await?;
        let record = found.record().clone();
        // Failed jobs are queued again only when it is certain that the run can be resumed.
        let opening = Opening::Resumed(Box::new(Resumption { record, retry_failed, has_recipe }));
        self.execute(connected, opening, watch).await
    }

    /// Runs a connected request by its kind. An error gets its input, and the advice that only a connected provider can
    /// give. The futures are boxed, since the largest of them would otherwise be part of every caller's.
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
            // In a replay, no other address would have the missing answer.
            Err(err) if session.is_replayed => Err(err.without_hint(&Hint::CheckAddress).of_input(input)),
            // Drafts have no address: what they do not support, a model does.
            Err(err) if session.is_offline() && err.hints().contains(&Hint::CheckAddress) => {
                Err(err.without_hint(&Hint::CheckAddress).hint(Hint::NameProvider).of_input(input))
            }
            Err(err) => Err(with_similar_models(err, &session).await.of_input(input)),
        }
    }

    /// Returns the request of a stored run.
    pub(super) async fn request_of(&self, run: &Run) -> Result<RunRequest, OperationError> {
        let record = run.record();
        if record.kind.contains('/') {
            let message = format!("run {} is a part of other runs: resume those", record.id);
            return Err(OperationError::new(OperationErrorKind::Conflict, message));
        }
        match RunRequest::read(&record.request) {
            Ok(request) => Ok(request),
            Err(err) => legacy::request(record).await.unwrap_or_else(|| {
                let message =
                    format!("cannot resume run {}: its stored request is not valid: {err}", record.id);
                let error = OperationError::new(OperationErrorKind::Configuration, message);
                Err(error.hint(Hint::GiveCommandAgain))
            }),
        }
    }
}

/// Checks that an unfinished run has a failed row to retry. A finished run without one is left to the engine, which
/// returns it.
///
/// # Errors
/// `Conflict`, with the advice to resume the run.
async fn check_has_failed(found: &Run, folder: &Path) -> Result<(), OperationError> {
    let status = found.record().status;
    if status == RunStatus::Cancelled || found.tally().await?.failed > 0 {
        return Ok(());
    }
    let run = found.record().id.clone();
    let message = format!("no row of run {run} has failed: there is nothing to retry");
    let error = OperationError::new(OperationErrorKind::Conflict, message);
    Err(if status == RunStatus::Finished {
        error
    } else {
        error.hint(Hint::ResumeRun { run, folder: folder.to_owned() })
    })
}

/// Adds the names of similar models to the error of an unknown one. Asks the provider for its list, which is not
/// billed.
async fn with_similar_models(err: OperationError, session: &Session) -> OperationError {
    if !err.is_unknown_model() {
        return err;
    }
    match super::near_models(session).await {
        models if models.is_empty() => err,
        models => err.hint(Hint::SimilarModels { models }),
    }
}

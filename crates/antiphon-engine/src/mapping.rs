//! Mappings: runs of a recipe over all rows of an input.
//!
//! A mapping is the description of a run, and [`Mapping::run`] carries it out in these steps. All that can fail without
//! a call is done before the first call, so that a wrong path or a wrong template costs nothing:
//!
//! 1. compile the recipe, open the input, and make the prompt of the first row;
//! 2. compute the identity of the run, and find the run to resume;
//! 3. open the destination of results;
//! 4. open the run in the store, and its folder;
//! 5. process the rows and write results (the module `working`);
//! 6. write the failed rows and the report.

#[cfg(test)]
mod tests;
mod working;

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use antiphon_llm::{Calls, Scope};
use antiphon_store::{JobState, Run, RunStatus, Store, Tally};
use jiff::Timestamp;
use serde_json::json;
use tokio::time::Instant;

use self::working::{Ended, Worked};
use crate::error::{Error, ErrorKind};
use crate::event::RunEvent;
use crate::failed_rows::write_failed;
use crate::feed::RowSource;
use crate::file_output::{create_run_folder, in_output};
use crate::input::{Input, InputIdentity};
use crate::recipe::Recipe;
use crate::report::{MapReport, MapStatus, MapTime, details, stop_reason};
use crate::results::{Destination, Order, Sink};
use crate::time_spent::TimeSpent;
use crate::{Options, Status, StopCause, Work};

/// The receiver of a run's events, such as a closure that passes them to a [`Meter`](crate::Meter). It must not block:
/// it is called by the task that processes the run.
pub type OnEvent = Arc<dyn Fn(RunEvent) + Send + Sync>;

/// A run of a recipe over all rows of an input, with results in a file or a sink. For a few rows in memory whose outcomes the
/// caller needs directly use [`JobBatch`](crate::JobBatch).
///
/// The identity of a run is made of the recipe, the model, the provider with its settings, and the rows. Running an equal mapping
/// in the same store resumes the newest run with that identity; order, destination and limits are not part of it, except for
/// `max_rows`, and may change from one start to the next.
///
/// # Examples
/// ```
/// use antiphon_engine::{Input, Mapping, Order, Recipe};
///
/// let recipe = Recipe::parse("towns.toml", "prompt = \"In which country is {{ name }}?\"")?;
/// let rows = vec!["{\"name\": \"Ulm\"}".to_owned()];
/// let mut mapping = Mapping::new(Input::Rows(rows.into()), recipe, "some-model");
/// mapping.order = Order::Completion;
/// mapping.options.limits = mapping.options.limits.max_cost(500_000);
/// assert_eq!(mapping.kind, "map");
/// # Ok::<(), antiphon_engine::Error>(())
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub struct Mapping {
    /// The source of the rows.
    pub input: Input,
    /// The name of the input in reports. Default: its path, or empty for rows in memory.
    pub input_name: String,
    /// The kind of the run in the store. Default: `map`.
    pub kind: String,
    /// The recipe.
    pub recipe: Recipe,
    /// The model's name at the provider. [`Recipe::model`] is not used here; the caller decides between them.
    pub model: String,
    /// The destination of results. Default: `results.jsonl` in the run's folder.
    pub results: Option<Destination>,
    /// The order in which results are written. Default: that of the rows.
    pub order: Order,
    /// Whether an earlier run with the same identity is ignored and a new one started. Default: no, it is resumed.
    pub fresh: bool,
    /// Whether the answers cached by earlier runs are ignored as well, so that equal prompts are sent (and paid for) again.
    /// This also turns off the deduplication of equal prompts within the run. Default: no.
    pub ignores_answers: bool,
    /// The id of the run to resume; the mapping has to have the same identity. Default: the newest run with that identity.
    pub resume: Option<String>,
    /// Whether the failed rows of the run in [`resume`](Self::resume) are retried. Default: no.
    pub retry_failed: bool,
    /// The request as JSON, which is stored with the run; it must not contain a secret. Default: `null`.
    pub request: String,
    /// The report on personal data (PII) that was removed from the input; it must not contain what was removed. Default:
    /// none, so that a resumed run keeps that of its earlier report.
    pub anonymised: Option<serde_json::Value>,
    /// The options of the engine. `cache` and `allow_cut` are always taken from the recipe; `limits.attempts` is taken from it if
    /// unset.
    pub options: Options,
    /// The receiver of events. Default: none.
    pub on_event: OnEvent,
}

/// The outcome of [`Mapping::run`].
#[derive(Debug)]
#[non_exhaustive]
pub struct Mapped {
    /// The report.
    pub report: MapReport,
    /// The run's folder.
    pub folder: PathBuf,
    /// The path of the results, if they are in a file.
    pub results: Option<PathBuf>,
    /// The path of the failed rows, if any failed.
    pub failed: Option<PathBuf>,
    /// The cause of an early end; `None` if every row has ended.
    pub stop: Option<StopCause>,
    /// Whether the run had finished before, so that no call was sent.
    pub reused: bool,
    /// The number of rows that had ended before this call.
    pub resumed_at: u64,
}

/// A mapping whose recipe is compiled and whose input is open.
pub(super) struct Opened {
    /// The compiled recipe.
    pub(super) work: Arc<dyn Work>,
    /// The rows of the input; `None` where they are in the store.
    pub(super) rows: Option<RowSource>,
    /// The provider and its settings, which are part of the run's identity.
    pub(super) scope: Scope,
    /// The identity of the input; `None` where the rows are in the store.
    pub(super) input: Option<InputIdentity>,
}

impl fmt::Debug for Mapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mapping")
            .field("input", &self.input)
            .field("recipe", &self.recipe.name)
            .finish_non_exhaustive()
    }
}

impl Mapping {
    /// Creates a mapping of a recipe over all rows of `input` with `model`.
    #[must_use]
    pub fn new(input: Input, recipe: Recipe, model: impl Into<String>) -> Self {
        let input_name = match &input {
            Input::Path(path, _) | Input::With(path, ..) => path.display().to_string(),
            Input::Rows(_) | Input::Stored => String::new(),
        };
        Self {
            input_name,
            input,
            kind: "map".to_owned(),
            recipe,
            model: model.into(),
            results: None,
            order: Order::Input,
            fresh: false,
            ignores_answers: false,
            resume: None,
            retry_failed: false,
            request: "null".to_owned(),
            anonymised: None,
            options: Options::default(),
            on_event: Arc::new(|_| ()),
        }
    }

    /// Compiles the recipe, opens the input and checks the recipe against the first row, so that a recipe that does not fit fails
    /// before a run is created. A first row that cannot be read is no error here: the run reports it as a failed row.
    ///
    /// # Errors
    /// `Config` for an invalid recipe, one that does not fit the first row, or an input without rows. `Input` for an
    /// input that cannot be opened.
    pub(super) async fn open(&self, calls: &Calls) -> Result<Opened, Error> {
        let work = self.recipe.asking(&self.model)?;
        let (rows, input) = self.input.open().await?;
        if let Some(rows) = &rows {
            match rows.first() {
                Some(Ok(row)) => work.prompt(row).map(drop).map_err(|why| {
                    let message =
                        format!("the recipe `{}` does not fit the first row: {why}", self.recipe.name);
                    Error::new(ErrorKind::Config, message)
                })?,
                Some(Err(_)) => {}
                None => return Err(self.no_rows()),
            }
        }
        Ok(Opened { work, rows, input, scope: calls.provider().scope() })
    }

    /// Returns the error for an input without rows.
    pub(super) fn no_rows(&self) -> Error {
        Error::new(ErrorKind::Config, format!("there are no rows in {}", self.input_name))
    }

    /// Runs the recipe over the rows. Calls are sent through `calls` and journalled in `store`; the run's folder is created in
    /// `out`. Running the same mapping again resumes the rows that are left; for a finished run no call is sent.
    ///
    /// # Errors
    /// `Config` for an invalid recipe or invalid limits, `Input` for rows that cannot be read, `Store` for a store that cannot be
    /// used, `Changed` for a run whose identity changed, `Place` and `Exists` for the destination of results. The cause of a stop
    /// after the start is no error: see [`Mapped::stop`].
    ///
    /// # Cancel safety
    /// A dropped call aborts the calls in progress, which count as possibly billed; accepted results are kept.
    pub async fn run(&self, calls: Calls, store: Store, out: &Path) -> Result<Mapped, Error> {
        let began = Instant::now();
        self.check_price()?;
        let mut opened = self.open(&calls).await?;
        let identity = self.identity_of(&opened, &store).await?;
        let named = self.open_results(&store, identity.as_ref()).await?;
        let run = Arc::new(self.open_run(&store, identity.as_ref(), &mut opened).await?);
        let before = run.tally().await.map_err(Error::store)?;
        let run_id = run.record().id.clone();
        let folder = out.join(&run_id);
        create_run_folder(&folder).await.map_err(Error::place)?;
        antiphon_fs::check_writable(&folder).await.map_err(Error::place)?;
        let sink = match named {
            Some(sink) => sink,
            None => Sink::open(&Destination::Own(folder.join("results.jsonl"))).await?,
        };
        (self.on_event)(RunEvent::Started { run_id, resumed: before.jobs() > 0 });
        let is_named = matches!(&self.input, Input::With(_, options) if options.encoding.is_some());
        if let Some(encoding) =
            opened.rows.as_ref().and_then(RowSource::encoding).filter(|name| *name != "UTF-8" && !is_named)
        {
            let (file, encoding) = (self.input_name.clone(), encoding.to_owned());
            (self.on_event)(RunEvent::Decoded { file, encoding });
        }
        let Opened { work, rows, scope, .. } = opened;
        if work.looks_back() {
            remember(&run, &*work).await?;
        }
        let rows = rows.filter(|_| run.record().total.is_none());
        let results = sink.path();
        let Ended { stop, status, time, served, remarks, beside } =
            self.work(Worked { calls, store, run: run.clone(), work }, rows, sink).await?;
        // A run that was stopped after its last row ended counts as finished.
        let is_done = status.is_all && status.accepted + status.failed == status.rows;
        let stop = stop
            .filter(|stop| !is_done || !matches!(stop, StopCause::Deadline { .. } | StopCause::Interrupted));
        let mut report = self.report(&run, &scope, stop.as_ref(), &status).await?;
        served.report(&mut report);
        (report.weakened, report.warnings) = (remarks.weakened(), remarks.warnings);
        let time = MapTime::new(&TimeSpent { wall: began.elapsed(), ..time });
        let results = beside.or(results);
        let mapped = Mapped {
            report: MapReport { time, ..report },
            folder,
            results,
            failed: None,
            stop,
            reused: false,
            resumed_at: done(&before),
        };
        Ok(self.end(&run, mapped).await)
    }

    /// Returns an error for a budget without a price: the cost of a call could not be bounded.
    fn check_price(&self) -> Result<(), Error> {
        if self.options.limits.max_cost.is_none() || (self.options.pricing)(0).is_some() {
            return Ok(());
        }
        let message = format!("a budget cannot be kept, since the price of {} is not known", self.model);
        Err(Error::new(ErrorKind::Config, message))
    }

    /// Completes the outcome: writes the failed rows and the report. Failures are the cause of a stop unless there is
    /// one already, so that an outcome with accepted results is returned in any case.
    async fn end(&self, run: &Run, mut mapped: Mapped) -> Mapped {
        let is_finished = run.record().status == RunStatus::Finished;
        mapped.reused = is_finished && mapped.resumed_at == mapped.report.rows;
        // A run that was finished before keeps the report of its own work.
        let earlier = run.record().report.as_deref().filter(|_| mapped.reused);
        if let Some(report) = earlier.and_then(|text| serde_json::from_str(text).ok()) {
            mapped.report = report;
        }
        match write_own_failed(run, &mapped.folder).await {
            Ok(failed) => mapped.failed = failed,
            Err(unwritten) => mapped.stop = mapped.stop.or(Some(unwritten)),
        }
        if let Err(unkept) = self.keep(run, &mapped.folder, &mapped.report).await {
            mapped.stop = mapped.stop.or(Some(unkept));
        }
        mapped
    }

    /// Returns the name of the note with the usage of this recipe's calls. The input is not part of it: usage is
    /// learned from one input and used for the next.
    pub(super) fn usual_name(&self, scope: &Scope) -> String {
        let parts = json!({ "recipe": self.recipe, "model": self.model, "provider": scope.vendor, "base_url": scope.base_url, "variant": scope.variant });
        format!("usual/{}", blake3::hash(parts.to_string().as_bytes()).to_hex())
    }

    /// Returns whether equal prompts have one answer, also that of an earlier run.
    pub(super) fn uses_cache(&self) -> bool {
        self.recipe.cache && !self.ignores_answers
    }

    /// Makes the report from the sums in the store, which include the work of other processes, and from the counters of
    /// this one.
    async fn report(
        &self,
        run: &Run,
        scope: &Scope,
        stop: Option<&StopCause>,
        status: &Status,
    ) -> Result<MapReport, Error> {
        let tally = run.tally().await.map_err(Error::store)?;
        let (possibly_billed, causes) = details(run, &tally).await.map_err(Error::store)?;
        let left = tally.jobs() - done(&tally);
        let (input_tokens, output_tokens) = tally.tokens();
        Ok(MapReport {
            schema: "antiphon.map/1".to_owned(),
            run_id: run.record().id.clone(),
            status: map_status(stop, left),
            stopped_by: stop.map(stop_reason),
            recipe: self.recipe.name.clone(),
            provider: scope.vendor.clone(),
            base_url: scope.base_url.clone(),
            model: self.model.clone(),
            parameters: self.recipe.parameters.clone(),
            input: self.input_name.clone(),
            fingerprint: run.record().fingerprint.clone(),
            ended_at: Timestamp::now().to_string(),
            rows: tally.jobs(),
            rows_are_all: status.is_all,
            accepted: tally.accepted,
            failed: tally.failed,
            left,
            cached: status.cached,
            calls: tally.calls,
            input_tokens,
            output_tokens,
            answers_without_usage: tally.unreported,
            cost_usd_micros: (!tally.cost_unknown).then_some(tally.settled),
            possibly_billed,
            causes,
            served_models: BTreeMap::new(),
            finish_reasons: BTreeMap::new(),
            marked_answers: BTreeMap::new(),
            elements_left_out: 0,
            anonymised: self.anonymised.clone().or_else(|| anonymised_before(run)),
            weakened: Vec::new(),
            warnings: Vec::new(),
            time: MapTime::default(),
        })
    }

    /// Stores the report with the run, and writes it to `run.json`.
    async fn keep(&self, run: &Run, folder: &Path, report: &MapReport) -> Result<(), StopCause> {
        let text =
            serde_json::to_string_pretty(report).map_err(|err| StopCause::Internal(err.to_string()))?;
        if !run.finish(run_status(report.status), text.clone()).await.map_err(StopCause::Store)? {
            // Another process finished the run, and its report is kept.
            return Ok(());
        }
        let (out, name) = in_output(folder);
        let written = antiphon_fs::write_below(out, Path::new(name).join("run.json"), text + "\n");
        written.await.map_err(|err| StopCause::Output(err.to_string()))
    }
}

/// Writes the failed rows into the folder of the run, which is no link.
async fn write_own_failed(run: &Run, folder: &Path) -> Result<Option<PathBuf>, StopCause> {
    create_run_folder(folder).await.map_err(|err| StopCause::Output(err.to_string()))?;
    write_failed(run, &folder.join("failed.jsonl")).await
}

/// Returns what the earlier report of a run says about personal data that was removed from its input.
fn anonymised_before(run: &Run) -> Option<serde_json::Value> {
    let earlier: MapReport = serde_json::from_str(run.record().report.as_deref()?).ok()?;
    earlier.anonymised
}

/// Returns the status of a run by the cause of its stop, if any, and the number of rows that have not ended. Without a
/// stop, rows are left where other processes still work on them.
fn map_status(stop: Option<&StopCause>, left: u64) -> MapStatus {
    match stop {
        None if left == 0 => MapStatus::Finished,
        Some(StopCause::Cancelled) => MapStatus::Cancelled,
        _ => MapStatus::Stopped,
    }
}

/// Returns the status in the store for that of a report.
fn run_status(status: MapStatus) -> RunStatus {
    match status {
        MapStatus::Finished => RunStatus::Finished,
        MapStatus::Stopped => RunStatus::Stopped,
        MapStatus::Cancelled => RunStatus::Cancelled,
    }
}

/// Returns the number of rows that have ended, with a result or as failed.
fn done(tally: &Tally) -> u64 {
    tally.accepted + tally.failed
}

/// Passes the earlier results of the run to the recipe, a page at a time, in the order of the rows.
async fn remember(run: &Run, work: &dyn Work) -> Result<(), Error> {
    let mut pages = run.pages();
    loop {
        let jobs = pages.next().await.map_err(Error::store)?;
        if jobs.is_empty() {
            return Ok(());
        }
        for job in &jobs {
            if let Some(result) = job.result.as_deref().filter(|_| job.state == JobState::Accepted) {
                work.accepted_before(job.index, result);
            }
        }
    }
}

/// Returns the indices of the rows that have ended. Memory use grows with their number, by a few bytes for each.
pub(super) async fn ended(run: &Run) -> Result<HashSet<u64>, Error> {
    let (mut ended, mut pages) = (HashSet::new(), run.pages());
    loop {
        let jobs = pages.next().await.map_err(Error::store)?;
        if jobs.is_empty() {
            return Ok(ended);
        }
        ended.extend(jobs.iter().filter(|job| job.state.is_end()).map(|job| job.index));
    }
}

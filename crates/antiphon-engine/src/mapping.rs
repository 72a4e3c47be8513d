#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use antiphon_llm::{Calls, Scope};
use antiphon_store::{JobState, Run, RunStatus, Store, Tally};
use jiff::Timestamp;
use serde_json::json;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::error::{Error, ErrorKind};
use crate::event::RunEvent;
use crate::failed_rows::write_failed;
use crate::feed::RowSource;
use crate::file_output::is_beside;
use crate::input::{Input, InputIdentity};
use crate::recipe::Recipe;
use crate::report::{MapReport, MapStatus, MapTime, details, stop_reason};
use crate::results::{Destination, Order, Output, Sink, Unwritten};
use crate::served::Served;
use crate::time_spent::TimeSpent;
use crate::{Engine, Journal, Options, Status, StopCause, UsageQuantiles, Work};

/// The receiver of a run's events. It must not block.
pub type OnEvent = Arc<dyn Fn(RunEvent) + Send + Sync>;

/// A recipe over the rows of an input.
#[derive(Clone)]
#[non_exhaustive]
pub struct Mapping {
    /// Where the rows come from.
    pub input: Input,
    /// The name of the input in reports. Default: its path.
    pub input_name: String,
    /// The kind of the run in the store. Default: `map`.
    pub kind: String,
    /// What is asked about each row.
    pub recipe: Recipe,
    /// The model to ask.
    pub model: String,
    /// Where results go. Default: `results.jsonl` in the run's folder.
    pub results: Option<Destination>,
    /// In which order results are written. Default: that of the rows.
    pub order: Order,
    /// Whether an earlier run of the same kind is left alone. Default: it is resumed.
    pub fresh: bool,
    /// Whether answers of earlier runs are left alone, too, so that equal questions are asked again. Default: no.
    pub ignores_answers: bool,
    /// The one run that is resumed, by its id; the mapping has to be the same as it was. Default: the newest of the same.
    pub resume: Option<String>,
    /// Whether the rows of that run that failed are asked about again.
    pub retry_failed: bool,
    /// What was asked for, as JSON: stored with the run. Never a secret.
    pub request: String,
    /// How the engine works. `cache` and `allow_cut` are the recipe's, and so are `attempts` where no limit is set.
    pub options: Options,
    /// The receiver of events.
    pub on_event: OnEvent,
}

/// A run over rows, as far as it came.
#[derive(Debug)]
#[non_exhaustive]
pub struct Mapped {
    /// What came of it.
    pub report: MapReport,
    /// The run's folder.
    pub folder: PathBuf,
    /// The results, where they are in a file.
    pub results: Option<PathBuf>,
    /// The rows that failed, if any did.
    pub failed: Option<PathBuf>,
    /// Why it ended early.
    pub stop: Option<StopCause>,
    /// Whether it was finished before, and nothing was asked.
    pub reused: bool,
    /// Rows that were done when it began.
    pub resumed_at: u64,
}

/// A mapping with its recipe compiled and its input open: each once.
pub(super) struct Opened {
    pub(super) work: Arc<dyn Work>,
    pub(super) rows: Option<RowSource>,
    pub(super) scope: Scope,
    /// What tells the input from another; `None` where the rows are in the store.
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
    /// Creates a mapping of a recipe over all rows of `input`, asked of `model`.
    #[must_use]
    pub fn new(input: Input, recipe: Recipe, model: impl Into<String>) -> Self {
        let input_name = match &input {
            Input::Path(path, _) => path.display().to_string(),
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
            options: Options::default(),
            on_event: Arc::new(|_| ()),
        }
    }

    /// Compiles the recipe, opens the input and looks at its first row: a recipe that does not fit the rows at all fails
    /// before anything is made.
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

    pub(super) fn no_rows(&self) -> Error {
        Error::new(ErrorKind::Config, format!("there are no rows in {}", self.input_name))
    }

    /// Gets through the rows with `calls`, journalled in `store`; the run has its folder below `out`. The same mapping
    /// again resumes what is left; of a finished one nothing is asked.
    ///
    /// # Errors
    /// `Config` for a recipe that cannot work, `Input` for rows that cannot be read, `Store` for a store that cannot
    /// be used, `Changed` for a run that is no longer the same, `Place` and `Exists` for where results are to go. What happens after
    /// the run began ends it as [`Mapped::stop`].
    ///
    /// # Cancel safety
    /// Hangs up. What was accepted is kept, and calls in progress count as possibly billed.
    pub async fn run(&self, calls: Calls, store: Store, out: &Path) -> Result<Mapped, Error> {
        let began = Instant::now();
        if self.options.limits.max_cost.is_some() && (self.options.pricing)(0).is_none() {
            let message = format!("a budget cannot be kept, since the price of {} is not known", self.model);
            return Err(Error::new(ErrorKind::Config, message));
        }
        let mut opened = self.open(&calls).await?;
        let identity = self.identity_of(&opened, &store).await?;
        let named = self.open_results(&store, identity.as_ref()).await?;
        let run = Arc::new(self.open_run(&store, identity.as_ref(), &mut opened).await?);
        let before = run.tally().await.map_err(Error::store)?;
        let run_id = run.record().id.clone();
        let folder = out.join(&run_id);
        antiphon_fs::check_writable(&folder).await.map_err(Error::place)?;
        let sink = match named {
            Some(sink) => sink,
            None => Sink::open(&Destination::Replace(folder.join("results.jsonl"))).await?,
        };
        (self.on_event)(RunEvent::Started { run_id, resumed: before.jobs() > 0 });
        let Opened { work, rows, scope, .. } = opened;
        if work.looks_back() {
            remember(&run, &*work).await?;
        }
        let rows = rows.filter(|_| run.record().total.is_none());
        let results = sink.path();
        let Ended { stop, status, time, served, beside } =
            self.work(Worked { calls, store, run: run.clone(), work }, rows, sink).await?;
        // What was stopped when nothing was left to do is finished.
        let is_done = status.is_all && status.accepted + status.failed == status.rows;
        let stop = stop
            .filter(|stop| !is_done || !matches!(stop, StopCause::Deadline { .. } | StopCause::Interrupted));
        let mut report = self.report(&run, &scope, stop.as_ref(), &status).await?;
        report.served_models = served.into_models();
        let time = MapTime::new(&TimeSpent { wall: began.elapsed(), ..time });
        let results = beside.or(results);
        self.end(&run, (folder, results), (MapReport { time, ..report }, stop), done(&before)).await
    }

    /// Writes what is beside the results, and what is to be told of the run.
    async fn end(
        &self,
        run: &Run,
        (folder, results): (PathBuf, Option<PathBuf>),
        (report, stop): (MapReport, Option<StopCause>),
        resumed_at: u64,
    ) -> Result<Mapped, Error> {
        let reused = run.record().status == RunStatus::Finished && resumed_at == report.rows;
        // A run that was finished before keeps the report of its own work.
        let earlier = run.record().report.as_deref().filter(|_| reused);
        let report = earlier.and_then(|text| serde_json::from_str(text).ok()).unwrap_or(report);
        let failed = write_failed(run, &folder.join("failed.jsonl")).await;
        let stop = match (stop, &failed) {
            (None, Err(why)) => Some(StopCause::Output(why.clone())),
            (stop, _) => stop,
        };
        let stop = match self.keep(run, &folder, &report).await {
            Err(kept) => stop.or(Some(kept)),
            Ok(()) => stop,
        };
        Ok(Mapped { report, folder, results, failed: failed.ok().flatten(), stop, reused, resumed_at })
    }

    /// The name under which the usage of this recipe's calls is kept.
    pub(super) fn usual_name(&self, scope: &Scope) -> String {
        let parts = json!({ "recipe": self.recipe, "model": self.model, "provider": scope.vendor, "base_url": scope.base_url, "variant": scope.variant });
        format!("usual/{}", blake3::hash(parts.to_string().as_bytes()).to_hex())
    }

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
            status: match stop {
                None if left == 0 => MapStatus::Finished,
                Some(StopCause::Cancelled) => MapStatus::Cancelled,
                _ => MapStatus::Stopped,
            },
            stopped_by: stop.map(stop_reason),
            recipe: self.recipe.name.clone(),
            provider: scope.vendor.clone(),
            base_url: scope.base_url.clone(),
            model: self.model.clone(),
            input: self.input_name.clone(),
            fingerprint: run.record().fingerprint.clone(),
            ended_at: Timestamp::now().to_string(),
            rows: tally.jobs(),
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
            time: MapTime::default(),
        })
    }

    /// Works until the end, and writes results meanwhile.
    async fn work(&self, worked: Worked, rows: Option<RowSource>, sink: Sink) -> Result<Ended, Error> {
        let Worked { calls, store, run, work } = worked;
        let (ended, results) = mpsc::channel(1_024);
        let mut options = self.options.clone();
        options.limits.attempts = options.limits.attempts.or(Some(self.recipe.attempts));
        options.cache = self.recipe.cache && !self.ignores_answers;
        options.allow_cut = self.recipe.allow_cut;
        // Whoever reads the results may go: nothing new begins then.
        let drain = options.drain.child_token();
        options.drain = drain.clone();
        let (notes, name) = (store.clone(), self.usual_name(&calls.provider().scope()));
        let engine = Engine::new(calls, Journal::new(store, run.clone()), work, options, ended)
            .await
            .map_err(Error::store)?;
        let usual = notes.note(name.clone()).await.map_err(Error::store)?;
        if let Some(usual) = usual.and_then(|note| serde_json::from_str(&note).ok()) {
            engine.remember(usual);
        }
        // Before anything is asked: what was done before is written once, and a place that cannot be written to costs nothing.
        let wanted = sink.path();
        let mut output = match Output::begin(run, self.order, sink).await {
            Ok(output) => output,
            Err(unwritten) => {
                let (stop, served) = (Some(unwritten.into()), Served::default());
                let (status, time) = (engine.status(), engine.time_spent());
                return Ok(Ended { stop, status, time, served, beside: None });
            }
        };
        let working = async {
            let stop = self.watched(&engine, rows).await;
            let (status, time) = (engine.status(), engine.time_spent());
            if let Some(usual) = engine.usual() {
                remember_usual(&notes, name, usual).await;
            }
            engine.hand_over_unsaved().await;
            // With it the last sender goes, and the results are complete.
            drop(engine);
            (stop, status, time)
        };
        let writing = async {
            let followed = output.follow(results).await;
            let served = std::mem::take(&mut output.served);
            let finished = output.finish().await;
            let written = followed.and(finished);
            if written.is_err() {
                drain.cancel();
            }
            (written, served)
        };
        let ((stop, status, time), (written, served)) = tokio::join!(working, writing);
        let (failed, beside) = match written {
            Ok(beside) => {
                let both = wanted.as_deref().zip(beside.as_deref());
                (both.map(|(wanted, beside)| StopCause::Output(is_beside(wanted, beside))), beside)
            }
            Err(unwritten) => (Some(unwritten.into()), None),
        };
        Ok(Ended { stop: failed.or(stop), status, time, served, beside })
    }

    async fn watched(&self, engine: &Engine, rows: Option<RowSource>) -> Option<StopCause> {
        let work = engine.work(rows);
        tokio::pin!(work);
        let mut ticks = interval(Duration::from_millis(200));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let progress = || (self.on_event)(RunEvent::Progress(Box::new(engine.status())));
        let stop = loop {
            tokio::select! {
                stop = &mut work => break stop,
                _ = ticks.tick() => progress(),
            }
        };
        progress();
        stop
    }

    async fn keep(&self, run: &Run, folder: &Path, report: &MapReport) -> Result<(), StopCause> {
        let text =
            serde_json::to_string_pretty(report).map_err(|err| StopCause::Internal(err.to_string()))?;
        let status = match report.status {
            MapStatus::Finished => RunStatus::Finished,
            MapStatus::Stopped => RunStatus::Stopped,
            MapStatus::Cancelled => RunStatus::Cancelled,
        };
        if !run.finish(status, text.clone()).await.map_err(StopCause::Store)? {
            // Another process finished the run: the report is its own.
            return Ok(());
        }
        let written = async {
            // A store in memory makes no folder.
            antiphon_fs::create_dir(folder).await?;
            antiphon_fs::write(folder.join("run.json"), text + "\n").await
        };
        written.await.map_err(|err| StopCause::Output(err.to_string()))
    }
}

impl From<Unwritten> for StopCause {
    fn from(unwritten: Unwritten) -> Self {
        match unwritten {
            Unwritten::Unread => Self::Unread,
            Unwritten::Failed(why) => Self::Output(why),
        }
    }
}

/// How the work on a run ended.
struct Ended {
    stop: Option<StopCause>,
    status: Status,
    time: TimeSpent,
    served: Served,
    /// The results, where another file has the name that was meant for them.
    beside: Option<PathBuf>,
}

/// What a run is worked on with.
struct Worked {
    calls: Calls,
    store: Store,
    run: Arc<Run>,
    work: Arc<dyn Work>,
}

fn done(tally: &Tally) -> u64 {
    tally.accepted + tally.failed
}

/// Tells the recipe of the results that are there already.
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

/// The rows of a run that have ended.
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

/// Keeps what calls take, unless it is by a few calls and something is known already. It only makes estimates better.
async fn remember_usual(store: &Store, name: String, usual: UsageQuantiles) {
    const ENOUGH: u64 = 20;
    let known = store.note(name.clone()).await.ok().flatten();
    if let Some(note) =
        serde_json::to_string(&usual).ok().filter(|_| known.is_none() || usual.calls >= ENOUGH)
    {
        let _ = store.set_note(name, note).await;
    }
}

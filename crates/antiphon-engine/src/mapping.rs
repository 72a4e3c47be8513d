use std::collections::HashSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use antiphon_data::{RowFormat, Rows};
use antiphon_llm::{Calls, Scope};
use antiphon_store::{JobState, NewRun, Run, RunStatus, Store, Tally};
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::error::{Error, ErrorKind};
use crate::recipe::Recipe;
use crate::report::{MapReport, MapStatus, MapTime, details, told};
use crate::results::{Destination, Order, Output, Unwritten, write_failed};
use crate::{Engine, Options, Status, Stop, Usual, Work};

/// Is told how a run stands, a few times a second. It must not block.
pub type OnStatus = Arc<dyn Fn(&Status) + Send + Sync>;

/// A recipe over the rows of an input.
#[derive(Clone)]
#[non_exhaustive]
pub struct Mapping {
    /// A file of rows, or a folder of documents.
    pub input: PathBuf,
    /// What the input is called in reports. Default: its path.
    pub input_name: String,
    /// What the rows are written as. Default: what the file's name or its beginning tells.
    pub format: Option<RowFormat>,
    /// What is asked about each.
    pub recipe: Recipe,
    /// The model to ask.
    pub model: String,
    /// The most rows that are worked on. Default: all.
    pub limit: Option<u64>,
    /// Where results go. Default: `results.jsonl` in the run's folder.
    pub results: Option<Destination>,
    /// In which order. Default: that of the rows.
    pub order: Order,
    /// Whether an earlier run of the same kind is left alone. Default: it is gone on with.
    pub fresh: bool,
    /// Whether answers of earlier runs are left alone, too, so that equal questions are asked again. Default: no.
    pub asks_anew: bool,
    /// The one run that is gone on with, by its id; the mapping has to be the same as it was. Default: the newest of the same.
    pub resume: Option<String>,
    /// Whether the rows of that run that failed are asked about again.
    pub retry_failed: bool,
    /// How the command can be given again: kept with the run.
    pub request: Value,
    /// How the engine works. `attempts`, `cache` and `allow_cut` are the recipe's, `limit` is this one's.
    pub options: Options,
    /// Is told how things stand.
    pub on_status: OnStatus,
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
    pub stop: Option<Stop>,
    /// Whether it was finished before, and nothing was asked.
    pub reused: bool,
    /// Rows that were done when it began.
    pub resumed_at: u64,
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
    /// A recipe over all rows of `input`, asked of `model`.
    #[must_use]
    pub fn new(input: impl Into<PathBuf>, recipe: Recipe, model: impl Into<String>) -> Self {
        let input = input.into();
        Self {
            input_name: input.display().to_string(),
            input,
            format: None,
            recipe,
            model: model.into(),
            limit: None,
            results: None,
            order: Order::Input,
            fresh: false,
            asks_anew: false,
            resume: None,
            retry_failed: false,
            request: Value::Null,
            options: Options::default(),
            on_status: Arc::new(|_| ()),
        }
    }

    /// What identifies the run at a provider.
    ///
    /// # Errors
    /// `Input` where the input cannot be read.
    ///
    /// # Cancel safety
    /// Nothing is changed, so nothing is lost.
    pub async fn fingerprint(&self, scope: &Scope) -> Result<String, Error> {
        let digest = Rows::digest(&self.input).await.map_err(Error::input)?;
        let format = self.format.map(|format| format!("{format:?}"));
        // Settings of the provider that change answers; not in words, since a header may be among them.
        let variant =
            scope.variant.as_deref().map(|variant| blake3::hash(variant.as_bytes()).to_hex().to_string());
        let parts = json!({
            "kind": "map/1", "recipe": self.recipe, "model": self.model, "provider": scope.vendor,
            "base_url": scope.base_url, "variant": variant, "input": digest, "format": format, "limit": self.limit,
        });
        Ok(blake3::hash(parts.to_string().as_bytes()).to_hex().to_string())
    }

    /// Gets through the rows with `calls`, journalled in `store`, whose runs have their folders below `out`. The same
    /// mapping again goes on with what is left; of a finished one it asks nothing.
    ///
    /// # Errors
    /// `Config` for a recipe that cannot work, `Input` for rows that cannot be read, `Store` for a journal that cannot
    /// be used or a run that another process works on. What happens after the run began ends it as [`Mapped::stop`].
    ///
    /// # Cancel safety
    /// Hangs up. What was accepted is kept, and calls under way count as possibly billed.
    pub async fn run(&self, calls: Calls, store: Store, out: &Path) -> Result<Mapped, Error> {
        let began = Instant::now();
        if self.options.max_cost.is_some() && (self.options.pricing)(0).is_none() {
            let message = format!("a budget cannot be kept, since the price of {} is not known", self.model);
            return Err(Error::new(ErrorKind::Config, message));
        }
        let scope = calls.provider().scope();
        let work = self.recipe.asking(&self.model)?;
        self.look_at_first_row(&*work).await?;
        let fingerprint = self.fingerprint(&scope).await?;
        let run = Arc::new(self.open(&store, &fingerprint).await?);
        let before = run.tally().await.map_err(Error::store)?;
        let folder = out.join(&run.record().id);
        let to = self.results.clone().unwrap_or_else(|| Destination::File(folder.join("results.jsonl")));
        if work.looks_back() {
            remember(&run, &*work).await?;
        }
        let (stop, status, time) = self.go(calls, (store, run.clone()), work, &to).await?;
        let report = self.report(&run, (&scope, fingerprint), stop.as_ref(), &status).await?;
        let time = MapTime::new(began.elapsed(), time, status.bottleneck, status.limits);
        let report = MapReport { time, ..report };
        let resumed_at = done(&before);
        let reused = run.record().status == RunStatus::Finished && resumed_at == report.rows;
        // A run that was finished before keeps the report of its own work.
        let earlier = run.record().report.as_deref().filter(|_| reused);
        let report = earlier.and_then(|text| serde_json::from_str(text).ok()).unwrap_or(report);
        let failed = write_failed(&run, &folder.join("failed.jsonl")).await;
        let stop = match (stop, &failed) {
            (None, Err(why)) => Some(Stop::Output(why.clone())),
            (stop, _) => stop,
        };
        let stop = match self.keep(&run, &folder, &report).await {
            Err(kept) => stop.or(Some(kept)),
            Ok(()) => stop,
        };
        let results = match &to {
            Destination::File(path) => Some(path.clone()),
            Destination::Lines(_) => None,
        };
        Ok(Mapped { report, folder, results, failed: failed.ok().flatten(), stop, reused, resumed_at })
    }

    async fn open(&self, store: &Store, fingerprint: &str) -> Result<Run, Error> {
        let Some(id) = &self.resume else {
            let new = NewRun::new(fingerprint).request("map", self.request.to_string()).fresh(self.fresh);
            return store.open_run(new).await.map_err(Error::store);
        };
        let run = store.take_run(id).await.map_err(Error::store)?;
        match run.record().fingerprint == fingerprint {
            true if self.retry_failed => run.retry_failed().await.map(|_| run).map_err(Error::store),
            true => Ok(run),
            false => {
                let message = format!(
                    "run {id} cannot be gone on with: its rows, its recipe, its provider or its model are not what they were"
                );
                Err(Error::new(ErrorKind::Config, message))
            }
        }
    }

    /// The name under which it is kept what calls of this recipe usually take.
    pub(super) fn usual_name(&self, scope: &Scope) -> String {
        let parts = json!({ "recipe": self.recipe, "model": self.model, "provider": scope.vendor, "base_url": scope.base_url, "variant": scope.variant });
        format!("usual/{}", blake3::hash(parts.to_string().as_bytes()).to_hex())
    }

    async fn report(
        &self,
        run: &Run,
        (scope, fingerprint): (&Scope, String),
        stop: Option<&Stop>,
        status: &Status,
    ) -> Result<MapReport, Error> {
        let tally = run.tally().await.map_err(Error::store)?;
        let (possibly_billed, causes) = details(run, &tally).await.map_err(Error::store)?;
        let left = tally.jobs() - done(&tally);
        Ok(MapReport {
            schema: "antiphon.map/1".to_owned(),
            run_id: run.record().id.clone(),
            status: if stop.is_none() && left == 0 { MapStatus::Finished } else { MapStatus::Stopped },
            stopped_by: stop.map(told),
            recipe: self.recipe.name.clone(),
            provider: scope.vendor.clone(),
            base_url: scope.base_url.clone(),
            model: self.model.clone(),
            input: self.input_name.clone(),
            fingerprint,
            ended_at: Timestamp::now().to_string(),
            rows: tally.jobs(),
            accepted: tally.accepted,
            failed: tally.failed,
            left,
            cached: status.cached,
            calls: tally.calls,
            input_tokens: tally.input_tokens,
            output_tokens: tally.output_tokens,
            cost_usd_micros: (!tally.cost_unknown).then_some(tally.settled),
            possibly_billed,
            causes,
            time: MapTime::default(),
        })
    }

    /// A recipe that does not fit the rows at all fails before anything is made.
    pub(super) async fn look_at_first_row(&self, work: &dyn Work) -> Result<(), Error> {
        let mut rows = Rows::open(&self.input, self.format).await.map_err(Error::input)?;
        let first = rows.next().await.map_err(Error::input)?;
        match first.first() {
            Some(Ok(row)) => work.prompt(row).map(drop).map_err(|why| {
                let message = format!("the recipe `{}` does not fit the first row: {why}", self.recipe.name);
                Error::new(ErrorKind::Config, message)
            }),
            Some(Err(_)) => Ok(()),
            None => Err(Error::new(ErrorKind::Config, format!("there are no rows in {}", self.input_name))),
        }
    }

    /// Works until the end, and writes results meanwhile.
    async fn go(
        &self,
        calls: Calls,
        (store, run): (Store, Arc<Run>),
        work: Arc<dyn Work>,
        to: &Destination,
    ) -> Result<(Option<Stop>, Status, Phases), Error> {
        let rows = match run.record().total {
            Some(_) => None,
            None => Some(Rows::open(&self.input, self.format).await.map_err(Error::input)?),
        };
        let (ended, results) = mpsc::channel(1_024);
        let mut options = self.options.clone();
        options.attempts = self.recipe.attempts;
        (options.cache, options.allow_cut) = (self.recipe.cache && !self.asks_anew, self.recipe.allow_cut);
        options.limit = self.limit;
        // Whoever reads the results may go: nothing new begins then.
        let drain = options.drain.child_token();
        options.drain = drain.clone();
        let (notes, name) = (store.clone(), self.usual_name(&calls.provider().scope()));
        let engine =
            Engine::new(calls, (store, run.clone()), work, options, ended).await.map_err(Error::store)?;
        let usual = notes.recall(name.clone()).await.map_err(Error::store)?;
        if let Some(usual) = usual.and_then(|note| serde_json::from_str(&note).ok()) {
            engine.remember(usual);
        }
        // Before anything is asked: what was done before is written once, and a place that cannot be written to costs nothing.
        let mut output = match Output::begin(run, self.order, to).await {
            Ok(output) => output,
            Err(unwritten) => return Ok((Some(unwritten.into()), engine.status(), engine.time())),
        };
        let working = async {
            let stop = self.watched(&engine, rows).await;
            let (status, time) = (engine.status(), engine.time());
            if let Some(usual) = engine.usual() {
                remember_usual(&notes, name, usual).await;
            }
            // With it the last sender goes, and the results are complete.
            drop(engine);
            (stop, status, time)
        };
        let writing = async {
            let followed = output.follow(results).await;
            output.finish().await.and(followed)
        };
        let writing = async {
            let written = writing.await;
            if written.is_err() {
                drain.cancel();
            }
            written
        };
        let ((stop, status, time), written) = tokio::join!(working, writing);
        Ok((written.err().map(Stop::from).or(stop), status, time))
    }

    async fn watched(&self, engine: &Engine, rows: Option<Rows>) -> Option<Stop> {
        let work = engine.work(rows);
        tokio::pin!(work);
        let mut ticks = interval(Duration::from_millis(200));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let stop = loop {
            tokio::select! {
                stop = &mut work => break stop,
                _ = ticks.tick() => (self.on_status)(&engine.status()),
            }
        };
        (self.on_status)(&engine.status());
        stop
    }

    async fn keep(&self, run: &Run, folder: &Path, report: &MapReport) -> Result<(), Stop> {
        let text = serde_json::to_string_pretty(report).map_err(|err| Stop::Internal(err.to_string()))?;
        let status = match report.status {
            MapStatus::Finished => RunStatus::Finished,
            MapStatus::Stopped => RunStatus::Stopped,
        };
        run.finish(status, text.clone()).await.map_err(Stop::Store)?;
        let written = antiphon_fs::write(folder.join("run.json"), text + "\n").await;
        written.map_err(|err| Stop::Output(err.to_string()))
    }
}

impl From<Unwritten> for Stop {
    fn from(unwritten: Unwritten) -> Self {
        match unwritten {
            Unwritten::Unread => Self::Unread,
            Unwritten::Failed(why) => Self::Output(why),
        }
    }
}

type Phases = [(crate::Phase, Duration); crate::PHASES.len()];

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
async fn remember_usual(store: &Store, name: String, usual: Usual) {
    const ENOUGH: u64 = 20;
    let known = store.recall(name.clone()).await.ok().flatten();
    if let Some(note) =
        serde_json::to_string(&usual).ok().filter(|_| known.is_none() || usual.calls >= ENOUGH)
    {
        let _ = store.remember(name, note).await;
    }
}

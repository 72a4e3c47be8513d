use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use antiphon_data::{Anonymiser, Document, Replaced};
use antiphon_engine::Options;
use antiphon_pipeline::runs::RunFolder;
use antiphon_pipeline::{
    Count, Distil, Error, Event, Generation, GenerationConfig, GenerationEstimate, Journal, Persona,
    PersonaRecipe, Personas, Pipeline, Prepared, Report,
};
use antiphon_render::{file_name, markdown, page};
use antiphon_runtime::Runner;
use antiphon_store::{Run, RunStatus, Store};
use serde_json::{Value, json};
use tokio::sync::{OnceCell, Semaphore};
use tokio_util::sync::CancellationToken;

use super::map::{JOURNAL, close, may_keep_budget};
use crate::runtime::Session;

/// Which personas to make, and where to put them.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct GenerateRequest {
    /// Documents or folders; each is a run of its own.
    pub inputs: Vec<PathBuf>,
    /// Where runs go, each into a folder named by its id.
    pub out: PathBuf,
    /// Personas for each input. Default 3.
    pub count: Count,
    /// How they are drawn.
    pub recipe: PersonaRecipe,
    /// Whether documents that do not fit into the model's context are distilled first. Default: they are.
    pub distil: Distil,
    /// What takes names, addresses and numbers out of the documents. Default: nothing does.
    pub anonymiser: Option<Anonymiser>,
    /// The time for each input. Default: none.
    pub deadline: Option<Duration>,
    /// The most calls at once of one run, where it makes several: parts of documents that are distilled. Default: as many as
    /// the provider takes.
    pub calls_at_once: Option<usize>,
    /// Runs under way at once. Default 4.
    pub concurrency: usize,
    /// Whether a finished run of the same kind is made again. Default: it is shown.
    pub fresh: bool,
    /// The one run that is gone on with, by its id, for a request of one input. Default: the newest of the same.
    pub resume: Option<String>,
    /// The most that the calls for each input may cost, in millionths of a US dollar. Default: no limit.
    pub max_cost: Option<u64>,
    /// How the command can be given again: an object, kept with each run beside its `input`.
    pub note: Value,
}

type OnEvent = Arc<dyn Fn(Event) + Send + Sync>;
type OnProgress = Arc<dyn Fn(u32, u32, &str) + Send + Sync>;

/// How a caller watches and steers an operation.
#[derive(Clone)]
#[non_exhaustive]
pub struct Watch {
    /// Once cancelled, nothing new begins, and what is under way goes on.
    pub drain: CancellationToken,
    /// Once cancelled, everything is given up.
    pub cancel: CancellationToken,
    on_event: OnEvent,
    on_progress: OnProgress,
}

/// What came of each input, in order.
#[derive(Debug)]
#[non_exhaustive]
pub struct GenerateReport {
    /// One for each input.
    pub runs: Vec<RunOutcome>,
}

/// What came of one input.
#[derive(Debug)]
#[non_exhaustive]
pub struct RunOutcome {
    /// The input.
    pub input: PathBuf,
    /// Where it was written, also for one that failed after its documents were loaded.
    pub folder: Option<PathBuf>,
    /// The personas, or why there are none.
    pub result: Result<Done, Error>,
    /// Personas that were made and could not be written, on a full disk say. They are nowhere else.
    pub unwritten: Option<Done>,
}

/// A finished run.
#[derive(Debug)]
#[non_exhaustive]
pub struct Done {
    /// The personas.
    pub personas: Vec<Persona>,
    /// How they came about.
    pub report: Report,
    /// Whether an earlier run was shown and nothing was asked.
    pub reused: bool,
}

impl GenerateReport {
    /// Of a request that panicked.
    pub(crate) fn failed(request: &GenerateRequest, err: &antiphon_runtime::TaskError) -> Self {
        let run = |input: &PathBuf| RunOutcome {
            input: input.clone(),
            folder: None,
            result: Err(Error::from_panic(err)),
            unwritten: None,
        };
        Self { runs: request.inputs.iter().map(run).collect() }
    }
}

impl GenerateRequest {
    /// Three personas from each of `inputs`, into a folder below `out`.
    #[must_use]
    pub fn new(inputs: impl IntoIterator<Item = PathBuf>, out: impl Into<PathBuf>) -> Self {
        Self {
            inputs: inputs.into_iter().collect(),
            out: out.into(),
            count: Count::Exactly(3),
            recipe: PersonaRecipe::default(),
            distil: Distil::Auto,
            anonymiser: None,
            deadline: None,
            calls_at_once: None,
            concurrency: 4,
            fresh: false,
            resume: None,
            max_cost: None,
            note: json!({}),
        }
    }

    /// Sets how many personas are made of each input.
    #[must_use]
    pub fn count(mut self, count: impl Into<Count>) -> Self {
        self.count = count.into();
        self
    }

    /// Sets how they are drawn, and how many where the recipe says so.
    #[must_use]
    pub fn recipe(mut self, recipe: PersonaRecipe) -> Self {
        self.count = recipe.count.unwrap_or(self.count);
        self.recipe = recipe;
        self
    }

    /// Sets whether documents that do not fit are distilled first.
    #[must_use]
    pub fn distil(mut self, distil: Distil) -> Self {
        self.distil = distil;
        self
    }

    /// Sets what takes names, addresses and numbers out of the documents. What can be told back is kept below the output
    /// folder in `.anonymised/`, in a file for each run that its owner alone can read.
    #[must_use]
    pub fn anonymiser(mut self, anonymiser: Option<Anonymiser>) -> Self {
        self.anonymiser = anonymiser;
        self
    }

    /// Sets the time for each input.
    #[must_use]
    pub fn deadline(mut self, deadline: Option<Duration>) -> Self {
        self.deadline = deadline;
        self
    }

    /// Sets how many calls of one run may be under way at once.
    #[must_use]
    pub fn calls_at_once(mut self, calls: Option<usize>) -> Self {
        self.calls_at_once = calls;
        self
    }

    /// Sets how many runs may be under way at once.
    #[must_use]
    pub fn concurrency(mut self, concurrency: usize) -> Self {
        self.concurrency = concurrency;
        self
    }

    /// Goes on with the run of this id.
    #[must_use]
    pub fn resume(mut self, id: Option<String>) -> Self {
        self.resume = id;
        self
    }

    /// Sets the most that the calls for each input may cost, in millionths of a US dollar.
    #[must_use]
    pub fn max_cost(mut self, micros: Option<u64>) -> Self {
        self.max_cost = micros;
        self
    }

    /// Sets what is kept with each run to tell how it was begun.
    #[must_use]
    pub fn note(mut self, note: Value) -> Self {
        self.note = note;
        self
    }

    /// Makes a finished run again.
    #[must_use]
    pub fn fresh(mut self, fresh: bool) -> Self {
        self.fresh = fresh;
        self
    }
}

impl Default for Watch {
    fn default() -> Self {
        Self {
            drain: CancellationToken::new(),
            cancel: CancellationToken::new(),
            on_event: Arc::new(|_| ()),
            on_progress: Arc::new(|_, _, _| ()),
        }
    }
}

impl Watch {
    /// Calls `on_event` for everything that happens. It must not block.
    #[must_use]
    pub fn on_event(mut self, on_event: impl Fn(Event) + Send + Sync + 'static) -> Self {
        self.on_event = Arc::new(on_event);
        self
    }

    /// Calls `on_progress` with each step, the number of steps, and what it is. It must not block.
    #[must_use]
    pub fn on_progress(mut self, on_progress: impl Fn(u32, u32, &str) + Send + Sync + 'static) -> Self {
        self.on_progress = Arc::new(on_progress);
        self
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

/// Makes personas of each input and writes them; an input that fails loses no other.
///
/// Each call is in the journal before it is sent, and its answer before it is used; results are on the disk before they are
/// reported. A run that was finished before, with the same documents, model and parameters, is shown again and nothing is
/// asked; one that was broken off goes on from what its journal has.
///
/// # Cancel safety
/// Hangs up. A call under way counts as possibly billed when the same is asked for again.
pub async fn generate(session: &Session, request: &GenerateRequest, watch: Watch) -> GenerateReport {
    let on_progress = watch.on_progress.clone();
    let priced = session.clone();
    let pipeline = Pipeline::new(session.provider.clone())
        .pricing(move |tokens| priced.price(tokens))
        .drain(watch.drain.clone())
        .on_event({
            let on_event = watch.on_event.clone();
            move |event| on_event(event)
        })
        .on_progress(move |step, total, message| {
            on_progress(step, total, &message);
            std::future::ready(())
        });
    let (store, turns) = (OnceCell::new(), Mutex::default());
    let all = Runs { session, request, pipeline, store, turns };
    let runs = request.inputs.iter().map(|input| all.run(config(session, request, input, &watch)));
    let outcomes = Runner::new(request.concurrency).gather(runs).await;
    if let Some(store) = all.store.into_inner() {
        close(store).await;
    }
    let runs = request.inputs.iter().zip(outcomes).map(|(input, outcome)| {
        let result = |result| RunOutcome { input: input.clone(), folder: None, result, unwritten: None };
        outcome.unwrap_or_else(|err| result(Err(Error::from_panic(&err))))
    });
    GenerateReport { runs: runs.collect() }
}

/// What each input would take, in order. Loads the documents, and asks nothing.
///
/// # Cancel safety
/// Nothing is changed, so nothing is lost.
pub async fn estimate_generation(
    session: &Session,
    request: &GenerateRequest,
) -> Vec<Result<GenerationEstimate, Error>> {
    let priced = session.clone();
    let pipeline = Pipeline::new(session.provider.clone()).pricing(move |tokens| priced.price(tokens));
    let mut found = Vec::new();
    for input in &request.inputs {
        found.push(pipeline.estimate(&config(session, request, input, &Watch::default())).await);
    }
    found
}

fn config(session: &Session, request: &GenerateRequest, input: &Path, watch: &Watch) -> GenerationConfig {
    let mut config = GenerationConfig::new(input, &session.model)
        .recipe(request.recipe.clone())
        .count(request.count)
        .distil(request.distil)
        .anonymiser(request.anonymiser.clone())
        .cancel(watch.cancel.clone());
    config.deadline = request.deadline;
    config
}

/// What the inputs of a request share.
struct Runs<'a> {
    session: &'a Session,
    request: &'a GenerateRequest,
    pipeline: Pipeline,
    /// Opened when the first input is loaded.
    store: OnceCell<Store>,
    /// Who makes a run of a fingerprint: of inputs that are the same, the second one is shown what the first one made.
    turns: Mutex<HashMap<String, Arc<Semaphore>>>,
}

impl Runs<'_> {
    async fn run(&self, config: GenerationConfig) -> RunOutcome {
        let input = config.data_path.clone();
        let failed =
            |folder, err| RunOutcome { input: input.clone(), folder, result: Err(err), unwritten: None };
        let prepared = match may_keep_budget(self.session, self.request.max_cost) {
            Ok(()) => self.pipeline.prepare(&config).await,
            Err(err) => Err(err),
        };
        let mut prepared = match prepared {
            Ok(prepared) => prepared,
            Err(err) => return failed(None, err),
        };
        let (turn, is_made) = self.turn(&prepared.fingerprint.to_string());
        // Nobody closes it.
        let _turn = turn.acquire().await.ok();
        let (store, run) = match self.open(&mut prepared, self.request.fresh && !is_made).await {
            Ok(opened) => opened,
            Err(err) => return failed(None, err),
        };
        // Before anything is paid: a folder that cannot be made could not keep the answer.
        let folder = match RunFolder::create(&self.request.out, prepared.run_id).await {
            Ok(folder) => folder,
            Err(err) => return failed(None, err),
        };
        let path = Some(folder.path().to_owned());
        if let Err(err) = keep_replaced(&self.request.out, &prepared).await {
            return failed(path, err);
        }
        let reused = run.record().status == RunStatus::Finished;
        let mut options = Options::default();
        options.retry = self.session.retry.clone();
        options.max_cost = self.request.max_cost;
        options.concurrency = self.request.calls_at_once;
        let journal = Journal::new(self.session.calls.clone(), store, options);
        let Generation { personas, report, documents, .. } =
            match self.pipeline.run_in(prepared, run.clone(), journal).await {
                Ok(generation) => generation,
                Err(err) => return failed(path, write_failed(&folder, &run, err).await),
            };
        let done = Done { personas, report, reused };
        match write(&folder, &run, &done, documents).await {
            Ok(()) => RunOutcome { input, folder: path, result: Ok(done), unwritten: None },
            Err(err) => RunOutcome { unwritten: Some(done), ..failed(path, err) },
        }
    }

    async fn open(&self, prepared: &mut Prepared, fresh: bool) -> Result<(Store, Arc<Run>), Error> {
        let opening = || Store::open(self.request.out.join(JOURNAL));
        let store = self.store.get_or_try_init(opening).await.map_err(Error::store)?;
        let run = match &self.request.resume {
            Some(id) => prepared.resume(store, id).await?,
            None => {
                let mut note = self.request.note.clone();
                note["input"] = prepared.input().into();
                prepared.open(store, &note, fresh).await?
            }
        };
        Ok((store.clone(), run))
    }

    /// Whose turn it is to make a run of a fingerprint, and whether another input's was before.
    fn turn(&self, fingerprint: &str) -> (Arc<Semaphore>, bool) {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        let is_made = turns.contains_key(fingerprint);
        let turn = turns.entry(fingerprint.to_owned()).or_insert_with(|| Arc::new(Semaphore::new(1)));
        (turn.clone(), is_made)
    }
}

/// Keeps what was taken out of the documents where its owner alone can read it, apart from the run; nothing where it
/// cannot be told back.
async fn keep_replaced(out: &Path, prepared: &Prepared) -> Result<(), Error> {
    let redacted = |replaced: &Replaced| replaced.instead.starts_with('[');
    if prepared.replaced.iter().all(redacted) {
        return Ok(());
    }
    // Hidden, so that a later run does not take it for an interview.
    let folder = out.join(".anonymised");
    antiphon_fs::create_dir(&folder).await.map_err(Error::files)?;
    let (run, replaced) = (prepared.run_id.to_string(), &prepared.replaced);
    let document = json!({ "schema": "antiphon.replaced/1", "run_id": run, "replaced": replaced });
    let written = antiphon_fs::write_private(folder.join(format!("{run}.json")), format!("{document:#}\n"));
    written.await.map_err(Error::files)
}

/// What there is of an answer that cannot be used.
const PARTIAL: &str = "partial.txt";

/// Writes everything of a run that is not there; its report comes last and finishes it.
async fn write(folder: &RunFolder, run: &Run, done: &Done, documents: Arc<[Document]>) -> Result<(), Error> {
    let Done { personas, report, reused } = done;
    // The same answer may be looked at by other rules than before.
    if *reused
        && is_whole(folder).await?
        && run.record().report.as_deref() == Some(&*antiphon_pipeline::runs::text_of(report)?)
    {
        return Ok(());
    }
    // What was paid for goes first.
    folder.write_personas(&Personas::new(&report.run_id, personas.clone())).await?;
    let rendered = {
        let (personas, report) = (personas.clone(), report.clone());
        tokio::task::spawn_blocking(move || page(&personas, &report, &documents)).await
    };
    let html = match rendered {
        Ok(Ok(html)) => html,
        Ok(Err(err)) => return Err(Error::internal(err.to_string())),
        Err(join) if join.is_panic() => std::panic::resume_unwind(join.into_panic()),
        Err(_) => return Err(Error::internal("the runtime is shutting down")),
    };
    for (index, persona) in personas.iter().enumerate() {
        folder.write(&format!("personas/{}", file_name(index, persona)), markdown(persona)).await?;
    }
    folder.write("personas.html", html).await?;
    // An earlier attempt's words are of no answer now.
    folder.remove(PARTIAL).await?;
    let report = folder.write_report(report).await?;
    run.finish(RunStatus::Finished, report).await.map_err(Error::store)
}

async fn is_whole(folder: &RunFolder) -> Result<bool, Error> {
    for name in ["personas.json", "personas.html", "run.json"] {
        if !folder.has(name).await? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Keeps what a failed run has to tell, and the words it may have been billed for.
async fn write_failed(folder: &RunFolder, run: &Run, err: Error) -> Error {
    let kept = async {
        let partial = err.provider().and_then(|err| err.partial()).map(|partial| partial.text.as_str());
        if let Some(text) = partial.filter(|text| !text.is_empty()) {
            folder.write(PARTIAL, text.to_owned()).await?;
        }
        match err.report() {
            Some(report) => {
                let report = folder.write_report(report).await?;
                run.finish(RunStatus::Stopped, report).await.map_err(Error::store)
            }
            None => Ok(()),
        }
    };
    // The run's own error matters more than one of writing it down.
    let _ = kept.await;
    err
}

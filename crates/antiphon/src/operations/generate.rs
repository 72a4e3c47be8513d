use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use antiphon_data::Document;
use antiphon_llm::Parameters;
use antiphon_pipeline::runs::{FinishedRun, RunFolder, find_finished};
use antiphon_pipeline::{
    Detail, Error, Event, Generation, GenerationConfig, Persona, Personas, Pipeline, Report,
};
use antiphon_render::{file_name, markdown, page};
use antiphon_runtime::Runner;
use tokio_util::sync::CancellationToken;

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
    pub count: usize,
    /// How much is said of each persona. Default: standard.
    pub detail: Detail,
    /// How answers are drawn.
    pub parameters: Parameters,
    /// The time for each input. Default: none.
    pub deadline: Option<Duration>,
    /// Runs under way at once. Default 4.
    pub concurrency: usize,
    /// Whether a finished run of the same kind is made again. Default: it is shown.
    pub fresh: bool,
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
            count: 3,
            detail: Detail::Standard,
            parameters: Parameters::default(),
            deadline: None,
            concurrency: 4,
            fresh: false,
        }
    }

    /// Sets how many personas are made of each input.
    #[must_use]
    pub fn count(mut self, count: usize) -> Self {
        self.count = count;
        self
    }

    /// Sets how much is said of each persona.
    #[must_use]
    pub fn detail(mut self, detail: Detail) -> Self {
        self.detail = detail;
        self
    }

    /// Sets how answers are drawn.
    #[must_use]
    pub fn parameters(mut self, parameters: Parameters) -> Self {
        self.parameters = parameters;
        self
    }

    /// Sets the time for each input.
    #[must_use]
    pub fn deadline(mut self, deadline: Option<Duration>) -> Self {
        self.deadline = deadline;
        self
    }

    /// Sets how many runs may be under way at once.
    #[must_use]
    pub fn concurrency(mut self, concurrency: usize) -> Self {
        self.concurrency = concurrency;
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
/// A result is on the disk before it is reported. A run that was finished before, with the same documents, model and
/// parameters, is shown again and nothing is asked.
///
/// # Cancel safety
/// Hangs up; a run that was being written is left without its `run.json` and counts as none.
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
    let runs = request.inputs.iter().map(|input| {
        let config = config(session, request, input, &watch);
        let pipeline = &pipeline;
        async move { run(pipeline, &config, request).await }
    });
    let outcomes = Runner::new(request.concurrency).gather(runs).await;
    let runs = request.inputs.iter().zip(outcomes).map(|(input, outcome)| {
        let result = |result| RunOutcome { input: input.clone(), folder: None, result, unwritten: None };
        outcome.unwrap_or_else(|err| result(Err(Error::from_panic(&err))))
    });
    GenerateReport { runs: runs.collect() }
}

fn config(session: &Session, request: &GenerateRequest, input: &Path, watch: &Watch) -> GenerationConfig {
    let mut config = GenerationConfig::new(input, &session.model)
        .count(request.count)
        .detail(request.detail)
        .parameters(request.parameters)
        .cancel(watch.cancel.clone());
    config.deadline = request.deadline;
    config
}

async fn run(pipeline: &Pipeline, config: &GenerationConfig, request: &GenerateRequest) -> RunOutcome {
    let outcome = |folder: Option<&RunFolder>, result| RunOutcome {
        input: config.data_path.clone(),
        folder: folder.map(|folder| folder.path().to_owned()),
        result,
        unwritten: None,
    };
    let prepared = match pipeline.prepare(config).await {
        Ok(prepared) => prepared,
        Err(err) => return outcome(None, Err(err)),
    };
    if !request.fresh {
        match find_finished(&request.out, &prepared.fingerprint).await {
            Ok(Some(FinishedRun { folder, report, personas, .. })) => {
                let done = Done { personas: personas.personas, report, reused: true };
                return outcome(Some(&folder), Ok(done));
            }
            Ok(None) => {}
            Err(err) => return outcome(None, Err(err)),
        }
    }
    // Before anything is paid: a folder that cannot be made could not keep the answer.
    let folder = match RunFolder::create(&request.out, prepared.run_id).await {
        Ok(folder) => folder,
        Err(err) => return outcome(None, Err(err)),
    };
    let Generation { personas, report, documents, .. } = match pipeline.run(prepared).await {
        Ok(generation) => generation,
        Err(err) => return outcome(Some(&folder), Err(write_failed(&folder, err).await)),
    };
    let done = Done { personas, report, reused: false };
    match write(&folder, &done, documents).await {
        Ok(()) => outcome(Some(&folder), Ok(done)),
        Err(err) => RunOutcome { unwritten: Some(done), ..outcome(Some(&folder), Err(err)) },
    }
}

/// Writes everything of a run; its report comes last and makes it one.
async fn write(folder: &RunFolder, done: &Done, documents: Arc<[Document]>) -> Result<(), Error> {
    let Done { personas, report, .. } = done;
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
    folder.write_report(report).await?;
    Ok(())
}

/// Keeps what a failed run has to tell, and the words it may have been billed for.
async fn write_failed(folder: &RunFolder, err: Error) -> Error {
    let kept = async {
        let partial = err.provider().and_then(|err| err.partial()).map(|partial| partial.text.as_str());
        if let Some(text) = partial.filter(|text| !text.is_empty()) {
            folder.write("partial.txt", text.to_owned()).await?;
        }
        match err.report() {
            Some(report) => folder.write_report(report).await.map(drop),
            None => Ok(()),
        }
    };
    // The run's own error matters more than one of writing it down.
    let _ = kept.await;
    err
}

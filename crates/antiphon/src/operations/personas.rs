//! Persona runs: documents in, personas with verified evidence out.
//!
//! The pipeline does the work; this module adds what a request says, opens the run in the workspace's store and writes
//! the run's folder. The order matters: the folder is created before the first call, and the run is finished after its
//! files are complete.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use antiphon_engine::RunEvent;
use antiphon_pipeline::runs::{RunFolder, keep_replaced};
use antiphon_pipeline::{
    Count, Error, Generation, GenerationConfig, PersonaRecipe, Pipeline, Prepared, RunGuard,
};
use antiphon_render::write_personas;
use antiphon_store::{Run, RunStatus, Store};

use super::anonymising::anonymiser;
use super::error::{OperationError, OperationErrorKind};
use super::map::{fallbacks, pricing};
use super::outcome::{PersonasResult, Plan, RunOutcome, RunResult};
use super::request::RunRequest;
use super::start::Opening;
use super::workspace::{Connected, Purpose, Watch, Workspace};

/// The default number of personas, if neither the request nor the recipe sets it.
const USUAL_COUNT: Count = Count::Exactly(3);

/// Estimates a persona run: reads its documents, and makes no call.
pub(super) async fn plan(
    workspace: &Workspace,
    connected: &Connected,
    watch: &Watch,
) -> Result<Plan, OperationError> {
    let config = config(workspace, connected, watch, Purpose::Plan).await?;
    let store = workspace.read_only_store().await?;
    let mut estimate = pipeline(connected, watch).store(store).estimate(&config).await?;
    estimate.input = connected.request.input_name();
    if connected.session.is_offline() {
        // Text statistics call no model.
        (estimate.calls, estimate.input_tokens, estimate.output_tokens) = (0, 0, 0);
        estimate.cost_usd_micros = Some(0);
    }
    Ok(Plan::Personas(Box::new(estimate)))
}

/// Runs a persona request. The folder exists before the first call, since an answer without a place to keep it would be
/// paid for and lost; personas that cannot be written are part of the error.
pub(super) async fn run(
    workspace: &Workspace,
    connected: Connected,
    opening: Opening,
    watch: Watch,
) -> Result<RunOutcome, OperationError> {
    let config = config(workspace, &connected, &watch, Purpose::Run).await?;
    let store = workspace.store().await?.clone();
    let pipeline = pipeline(&connected, &watch).locks(opening.locks()).store(store.clone());
    let mut prepared = prepare(&pipeline, &config, &opening, &store).await?;
    let (run, _lock) = match opening.id() {
        Some(id) => (prepared.resume(&store, &id).await?, None),
        None => {
            let request = connected.request.to_store(workspace.folder())?;
            let (run, guard) = open_new(&pipeline, &mut prepared, &store, request).await?;
            (run, Some(guard))
        }
    };
    report_others(&run, &watch).await?;
    // Before anything is billed: without its folder the run could not keep the answer.
    let folder = RunFolder::create(workspace.folder(), prepared.run_id).await?;
    let failed = |err: Error| OperationError::from(err).in_folder(folder.path().to_owned());
    keep_replaced(workspace.folder(), &prepared).await.map_err(failed)?;
    let reused = run.record().status == RunStatus::Finished;
    let made = match pipeline.run_in(prepared, run.clone(), store).await {
        Ok(made) => made,
        Err(err) => {
            // The run's own error matters more than a failure to write it.
            let _ = folder.write_failed(&run, &err).await;
            return Err(failed(err));
        }
    };
    let Generation { personas, report, documents, .. } = made;
    let made = PersonasResult { personas, report };
    let PersonasResult { personas, report } = &made;
    let written = async {
        if reused && folder.is_whole(&run, report).await? {
            return Ok(());
        }
        write_personas(&folder, personas, report, documents).await?;
        folder.finish(&run, report).await
    };
    if let Err(err) = written.await {
        return Err(failed(err).with_unwritten(made.personas));
    }
    Ok(RunOutcome {
        schema: "antiphon.outcome/1".to_owned(),
        run_id: made.report.run_id.clone(),
        input: connected.request.input_name(),
        folder: folder.path().to_owned(),
        reused,
        resumed_at: 0,
        stop: None,
        result: RunResult::Personas(Box::new(made)),
    })
}

/// Opens the run of the request's fingerprint, or creates it, and holds its lock, so that an equal request waits.
async fn open_new(
    pipeline: &Pipeline,
    prepared: &mut Prepared,
    store: &Store,
    request: String,
) -> Result<(Arc<Run>, RunGuard), OperationError> {
    let (run, guard) = pipeline.open(prepared, store, &request).await?;
    if run.record().status != RunStatus::Finished && run.record().request != request {
        // The newest start decides on limits and outputs.
        run.set_request(request).await?;
    }
    Ok((run, guard))
}

/// Reports that other processes work on the run already.
async fn report_others(run: &Run, watch: &Watch) -> Result<(), OperationError> {
    let others = run.workers().await?.saturating_sub(1);
    if others > 0 && run.record().status != RunStatus::Finished {
        watch.emit(RunEvent::Joined { run_id: run.record().id.clone(), others });
    }
    Ok(())
}

/// Creates the pipeline of a connected request, whose calls are journalled and whose events go to the watch.
fn pipeline(connected: &Connected, watch: &Watch) -> Pipeline {
    let session = &connected.session;
    let (price, on_event, on_step) = (pricing(session), watch.on_event.clone(), watch.on_event.clone());
    Pipeline::over(session.calls.clone())
        .retry(session.retry.clone())
        .pricing(move |tokens| price(tokens))
        .fallbacks(fallbacks(session))
        .drain(watch.drain.clone())
        .on_event(move |event| on_event(event))
        .on_progress(move |step, steps, message| {
            on_step(RunEvent::Step { step, steps, message });
            std::future::ready(())
        })
}

/// Creates the configuration of a generation: the request's values, and those of its recipe where it has none.
async fn config(
    workspace: &Workspace,
    connected: &Connected,
    watch: &Watch,
    purpose: Purpose,
) -> Result<GenerationConfig, OperationError> {
    let Connected { session, request, .. } = connected;
    let paths = located_inputs(request, workspace.folder()).await?;
    let recipe = recipe(request)?;
    let anonymiser = anonymiser(request, workspace.folder(), purpose).await?;
    Ok(GenerationConfig::new("", &session.model)
        .data_paths(paths)
        .count(USUAL_COUNT)
        .recipe(recipe)
        .distil(request.distil)
        .anonymiser(anonymiser)
        .encoding(request.named_encoding()?)
        .links(request.links())
        .limits(request.limits)
        .fresh(request.fresh)
        .cancel(watch.cancel.clone()))
}

/// Returns the paths of the documents of a persona run.
///
/// # Errors
/// `Request` for a request without inputs.
async fn located_inputs(request: &RunRequest, folder: &Path) -> Result<Vec<PathBuf>, OperationError> {
    if request.inputs.is_empty() {
        let message = "cannot start a persona run: no document is named. Name at least one file or folder";
        return Err(OperationError::new(OperationErrorKind::Request, message));
    }
    let mut paths = Vec::new();
    for input in &request.inputs {
        paths.push(request.locate(input, folder).await);
    }
    Ok(paths)
}

/// Parses the recipe of a request, whose grounding the request overrides.
fn recipe(request: &RunRequest) -> Result<PersonaRecipe, OperationError> {
    let mut recipe = PersonaRecipe::parse(&request.recipe.name, &request.recipe.text)?;
    recipe.grounding = request.grounding.unwrap_or(recipe.grounding);
    recipe.parameters = request.over(recipe.parameters);
    Ok(recipe)
}

/// Prepares a run from the documents that are stored with it if it is resumed, else from the input.
/// The stored documents are anonymised already, and the input may have changed or moved since.
async fn prepare(
    pipeline: &Pipeline,
    config: &GenerationConfig,
    opening: &Opening,
    store: &Store,
) -> Result<Prepared, OperationError> {
    if let Some(id) = opening.id() {
        let run = store.read_run(&id).await?;
        if let Some(prepared) = pipeline.prepare_stored(config, &run).await? {
            return Ok(prepared);
        }
    }
    Ok(pipeline.prepare(config).await?)
}

use std::path::Path;

use antiphon_data::{Anonymiser, Strategy};
use antiphon_engine::RunEvent;
use antiphon_pipeline::runs::{RunFolder, keep_replaced, salt};
use antiphon_pipeline::{Count, Error, Generation, GenerationConfig, PersonaRecipe, Pipeline, Prepared};
use antiphon_render::write_personas;
use antiphon_store::{RunStatus, Store};

use super::error::{OperationError, OperationErrorKind};
use super::map::{fallbacks, pricing};
use super::outcome::{PersonasResult, Plan, RunOutcome, RunResult};
use super::request::{Anonymise, RunRequest};
use super::start::Opening;
use super::workspace::{Connected, Watch, Workspace};

/// The default number of personas, if neither the request nor the recipe sets it.
const USUAL_COUNT: Count = Count::Exactly(3);

pub(super) async fn plan(
    workspace: &Workspace,
    connected: &Connected,
    watch: &Watch,
) -> Result<Plan, OperationError> {
    let config = config(workspace, connected, watch).await?;
    let store = workspace.read_only_store().await?;
    let mut estimate = pipeline(connected, watch).store(store).estimate(&config).await?;
    estimate.input = connected.request.input_name();
    Ok(Plan::Personas(Box::new(estimate)))
}

pub(super) async fn run(
    workspace: &Workspace,
    connected: Connected,
    opening: Opening,
    watch: Watch,
) -> Result<RunOutcome, OperationError> {
    let config = config(workspace, &connected, &watch).await?;
    let store = workspace.store().await?.clone();
    let pipeline = pipeline(&connected, &watch).locks(opening.locks()).store(store.clone());
    let mut prepared = prepare(&pipeline, &config, &opening, &store).await?;
    let (run, _lock) = match opening.id() {
        Some(id) => (prepared.resume(&store, &id).await?, None),
        None => {
            let request = connected.request.to_store(workspace.folder())?;
            let (run, guard) = pipeline.open(&mut prepared, &store, &request).await?;
            if run.record().status != RunStatus::Finished && run.record().request != request {
                // The newest start decides on limits and outputs.
                run.set_request(request).await?;
            }
            (run, Some(guard))
        }
    };
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

async fn config(
    workspace: &Workspace,
    connected: &Connected,
    watch: &Watch,
) -> Result<GenerationConfig, OperationError> {
    let Connected { session, request, .. } = connected;
    let [input] = &request.inputs[..] else {
        let message = "a persona run takes one document or folder. Start a run for each input";
        return Err(OperationError::new(OperationErrorKind::Request, message));
    };
    let path = request.locate(input, workspace.folder()).await;
    let mut recipe = PersonaRecipe::parse(&request.recipe.name, &request.recipe.text)?;
    recipe.grounding = request.grounding.unwrap_or(recipe.grounding);
    let anonymiser = anonymiser(request, workspace.folder()).await?;
    Ok(GenerationConfig::new(path, &session.model)
        .count(USUAL_COUNT)
        .recipe(recipe)
        .distil(request.distil)
        .anonymiser(anonymiser)
        .limits(request.limits)
        .fresh(request.fresh)
        .cancel(watch.cancel.clone()))
}

/// Prepares a run from the documents that are stored with it if it is resumed, else from the input.
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

/// Creates the anonymiser of a request, if it has one, for runs below `out`, where the salt of the codes is stored.
async fn anonymiser(request: &RunRequest, out: &Path) -> Result<Option<Anonymiser>, OperationError> {
    let Some(Anonymise { mode, names, .. }) = &request.anonymise else { return Ok(None) };
    let anonymiser = Anonymiser::new(*mode).names(names.iter().map(String::as_str));
    Ok(Some(match mode {
        Strategy::Hash => anonymiser.salt(salt(out).await?),
        _ => anonymiser,
    }))
}

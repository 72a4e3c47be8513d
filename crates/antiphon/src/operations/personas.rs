use std::path::Path;
use std::sync::Arc;

use antiphon_data::{Anonymiser, Document, Replaced, Strategy};
use antiphon_engine::RunEvent;
use antiphon_pipeline::runs::RunFolder;
use antiphon_pipeline::{
    Count, Error, Generation, GenerationConfig, PersonaRecipe, Personas, Pipeline, Prepared,
};
use antiphon_render::{file_name, markdown, page};
use antiphon_store::{Run, RunStatus, Store};
use serde_json::json;

use super::error::{OperationError, OperationErrorKind};
use super::map::pricing;
use super::outcome::{PersonasResult, Plan, RunOutcome, RunResult};
use super::request::{Anonymise, RunRequest};
use super::start::Opening;
use super::workspace::{Connected, Watch, Workspace};

/// How many personas are made where neither the request nor the recipe says it.
const USUAL_COUNT: Count = Count::Exactly(3);

/// What there is of an answer that cannot be used.
const PARTIAL: &str = "partial.txt";

pub(super) async fn plan(
    workspace: &Workspace,
    connected: &Connected,
    watch: &Watch,
) -> Result<Plan, OperationError> {
    let config = config(workspace, connected, watch).await?;
    let mut estimate = pipeline(workspace, connected, watch).estimate(&config).await?;
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
    let pipeline = pipeline(workspace, &connected, &watch).store(store.clone());
    let mut prepared = prepare(&pipeline, &config, &opening, &store).await?;
    let (run, _turn) = match opening.id() {
        Some(id) => (prepared.resume(&store, &id).await?, None),
        None => {
            let request = connected.request.to_store(workspace.folder())?;
            let (run, turn) = pipeline.open(&mut prepared, &store, &request).await?;
            (run, Some(turn))
        }
    };
    // Before anything is paid: a folder that cannot be made could not keep the answer.
    let folder = RunFolder::create(workspace.folder(), prepared.run_id).await?;
    let failed = |err: Error| OperationError::from(err).in_folder(folder.path().to_owned());
    keep_replaced(workspace.folder(), &prepared).await.map_err(failed)?;
    let reused = run.record().status == RunStatus::Finished;
    let made = match pipeline.run_in(prepared, run.clone(), store).await {
        Ok(made) => made,
        Err(err) => return Err(failed(write_failed(&folder, &run, err).await)),
    };
    let Generation { personas, report, documents, .. } = made;
    let made = PersonasResult { personas, report };
    if let Err(err) = write(&folder, &run, &made, (reused, documents)).await {
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

fn pipeline(workspace: &Workspace, connected: &Connected, watch: &Watch) -> Pipeline {
    let session = &connected.session;
    let (price, on_event, on_step) = (pricing(session), watch.on_event.clone(), watch.on_event.clone());
    Pipeline::over(session.calls.clone())
        .retry(session.retry.clone())
        .turns(workspace.turns.clone())
        .pricing(move |tokens| price(tokens))
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
        let message = "personas are made of one document or folder: each input is a run of its own";
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

/// From the documents that are stored with a run that is resumed, else from the input.
async fn prepare(
    pipeline: &Pipeline,
    config: &GenerationConfig,
    opening: &Opening,
    store: &Store,
) -> Result<Prepared, OperationError> {
    if let Some(id) = opening.id() {
        let run = store.look_at(&id).await?;
        if let Some(prepared) = pipeline.prepare_stored(config, &run).await? {
            return Ok(prepared);
        }
    }
    Ok(pipeline.prepare(config).await?)
}

/// What takes personal data out, for runs below `out`, where the salt of codes is kept.
async fn anonymiser(request: &RunRequest, out: &Path) -> Result<Option<Anonymiser>, OperationError> {
    let Some(Anonymise { mode, names, .. }) = &request.anonymise else { return Ok(None) };
    let anonymiser = Anonymiser::new(*mode).names(names.iter().map(String::as_str));
    Ok(Some(match mode {
        Strategy::Hash => anonymiser.salt(salt(out).await?),
        _ => anonymiser,
    }))
}

/// What codes below `out` are made with: made once, so that the same person has the same code in each run.
async fn salt(out: &Path) -> Result<String, antiphon_fs::Error> {
    let path = out.join(".anonymised").join("salt");
    match antiphon_fs::read_to_string(&path).await {
        Ok(salt) => Ok(salt.text.into_owned()),
        Err(err) if err.kind() == antiphon_fs::ErrorKind::NotFound => {
            antiphon_fs::create_dir(out.join(".anonymised")).await?;
            let salt = uuid::Uuid::new_v4().simple().to_string();
            antiphon_fs::write_private(&path, salt.clone()).await?;
            Ok(salt)
        }
        Err(err) => Err(err),
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

/// Writes everything of a run that is not there; its report comes last and finishes it.
async fn write(
    folder: &RunFolder,
    run: &Run,
    made: &PersonasResult,
    (reused, documents): (bool, Arc<[Document]>),
) -> Result<(), Error> {
    let PersonasResult { personas, report, .. } = made;
    // The same answer may be looked at by other rules than before.
    if reused
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
    // The text of an earlier attempt is of no answer now.
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

/// Keeps the report of a failed run, and the text that it may have been billed for.
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

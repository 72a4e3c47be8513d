use std::path::Path;
use std::sync::Arc;

use antiphon_engine::{Destination, Input, Mapped, Mapping};
use antiphon_pipeline::RunLocks;

use super::error::{Hint, OperationError, OperationErrorKind, StopNotice};
use super::outcome::{MapResult, Plan, RunOutcome, RunResult};
use super::request::RunRequest;
use super::start::Opening;
use super::workspace::{Connected, Watch, Workspace};
use crate::runtime::Session;

pub(super) async fn plan(
    workspace: &Workspace,
    connected: &Connected,
    watch: &Watch,
) -> Result<Plan, OperationError> {
    let mapping = mapping(workspace, connected, &Opening::New(RunLocks::default()), watch).await?;
    estimate(workspace, connected, &mapping).await
}

/// Estimates a mapping from the usage statistics in the workspace's store.
pub(super) async fn estimate(
    workspace: &Workspace,
    connected: &Connected,
    mapping: &Mapping,
) -> Result<Plan, OperationError> {
    let store = workspace.read_only_store().await?;
    Ok(Plan::Rows(Box::new(mapping.estimate(&connected.session.calls, &store).await?)))
}

pub(super) async fn run(
    workspace: &Workspace,
    connected: Connected,
    opening: Opening,
    watch: Watch,
) -> Result<RunOutcome, OperationError> {
    let mapping = mapping(workspace, &connected, &opening, &watch).await?;
    let mapped = work(workspace, &connected, mapping).await?;
    let Mapped { report, folder, results, failed, stop, reused, resumed_at, .. } = mapped;
    Ok(RunOutcome {
        schema: "antiphon.outcome/1".to_owned(),
        run_id: report.run_id.clone(),
        input: connected.request.input_name(),
        folder,
        reused,
        resumed_at,
        stop: stop.as_ref().map(StopNotice::from),
        result: RunResult::Map(Box::new(MapResult { report, results, failed_rows: failed })),
    })
}

/// Runs a mapping in the workspace's store.
pub(super) async fn work(
    workspace: &Workspace,
    connected: &Connected,
    mapping: Mapping,
) -> Result<Mapped, OperationError> {
    let store = workspace.store().await?;
    Ok(mapping.run(connected.session.calls.clone(), store.clone(), workspace.folder()).await?)
}

async fn mapping(
    workspace: &Workspace,
    connected: &Connected,
    opening: &Opening,
    watch: &Watch,
) -> Result<Mapping, OperationError> {
    let Connected { session, request, recipe } = connected;
    if session.is_offline() {
        return Err(no_model(session));
    }
    let recipe = recipe.clone().ok_or_else(|| OperationError::internal("the recipe was not read"))?;
    let input = input(workspace, request, opening, watch).await?;
    let mut mapping = Mapping::new(input, recipe, &session.model);
    mapping.order = request.output.order;
    mapping.results = match &request.output.results {
        Some(path) if path == Path::new("-") => watch.results.clone().map(Destination::Lines),
        Some(path) => {
            let path = request.place_output(path, workspace.folder()).await;
            Some(if watch.overwrite { Destination::Replace(path) } else { Destination::File(path) })
        }
        None => None,
    };
    prepare(&mut mapping, workspace, connected, opening, watch)?;
    Ok(mapping)
}

/// Sets the options that all mappings have in common.
pub(super) fn prepare(
    mapping: &mut Mapping,
    workspace: &Workspace,
    connected: &Connected,
    opening: &Opening,
    watch: &Watch,
) -> Result<(), OperationError> {
    let Connected { session, request, .. } = connected;
    mapping.input_name = request.input_name();
    mapping.request = request.to_store(workspace.folder())?;
    mapping.fresh = request.fresh;
    (mapping.resume, mapping.retry_failed) = (opening.id(), opening.retries_failed());
    mapping.options.limits = request.limits;
    mapping.options.pricing = pricing(session);
    mapping.options.fallbacks = fallbacks(session);
    mapping.options.retry = session.retry.clone();
    (mapping.options.drain, mapping.options.cancel) = (watch.drain.clone(), watch.cancel.clone());
    mapping.on_event = watch.on_event.clone();
    Ok(())
}

/// Returns the number of fallbacks that may be called for one prompt.
pub(super) fn fallbacks(session: &Session) -> u32 {
    u32::try_from(session.fallbacks.len()).unwrap_or(u32::MAX)
}

pub(super) fn pricing(session: &Session) -> antiphon_engine::Pricing {
    let session = session.clone();
    Arc::new(move |tokens| session.price(tokens))
}

async fn input(
    workspace: &Workspace,
    request: &RunRequest,
    opening: &Opening,
    watch: &Watch,
) -> Result<Input, OperationError> {
    // To check that the recipe is unchanged, a run of an earlier version needs its input.
    if opening.has_all_rows() && opening.has_recipe() {
        return Ok(Input::Stored);
    }
    let [input] = &request.inputs[..] else {
        let message = format!("a map run takes one input, and {} are named", request.inputs.len());
        return Err(OperationError::new(OperationErrorKind::Request, message));
    };
    if input != Path::new("-") {
        let path = request.locate(input, workspace.folder()).await;
        return Ok(Input::Path(path, request.format));
    }
    match &watch.stdin {
        Some(file) => Ok(Input::Path(file.clone(), request.format)),
        None => {
            let message = "the rows of this run came from stdin, and not all of them are stored";
            Err(OperationError::new(OperationErrorKind::Request, message).hint(Hint::GiveCommandAgain))
        }
    }
}

/// Returns the error of a recipe for the offline provider, which was named or is the default without a local engine.
fn no_model(session: &Session) -> OperationError {
    let message = if session.chosen_by_default {
        "cannot run the recipe: it needs a language model, and no local engine answers"
    } else {
        "cannot run the recipe offline: it needs a language model"
    };
    OperationError::new(OperationErrorKind::Request, message)
        .hint(Hint::NameProvider)
        .hint(Hint::TrySimulator)
}

//! Map runs: a recipe over the rows of a file, a folder or stdin.
//!
//! Content runs are mappings as well and share [`prepare`], [`work`] and [`estimate`] with this module; persona runs
//! share the prices and the number of fallbacks.
//!
//! | input | read from |
//! |---|---|
//! | a path | the path, or where it moved together with the folder of runs |
//! | `-` | the file in the [`Watch`] |
//! | a resumed run with all rows and its recipe stored | the store alone |
//!
//! With an anonymiser, rows are read into a temporary file without personal data first; see `anonymising`.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use antiphon_data::{Replacement, RowFormat, RowOptions};
use antiphon_engine::{Destination, Input, Mapped, Mapping, RunEvent};
use antiphon_pipeline::runs::keep_replacements;
use tokio::sync::oneshot;

use super::anonymising::{AnonymousRows, RowFile, anonymiser, anonymous_rows, report_of};
use super::error::{Hint, OperationError, OperationErrorKind};
use super::outcome::{MapResult, Plan, RunOutcome, RunResult};
use super::request::RunRequest;
use super::start::Opening;
use super::stop_notice::StopNotice;
use super::workspace::{Connected, Watch, Workspace};
use crate::runtime::Session;

/// Estimates a map run: reads its rows, and makes no call.
pub(super) async fn plan(
    workspace: &Workspace,
    connected: &Connected,
    watch: &Watch,
) -> Result<Plan, OperationError> {
    let planned = planned(workspace, connected, &Opening::Estimate, watch).await?;
    estimate(workspace, connected, &planned.mapping).await
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

/// Runs a recipe over rows, or resumes the run.
pub(super) async fn run(
    workspace: &Workspace,
    connected: Connected,
    opening: Opening,
    watch: Watch,
) -> Result<RunOutcome, OperationError> {
    let Planned { mapping, rows } = planned(workspace, &connected, &opening, &watch).await?;
    let replaced = rows.as_ref().map_or(&[][..], |rows| &rows.replaced);
    let mapped = work(workspace, &connected, mapping, replaced).await?;
    let anonymised = rows.map(|rows| rows.report);
    let Mapped { report, folder, results, failed, stop, reused, resumed_at, .. } = mapped;
    Ok(RunOutcome {
        schema: "antiphon.outcome/1".to_owned(),
        run_id: report.run_id.clone(),
        input: connected.request.input_name(),
        folder,
        reused,
        resumed_at,
        stop: stop.as_ref().map(StopNotice::from),
        result: RunResult::Map(Box::new(MapResult { report, results, failed_rows: failed, anonymised })),
    })
}

/// Runs a mapping in the workspace's store. What was replaced in its input is kept beside the run's folder as soon as the
/// run has an id, before the first answer.
pub(super) async fn work(
    workspace: &Workspace,
    connected: &Connected,
    mut mapping: Mapping,
    replaced: &[Replacement],
) -> Result<Mapped, OperationError> {
    let (store, folder) = (workspace.store().await?.clone(), workspace.folder());
    let started = watch_start(&mut mapping);
    let mut run = Box::pin(mapping.run(connected.session.calls.clone(), store, folder));
    tokio::select! {
        biased;
        Ok(id) = started => keep_replacements(folder, &id, replaced).await?,
        mapped = &mut run => {
            let mapped = mapped?;
            keep_replacements(folder, &mapped.report.run_id, replaced).await?;
            return Ok(mapped);
        }
    }
    Ok(run.await?)
}

/// Returns the receiver of the run's id, which a mapping reports when it starts.
fn watch_start(mapping: &mut Mapping) -> oneshot::Receiver<String> {
    let (send, started) = oneshot::channel();
    let (send, on_event) = (Mutex::new(Some(send)), mapping.on_event.clone());
    mapping.on_event = Arc::new(move |event| {
        if let RunEvent::Started { run_id, .. } = &event
            && let Some(send) = send.lock().unwrap_or_else(PoisonError::into_inner).take()
        {
            // The receiver is gone once the run has ended.
            let _ = send.send(run_id.clone());
        }
        on_event(event);
    });
    started
}

/// A mapping, with the file of its anonymous rows, which has to outlive it.
struct Planned {
    mapping: Mapping,
    rows: Option<AnonymousRows>,
}

/// Creates the mapping of a request, before anything is sent or billed. Only an anonymised input is read.
async fn planned(
    workspace: &Workspace,
    connected: &Connected,
    opening: &Opening,
    watch: &Watch,
) -> Result<Planned, OperationError> {
    let Connected { session, request, recipe } = connected;
    if session.is_offline() {
        return Err(no_model(session));
    }
    let recipe = recipe.clone().ok_or_else(|| OperationError::internal("the recipe was not read"))?;
    let mut input = input(workspace, request, opening, watch).await?;
    let source = match &input {
        Input::With(path, options) => Some(RowFile { path, options }),
        _ => None,
    };
    let rows = match (anonymiser(request, workspace.folder(), opening.purpose()).await?, &source, &input) {
        (None, ..) | (Some(_), _, Input::Stored) => None,
        (Some(anonymiser), Some(source), _) => {
            Some(anonymous_rows(&anonymiser, source, &watch.cancel).await?)
        }
        (Some(_), None, _) => return Err(OperationError::internal("these rows cannot be anonymised")),
    };
    let anonymised = report_of(rows.as_ref().map(|rows| &rows.report))?;
    if let Some(rows) = &rows {
        input = Input::Path(rows.file.path().to_owned(), Some(RowFormat::Jsonl));
    }
    let mut mapping = Mapping::new(input, recipe, &session.model);
    mapping.order = request.output.order;
    mapping.anonymised = anonymised;
    mapping.results = destination(workspace, request, watch).await;
    prepare(&mut mapping, workspace, connected, opening, watch)?;
    Ok(Planned { mapping, rows })
}

/// Returns the destination of results; `None` for the default one in the run's folder.
async fn destination(workspace: &Workspace, request: &RunRequest, watch: &Watch) -> Option<Destination> {
    let path = request.output.results.as_ref()?;
    if path == Path::new("-") {
        return watch.results.clone().map(Destination::Lines);
    }
    let path = request.place_output(path, workspace.folder()).await;
    Some(if watch.overwrite { Destination::Replace(path) } else { Destination::File(path) })
}

/// Sets the options that all mappings have in common: names, limits, prices, cancellation and events.
pub(super) fn prepare(
    mapping: &mut Mapping,
    workspace: &Workspace,
    connected: &Connected,
    opening: &Opening,
    watch: &Watch,
) -> Result<(), OperationError> {
    let Connected { session, request, .. } = connected;
    mapping.input_name = match request.anonymise {
        // A file's name may be that of a person.
        Some(_) => "rows without names".to_owned(),
        None => request.input_name(),
    };
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

/// Returns the function by which the engine keeps the budget: the price for a prompt of a number of tokens, `None` if
/// not known.
pub(super) fn pricing(session: &Session) -> antiphon_engine::Pricing {
    let session = session.clone();
    Arc::new(move |tokens| session.price(tokens))
}

/// Returns the input of a mapping: the store if it has all rows, else a file or a folder, or the file that the watch
/// has for `-`.
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
    let input = only_input(request)?;
    let path = if input == Path::new("-") {
        watch.stdin.clone().ok_or_else(no_stdin)?
    } else {
        request.locate(input, workspace.folder()).await
    };
    let options = RowOptions::default().format(request.format).encoding(request.named_encoding()?);
    Ok(Input::With(path, options.links(request.links())))
}

/// Creates the error of a run whose rows came from stdin, which cannot be read a second time.
fn no_stdin() -> OperationError {
    let message = "the rows of this run came from stdin, and not all of them are stored";
    OperationError::new(OperationErrorKind::Request, message).hint(Hint::GiveCommandAgain)
}

/// Returns the single input of a map run.
fn only_input(request: &RunRequest) -> Result<&Path, OperationError> {
    match &request.inputs[..] {
        [input] => Ok(input.as_path()),
        inputs => {
            let message = format!("a map run takes one input, and {} are named", inputs.len());
            Err(OperationError::new(OperationErrorKind::Request, message))
        }
    }
}

/// Creates the error of a recipe for the offline provider, which was named or is the default without a local engine:
/// offline drafts do not follow a recipe.
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

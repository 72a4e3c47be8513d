use std::sync::Arc;

use antiphon_data::Loader;
use antiphon_engine::{Input, Mapped, Mapping};
use antiphon_pipeline::RunLocks;
use antiphon_pipeline::content::{Content, LoadedNotes, SitePage, Voice, recipe};
use antiphon_render::{SiteBuilder, Theme};
use serde_json::json;

use super::error::{OperationError, OperationErrorKind, StopNotice};
use super::map::{estimate, prepare, work};
use super::outcome::{ContentResult, Plan, RunOutcome, RunResult};
use super::request::{ContentRecipe, RecipeSource};
use super::start::Opening;
use super::workspace::{Connected, Watch, Workspace};

/// A content request with its parsed recipe, and its notes if they are needed.
struct Planned {
    themes: Vec<Theme>,
    fallback: Option<Content>,
    notes: LoadedNotes,
    mapping: Mapping,
}

pub(super) async fn plan(
    workspace: &Workspace,
    connected: &Connected,
    watch: &Watch,
) -> Result<Plan, OperationError> {
    let planned = planned(workspace, connected, &Opening::New(RunLocks::default()), watch).await?;
    estimate(workspace, connected, &planned.mapping).await
}

pub(super) async fn run(
    workspace: &Workspace,
    connected: Connected,
    opening: Opening,
    watch: Watch,
) -> Result<RunOutcome, OperationError> {
    let Planned { themes, fallback, notes, mapping } =
        planned(workspace, &connected, &opening, &watch).await?;
    let mapped = work(workspace, &connected, mapping).await?;
    let Mapped { report, folder, failed, stop, reused, resumed_at, .. } = mapped;
    let run = workspace.store().await?.read_run(&report.run_id).await?;
    let pages = SitePage::of_run(&run, &voices(&themes), fallback.as_ref()).await?;
    let document = json!({ "schema": "antiphon.content/1", "run_id": report.run_id, "pages": pages });
    antiphon_fs::write(folder.join("content.json"), format!("{document:#}\n")).await?;
    let request = &connected.request;
    let site = match &request.output.site {
        Some(site) => request.place_output(site, workspace.folder()).await,
        None => folder.join("site"),
    };
    let title = request.output.title.as_deref().unwrap_or("Portfolio");
    let builder = SiteBuilder::new(title).pages(&pages, &themes);
    let files = if builder.is_empty() { Vec::new() } else { builder.write(&site).await? };
    let LoadedNotes { failures, skipped, .. } = notes;
    Ok(RunOutcome {
        schema: "antiphon.outcome/1".to_owned(),
        run_id: report.run_id.clone(),
        input: request.input_name(),
        folder,
        reused,
        resumed_at,
        stop: stop.as_ref().map(StopNotice::from),
        result: RunResult::Content(Box::new(ContentResult {
            report,
            pages,
            files,
            failures,
            skipped,
            failed_rows: failed,
        })),
    })
}

async fn planned(
    workspace: &Workspace,
    connected: &Connected,
    opening: &Opening,
    watch: &Watch,
) -> Result<Planned, OperationError> {
    let Connected { session, request, .. } = connected;
    let RecipeSource { name, text } = &request.recipe;
    let ContentRecipe { parameters, themes } = antiphon_engine::read_toml(name, text)?;
    let themes = themes.iter().map(Theme::from_source).collect::<Result<Vec<_>, _>>()?;
    let fallback = request.output.fallback.as_ref();
    let fallback = fallback.map(|source| Content::parse(&source.name, &source.text)).transpose()?;
    let (input, notes) = if opening.has_all_rows() {
        (Input::Stored, LoadedNotes::default())
    } else {
        let mut paths = Vec::new();
        for input in &request.inputs {
            paths.push(request.locate(input, workspace.folder()).await);
        }
        let loader = Loader::new().cancel(watch.cancel.clone());
        let mut notes = LoadedNotes::load(&loader, &paths, &voices(&themes)).await?;
        (Input::Rows(Arc::from(std::mem::take(&mut notes.rows))), notes)
    };
    if fallback.is_some() && notes.files > 1 {
        let message = format!(
            "a fallback is the content of one person, and there are {} files of notes. Name one of them",
            notes.files
        );
        return Err(OperationError::new(OperationErrorKind::Request, message));
    }
    let mut recipe = recipe();
    recipe.parameters = parameters;
    let mut mapping = Mapping::new(input, recipe, &session.model);
    prepare(&mut mapping, workspace, connected, opening, watch)?;
    mapping.kind = "content".to_owned();
    // A fresh run asks the model for new words instead of reusing cached answers.
    mapping.ignores_answers = request.fresh;
    Ok(Planned { themes, fallback, notes, mapping })
}

fn voices(themes: &[Theme]) -> Vec<&Voice> {
    themes.iter().map(|theme| &theme.voice).collect()
}

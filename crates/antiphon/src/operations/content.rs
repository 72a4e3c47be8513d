use std::path::{Path, PathBuf};
use std::sync::Arc;

use antiphon_data::{Document, Format, Loader};
use antiphon_engine::{Input, Mapped, Mapping};
use antiphon_pipeline::content::{Content, Notes, recipe};
use antiphon_render::{SiteBuilder, Theme};
use antiphon_store::{JobRecord, JobState};
use serde_json::json;

use super::error::{OperationError, OperationErrorKind, StopNotice};
use super::map::{prepare, work};
use super::outcome::{ContentResult, Plan, RunOutcome, RunResult, SitePage};
use super::request::{ContentRecipe, RecipeSource, RunRequest};
use super::start::Opening;
use super::workspace::{Connected, Watch, Workspace};

/// A content request with its recipe read, and its notes where they are needed.
struct Planned {
    themes: Vec<Theme>,
    fallback: Option<Content>,
    notes: LoadedNotes,
    mapping: Mapping,
}

/// Notes that were read, as rows.
#[derive(Default)]
struct LoadedNotes {
    rows: Vec<String>,
    files: usize,
    failures: Vec<String>,
    skipped: Vec<String>,
}

pub(super) async fn plan(
    workspace: &Workspace,
    connected: &Connected,
    watch: &Watch,
) -> Result<Plan, OperationError> {
    let planned = planned(workspace, connected, &Opening::New, watch).await?;
    let store = workspace.store_to_look_at().await?;
    let estimate = planned.mapping.estimate(&connected.session.calls, &store).await?;
    Ok(Plan::Rows(Box::new(estimate)))
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
    let pages = pages(workspace, &report.run_id, &themes, fallback.as_ref()).await?;
    let document = json!({ "schema": "antiphon.content/1", "run_id": report.run_id, "pages": pages });
    antiphon_fs::write(folder.join("content.json"), format!("{document:#}\n")).await?;
    let request = &connected.request;
    let site = request.output.site.as_deref().map_or_else(|| folder.join("site"), |site| request.place(site));
    let files = build(request, &themes, &pages, &site).await?;
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
    let (input, notes) = match opening.has_all_rows() {
        true => (Input::Stored, LoadedNotes::default()),
        false => {
            let notes = load(workspace, request, &themes, watch).await?;
            (Input::Rows(Arc::from(notes.rows.clone())), notes)
        }
    };
    if fallback.is_some() && notes.files > 1 {
        let message = format!(
            "a fallback is one person's content, and there are {} files of notes: name one of them",
            notes.files
        );
        return Err(OperationError::new(OperationErrorKind::Request, message));
    }
    let mut recipe = recipe();
    recipe.parameters = parameters;
    let mut mapping = Mapping::new(input, recipe, &session.model);
    prepare(&mut mapping, workspace, connected, (opening, watch))?;
    mapping.kind = "content".to_owned();
    // Whoever wants other words wants them from the model.
    mapping.ignores_answers = request.fresh;
    Ok(Planned { themes, fallback, notes, mapping })
}

async fn load(
    workspace: &Workspace,
    request: &RunRequest,
    themes: &[Theme],
    watch: &Watch,
) -> Result<LoadedNotes, OperationError> {
    let mut notes = LoadedNotes::default();
    let mut unread = None;
    for input in &request.inputs {
        let path = request.locate(input, workspace.folder()).await;
        let loader = Loader::new().cancel(watch.cancel.clone());
        let loaded = match loader.load_path(&path).await {
            Ok(loaded) => loaded,
            // Of several inputs one that has nothing keeps no other from its pages.
            Err(err) if !err.failures().is_empty() => {
                notes.failures.extend(err.failures().iter().map(ToString::to_string));
                unread = Some(err);
                continue;
            }
            Err(err) => return Err(antiphon_pipeline::Error::input(err).into()),
        };
        notes.failures.extend(loaded.failures.iter().map(ToString::to_string));
        notes.skipped.extend(loaded.skipped.into_iter().map(|skipped| skipped.file));
        for document in loaded.documents {
            notes.add(document, themes);
        }
    }
    match unread {
        Some(err) if notes.rows.is_empty() => Err(antiphon_pipeline::Error::input(err).into()),
        None if notes.rows.is_empty() => {
            let message = format!("no notes among {}: they are txt, md or docx", notes.skipped.join(", "));
            Err(OperationError::new(OperationErrorKind::Request, message))
        }
        _ => Ok(notes),
    }
}

impl LoadedNotes {
    fn add(&mut self, document: Document, themes: &[Theme]) {
        if !matches!(document.format, Format::Text | Format::Markdown | Format::Docx) {
            self.skipped.push(document.name);
            return;
        }
        self.files += 1;
        let name = Path::new(&document.name).with_extension("").display().to_string();
        let row = |theme: &Theme| Notes::new(name.clone(), &*document.text, &theme.voice).row();
        self.rows.extend(themes.iter().map(row));
    }
}

/// What the store has of each page.
async fn pages(
    workspace: &Workspace,
    run: &str,
    themes: &[Theme],
    fallback: Option<&Content>,
) -> Result<Vec<SitePage>, OperationError> {
    let run = workspace.store().await?.look_at(run).await?;
    let mut jobs = run.pages();
    let mut pages = Vec::new();
    loop {
        let batch = jobs.next().await?;
        if batch.is_empty() {
            return Ok(pages);
        }
        for job in batch {
            pages.push(page(job, themes, fallback)?);
        }
    }
}

fn page(job: JobRecord, themes: &[Theme], fallback: Option<&Content>) -> Result<SitePage, OperationError> {
    let unreadable =
        |why: serde_json::Error| OperationError::internal(format!("row {} of the store: {why}", job.index));
    let Notes { name, theme, notes, .. } = serde_json::from_str(&job.row).map_err(unreadable)?;
    let Some(voice) = themes.iter().find(|known| known.name == theme).map(|theme| &theme.voice) else {
        let message = format!("row {} of the store is of no theme that was asked for", job.index);
        return Err(OperationError::internal(message));
    };
    let mut page = SitePage { notes: name, theme, content: None, removed: Vec::new(), error: None };
    match (&job.result, job.state) {
        (Some(result), JobState::Accepted) => {
            let answer = serde_json::from_str(result).map_err(unreadable)?;
            match Content::of_answer(answer, &notes, voice) {
                Ok((content, removed)) => (page.content, page.removed) = (Some(content), removed),
                // One page that cannot be read keeps no other from being built.
                Err(err) => page.error = Some(err.to_string()),
            }
        }
        _ => {
            let error = job.error.map(|(name, message)| format!("{name}: {message}"));
            let left = if job.attempt > 0 { "asked for, and no answer came" } else { "not asked for yet" };
            page.error = Some(error.unwrap_or_else(|| left.to_owned()));
            page.content = fallback.cloned().map(|mut content| {
                voice.apply(&mut content);
                content
            });
        }
    }
    Ok(page)
}

async fn build(
    request: &RunRequest,
    themes: &[Theme],
    pages: &[SitePage],
    site: &Path,
) -> Result<Vec<PathBuf>, OperationError> {
    let title = request.output.title.as_deref().unwrap_or("Portfolio");
    let mut builder = SiteBuilder::new(title);
    let mut is_empty = true;
    for page in pages {
        let theme = themes.iter().find(|theme| theme.name == page.theme);
        if let (Some(content), Some(theme)) = (&page.content, theme) {
            builder = builder.page(&page.notes, content.clone(), theme.clone());
            is_empty = false;
        }
    }
    match is_empty {
        true => Ok(Vec::new()),
        false => Ok(builder.write(site).await?),
    }
}

/// Finds the themes of these names, of which one with a `/` is a folder's, and `all` is all that are built in.
///
/// # Errors
/// `Request` for a name that no theme has, or a theme that cannot be used.
///
/// # Cancel safety
/// Nothing is changed, so nothing is lost.
pub async fn themes(names: &[String]) -> Result<Vec<Theme>, OperationError> {
    let wrong = |message: String| OperationError::new(OperationErrorKind::Request, message);
    let mut themes: Vec<Theme> = Vec::new();
    for name in names.iter().map(|name| name.trim()) {
        for theme in themes_of(name).await? {
            match themes.iter().find(|known| known.name == theme.name) {
                Some(_) if name.contains(['/', '\\']) => {
                    let message = format!("two themes are called {}: pages are named after them", theme.name);
                    return Err(wrong(message));
                }
                Some(_) => {}
                None => themes.push(theme),
            }
        }
    }
    Ok(themes)
}

async fn themes_of(name: &str) -> Result<Vec<Theme>, OperationError> {
    // A theme's folder that cannot be read is a mistake of the request, too.
    let unusable = |err: antiphon_render::RenderError| {
        let message = OperationError::from(err).to_string();
        OperationError::new(OperationErrorKind::Request, message)
    };
    match name {
        "all" => Theme::all().map_err(unusable),
        name if name.contains(['/', '\\']) => Ok(vec![Theme::load(Path::new(name)).await.map_err(unusable)?]),
        name => match Theme::built_in(name) {
            Ok(theme) => Ok(vec![theme]),
            Err(_)
                if antiphon_fs::exists(Path::new(name).join("theme.toml")).await.is_ok_and(|there| there) =>
            {
                let message = format!("there is no theme {name}; for the folder of that name say ./{name}/");
                Err(OperationError::new(OperationErrorKind::Request, message))
            }
            Err(err) => Err(unusable(err)),
        },
    }
}

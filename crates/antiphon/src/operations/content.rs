use std::fmt::Write;
use std::path::{Path, PathBuf};

use antiphon_data::{Document, Format, Loader, RowFormat};
use antiphon_engine::Options;
use antiphon_engine::{Estimate, Mapped, Mapping, OnStatus};
use antiphon_llm::Parameters;
use antiphon_pipeline::content::{Content, Notes, Removed, recipe};
use antiphon_pipeline::{Error, ErrorKind};
use antiphon_render::{RenderError, RenderErrorKind, SiteBuilder, Theme};
use antiphon_store::{JobRecord, JobState, Store};
use serde::Serialize;
use serde_json::{Value, json};

use super::map::{JOURNAL, MapRequest, close, estimate, map};
use crate::runtime::Session;

/// Sites from notes: a page for each document in each theme.
#[derive(Debug)]
#[non_exhaustive]
pub struct ContentRequest {
    /// Files or folders of notes.
    pub inputs: Vec<PathBuf>,
    /// The themes, at least one.
    pub themes: Vec<Theme>,
    /// The folder of the journal and of all runs.
    pub folder: PathBuf,
    /// Where the site goes. Default: `site` in the run's folder.
    pub site: Option<PathBuf>,
    /// What stands above the index. Default: `Portfolio`.
    pub title: String,
    /// How answers are drawn. Default: the provider's own choice.
    pub parameters: Parameters,
    /// Content, as JSON, for pages that the provider gave none for.
    pub fallback: Option<PathBuf>,
    /// Whether an earlier run of the same kind is left alone, and everything asked for anew. Default: it is gone on with.
    pub fresh: bool,
    /// The one run that is gone on with, by its id.
    pub resume: Option<String>,
    /// Whether the pages of that run that failed are asked for again.
    pub retry_failed: bool,
    /// How the command can be given again: kept with the run.
    pub note: Value,
    /// How the engine works.
    pub options: Options,
}

/// What came of notes.
#[derive(Debug)]
#[non_exhaustive]
pub struct Sites {
    /// How the run went.
    pub mapped: Mapped,
    /// One for each document and theme, in order.
    pub pages: Vec<SitePage>,
    /// The files of the site, its index last; none if there is no page.
    pub files: Vec<PathBuf>,
    /// Notes that could not be read.
    pub failures: Vec<String>,
    /// Files of other kinds.
    pub skipped: Vec<String>,
}

/// A page, or why there is none.
#[derive(Debug, Serialize)]
#[non_exhaustive]
pub struct SitePage {
    /// The document's name.
    pub notes: String,
    /// The theme's.
    pub theme: String,
    /// What stands on it.
    pub content: Option<Content>,
    /// What an answer had that the notes do not have; it is not on the page.
    pub removed: Vec<Removed>,
    /// Why there is no answer. With content, that is the fallback's.
    pub error: Option<String>,
}

impl ContentRequest {
    /// Each document of `inputs` in each of `themes`, with the run below `folder`.
    #[must_use]
    pub fn new(inputs: Vec<PathBuf>, themes: Vec<Theme>, folder: impl Into<PathBuf>) -> Self {
        Self {
            inputs,
            themes,
            folder: folder.into(),
            site: None,
            title: "Portfolio".to_owned(),
            parameters: Parameters::default(),
            fallback: None,
            fresh: false,
            resume: None,
            retry_failed: false,
            note: Value::Null,
            options: Options::default(),
        }
    }
}

/// Asks for the copy of each page, journalled as rows are, and builds the site. The same request again asks for nothing
/// that is there, and builds the site anew.
///
/// # Errors
/// As [`map`](super::map); `Config` for a theme or a fallback that cannot be used, `Files` for what cannot be written.
///
/// # Cancel safety
/// Hangs up. Answers that were accepted are kept.
pub async fn content(
    session: &Session,
    request: &ContentRequest,
    on_status: OnStatus,
) -> Result<Sites, Error> {
    let fallback = match &request.fallback {
        Some(path) => Some(fallback(path).await?),
        None => None,
    };
    let read = read(request).await?;
    let mut mapping = mapping(session, request, &read.rows());
    mapping.on_status = on_status;
    let mapped = map(session, &MapRequest::new(mapping, &request.folder)).await?;
    let pages = pages(request, &mapped.report.run_id, fallback.as_ref()).await?;
    let document = json!({ "schema": "antiphon.content/1", "run_id": mapped.report.run_id, "pages": pages });
    let text = serde_json::to_string_pretty(&document).map_err(|err| Error::internal(err.to_string()))?;
    let written = antiphon_fs::write(mapped.folder.join("content.json"), text + "\n").await;
    written.map_err(Error::files)?;
    let files = build(request, &mapped.folder, &pages).await?;
    let Read { failures, skipped, .. } = read;
    Ok(Sites { mapped, pages, files, failures, skipped })
}

/// What a request would take. Makes no call.
///
/// # Errors
/// As [`content`], for what can be seen without a call.
///
/// # Cancel safety
/// Nothing is changed, so nothing is lost.
pub async fn estimate_content(session: &Session, request: &ContentRequest) -> Result<Estimate, Error> {
    let read = read(request).await?;
    let mapping = mapping(session, request, &read.rows());
    estimate(session, &MapRequest::new(mapping, &request.folder)).await
}

/// Notes that were read, as rows in a file that goes with this.
struct Read {
    folder: antiphon_fs::TempDir,
    failures: Vec<String>,
    skipped: Vec<String>,
}

impl Read {
    fn rows(&self) -> PathBuf {
        self.folder.path().join("notes.jsonl")
    }
}

async fn read(request: &ContentRequest) -> Result<Read, Error> {
    let folder = antiphon_fs::temp_dir().map_err(Error::files)?;
    let mut read = Read { folder, failures: Vec::new(), skipped: Vec::new() };
    let mut text = String::new();
    let mut unread = None;
    let mut files = 0;
    for input in &request.inputs {
        let loader = Loader::new().cancel(request.options.cancel.clone());
        let loaded = match loader.load_path(input).await {
            Ok(loaded) => loaded,
            // Of several inputs one that has nothing keeps no other from its pages.
            Err(err) if !err.failures().is_empty() => {
                read.failures.extend(err.failures().iter().map(ToString::to_string));
                unread = Some(err);
                continue;
            }
            Err(err) => return Err(Error::input(err)),
        };
        read.failures.extend(loaded.failures.iter().map(ToString::to_string));
        read.skipped.extend(loaded.skipped.into_iter().map(|skipped| skipped.file));
        for document in loaded.documents {
            if !matches!(document.format, Format::Text | Format::Markdown | Format::Docx) {
                read.skipped.push(document.name);
                continue;
            }
            files += 1;
            for theme in &request.themes {
                let notes = Notes::new(name_of(&document), &*document.text, &theme.voice);
                // Writing to a String cannot fail.
                let _ = writeln!(text, "{}", notes.row());
            }
        }
    }
    if request.fallback.is_some() && files > 1 {
        let message = format!(
            "a fallback is one person's content, and there are {files} files of notes: name one of them"
        );
        return Err(Error::new(ErrorKind::Config, message));
    }
    match unread {
        Some(err) if text.is_empty() => return Err(Error::input(err)),
        None if text.is_empty() => {
            let message = format!("no notes among {}: they are txt, md or docx", read.skipped.join(", "));
            return Err(Error::new(ErrorKind::Config, message));
        }
        _ => {}
    }
    antiphon_fs::write(read.rows(), text).await.map_err(Error::files)?;
    Ok(read)
}

fn name_of(document: &Document) -> String {
    let name = Path::new(&document.name).with_extension("");
    name.display().to_string()
}

fn mapping(session: &Session, request: &ContentRequest, rows: &Path) -> Mapping {
    let recipe = recipe().drawing(request.parameters);
    let mut mapping = Mapping::new(rows, recipe, &session.model);
    let names: Vec<String> = request.inputs.iter().map(|input| input.display().to_string()).collect();
    mapping.input_name = names.join(", ");
    mapping.format = Some(RowFormat::Jsonl);
    // Whoever wants other words wants them from the model.
    (mapping.fresh, mapping.asks_anew) = (request.fresh, request.fresh);
    mapping.resume.clone_from(&request.resume);
    mapping.retry_failed = request.retry_failed;
    mapping.request = request.note.clone();
    mapping.options = request.options.clone();
    mapping
}

async fn fallback(path: &Path) -> Result<Content, Error> {
    let text = antiphon_fs::read_to_string(path).await;
    let text = text.map_err(|err| Error::new(ErrorKind::Config, err.to_string()))?;
    Content::parse(&path.display().to_string(), &text.text)
}

/// What the journal has of each page.
async fn pages(
    request: &ContentRequest,
    run: &str,
    fallback: Option<&Content>,
) -> Result<Vec<SitePage>, Error> {
    let store = Store::open(request.folder.join(JOURNAL)).await.map_err(Error::store)?;
    let pages = pages_of(&store, run, &request.themes, fallback).await;
    close(store).await;
    pages
}

async fn pages_of(
    store: &Store,
    run: &str,
    themes: &[Theme],
    fallback: Option<&Content>,
) -> Result<Vec<SitePage>, Error> {
    let run = store.look_at(run).await.map_err(Error::store)?;
    let mut jobs = run.pages();
    let mut pages = Vec::new();
    loop {
        let batch = jobs.next().await.map_err(Error::store)?;
        if batch.is_empty() {
            return Ok(pages);
        }
        for job in batch {
            pages.push(page(job, themes, fallback)?);
        }
    }
}

fn page(job: JobRecord, themes: &[Theme], fallback: Option<&Content>) -> Result<SitePage, Error> {
    let unreadable =
        |why: serde_json::Error| Error::internal(format!("row {} of the journal: {why}", job.index));
    let Notes { name, theme, notes, .. } = serde_json::from_str(&job.row).map_err(unreadable)?;
    let Some(voice) = themes.iter().find(|known| known.name == theme).map(|theme| &theme.voice) else {
        return Err(Error::internal(format!(
            "row {} of the journal is of no theme that was asked for",
            job.index
        )));
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
            let told = job.error.map(|(name, message)| format!("{name}: {message}"));
            let left = if job.attempt > 0 { "asked for, and no answer came" } else { "not asked for yet" };
            page.error = Some(told.unwrap_or_else(|| left.to_owned()));
            page.content = fallback.cloned().map(|mut content| {
                voice.apply(&mut content);
                content
            });
        }
    }
    Ok(page)
}

async fn build(request: &ContentRequest, folder: &Path, pages: &[SitePage]) -> Result<Vec<PathBuf>, Error> {
    let mut site = SiteBuilder::new(&request.title);
    let mut is_empty = true;
    for page in pages {
        let theme = request.themes.iter().find(|theme| theme.name == page.theme);
        if let (Some(content), Some(theme)) = (&page.content, theme) {
            site = site.page(&page.notes, content.clone(), theme.clone());
            is_empty = false;
        }
    }
    if is_empty {
        return Ok(Vec::new());
    }
    let to = request.site.clone().unwrap_or_else(|| folder.join("site"));
    site.write(&to).await.map_err(|err| told(&err))
}

/// A renderer's error as one of a run.
fn told(err: &RenderError) -> Error {
    let kind = match err.kind() {
        RenderErrorKind::Theme | RenderErrorKind::Template => ErrorKind::Config,
        _ => ErrorKind::Files,
    };
    Error::new(kind, with_cause(err))
}

fn with_cause(err: &RenderError) -> String {
    match (err.kind(), std::error::Error::source(err)) {
        (RenderErrorKind::Files, Some(why)) => format!("{err}: {why}"),
        _ => err.to_string(),
    }
}

/// The themes of these names, of which one with a `/` is a folder's, and `all` is all that are built in.
///
/// # Errors
/// `Config` for a name that no theme has, or a theme that cannot be used.
///
/// # Cancel safety
/// Nothing is changed, so nothing is lost.
pub async fn themes(names: &[String]) -> Result<Vec<Theme>, Error> {
    let mut themes: Vec<Theme> = Vec::new();
    let unusable = |err: RenderError| Error::new(ErrorKind::Config, with_cause(&err));
    for name in names.iter().map(|name| name.trim()) {
        let found = match name {
            "all" => Theme::all().map_err(unusable)?,
            name if name.contains(['/', '\\']) => vec![Theme::load(Path::new(name)).await.map_err(unusable)?],
            name => match Theme::built_in(name) {
                Ok(theme) => vec![theme],
                Err(_)
                    if antiphon_fs::exists(Path::new(name).join("theme.toml"))
                        .await
                        .is_ok_and(|there| there) =>
                {
                    let message =
                        format!("there is no theme {name}; for the folder of that name say ./{name}/");
                    return Err(Error::new(ErrorKind::Config, message));
                }
                Err(err) => return Err(unusable(err)),
            },
        };
        for theme in found {
            match themes.iter().find(|known| known.name == theme.name) {
                Some(_) if name.contains(['/', '\\']) => {
                    let message = format!("two themes are called {}: pages are named after them", theme.name);
                    return Err(Error::new(ErrorKind::Config, message));
                }
                Some(_) => {}
                None => themes.push(theme),
            }
        }
    }
    Ok(themes)
}

use std::path::PathBuf;

use antiphon_data::{Document, Format, Loader};
use antiphon_engine::ErrorKind;
use antiphon_store::{JobRecord, JobState, Run};
use serde::Serialize;

use super::grounding::Removed;
use super::portfolio::Content;
use super::recipe::ContentRow;
use super::voice::Voice;
use crate::error::Error;

/// Notes that were read from files, for each voice: the rows of a run.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct LoadedNotes {
    /// The rows, each a [`ContentRow`] as JSON.
    pub rows: Vec<String>,
    /// How many files they are from.
    pub files: usize,
    /// Files that could not be read, each with why.
    pub failures: Vec<String>,
    /// Files that are no notes.
    pub skipped: Vec<String>,
}

impl LoadedNotes {
    /// Reads notes from files and folders: txt, Markdown and docx. A path that has none keeps no other from being read.
    ///
    /// # Errors
    /// `Input` where nothing could be read, `Config` where nothing is notes.
    ///
    /// # Cancel safety
    /// Nothing is changed, so nothing is lost.
    pub async fn load(loader: &Loader, paths: &[PathBuf], voices: &[&Voice]) -> Result<Self, Error> {
        let mut notes = Self::default();
        let mut unread = None;
        for path in paths {
            let loaded = match loader.load_path(path).await {
                Ok(loaded) => loaded,
                Err(err) if !err.failures().is_empty() => {
                    notes.failures.extend(err.failures().iter().map(ToString::to_string));
                    unread = Some(err);
                    continue;
                }
                Err(err) => return Err(Error::input(err)),
            };
            notes.failures.extend(loaded.failures.iter().map(ToString::to_string));
            notes.skipped.extend(loaded.skipped.into_iter().map(|skipped| skipped.file));
            for document in loaded.documents {
                notes.add(document, voices);
            }
        }
        match unread {
            Some(err) if notes.rows.is_empty() => Err(Error::input(err)),
            None if notes.rows.is_empty() => {
                let skipped = notes.skipped.join(", ");
                let message = format!("no notes among {skipped}: they are txt, md or docx");
                Err(Error::new(ErrorKind::Config, message))
            }
            _ => Ok(notes),
        }
    }

    fn add(&mut self, document: Document, voices: &[&Voice]) {
        if !matches!(document.format, Format::Text | Format::Markdown | Format::Docx) {
            self.skipped.push(document.name);
            return;
        }
        self.files += 1;
        let name = PathBuf::from(&document.name).with_extension("").display().to_string();
        let row = |voice: &&Voice| ContentRow::new(name.clone(), &*document.text, voice).row();
        self.rows.extend(voices.iter().map(row));
    }
}

/// A page, or why there is none.
#[derive(Debug, Serialize)]
#[non_exhaustive]
pub struct SitePage {
    /// The document's name.
    pub notes: String,
    /// The theme's.
    pub theme: String,
    /// The copy.
    pub content: Option<Content>,
    /// What an answer had that the notes do not have; it is not on the page.
    pub removed: Vec<Removed>,
    /// Why there is no answer. With content, that is the fallback's.
    pub error: Option<String>,
}

impl SitePage {
    /// Reads the pages of a run, in the order of its rows; one without an answer has the fallback's content.
    ///
    /// # Errors
    /// `Store` where the run cannot be read; `Internal` for a row that is no [`ContentRow`] of these voices.
    ///
    /// # Cancel safety
    /// Nothing is changed, so nothing is lost.
    pub async fn of_run(
        run: &Run,
        voices: &[&Voice],
        fallback: Option<&Content>,
    ) -> Result<Vec<Self>, Error> {
        let mut jobs = run.pages();
        let mut pages = Vec::new();
        loop {
            let batch = jobs.next().await.map_err(Error::store)?;
            if batch.is_empty() {
                return Ok(pages);
            }
            for job in batch {
                pages.push(Self::of_job(job, voices, fallback)?);
            }
        }
    }

    fn of_job(job: JobRecord, voices: &[&Voice], fallback: Option<&Content>) -> Result<Self, Error> {
        let unreadable =
            |why: serde_json::Error| Error::internal(format!("row {} of the store: {why}", job.index));
        let ContentRow { name, theme, notes, .. } = serde_json::from_str(&job.row).map_err(unreadable)?;
        let Some(voice) = voices.iter().find(|voice| voice.name == theme) else {
            let message = format!("row {} of the store is of no theme that was asked for", job.index);
            return Err(Error::internal(message));
        };
        let mut page = Self { notes: name, theme, content: None, removed: Vec::new(), error: None };
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
                let left =
                    if job.attempt > 0 { "asked for, and no answer came" } else { "not asked for yet" };
                page.error = Some(error.unwrap_or_else(|| left.to_owned()));
                page.content = fallback.cloned().map(|mut content| {
                    voice.apply(&mut content);
                    content
                });
            }
        }
        Ok(page)
    }
}

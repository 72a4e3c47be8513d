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

/// Notes that were loaded from files: the rows of a run, one for each file and voice.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct LoadedNotes {
    /// The rows, each a [`ContentRow`] as JSON text.
    pub rows: Vec<String>,
    /// The number of files with notes.
    pub files: usize,
    /// Files that could not be read, each with the reason.
    pub failures: Vec<String>,
    /// Files that were skipped, since notes cannot be in their format.
    pub skipped: Vec<String>,
}

impl LoadedNotes {
    /// Loads notes from files and folders: text, Markdown and docx. A path that cannot be read does not affect the others.
    ///
    /// # Errors
    /// `Input` if nothing could be read, `Config` if none of the files has notes.
    ///
    /// # Cancel safety
    /// A dropped call changes nothing.
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
                let message = format!("no notes among {skipped}: notes are txt, md or docx files");
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

/// A page of a site, or the reason why it is missing.
#[derive(Debug, Serialize)]
#[non_exhaustive]
pub struct SitePage {
    /// The name of the notes.
    pub notes: String,
    /// The name of the theme.
    pub theme: String,
    /// The copy: that of the answer, or of the fallback if there is no answer; `None` if there is neither.
    pub content: Option<Content>,
    /// Values that grounding removed from the answer, since the notes do not contain them.
    pub removed: Vec<Removed>,
    /// The reason why there is no answer; `None` if there is one. With an error, `content` is the fallback's.
    pub error: Option<String>,
}

impl SitePage {
    /// Reads the pages of a run, in the order of its rows; a page without an answer gets the content of `fallback`.
    ///
    /// # Errors
    /// `Store` if the run cannot be read; `Internal` for a row that is not a [`ContentRow`] of one of `voices`.
    ///
    /// # Cancel safety
    /// A dropped call changes nothing.
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
            let message = format!("row {} of the store: unknown theme {theme:?}", job.index);
            return Err(Error::internal(message));
        };
        let mut page = Self { notes: name, theme, content: None, removed: Vec::new(), error: None };
        match (&job.result, job.state) {
            (Some(result), JobState::Accepted) => {
                let answer = serde_json::from_str(result).map_err(unreadable)?;
                match Content::of_answer(answer, &notes, voice) {
                    Ok((content, removed)) => (page.content, page.removed) = (Some(content), removed),
                    // A page that cannot be read does not keep the others from being built.
                    Err(err) => page.error = Some(err.to_string()),
                }
            }
            _ => {
                let error = job.error.map(|(name, message)| format!("{name}: {message}"));
                let pending = if job.attempt > 0 { "sent, but not answered" } else { "not sent yet" };
                page.error = Some(error.unwrap_or_else(|| pending.to_owned()));
                page.content = fallback.cloned().map(|mut content| {
                    voice.apply(&mut content);
                    content
                });
            }
        }
        Ok(page)
    }
}

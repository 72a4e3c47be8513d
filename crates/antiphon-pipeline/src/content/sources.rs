//! Sites from files: notes as rows of a run, and the pages that its results are.
//!
//! A run over `n` files in `m` voices has `n × m` rows, file by file. Between the two ends, [`LoadedNotes::load`] and
//! [`SitePage::of_run`], the engine processes the rows as it does those of any table; a run that is resumed reads them
//! from the store instead of the files.

use std::path::PathBuf;

use antiphon_data::{Anonymiser, Document, Format, Loaded, Loader, PossibleMiss, Replacement};
use antiphon_engine::ErrorKind;
use antiphon_store::{JobRecord, JobState, Run};
use serde::Serialize;
use serde_json::Value;

use super::grounding::Removed;
use super::left_out::{CopyOrigin, embedded, missing};
use super::portfolio::Content;
use super::recipe::ContentRow;
use super::voice::Voice;
use crate::error::Error;
use crate::prepare::anonymised;

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
    /// Files that are not UTF-8, each with the encoding as which it was read.
    pub decoded: Vec<(String, String)>,
    /// Files that were skipped, since notes cannot be in their format.
    pub skipped: Vec<String>,
    /// Names, addresses and numbers (PII) that were removed from the notes, each with its replacement. Confidential: see
    /// [`keep_replacements`](crate::runs::keep_replacements).
    pub replaced: Vec<Replacement>,
    /// Words that may be names and were kept; empty without an anonymiser.
    pub possible_misses: Vec<PossibleMiss>,
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
        Self::load_without(loader, paths, voices, None).await
    }

    /// Loads notes as [`load`](Self::load) does, and removes personal data (PII) from all of them together, so that a person has
    /// the same substitute in each. `None` removes nothing.
    ///
    /// # Errors
    /// The errors of [`load`](Self::load).
    ///
    /// # Cancel safety
    /// A dropped call changes nothing.
    pub async fn load_without(
        loader: &Loader,
        paths: &[PathBuf],
        voices: &[&Voice],
        anonymiser: Option<&Anonymiser>,
    ) -> Result<Self, Error> {
        let (mut notes, mut documents) = (Self::default(), Vec::new());
        let mut unread = None;
        for path in paths {
            match loader.load_path(path).await {
                Ok(loaded) => documents.extend(notes.take_loaded(loaded)),
                Err(err) if !err.failures().is_empty() => {
                    notes.failures.extend(err.failures().iter().map(ToString::to_string));
                    unread = Some(err);
                }
                Err(err) => return Err(Error::input(err)),
            }
        }
        if let Some(anonymiser) = anonymiser {
            (documents, notes.replaced, notes.possible_misses) =
                anonymised(anonymiser.clone(), documents).await?;
        }
        documents.into_iter().for_each(|document| notes.add(&document, voices));
        if !notes.rows.is_empty() {
            return Ok(notes);
        }
        Err(unread.map_or_else(|| notes.without_notes(), Error::input))
    }

    /// Takes the documents of one path that can be notes, and notes the files that could not be used.
    fn take_loaded(&mut self, loaded: Loaded) -> Vec<Document> {
        self.failures.extend(loaded.failures.iter().map(ToString::to_string));
        self.skipped.extend(loaded.skipped.into_iter().map(|skipped| skipped.file));
        let can_be_notes =
            |document: &Document| matches!(document.format, Format::Text | Format::Markdown | Format::Docx);
        let (notes, others): (Vec<_>, Vec<_>) = loaded.documents.into_iter().partition(can_be_notes);
        self.skipped.extend(others.into_iter().map(|other| other.name));
        notes
    }

    /// Returns the error for files none of which can be notes.
    fn without_notes(&self) -> Error {
        let skipped = self.skipped.join(", ");
        let message = format!("no notes among {skipped}: notes are txt, md or docx files");
        Error::new(ErrorKind::Config, message)
    }

    /// Adds a document as one row for each voice.
    fn add(&mut self, document: &Document, voices: &[&Voice]) {
        self.files += 1;
        if document.encoding != "UTF-8" {
            self.decoded.push((document.name.clone(), document.encoding.to_string()));
        }
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
    /// Parts of the notes that the page does not have: pictures and links that run something and, for a draft without a model,
    /// sentences and links of the notes.
    pub left_out: Vec<String>,
    /// The reason why there is no answer; `None` if there is one. With an error, `content` is the fallback's.
    pub error: Option<String>,
}

impl SitePage {
    /// Reads the pages of a run, in the order of its rows; a page without an answer gets the content of `fallback`. Of drafts,
    /// what they lack is named.
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
        origin: CopyOrigin,
    ) -> Result<Vec<Self>, Error> {
        let mut jobs = run.pages();
        let mut pages = Vec::new();
        loop {
            let batch = jobs.next().await.map_err(Error::store)?;
            if batch.is_empty() {
                return Ok(pages);
            }
            for job in batch {
                pages.push(Self::of_job(job, voices, fallback, origin)?);
            }
        }
    }

    /// Reads the page of one job.
    fn of_job(
        job: JobRecord,
        voices: &[&Voice],
        fallback: Option<&Content>,
        origin: CopyOrigin,
    ) -> Result<Self, Error> {
        let unreadable =
            |why: serde_json::Error| Error::internal(format!("row {} of the store: {why}", job.index));
        let ContentRow { name, theme, notes, .. } = serde_json::from_str(&job.row).map_err(unreadable)?;
        let Some(voice) = voices.iter().find(|voice| voice.name == theme) else {
            let message = format!("row {} of the store: unknown theme {theme:?}", job.index);
            return Err(Error::internal(message));
        };
        let mut page = Self {
            notes: name,
            theme,
            content: None,
            removed: Vec::new(),
            left_out: embedded(&notes),
            error: None,
        };
        match (&job.result, job.state) {
            (Some(result), JobState::Accepted) => {
                let answer = serde_json::from_str(result).map_err(unreadable)?;
                page.set_answer(answer, &notes, voice);
                if let (CopyOrigin::Draft, Some(content)) = (origin, &page.content) {
                    page.left_out.extend(missing(&notes, content));
                }
            }
            _ => page.set_missing(&job, voice, fallback),
        }
        Ok(page)
    }

    /// Sets the content of an answer. A page whose answer cannot be read has the error instead, and does not keep the
    /// others from being built.
    fn set_answer(&mut self, answer: Value, notes: &str, voice: &Voice) {
        match Content::of_answer(answer, notes, voice) {
            Ok((content, removed)) => (self.content, self.removed) = (Some(content), removed),
            Err(err) => self.error = Some(err.to_string()),
        }
    }

    /// Sets the reason why there is no answer, and the content of the fallback in the page's voice.
    fn set_missing(&mut self, job: &JobRecord, voice: &Voice, fallback: Option<&Content>) {
        let error = job.error.as_ref().map(|(name, message)| format!("{name}: {message}"));
        let pending = if job.attempt > 0 { "sent, but not answered" } else { "not sent yet" };
        self.error = Some(error.unwrap_or_else(|| pending.to_owned()));
        self.content = fallback.cloned().map(|mut content| {
            voice.apply(&mut content);
            content
        });
    }
}

//! Result folders: one for each run.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use antiphon_data::Document;
use antiphon_engine::ErrorKind;
use antiphon_llm::{Part, Prompt, Schema, Scope};
use antiphon_store::{Run, RunStatus};
use serde::Serialize;
use serde_json::json;
use uuid::Uuid;

use crate::config::GenerationConfig;
use crate::error::Error;
use crate::persona::{self, Personas};
use crate::report::{self, Report};

pub use crate::anonymised::{keep_replaced, keep_replacements, remove_replaced, salt, salt_or_random};

/// The report, written last: a folder without it is left over from an interrupted run.
const REPORT: &str = "run.json";
const PERSONAS: &str = "personas.json";
/// The partial answer of a failed run.
const PARTIAL: &str = "partial.txt";

/// Reads the personas in the folder of a run; `None` if the run has written none.
///
/// # Errors
/// `Files` for a file that cannot be read or parsed.
///
/// # Cancel safety
/// A dropped call changes nothing.
pub async fn read_personas(folder: &Path) -> Result<Option<Personas>, Error> {
    let path = folder.join(PERSONAS);
    let text = match antiphon_fs::read_to_string(&path).await {
        Err(err) if err.kind() == antiphon_fs::ErrorKind::NotFound => return Ok(None),
        text => text.map_err(Error::files)?.text,
    };
    serde_json::from_str(&text)
        .map(Some)
        .map_err(|err| Error::new(ErrorKind::Files, format!("cannot parse {}: {err}", path.display())))
}

/// The id of a run: a UUID of version 7, so that ids sort by time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunId(Uuid);

impl RunId {
    pub(crate) fn new() -> Self {
        Self(Uuid::now_v7())
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for RunId {
    type Err = uuid::Error;

    fn from_str(id: &str) -> Result<Self, uuid::Error> {
        id.parse().map(Self)
    }
}

/// The identity of a run: a BLAKE3 hash of everything that shapes its result.
///
/// The same command over the same documents has the same fingerprint, which serves as the idempotency key of a request: an
/// equal request finds the run instead of paying for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint(blake3::Hash);

/// The version of the readers of documents: with other speakers in the same files, the personas are others.
const READING: u32 = 3;

impl Fingerprint {
    /// Hashes everything that shapes the result: the version of this program, the prompt, the schema, provider, model and
    /// parameters, and the documents.
    pub(crate) fn new(
        prompt: &Prompt,
        schema: &Schema,
        scope: &Scope,
        documents: &[Document],
        config: &GenerationConfig,
    ) -> Self {
        let is_anonymised = config.anonymiser.is_some();
        // Settings of the provider that change answers; hashed, since a secret header may be among them.
        let variant = scope.variant.as_deref();
        let variant = variant.map(|variant| blake3::hash(variant.as_bytes()).to_hex().to_string());
        let wording =
            prompt.messages.iter().flat_map(|message| &message.parts).filter_map(|part| match part {
                Part::Text(text) => Some(text.as_str()),
                _ => None,
            });
        let mut parts = json!({
            "version": env!("CARGO_PKG_VERSION"),
            "recipe": persona::NAME,
            "system": prompt.system,
            "wording": wording.collect::<Vec<_>>(),
            "schema": schema.value(),
            "provider": scope.vendor,
            "base_url": scope.base_url,
            "model": prompt.model,
            "parameters": report::parameters(&prompt.parameters),
            "variant": variant,
            "max_similarity": config.recipe.max_similarity,
            "reading": READING,
        });
        if !config.recipe.interviewers.is_empty() || !config.recipe.participants.is_empty() {
            parts["speakers"] = json!([config.recipe.interviewers, config.recipe.participants]);
        }
        // Answers may come from the recipe's fallbacks. A recipe without any keeps the fingerprint of earlier versions.
        if !config.recipe.fallback.is_empty() {
            parts["fallback"] = json!(config.recipe.fallback);
        }
        let mut hash = blake3::Hasher::new();
        hash.update(parts.to_string().as_bytes());
        for document in documents {
            // Evidence names documents, so a renamed one makes another run.
            hash.update(b"\0").update(document.name.as_bytes());
            hash.update(b"\0").update(document.sha256.as_bytes());
        }
        if is_anonymised {
            // The files' digests do not change with what was taken out.
            for document in documents {
                hash.update(b"\0").update(document.text.as_bytes());
            }
        }
        Self(hash.finalize())
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.to_hex())
    }
}

/// The folder of one run.
#[derive(Debug, Clone)]
pub struct RunFolder {
    path: PathBuf,
}

impl RunFolder {
    /// Creates the folder of a run below `out`.
    ///
    /// # Errors
    /// `Files` if the folder cannot be created.
    ///
    /// # Cancel safety
    /// A dropped call may still create the folder.
    pub async fn create(out: &Path, run_id: RunId) -> Result<Self, Error> {
        let name = run_id.to_string();
        antiphon_fs::create_dir_below(out, &name).await.map_err(Error::files)?;
        Ok(Self { path: out.join(name) })
    }

    /// Returns the path of the folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes one file of the run atomically. `name` may contain folders, which are created. No symbolic link is followed.
    ///
    /// # Errors
    /// `Files` if the file cannot be written.
    ///
    /// # Cancel safety
    /// A dropped call writes the whole file or nothing.
    pub async fn write(&self, name: &str, content: String) -> Result<PathBuf, Error> {
        // The way begins at the folder of runs: neither the run's folder nor one in it may be a link.
        let out = self.path.parent().unwrap_or(&self.path);
        let folder = Path::new(self.path.file_name().unwrap_or_default());
        antiphon_fs::write_below(out, folder.join(name), content).await.map_err(Error::files)?;
        Ok(self.path.join(name))
    }

    /// Writes the personas as JSON, into `personas.json`.
    ///
    /// # Errors
    /// `Files` if the file cannot be written.
    ///
    /// # Cancel safety
    /// The same as for [`RunFolder::write`].
    pub async fn write_personas(&self, personas: &Personas) -> Result<PathBuf, Error> {
        self.write(PERSONAS, pretty(personas)?).await
    }

    /// Returns whether the folder has every file of a finished run, and the store has this same report of it.
    ///
    /// # Errors
    /// `Files` if the folder cannot be read.
    ///
    /// # Cancel safety
    /// A dropped call changes nothing.
    pub async fn is_whole(&self, run: &Run, report: &Report) -> Result<bool, Error> {
        for name in [PERSONAS, "personas.html", REPORT] {
            let file = self.path.join(name);
            // A link is no file of this program.
            let is_link = antiphon_fs::link_identity(&file).await.is_ok_and(|link| link.is_some());
            if is_link || !antiphon_fs::exists(&file).await.map_err(Error::files)? {
                return Ok(false);
            }
        }
        // The same answer may have been validated by other rules before.
        Ok(run.record().report.as_deref() == Some(&*pretty(report)?))
    }

    /// Writes the report and finishes the run with it: the last step, after which the folder is complete.
    ///
    /// # Errors
    /// `Files` if the report cannot be written, `Store` if the run cannot be finished.
    ///
    /// # Cancel safety
    /// A dropped call may leave the run open; a resumed run then writes its files again.
    pub async fn finish(&self, run: &Run, report: &Report) -> Result<(), Error> {
        // The partial answer of an earlier attempt is obsolete.
        antiphon_fs::remove(self.path.join(PARTIAL)).await.map_err(Error::files)?;
        let text = self.write_report(report).await?;
        run.finish(RunStatus::Finished, text).await.map(drop).map_err(Error::store)
    }

    /// Writes the files of a failed run: its report, and the partial answer, which may have been billed.
    ///
    /// # Errors
    /// The errors of [`RunFolder::finish`].
    ///
    /// # Cancel safety
    /// The same as for [`RunFolder::finish`].
    pub async fn write_failed(&self, run: &Run, err: &Error) -> Result<(), Error> {
        let partial = err.provider().and_then(|err| err.partial()).map(|partial| partial.text.as_str());
        if let Some(text) = partial.filter(|text| !text.is_empty()) {
            self.write(PARTIAL, text.to_owned()).await?;
        }
        match err.report() {
            Some(report) => {
                let text = self.write_report(report).await?;
                run.finish(RunStatus::Stopped, text).await.map(drop).map_err(Error::store)
            }
            None => Ok(()),
        }
    }

    /// Writes the report, and returns its text. The last file: with it the folder is complete.
    pub(crate) async fn write_report(&self, report: &Report) -> Result<String, Error> {
        let text = pretty(report)?;
        self.write(REPORT, text.clone()).await?;
        Ok(text)
    }
}

pub(crate) fn pretty(value: &impl Serialize) -> Result<String, Error> {
    let mut text = serde_json::to_string_pretty(value).map_err(|err| {
        Error::new(ErrorKind::Internal, format!("a result cannot be written as JSON: {err}"))
    })?;
    text.push('\n');
    Ok(text)
}

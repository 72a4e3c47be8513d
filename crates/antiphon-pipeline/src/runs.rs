//! Where results go: a folder for each run, and the way back to a finished one.

use std::fmt;
use std::path::{Path, PathBuf};

use antiphon_data::Document;
use antiphon_fs::WalkOptions;
use antiphon_llm::{Part, Prompt, Schema, Scope};
use futures_util::StreamExt;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::error::{Error, ErrorKind};
use crate::persona::Personas;
use crate::recipe;
use crate::report::{self, Report, Status};

/// The file that makes a folder a run. It is written last, so a folder without it is the rest of a broken run.
const REPORT: &str = "run.json";
const PERSONAS: &str = "personas.json";

/// A run's name: a UUID of version 7, so that names sort by time.
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

/// What a run is made of, in one number: the same command over the same documents has the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint(blake3::Hash);

impl Fingerprint {
    /// Of everything that shapes the result: this version of the program, the wording, the schema, and what they are
    /// asked of.
    pub(crate) fn new(prompt: &Prompt, schema: &Schema, scope: &Scope, documents: &[Document]) -> Self {
        let wording =
            prompt.messages.iter().flat_map(|message| &message.parts).filter_map(|part| match part {
                Part::Text(text) => Some(text.as_str()),
                _ => None,
            });
        let parts = json!({
            "version": env!("CARGO_PKG_VERSION"),
            "recipe": recipe::NAME,
            "system": prompt.system,
            "wording": wording.collect::<Vec<_>>(),
            "schema": schema.value(),
            "provider": scope.vendor,
            "base_url": scope.base_url,
            "model": prompt.model,
            "parameters": report::parameters(prompt.parameters),
        });
        let mut hash = blake3::Hasher::new();
        hash.update(parts.to_string().as_bytes());
        for document in documents {
            // Evidence names documents, so a renamed one makes another run.
            hash.update(b"\0").update(document.name.as_bytes());
            hash.update(b"\0").update(document.sha256.as_bytes());
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

/// A run that was finished earlier.
#[derive(Debug)]
#[non_exhaustive]
pub struct FinishedRun {
    /// Where it lies.
    pub folder: RunFolder,
    /// Its report.
    pub report: Report,
    /// Its personas.
    pub personas: Personas,
}

impl RunFolder {
    /// Makes the folder of a run below `out`.
    ///
    /// # Errors
    /// `Files` where that cannot be done.
    ///
    /// # Cancel safety
    /// A dropped call may still make the folder.
    pub async fn create(out: &Path, run_id: RunId) -> Result<Self, Error> {
        let path = out.join(run_id.to_string());
        antiphon_fs::create_dir(&path).await.map_err(Error::files)?;
        Ok(Self { path })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes one file of the run, whole or not at all; `name` may have folders, which are made.
    ///
    /// # Errors
    /// `Files` where that cannot be done.
    ///
    /// # Cancel safety
    /// A dropped call writes the whole file or nothing.
    pub async fn write(&self, name: &str, content: String) -> Result<PathBuf, Error> {
        let path = self.path.join(name);
        if let Some(folder) = path.parent() {
            antiphon_fs::create_dir(folder).await.map_err(Error::files)?;
        }
        antiphon_fs::write(&path, content).await.map_err(Error::files)?;
        Ok(path)
    }

    /// Writes the personas as data.
    ///
    /// # Errors
    /// `Files` where that cannot be done.
    ///
    /// # Cancel safety
    /// As [`RunFolder::write`].
    pub async fn write_personas(&self, personas: &Personas) -> Result<PathBuf, Error> {
        self.write(PERSONAS, pretty(personas)?).await
    }

    /// Writes the report. It comes last: with it the run is complete.
    ///
    /// # Errors
    /// `Files` where that cannot be done.
    ///
    /// # Cancel safety
    /// As [`RunFolder::write`].
    pub async fn write_report(&self, report: &Report) -> Result<PathBuf, Error> {
        self.write(REPORT, pretty(report)?).await
    }
}

/// The newest finished run below `out` with this fingerprint, if there is one.
///
/// # Errors
/// `Files` when `out` is there and cannot be listed. A run that cannot be read counts as none.
///
/// # Cancel safety
/// Nothing is changed, so nothing is lost.
pub async fn find_finished(out: &Path, fingerprint: &Fingerprint) -> Result<Option<FinishedRun>, Error> {
    if !antiphon_fs::exists(out).await.map_err(Error::files)? {
        return Ok(None);
    }
    let mut reports: Vec<PathBuf> = Vec::new();
    let mut walk = antiphon_fs::walk(out, WalkOptions::default().max_depth(2), CancellationToken::new());
    while let Some(batch) = walk.next().await {
        for entry in batch {
            match entry {
                Ok(entry) if entry.path.file_name().is_some_and(|name| name == REPORT) => {
                    reports.push(entry.path)
                }
                Err(err) if err.path() == out => return Err(Error::files(err)),
                // A run's folder that cannot be listed has no run that could be shown.
                Ok(_) | Err(_) => {}
            }
        }
    }
    reports.sort();
    for path in reports.into_iter().rev() {
        let Some(report) = read_json::<Report>(&path).await else { continue };
        if report.status != Status::Finished || report.fingerprint != fingerprint.to_string() {
            continue;
        }
        let folder = RunFolder { path: path.parent().unwrap_or(out).to_owned() };
        if let Some(personas) = read_json::<Personas>(&folder.path.join(PERSONAS)).await {
            return Ok(Some(FinishedRun { folder, report, personas }));
        }
    }
    Ok(None)
}

async fn read_json<T: DeserializeOwned>(path: &Path) -> Option<T> {
    let bytes = antiphon_fs::read(path).await.ok()?;
    serde_json::from_slice(&bytes).ok()
}

fn pretty(value: &impl Serialize) -> Result<String, Error> {
    let mut text = serde_json::to_string_pretty(value).map_err(|err| {
        Error::new(ErrorKind::Internal, format!("a result cannot be written as JSON: {err}"))
    })?;
    text.push('\n');
    Ok(text)
}

//! Where the results of a generation go: a folder for each run.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use antiphon_data::Document;
use antiphon_llm::{Part, Prompt, Schema, Scope};
use serde::Serialize;
use serde_json::json;
use uuid::Uuid;

use crate::config::GenerationConfig;
use crate::error::Error;
use crate::persona::{self, Personas};
use crate::report::{self, Report};
use antiphon_engine::ErrorKind;

/// The report is written last, so a folder without it is the rest of a broken run.
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

impl FromStr for RunId {
    type Err = uuid::Error;

    fn from_str(id: &str) -> Result<Self, uuid::Error> {
        id.parse().map(Self)
    }
}

/// What a run is made of, in one number: the same command over the same documents has the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint(blake3::Hash);

impl Fingerprint {
    /// Of everything that shapes the result: this version of the program, the wording, the schema, and what they are
    /// asked of.
    pub(crate) fn new(
        prompt: &Prompt,
        schema: &Schema,
        scope: &Scope,
        documents: &[Document],
        config: &GenerationConfig,
    ) -> Self {
        let is_anonymised = config.anonymiser.is_some();
        // Settings of the provider that change answers; not in words, since a header may be among them.
        let variant = scope.variant.as_deref();
        let variant = variant.map(|variant| blake3::hash(variant.as_bytes()).to_hex().to_string());
        let wording =
            prompt.messages.iter().flat_map(|message| &message.parts).filter_map(|part| match part {
                Part::Text(text) => Some(text.as_str()),
                _ => None,
            });
        let parts = json!({
            "version": env!("CARGO_PKG_VERSION"),
            "recipe": persona::NAME,
            "system": prompt.system,
            "wording": wording.collect::<Vec<_>>(),
            "schema": schema.value(),
            "provider": scope.vendor,
            "base_url": scope.base_url,
            "model": prompt.model,
            "parameters": report::parameters(prompt.parameters),
            "variant": variant,
            "max_similarity": config.recipe.max_similarity,
        });
        let mut hash = blake3::Hasher::new();
        hash.update(parts.to_string().as_bytes());
        for document in documents {
            // Evidence names documents, so a renamed one makes another run.
            hash.update(b"\0").update(document.name.as_bytes());
            hash.update(b"\0").update(document.sha256.as_bytes());
        }
        if is_anonymised {
            // What was taken out is not in the files' digests.
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

    /// Removes a file of the run, if it is there.
    ///
    /// # Errors
    /// `Files` where that cannot be done.
    ///
    /// # Cancel safety
    /// A dropped call may still remove it.
    pub async fn remove(&self, name: &str) -> Result<(), Error> {
        antiphon_fs::remove(self.path.join(name)).await.map_err(Error::files)
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

    /// Whether it has a file.
    ///
    /// # Errors
    /// `Files` where that cannot be seen.
    ///
    /// # Cancel safety
    /// Nothing is changed, so nothing is lost.
    pub async fn has(&self, name: &str) -> Result<bool, Error> {
        antiphon_fs::exists(&self.path.join(name)).await.map_err(Error::files)
    }

    /// Writes the report, and returns its text. It comes last: with it the run is complete.
    ///
    /// # Errors
    /// `Files` where that cannot be done.
    ///
    /// # Cancel safety
    /// As [`RunFolder::write`].
    pub async fn write_report(&self, report: &Report) -> Result<String, Error> {
        let text = text_of(report)?;
        self.write(REPORT, text.clone()).await?;
        Ok(text)
    }
}

/// The text of `run.json`.
///
/// # Errors
/// `Internal` for a defect of this program.
pub fn text_of(report: &Report) -> Result<String, Error> {
    pretty(report)
}

fn pretty(value: &impl Serialize) -> Result<String, Error> {
    let mut text = serde_json::to_string_pretty(value).map_err(|err| {
        Error::new(ErrorKind::Internal, format!("a result cannot be written as JSON: {err}"))
    })?;
    text.push('\n');
    Ok(text)
}

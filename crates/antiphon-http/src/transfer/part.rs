//! The partial file of a download, and the metadata by which a later run decides whether to resume it:
//!
//! ```json
//! { "source": "<SHA-256 of the address>", "validator": "\"5f3a\"" }
//! ```
//!
//! Metadata is written after the file was created and removed before it is replaced. So a crash may leave a partial
//! file without metadata, which is not resumed, but never metadata that belongs to other bytes.

use std::path::{Path, PathBuf};

use antiphon_fs::{Reader, Writer};
use futures_util::StreamExt;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// A partial file: `name.part` beside its target, with its metadata in `name.part.json`.
#[derive(Debug)]
pub(super) struct Part {
    /// The path of the complete file.
    target: PathBuf,
    /// The path of the partial file.
    path: PathBuf,
    /// The path of the metadata.
    metadata: PathBuf,
}

/// The metadata by which a resumed download checks that the server's content is still the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PartMetadata {
    /// The digest of the address; the address itself may contain secrets.
    pub(super) source: String,
    /// The strong `ETag` or the `Last-Modified` that the server sent.
    pub(super) validator: String,
}

impl Part {
    /// Returns the paths of the partial file and its metadata beside `target`. Nothing is created.
    pub(super) fn of(target: &Path) -> Self {
        let beside = |ending: &str| {
            let mut name = target.file_name().unwrap_or_default().to_owned();
            name.push(ending);
            target.with_file_name(name)
        };
        Self { target: target.to_owned(), path: beside(".part"), metadata: beside(".part.json") }
    }

    /// Returns the length, digest and validator of an existing partial file, if its metadata is readable and matches `source`.
    pub(super) async fn existing(
        &self,
        source: &str,
    ) -> Result<Option<(u64, Sha256, String)>, antiphon_fs::Error> {
        let Ok(metadata) = antiphon_fs::read(&self.metadata).await else { return Ok(None) };
        let Ok(metadata) = serde_json::from_slice::<PartMetadata>(&metadata) else { return Ok(None) };
        if metadata.source != source || !antiphon_fs::exists(&self.path).await? {
            return Ok(None);
        }
        let (mut length, mut digest) = (0, Sha256::new());
        let mut chunks = Reader::open(&self.path).await?.chunks(1 << 20);
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk?;
            length += chunk.len() as u64;
            digest.update(&chunk);
        }
        Ok((length > 0).then_some((length, digest, metadata.validator)))
    }

    /// Returns whether the partial file has `bytes` bytes: another process may have written to it.
    pub(super) async fn holds(&self, bytes: u64) -> Result<bool, antiphon_fs::Error> {
        Ok(antiphon_fs::metadata(&self.path).await?.len == bytes)
    }

    /// Opens the partial file for appending.
    pub(super) async fn append(&self) -> Result<Writer, antiphon_fs::Error> {
        Writer::append(&self.path).await
    }

    /// Starts a new partial file. Without metadata it cannot be resumed later.
    pub(super) async fn begin(&self, metadata: Option<PartMetadata>) -> Result<Writer, antiphon_fs::Error> {
        // In this order: metadata beside a partial file that it does not belong to would be worse than none.
        antiphon_fs::remove(&self.metadata).await?;
        let writer = Writer::create(&self.path).await?;
        if let Some(metadata) = metadata {
            antiphon_fs::write(&self.metadata, serde_json::to_vec(&metadata).unwrap_or_default()).await?;
        }
        Ok(writer)
    }

    /// Renames the complete file to its target.
    pub(super) async fn publish(&self) -> Result<(), antiphon_fs::Error> {
        antiphon_fs::rename(&self.path, &self.target).await?;
        antiphon_fs::remove(&self.metadata).await
    }

    /// Removes the partial file and its metadata, if they exist.
    pub(super) async fn discard(&self) -> Result<(), antiphon_fs::Error> {
        antiphon_fs::remove(&self.metadata).await?;
        antiphon_fs::remove(&self.path).await
    }
}

use std::path::{Path, PathBuf};

use antiphon_fs::{Reader, Writer};
use futures_util::StreamExt;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// A file that is not whole yet: `name.part` beside its place, and in `name.part.json` what it is a part of.
#[derive(Debug)]
pub(super) struct Part {
    target: PathBuf,
    path: PathBuf,
    metadata: PathBuf,
}

/// What tells whether a part still fits what the server has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PartMetadata {
    /// A digest of the address, which itself may hold secrets.
    pub(super) source: String,
    /// A strong `ETag`, or a `Last-Modified`, as the server gave it.
    pub(super) validator: String,
}

impl Part {
    pub(super) fn of(target: &Path) -> Self {
        let beside = |ending: &str| {
            let mut name = target.file_name().unwrap_or_default().to_owned();
            name.push(ending);
            target.with_file_name(name)
        };
        Self { target: target.to_owned(), path: beside(".part"), metadata: beside(".part.json") }
    }

    /// What is there already, if its notes can be read and name `source`: its length, digest and validator.
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

    /// Whether so many bytes are there: somebody else may have written to it.
    pub(super) async fn holds(&self, bytes: u64) -> Result<bool, antiphon_fs::Error> {
        Ok(antiphon_fs::metadata(&self.path).await?.len == bytes)
    }

    /// Goes on at the end of what is there.
    pub(super) async fn append(&self) -> Result<Writer, antiphon_fs::Error> {
        Writer::append(&self.path).await
    }

    /// Begins anew. Without notes it cannot be gone on with later.
    pub(super) async fn begin(&self, metadata: Option<PartMetadata>) -> Result<Writer, antiphon_fs::Error> {
        // In this order: notes beside a part that they do not belong to would be worse than none.
        antiphon_fs::remove(&self.metadata).await?;
        let writer = Writer::create(&self.path).await?;
        if let Some(metadata) = metadata {
            antiphon_fs::write(&self.metadata, serde_json::to_vec(&metadata).unwrap_or_default()).await?;
        }
        Ok(writer)
    }

    /// Gives the whole file its name.
    pub(super) async fn publish(&self) -> Result<(), antiphon_fs::Error> {
        antiphon_fs::rename(&self.path, &self.target).await?;
        antiphon_fs::remove(&self.metadata).await
    }

    pub(super) async fn discard(&self) -> Result<(), antiphon_fs::Error> {
        antiphon_fs::remove(&self.metadata).await?;
        antiphon_fs::remove(&self.path).await
    }
}

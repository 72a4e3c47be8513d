use std::path::{Path, PathBuf};

use antiphon_fs::{FileLock, Locked};
use uuid::Uuid;

use crate::error::{Error, ErrorKind};
use crate::job::Answer;
use crate::record::{NewRun, RunRecord};
use crate::run::Run;
use crate::sqlite::Backend;

/// Runs, jobs and answers in one file. Clones are handles to the same.
#[derive(Debug, Clone)]
pub struct Store {
    backend: Backend,
    folder: PathBuf,
}

impl Store {
    /// Opens the store in the file at `path`, which is made, with its folder, if it is not there. Several processes may
    /// have the same one open.
    ///
    /// # Errors
    /// `Newer` for a file of a later version, `Damaged` for one that is no store, `PermissionDenied`, `StorageFull` or `Io`.
    ///
    /// # Cancel safety
    /// A dropped call may have made the file.
    pub async fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
            _ => PathBuf::from("."),
        };
        antiphon_fs::create_dir(&folder).await.map_err(Error::files)?;
        let backend = Backend::open(path.to_owned()).await?;
        Ok(Self { backend, folder })
    }

    /// The run that the fingerprint belongs to, newest first, or a new one; and with it the right to work on it, which
    /// nobody else has until the [`Run`] is dropped. Calls that the run's last owner intended and never settled are queued
    /// again: see [`Run::interrupted`]. A finished run is given as it is.
    ///
    /// # Errors
    /// `Busy` while another owner lives; else as [`open`](Self::open).
    ///
    /// # Cancel safety
    /// A dropped call may have made the run; nobody owns it then.
    pub async fn open_run(&self, new: NewRun) -> Result<Run, Error> {
        let id = Uuid::now_v7().to_string();
        let (seq, record) = self.backend.find_or_create(new, id).await?;
        self.own(seq, record).await
    }

    /// A run by its id, the beginning of one, or `latest`, to be worked on.
    ///
    /// # Errors
    /// `NotFound`, `Conflict` where several begin so, or `Busy`; else as [`open`](Self::open).
    ///
    /// # Cancel safety
    /// Nothing is changed, so nothing is lost.
    pub async fn take_run(&self, id: &str) -> Result<Run, Error> {
        let (seq, record) = self.find(id).await?;
        self.own(seq, record).await
    }

    /// A run by its id, the beginning of one, or `latest`, to be looked at.
    ///
    /// # Errors
    /// `NotFound`, `Conflict` where several begin so; else as [`open`](Self::open).
    ///
    /// # Cancel safety
    /// Nothing is changed, so nothing is lost.
    pub async fn look_at(&self, id: &str) -> Result<Run, Error> {
        let (seq, record) = self.find(id).await?;
        Ok(Run::new(self.backend.clone(), seq, record))
    }

    /// All runs, oldest first, to be looked at.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    ///
    /// # Cancel safety
    /// Nothing is changed, so nothing is lost.
    pub async fn runs(&self) -> Result<Vec<Run>, Error> {
        let to_look_at = |(seq, record)| Run::new(self.backend.clone(), seq, record);
        Ok(self.backend.runs().await?.into_iter().map(to_look_at).collect())
    }

    /// The answers that were kept to these questions, in their order.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    ///
    /// # Cancel safety
    /// Nothing is changed, so nothing is lost.
    pub async fn answers(&self, fingerprints: Vec<[u8; 32]>) -> Result<Vec<Option<Answer>>, Error> {
        self.backend.answers(fingerprints).await
    }

    /// Keeps a note under a name, over the one before: what was learnt of a provider's limits, say.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    ///
    /// # Cancel safety
    /// A dropped call may still keep it.
    pub async fn remember(&self, name: String, note: String) -> Result<(), Error> {
        self.backend.remember(name, note).await
    }

    /// The note that was kept under a name.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    ///
    /// # Cancel safety
    /// Nothing is changed, so nothing is lost.
    pub async fn recall(&self, name: String) -> Result<Option<String>, Error> {
        self.backend.recall(name).await
    }

    /// Lets go of the store, and waits until the last handle of it has gone and its files are closed. What was kept is
    /// then in the one file, unless another process has it open.
    ///
    /// # Cancel safety
    /// A dropped call does not wait; nothing is lost.
    pub async fn close(self) {
        self.backend.close().await;
    }

    #[cfg(test)]
    pub(crate) fn backend(&self) -> &Backend {
        &self.backend
    }

    async fn find(&self, id: &str) -> Result<(i64, RunRecord), Error> {
        let mut fitting = self.backend.runs().await?;
        match id {
            "latest" => {
                fitting.retain(|(_, run)| !run.kind.contains('/'));
                // Oldest first.
                fitting.drain(..fitting.len().saturating_sub(1)).for_each(drop);
            }
            _ => fitting.retain(|(_, run)| run.id.starts_with(id)),
        }
        match (fitting.pop(), fitting.is_empty()) {
            (Some(found), true) => Ok(found),
            (None, _) => Err(Error::new(ErrorKind::NotFound, format!("there is no run {id}"))),
            (Some(_), false) => {
                let message = format!("several runs begin with {id}: name more of the id");
                Err(Error::new(ErrorKind::Conflict, message))
            }
        }
    }

    async fn own(&self, seq: i64, record: RunRecord) -> Result<Run, Error> {
        let folder = self.folder.join(&record.id);
        antiphon_fs::create_dir(&folder).await.map_err(Error::files)?;
        let owner = std::process::id();
        let lock = FileLock::acquire(folder.join(".lock"), &owner.to_string()).await.map_err(Error::files)?;
        let lock = match lock {
            Locked::Mine(lock) => lock,
            Locked::Anothers { note } => {
                let who = if note.is_empty() { String::new() } else { format!(" {note}") };
                let message = format!("run {} is being worked on by process{who}", record.id);
                return Err(Error::new(ErrorKind::Busy, message));
            }
        };
        let (record, interrupted) = self.backend.reclaim(seq).await?;
        Ok(Run::new(self.backend.clone(), seq, record).owned(lock, interrupted))
    }
}

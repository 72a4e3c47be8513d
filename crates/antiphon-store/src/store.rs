use uuid::Uuid;

use crate::backend::Backend;
use crate::error::{Error, ErrorKind};
use crate::job::Answer;
use crate::memory::Memory;
use crate::record::{NewRun, RunRecord};
use crate::run::Run;

/// Runs with their jobs, and cached answers, in one of the back ends. Clones are handles to the same store.
#[derive(Debug, Clone)]
pub struct Store {
    backend: Backend,
}

impl Store {
    /// Creates a store in memory, whose contents are freed with the last handle to it or to one of its runs. Its verbs are
    /// those of a file, without a disk: nothing survives the process, and ownership of a run is exclusive within it.
    ///
    /// ```
    /// use antiphon_store::{NewRun, Store};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), antiphon_store::Error> {
    /// let store = Store::in_memory();
    /// let run = store.open_run(NewRun::new("fingerprint of the call")).await?;
    /// run.enqueue(vec!["first row".to_owned()]).await?;
    /// assert_eq!(run.seal().await?, 1);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn in_memory() -> Self {
        Self::over(Backend::Memory(Memory::default()))
    }

    pub(crate) fn over(backend: Backend) -> Self {
        Self { backend }
    }

    /// Takes the newest run with this fingerprint, or begins one; the caller is its only owner until the [`Run`] is
    /// dropped. Calls that the run's last owner intended and never settled are queued again: see [`Run::interrupted`]. A
    /// finished run is returned as it is.
    ///
    /// # Errors
    /// `Busy` while another owner lives; `PermissionDenied`, `StorageFull` or `Io` of a store in a file.
    ///
    /// # Cancel safety
    /// A dropped call may have made the run; the run has no owner then.
    pub async fn open_run(&self, new: NewRun) -> Result<Run, Error> {
        let id = Uuid::now_v7().to_string();
        let (seq, record) = self.backend.find_or_create(new, id).await?;
        self.own(seq, record.id).await
    }

    /// Takes a run by its id, the beginning of one, or `latest`, to work on it.
    ///
    /// # Errors
    /// `NotFound`, `Conflict` where several ids begin so, or `Busy`; else as [`open_run`](Self::open_run).
    ///
    /// # Cancel safety
    /// A dropped call may have queued interrupted calls again; the run has no owner then.
    pub async fn take_run(&self, id: &str) -> Result<Run, Error> {
        let (seq, record) = self.find(id).await?;
        self.own(seq, record.id).await
    }

    /// Reads a run by its id, the beginning of one, or `latest`, whoever owns it.
    ///
    /// # Errors
    /// `NotFound`, `Conflict` where several ids begin so; else `Io`.
    ///
    /// # Cancel safety
    /// Nothing is changed, so nothing is lost.
    pub async fn look_at(&self, id: &str) -> Result<Run, Error> {
        let (seq, record) = self.find(id).await?;
        Ok(Run::new(self.backend.clone(), seq, record))
    }

    /// Reads all runs, oldest first, whoever owns them.
    ///
    /// # Errors
    /// `Io`.
    ///
    /// # Cancel safety
    /// Nothing is changed, so nothing is lost.
    pub async fn runs(&self) -> Result<Vec<Run>, Error> {
        let to_read = |(seq, record)| Run::new(self.backend.clone(), seq, record);
        Ok(self.backend.runs().await?.into_iter().map(to_read).collect())
    }

    /// Returns the cached answers to these questions, in their order.
    ///
    /// # Errors
    /// `Io`.
    ///
    /// # Cancel safety
    /// Nothing is changed, so nothing is lost.
    pub async fn answers(&self, fingerprints: Vec<[u8; 32]>) -> Result<Vec<Option<Answer>>, Error> {
        self.backend.answers(fingerprints).await
    }

    /// Stores a note under a name, over the one before: what was learnt of a provider's limits, say.
    ///
    /// # Errors
    /// `StorageFull` or `Io`.
    ///
    /// # Cancel safety
    /// A dropped call may still store it.
    pub async fn remember(&self, name: String, note: String) -> Result<(), Error> {
        self.backend.remember(name, note).await
    }

    /// Returns the note under a name.
    ///
    /// # Errors
    /// `Io`.
    ///
    /// # Cancel safety
    /// Nothing is changed, so nothing is lost.
    pub async fn recall(&self, name: String) -> Result<Option<String>, Error> {
        self.backend.recall(name).await
    }

    /// Gives this handle up. A store in a file waits until the last handle has gone and its files are closed: everything is
    /// then in the one file, unless another process has it open. A store in memory has nothing to wait for.
    ///
    /// # Cancel safety
    /// A dropped call does not wait; nothing is lost.
    pub async fn close(self) {
        self.backend.close().await;
    }

    async fn find(&self, id: &str) -> Result<(i64, RunRecord), Error> {
        let mut fitting = match id {
            "latest" => {
                let mut whole = self.backend.runs().await?;
                whole.retain(|(_, run)| !run.kind.contains('/'));
                // Oldest first.
                whole.split_off(whole.len().saturating_sub(1))
            }
            _ => self.backend.find(id.to_owned()).await?,
        };
        match (fitting.pop(), fitting.is_empty()) {
            (Some(found), true) => Ok(found),
            (None, _) => Err(Error::new(ErrorKind::NotFound, format!("there is no run {id}"))),
            (Some(_), false) => {
                let message = format!("several runs begin with {id}: name more of the id");
                Err(Error::new(ErrorKind::Conflict, message))
            }
        }
    }

    async fn own(&self, seq: i64, id: String) -> Result<Run, Error> {
        let owned = self.backend.own(seq, id).await?;
        Ok(Run::owned(self.backend.clone(), seq, owned))
    }
}

use std::time::Duration;

use uuid::Uuid;

use crate::backend::Backend;
use crate::error::{Error, ErrorKind};
use crate::filter::RunFilter;
use crate::job::Answer;
use crate::memory::Memory;
use crate::record::{NewRun, RunRecord, RunStatus};
use crate::run::Run;
use crate::worker::Lease;

/// A store of runs, their jobs and cached answers, in memory or in a SQLite file. Clones are handles to the same store.
#[derive(Debug, Clone)]
pub struct Store {
    backend: Backend,
    lease: Lease,
}

impl Store {
    /// Creates a store in memory.
    ///
    /// The contents are freed with the last handle to the store or to one of its runs. The methods are those of a store in a
    /// file (`Store::open`), but nothing survives the process.
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
        Self { backend, lease: Lease::DEFAULT }
    }

    /// Sets the lease of the workers that this handle creates. If a worker sends no heartbeat for longer than its lease, other
    /// workers take over its jobs. Default: 5 s, for a heartbeat every second.
    #[must_use]
    pub fn lease(mut self, time: Duration) -> Self {
        self.lease = Lease::new(time);
        self
    }

    /// Joins the newest run with this fingerprint as a worker, or creates a run.
    ///
    /// The returned [`Run`] is a worker until it is dropped; other processes may be workers of the same run. The jobs of
    /// workers that have died are queued again: see [`Run::interrupted`]. A finished run is returned as it is. A cancelled run
    /// is never resumed; a new run is created instead. Use [`join_run`](Self::join_run) for a run with a known id, and
    /// [`read_run`](Self::read_run) to read without becoming a worker.
    ///
    /// # Errors
    /// `PermissionDenied`, `StorageFull` or `Io` of a store in a file.
    ///
    /// # Cancel safety
    /// A dropped call may have created the run; it leaves no worker.
    pub async fn open_run(&self, new: NewRun) -> Result<Run, Error> {
        loop {
            let id = Uuid::now_v7().to_string();
            let (seq, record) = self.backend.find_or_create(new.clone(), id).await?;
            let run = self.join(seq, record.id).await?;
            // The run may have been cancelled between the two steps: the next search does not find it.
            if run.record().status != RunStatus::Cancelled {
                return Ok(run);
            }
        }
    }

    /// Joins a run as a worker by its id, a prefix of the id, or `latest` (the newest run that is not a part of another).
    ///
    /// # Errors
    /// `NotFound`; `Conflict` if several ids have the prefix, or the run was cancelled; else as [`open_run`](Self::open_run).
    ///
    /// # Cancel safety
    /// A dropped call may have queued interrupted calls again; it leaves no worker.
    pub async fn join_run(&self, id: &str) -> Result<Run, Error> {
        let (seq, record) = self.find(id).await?;
        refuse_cancelled(&record)?;
        let run = self.join(seq, record.id).await?;
        refuse_cancelled(run.record())?;
        Ok(run)
    }

    /// Returns a run by its id, a prefix of the id, or `latest`, without becoming a worker. The run may have workers.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` if several ids have the prefix; else `Io`.
    ///
    /// # Cancel safety
    /// A dropped call changes nothing.
    pub async fn read_run(&self, id: &str) -> Result<Run, Error> {
        let (seq, record) = self.find(id).await?;
        Ok(Run::new(self.backend.clone(), seq, record))
    }

    /// Returns the newest run with this fingerprint, without becoming a worker; `None` if there is none.
    ///
    /// # Errors
    /// `Io`.
    ///
    /// # Cancel safety
    /// A dropped call changes nothing.
    pub async fn newest(&self, fingerprint: &str) -> Result<Option<Run>, Error> {
        let found = self.backend.newest(fingerprint.to_owned()).await?;
        Ok(found.map(|(seq, record)| Run::new(self.backend.clone(), seq, record)))
    }

    /// Cancels a run by its id, a prefix of the id, or `latest`, and returns its new record.
    ///
    /// The run may have busy workers, in this process or another. Their next [`Run::heartbeat`] returns the new status; they
    /// should then settle the calls in progress and call [`Run::finish`]. The run stays cancelled, and a second `cancel`
    /// changes nothing.
    ///
    /// ```
    /// use antiphon_store::{NewRun, RunStatus, Store};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), antiphon_store::Error> {
    /// let store = Store::in_memory();
    /// let run = store.open_run(NewRun::new("fingerprint of the call")).await?;
    /// store.cancel(&run.record().id).await?;
    /// assert_eq!(run.status().await?, RunStatus::Cancelled);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `Conflict` for a finished run, or if several ids have the prefix; `NotFound`; else `StorageFull` or `Io`.
    ///
    /// # Cancel safety
    /// A dropped call may still cancel the run.
    pub async fn cancel(&self, id: &str) -> Result<RunRecord, Error> {
        let (seq, _) = self.find(id).await?;
        let record = self.backend.cancel(seq).await?;
        if record.status == RunStatus::Cancelled {
            return Ok(record);
        }
        let message = format!("run {} cannot be cancelled: it has finished already", record.id);
        Err(Error::new(ErrorKind::Conflict, message))
    }

    /// Deletes a run by its id, a prefix of the id, or `latest`, and returns its last record.
    ///
    /// Its rows and results, the answers that it added to the cache, and the notes whose names end in `/` and its id are
    /// deleted with it; files outside the store are not. Other runs keep the results that they took from its cached answers.
    /// The space in a store's file is used again by later runs.
    ///
    /// ```
    /// use antiphon_store::{ErrorKind, NewRun, Store};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), antiphon_store::Error> {
    /// let store = Store::in_memory();
    /// let run = store.open_run(NewRun::new("f")).await?;
    /// assert_eq!(store.delete("latest").await.unwrap_err().kind(), ErrorKind::Conflict); // it has a worker
    /// drop(run);
    /// store.delete("latest").await?;
    /// assert!(store.runs().await?.is_empty());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `Conflict` for a run on which a worker is at work, or if several ids have the prefix; `NotFound`; else `StorageFull` or
    /// `Io`.
    ///
    /// # Cancel safety
    /// A dropped call may still delete the run; it never deletes a part of one.
    pub async fn delete(&self, id: &str) -> Result<RunRecord, Error> {
        let (seq, record) = self.find(id).await?;
        match self.backend.delete(seq, record.id.clone()).await? {
            0 => Ok(record),
            workers => Err(Error::at_work(&record.id, workers)),
        }
    }

    /// Returns a page of up to `most` selected runs, newest first.
    ///
    /// The first page has `after` = `None`; for each further page, pass the id of the last run of the previous page. A run that
    /// is created meanwhile is not on a later page. The returned handles are not workers. See [`runs`](Self::runs) for all runs
    /// at once.
    ///
    /// ```
    /// use antiphon_store::{NewRun, RunFilter, Store};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), antiphon_store::Error> {
    /// let store = Store::in_memory();
    /// for name in ["first", "second", "third"] {
    ///     store.open_run(NewRun::new(name).request("map", "null")).await?;
    /// }
    /// let maps = RunFilter::default().kind("map");
    /// let newest = store.runs_page(maps.clone(), None, 2).await?;
    /// assert_eq!(newest[0].record().fingerprint, "third");
    /// let older = store.runs_page(maps, Some(&newest[1].record().id), 2).await?;
    /// assert_eq!(older[0].record().fingerprint, "first");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `NotFound` for an `after` that names no run, `Conflict` for one that names several; else `Io`.
    ///
    /// # Cancel safety
    /// A dropped call changes nothing.
    pub async fn runs_page(
        &self,
        filter: RunFilter,
        after: Option<&str>,
        most: usize,
    ) -> Result<Vec<Run>, Error> {
        let before = match after {
            Some(id) => Some(self.find(id).await?.0),
            None => None,
        };
        let to_read = |(seq, record)| Run::new(self.backend.clone(), seq, record);
        Ok(self.backend.runs_page(filter, before, most).await?.into_iter().map(to_read).collect())
    }

    /// Returns all runs, oldest first, including parts of other runs. The returned handles are not workers. See
    /// [`runs_page`](Self::runs_page) for pages and filters.
    ///
    /// # Errors
    /// `Io`.
    ///
    /// # Cancel safety
    /// A dropped call changes nothing.
    pub async fn runs(&self) -> Result<Vec<Run>, Error> {
        let mut runs = self.runs_page(RunFilter::default().with_parts(true), None, usize::MAX).await?;
        runs.reverse();
        Ok(runs)
    }

    /// Returns the cached answers to the questions with these fingerprints, in their order; `None` where none is cached.
    ///
    /// # Errors
    /// `Io`.
    ///
    /// # Cancel safety
    /// A dropped call changes nothing.
    pub async fn answers(&self, fingerprints: Vec<[u8; 32]>) -> Result<Vec<Option<Answer>>, Error> {
        self.backend.answers(fingerprints).await
    }

    /// Stores a note under a name, such as the learned rate limits of a provider. A note replaces the earlier one with its
    /// name.
    ///
    /// # Errors
    /// `StorageFull` or `Io`.
    ///
    /// # Cancel safety
    /// A dropped call may still store it.
    pub async fn set_note(&self, name: String, note: String) -> Result<(), Error> {
        self.backend.set_note(name, note).await
    }

    /// Returns the note under a name; `None` if there is none.
    ///
    /// # Errors
    /// `Io`.
    ///
    /// # Cancel safety
    /// A dropped call changes nothing.
    pub async fn note(&self, name: String) -> Result<Option<String>, Error> {
        self.backend.note(name).await
    }

    /// Drops this handle and waits until the files are closed.
    ///
    /// The files are closed when the last handle to the store and its runs is dropped. The database then consists of one file,
    /// unless another process has it open. For a store in memory the call returns at once.
    ///
    /// # Cancel safety
    /// A dropped call no longer waits; nothing is lost.
    pub async fn close(self) {
        self.backend.close().await;
    }

    async fn find(&self, id: &str) -> Result<(i64, RunRecord), Error> {
        let mut fitting = match id {
            // Every id begins with nothing: an empty variable of a script would name a run.
            "" => Vec::new(),
            "latest" => self.backend.runs_page(RunFilter::default(), None, 1).await?,
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

    async fn join(&self, seq: i64, id: String) -> Result<Run, Error> {
        let joined = self.backend.join(seq, id, self.lease).await?;
        Ok(Run::joined(self.backend.clone(), seq, joined))
    }
}

fn refuse_cancelled(run: &RunRecord) -> Result<(), Error> {
    if run.status == RunStatus::Cancelled {
        return Err(Error::new(ErrorKind::Conflict, format!("run {} was cancelled", run.id)));
    }
    Ok(())
}

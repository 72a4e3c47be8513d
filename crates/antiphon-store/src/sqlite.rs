//! The store in a SQLite file: one thread writes for all callers with group commit, and a second connection reads.

mod codes;
mod error;
mod leases;
mod limits;
mod reads;
mod schema;
mod settle;
mod writer;
mod writes;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;

use crate::backend::{Backend, Joined};
use crate::error::{Error, ErrorKind};
use crate::filter::RunFilter;
use crate::job::{Answer, Intent, Job, JobRecord, LateResult, Settled, Settlement};
use crate::limit::{LimitDemand, LimitShare};
use crate::record::{NewRun, RunRecord, RunStatus, Tally};
use crate::store::Store;
use crate::worker::{Heartbeat, Lease};
use leases::{Locks, WorkerGuard};
use writer::{Flush, Op, STORED, Writer};

#[derive(Debug, Clone)]
pub(crate) struct Sqlite {
    // Dropped before the writer, whose connection is then the last one and copies the write-ahead log into the file.
    reader: Arc<Mutex<Connection>>,
    writer: Writer,
    place: Arc<str>,
    /// The folder of the file and of the folders of the runs.
    folder: Arc<Path>,
}

impl Store {
    /// Opens the store in the SQLite file at `path`.
    ///
    /// The file and its folder are created if they do not exist. Several processes may have the same file open. Use
    /// [`in_memory`](Self::in_memory) for a store that need not survive the process.
    ///
    /// ```
    /// use antiphon_store::{NewRun, Store};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let folder = antiphon_fs::temp_dir()?;
    /// # let path = folder.path().join("antiphon.db");
    /// let store = Store::open(&path).await?;
    /// let run = store.open_run(NewRun::new("fingerprint of the command")).await?;
    /// run.enqueue(vec!["first row".to_owned()]).await?;
    /// drop(run);
    /// store.close().await;
    ///
    /// let store = Store::open(&path).await?;
    /// let run = store.open_run(NewRun::new("fingerprint of the command")).await?;
    /// assert_eq!(run.tally().await?.queued, 1);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `Newer` for a file of a later version, `Damaged` for one that is not a store, `Busy` if another process keeps it busy for
    /// 30 s, `PermissionDenied`, `StorageFull` or `Io`.
    ///
    /// # Cancel safety
    /// A dropped call may have created the file.
    pub async fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        let sqlite = Sqlite::open(path.as_ref().to_owned()).await?;
        Ok(Self::over(Backend::Sqlite(sqlite)))
    }

    /// Opens an existing store to read it, also where nothing can be written: an archive, or the folder of another user. Each
    /// method that changes something returns `PermissionDenied`.
    ///
    /// ```
    /// use antiphon_store::{ErrorKind, NewRun, Store};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let folder = antiphon_fs::temp_dir()?;
    /// # let path = folder.path().join("antiphon.db");
    /// let store = Store::open(&path).await?;
    /// drop(store.open_run(NewRun::new("f")).await?);
    /// store.close().await;
    ///
    /// let archive = Store::open_read_only(&path).await?;
    /// assert_eq!(archive.runs().await?.len(), 1);
    /// assert_eq!(archive.delete("latest").await.unwrap_err().kind(), ErrorKind::PermissionDenied);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `Newer` for a file of a later version, `Damaged` for one that is not a store, `PermissionDenied` for one that cannot be
    /// read or that an earlier version wrote, which would have to be migrated, or `Io`.
    ///
    /// # Cancel safety
    /// A dropped call changes nothing.
    pub async fn open_read_only(path: impl AsRef<Path>) -> Result<Self, Error> {
        let sqlite = Sqlite::open_read_only(path.as_ref().to_owned()).await?;
        Ok(Self::over(Backend::Sqlite(sqlite)))
    }
}

impl Sqlite {
    async fn open(path: PathBuf) -> Result<Self, Error> {
        let folder = folder_of(&path);
        antiphon_fs::create_dir(&folder).await.map_err(Error::files)?;
        refuse_links(&path).await?;
        let opened = Self::open_with(path, folder.clone(), Access::Write).await;
        match &opened {
            // The folder's own error says more than that the database could not be opened.
            Err(err) if matches!(err.kind(), ErrorKind::Io | ErrorKind::PermissionDenied) => {
                antiphon_fs::check_writable(&folder).await.map_err(Error::files)?;
                opened
            }
            _ => opened,
        }
    }

    async fn open_read_only(path: PathBuf) -> Result<Self, Error> {
        let folder = folder_of(&path);
        refuse_links(&path).await?;
        Self::open_with(path, folder, Access::Read).await
    }

    /// Opens the file on a thread that may block.
    async fn open_with(path: PathBuf, folder: PathBuf, access: Access) -> Result<Self, Error> {
        let place: Arc<str> = Arc::from(path.display().to_string());
        blocking(move || {
            let failed = |err| Error::database(err, &place);
            let (writing, reading) = match access {
                Access::Write => (schema::open(&path, &place)?, Connection::open(&path).map_err(failed)?),
                Access::Read => {
                    (schema::open_read_only(&path, &place)?, schema::open_read_only(&path, &place)?)
                }
            };
            schema::set_up_reader(&reading).map_err(failed)?;
            let writer = Writer::start(writing, place.clone())?;
            Ok(Self { writer, reader: Arc::new(Mutex::new(reading)), place, folder: folder.into() })
        })
        .await
    }

    /// Waits until the last handle is dropped and the writing thread has ended.
    pub(crate) async fn close(self) {
        let Self { writer, reader, .. } = self;
        drop(reader);
        writer.ended().await;
    }

    pub(crate) async fn enqueue(
        &self,
        run: i64,
        first: Option<u64>,
        rows: Vec<String>,
    ) -> Result<u64, Error> {
        let added = self.write(move |connection| writes::enqueue(connection, run, first, &rows)).await?;
        added.map_err(Error::gap)
    }

    pub(crate) async fn claim(&self, run: i64, worker: i64, most: usize) -> Result<Vec<Job>, Error> {
        self.write_unflushed(move |connection| leases::claim(connection, run, worker, most)).await
    }

    pub(crate) async fn release(&self, run: i64, worker: i64, jobs: Vec<u64>) -> Result<(), Error> {
        self.write_unflushed(move |connection| leases::release(connection, run, worker, &jobs)).await
    }

    pub(crate) async fn release_others(&self, run: i64, worker: i64, known: Vec<u64>) -> Result<(), Error> {
        self.write_unflushed(move |connection| leases::release_others(connection, run, worker, &known)).await
    }

    pub(crate) async fn intend(&self, run: i64, worker: i64, intent: Intent) -> Result<u32, Error> {
        self.writer.run(Op::Intend { run, worker, intent }).await
    }

    pub(crate) async fn release_held(&self, run: i64, micros: u64) -> Result<(), Error> {
        self.write_unflushed(move |connection| writes::release_held(connection, run, micros)).await
    }

    pub(crate) async fn settle(
        &self,
        run: i64,
        worker: i64,
        settlement: Settlement,
    ) -> Result<Settled, Error> {
        let settlement = Box::new(settlement);
        let settled = self.writer.run(Op::Settle { run, worker, settlement }).await?;
        Ok(if settled == STORED { Settled::Stored } else { Settled::Late })
    }

    pub(crate) async fn late(&self, run: i64, from: u64, most: usize) -> Result<Vec<LateResult>, Error> {
        self.read(move |connection| reads::late(connection, run, from, most)).await
    }

    pub(crate) async fn find_or_create(&self, new: NewRun, id: String) -> Result<(i64, RunRecord), Error> {
        self.write(move |connection| writes::find_or_create(connection, &new, &id)).await
    }

    pub(crate) async fn newest(&self, fingerprint: String) -> Result<Option<(i64, RunRecord)>, Error> {
        self.read(move |connection| reads::newest(connection, &fingerprint)).await
    }

    pub(crate) async fn seal(&self, run: i64) -> Result<u64, Error> {
        self.write(move |connection| writes::seal(connection, run)).await
    }

    pub(crate) async fn join(&self, run: i64, id: String, lease: Lease) -> Result<Joined, Error> {
        let locks = Locks::of(&self.folder, &id).await?;
        let (lock, name) = locks.take().await?;
        let dead = self.without_process(run, &locks).await?;
        let writer = self.writer.clone();
        // The lock moves into the change: a caller that is dropped meanwhile leaves no worker behind.
        let join = move |connection: &Connection| {
            let (record, worker, interrupted) = leases::join(connection, run, &name, lease, &dead)?;
            let guard = Box::new(WorkerGuard::new(worker, writer, lock));
            Ok(Joined { record, worker, interrupted, guard })
        };
        self.write(join).await
    }

    pub(crate) async fn heartbeat(&self, run: i64, id: String, worker: i64) -> Result<Heartbeat, Error> {
        // The lease is renewed even if no lock can be inspected.
        let dead = match Locks::of(&self.folder, &id).await {
            Ok(locks) => self.without_process(run, &locks).await?,
            Err(_) => Vec::new(),
        };
        self.write_unflushed(move |connection| leases::heartbeat(connection, run, worker, &dead)).await
    }

    pub(crate) async fn share_limit(
        &self,
        run: i64,
        worker: i64,
        wanted: LimitDemand,
    ) -> Result<LimitShare, Error> {
        self.write_unflushed(move |connection| limits::share_limit(connection, run, worker, &wanted)).await
    }

    /// Returns the workers of a run whose processes have ended, as their locks show.
    async fn without_process(&self, run: i64, locks: &Locks) -> Result<Vec<i64>, Error> {
        let mut dead = Vec::new();
        for (worker, lock) in self.read(move |connection| reads::workers(connection, run)).await? {
            // A lock that cannot be inspected may be held: its worker is alive until its lease ends.
            if locks.is_free(&lock).await.unwrap_or(false) {
                dead.push(worker);
            }
        }
        Ok(dead)
    }

    pub(crate) async fn workers(&self, run: i64, id: String) -> Result<u64, Error> {
        let known = self.lock_states(run, &id).await?;
        self.read(move |connection| leases::living(connection, run, &known)).await
    }

    pub(crate) async fn delete(&self, run: i64, id: String) -> Result<u64, Error> {
        let known = self.lock_states(run, &id).await?;
        self.write(move |connection| writes::delete(connection, run, &id, &known)).await
    }

    /// Returns the workers of a run whose locks can be inspected, each with whether its process lives, also if it is suspended
    /// and its lease has ended.
    async fn lock_states(&self, run: i64, id: &str) -> Result<HashMap<i64, bool>, Error> {
        let (locks, mut known) = (Locks::at(&self.folder, id), HashMap::new());
        for (worker, lock) in self.read(move |connection| reads::workers(connection, run)).await? {
            if let Ok(is_free) = locks.is_free(&lock).await {
                known.insert(worker, !is_free);
            }
        }
        Ok(known)
    }

    pub(crate) async fn find(&self, prefix: String) -> Result<Vec<(i64, RunRecord)>, Error> {
        self.read(move |connection| reads::find(connection, &prefix)).await
    }

    pub(crate) async fn next_due(&self, run: i64) -> Result<Option<i64>, Error> {
        self.read(move |connection| reads::next_due(connection, run)).await
    }

    pub(crate) async fn retry_failed(&self, run: i64) -> Result<u64, Error> {
        self.write(move |connection| writes::retry_failed(connection, run)).await
    }

    pub(crate) async fn finish(
        &self,
        run: i64,
        worker: Option<i64>,
        status: RunStatus,
        report: String,
    ) -> Result<bool, Error> {
        self.write(move |connection| writes::finish(connection, run, worker, status, &report)).await
    }

    pub(crate) async fn set_note(&self, name: String, note: String) -> Result<(), Error> {
        self.write(move |connection| writes::set_note(connection, &name, &note)).await
    }

    pub(crate) async fn note(&self, name: String) -> Result<Option<String>, Error> {
        self.read(move |connection| reads::note(connection, &name)).await
    }

    pub(crate) async fn runs_page(
        &self,
        filter: RunFilter,
        before: Option<i64>,
        most: usize,
    ) -> Result<Vec<(i64, RunRecord)>, Error> {
        self.read(move |connection| reads::runs_page(connection, &filter, before, most)).await
    }

    pub(crate) async fn status(&self, run: i64) -> Result<RunStatus, Error> {
        self.read(move |connection| reads::status(connection, run)).await
    }

    pub(crate) async fn cancel(&self, run: i64) -> Result<RunRecord, Error> {
        self.write(move |connection| writes::cancel(connection, run)).await
    }

    pub(crate) async fn set_request(&self, run: i64, request: String) -> Result<(), Error> {
        self.write(move |connection| writes::set_request(connection, run, &request)).await
    }

    pub(crate) async fn answers(&self, keys: Vec<[u8; 32]>) -> Result<Vec<Option<Answer>>, Error> {
        self.read(move |connection| reads::answers(connection, &keys)).await
    }

    pub(crate) async fn jobs(&self, run: i64, from: u64, most: usize) -> Result<Vec<JobRecord>, Error> {
        self.read(move |connection| reads::jobs(connection, run, from, most)).await
    }

    pub(crate) async fn failed(&self, run: i64, from: u64, most: usize) -> Result<Vec<JobRecord>, Error> {
        self.read(move |connection| reads::failed(connection, run, from, most)).await
    }

    pub(crate) async fn lost(&self, run: i64, most: usize) -> Result<Vec<u64>, Error> {
        self.read(move |connection| reads::lost(connection, run, most)).await
    }

    pub(crate) async fn tally(&self, run: i64) -> Result<Tally, Error> {
        self.read(move |connection| reads::tally(connection, run)).await
    }

    pub(crate) async fn unbounded_intents(&self, run: i64) -> Result<u64, Error> {
        self.read(move |connection| reads::unbounded_intents(connection, run)).await
    }

    /// Runs work on the writing thread, and returns its value when the change is flushed to the disk.
    async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, Error> {
        self.write_as(Flush::Yes, work).await
    }

    /// Runs work on the writing thread, and returns its value when the change survives this process, though maybe not the
    /// machine.
    async fn write_unflushed<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, Error> {
        self.write_as(Flush::No, work).await
    }

    async fn write_as<T: Send + 'static>(
        &self,
        flush: Flush,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, Error> {
        let slot = Arc::new(Mutex::new(None));
        let filled = slot.clone();
        let work = Box::new(move |connection: &Connection| {
            let value = work(connection)?;
            *filled.lock().unwrap_or_else(PoisonError::into_inner) = Some(value);
            Ok(())
        });
        self.writer.run(Op::Other(flush, work)).await?;
        let value = slot.lock().unwrap_or_else(PoisonError::into_inner).take();
        value.ok_or_else(closed)
    }

    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, Error> {
        let (reader, place) = (self.reader.clone(), self.place.clone());
        blocking(move || {
            let reader = reader.lock().unwrap_or_else(PoisonError::into_inner);
            work(&reader).map_err(|err| Error::database(err, &place))
        })
        .await
    }
}

/// Whether a file is opened for changes.
#[derive(Debug, Clone, Copy)]
enum Access {
    Read,
    Write,
}

/// Refuses a file of the database that is a symbolic link: it could lead to a file that is no database of ours, which would be
/// written. SQLite itself opens neither the log nor its index by a link.
async fn refuse_links(path: &Path) -> Result<(), Error> {
    for ending in ["", "-wal", "-shm", "-journal"] {
        let mut file = path.as_os_str().to_owned();
        file.push(ending);
        let place = PathBuf::from(file);
        if antiphon_fs::link_identity(&place).await.is_ok_and(|link| link.is_some()) {
            let message =
                format!("cannot open {}: this is a symbolic link, which is not followed", place.display());
            return Err(Error::new(ErrorKind::PermissionDenied, message));
        }
    }
    Ok(())
}

/// Returns the folder of a file.
fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}

fn closed() -> Error {
    Error::new(ErrorKind::Io, "the store was closed")
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(join) if join.is_panic() => std::panic::resume_unwind(join.into_panic()),
        Err(_) => Err(closed()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::Bill;

    #[tokio::test]
    async fn a_full_disk_is_one_error_and_a_later_run_resumes() {
        let folder = antiphon_fs::temp_dir().unwrap();
        let path = folder.path().join("antiphon.db");
        let sqlite = Sqlite::open(path.clone()).await.unwrap();
        let store = Store::over(Backend::Sqlite(sqlite.clone()));
        let run = store.open_run(NewRun::new("f")).await.unwrap();
        run.enqueue((0..500).map(|n| n.to_string()).collect()).await.unwrap();
        let limit = |connection: &Connection| {
            let pages: i64 = connection.pragma_query_value(None, "page_count", |row| row.get(0))?;
            connection.pragma_update_and_check(None, "max_page_count", pages + 8, |_| Ok(()))
        };
        sqlite.write(limit).await.unwrap();
        let (mut kept, mut refused) = (0, 0);
        for index in 0..500 {
            let settlement = Settlement::accepted(index, "x".repeat(1_000), Bill::none());
            match run.settle(settlement).await {
                Ok(_) => {
                    assert_eq!(refused, 0, "nothing is kept behind a gap");
                    kept += 1;
                }
                Err(err) => {
                    assert_eq!(err.kind(), ErrorKind::StorageFull);
                    refused += 1;
                }
            }
        }
        assert!(kept > 0 && refused > 0, "{kept} {refused}");
        drop((run, store, sqlite));
        let store = Store::open(&path).await.unwrap();
        let run = store.open_run(NewRun::new("f")).await.unwrap();
        assert_eq!(run.tally().await.unwrap().accepted, kept);
        let jobs = run.claim(1_000).await.unwrap();
        for job in jobs {
            run.settle(Settlement::accepted(job.index, "y", Bill::none())).await.unwrap();
        }
        assert_eq!(run.tally().await.unwrap().accepted, 500);
    }
}

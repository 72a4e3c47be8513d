//! The store in a SQLite file: one thread writes for everybody, in groups, and a second connection reads.

mod reads;
mod schema;
mod writer;
mod writes;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;

use crate::error::{Error, ErrorKind};
use crate::job::{Answer, Intent, Job, JobRecord, Settlement};
use crate::record::{NewRun, RunRecord, RunStatus, Tally};
use crate::run::Interrupted;
use writer::{Op, Writer};

#[derive(Debug, Clone)]
pub(crate) struct Backend {
    // Goes before the writer, whose connection is the last one then and puts the log into the file.
    reader: Arc<Mutex<Connection>>,
    writer: Writer,
    place: Arc<str>,
}

impl Backend {
    pub(crate) async fn open(path: PathBuf) -> Result<Self, Error> {
        let place: Arc<str> = Arc::from(path.display().to_string());
        let named = place.clone();
        blocking(move || {
            let failed = |err| Error::backend(err, &named);
            let writing = schema::open(&path, &named)?;
            let reading = Connection::open(&path).map_err(failed)?;
            schema::set_up_reader(&reading).map_err(failed)?;
            let writer = Writer::start(writing, named.clone())?;
            Ok(Self { writer, reader: Arc::new(Mutex::new(reading)), place: named })
        })
        .await
    }

    /// Waits until the last handle has gone, and the thread that writes with it.
    pub(crate) async fn close(self) {
        let Self { writer, reader, .. } = self;
        drop(reader);
        writer.ended().await;
    }

    pub(crate) async fn enqueue(&self, run: i64, rows: Vec<String>) -> Result<(), Error> {
        self.writer.run(Op::Enqueue { run, rows }).await
    }

    pub(crate) async fn intend(&self, run: i64, intent: Intent) -> Result<(), Error> {
        self.writer.run(Op::Intend { run, intent }).await
    }

    pub(crate) async fn settle(&self, run: i64, settlement: Settlement) -> Result<(), Error> {
        self.writer.run(Op::Settle { run, settlement: Box::new(settlement) }).await
    }

    pub(crate) async fn find_or_create(&self, new: NewRun, id: String) -> Result<(i64, RunRecord), Error> {
        self.write(move |connection| writes::find_or_create(connection, &new, &id)).await
    }

    pub(crate) async fn seal(&self, run: i64) -> Result<u64, Error> {
        self.write(move |connection| writes::seal(connection, run)).await
    }

    pub(crate) async fn reclaim(&self, run: i64) -> Result<(RunRecord, Vec<Interrupted>), Error> {
        self.write(move |connection| writes::reclaim(connection, run)).await
    }

    pub(crate) async fn retry_failed(&self, run: i64) -> Result<u64, Error> {
        self.write(move |connection| writes::retry_failed(connection, run)).await
    }

    pub(crate) async fn finish(&self, run: i64, status: RunStatus, report: String) -> Result<(), Error> {
        self.write(move |connection| writes::finish(connection, run, status, &report)).await
    }

    pub(crate) async fn remember(&self, name: String, note: String) -> Result<(), Error> {
        self.write(move |connection| writes::remember(connection, &name, &note)).await
    }

    pub(crate) async fn recall(&self, name: String) -> Result<Option<String>, Error> {
        self.read(move |connection| reads::recall(connection, &name)).await
    }

    pub(crate) async fn runs(&self) -> Result<Vec<(i64, RunRecord)>, Error> {
        self.read(reads::runs).await
    }

    pub(crate) async fn answers(&self, keys: Vec<[u8; 32]>) -> Result<Vec<Option<Answer>>, Error> {
        self.read(move |connection| reads::answers(connection, &keys)).await
    }

    pub(crate) async fn queued(&self, run: i64, from: u64, most: usize) -> Result<Vec<Job>, Error> {
        self.read(move |connection| reads::queued(connection, run, from, most)).await
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

    /// Runs rare work on the writing thread; what it gives is told only when it is on the disk.
    async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, Error> {
        let slot = Arc::new(Mutex::new(None));
        let filled = slot.clone();
        let op = Op::Other(Box::new(move |connection| {
            let value = work(connection)?;
            *filled.lock().unwrap_or_else(PoisonError::into_inner) = Some(value);
            Ok(())
        }));
        self.writer.run(op).await?;
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
            work(&reader).map_err(|err| Error::backend(err, &place))
        })
        .await
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

/// Jobs of one run stand side by side: the run is the upper half of their key.
const JOBS_OF_A_RUN: u64 = 1 << 32;

/// The key of a run's job.
#[expect(
    clippy::cast_possible_wrap,
    reason = "an index is below 2^32, and 2^31 runs are more than anybody has"
)]
fn key(run: i64, index: u64) -> i64 {
    (run << 32) | (index.min(JOBS_OF_A_RUN - 1) as i64)
}

/// The index of the job with this key.
#[expect(clippy::cast_sign_loss, reason = "keys are positive")]
fn index(key: i64) -> u64 {
    key as u64 % JOBS_OF_A_RUN
}

/// Numbers are kept as SQLite has them, with a sign.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}

fn small(number: i64) -> u32 {
    u32::try_from(number).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use crate::{Bill, ErrorKind, NewRun, Settlement, Store};

    #[tokio::test]
    async fn a_full_disk_ends_everything_in_one_error_and_a_later_run_goes_on() {
        let folder = antiphon_fs::temp_dir().unwrap();
        let path = folder.path().join("antiphon.db");
        let store = Store::open(&path).await.unwrap();
        let run = store.open_run(NewRun::new("f")).await.unwrap();
        run.enqueue((0..500).map(|n| n.to_string()).collect()).await.unwrap();
        let limit = |connection: &rusqlite::Connection| {
            let pages: i64 = connection.pragma_query_value(None, "page_count", |row| row.get(0))?;
            connection.pragma_update_and_check(None, "max_page_count", pages + 8, |_| Ok(()))
        };
        store.backend().write(limit).await.unwrap();
        let (mut kept, mut refused) = (0, 0);
        for index in 0..500 {
            let settlement = Settlement::accepted(index, "x".repeat(1_000), Bill::none());
            match run.settle(settlement).await {
                Ok(()) => {
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
        drop((run, store));
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

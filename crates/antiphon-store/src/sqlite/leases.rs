//! Workers, and the jobs that they hold.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};

use antiphon_fs::{FileLock, Locked};
use rusqlite::{Connection, OptionalExtension, Row, params};
use uuid::Uuid;

use super::codes::{index, key, small, unsigned};
use super::reads::{limit, status};
use super::writer::{Flush, Op, Writer};
use super::writes::record;
use crate::backend::now;
use crate::error::Error;
use crate::job::Job;
use crate::record::RunRecord;
use crate::worker::{Heartbeat, Interrupted, LEFT, Lease, Seen};

/// The lock files of a run's workers: the system releases the lock of a process that ends, however it ends, so that its worker is
/// known to be dead before its lease has ended.
pub(super) struct Locks {
    folder: PathBuf,
}

impl Locks {
    /// Opens the locks in the folder of a run, which is created; one that is a link is refused before anything is written.
    pub(super) async fn of(store: &Path, run: &str) -> Result<Self, Error> {
        antiphon_fs::create_dir_below(store, run).await.map_err(Error::files)?;
        Ok(Self::at(store, run))
    }

    /// Names the folder of a run, which is not created: there are no locks in one that does not exist.
    pub(super) fn at(store: &Path, run: &str) -> Self {
        Self { folder: store.join(run) }
    }

    /// Acquires a new lock, and returns it with its name.
    pub(super) async fn take(&self) -> Result<(FileLock, String), Error> {
        let process = std::process::id().to_string();
        loop {
            let name = format!(".worker-{}", Uuid::now_v7().simple());
            let locked = FileLock::acquire(self.folder.join(&name), &process).await.map_err(Error::files)?;
            if let Locked::Mine(lock) = locked {
                return Ok((lock.remove_on_drop(), name));
            }
        }
    }

    /// Returns whether the process that acquired a lock has ended.
    pub(super) async fn is_free(&self, name: &str) -> Result<bool, Error> {
        let locked = FileLock::acquire(self.folder.join(name), "").await.map_err(Error::files)?;
        // The name is unique to one worker, so a free lock is no longer needed.
        Ok(match locked {
            Locked::Mine(lock) => {
                drop(lock.remove_on_drop());
                true
            }
            Locked::Anothers { .. } => false,
        })
    }
}

/// A guard whose drop makes a worker leave its run.
pub(super) struct WorkerGuard {
    worker: i64,
    writer: Writer,
    lock: Option<FileLock>,
}

impl WorkerGuard {
    pub(super) fn new(worker: i64, writer: Writer, lock: FileLock) -> Self {
        Self { worker, writer, lock: Some(lock) }
    }
}

impl Drop for WorkerGuard {
    fn drop(&mut self) {
        let worker = self.worker;
        // From here on the worker is known to have left, also to other handles and if the change below cannot be sent.
        drop(self.lock.take());
        self.writer.send(Op::Other(
            Flush::No,
            Box::new(move |connection| {
                connection.execute("UPDATE workers SET lease = ?2 WHERE id = ?1", [worker, LEFT]).map(drop)
            }),
        ));
    }
}

impl fmt::Debug for WorkerGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkerGuard").field("worker", &self.worker).finish_non_exhaustive()
    }
}

/// Takes over the jobs of dead workers, and adds a worker.
pub(super) fn join(
    connection: &Connection,
    run: i64,
    lock: &str,
    lease: Lease,
    dead: &[i64],
) -> rusqlite::Result<(RunRecord, i64, Vec<Interrupted>)> {
    remove(connection, dead)?;
    connection.execute("DELETE FROM workers WHERE run = ?1 AND lease = ?2", [run, LEFT])?;
    let interrupted = take_over(connection, run)?;
    let seen = Seen::new(now(), lease);
    connection.execute(
        "INSERT INTO workers (run, lock, seen, since, lease) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![run, lock, seen.at, seen.since, seen.lease],
    )?;
    let worker = connection.last_insert_rowid();
    Ok((record(connection, run)?, worker, interrupted))
}

/// Renews a worker's lease, and takes over the jobs of dead workers: those whose process has ended (`without_process`,
/// by their lock files), and those whose lease has ended.
pub(super) fn heartbeat(
    connection: &Connection,
    run: i64,
    worker: i64,
    without_process: &[i64],
) -> rusqlite::Result<Heartbeat> {
    let me = alive(connection, run, worker)?;
    let mut others = connection
        .prepare_cached("SELECT id, seen, since, lease FROM workers WHERE run = ?1 AND id <> ?2")?;
    let others = others.query_map([run, worker], |row| Ok((row.get::<_, i64>(0)?, seen(row, 1)?)))?;
    let others = others.collect::<rusqlite::Result<Vec<_>>>()?;
    let is_dead = |(id, other): &(i64, Seen)| without_process.contains(id) || me.outlives(other);
    let dead: Vec<i64> = others.iter().filter(|other| is_dead(other)).map(|(id, _)| *id).collect();
    remove(connection, &dead)?;
    let interrupted = if dead.is_empty() { Vec::new() } else { take_over(connection, run)? };
    Ok(Heartbeat {
        status: status(connection, run)?,
        others: (others.len() - dead.len()) as u64,
        interrupted,
    })
}

/// Returns the number of a run's workers that are alive, as one sees it who is none of them: as their locks show, or their
/// leases where a lock is not `known`.
pub(super) fn living(connection: &Connection, run: i64, known: &HashMap<i64, bool>) -> rusqlite::Result<u64> {
    let now = now();
    let mut workers =
        connection.prepare_cached("SELECT id, seen, since, lease FROM workers WHERE run = ?1")?;
    let workers = workers.query_map([run], |row| Ok((row.get::<_, i64>(0)?, seen(row, 1)?)))?;
    let workers = workers.collect::<rusqlite::Result<Vec<_>>>()?;
    let lives = |(id, seen): &&(i64, Seen)| {
        seen.lease != LEFT && known.get(id).copied().unwrap_or_else(|| seen.is_alive(now))
    };
    Ok(workers.iter().filter(lives).count() as u64)
}

/// Renews the lease of a worker, also of one that was declared dead.
pub(super) fn alive(connection: &Connection, run: i64, worker: i64) -> rusqlite::Result<Seen> {
    let sql = "SELECT seen, since, lease FROM workers WHERE id = ?1";
    let known = connection.prepare_cached(sql)?.query_row([worker], |row| seen(row, 0)).optional()?;
    let mut me = known.unwrap_or_else(|| Seen::new(now(), Lease::DEFAULT));
    me.beat(now());
    let sql = "INSERT INTO workers (id, run, lock, seen, since, lease) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
        ON CONFLICT (id) DO UPDATE SET seen = excluded.seen, since = excluded.since";
    // A worker that was declared dead has no lock any more, and is alive by its lease alone.
    let lock = "";
    connection.prepare_cached(sql)?.execute(params![worker, run, lock, me.at, me.since, me.lease])?;
    Ok(me)
}

/// Registers a worker again if it was declared dead: a worker that holds a job must be known, so that its death is noticed.
pub(super) fn join_again(connection: &Connection, run: i64, worker: i64) -> rusqlite::Result<()> {
    if connection.prepare_cached("SELECT 1 FROM workers WHERE id = ?1")?.exists([worker])? {
        return Ok(());
    }
    alive(connection, run, worker).map(drop)
}

/// Reads a lease from three columns of a row.
pub(super) fn seen(row: &Row<'_>, column: usize) -> rusqlite::Result<Seen> {
    Ok(Seen { at: row.get(column)?, since: row.get(column + 1)?, lease: row.get(column + 2)? })
}

/// Removes workers; the jobs that they hold are then those of unknown workers, which `take_over` queues again.
fn remove(connection: &Connection, workers: &[i64]) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached("DELETE FROM workers WHERE id = ?1")?;
    workers.iter().try_for_each(|worker| statement.execute([worker]).map(drop))
}

/// Queues the jobs of dead workers again: their calls in progress count as possibly billed, with the most that they may have
/// cost.
fn take_over(connection: &Connection, run: i64) -> rusqlite::Result<Vec<Interrupted>> {
    const DEAD: &str = "key >= ?1 AND key < ?2 AND state NOT IN (3, 4)
        AND worker IS NOT NULL AND worker NOT IN (SELECT id FROM workers WHERE run = ?3)";
    let bounds = [key(run, 0), key(run + 1, 0), run];
    let sql = format!("SELECT key, reserved FROM jobs WHERE state = 1 AND {DEAD} ORDER BY key");
    let mut statement = connection.prepare_cached(&sql)?;
    let intended = statement.query_map(bounds, |row| {
        let reserved: Option<i64> = row.get(1)?;
        Ok(Interrupted::new(index(row.get(0)?), reserved.map(unsigned)))
    })?;
    let intended = intended.collect::<rusqlite::Result<Vec<_>>>()?;
    if !intended.is_empty() {
        let sql = format!(
            "INSERT INTO lost_attempts (key, attempt, reserved)
                SELECT key, attempt, reserved FROM jobs WHERE state = 1 AND {DEAD}"
        );
        connection.execute(&sql, bounds)?;
        let sql = format!(
            "UPDATE jobs SET lost = lost + 1, possible = possible + coalesce(reserved, 0), held = held + coalesce(reserved, 0),
                unbounded = unbounded + (reserved IS NULL), reserved = NULL, state = 0 WHERE state = 1 AND {DEAD}"
        );
        connection.execute(&sql, bounds)?;
    }
    connection.execute(&format!("UPDATE jobs SET worker = NULL WHERE {DEAD}"), bounds)?;
    Ok(intended)
}

/// Leases the first jobs that are due and that no worker holds.
pub(super) fn claim(
    connection: &Connection,
    run: i64,
    worker: i64,
    most: usize,
) -> rusqlite::Result<Vec<Job>> {
    alive(connection, run, worker)?;
    let sql = "UPDATE OR FAIL jobs SET worker = ?4, state = 0, due = NULL WHERE key IN (
            SELECT key FROM jobs WHERE key >= ?1 AND key < ?2 AND worker IS NULL AND state IN (0, 5)
                AND (due IS NULL OR due <= ?5) ORDER BY key LIMIT ?3)
        RETURNING key, (SELECT row FROM rows WHERE rows.key = jobs.key), attempt, result";
    let mut statement = connection.prepare_cached(sql)?;
    let bounds = params![key(run, 0), key(run + 1, 0), limit(most), worker, now()];
    let jobs = statement.query_map(bounds, |row| {
        let index = index(row.get(0)?);
        Ok(Job { index, row: row.get(1)?, attempt: small(row.get(2)?), kept: row.get(3)? })
    })?;
    let mut jobs = jobs.collect::<rusqlite::Result<Vec<_>>>()?;
    // `RETURNING` has no particular order.
    jobs.sort_unstable_by_key(|job| job.index);
    if !jobs.is_empty() {
        reopen(connection, run)?;
    }
    Ok(jobs)
}

/// Marks a stopped run as open again: a worker has resumed it, and may die without a word.
fn reopen(connection: &Connection, run: i64) -> rusqlite::Result<()> {
    let sql = "UPDATE runs SET status = 'open', ended_at = NULL WHERE seq = ?1 AND status = 'stopped'";
    connection.prepare_cached(sql)?.execute([run]).map(drop)
}

/// Gives back jobs of which no call is in progress. Jobs of other workers are left alone.
pub(super) fn release(connection: &Connection, run: i64, worker: i64, jobs: &[u64]) -> rusqlite::Result<()> {
    let sql = "UPDATE jobs SET worker = NULL WHERE key = ?1 AND worker = ?2 AND state IN (0, 5)";
    let mut statement = connection.prepare_cached(sql)?;
    jobs.iter().try_for_each(|index| statement.execute([key(run, *index), worker]).map(drop))
}

/// Gives back the jobs of a worker that it does not know of, after a claim whose reply was lost.
pub(super) fn release_others(
    connection: &Connection,
    run: i64,
    worker: i64,
    known: &[u64],
) -> rusqlite::Result<()> {
    let sql = "SELECT key FROM jobs WHERE key >= ?1 AND key < ?2 AND worker = ?3 AND state IN (0, 5)";
    let mut statement = connection.prepare_cached(sql)?;
    let held = statement.query_map([key(run, 0), key(run + 1, 0), worker], |row| row.get(0).map(index))?;
    let held = held.collect::<rusqlite::Result<Vec<_>>>()?;
    let unknown: Vec<u64> = held.into_iter().filter(|index| !known.contains(index)).collect();
    release(connection, run, worker, &unknown)
}

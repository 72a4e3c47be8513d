use std::collections::HashMap;

use rusqlite::{Connection, params};

use super::codes::{index, key, signed, unsigned};
use super::{leases, reads};
use crate::backend::now;
use crate::job::JobState;
use crate::record::{NewRun, RunRecord, RunStatus};
use crate::worker::LEFT;

pub(super) fn find_or_create(
    connection: &Connection,
    new: &NewRun,
    id: &str,
) -> rusqlite::Result<(i64, RunRecord)> {
    let found = reads::newest(connection, &new.fingerprint)?;
    if let Some(found) = found.filter(|(_, run)| !new.fresh && run.status != RunStatus::Cancelled) {
        return Ok(found);
    }
    connection.execute(
        "INSERT INTO runs (id, fingerprint, kind, request, status, created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![id, new.fingerprint, new.kind, new.request, RunStatus::Open.name(), now()],
    )?;
    let seq = connection.last_insert_rowid();
    Ok((seq, record(connection, seq)?))
}

pub(super) fn record(connection: &Connection, run: i64) -> rusqlite::Result<RunRecord> {
    let sql = format!("{} WHERE seq = ?1", reads::RUNS);
    connection.query_row(&sql, [run], reads::run).map(|(_, record)| record)
}

/// Adds the jobs from `first` on that the run does not have yet, or all at its end. Returns the number of its jobs, as the error
/// if there are fewer than `first`.
pub(super) fn enqueue(
    connection: &Connection,
    run: i64,
    first: Option<u64>,
    rows: &[String],
) -> rusqlite::Result<Result<u64, u64>> {
    let last: Option<i64> = connection
        .prepare_cached("SELECT max(key) FROM rows WHERE key >= ?1 AND key < ?2")?
        .query_row([key(run, 0), key(run + 1, 0)], |row| row.get(0))?;
    let count = last.map_or(0, |last| index(last) + 1);
    let Some(known) = count.checked_sub(first.unwrap_or(count)) else { return Ok(Err(count)) };
    let new = rows.get(usize::try_from(known).unwrap_or(usize::MAX)..).unwrap_or_default();
    let mut row_of = connection.prepare_cached("INSERT INTO rows (key, row) VALUES (?1, ?2)")?;
    let mut job_of = connection.prepare_cached("INSERT OR FAIL INTO jobs (key) VALUES (?1)")?;
    for (key, row) in (key(run, count)..).zip(new) {
        row_of.execute(params![key, row])?;
        job_of.execute([key])?;
    }
    Ok(Ok(count + new.len() as u64))
}

pub(super) fn seal(connection: &Connection, run: i64) -> rusqlite::Result<u64> {
    let count = "SELECT count(*) FROM jobs WHERE key >= ?1 AND key < ?2";
    let total: i64 = connection.query_row(count, [key(run, 0), key(run + 1, 0)], |row| row.get(0))?;
    connection.execute("UPDATE runs SET total = ?2 WHERE seq = ?1", [run, total])?;
    Ok(unsigned(total))
}

pub(super) fn retry_failed(connection: &Connection, run: i64) -> rusqlite::Result<u64> {
    let sql = "UPDATE jobs SET state = 0, worker = NULL, result = NULL, error_kind = NULL, error = NULL
        WHERE key >= ?1 AND key < ?2 AND state = ?3";
    let queued = connection.execute(sql, [key(run, 0), key(run + 1, 0), JobState::Failed.code()])?;
    if queued > 0 {
        let sql = "UPDATE runs SET status = ?2 WHERE seq = ?1 AND status <> 'cancelled'";
        connection.execute(sql, params![run, RunStatus::Stopped.name()])?;
    }
    Ok(queued as u64)
}

pub(super) fn finish(
    connection: &Connection,
    run: i64,
    worker: Option<i64>,
    status: RunStatus,
    report: &str,
) -> rusqlite::Result<bool> {
    // A run that one worker stops stays open while others work on it; one that is shown again has ended when it first did.
    let sql = "UPDATE runs SET report = ?3,
        ended_at = iif((status = 'finished' AND ?2 = 'finished') OR (?2 = 'stopped' AND EXISTS
            (SELECT 1 FROM workers WHERE run = ?1 AND id IS NOT ?5 AND lease <> ?6)), ended_at, ?4),
        status = iif(status = 'cancelled' OR (?2 = 'stopped' AND EXISTS
            (SELECT 1 FROM workers WHERE run = ?1 AND id IS NOT ?5 AND lease <> ?6)), status, ?2)
        WHERE seq = ?1 AND NOT (?2 = 'stopped' AND status = 'finished'
            AND (SELECT queued + intended FROM tallies WHERE tallies.run = ?1) = 0)";
    let changed = connection.execute(sql, params![run, status.name(), report, now(), worker, LEFT])?;
    Ok(changed == 1)
}

pub(super) fn cancel(connection: &Connection, run: i64) -> rusqlite::Result<RunRecord> {
    let sql = "UPDATE runs SET status = 'cancelled', ended_at = ?2
        WHERE seq = ?1 AND status NOT IN ('finished', 'cancelled')";
    connection.execute(sql, params![run, now()])?;
    record(connection, run)
}

/// Deletes a run without living workers, and returns their number. Calls that were cut off keep no trace.
pub(super) fn delete(
    connection: &Connection,
    run: i64,
    id: &str,
    known: &HashMap<i64, bool>,
) -> rusqlite::Result<u64> {
    let living = leases::living(connection, run, known)?;
    if living > 0 {
        return Ok(living);
    }
    for table in ["jobs", "rows", "late", "lost_attempts"] {
        let sql = format!("DELETE FROM {table} WHERE key >= ?1 AND key < ?2");
        connection.execute(&sql, [key(run, 0), key(run + 1, 0)])?;
    }
    connection
        .execute("DELETE FROM limit_parts WHERE worker IN (SELECT id FROM workers WHERE run = ?1)", [run])?;
    for table in ["workers", "uniques", "tallies", "answers"] {
        connection.execute(&format!("DELETE FROM {table} WHERE run = ?1"), [run])?;
    }
    connection.execute("DELETE FROM notes WHERE substr(name, -length(?1)) = ?1", [format!("/{id}")])?;
    connection.execute("DELETE FROM runs WHERE seq = ?1", [run])?;
    Ok(0)
}

pub(super) fn set_request(connection: &Connection, run: i64, request: &str) -> rusqlite::Result<()> {
    connection.execute("UPDATE runs SET request = ?2 WHERE seq = ?1", params![run, request]).map(drop)
}

pub(super) fn set_note(connection: &Connection, name: &str, note: &str) -> rusqlite::Result<()> {
    let sql = "INSERT OR REPLACE INTO notes (name, note) VALUES (?1, ?2)";
    connection.execute(sql, [name, note]).map(drop)
}

pub(super) fn release_held(connection: &Connection, run: i64, micros: u64) -> rusqlite::Result<()> {
    let sql = "UPDATE tallies SET held = max(0, held - ?2) WHERE run = ?1";
    connection.prepare_cached(sql)?.execute([run, signed(micros)]).map(drop)
}

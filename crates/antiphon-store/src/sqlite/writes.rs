use rusqlite::{Connection, OptionalExtension, params};

use super::codes::{index, key, signed, unsigned};
use super::reads;
use crate::backend::now;
use crate::job::{Intent, JobState, Settlement};
use crate::record::{NewRun, RunRecord, RunStatus};
use crate::run::Interrupted;

pub(super) fn find_or_create(
    connection: &Connection,
    new: &NewRun,
    id: &str,
) -> rusqlite::Result<(i64, RunRecord)> {
    let newest = format!("{} WHERE fingerprint = ?1 ORDER BY seq DESC LIMIT 1", reads::RUNS);
    let found = connection.query_row(&newest, [&new.fingerprint], reads::run).optional()?;
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

fn record(connection: &Connection, run: i64) -> rusqlite::Result<RunRecord> {
    let sql = format!("{} WHERE seq = ?1", reads::RUNS);
    connection.query_row(&sql, [run], reads::run).map(|(_, record)| record)
}

pub(super) fn enqueue(connection: &Connection, run: i64, rows: &[String]) -> rusqlite::Result<()> {
    let last: Option<i64> = connection
        .prepare_cached("SELECT max(key) FROM rows WHERE key >= ?1 AND key < ?2")?
        .query_row([key(run, 0), key(run + 1, 0)], |row| row.get(0))?;
    let mut row_of = connection.prepare_cached("INSERT INTO rows (key, row) VALUES (?1, ?2)")?;
    let mut job_of = connection.prepare_cached("INSERT INTO jobs (key) VALUES (?1)")?;
    for (key, row) in (last.map_or(key(run, 0), |last| last + 1)..).zip(rows) {
        row_of.execute(params![key, row])?;
        job_of.execute([key])?;
    }
    Ok(())
}

pub(super) fn seal(connection: &Connection, run: i64) -> rusqlite::Result<u64> {
    let count = "SELECT count(*) FROM jobs WHERE key >= ?1 AND key < ?2";
    let total: i64 = connection.query_row(count, [key(run, 0), key(run + 1, 0)], |row| row.get(0))?;
    connection.execute("UPDATE runs SET total = ?2 WHERE seq = ?1", [run, total])?;
    Ok(unsigned(total))
}

/// Whether there was such a job that has not ended.
pub(super) fn intend(connection: &Connection, run: i64, intent: &Intent) -> rusqlite::Result<bool> {
    // 3 and 4: accepted and failed.
    let sql = "UPDATE jobs SET state = 1, attempt = attempt + 1, fingerprint = ?2, reserved = ?3, due = NULL
        WHERE key = ?1 AND state NOT IN (3, 4)";
    let changed = connection.prepare_cached(sql)?.execute(params![
        key(run, intent.index),
        intent.fingerprint,
        intent.reserved.map(signed),
    ])?;
    Ok(changed == 1)
}

/// Whether there was such a job that had not ended.
pub(super) fn settle(connection: &Connection, run: i64, settlement: &Settlement) -> rusqlite::Result<bool> {
    let Settlement { index, state, bill, answer, result, error, due, timings } = settlement;
    let sql = "UPDATE jobs SET state = ?2, calls = calls + ?3, settled = settled + coalesce(?4, 0),
        unpriced = unpriced + (?4 IS NULL), lost = lost + ?5, possible = possible + ?6,
        input_tokens = input_tokens + ?7, output_tokens = output_tokens + ?8, reserved = NULL,
        result = ?9, error_kind = ?10, error = ?11, due = ?12, timings = ?13, unbounded = unbounded + ?14,
        settled_at = ?15, held = held + ?16, unreported = unreported + ?17
        WHERE key = ?1 AND state NOT IN (3, 4)";
    let timings: Vec<u8> = timings.iter().flat_map(|micros| micros.to_le_bytes()).collect();
    let changed = connection.prepare_cached(sql)?.execute(params![
        key(run, *index),
        state.code(),
        bill.calls,
        bill.settled.map(signed),
        bill.lost,
        signed(bill.possible),
        signed(bill.input_tokens),
        signed(bill.output_tokens),
        result,
        error.as_ref().map(|(kind, _)| kind),
        error.as_ref().map(|(_, message)| message),
        due,
        timings,
        bill.unbounded,
        now(),
        signed(bill.held),
        bill.unreported,
    ])?;
    if let Some((fingerprint, answer)) = answer.as_ref().filter(|_| changed == 1) {
        let sql = "INSERT OR REPLACE INTO answers (fingerprint, text, model, input_tokens, output_tokens)
            VALUES (?1, ?2, ?3, ?4, ?5)";
        connection.prepare_cached(sql)?.execute(params![
            fingerprint,
            answer.text,
            answer.model,
            answer.input_tokens.map(signed),
            answer.output_tokens.map(signed),
        ])?;
    }
    Ok(changed == 1)
}

/// Queues again what the last owner left: intended calls are counted as lost, with the most that they may have cost.
pub(super) fn reclaim(connection: &Connection, run: i64) -> rusqlite::Result<(RunRecord, Vec<Interrupted>)> {
    let bounds = [key(run, 0), key(run + 1, 0)];
    let sql = "SELECT key, reserved FROM jobs WHERE key >= ?1 AND key < ?2 AND state = ?3 ORDER BY key";
    let mut statement = connection.prepare(sql)?;
    let intended = statement.query_map([bounds[0], bounds[1], JobState::Intended.code()], |row| {
        let reserved: Option<i64> = row.get(1)?;
        Ok(Interrupted::new(index(row.get(0)?), reserved.map(unsigned)))
    })?;
    let intended = intended.collect::<rusqlite::Result<Vec<_>>>()?;
    connection.execute(
        "UPDATE jobs SET lost = lost + 1, possible = possible + coalesce(reserved, 0), held = held + coalesce(reserved, 0),
            unbounded = unbounded + (reserved IS NULL), reserved = NULL
            WHERE key >= ?1 AND key < ?2 AND state = ?3",
        [bounds[0], bounds[1], JobState::Intended.code()],
    )?;
    let states = [JobState::Intended, JobState::Answered, JobState::PutBack].map(JobState::code);
    connection.execute(
        "UPDATE jobs SET state = 0, due = NULL WHERE key >= ?1 AND key < ?2 AND state IN (?3, ?4, ?5)",
        params![bounds[0], bounds[1], states[0], states[1], states[2]],
    )?;
    // Its last owner may have finished it between the look for it and the lock.
    Ok((record(connection, run)?, intended))
}

pub(super) fn retry_failed(connection: &Connection, run: i64) -> rusqlite::Result<u64> {
    let sql = "UPDATE jobs SET state = 0, result = NULL, error_kind = NULL, error = NULL
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
    status: RunStatus,
    report: &str,
) -> rusqlite::Result<()> {
    let sql = "UPDATE runs SET status = iif(status = 'cancelled', status, ?2), report = ?3, ended_at = ?4
        WHERE seq = ?1";
    connection.execute(sql, params![run, status.name(), report, now()]).map(drop)
}

pub(super) fn cancel(connection: &Connection, run: i64) -> rusqlite::Result<RunRecord> {
    let sql = "UPDATE runs SET status = 'cancelled', ended_at = ?2
        WHERE seq = ?1 AND status NOT IN ('finished', 'cancelled')";
    connection.execute(sql, params![run, now()])?;
    record(connection, run)
}

pub(super) fn set_request(connection: &Connection, run: i64, request: &str) -> rusqlite::Result<()> {
    connection.execute("UPDATE runs SET request = ?2 WHERE seq = ?1", params![run, request]).map(drop)
}

pub(super) fn remember(connection: &Connection, name: &str, note: &str) -> rusqlite::Result<()> {
    let sql = "INSERT OR REPLACE INTO notes (name, note) VALUES (?1, ?2)";
    connection.execute(sql, [name, note]).map(drop)
}

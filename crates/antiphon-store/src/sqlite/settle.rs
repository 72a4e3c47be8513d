//! Intents and settlements, fenced by the worker that holds the job and by its attempts.
//!
//! Changes of a job use `OR FAIL`: without it, a statement with triggers copies each page that it changes, so that a half-done
//! statement can be undone. That is not needed here, since an error rolls back the whole transaction.

use rusqlite::{Connection, OptionalExtension, params};

use super::codes::{index, key, signed, small};
use super::{leases, reads};
use crate::backend::now;
use crate::error::Error;
use crate::job::{Answer, Intent, JobState, Settled, Settlement};

/// A worker, and its run.
#[derive(Clone, Copy)]
struct WorkerOf {
    run: i64,
    worker: i64,
}

/// The parts of a job that fence it.
struct Fence {
    state: JobState,
    worker: Option<i64>,
    attempt: u32,
    settled: Option<u32>,
    reserved: Option<i64>,
}

fn fence(connection: &Connection, key: i64) -> rusqlite::Result<Option<Fence>> {
    let sql = "SELECT state, worker, attempt, settled_attempt, reserved FROM jobs WHERE key = ?1";
    let fence = connection.prepare_cached(sql)?.query_row([key], |row| {
        let settled: Option<i64> = row.get(3)?;
        Ok(Fence {
            state: JobState::of(row.get(0)?),
            worker: row.get(1)?,
            attempt: small(row.get(2)?),
            settled: settled.map(small),
            reserved: row.get(4)?,
        })
    });
    fence.optional()
}

/// Records an intent, and returns the job's attempts.
pub(super) fn intend(
    connection: &Connection,
    run: i64,
    worker: i64,
    intent: &Intent,
) -> rusqlite::Result<Result<u32, Error>> {
    // 3 and 4: accepted and failed.
    let sql = "UPDATE OR FAIL jobs SET state = 1, attempt = attempt + 1, worker = ?2, reserved = ?3, due = NULL
        WHERE key = ?1 AND state NOT IN (3, 4) AND (worker IS NULL OR worker = ?2) AND attempt = coalesce(?4, attempt)
        RETURNING attempt";
    let key = key(run, intent.index);
    if let Some(err) = over_budget(connection, run, key, intent)? {
        return Ok(Err(if may_intend(connection, key, worker, intent)? {
            err
        } else {
            Error::fenced(intent.index)
        }));
    }
    let bounds = params![key, worker, intent.reserved.map(signed), intent.attempt];
    let attempt =
        connection.prepare_cached(sql)?.query_row(bounds, |row| row.get(0).map(small)).optional()?;
    if let Some(attempt) = attempt {
        leases::join_again(connection, run, worker)?;
        return Ok(Ok(attempt));
    }
    let job = fence(connection, key)?;
    // A caller that names the attempts has held the job: another worker has ended it meanwhile.
    let is_fenced = job.is_some_and(|job| !job.state.is_end() || intent.attempt.is_some());
    Ok(Err(if is_fenced { Error::fenced(intent.index) } else { Error::job_ended(intent.index) }))
}

/// Returns the error of a call that could take the run over its budget. A call that is sent again has its reservation already.
fn over_budget(
    connection: &Connection,
    run: i64,
    key: i64,
    intent: &Intent,
) -> rusqlite::Result<Option<Error>> {
    let Some(max_cost) = intent.max_cost else { return Ok(None) };
    let sql = "SELECT settled + held + reserved - (SELECT coalesce(reserved, 0) FROM jobs WHERE key = ?2)
        FROM tallies WHERE run = ?1";
    let committed = connection.prepare_cached(sql)?.query_row([run, key], |row| reads::number(row, 0))?;
    let is_over = committed.saturating_add(intent.reserved.unwrap_or(0)) > max_cost;
    Ok(is_over.then(|| Error::over_budget(committed, max_cost)))
}

/// Returns whether the worker may make an intent, apart from the budget.
fn may_intend(connection: &Connection, key: i64, worker: i64, intent: &Intent) -> rusqlite::Result<bool> {
    let is_known = |job: &Fence| intent.attempt.is_none_or(|attempt| attempt == job.attempt);
    let job = fence(connection, key)?;
    Ok(job.is_some_and(|job| {
        !job.state.is_end() && job.worker.is_none_or(|holder| holder == worker) && is_known(&job)
    }))
}

/// Records a settlement.
pub(super) fn settle(
    connection: &Connection,
    run: i64,
    worker: i64,
    settlement: &Settlement,
) -> rusqlite::Result<Result<Settled, Error>> {
    let key = key(run, settlement.index);
    let other = other_with(connection, run, key, settlement)?;
    let outcome = match other {
        Some(err) if holds(connection, key, worker, settlement)? => Err(err),
        None if apply(connection, key, worker, settlement)? => {
            take_unique(connection, run, key, settlement)?;
            discharge(connection, key, settlement.attempt)?;
            Ok(Settled::Stored)
        }
        other => settle_late(connection, key, WorkerOf { run, worker }, settlement, other.is_none())?,
    };
    if let Some((fingerprint, answer)) = settlement.answer.as_ref().filter(|_| outcome.is_ok()) {
        cache(connection, run, fingerprint, answer)?;
    }
    Ok(outcome)
}

/// Returns the error of a result with a unique value that another job already has.
fn other_with(
    connection: &Connection,
    run: i64,
    key: i64,
    settlement: &Settlement,
) -> rusqlite::Result<Option<Error>> {
    let sql = "SELECT key FROM uniques WHERE run = ?1 AND digest = ?2 AND key <> ?3";
    for (at, digest) in settlement.unique.iter().enumerate() {
        let other = connection
            .prepare_cached(sql)?
            .query_row(params![run, digest, key], |row| row.get(0))
            .optional()?;
        if let Some(other) = other {
            return Ok(Some(Error::not_unique(settlement.index, at, index(other))));
        }
    }
    Ok(None)
}

fn take_unique(connection: &Connection, run: i64, key: i64, settlement: &Settlement) -> rusqlite::Result<()> {
    let sql = "INSERT OR IGNORE INTO uniques (run, digest, key) VALUES (?1, ?2, ?3)";
    settlement
        .unique
        .iter()
        .try_for_each(|digest| connection.prepare_cached(sql)?.execute(params![run, digest, key]).map(drop))
}

/// Returns whether the worker holds the job and the settlement is for its newest attempt.
fn holds(connection: &Connection, key: i64, worker: i64, settlement: &Settlement) -> rusqlite::Result<bool> {
    let is_newest = |job: &Fence| settlement.attempt.is_none_or(|attempt| attempt == job.attempt);
    let Some(job) = fence(connection, key)?.filter(|job| !job.state.is_end() && is_newest(job)) else {
        return Ok(false);
    };
    let sql = "SELECT 1 FROM lost_attempts WHERE key = ?1 AND attempt = ?2";
    Ok(match job.worker {
        Some(holder) => holder == worker,
        None => !connection.prepare_cached(sql)?.exists(params![key, settlement.attempt])?,
    })
}

/// Settles a job that this worker or no worker holds, unless the attempt was settled already or was counted as possibly billed.
/// Returns whether it was settled.
fn apply(connection: &Connection, key: i64, worker: i64, settlement: &Settlement) -> rusqlite::Result<bool> {
    let Settlement { attempt, state, bill, result, error, due, timings, .. } = settlement;
    let sql = "UPDATE OR FAIL jobs SET state = ?2, calls = calls + ?3, settled = settled + coalesce(?4, 0),
        unpriced = unpriced + (?4 IS NULL), lost = lost + ?5, possible = possible + ?6,
        input_tokens = input_tokens + ?7, output_tokens = output_tokens + ?8, reserved = NULL,
        result = ?9, error_kind = ?10, error = ?11, due = ?12, timings = ?13, unbounded = unbounded + ?14,
        settled_at = ?15, held = held + ?16, unreported = unreported + ?17, worker = ?18, settled_attempt = attempt
        WHERE key = ?1 AND state NOT IN (3, 4)
            AND (worker = ?18 OR (worker IS NULL
                AND NOT EXISTS (SELECT 1 FROM lost_attempts WHERE lost_attempts.key = ?1 AND attempt = ?19)))
            AND (?19 IS NULL OR (attempt = ?19 AND (?3 = 0 OR settled_attempt IS NOT ?19)))";
    let timings: Vec<u8> = timings.iter().flat_map(|micros| micros.to_le_bytes()).collect();
    let changed = connection.prepare_cached(sql)?.execute(params![
        key,
        state.code(),
        bill.calls,
        bill.settled.map(signed),
        bill.possibly_billed,
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
        worker,
        attempt,
    ])?;
    Ok(changed == 1)
}

/// Settles an attempt of a worker that no longer holds the job: its bill replaces its reservation, and a result is kept.
fn settle_late(
    connection: &Connection,
    key: i64,
    worker: WorkerOf,
    settlement: &Settlement,
    may_win: bool,
) -> rusqlite::Result<Result<Settled, Error>> {
    let WorkerOf { run, worker } = worker;
    let (ended, fenced) = (Error::job_ended(settlement.index), Error::fenced(settlement.index));
    let Some(job) = fence(connection, key)? else { return Ok(Err(ended)) };
    let is_result = settlement.state == JobState::Accepted;
    let Some(attempt) = settlement.attempt else {
        return Ok(Err(if job.state.is_end() { ended } else { fenced }));
    };
    if job.settled == Some(attempt) && job.worker == Some(worker) {
        return Ok(Ok(Settled::Stored));
    }
    let sql = "SELECT 1 FROM late WHERE key = ?1 AND attempt = ?2";
    if connection.prepare_cached(sql)?.exists(params![key, attempt])? {
        return Ok(if is_result { Ok(Settled::Late) } else { Err(fenced) });
    }
    if !discharge(connection, key, Some(attempt))? {
        return Ok(Err(fenced));
    }
    charge(connection, key, settlement)?;
    if !is_result || job.state == JobState::Accepted || !may_win {
        let sql = "INSERT INTO late (key, attempt, result) VALUES (?1, ?2, ?3)";
        let result = settlement.result.as_ref().filter(|_| is_result);
        connection.prepare_cached(sql)?.execute(params![key, attempt, result])?;
        return Ok(if is_result { Ok(Settled::Late) } else { Err(fenced) });
    }
    if job.state == JobState::Intended {
        // Another worker's call is in progress: its result will be late.
        lose(connection, key, job.attempt, job.reserved)?;
    }
    let sql = "UPDATE jobs SET state = 3, result = ?2, timings = ?3, worker = ?4, settled_attempt = ?5, settled_at = ?6,
        error_kind = NULL, error = NULL, due = NULL, reserved = NULL WHERE key = ?1";
    let timings: Vec<u8> = settlement.timings.iter().flat_map(|micros| micros.to_le_bytes()).collect();
    let bounds = params![key, settlement.result, timings, worker, attempt, now()];
    connection.prepare_cached(sql)?.execute(bounds)?;
    take_unique(connection, run, key, settlement)?;
    Ok(Ok(Settled::Stored))
}

/// No longer counts an attempt as possibly billed. Returns whether it was counted.
fn discharge(connection: &Connection, key: i64, attempt: Option<u32>) -> rusqlite::Result<bool> {
    let sql = "DELETE FROM lost_attempts WHERE key = ?1 AND attempt = ?2 RETURNING reserved";
    let lost =
        connection.prepare_cached(sql)?.query_row(params![key, attempt], |row| row.get(0)).optional()?;
    let Some(reserved) = lost else { return Ok(false) };
    let reserved: Option<i64> = reserved;
    let sql = "UPDATE OR FAIL jobs SET lost = lost - 1, possible = possible - coalesce(?2, 0),
        held = held - coalesce(?2, 0), unbounded = unbounded - (?2 IS NULL) WHERE key = ?1";
    connection.prepare_cached(sql)?.execute(params![key, reserved]).map(|_| true)
}

/// Adds a bill to its job.
fn charge(connection: &Connection, key: i64, settlement: &Settlement) -> rusqlite::Result<()> {
    let bill = &settlement.bill;
    let sql = "UPDATE jobs SET calls = calls + ?2, settled = settled + coalesce(?3, 0), unpriced = unpriced + (?3 IS NULL),
        lost = lost + ?4, possible = possible + ?5, held = held + ?6, unbounded = unbounded + ?7,
        input_tokens = input_tokens + ?8, output_tokens = output_tokens + ?9, unreported = unreported + ?10 WHERE key = ?1";
    connection
        .prepare_cached(sql)?
        .execute(params![
            key,
            bill.calls,
            bill.settled.map(signed),
            bill.possibly_billed,
            signed(bill.possible),
            signed(bill.held),
            bill.unbounded,
            signed(bill.input_tokens),
            signed(bill.output_tokens),
            bill.unreported,
        ])
        .map(drop)
}

/// Counts a call in progress as possibly billed, until its settlement arrives.
fn lose(connection: &Connection, key: i64, attempt: u32, reserved: Option<i64>) -> rusqlite::Result<()> {
    let sql = "INSERT INTO lost_attempts (key, attempt, reserved) VALUES (?1, ?2, ?3)";
    connection.prepare_cached(sql)?.execute(params![key, attempt, reserved])?;
    let sql = "UPDATE jobs SET lost = lost + 1, possible = possible + coalesce(?2, 0), held = held + coalesce(?2, 0),
        unbounded = unbounded + (?2 IS NULL) WHERE key = ?1";
    connection.prepare_cached(sql)?.execute(params![key, reserved]).map(drop)
}

/// Caches an answer for callers that ask the same.
fn cache(connection: &Connection, run: i64, fingerprint: &[u8; 32], answer: &Answer) -> rusqlite::Result<()> {
    let sql = "INSERT OR REPLACE INTO answers (fingerprint, text, model, input_tokens, output_tokens, run)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    connection
        .prepare_cached(sql)?
        .execute(params![
            fingerprint,
            answer.text,
            answer.model,
            answer.input_tokens.map(signed),
            answer.output_tokens.map(signed),
            run,
        ])
        .map(drop)
}

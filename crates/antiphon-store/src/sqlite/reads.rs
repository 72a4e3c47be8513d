//! Queries. Each reads a range of keys or of an index, so that its cost does not grow with the other runs of the store.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::codes::{index, key, small, unsigned};
use crate::filter::RunFilter;
use crate::job::{Answer, Bill, JobRecord, JobState, LateResult};
use crate::record::{RunRecord, RunStatus, Tally};

/// The columns of a run, in the order in which `run` reads them.
pub(super) const RUNS: &str =
    "SELECT seq, id, fingerprint, kind, request, status, total, created_at, ended_at, report FROM runs";

/// The columns of a job, in the order in which `job` reads them, for a range of keys.
const JOBS: &str = "SELECT jobs.key, state, rows.row, attempt, calls, settled, lost, possible, input_tokens,
        output_tokens, result, error_kind, error, timings, unpriced, unbounded, settled_at, held,
        unreported
    FROM jobs JOIN rows ON rows.key = jobs.key WHERE jobs.key >= ?1 AND jobs.key < ?2";

/// Reads a run, with its number, from a row of `RUNS`.
pub(super) fn run(row: &Row<'_>) -> rusqlite::Result<(i64, RunRecord)> {
    let status: String = row.get(5)?;
    let total: Option<i64> = row.get(6)?;
    let record = RunRecord {
        id: row.get(1)?,
        fingerprint: row.get(2)?,
        kind: row.get(3)?,
        request: row.get(4)?,
        status: RunStatus::of(&status),
        total: total.map(unsigned),
        created_at: row.get(7)?,
        ended_at: row.get(8)?,
        report: row.get(9)?,
    };
    Ok((row.get(0)?, record))
}

pub(super) fn newest(
    connection: &Connection,
    fingerprint: &str,
) -> rusqlite::Result<Option<(i64, RunRecord)>> {
    let sql = format!("{RUNS} WHERE fingerprint = ?1 ORDER BY seq DESC LIMIT 1");
    connection.prepare_cached(&sql)?.query_row([fingerprint], run).optional()
}

pub(super) fn runs_page(
    connection: &Connection,
    filter: &RunFilter,
    before: Option<i64>,
    most: usize,
) -> rusqlite::Result<Vec<(i64, RunRecord)>> {
    let (kind, status) = (&filter.kind, filter.status.map(RunStatus::name));
    let bounds = params![before.unwrap_or(i64::MAX), limit(most), kind, status];
    connection.prepare_cached(&page_of(filter))?.query_map(bounds, run)?.collect()
}

/// Returns the statement for a page. An unused condition is left out, since it would keep SQLite from using an index.
fn page_of(filter: &RunFilter) -> String {
    let kind = match &filter.kind {
        Some(_) => "kind = ?3",
        None if filter.with_parts => "?3 IS NULL",
        None => "?3 IS NULL AND instr(kind, '/') = 0",
    };
    let status = if filter.status.is_some() { "status = ?4" } else { "?4 IS NULL" };
    format!("{RUNS} WHERE seq < ?1 AND {kind} AND {status} ORDER BY seq DESC LIMIT ?2")
}

pub(super) fn status(connection: &Connection, run: i64) -> rusqlite::Result<RunStatus> {
    let sql = "SELECT status FROM runs WHERE seq = ?1";
    let name = connection.prepare_cached(sql)?.query_row([run], |row| row.get::<_, String>(0))?;
    Ok(RunStatus::of(&name))
}

/// Returns up to two runs with this prefix of the id: enough to see that the prefix names more than one.
pub(super) fn find(connection: &Connection, prefix: &str) -> rusqlite::Result<Vec<(i64, RunRecord)>> {
    // A range of the index on ids, up to the prefix followed by the greatest character, U+10FFFF.
    let sql = format!("{RUNS} WHERE id >= ?1 AND id < ?1 || char(1114111) ORDER BY id LIMIT 2");
    connection.prepare_cached(&sql)?.query_map([prefix], run)?.collect()
}

pub(super) fn answers(connection: &Connection, keys: &[[u8; 32]]) -> rusqlite::Result<Vec<Option<Answer>>> {
    let sql = "SELECT text, model, input_tokens, output_tokens FROM answers WHERE fingerprint = ?1";
    let mut statement = connection.prepare_cached(sql)?;
    let answer = |row: &Row<'_>| {
        let (input, output): (Option<i64>, Option<i64>) = (row.get(2)?, row.get(3)?);
        let answer = Answer::new(row.get::<_, String>(0)?).model(row.get(1)?);
        Ok(answer.tokens(input.map(unsigned), output.map(unsigned)))
    };
    keys.iter().map(|key| statement.query_row([key], answer).optional()).collect()
}

/// Returns the workers of a run that have a lock, each with the name of its lock.
pub(super) fn workers(connection: &Connection, run: i64) -> rusqlite::Result<Vec<(i64, String)>> {
    let mut statement =
        connection.prepare_cached("SELECT id, lock FROM workers WHERE run = ?1 AND lock <> ''")?;
    statement.query_map([run], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}

pub(super) fn next_due(connection: &Connection, run: i64) -> rusqlite::Result<Option<i64>> {
    let sql = "SELECT min(due) FROM jobs WHERE key >= ?1 AND key < ?2 AND worker IS NULL AND state IN (0, 5)";
    connection.prepare_cached(sql)?.query_row([key(run, 0), key(run + 1, 0)], |row| row.get(0))
}

pub(super) fn late(
    connection: &Connection,
    run: i64,
    from: u64,
    most: usize,
) -> rusqlite::Result<Vec<LateResult>> {
    let sql = "SELECT key, attempt, result FROM late
        WHERE key >= ?1 AND key < ?2 AND result IS NOT NULL ORDER BY key, attempt LIMIT ?3";
    let mut statement = connection.prepare_cached(sql)?;
    let late = statement.query_map(params![key(run, from), key(run + 1, 0), limit(most)], |row| {
        Ok(LateResult::new(index(row.get(0)?), small(row.get(1)?), row.get(2)?))
    })?;
    late.collect()
}

pub(super) fn jobs(
    connection: &Connection,
    run: i64,
    from: u64,
    most: usize,
) -> rusqlite::Result<Vec<JobRecord>> {
    let sql = format!("{JOBS} ORDER BY jobs.key LIMIT ?3");
    let mut statement = connection.prepare_cached(&sql)?;
    let jobs = statement.query_map(params![key(run, from), key(run + 1, 0), limit(most)], job)?;
    jobs.collect()
}

pub(super) fn failed(
    connection: &Connection,
    run: i64,
    from: u64,
    most: usize,
) -> rusqlite::Result<Vec<JobRecord>> {
    let sql = format!("{JOBS} AND state = 4 ORDER BY jobs.key LIMIT ?3");
    let mut statement = connection.prepare_cached(&sql)?;
    let jobs = statement.query_map(params![key(run, from), key(run + 1, 0), limit(most)], job)?;
    jobs.collect()
}

pub(super) fn lost(connection: &Connection, run: i64, most: usize) -> rusqlite::Result<Vec<u64>> {
    let sql = "SELECT key FROM jobs WHERE key >= ?1 AND key < ?2 AND lost > 0 ORDER BY key LIMIT ?3";
    let mut statement = connection.prepare_cached(sql)?;
    let keys = statement.query_map(params![key(run, 0), key(run + 1, 0), limit(most)], |row| row.get(0))?;
    keys.map(|key| key.map(index)).collect()
}

/// Reads a sum from a row. A sum that exceeds an integer is a real number in SQLite, and must not make the run unreadable.
pub(super) fn number(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    row.get(column).map(unsigned).or_else(|_| row.get(column).map(whole))
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it saturates")]
fn whole(number: f64) -> u64 {
    number as u64
}

/// Returns a number of rows as SQLite takes it.
pub(super) fn limit(most: usize) -> i64 {
    i64::try_from(most).unwrap_or(i64::MAX)
}

/// Reads a job from a row of `JOBS`.
fn job(row: &Row<'_>) -> rusqlite::Result<JobRecord> {
    let (settled, unpriced): (i64, i64) = (row.get(5)?, row.get(14)?);
    let bill = Bill {
        calls: small(row.get(4)?),
        settled: (unpriced == 0).then(|| unsigned(settled)),
        unbounded: small(row.get(15)?),
        possibly_billed: small(row.get(6)?),
        possible: unsigned(row.get(7)?),
        held: unsigned(row.get(17)?),
        unreported: small(row.get(18)?),
        input_tokens: unsigned(row.get(8)?),
        output_tokens: unsigned(row.get(9)?),
    };
    let (kind, message): (Option<String>, Option<String>) = (row.get(11)?, row.get(12)?);
    let timings: Option<Vec<u8>> = row.get(13)?;
    let micros = |bytes: &[u8]| bytes.try_into().map(u32::from_le_bytes).unwrap_or_default();
    Ok(JobRecord {
        index: index(row.get(0)?),
        state: JobState::of(row.get(1)?),
        row: row.get(2)?,
        attempt: small(row.get(3)?),
        bill,
        result: row.get(10)?,
        error: kind.zip(message),
        timings: timings.unwrap_or_default().chunks_exact(4).map(micros).collect(),
        settled_at: row.get(16)?,
    })
}

/// Returns the counts and costs of a run's jobs, which triggers keep in one row.
pub(super) fn tally(connection: &Connection, run: i64) -> rusqlite::Result<Tally> {
    let sql = "SELECT queued, intended, accepted, failed, calls, settled, unpriced, lost, possible, held, reserved, unbounded,
            input_tokens, output_tokens, unreported
        FROM tallies WHERE run = ?1";
    connection.prepare_cached(sql)?.query_row([run], |row| {
        let number = |column: usize| number(row, column);
        Ok(Tally {
            queued: number(0)?,
            intended: number(1)?,
            accepted: number(2)?,
            failed: number(3)?,
            calls: number(4)?,
            settled: number(5)?,
            cost_unknown: number(6)? > 0,
            possibly_billed: number(7)?,
            possible: number(8)?,
            held: number(9)?,
            reserved: number(10)?,
            unbounded: number(11)?,
            input_tokens: number(12)?,
            output_tokens: number(13)?,
            unreported: number(14)?,
        })
    })
}

/// Returns the number of a run's calls in progress for which no upper bound of the cost is known.
pub(super) fn unbounded_intents(connection: &Connection, run: i64) -> rusqlite::Result<u64> {
    let sql = "SELECT count(*) FROM jobs WHERE key >= ?1 AND key < ?2 AND state = 1 AND reserved IS NULL";
    connection.prepare_cached(sql)?.query_row([key(run, 0), key(run + 1, 0)], |row| number(row, 0))
}

pub(super) fn note(connection: &Connection, name: &str) -> rusqlite::Result<Option<String>> {
    let sql = "SELECT note FROM notes WHERE name = ?1";
    connection.prepare_cached(sql)?.query_row([name], |row| row.get(0)).optional()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::schema;

    #[track_caller]
    fn check(filter: RunFilter, expected: &str) {
        let connection = Connection::open_in_memory().unwrap();
        schema::migrate(&connection).unwrap();
        let sql = format!("EXPLAIN QUERY PLAN {}", page_of(&filter));
        let mut statement = connection.prepare(&sql).unwrap();
        let (kind, status) = (&filter.kind, filter.status.map(RunStatus::name));
        let steps = statement.query_map(params![9, 9, kind, status], |row| row.get::<_, String>(3)).unwrap();
        assert_eq!(steps.collect::<Result<Vec<_>, _>>().unwrap(), [expected]);
    }

    #[test]
    fn a_page_of_runs_reads_no_run_that_is_not_selected_by_its_index_and_sorts_nothing() {
        let all = RunFilter::default();
        check(all.clone(), "SEARCH runs USING INTEGER PRIMARY KEY (rowid<?)");
        check(all.clone().kind("map"), "SEARCH runs USING INDEX runs_by_kind (kind=? AND rowid<?)");
        let stopped = all.status(RunStatus::Stopped);
        check(stopped, "SEARCH runs USING INDEX runs_by_status (status=? AND rowid<?)");
    }
}

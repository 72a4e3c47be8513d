//! The rate limits that workers share.

use rusqlite::{Connection, OptionalExtension, params};

use super::leases::{alive, seen};
use crate::backend::now;
use crate::limit::{Holding, LimitDemand, LimitShare, RATE_MILLIS, part_for};

/// Stores a worker's demand, and returns its part.
pub(super) fn share_limit(
    connection: &Connection,
    run: i64,
    worker: i64,
    wanted: &LimitDemand,
) -> rusqlite::Result<LimitShare> {
    let me = alive(connection, run, worker)?;
    connection
        .prepare_cached("DELETE FROM limit_parts WHERE worker NOT IN (SELECT id FROM workers)")?
        .execute([])?;
    let sql = "SELECT seen, since, lease, demand, part FROM limit_parts JOIN workers ON id = worker
        WHERE scope = ?1 AND worker <> ?2";
    let mut others = connection.prepare_cached(sql)?;
    let others = others.query_map(params![wanted.scope, worker], |row| {
        Ok((seen(row, 0)?, Holding { demand: row.get(3)?, part: row.get(4)? }))
    })?;
    let others = others.collect::<rusqlite::Result<Vec<_>>>()?;
    let others: Vec<_> =
        others.into_iter().filter(|(other, _)| !me.outlives(other)).map(|(_, holding)| holding).collect();
    let rate = rate(connection, wanted)?;
    let part = part_for(wanted.demand, &others, rate);
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO limit_parts (worker, scope, demand, part) VALUES (?1, ?2, ?3, ?4)",
        )?
        .execute(params![worker, wanted.scope, wanted.demand, part])?;
    Ok(LimitShare::new(part, rate))
}

/// Stores and returns the rate that a worker measured, or returns the recent rate of another.
fn rate(connection: &Connection, wanted: &LimitDemand) -> rusqlite::Result<Option<f64>> {
    if let Some(rate) = wanted.rate {
        connection
            .prepare_cached("INSERT OR REPLACE INTO limits (scope, rate, at) VALUES (?1, ?2, ?3)")?
            .execute(params![wanted.scope, rate, now()])?;
        return Ok(Some(rate));
    }
    connection
        .prepare_cached("SELECT rate FROM limits WHERE scope = ?1 AND at >= ?2")?
        .query_row(params![wanted.scope, now() - RATE_MILLIS], |row| row.get(0))
        .optional()
}

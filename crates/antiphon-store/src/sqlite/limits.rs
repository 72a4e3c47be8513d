//! The rate limits that workers share.

use rusqlite::{Connection, OptionalExtension, params};

use super::leases::{alive, seen};
use crate::backend::now;
use crate::limit::{Holding, LimitDemand, LimitShare, MeasuredRate, RATE_MILLIS, part_for, whole_rate};
use crate::worker::LEFT;

/// Stores a worker's demand, and returns its part.
pub(super) fn share_limit(
    connection: &Connection,
    run: i64,
    worker: i64,
    wanted: &LimitDemand,
) -> rusqlite::Result<LimitShare> {
    let me = alive(connection, run, worker)?;
    connection
        .prepare_cached(
            "DELETE FROM limit_parts WHERE worker NOT IN (SELECT id FROM workers WHERE lease <> ?1)",
        )?
        .execute([LEFT])?;
    let sql = "SELECT seen, since, lease, demand, part, rate, rate_part FROM limit_parts JOIN workers ON id = worker
        WHERE scope = ?1 AND worker <> ?2";
    let mut others = connection.prepare_cached(sql)?;
    let others = others.query_map(params![wanted.scope, worker], |row| {
        let (rate, rate_part): (Option<f64>, Option<f64>) = (row.get(5)?, row.get(6)?);
        let measured = rate.zip(rate_part).map(|(rate, part)| MeasuredRate { rate, part });
        Ok((seen(row, 0)?, Holding { demand: row.get(3)?, part: row.get(4)?, measured }))
    })?;
    let others = others.collect::<rusqlite::Result<Vec<_>>>()?;
    let others: Vec<_> =
        others.into_iter().filter(|(other, _)| !me.outlives(other)).map(|(_, holding)| holding).collect();
    let measured = others.iter().filter_map(|other| other.measured).chain(wanted.measured);
    let rate = rate(connection, &wanted.scope, whole_rate(measured))?;
    let part = part_for(wanted.demand, &others, rate);
    let (own_rate, rate_part) = wanted.measured.map(|measured| (measured.rate, measured.part)).unzip();
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO limit_parts (worker, scope, demand, part, rate, rate_part)
                VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![worker, wanted.scope, wanted.demand, part, own_rate, rate_part])?;
    Ok(LimitShare::new(part, rate))
}

/// Stores and returns the rate that the workers measured, or returns one that others measured recently.
fn rate(connection: &Connection, scope: &str, measured: Option<f64>) -> rusqlite::Result<Option<f64>> {
    if let Some(rate) = measured {
        connection
            .prepare_cached("INSERT OR REPLACE INTO limits (scope, rate, at) VALUES (?1, ?2, ?3)")?
            .execute(params![scope, rate, now()])?;
        return Ok(Some(rate));
    }
    connection
        .prepare_cached("SELECT rate FROM limits WHERE scope = ?1 AND at >= ?2")?
        .query_row(params![scope, now() - RATE_MILLIS], |row| row.get(0))
        .optional()
}

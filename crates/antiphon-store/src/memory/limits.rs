//! The rate limits that workers share, in memory. Unlike in SQLite, all workers are in one process.

use std::collections::{BTreeMap, HashMap};

use crate::backend::now;
use crate::limit::{Holding, LimitDemand, LimitShare, RATE_MILLIS, part_for, whole_rate};

/// The rate limits that workers share.
#[derive(Default)]
pub(super) struct Limits {
    /// By run and worker.
    parts: BTreeMap<(i64, i64), (String, Holding)>,
    /// The rate of each scope, and when it was measured.
    rates: HashMap<String, (f64, i64)>,
}

impl Limits {
    /// Stores a worker's demand, and returns its part beside those of the workers that are alive.
    pub(super) fn share(
        &mut self,
        worker: (i64, i64),
        wanted: &LimitDemand,
        lives: impl Fn((i64, i64)) -> bool,
    ) -> LimitShare {
        self.parts.retain(|other, _| lives(*other));
        let others =
            self.parts.iter().filter(|(other, (scope, _))| **other != worker && *scope == wanted.scope);
        let others: Vec<_> = others.map(|(_, (_, holding))| *holding).collect();
        let measured = others.iter().filter_map(|other| other.measured).chain(wanted.measured);
        if let Some(rate) = whole_rate(measured) {
            self.rates.insert(wanted.scope.clone(), (rate, now()));
        }
        let known = self.rates.get(&wanted.scope).filter(|(_, at)| *at >= now() - RATE_MILLIS);
        let rate = known.map(|(rate, _)| *rate);
        let part = part_for(wanted.demand, &others, rate);
        let holding = Holding { demand: wanted.demand, part, measured: wanted.measured };
        self.parts.insert(worker, (wanted.scope.clone(), holding));
        LimitShare::new(part, rate)
    }
}

/// A worker's demand for a part of a provider's rate limit, which all workers of a store share. See
/// [`Run::share_limit`](crate::Run::share_limit).
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct LimitDemand {
    /// The name of the limit: the account and the model, never the API key.
    pub scope: String,
    /// The number of calls per second that the worker could make without a limit.
    pub demand: f64,
    /// The whole limit in calls per second, as this worker measured it; `None` if it has not reached a limit.
    pub rate: Option<f64>,
}

impl LimitDemand {
    /// Creates a demand for `demand` calls per second within the limit of a scope, without a measured rate. A negative demand
    /// counts as 0.
    #[must_use]
    pub fn new(scope: impl Into<String>, demand: f64) -> Self {
        Self { scope: scope.into(), demand: demand.max(0.0), rate: None }
    }

    /// Sets the whole limit in calls per second, as this worker measured it. A value that is not finite and above 0 counts as
    /// no measurement.
    #[must_use]
    pub fn rate(mut self, rate: Option<f64>) -> Self {
        self.rate = rate.filter(|rate| rate.is_finite() && *rate > 0.0);
        self
    }
}

/// The part of a rate limit that one worker may use until its next [`Run::share_limit`](crate::Run::share_limit).
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct LimitShare {
    /// The fraction of the whole limit, from 0 to 1.
    pub part: f64,
    /// The whole limit in calls per second, as a worker last measured it in the past ten minutes; `None` without a measurement.
    pub rate: Option<f64>,
}

impl LimitShare {
    pub(crate) fn new(part: f64, rate: Option<f64>) -> Self {
        Self { part, rate }
    }
}

/// The age, in milliseconds, up to which a measured rate is passed on to other workers.
pub(crate) const RATE_MILLIS: i64 = 10 * 60 * 1_000;

/// The demand of another worker, and the part that it has.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Holding {
    pub(crate) demand: f64,
    pub(crate) part: f64,
}

/// Returns the part of a limit of `rate` calls per second for a worker: its share of all demands, each of which counts as no more
/// than the limit, capped by what the other workers have left. Without the cap, a worker that joins and the workers that do not
/// know of it yet would together exceed the whole limit.
pub(crate) fn part_for(demand: f64, others: &[Holding], rate: Option<f64>) -> f64 {
    let usable = |demand: f64| demand.min(rate.unwrap_or(f64::INFINITY));
    let all = usable(demand) + others.iter().map(|other| usable(other.demand)).sum::<f64>();
    let left = 1.0 - others.iter().map(|other| other.part).sum::<f64>();
    if others.is_empty() {
        1.0
    } else if all > 0.0 {
        (usable(demand) / all).min(left).max(0.0)
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::{Holding, part_for};

    #[test]
    fn one_worker_has_the_whole_limit() {
        assert!((part_for(3.0, &[], None) - 1.0).abs() < f64::EPSILON);
        assert!(
            (part_for(0.0, &[], Some(9.0)) - 1.0).abs() < f64::EPSILON,
            "a lone worker keeps the limit while it waits for rows"
        );
        let other = Holding { demand: 0.0, part: 0.0 };
        assert!(
            part_for(0.0, &[other], None).abs() < f64::EPSILON,
            "beside others a worker without a demand receives nothing"
        );
    }

    #[test]
    fn the_parts_of_workers_that_join_and_leave_are_never_more_than_the_limit() {
        // The last demand is above the limit of 60, and counts as 60.
        let demands = [10.0, 30.0, 0.0, 6_000.0];
        let mut parts: Vec<f64> = Vec::new();
        for round in 0..24 {
            let worker = round % 4;
            let others = |parts: &[f64]| {
                let all = demands.iter().zip(parts).enumerate().filter(|(other, _)| *other != worker);
                all.map(|(_, (demand, part))| Holding { demand: *demand, part: *part }).collect::<Vec<_>>()
            };
            let part = part_for(demands[worker], &others(&parts), Some(60.0));
            if worker < parts.len() {
                parts[worker] = part
            } else {
                parts.push(part)
            }
            assert!(parts.iter().sum::<f64>() <= 1.0 + 1e-9, "{parts:?}");
        }
        let expected = [0.1, 0.3, 0.0, 0.6];
        assert!(
            parts.iter().zip(expected).all(|(part, expected)| (part - expected).abs() < 1e-6),
            "{parts:?}"
        );
    }
}

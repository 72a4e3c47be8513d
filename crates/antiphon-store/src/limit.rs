/// A worker's demand for a part of a provider's rate limit, which all workers of a store share. See
/// [`Run::share_limit`](crate::Run::share_limit).
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct LimitDemand {
    /// The name of the limit: the account and the model, never the API key.
    pub scope: String,
    /// The number of calls per second that the worker could make without a limit.
    pub demand: f64,
    /// The rate that this worker measured; `None` if it has not reached a limit.
    pub measured: Option<MeasuredRate>,
}

/// A rate that was measured within a part of a limit.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct MeasuredRate {
    /// Calls per second.
    pub rate: f64,
    /// The part of the limit within which the calls were made, from 0 to 1.
    pub part: f64,
}

impl LimitDemand {
    /// Creates a demand for `demand` calls per second within the limit of a scope, without a measured rate. A negative demand
    /// counts as 0.
    #[must_use]
    pub fn new(scope: impl Into<String>, demand: f64) -> Self {
        Self { scope: scope.into(), demand: demand.max(0.0), measured: None }
    }

    /// Sets the calls per second that this worker measured within `part` of the limit. A rate or part that is not finite and
    /// above 0 counts as no measurement.
    #[must_use]
    pub fn measured(mut self, rate: f64, part: f64) -> Self {
        let is_valid = |value: f64| value.is_finite() && value > 0.0;
        self.measured = (is_valid(rate) && is_valid(part)).then_some(MeasuredRate { rate, part });
        self
    }
}

/// The part of a rate limit that one worker may use until its next [`Run::share_limit`](crate::Run::share_limit).
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct LimitShare {
    /// The fraction of the whole limit, from 0 to 1.
    pub part: f64,
    /// The whole limit in calls per second, as the workers measured it together, at most ten minutes ago; `None` without a
    /// measurement.
    pub rate: Option<f64>,
}

impl LimitShare {
    pub(crate) fn new(part: f64, rate: Option<f64>) -> Self {
        Self { part, rate }
    }
}

/// The age, in milliseconds, up to which a measured rate is passed on to other workers.
pub(crate) const RATE_MILLIS: i64 = 10 * 60 * 1_000;

/// The demand of a worker, the part that it has, and the rate that it measured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Holding {
    pub(crate) demand: f64,
    pub(crate) part: f64,
    pub(crate) measured: Option<MeasuredRate>,
}

/// Returns the whole limit by what the workers measured of their parts. One that is held up, and measures less than its part, lowers
/// it by its own share alone.
pub(crate) fn whole_rate(measured: impl Iterator<Item = MeasuredRate>) -> Option<f64> {
    let none = MeasuredRate { rate: 0.0, part: 0.0 };
    let all = measured
        .fold(none, |all, more| MeasuredRate { rate: all.rate + more.rate, part: all.part + more.part });
    (all.part > 0.0).then(|| all.rate / all.part)
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
    use super::{Holding, MeasuredRate, part_for, whole_rate};

    #[test]
    fn one_worker_has_the_whole_limit() {
        assert!((part_for(3.0, &[], None) - 1.0).abs() < f64::EPSILON);
        assert!(
            (part_for(0.0, &[], Some(9.0)) - 1.0).abs() < f64::EPSILON,
            "a lone worker keeps the limit while it waits for rows"
        );
        let other = Holding { demand: 0.0, part: 0.0, measured: None };
        assert!(
            part_for(0.0, &[other], None).abs() < f64::EPSILON,
            "beside others a worker without a demand receives nothing"
        );
    }

    #[test]
    fn the_whole_limit_is_what_all_measured_of_all_parts() {
        let whole = |measured: &[(f64, f64)]| {
            whole_rate(measured.iter().map(|(rate, part)| MeasuredRate { rate: *rate, part: *part }))
        };
        assert_eq!((whole(&[]), whole(&[(30.0, 0.5), (15.0, 0.25)])), (None, Some(60.0)));
        assert_eq!(
            whole(&[(30.0, 0.5), (1.0, 0.5)]),
            Some(31.0),
            "one that is held up lowers it by its own part"
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
                all.map(|(_, (demand, part))| Holding { demand: *demand, part: *part, measured: None })
                    .collect::<Vec<_>>()
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

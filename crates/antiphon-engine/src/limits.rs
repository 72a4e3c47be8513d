//! The limits of a run, and their form in JSON and TOML.
//!
//! Limits are data, so that a request with its limits can be stored and carried out by another process. All fields are
//! optional and unset ones are left out, so the form of the default is `{}`:
//!
//! ```json
//! {
//!   "max_cost_usd_micros": 500000, "max_concurrency": 8, "attempts": 2,
//!   "deadline_seconds": 90.0, "priority": "low", "max_rows": 100
//! }
//! ```
//!
//! Unknown keys are errors: a misspelt budget must not become no budget.

use std::time::Duration;

use antiphon_runtime::Priority;
use serde::{Deserialize, Serialize};

/// The limits of a run: one type with one meaning for Rust, files, HTTP and the command line.
///
/// All limits are optional. The store enforces `max_cost` for all processes that work on the run together; `max_concurrency`
/// holds for each process. A run that reaches its budget or its deadline keeps its results, stops, and can be resumed with a
/// higher limit.
///
/// ```
/// use antiphon_engine::RunLimits;
/// let limits: RunLimits = serde_json::from_str(r#"{"max_cost_usd_micros": 500000, "deadline_seconds": 90}"#)?;
/// assert_eq!((limits.max_cost, limits.deadline.map(|time| time.as_secs())), (Some(500_000), Some(90)));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct RunLimits {
    /// The budget: the most that all calls of the run may cost together, in millionths of a US dollar. The run stops before a
    /// call that might exceed it, and can be resumed. Default: no limit.
    #[serde(rename = "max_cost_usd_micros", skip_serializing_if = "Option::is_none")]
    pub max_cost: Option<u64>,
    /// The concurrency limit: the maximum number of calls in flight. Default: as many as the provider's limits allow (adaptive
    /// concurrency).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_concurrency: Option<usize>,
    /// The maximum number of attempts per row, where an attempt is an answer, valid or not; retries of failed calls are not
    /// counted. 0 counts as 1. Default: the recipe's, which is 2 unless the recipe sets another.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempts: Option<u32>,
    /// The time from the start, or from the latest resume, after which no call begins. Calls in progress finish, and the run can
    /// be resumed. In JSON: seconds. Default: none.
    #[serde(rename = "deadline_seconds", with = "seconds", skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Duration>,
    /// The priority of this run's calls among those of other runs of the process, where they queue for the provider's limits.
    /// Default: normal.
    #[serde(with = "priority", skip_serializing_if = "Option::is_none")]
    pub priority: Option<Priority>,
    /// The maximum number of rows that are processed, counted from the start of the input. Default: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_rows: Option<u64>,
}

impl RunLimits {
    /// Sets the most that all calls may cost together, in millionths of a US dollar. To convert dollars use
    /// [`usd_micros`].
    ///
    /// A budget needs a price list: see [`Options::pricing`](crate::Options::pricing). `None` removes the limit.
    #[must_use]
    pub fn max_cost(mut self, micros: impl Into<Option<u64>>) -> Self {
        self.max_cost = micros.into();
        self
    }

    /// Sets the concurrency limit: the maximum number of calls in flight.
    ///
    /// The limit holds for one process. `None` leaves the number to the adaptive limiter.
    #[must_use]
    pub fn max_concurrency(mut self, calls: impl Into<Option<usize>>) -> Self {
        self.max_concurrency = calls.into();
        self
    }

    /// Sets the maximum number of attempts per row: answers, the first one and those of schema retries.
    ///
    /// To limit the retries of failed calls use [`Options::retry`](crate::Options::retry) instead.
    #[must_use]
    pub fn attempts(mut self, attempts: impl Into<Option<u32>>) -> Self {
        self.attempts = attempts.into();
        self
    }

    /// Sets the time after which no call begins, from the start or the latest resume.
    ///
    /// The time is kept as a duration, so each resume has all of it again.
    #[must_use]
    pub fn deadline(mut self, deadline: impl Into<Option<Duration>>) -> Self {
        self.deadline = deadline.into();
        self
    }

    /// Sets the priority among the runs of a process. Priorities have no effect between processes.
    #[must_use]
    pub fn priority(mut self, priority: impl Into<Option<Priority>>) -> Self {
        self.priority = priority.into();
        self
    }

    /// Sets the maximum number of rows that are processed.
    ///
    /// For a [`Mapping`](crate::Mapping) this is part of the run's identity: another number is another run.
    #[must_use]
    pub fn max_rows(mut self, rows: impl Into<Option<u64>>) -> Self {
        self.max_rows = rows.into();
        self
    }

    /// Returns these limits, overridden by those that `other` sets: for a run that is resumed with new limits. A limit that is
    /// `None` in `other` is kept.
    #[must_use]
    pub fn overridden_by(self, other: &Self) -> Self {
        Self {
            max_cost: other.max_cost.or(self.max_cost),
            max_concurrency: other.max_concurrency.or(self.max_concurrency),
            attempts: other.attempts.or(self.attempts),
            deadline: other.deadline.or(self.deadline),
            priority: other.priority.or(self.priority),
            max_rows: other.max_rows.or(self.max_rows),
        }
    }
}

/// Converts US dollars to millionths, rounded. Negative values and NaN become 0, and too large values `u64::MAX`.
///
/// ```
/// assert_eq!(antiphon_engine::usd_micros(0.5), 500_000);
/// ```
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates, as documented")]
#[must_use]
pub fn usd_micros(dollars: f64) -> u64 {
    (dollars * 1e6).round() as u64
}

/// Serialises a duration as a number of seconds, which may have a fraction.
mod seconds {
    use std::time::Duration;

    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    #[expect(clippy::ref_option, reason = "the signature is serde's")]
    pub(super) fn serialize<S: Serializer>(time: &Option<Duration>, to: S) -> Result<S::Ok, S::Error> {
        match time {
            Some(time) => to.serialize_some(&time.as_secs_f64()),
            None => to.serialize_none(),
        }
    }

    /// Reads a number of seconds. Negative, infinite and too large numbers are errors, since [`Duration`] has no such
    /// values.
    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
        let seconds = Option::<f64>::deserialize(from)?;
        let time =
            |seconds| Duration::try_from_secs_f64(seconds).map_err(|err| Error::custom(err.to_string()));
        seconds.map(time).transpose()
    }
}

/// Serialises a priority by its name. The type itself belongs to a crate without serde.
mod priority {
    use antiphon_runtime::Priority;
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    /// Returns the name in files and requests. Both directions use this table, so they cannot differ.
    fn name(priority: Priority) -> &'static str {
        match priority {
            Priority::Critical => "critical",
            Priority::High => "high",
            Priority::Normal => "normal",
            Priority::Low => "low",
            Priority::Background => "background",
        }
    }

    #[expect(clippy::ref_option, reason = "the signature is serde's")]
    pub(super) fn serialize<S: Serializer>(priority: &Option<Priority>, to: S) -> Result<S::Ok, S::Error> {
        priority.map(name).serialize(to)
    }

    /// Reads a name. For an unknown one the error lists all names.
    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Priority>, D::Error> {
        let Some(wanted) = Option::<String>::deserialize(from)? else { return Ok(None) };
        let found = Priority::ALL.into_iter().find(|priority| name(*priority) == wanted);
        found
            .map(Some)
            .ok_or_else(|| Error::custom("a priority is critical, high, normal, low or background"))
    }
}

#[cfg(test)]
mod tests {
    use super::{Duration, Priority, RunLimits};

    #[test]
    fn limits_survive_json() {
        let limits = RunLimits::default()
            .max_cost(7)
            .deadline(Duration::from_millis(1_500))
            .priority(Priority::Low)
            .attempts(3);
        let text = serde_json::to_string(&limits).unwrap();
        assert_eq!(text, r#"{"max_cost_usd_micros":7,"attempts":3,"deadline_seconds":1.5,"priority":"low"}"#);
        assert_eq!(serde_json::from_str::<RunLimits>(&text).unwrap(), limits);
        assert_eq!(serde_json::from_str::<RunLimits>("{}").unwrap(), RunLimits::default());
        assert!(serde_json::from_str::<RunLimits>("{\"max_costs\": 1}").is_err());
        assert!(serde_json::from_str::<RunLimits>("{\"deadline_seconds\": -1}").is_err());
    }

    #[test]
    fn a_resumed_run_keeps_limits_that_are_not_overridden() {
        let limits = RunLimits::default().max_cost(7).max_rows(9).priority(Priority::High);
        let new = limits.overridden_by(&RunLimits::default().max_cost(8));
        assert_eq!((new.max_cost, new.max_rows, new.priority), (Some(8), Some(9), Some(Priority::High)));
        let lowered = limits.overridden_by(&RunLimits::default().priority(Priority::Normal));
        assert_eq!(lowered.priority, Some(Priority::Normal));
    }
}

//! Counters and durations for the `metrics` facade; no-ops without the feature.

#[cfg(feature = "metrics")]
pub use recorded::describe_metrics;
#[cfg(feature = "metrics")]
pub(crate) use recorded::{Observation, acquired, ended, gathered, submitted};
#[cfg(not(feature = "metrics"))]
pub(crate) use silent::{Observation, acquired, ended, gathered, submitted};

/// The source of a resource that was handed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    Created,
    Reused,
}

#[cfg(feature = "metrics")]
mod recorded {
    use std::time::{Duration, Instant};

    use metrics::{Counter, Histogram, Unit, counter, describe_counter, describe_histogram, histogram};

    use super::Source;
    use crate::clock::now;
    use crate::task::Ending;

    /// Describes the metrics of this crate to the recorder of the `metrics` facade: each with its unit and one sentence.
    ///
    /// Call it once, after the recorder is installed; a recorder that was installed later knows no units. An exporter may then
    /// show units, such as seconds.
    ///
    /// | metric | type | unit | labels |
    /// |---|---|---|---|
    /// | `antiphon.task.submitted` | counter | tasks | - |
    /// | `antiphon.task.ended` | counter | tasks | `outcome` |
    /// | `antiphon.task.duration` | histogram | seconds | `outcome` |
    /// | `antiphon.background.task.started` | counter | tasks | - |
    /// | `antiphon.background.task.ended` | counter | tasks | `outcome` |
    /// | `antiphon.background.duration` | histogram | seconds | `outcome` |
    /// | `antiphon.gather.future.ended` | counter | futures | `outcome` |
    /// | `antiphon.gather.duration` | histogram | seconds | `outcome` |
    /// | `antiphon.timeout.future.ended` | counter | futures | `outcome` |
    /// | `antiphon.timeout.duration` | histogram | seconds | `outcome` |
    /// | `antiphon.pool.resource.acquired` | counter | resources | `outcome` |
    ///
    /// `outcome` is `completed`, `failed` (it panicked), `timed_out` or `cancelled`; of a resource, `created` or `reused`. Tasks
    /// of a [`Runner`](crate::Runner) and of [`background`](crate::background()) are counted apart.
    ///
    /// ```
    /// // First the recorder of an exporter, then:
    /// antiphon_runtime::describe_metrics();
    /// ```
    pub fn describe_metrics() {
        let counters = [
            ("antiphon.task.submitted", "Tasks that a runner has accepted."),
            ("antiphon.task.ended", "Tasks of a runner that have ended, by outcome."),
            ("antiphon.background.task.started", "Background tasks that were spawned."),
            ("antiphon.background.task.ended", "Background tasks that have ended, by outcome."),
            ("antiphon.gather.future.ended", "Futures of gather calls that have ended, by outcome."),
            ("antiphon.timeout.future.ended", "Futures with a time limit that have ended, by outcome."),
            ("antiphon.pool.resource.acquired", "Resources that a pool has handed out, created or reused."),
        ];
        for (name, description) in counters {
            describe_counter!(name, Unit::Count, description);
        }
        let durations = [
            ("antiphon.task.duration", "Duration of tasks of a runner, from their start."),
            ("antiphon.background.duration", "Duration of background tasks, from their spawning."),
            ("antiphon.gather.duration", "Duration of gather calls."),
            ("antiphon.timeout.duration", "Duration of futures with a time limit."),
        ];
        for (name, description) in durations {
            describe_histogram!(name, Unit::Seconds, description);
        }
    }

    pub(crate) fn submitted() {
        counter!("antiphon.task.submitted").increment(1);
    }

    /// Records the end of a task of a runner that `ran` for a time; `None` if it never started.
    pub(crate) fn ended(ending: Ending, ran: Option<Duration>) {
        ends("antiphon.task.ended", ending).increment(1);
        if let Some(ran) = ran {
            durations("antiphon.task.duration", ending).record(ran);
        }
    }

    /// Records the end of one future of a gather call.
    pub(crate) fn gathered(ending: Ending) {
        ends("antiphon.gather.future.ended", ending).increment(1);
    }

    /// Records a resource that was handed out.
    pub(crate) fn acquired(source: Source) {
        let name = "antiphon.pool.resource.acquired";
        let acquired = match source {
            Source::Created => counter!(name, "outcome" => "created"),
            Source::Reused => counter!(name, "outcome" => "reused"),
        };
        acquired.increment(1);
    }

    /// Returns the counter of ends with this outcome. The labels are literals, so that no key is allocated.
    fn ends(name: &'static str, ending: Ending) -> Counter {
        match ending {
            Ending::Completed => counter!(name, "outcome" => "completed"),
            Ending::Panicked => counter!(name, "outcome" => "failed"),
            Ending::TimedOut => counter!(name, "outcome" => "timed_out"),
            Ending::Cancelled => counter!(name, "outcome" => "cancelled"),
        }
    }

    /// Returns the histogram of durations with this outcome.
    fn durations(name: &'static str, ending: Ending) -> Histogram {
        match ending {
            Ending::Completed => histogram!(name, "outcome" => "completed"),
            Ending::Panicked => histogram!(name, "outcome" => "failed"),
            Ending::TimedOut => histogram!(name, "outcome" => "timed_out"),
            Ending::Cancelled => histogram!(name, "outcome" => "cancelled"),
        }
    }

    /// A guard over an operation, which records its end and its duration. Dropped before the end, it records `cancelled`, or
    /// `failed` during a panic.
    #[derive(Debug)]
    pub(crate) struct Observation {
        /// The counter of ends; `None` if only the duration is recorded.
        ends: Option<&'static str>,
        durations: &'static str,
        since: Instant,
        ending: Option<Ending>,
    }

    impl Observation {
        /// Begins to observe a background task.
        pub(crate) fn background() -> Self {
            counter!("antiphon.background.task.started").increment(1);
            Self::begin(Some("antiphon.background.task.ended"), "antiphon.background.duration")
        }

        /// Begins to observe a gather call.
        pub(crate) fn gather() -> Self {
            Self::begin(None, "antiphon.gather.duration")
        }

        /// Begins to observe a future with a time limit.
        pub(crate) fn timeout() -> Self {
            Self::begin(Some("antiphon.timeout.future.ended"), "antiphon.timeout.duration")
        }

        fn begin(ends: Option<&'static str>, durations: &'static str) -> Self {
            Self { ends, durations, since: now(), ending: None }
        }

        /// Records the end.
        pub(crate) fn end(mut self, ending: Ending) {
            self.ending = Some(ending);
        }
    }

    impl Drop for Observation {
        fn drop(&mut self) {
            let dropped = if std::thread::panicking() { Ending::Panicked } else { Ending::Cancelled };
            let ending = self.ending.unwrap_or(dropped);
            if let Some(name) = self.ends {
                ends(name, ending).increment(1);
            }
            durations(self.durations, ending).record(now().saturating_duration_since(self.since));
        }
    }
}

#[cfg(not(feature = "metrics"))]
mod silent {
    use std::time::Duration;

    use super::Source;
    use crate::task::Ending;

    pub(crate) fn submitted() {}
    pub(crate) fn ended(_: Ending, _: Option<Duration>) {}
    pub(crate) fn gathered(_: Ending) {}
    pub(crate) fn acquired(_: Source) {}

    #[derive(Debug)]
    pub(crate) struct Observation;

    impl Observation {
        pub(crate) fn background() -> Self {
            Self
        }

        pub(crate) fn gather() -> Self {
            Self
        }

        pub(crate) fn timeout() -> Self {
            Self
        }

        pub(crate) fn end(self, _: Ending) {}
    }
}

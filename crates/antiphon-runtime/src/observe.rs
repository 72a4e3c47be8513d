//! Counters and durations for the `metrics` facade; no-ops without the feature.

#[cfg(feature = "metrics")]
pub(crate) use recorded::{acquired, ended, submitted};
#[cfg(not(feature = "metrics"))]
pub(crate) use silent::{acquired, ended, submitted};

#[cfg(feature = "metrics")]
mod recorded {
    use std::time::Duration;

    use metrics::{counter, histogram};

    use crate::task::Ending;

    pub(crate) fn submitted() {
        counter!("antiphon.task.submitted").increment(1);
    }

    /// Records the end of a task that `ran` for a time; `None` if it never started.
    pub(crate) fn ended(ending: Ending, ran: Option<Duration>) {
        let name = match ending {
            Ending::Completed => "antiphon.task.completed",
            Ending::Panicked => "antiphon.task.failed",
            Ending::TimedOut => "antiphon.task.timed_out",
            Ending::Cancelled => "antiphon.task.cancelled",
        };
        counter!(name).increment(1);
        if let Some(ran) = ran {
            histogram!("antiphon.task.duration").record(ran.as_secs_f64());
        }
    }

    /// Records a resource that was handed out: `how` is `created` or `reused`.
    pub(crate) fn acquired(how: &'static str) {
        counter!("antiphon.pool.acquired", "how" => how).increment(1);
    }
}

#[cfg(not(feature = "metrics"))]
mod silent {
    use std::time::Duration;

    use crate::task::Ending;

    pub(crate) fn submitted() {}
    pub(crate) fn ended(_: Ending, _: Option<Duration>) {}
    pub(crate) fn acquired(_: &'static str) {}
}

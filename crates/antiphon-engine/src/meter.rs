//! The meter of a run's progress.
//!
//! All displays of progress (a line on a terminal, NDJSON, a page) are driven by the same [`RunEvent`]s. The arithmetic
//! that they have in common is here: sums, throughput and the remaining time. A display only formats a [`Reading`].
//!
//! | meter | counts | reads |
//! |---|---|---|
//! | [`Meter::of_documents`] | one event per job and per chunk of text | [`DocumentsReading`] |
//! | [`Meter::of_rows`] | snapshots of the run's counters, [`RunEvent::Progress`] | [`RowsReading`] |

use std::time::Duration;

use antiphon_runtime::Progress;
use serde::Serialize;
use tokio::time::Instant;

use crate::event::RunEvent;
use crate::status::{Status, Waiting};
use crate::timings::Phase;

/// A meter of runs: takes their events, and computes counts, throughput and the remaining time for every display of progress.
///
/// Pass each event to [`count`](Self::count), and call [`read`](Self::read) whenever the display is refreshed. The meter does no
/// I/O and starts no task.
///
/// ```
/// use antiphon_engine::{Meter, RunEvent};
///
/// let mut meter = Meter::of_documents(1);
/// meter.count(&RunEvent::Loading { done: 2, total: 2 });
/// meter.count(&RunEvent::JobFinished { ok: true, left: false, cost_usd_micros: Some(1_200) });
/// let line = serde_json::to_string(&meter.read())?;
/// assert!(line.starts_with(r#"{"event":"progress","documents_done":2,"documents_total":2,"jobs_done":1"#), "{line}");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug)]
pub struct Meter(Counts);

/// The counts of a meter, by the kind of its runs.
#[derive(Debug)]
enum Counts {
    Documents(Box<Documents>),
    Rows(Box<Rows>),
}

/// The counts of runs over documents.
#[derive(Debug)]
struct Documents {
    /// The jobs that have ended, with their rate.
    jobs: Progress,
    /// The documents that were read, with their rate.
    documents: Progress,
    /// The message of the latest step.
    step: String,
    /// The number of files that the latest [`RunEvent::Loading`] reported: the event has the sum, not the difference.
    loading: u64,
    /// Bytes of answers that have arrived.
    bytes: u64,
    /// The time at which the latest job began.
    answering: Option<Instant>,
    /// Jobs without a result.
    failed: u64,
    /// Jobs that a stop left for a later process.
    left: u64,
    /// The cost of the jobs that have ended; `None` if a price is not known.
    cost: Option<u64>,
}

/// The counts of a run over rows.
#[derive(Debug)]
struct Rows {
    /// The rows that have ended since the first status, with their rate.
    rows: Progress,
    /// The latest status.
    status: Option<Status>,
    /// The first status and its time: the work of earlier processes does not count towards the throughput of this one.
    first: Option<(Status, Instant)>,
}

/// A reading of a [`Meter`]. Its JSON form is a line of `--progress json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Reading {
    /// A reading of runs over documents.
    Documents(DocumentsReading),
    /// A reading of a run over rows.
    Rows(RowsReading),
}

/// The progress of runs over documents, each of which is one job.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "event", rename = "progress")]
#[non_exhaustive]
pub struct DocumentsReading {
    /// Documents that were read.
    pub documents_done: u64,
    /// Documents in all; `None` while that is not known.
    pub documents_total: Option<u64>,
    /// Jobs that have ended.
    pub jobs_done: u64,
    /// Jobs in all.
    pub jobs_total: Option<u64>,
    /// Jobs without a result.
    pub jobs_failed: u64,
    /// Bytes of answers that have arrived.
    pub answer_bytes: u64,
    /// The seconds until all jobs have ended, at the present rate.
    pub eta_seconds: Option<u64>,
    /// The cost of the jobs that have ended, in millionths of a US dollar; `None` if a price is not known.
    pub cost_usd_micros: Option<u64>,
    /// A short description of the current step of the latest run. This field and the following ones are not serialised.
    #[serde(skip)]
    pub step: String,
    /// The time since the latest job began.
    #[serde(skip)]
    pub answering: Option<Duration>,
    /// Documents read per second.
    #[serde(skip)]
    pub documents_per_second: Option<f64>,
    /// The time until all jobs have ended, or else until all documents are read, at the present rate.
    #[serde(skip)]
    pub time_left: Option<Duration>,
}

/// The progress of a run over rows.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "event", rename = "progress")]
#[non_exhaustive]
pub struct RowsReading {
    /// Rows that were read so far; all rows of the input once `rows_are_all` is set.
    pub rows: u64,
    /// Whether all rows of the input were read.
    pub rows_are_all: bool,
    /// Rows with a result.
    pub accepted: u64,
    /// Rows that failed.
    pub failed: u64,
    /// Results from the cache or from an equal prompt in the run (deduplication), which took no call of their own.
    pub cached: u64,
    /// Calls that this process sent.
    pub calls: u64,
    /// Rows in progress: with a call that is queued or in flight.
    pub in_flight: u64,
    /// Tokens of prompts; `None` if none were reported.
    pub input_tokens: Option<u64>,
    /// Tokens of answers; `None` if none were reported.
    pub output_tokens: Option<u64>,
    /// The cost of the run, in millionths of a US dollar; `None` if a price is not known.
    pub cost_usd_micros: Option<u64>,
    /// The most that possibly billed calls may have cost, in millionths of a US dollar; not included in `cost_usd_micros`.
    pub possible_usd_micros: u64,
    /// The throughput in rows per second.
    pub rows_per_second: Option<f64>,
    /// The seconds until all rows have ended, at the present rate.
    pub eta_seconds: Option<u64>,
    /// The provider's rate limit in requests per second; `None` while the run has not met one.
    pub limit_requests_per_second: Option<f64>,
    /// The concurrency limit at present.
    pub limit_concurrency: Option<usize>,
    /// The bottleneck: the phase that decides how long the run takes.
    pub bottleneck: Option<Phase>,
    /// Possibly billed calls without a known upper bound of their cost. This field and the following ones are not serialised.
    #[serde(skip)]
    pub possible_unbounded: u64,
    /// Calls that are in flight at the provider, of all runs of this process; `None` where no limiter counts them.
    #[serde(skip)]
    pub calls_in_flight: Option<usize>,
    /// The throughput of this process in tokens of answers per second.
    #[serde(skip)]
    pub tokens_per_second: Option<f64>,
    /// The current wait of jobs for the provider, if any.
    #[serde(skip)]
    pub waiting: Option<Waiting>,
    /// Processes that work on the run, this one included.
    #[serde(skip)]
    pub processes: u64,
    /// The time until all rows have ended, at the present rate.
    #[serde(skip)]
    pub time_left: Option<Duration>,
}

impl Meter {
    /// Creates a meter of `jobs` runs over documents, each of which is one job.
    ///
    /// The total of documents is known only for a single run; with several, [`DocumentsReading::documents_total`] stays
    /// `None`.
    #[must_use]
    pub fn of_documents(jobs: u64) -> Self {
        Self(Counts::Documents(Box::new(Documents {
            jobs: Progress::new(Some(jobs)),
            documents: Progress::new(None),
            step: String::new(),
            loading: 0,
            bytes: 0,
            answering: None,
            failed: 0,
            left: 0,
            cost: Some(0),
        })))
    }

    /// Creates a meter of a run over rows.
    ///
    /// Throughput is measured from the first [`RunEvent::Progress`], so that the rows of earlier processes of a resumed
    /// run do not count towards it.
    #[must_use]
    pub fn of_rows() -> Self {
        Self(Counts::Rows(Box::new(Rows { rows: Progress::new(None), status: None, first: None })))
    }

    /// Returns whether this is a meter of rows.
    #[must_use]
    pub fn counts_rows(&self) -> bool {
        matches!(self.0, Counts::Rows(_))
    }

    /// Counts an event. Events have to be passed in their order; those of the other kind of run are ignored.
    pub fn count(&mut self, event: &RunEvent) {
        match &mut self.0 {
            Counts::Documents(documents) => documents.count(event),
            Counts::Rows(rows) => rows.count(event),
        }
    }

    /// Returns the current reading; `None` for a meter of rows before their first [`RunEvent::Progress`].
    #[must_use]
    pub fn read(&self) -> Option<Reading> {
        match &self.0 {
            Counts::Documents(documents) => Some(Reading::Documents(documents.read())),
            Counts::Rows(rows) => rows.read().map(Reading::Rows),
        }
    }
}

impl Documents {
    /// Counts an event of a run over documents.
    fn count(&mut self, event: &RunEvent) {
        match event {
            RunEvent::Step { message, .. } => self.step.clone_from(message),
            RunEvent::Loading { done, total } => self.count_read(*done, *total),
            RunEvent::Loaded { documents, .. } => {
                if self.loading == 0 {
                    // Documents from the store are loaded at once.
                    self.count_read(*documents, *documents);
                }
                self.loading = 0;
            }
            RunEvent::JobStarted => self.answering = Some(Instant::now()),
            RunEvent::Text { bytes } => self.bytes += bytes,
            RunEvent::JobFinished { ok, left, cost_usd_micros } => {
                self.failed += u64::from(!ok && !left);
                self.left += u64::from(*left);
                self.cost = self.cost.zip(*cost_usd_micros).map(|(before, cost)| before + cost);
                if !left {
                    self.jobs.advance(1);
                }
            }
            RunEvent::Connected { .. }
            | RunEvent::Started { .. }
            | RunEvent::Joined { .. }
            | RunEvent::Decoded { .. }
            | RunEvent::Warning { .. }
            | RunEvent::Progress(_) => {}
        }
    }

    /// Counts the files that were read since the previous event; `done` is the sum of one run.
    fn count_read(&mut self, done: u64, total: u64) {
        self.documents.advance(done.saturating_sub(self.loading));
        self.loading = done;
        // Each of several runs knows only its own total.
        if self.jobs.snapshot().total == Some(1) {
            self.documents.set_total(total);
        }
    }

    /// Reads the counts. The cost is shown only once a job has ended: before, 0 would look like a price.
    fn read(&self) -> DocumentsReading {
        let (documents, jobs) = (self.documents.snapshot(), self.jobs.snapshot());
        DocumentsReading {
            documents_done: documents.done,
            documents_total: documents.total,
            jobs_done: jobs.done,
            jobs_total: jobs.total,
            jobs_failed: self.failed,
            answer_bytes: self.bytes,
            eta_seconds: jobs.eta.map(|eta| eta.as_secs()),
            cost_usd_micros: self.cost.filter(|_| jobs.done + self.left > 0),
            step: self.step.clone(),
            answering: self.answering.map(|since| since.elapsed()),
            documents_per_second: documents.rate,
            time_left: jobs.eta.or(documents.eta),
        }
    }
}

impl Rows {
    /// Takes over a status. Rows advance by the difference from the previous one, and the total is that of the rows
    /// which had not ended when the first status came.
    fn count(&mut self, event: &RunEvent) {
        let RunEvent::Progress(status) = event else { return };
        let done = |status: &Status| status.accepted + status.failed;
        let (first, _) = self.first.get_or_insert_with(|| (Status::clone(status), Instant::now()));
        if status.is_all {
            self.rows.set_total(status.rows.saturating_sub(done(first)));
        }
        let before = done(self.status.as_ref().unwrap_or(status));
        self.rows.advance(done(status).saturating_sub(before));
        self.status = Some(Status::clone(status));
    }

    /// Reads the counts; `None` before the first status. Tokens per second are given after one second at the earliest.
    fn read(&self) -> Option<RowsReading> {
        let (status, rows) = (self.status.as_ref()?, self.rows.snapshot());
        let (first, began) = self.first.as_ref()?;
        let seconds = began.elapsed().as_secs_f64();
        let tokens = status.output_tokens.unwrap_or(0).saturating_sub(first.output_tokens.unwrap_or(0));
        Some(RowsReading {
            rows: status.rows,
            rows_are_all: status.is_all,
            accepted: status.accepted,
            failed: status.failed,
            cached: status.cached,
            calls: status.calls,
            in_flight: status.in_flight,
            input_tokens: status.input_tokens,
            output_tokens: status.output_tokens,
            cost_usd_micros: status.cost_usd_micros,
            possible_usd_micros: status.possible_usd_micros,
            possible_unbounded: status.possible_unbounded,
            calls_in_flight: status.limits.map(|limits| limits.in_flight),
            processes: status.processes,
            rows_per_second: rows.rate,
            eta_seconds: rows.eta.map(|eta| eta.as_secs()),
            limit_requests_per_second: status.limits.and_then(|limits| limits.requests_per_second),
            limit_concurrency: status.limits.map(|limits| limits.max_concurrency),
            bottleneck: status.bottleneck,
            tokens_per_second: (seconds > 1.0 && tokens > 0).then(|| tokens as f64 / seconds),
            waiting: status.waiting,
            time_left: rows.eta,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::{Value, json};
    use tokio::time::advance;

    use super::{Meter, Reading};
    use crate::event::RunEvent;

    fn progress(accepted: u64, output_tokens: u64) -> RunEvent {
        let status = json!({
            "event": "progress", "rows": 9, "is_all": true, "accepted": accepted, "failed": 1, "cached": 0, "calls": 2,
            "in_flight": 4, "input_tokens": 1, "output_tokens": output_tokens, "cost_usd_micros": null,
            "possible_usd_micros": 0, "limits": null, "bottleneck": "queue",
        });
        serde_json::from_value(status).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn rows_of_earlier_processes_do_not_count_towards_the_throughput() {
        let mut meter = Meter::of_rows();
        assert_eq!(meter.read(), None);
        meter.count(&progress(4, 100));
        advance(Duration::from_secs(2)).await;
        meter.count(&progress(6, 120));
        let Some(Reading::Rows(read)) = meter.read() else { panic!("rows were counted") };
        assert_eq!((read.rows_per_second, read.eta_seconds), (Some(1.0), Some(2)));
        assert_eq!(read.tokens_per_second, Some(10.0));
        let line: Value = json!(Reading::Rows(read));
        assert_eq!((&line["event"], &line["bottleneck"]), (&json!("progress"), &json!("queue")));
        assert!(line.get("time_left").is_none() && line.as_object().is_some_and(|line| line.len() == 17));
    }

    #[test]
    fn documents_from_the_store_are_counted_and_a_job_that_is_left_has_not_failed() {
        let mut meter = Meter::of_documents(1);
        let loaded = json!({
            "event": "loaded", "documents": 3, "bytes": 9, "failures": [], "skipped": [], "speakers": [], "unclear": [],
        });
        meter.count(&serde_json::from_value(loaded).unwrap());
        meter.count(&RunEvent::JobFinished { ok: false, left: true, cost_usd_micros: Some(7) });
        let line = json!(meter.read());
        assert_eq!((&line["documents_done"], &line["documents_total"]), (&json!(3), &json!(3)));
        assert_eq!((&line["jobs_done"], &line["jobs_failed"]), (&json!(0), &json!(0)));
        assert_eq!(line["cost_usd_micros"], 7);
    }

    #[test]
    fn a_cost_is_unknown_as_soon_as_one_price_is() {
        let mut meter = Meter::of_documents(3);
        for (cost, expected) in [(Some(2), Some(2)), (None, None), (Some(3), None)] {
            meter.count(&RunEvent::JobFinished { ok: cost.is_some(), left: false, cost_usd_micros: cost });
            let Some(Reading::Documents(read)) = meter.read() else { panic!("documents were counted") };
            assert_eq!(read.cost_usd_micros, expected);
        }
        let line = json!(meter.read());
        assert_eq!((&line["jobs_done"], &line["jobs_failed"]), (&json!(3), &json!(1)));
        assert!(line.as_object().is_some_and(|line| line.len() == 9));
    }
}

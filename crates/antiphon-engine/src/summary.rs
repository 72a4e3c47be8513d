//! The summary of a run with its rows, as data for an HTML report.
//!
//! All rows are read, a page at a time, but only a bounded number is kept. Failed rows are preferred: a reader of a
//! report looks for the rows that need attention.

use std::collections::VecDeque;

use antiphon_store::{JobRecord, JobState, Run};

use crate::inspect::RunInfo;
use crate::report::{Cause, causes};
use crate::timings::Phase;

/// A summary of a run: its counters, the time by phase, the causes of failures, and its rows.
///
/// It is the data of an HTML report. For the counters alone, without reading rows, use [`RunInfo`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RunSummary {
    /// The state of the run.
    pub info: RunInfo,
    /// The causes of failed rows, the most frequent first.
    pub causes: Vec<Cause>,
    /// The time of each phase in milliseconds, summed over all rows.
    pub phases_ms: Vec<(Phase, u64)>,
    /// The times at which rows ended, in milliseconds since 1970 (UTC), each with whether the row has a result.
    pub ends: Vec<(i64, bool)>,
    /// Rows of the run, in their order if all are included; otherwise failed rows come first.
    pub rows: Vec<RowSummary>,
}

/// One row of a run.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RowSummary {
    /// The row's index in the input, from 0.
    pub index: u64,
    /// The state: `done`, `failed` or `left`.
    pub state: &'static str,
    /// The row.
    pub row: String,
    /// The result as JSON, or the error; empty where neither exists yet.
    pub result: String,
    /// The time of the row's calls in milliseconds; `None` if none was made.
    pub millis: Option<u64>,
}

impl RunSummary {
    /// Reads a run, with at most `max_rows` of its rows.
    ///
    /// If the run has more rows, failed ones come first and the others follow, each in the order of the input. Memory
    /// use grows with `max_rows`, and with 16 bytes for each row that has ended. The run may be in progress: rows that
    /// end meanwhile may be in one part of the summary and not in another.
    ///
    /// # Errors
    /// The store's error, if the run cannot be read.
    ///
    /// # Cancel safety
    /// A dropped call changes nothing.
    pub async fn of(run: &Run, max_rows: usize) -> Result<Self, antiphon_store::Error> {
        let (info, causes) = (RunInfo::of(run).await?, causes(run).await?);
        let (mut seen, mut jobs) = (Seen::default(), run.pages());
        loop {
            let batch = jobs.next().await?;
            if batch.is_empty() {
                break;
            }
            batch.into_iter().for_each(|job| seen.add(job, max_rows));
        }
        let Seen { micros, failed, others, ends } = seen;
        let phases_ms = Phase::ALL.into_iter().zip(micros.map(|micros| micros / 1_000)).collect();
        let mut rows: Vec<_> = failed.into_iter().chain(others).take(max_rows).collect();
        if info.rows <= max_rows as u64 {
            rows.sort_by_key(|row| row.index);
        }
        Ok(Self { info, causes, phases_ms, ends, rows })
    }
}

/// The sums and the kept rows of the jobs that were read so far.
#[derive(Default)]
struct Seen {
    /// The time of each phase in microseconds, summed over all jobs.
    micros: [u64; Phase::ALL.len()],
    failed: VecDeque<RowSummary>,
    others: VecDeque<RowSummary>,
    /// The times at which jobs ended, each with whether the job has a result.
    ends: Vec<(i64, bool)>,
}

impl Seen {
    /// Adds a job. Of failed and of other rows, each the first `max_rows` are kept.
    fn add(&mut self, job: JobRecord, max_rows: usize) {
        if let (Some(at), true) = (job.settled_at, job.state.is_end()) {
            self.ends.push((at, job.state == JobState::Accepted));
        }
        self.micros.iter_mut().zip(&job.timings).for_each(|(sum, took)| *sum += u64::from(*took));
        let kept = if job.state == JobState::Failed { &mut self.failed } else { &mut self.others };
        if kept.len() < max_rows {
            kept.push_back(RowSummary::from(job));
        }
    }
}

/// Returns the name of a job's state in a report, which does not distinguish the states of a job that has not ended.
fn state_name(state: JobState) -> &'static str {
    match state {
        JobState::Accepted => "done",
        JobState::Failed => "failed",
        _ => "left",
    }
}

impl From<JobRecord> for RowSummary {
    fn from(job: JobRecord) -> Self {
        let in_calls = Phase::ALL.iter().zip(&job.timings).filter(|(phase, _)| phase.is_of_call());
        let micros: u64 = in_calls.map(|(_, took)| u64::from(*took)).sum();
        Self {
            index: job.index,
            millis: (job.bill.calls > 0 && micros > 0).then_some(micros / 1_000),
            state: state_name(job.state),
            result: match (job.state, job.result, job.error) {
                (JobState::Accepted, Some(result), _) => result,
                (_, _, Some((error, message))) => format!("{error}: {message}"),
                _ => String::new(),
            },
            row: job.row,
        }
    }
}

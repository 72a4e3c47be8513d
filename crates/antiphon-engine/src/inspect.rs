//! Views of a stored run for inspection: the run with its sums, and its rows with their results.
//!
//! Both read the store alone. They need neither a provider nor the recipe, and do not join the run as a worker, so they
//! never disturb a run in progress.

use antiphon_store::{JobRecord, JobState, Run, RunStatus};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A run in the store, with the sums over its jobs.
///
/// In contrast to the report that a run writes at its end, this is read from the store at any time, also while other processes
/// work on the run. For a run that works in this process use [`Engine::status`](crate::Engine::status).
///
/// ```json
/// {
///   "schema": "antiphon.run-info/2", "run_id": "0198c0de-…", "kind": "map", "status": "stopped",
///   "created_at": "2026-01-31T09:30:00Z", "ended_at": "2026-01-31T09:31:21Z",
///   "input": "towns.csv", "recipe": "towns", "model": "some-model",
///   "request": {"input": "towns.csv", "recipe": {"name": "towns"}, "model": "some-model"},
///   "rows": 1000, "rows_are_all": true, "accepted": 240, "failed": 1, "calls": 252, "input_tokens": 51000, "output_tokens": 9800,
///   "cost_usd_micros": 499000, "possibly_billed_calls": 0, "possibly_billed_usd_micros": 0,
///   "possibly_billed_unbounded": 0, "report": null
/// }
/// ```
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct RunInfo {
    /// Always `antiphon.run-info/2`.
    pub schema: String,
    /// The run's id: a UUID version 7, so that ids sort by time.
    pub run_id: String,
    /// The kind, such as `map`, `personas` or `content`. A kind with a `/` is a part of another run.
    pub kind: String,
    /// `running`, `interrupted`, `stopped`, `finished` or `cancelled`.
    pub status: CurrentStatus,
    /// The time at which the run began: RFC 3339, in UTC.
    pub created_at: String,
    /// The time at which the run last ended, finished or not: RFC 3339, in UTC.
    pub ended_at: Option<String>,
    /// The inputs as text for display: paths, separated by commas.
    pub input: String,
    /// The recipe's name, where the request names one.
    pub recipe: Option<String>,
    /// The model, where the request names one.
    pub model: Option<String>,
    /// The stored request, from which the run can be repeated; `null` if none was stored, or one that is not JSON.
    pub request: Value,
    /// Rows that were read so far: the input may have more unless `rows_are_all` is set.
    pub rows: u64,
    /// Whether the whole input was read.
    pub rows_are_all: bool,
    /// Rows with a result.
    pub accepted: u64,
    /// Rows that failed for good.
    pub failed: u64,
    /// Calls that were sent.
    pub calls: u64,
    /// Tokens of the prompts, as far as they were reported; `null` if none were.
    pub input_tokens: Option<u64>,
    /// Tokens of the answers, as far as they were reported; `null` if none were.
    pub output_tokens: Option<u64>,
    /// The cost in millionths of a US dollar; `null` if a price is not known.
    pub cost_usd_micros: Option<u64>,
    /// Calls without an answer that were possibly billed; of a run that was interrupted, with those that were in progress.
    pub possibly_billed_calls: u64,
    /// The most that possibly billed calls may have cost in millionths of a US dollar, as far as it is known.
    pub possibly_billed_usd_micros: u64,
    /// Possibly billed calls without a known upper bound of their cost.
    pub possibly_billed_unbounded: u64,
    /// The report of the run's last end, if it has ended.
    pub report: Option<Value>,
}

/// The status of a run at the moment at which it was read: in contrast to the stored
/// [`RunStatus`](antiphon_store::RunStatus), whether workers are at work on it counts.
///
/// | stored status | with workers that are alive | without |
/// |---|---|---|
/// | open | `running` | `interrupted` |
/// | stopped | `running`: a worker has joined, and has claimed no row yet | `stopped` |
/// | finished, cancelled | the same | the same |
///
/// ```
/// use antiphon_engine::CurrentStatus;
/// use antiphon_store::{NewRun, Store};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), antiphon_store::Error> {
/// let store = Store::in_memory();
/// let worker = store.open_run(NewRun::new("f")).await?;
/// let run = store.read_run("latest").await?;
/// assert_eq!(CurrentStatus::of(&run).await?, CurrentStatus::Running);
/// drop(worker); // as if its process had been killed
/// assert_eq!(CurrentStatus::of(&run).await?, CurrentStatus::Interrupted);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum CurrentStatus {
    /// At least one worker is at work on the run, in any process.
    Running,
    /// No worker is at work on the run, and none has reported why: its processes were killed. The run can be resumed.
    Interrupted,
    /// Stopped before every row had ended, for example by a budget. The run can be resumed.
    Stopped,
    /// Every row has ended.
    Finished,
    /// Cancelled for good: the run is never resumed.
    Cancelled,
}

/// A row with its result or its error; without both, it is still open.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct ResultRow {
    /// The row's index in the input, from 0.
    pub index: u64,
    /// The row; as a string if it is not JSON.
    pub row: Value,
    /// The result, if the row has one.
    pub result: Option<Value>,
    /// The error of a row that failed: a short name and a sentence.
    pub error: Option<(String, String)>,
}

impl CurrentStatus {
    /// Reads the status of a run. The handle `run` is a worker itself unless it is from
    /// [`read_run`](antiphon_store::Store::read_run), and then counts as one.
    ///
    /// # Errors
    /// `NotFound` for a run that was deleted; else the store's error, if the run cannot be read.
    ///
    /// # Cancel safety
    /// A dropped call changes nothing.
    pub async fn of(run: &Run) -> Result<Self, antiphon_store::Error> {
        // In this order: a run that finishes between the two is reported as finished, and not as interrupted.
        let has_workers = run.workers().await? > 0;
        Ok(match run.status().await? {
            RunStatus::Finished => Self::Finished,
            RunStatus::Cancelled => Self::Cancelled,
            _ if has_workers => Self::Running,
            RunStatus::Stopped => Self::Stopped,
            _ => Self::Interrupted,
        })
    }

    /// Returns the status as a lower-case name for reports, such as `running`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Interrupted => "interrupted",
            Self::Stopped => "stopped",
            Self::Finished => "finished",
            Self::Cancelled => "cancelled",
        }
    }

    /// Returns whether the run can be resumed: it has not ended, and no worker is at work on it.
    #[must_use]
    pub fn is_resumable(self) -> bool {
        matches!(self, Self::Interrupted | Self::Stopped)
    }
}

impl RunInfo {
    /// Reads the state of a run. Its inputs, recipe and model are taken from the stored request: an object with
    /// `inputs` or `input`, `recipe` and `model`. The status and the sums are current; times and report are those of
    /// when `run` was opened.
    ///
    /// # Errors
    /// `NotFound` for a run that was deleted; else the store's error, if the run cannot be read.
    ///
    /// # Cancel safety
    /// A dropped call changes nothing.
    pub async fn of(run: &Run) -> Result<Self, antiphon_store::Error> {
        let (status, tally, record) = (CurrentStatus::of(run).await?, run.next_tally().await?, run.record());
        let value = |text: &str| serde_json::from_str::<Value>(text).unwrap_or_default();
        let request = value(&record.request);
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let inputs = request["inputs"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let inputs = inputs.collect::<Vec<_>>().join(", ");
        Ok(Self {
            schema: "antiphon.run-info/2".to_owned(),
            run_id: record.id.clone(),
            kind: record.kind.clone(),
            status,
            created_at: at(record.created_at),
            ended_at: record.ended_at.map(at),
            input: text(&request["input"]).unwrap_or(inputs),
            recipe: text(&request["recipe"]).or_else(|| text(&request["recipe"]["name"])),
            model: text(&request["model"]),
            request,
            rows: tally.jobs(),
            rows_are_all: record.total.is_some() || status == CurrentStatus::Finished,
            accepted: tally.accepted,
            failed: tally.failed,
            calls: tally.calls,
            input_tokens: tally.tokens().0,
            output_tokens: tally.tokens().1,
            cost_usd_micros: (!tally.cost_unknown).then_some(tally.settled),
            possibly_billed_calls: tally.possibly_billed,
            possibly_billed_usd_micros: tally.possible,
            possibly_billed_unbounded: tally.unbounded,
            report: record.report.as_deref().map(value),
        })
    }
}

impl From<JobRecord> for ResultRow {
    /// Takes the result of an accepted job only; a partial one of a job that failed is left out.
    fn from(job: JobRecord) -> Self {
        let value = |text: &str| serde_json::from_str(text).unwrap_or_else(|_| Value::from(text));
        let result = job.result.as_deref().filter(|_| job.state == JobState::Accepted).map(value);
        Self { index: job.index, row: value(&job.row), result, error: job.error }
    }
}

/// Returns a time in milliseconds since 1970 (UTC) as RFC 3339, to the second; empty for a time that cannot be
/// represented.
fn at(millis: i64) -> String {
    Timestamp::from_millisecond(millis)
        .map_or_else(|_| String::new(), |at| at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
}

use antiphon_store::{JobRecord, JobState, Run, RunStatus};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

/// A run of the store, with its jobs added up.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct RunInfo {
    /// Always `antiphon.run-info/1`.
    pub schema: String,
    /// The run's id: a UUID of version 7, so that ids sort by time.
    pub run_id: String,
    /// The kind: `map`, `personas` or `content`; with a `/` in it, it is a part of other runs.
    pub kind: String,
    /// `open`, `finished`, `stopped` or `cancelled`.
    pub status: RunStatus,
    /// When it began: RFC 3339, in UTC.
    pub created_at: String,
    /// When it last ended, well or not.
    pub ended_at: Option<String>,
    /// What it was made of, for people.
    pub input: String,
    /// The recipe's name.
    pub recipe: Option<String>,
    /// The model.
    pub model: Option<String>,
    /// The stored request.
    pub request: Value,
    /// Rows that were read.
    pub rows: u64,
    /// Rows with a result.
    pub accepted: u64,
    /// Rows without one, for good.
    pub failed: u64,
    /// Calls that were made.
    pub calls: u64,
    /// Tokens of the prompts, as far as they were reported; `null` if none were.
    pub input_tokens: Option<u64>,
    /// Tokens of the answers, as far as they were reported; `null` if none were.
    pub output_tokens: Option<u64>,
    /// The cost in millionths of a US dollar; `null` if a price is not known.
    pub cost_usd_micros: Option<u64>,
    /// Calls that were possibly billed without an answer.
    pub possibly_billed_calls: u64,
    /// The most that those may have cost, as far as it is known.
    pub possibly_billed_usd_micros: u64,
    /// Those of them of which the most is not known.
    pub possibly_billed_unbounded: u64,
    /// What was reported at its last end.
    pub report: Option<Value>,
}

/// A row with what came of it.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct ResultRow {
    /// Its index in the input, from 0.
    pub index: u64,
    /// The row.
    pub row: Value,
    /// The result, if the row has one.
    pub result: Option<Value>,
    /// Why there is none, of a row that failed: a short name and a sentence.
    pub error: Option<(String, String)>,
}

impl RunInfo {
    /// Reads how a run stands. What it is made of is taken from the request that is stored with it: an object with `inputs`,
    /// `recipe` and `model`.
    ///
    /// # Errors
    /// The store's own.
    ///
    /// # Cancel safety
    /// Nothing is changed, so nothing is lost.
    pub async fn of(run: &Run) -> Result<Self, antiphon_store::Error> {
        let (tally, record) = (run.tally().await?, run.record());
        let value = |text: &str| serde_json::from_str::<Value>(text).unwrap_or_default();
        let request = value(&record.request);
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let inputs = request["inputs"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let inputs = inputs.collect::<Vec<_>>().join(", ");
        Ok(Self {
            schema: "antiphon.run-info/1".to_owned(),
            run_id: record.id.clone(),
            kind: record.kind.clone(),
            status: record.status,
            created_at: at(record.created_at),
            ended_at: record.ended_at.map(at),
            input: text(&request["input"]).unwrap_or(inputs),
            recipe: text(&request["recipe"]).or_else(|| text(&request["recipe"]["name"])),
            model: text(&request["model"]),
            request,
            rows: tally.jobs(),
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
    fn from(job: JobRecord) -> Self {
        let value = |text: &str| serde_json::from_str(text).unwrap_or_else(|_| Value::from(text));
        let result = job.result.as_deref().filter(|_| job.state == JobState::Accepted).map(value);
        Self { index: job.index, row: value(&job.row), result, error: job.error }
    }
}

fn at(millis: i64) -> String {
    Timestamp::from_millisecond(millis)
        .map_or_else(|_| String::new(), |at| at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
}

use std::collections::{HashMap, VecDeque};

use antiphon_store::{JobRecord, JobState, Run, RunFilter, RunRecord, RunStatus, Store};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::error::OperationError;
use super::workspace::Workspace;

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
    /// Tokens of the prompts, as far as they were counted.
    pub input_tokens: u64,
    /// Tokens of the answers.
    pub output_tokens: u64,
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

/// Which runs are listed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct ListFilter {
    /// Runs of this kind alone.
    pub kind: Option<String>,
    /// Runs with this status alone.
    pub status: Option<RunStatus>,
    /// Whether parts of other runs are listed, too.
    pub with_parts: bool,
}

/// A page of a list: from where on, and how much.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Page {
    /// The `next` of the page before. Default: the first page.
    pub after: Option<String>,
    /// The most entries. Default 100.
    pub limit: usize,
}

/// A page of runs, the newest first.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct RunList {
    /// The runs.
    pub runs: Vec<RunInfo>,
    /// What the next page comes after; `null` at the end.
    pub next: Option<String>,
}

/// A page of a run's rows, in order.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct ResultList {
    /// The rows.
    pub rows: Vec<ResultRow>,
    /// What the next page comes after; `null` at the end.
    pub next: Option<String>,
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

/// What two runs have in common.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RunDiff {
    /// Rows with the same result in both.
    pub same: u64,
    /// Rows with another result.
    pub changed: u64,
    /// Rows that have a result in the first one alone.
    pub only_first: u64,
    /// Rows that have a result in the second one alone.
    pub only_second: u64,
    /// Rows of either that have a result in neither.
    pub neither: u64,
    /// The first rows that are not the same, with what either run has.
    pub changes: Vec<Change>,
}

/// A row that does not have the same result in both runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Change {
    /// Its place, from 0, in the second run, or in the first where only that one has a result.
    pub index: u64,
    /// The row.
    pub row: String,
    /// Its result in the first run, as JSON, if there is one.
    pub first: Option<String>,
    /// Its result in the second run.
    pub second: Option<String>,
}

/// What a stored request says of a run, for people.
#[derive(Debug, Clone, Default)]
pub(super) struct Described {
    pub(super) input: String,
    pub(super) recipe: Option<String>,
    pub(super) model: Option<String>,
}

impl Default for Page {
    fn default() -> Self {
        Self { after: None, limit: 100 }
    }
}

impl Page {
    /// Creates the page after another one.
    #[must_use]
    pub fn after(next: Option<String>) -> Self {
        Self { after: next, ..Self::default() }
    }
}

impl Described {
    /// Reads a request of this version, or the note of an earlier one.
    pub(super) fn of(record: &RunRecord) -> Self {
        let request: Value = serde_json::from_str(&record.request).unwrap_or_default();
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let inputs = request["inputs"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let inputs = inputs.collect::<Vec<_>>().join(", ");
        Self {
            input: text(&request["input"]).unwrap_or(inputs),
            recipe: text(&request["recipe"]).or_else(|| text(&request["recipe"]["name"])),
            model: text(&request["model"]),
        }
    }
}

impl Workspace {
    /// Lists runs, the newest first, a page at a time.
    ///
    /// # Errors
    /// `NotFound` where there is no store; `Request` for a page after a run that is not there.
    ///
    /// # Cancel safety
    /// Nothing is changed, so nothing is lost.
    pub async fn list(&self, filter: &ListFilter, page: &Page) -> Result<RunList, OperationError> {
        let store = self.existing().await?;
        let mut wanted = RunFilter::default().with_parts(filter.with_parts);
        (wanted.kind, wanted.status) = (filter.kind.clone(), filter.status);
        let found = store.runs_page(wanted, page.after.as_deref(), page.limit).await?;
        let mut runs = Vec::new();
        for run in &found {
            runs.push(info(run).await?);
        }
        let next = (found.len() == page.limit).then(|| runs.last().map(|run| run.run_id.clone())).flatten();
        Ok(RunList { runs, next })
    }

    /// Returns how one run stands, by its id, the beginning of one, or `latest`.
    ///
    /// # Errors
    /// `NotFound` where there is no such run, `Conflict` where several begin so.
    ///
    /// # Cancel safety
    /// Nothing is changed, so nothing is lost.
    pub async fn status(&self, run: &str) -> Result<RunInfo, OperationError> {
        info(&self.existing().await?.look_at(run).await?).await
    }

    /// Cancels a run for good: a process that works on it stops within seconds, what it has stays, and it is never resumed.
    ///
    /// # Errors
    /// As [`status`](Self::status); `Conflict` for a run that is finished.
    ///
    /// # Cancel safety
    /// A dropped call may still cancel it.
    pub async fn cancel(&self, run: &str) -> Result<RunInfo, OperationError> {
        let store = self.existing().await?;
        let record = store.cancel(run).await?;
        self.status(&record.id).await
    }

    /// Returns rows of a run with what came of them, in order, a page at a time.
    ///
    /// # Errors
    /// As [`status`](Self::status).
    ///
    /// # Cancel safety
    /// Nothing is changed, so nothing is lost.
    pub async fn results(&self, run: &str, page: &Page) -> Result<ResultList, OperationError> {
        let run = self.existing().await?.look_at(run).await?;
        let from =
            page.after.as_deref().and_then(|after| after.parse::<u64>().ok()).map_or(0, |after| after + 1);
        let jobs = run.jobs(from, page.limit).await?;
        let next = (jobs.len() == page.limit).then(|| jobs.last().map(|job| job.index.to_string())).flatten();
        Ok(ResultList { rows: jobs.into_iter().map(row).collect(), next })
    }

    /// Compares the results of two runs, row by row: rows are the same where their content is.
    ///
    /// # Errors
    /// As [`status`](Self::status).
    ///
    /// # Cancel safety
    /// Nothing is changed, so nothing is lost.
    pub async fn diff(&self, first: &str, second: &str) -> Result<RunDiff, OperationError> {
        let store = self.existing().await?;
        let mut before: HashMap<String, VecDeque<(u64, Option<String>)>> = HashMap::new();
        each_job(store, first, |job| {
            before.entry(job.row).or_default().push_back((job.index, job.result));
        })
        .await?;
        let mut diff = RunDiff::default();
        each_job(store, second, |job| {
            let found = before.get_mut(&job.row).and_then(VecDeque::pop_front);
            let first = found.and_then(|(_, result)| result);
            diff.add(Change { index: job.index, row: job.row, first, second: job.result });
        })
        .await?;
        let left = before.into_iter().flat_map(|(row, results)| {
            results.into_iter().map(move |(index, first)| Change {
                index,
                row: row.clone(),
                first,
                second: None,
            })
        });
        let mut left: Vec<Change> = left.collect();
        left.sort_by_key(|change| change.index);
        left.into_iter().for_each(|change| diff.add(change));
        Ok(diff)
    }
}

pub(super) async fn info(run: &Run) -> Result<RunInfo, OperationError> {
    let (tally, record) = (run.tally().await?, run.record());
    let Described { input, recipe, model } = Described::of(record);
    let value = |text: &str| serde_json::from_str(text).unwrap_or_default();
    Ok(RunInfo {
        schema: "antiphon.run-info/1".to_owned(),
        run_id: record.id.clone(),
        kind: kind_of(record),
        status: record.status,
        created_at: at(record.created_at),
        ended_at: record.ended_at.map(at),
        input,
        recipe,
        model,
        request: value(&record.request),
        rows: tally.jobs(),
        accepted: tally.accepted,
        failed: tally.failed,
        calls: tally.calls,
        input_tokens: tally.input_tokens,
        output_tokens: tally.output_tokens,
        cost_usd_micros: (!tally.cost_unknown).then_some(tally.settled),
        possibly_billed_calls: tally.lost,
        possibly_billed_usd_micros: tally.possible,
        possibly_billed_unbounded: tally.unbounded,
        report: record.report.as_deref().map(value),
    })
}

/// A run's kind, also of one that an earlier version stored.
pub(super) fn kind_of(record: &RunRecord) -> String {
    match record.kind.as_str() {
        "generate" => "personas".to_owned(),
        "generate/distil" => "personas/distil".to_owned(),
        kind => kind.to_owned(),
    }
}

fn at(millis: i64) -> String {
    Timestamp::from_millisecond(millis)
        .map_or_else(|_| String::new(), |at| at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
}

fn row(job: JobRecord) -> ResultRow {
    let value = |text: &str| serde_json::from_str(text).unwrap_or_else(|_| Value::from(text));
    let result = job.result.as_deref().filter(|_| job.state == JobState::Accepted).map(value);
    ResultRow { index: job.index, row: value(&job.row), result, error: job.error }
}

impl RunDiff {
    /// The most changes that are kept with their results.
    const MOST: usize = 20;

    fn add(&mut self, change: Change) {
        let count = match (&change.first, &change.second) {
            (None, None) => &mut self.neither,
            (Some(first), Some(second)) if first == second => &mut self.same,
            (Some(_), Some(_)) => &mut self.changed,
            (Some(_), None) => &mut self.only_first,
            (None, Some(_)) => &mut self.only_second,
        };
        *count += 1;
        if change.first != change.second && self.changes.len() < Self::MOST {
            self.changes.push(change);
        }
    }
}

/// Goes through a run's jobs, each with its result if that was accepted.
async fn each_job(
    store: &Store,
    id: &str,
    mut take: impl FnMut(JobRecord) + Send,
) -> Result<(), OperationError> {
    let run = store.look_at(id).await?;
    let mut pages = run.pages();
    loop {
        let jobs = pages.next().await?;
        if jobs.is_empty() {
            return Ok(());
        }
        for mut job in jobs {
            job.result = job.result.filter(|_| job.state == JobState::Accepted);
            take(job);
        }
    }
}

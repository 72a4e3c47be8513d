use antiphon_engine::{ResultRow, RunDiff, RunInfo};
use antiphon_store::{Run, RunFilter, RunStatus};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::error::OperationError;
use super::workspace::Workspace;

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
            runs.push(RunInfo::of(run).await?);
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
        Ok(RunInfo::of(&self.existing().await?.read_run(run).await?).await?)
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
        let run = self.existing().await?.read_run(run).await?;
        let from =
            page.after.as_deref().and_then(|after| after.parse::<u64>().ok()).map_or(0, |after| after + 1);
        let jobs = run.jobs(from, page.limit).await?;
        let next = (jobs.len() == page.limit).then(|| jobs.last().map(|job| job.index.to_string())).flatten();
        Ok(ResultList { rows: jobs.into_iter().map(ResultRow::from).collect(), next })
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
        let (first, second) = (store.read_run(first).await?, store.read_run(second).await?);
        let mut diff = RunDiff::of(&first, &second).await?;
        for change in &mut diff.changes {
            change.row = shown_row(&second, std::mem::take(&mut change.row));
        }
        Ok(diff)
    }
}

/// The row of a job for people: of a persona run, whose row are the documents, the input's name.
pub(super) fn shown_row(run: &Run, row: String) -> String {
    let is_of_personas = run.record().kind == "personas";
    let input = |row: &str| serde_json::from_str::<Value>(row).ok()?["input"].as_str().map(str::to_owned);
    match is_of_personas.then(|| input(&row)).flatten() {
        Some(input) => json!({ "input": input }).to_string(),
        None => row,
    }
}

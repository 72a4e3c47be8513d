//! Reading and cancelling of stored runs, by their id, a prefix of it, or `latest`.
//!
//! Every operation reads the store and not the memory of this process: a run of another process is seen as one of this
//! process is, and cancelling works across processes. The workspace must have a store already; none is created for a
//! question.

use antiphon_engine::{CurrentStatus, ResultRow, RunDiff, RunInfo};
use antiphon_store::{Run, RunFilter, RunStatus};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::error::{OperationError, OperationErrorKind};
use super::workspace::Workspace;

/// A filter of the list of runs. The default lists all runs, except those that are parts of others (such as a distillation).
///
/// ```
/// use antiphon::operations::ListFilter;
///
/// let filter: ListFilter = serde_json::from_str(r#"{"kind": "map"}"#)?;
/// assert_eq!((filter.kind.as_deref(), filter.status, filter.with_parts), (Some("map"), None, false));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct ListFilter {
    /// The only kind to list: `map`, `personas` or `content`. Default: all kinds.
    pub kind: Option<String>,
    /// The only status to list. Default: all.
    pub status: Option<CurrentStatus>,
    /// Whether parts of other runs are listed, too. Default: false.
    pub with_parts: bool,
}

/// A page of a list (cursor pagination): its start and its size.
///
/// To read all pages, pass each `next` to [`Page::after`](method@Self::after) until it is `None`. The cursor stays valid while
/// runs or rows are added.
///
/// ```
/// use antiphon::operations::{ListFilter, OperationError, Page, Workspace};
///
/// async fn ids(workspace: &Workspace) -> Result<Vec<String>, OperationError> {
///     let (mut ids, mut page) = (Vec::new(), Page::default());
///     loop {
///         let list = workspace.list(&ListFilter::default(), &page).await?;
///         ids.extend(list.runs.into_iter().map(|run| run.run_id));
///         match list.next {
///             Some(next) => page = Page::after(Some(next)),
///             None => return Ok(ids),
///         }
///     }
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Page {
    /// The `next` of the previous page. Default: the first page.
    /// For runs the id of the last one, for rows its index.
    pub after: Option<String>,
    /// The maximum number of entries. Default 100.
    /// A page with fewer entries is the last one; one that is exactly full may be followed by an empty page.
    pub limit: usize,
}

/// A page of runs, the newest first.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct RunList {
    /// The runs.
    pub runs: Vec<RunInfo>,
    /// The cursor of the next page, for `Page::after`; `null` at the end.
    pub next: Option<String>,
}

/// A page of a run's rows, in order.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct ResultList {
    /// The rows.
    pub rows: Vec<ResultRow>,
    /// The cursor of the next page, for `Page::after`; `null` at the end.
    pub next: Option<String>,
}

impl Default for Page {
    fn default() -> Self {
        Self { after: None, limit: 100 }
    }
}

impl Page {
    /// Creates the page after another one, of 100 entries.
    #[must_use]
    pub fn after(next: Option<String>) -> Self {
        Self { after: next, ..Self::default() }
    }
}

impl Workspace {
    /// Lists runs, the newest first, a page at a time.
    /// Reads the store only, so runs in progress in any process are listed with their state at this moment.
    /// The store does not know which runs are in progress, so for some statuses more runs are read than are returned.
    ///
    /// # Errors
    /// `NotFound` if the folder has no store, or for a page after a run that does not exist; `Conflict` for an `after` that is a
    /// prefix of several ids.
    ///
    /// # Cancel safety
    /// A dropped call changes nothing.
    pub async fn list(&self, filter: &ListFilter, page: &Page) -> Result<RunList, OperationError> {
        let store = self.readable().await?;
        let (mut runs, mut after) = (Vec::new(), page.after.clone());
        while runs.len() < page.limit {
            let found = store.runs_page(stored_filter(filter), after.as_deref(), page.limit).await?;
            let (is_end, last) = (found.len() < page.limit, found.last().map(|run| run.record().id.clone()));
            let left = page.limit - runs.len();
            runs.extend(selected(&found, filter.status, left).await?);
            if is_end {
                break;
            }
            after = last;
        }
        let next = (runs.len() == page.limit).then(|| runs.last().map(|run| run.run_id.clone())).flatten();
        Ok(RunList { runs, next })
    }

    /// Returns the status of a run, named by its id, a prefix of it, or `latest`.
    ///
    /// # Errors
    /// `NotFound` if there is no such run, `Conflict` if several ids have the prefix.
    ///
    /// # Cancel safety
    /// A dropped call changes nothing.
    pub async fn status(&self, run: &str) -> Result<RunInfo, OperationError> {
        Ok(RunInfo::of(&self.readable().await?.read_run(run).await?).await?)
    }

    /// Cancels a run permanently: a process that works on it stops within seconds, its results are kept, and it is never
    /// resumed.
    ///
    /// # Errors
    /// The errors of [`status`](Self::status); `Conflict` for a run that is finished.
    ///
    /// # Cancel safety
    /// A dropped call may still cancel the run.
    pub async fn cancel(&self, run: &str) -> Result<RunInfo, OperationError> {
        let store = self.existing().await?;
        let record = store.cancel(run).await?;
        self.status(&record.id).await
    }

    /// Returns the rows of a run with their outcomes, in order, a page at a time.
    ///
    /// # Errors
    /// The errors of [`status`](Self::status); `Request` for a page after something that is not the index of a row.
    ///
    /// # Cancel safety
    /// A dropped call changes nothing.
    pub async fn results(&self, run: &str, page: &Page) -> Result<ResultList, OperationError> {
        let run = self.readable().await?.read_run(run).await?;
        let jobs = run.jobs(first_row(page)?, page.limit).await?;
        let next = (jobs.len() == page.limit).then(|| jobs.last().map(|job| job.index.to_string())).flatten();
        Ok(ResultList { rows: jobs.into_iter().map(ResultRow::from).collect(), next })
    }

    /// Compares the results of two runs, row by row, and returns up to `max_changes` rows that differ with their results.
    /// Rows are matched by their content.
    /// Use it to see the effect of a changed recipe or model on the same rows.
    ///
    /// # Errors
    /// The errors of [`status`](Self::status).
    ///
    /// # Cancel safety
    /// A dropped call changes nothing.
    pub async fn diff(
        &self,
        first: &str,
        second: &str,
        max_changes: usize,
    ) -> Result<RunDiff, OperationError> {
        let store = self.readable().await?;
        let (first, second) = (store.read_run(first).await?, store.read_run(second).await?);
        let mut diff = RunDiff::of(&first, &second, max_changes).await?;
        for change in &mut diff.changes {
            change.row = shown_row(&second, std::mem::take(&mut change.row));
        }
        Ok(diff)
    }
}

/// Returns the runs that the store has to find for a filter: of a status that it does not distinguish, more than the
/// filter selects.
fn stored_filter(filter: &ListFilter) -> RunFilter {
    let mut wanted = RunFilter::default().with_parts(filter.with_parts);
    wanted.kind.clone_from(&filter.kind);
    wanted.status = match filter.status {
        Some(CurrentStatus::Finished) => Some(RunStatus::Finished),
        Some(CurrentStatus::Cancelled) => Some(RunStatus::Cancelled),
        Some(CurrentStatus::Stopped) => Some(RunStatus::Stopped),
        Some(CurrentStatus::Interrupted) => Some(RunStatus::Open),
        // Open, or stopped and resumed.
        _ => None,
    };
    wanted
}

/// Reads the first runs that have a status, at most `most`. A run that was deleted meanwhile is left out.
async fn selected(
    found: &[Run],
    status: Option<CurrentStatus>,
    most: usize,
) -> Result<Vec<RunInfo>, OperationError> {
    let mut runs = Vec::new();
    for run in found {
        if runs.len() == most {
            break;
        }
        match RunInfo::of(run).await {
            Ok(info) if status.is_none_or(|status| status == info.status) => runs.push(info),
            Ok(_) => {}
            Err(err) if err.kind() == antiphon_store::ErrorKind::NotFound => {}
            Err(err) => return Err(err.into()),
        }
    }
    Ok(runs)
}

/// Returns the index of the first row of a page.
///
/// # Errors
/// `Request` for a page after something that is not the index of a row.
fn first_row(page: &Page) -> Result<u64, OperationError> {
    let Some(after) = page.after.as_deref() else { return Ok(0) };
    after.parse::<u64>().ok().and_then(|after| after.checked_add(1)).ok_or_else(|| {
        let message = format!(
            "cannot read rows after {after:?}: it is not the index of a row. Use the next of the page before"
        );
        OperationError::new(OperationErrorKind::Request, message)
    })
}

/// Returns the row of a job for people. The row of a persona run has all documents, so only the input's name is shown.
/// A row that cannot be parsed is shown as it is.
pub(super) fn shown_row(run: &Run, row: String) -> String {
    let is_of_personas = run.record().kind == "personas";
    let input = |row: &str| serde_json::from_str::<Value>(row).ok()?["input"].as_str().map(str::to_owned);
    match is_of_personas.then(|| input(&row)).flatten() {
        Some(input) => json!({ "input": input }).to_string(),
        None => row,
    }
}

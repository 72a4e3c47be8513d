//! The comparison of two runs, row by row.
//!
//! Rows are matched by their text, since the same row may have another index in another input. Equal rows are matched
//! in their order. The first run is read into memory, rows and results; the second is read in pages.

use std::collections::{HashMap, VecDeque};

use antiphon_store::{JobRecord, JobState, Run};
use serde::Serialize;

/// A comparison of the results of two runs.
///
/// Use it to see what a change of recipe or model does to the same input. Each row is counted once: in `same`,
/// `changed`, `only_first`, `only_second` or `neither`. A row that failed, or is still open, has no result.
///
/// ```json
/// {
///   "schema": "antiphon.diff/1", "same": 96, "changed": 3, "only_first": 0, "only_second": 1, "neither": 0,
///   "left_out": 3,
///   "changes": [{"index": 7, "row": "{\"name\":\"Ulm\"}", "first": "\"France\"", "second": "\"Germany\""}]
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RunDiff {
    /// Always `antiphon.diff/1`.
    pub schema: String,
    /// Rows with the same result in both.
    pub same: u64,
    /// Rows with different results. Results are compared as text: an object with its keys in another order is
    /// different.
    pub changed: u64,
    /// Rows that have a result only in the first run.
    pub only_first: u64,
    /// Rows that have a result only in the second run.
    pub only_second: u64,
    /// Rows that have a result in neither run.
    pub neither: u64,
    /// Rows whose results differ and that are not in `changes`.
    pub left_out: u64,
    /// The first rows whose results differ, with both results; rows with a result in only one run included. Their maximum
    /// number is an argument of [`of`](Self::of).
    pub changes: Vec<Change>,
}

/// A row whose results in the two runs differ.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Change {
    /// The row's index in the second run, from 0; or in the first run, if the second does not have the row.
    pub index: u64,
    /// The row: the text of a JSON object.
    pub row: String,
    /// The result in the first run, as JSON, if any.
    pub first: Option<String>,
    /// The result in the second run, as JSON, if any.
    pub second: Option<String>,
}

/// The rows of the first run that no row of the second has matched yet, each with the index and the result of every
/// copy.
type Unmatched = HashMap<String, VecDeque<(u64, Option<String>)>>;

impl Default for RunDiff {
    fn default() -> Self {
        let (schema, changes) = ("antiphon.diff/1".to_owned(), Vec::new());
        Self { schema, same: 0, changed: 0, only_first: 0, only_second: 0, neither: 0, left_out: 0, changes }
    }
}

impl RunDiff {
    /// Compares the results of two runs, row by row, and keeps up to `max_changes` rows that differ with their results. Rows
    /// are matched by their content, not by their index.
    ///
    /// Either run may be in progress; its results so far are compared. The memory that this takes grows with the rows
    /// and results of `first`, so pass the smaller run first if the order does not matter.
    ///
    /// # Errors
    /// The store's error, if a run cannot be read.
    ///
    /// # Cancel safety
    /// A dropped call changes nothing.
    pub async fn of(first: &Run, second: &Run, max_changes: usize) -> Result<Self, antiphon_store::Error> {
        let mut before = Unmatched::new();
        each_job(first, |job| {
            before.entry(job.row).or_default().push_back((job.index, job.result));
        })
        .await?;
        let mut diff = Self::default();
        each_job(second, |job| {
            let found = before.get_mut(&job.row).and_then(VecDeque::pop_front);
            let first = found.and_then(|(_, result)| result);
            diff.add(Change { index: job.index, row: job.row, first, second: job.result }, max_changes);
        })
        .await?;
        only_in_first(before).into_iter().for_each(|change| diff.add(change, max_changes));
        Ok(diff)
    }

    /// Counts a row, and keeps it if its results differ and there is room.
    fn add(&mut self, change: Change, max_changes: usize) {
        let count = match (&change.first, &change.second) {
            (None, None) => &mut self.neither,
            (Some(first), Some(second)) if first == second => &mut self.same,
            (Some(_), Some(_)) => &mut self.changed,
            (Some(_), None) => &mut self.only_first,
            (None, Some(_)) => &mut self.only_second,
        };
        *count += 1;
        if change.first == change.second {
            return;
        }
        if self.changes.len() < max_changes {
            self.changes.push(change);
        } else {
            self.left_out += 1;
        }
    }
}

/// Returns the rows of the first run that the second does not have, in the order of their indices.
fn only_in_first(unmatched: Unmatched) -> Vec<Change> {
    let left = unmatched.into_iter().flat_map(|(row, results)| {
        results.into_iter().map(move |(index, first)| Change { index, row: row.clone(), first, second: None })
    });
    let mut left: Vec<Change> = left.collect();
    left.sort_by_key(|change| change.index);
    left
}

/// Calls `take` for each job of a run, with its result only if that was accepted.
async fn each_job(run: &Run, mut take: impl FnMut(JobRecord) + Send) -> Result<(), antiphon_store::Error> {
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

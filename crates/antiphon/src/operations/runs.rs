use std::collections::{HashMap, VecDeque};
use std::path::Path;
use std::sync::Arc;

use antiphon_pipeline::map::{Destination, export};
use antiphon_pipeline::{Error, ErrorKind};
use antiphon_store::{JobRecord, JobState, Run, RunRecord, Store, Tally};

use super::map::JOURNAL;

/// A run of the journal, with its jobs added up.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RunInfo {
    /// What is known of it.
    pub record: RunRecord,
    /// Its jobs and money.
    pub tally: Tally,
}

/// What two runs have in common.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
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
    /// The first rows that changed, with both results.
    pub changes: Vec<Change>,
}

/// A row whose result is another one.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct Change {
    /// Its place in the second run, from 0.
    pub index: u64,
    /// The row.
    pub row: String,
    /// Its result in the first run, as JSON.
    pub first: String,
    /// Its result in the second run.
    pub second: String,
}

/// The journal in `folder`.
async fn journal(folder: &Path) -> Result<Store, Error> {
    let path = folder.join(JOURNAL);
    if !antiphon_fs::exists(&path).await.is_ok_and(|there| there) {
        let message = format!("there are no runs in {}", folder.display());
        return Err(Error::new(ErrorKind::Config, message));
    }
    Store::open(path).await.map_err(Error::store)
}

/// The runs whose journal is in `folder`, oldest first.
///
/// # Errors
/// `Config` where there is none; `Store` for one that cannot be read.
///
/// # Cancel safety
/// Nothing is changed, so nothing is lost.
pub async fn runs(folder: &Path) -> Result<Vec<RunInfo>, Error> {
    let store = journal(folder).await?;
    let mut runs = Vec::new();
    for run in store.runs().await.map_err(Error::store)? {
        runs.push(info(&run).await?);
    }
    Ok(runs)
}

/// One run, by its id or the beginning of one.
///
/// # Errors
/// As [`runs`], and `Store` where there is no such run, or several.
///
/// # Cancel safety
/// Nothing is changed, so nothing is lost.
pub async fn run_info(folder: &Path, id: &str) -> Result<RunInfo, Error> {
    info(&journal(folder).await?.look_at(id).await.map_err(Error::store)?).await
}

async fn info(run: &Run) -> Result<RunInfo, Error> {
    let tally = run.tally().await.map_err(Error::store)?;
    Ok(RunInfo { record: run.record().clone(), tally })
}

/// Writes the results that a run has, in the order of its rows.
///
/// # Errors
/// As [`run_info`], and `Files` where they cannot be written.
///
/// # Cancel safety
/// A dropped call leaves at most a `.part` file.
pub async fn export_run(folder: &Path, id: &str, to: &Destination) -> Result<(), Error> {
    let run = journal(folder).await?.look_at(id).await.map_err(Error::store)?;
    export(Arc::new(run), to).await.map_err(|why| Error::new(ErrorKind::Files, why))
}

/// Compares the results of two runs, row by row: rows are the same where their content is.
///
/// # Errors
/// As [`run_info`].
///
/// # Cancel safety
/// Nothing is changed, so nothing is lost.
pub async fn diff_runs(folder: &Path, first: &str, second: &str) -> Result<RunDiff, Error> {
    const MOST: usize = 20;
    let store = journal(folder).await?;
    let mut results: HashMap<String, VecDeque<String>> = HashMap::new();
    each_result(&store, first, |job, result| results.entry(job.row).or_default().push_back(result)).await?;
    let mut diff = RunDiff { same: 0, changed: 0, only_first: 0, only_second: 0, changes: Vec::new() };
    each_result(&store, second, |job, result| {
        match results.get_mut(&job.row).and_then(VecDeque::pop_front) {
            None => diff.only_second += 1,
            Some(before) if before == result => diff.same += 1,
            Some(before) => {
                diff.changed += 1;
                if diff.changes.len() < MOST {
                    diff.changes.push(Change {
                        index: job.index,
                        row: job.row,
                        first: before,
                        second: result,
                    });
                }
            }
        }
    })
    .await?;
    diff.only_first = results.values().map(VecDeque::len).sum::<usize>() as u64;
    Ok(diff)
}

async fn each_result(
    store: &Store,
    id: &str,
    mut take: impl FnMut(JobRecord, String) + Send,
) -> Result<(), Error> {
    let run = store.look_at(id).await.map_err(Error::store)?;
    let mut pages = run.pages();
    loop {
        let jobs = pages.next().await.map_err(Error::store)?;
        if jobs.is_empty() {
            return Ok(());
        }
        for mut job in jobs {
            if job.state == JobState::Accepted
                && let Some(result) = job.result.take()
            {
                take(job, result);
            }
        }
    }
}

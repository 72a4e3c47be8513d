use std::collections::{HashMap, VecDeque};
use std::path::Path;

use antiphon_pipeline::{Error, ErrorKind};
use antiphon_store::{JobRecord, JobState, Run, RunRecord, Store, Tally};

use super::map::{JOURNAL, close};

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
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
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
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
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

/// The journal in `folder`.
pub(super) async fn journal(folder: &Path) -> Result<Store, Error> {
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
    let found = all(&store).await;
    close(store).await;
    found
}

async fn all(store: &Store) -> Result<Vec<RunInfo>, Error> {
    let mut runs = Vec::new();
    for run in store.runs().await.map_err(Error::store)? {
        runs.push(info(&run).await?);
    }
    Ok(runs)
}

/// One run, by its id, the beginning of one, or `latest`.
///
/// # Errors
/// As [`runs`], and `Store` where there is no such run, or several.
///
/// # Cancel safety
/// Nothing is changed, so nothing is lost.
pub async fn run_info(folder: &Path, id: &str) -> Result<RunInfo, Error> {
    let store = journal(folder).await?;
    let found = match store.look_at(id).await {
        Ok(run) => info(&run).await,
        Err(err) => Err(Error::store(err)),
    };
    close(store).await;
    found
}

pub(super) async fn info(run: &Run) -> Result<RunInfo, Error> {
    let tally = run.tally().await.map_err(Error::store)?;
    Ok(RunInfo { record: run.record().clone(), tally })
}

/// Compares the results of two runs, row by row: rows are the same where their content is.
///
/// # Errors
/// As [`run_info`].
///
/// # Cancel safety
/// Nothing is changed, so nothing is lost.
pub async fn diff_runs(folder: &Path, first: &str, second: &str) -> Result<RunDiff, Error> {
    let store = journal(folder).await?;
    let found = compare(&store, first, second).await;
    close(store).await;
    found
}

async fn compare(store: &Store, first: &str, second: &str) -> Result<RunDiff, Error> {
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
        results.into_iter().map(move |(index, first)| Change { index, row: row.clone(), first, second: None })
    });
    let mut left: Vec<Change> = left.collect();
    left.sort_by_key(|change| change.index);
    left.into_iter().for_each(|change| diff.add(change));
    Ok(diff)
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
async fn each_job(store: &Store, id: &str, mut take: impl FnMut(JobRecord) + Send) -> Result<(), Error> {
    let run = store.look_at(id).await.map_err(Error::store)?;
    let mut pages = run.pages();
    loop {
        let jobs = pages.next().await.map_err(Error::store)?;
        if jobs.is_empty() {
            return Ok(());
        }
        for mut job in jobs {
            job.result = job.result.filter(|_| job.state == JobState::Accepted);
            take(job);
        }
    }
}

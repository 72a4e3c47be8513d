//! Reading all jobs of a run without holding them in memory at the same time.

use crate::error::Error;
use crate::job::JobRecord;
use crate::run::Run;

/// A reader of a run's jobs in pages of up to 512, returned by [`Run::pages`] for all jobs and by [`Run::failed`] for the
/// failed ones.
#[derive(Debug)]
#[must_use = "pages are read by asking for the next one"]
pub struct Pages<'r> {
    run: &'r Run,
    from: u64,
    only_failed: bool,
}

/// The maximum number of jobs in a page: a compromise between queries and memory.
const PAGE: usize = 512;

impl<'r> Pages<'r> {
    pub(crate) fn all(run: &'r Run) -> Self {
        Self { run, from: 0, only_failed: false }
    }

    pub(crate) fn failed(run: &'r Run) -> Self {
        Self { run, from: 0, only_failed: true }
    }

    /// Returns the next page of jobs, in the order of their indexes. An empty page is the end.
    ///
    /// # Errors
    /// `Io`.
    ///
    /// # Cancel safety
    /// A dropped call does not advance: the next call returns the same page.
    pub async fn next(&mut self) -> Result<Vec<JobRecord>, Error> {
        let jobs = if self.only_failed {
            self.run.failed_from(self.from, PAGE).await?
        } else {
            self.run.jobs(self.from, PAGE).await?
        };
        self.from = jobs.last().map_or(self.from, |last| last.index + 1);
        Ok(jobs)
    }
}

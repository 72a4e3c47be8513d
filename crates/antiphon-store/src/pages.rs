use crate::error::Error;
use crate::job::JobRecord;
use crate::run::Run;

/// The jobs of a run, or its failed jobs, a page of up to 512 at a time: from [`Run::pages`] and [`Run::failed`].
#[derive(Debug)]
#[must_use = "pages are read by asking for the next one"]
pub struct Pages<'r> {
    run: &'r Run,
    from: u64,
    only_failed: bool,
}

const PAGE: usize = 512;

impl<'r> Pages<'r> {
    pub(crate) fn all(run: &'r Run) -> Self {
        Self { run, from: 0, only_failed: false }
    }

    pub(crate) fn failed(run: &'r Run) -> Self {
        Self { run, from: 0, only_failed: true }
    }

    /// Returns the next page of jobs, in their order; an empty one at the end.
    ///
    /// # Errors
    /// `Io`.
    ///
    /// # Cancel safety
    /// A dropped call has read nothing.
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

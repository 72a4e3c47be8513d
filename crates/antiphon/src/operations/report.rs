//! The report of a run as one HTML page, for people who decide whether its results are good enough.
//!
//! The page is made from the store and can be written while the run is in progress, or long after it.

use std::path::PathBuf;

use antiphon_engine::{Destination, RowSummary, RunSummary, TextWriter};
use antiphon_pipeline::runs::read_personas;
use antiphon_render::{RunPage, RunPageParts};
use antiphon_store::{JobRecord, Run};

use super::error::OperationError;
use super::runs::shown_row;
use super::workspace::Workspace;

impl Workspace {
    /// Writes an HTML report of a run: results, usage and cost, time by phase, causes of failures, personas, and all
    /// rows with a search. Default: `report.html` in the run's folder, which is replaced. Returns the path if the
    /// destination is a file.
    ///
    /// The rows are read three times and written in blocks, so that memory does not grow with them, but for 24 bytes
    /// each. A run may be in progress: rows that end meanwhile may be in one part of the report and not in another.
    ///
    /// # Errors
    /// The errors of [`export`](Self::export).
    ///
    /// # Cancel safety
    /// The page is written atomically: a dropped call leaves no partial file.
    pub async fn report(
        &self,
        run: &str,
        to: Option<Destination>,
    ) -> Result<Option<PathBuf>, OperationError> {
        let run = self.readable().await?.read_run(run).await?;
        let id = run.record().id.clone();
        let personas = read_personas(&self.folder().join(&id)).await?;
        let personas = personas.map(|made| made.personas).unwrap_or_default();
        let page = RunPage::new(RunSummary::of(&run, 0).await?, personas);
        let to = to.unwrap_or_else(|| Destination::Own(self.folder().join(id).join("report.html")));
        let mut out = TextWriter::begin(&to).await?;
        write(&run, page, &mut out).await?;
        out.finish().await?;
        Ok(match to {
            Destination::File(path) | Destination::Replace(path) | Destination::Own(path) => Some(path),
            _ => None,
        })
    }
}

/// Writes the page of a run, with the rows that it has, a page of the store at a time.
async fn write(run: &Run, mut page: RunPage, out: &mut TextWriter) -> Result<(), OperationError> {
    let has_rows = page.all_rows > 0;
    if has_rows {
        measure(run, &mut page).await?;
    }
    let parts = page.parts().await?;
    out.write(&parts.start).await?;
    if has_rows {
        write_rows(run, &parts, out).await?;
    }
    Ok(out.write(&parts.end).await?)
}

/// Reads all rows for the histogram, and the first ones for the table.
async fn measure(run: &Run, page: &mut RunPage) -> Result<(), OperationError> {
    let mut jobs = run.pages();
    loop {
        let rows = shown(run, jobs.next().await?);
        if rows.is_empty() {
            return Ok(());
        }
        rows.into_iter().for_each(|row| page.observe(row));
    }
}

/// Writes all rows in blocks, until there is no more reader.
async fn write_rows(run: &Run, parts: &RunPageParts, out: &mut TextWriter) -> Result<(), OperationError> {
    let mut jobs = run.pages();
    while out.is_wanted() {
        let rows = shown(run, jobs.next().await?);
        if rows.is_empty() {
            break;
        }
        out.write(&parts.block(rows).await?).await?;
    }
    Ok(())
}

/// Returns the rows of jobs as they are shown to people.
fn shown(run: &Run, jobs: Vec<JobRecord>) -> Vec<RowSummary> {
    let shown = |mut job: JobRecord| {
        job.row = shown_row(run, std::mem::take(&mut job.row));
        RowSummary::from(job)
    };
    jobs.into_iter().map(shown).collect()
}

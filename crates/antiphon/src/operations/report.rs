//! The report of a run as one HTML page, for people who decide whether its results are good enough.
//!
//! The page is made from the store and can be written while the run is in progress, or long after it.

use std::path::PathBuf;

use antiphon_engine::{Destination, RunSummary, TextWriter};
use antiphon_pipeline::runs::read_personas;
use antiphon_render::RunPage;
use antiphon_store::Run;

use super::error::OperationError;
use super::runs::shown_row;
use super::workspace::Workspace;

/// The most rows that a report shows, so that a browser opens the page of a large run; failed rows come first.
const MOST_ROWS: usize = 1_000;

impl Workspace {
    /// Writes an HTML report of a run: results, usage and cost, time spent, causes of failed rows, and at most 1,000 of its
    /// rows, failed ones first. Default: `report.html` in the run's folder, which is replaced. Returns the path if the
    /// destination is a file.
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
        let run = self.existing().await?.read_run(run).await?;
        let id = run.record().id.clone();
        let page = self.page_of(&run).await?;
        let to = to.unwrap_or_else(|| Destination::Replace(self.folder().join(id).join("report.html")));
        let mut out = TextWriter::begin(&to).await?;
        out.write(&page.html().await?).await?;
        out.finish().await?;
        Ok(match to {
            Destination::File(path) | Destination::Replace(path) => Some(path),
            _ => None,
        })
    }

    /// Collects the content of a report: the summary of the run with its rows as people read them, and its personas if
    /// it has any.
    async fn page_of(&self, run: &Run) -> Result<RunPage, OperationError> {
        let mut summary = RunSummary::of(run, MOST_ROWS).await?;
        for row in &mut summary.rows {
            row.row = shown_row(run, std::mem::take(&mut row.row));
        }
        let personas = read_personas(&self.folder().join(&run.record().id)).await?;
        Ok(RunPage::new(summary, personas.map(|made| made.personas).unwrap_or_default()))
    }
}

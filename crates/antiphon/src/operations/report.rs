use std::path::{Path, PathBuf};

use antiphon_engine::RunSummary;
use antiphon_pipeline::{Persona, Personas};
use antiphon_render::RunPage;

use super::error::{OperationError, OperationErrorKind};
use super::runs::shown_row;
use super::workspace::Workspace;

/// The most rows that a report shows.
const MOST_ROWS: usize = 1_000;

impl Workspace {
    /// Writes a page about a run: what came of it, what it took, where the time went, why rows failed, and its rows, of
    /// which it shows a thousand at most, those that failed first. Default: `report.html` in the run's folder.
    ///
    /// # Errors
    /// As [`status`](Self::status), and `Failed` where it cannot be written.
    ///
    /// # Cancel safety
    /// The page is whole or not there.
    pub async fn report(&self, run: &str, to: Option<&Path>) -> Result<PathBuf, OperationError> {
        let run = self.existing().await?.look_at(run).await?;
        let id = run.record().id.clone();
        let mut summary = RunSummary::of(&run, MOST_ROWS).await?;
        for row in &mut summary.rows {
            row.row = shown_row(&run, std::mem::take(&mut row.row));
        }
        let page = RunPage::new(summary, personas(&self.folder().join(&id)).await?);
        let path = to.map_or_else(|| self.folder().join(id).join("report.html"), Path::to_owned);
        let html = match tokio::task::spawn_blocking(move || page.render()).await {
            Ok(html) => html.map_err(|err| OperationError::internal(err.to_string()))?,
            Err(join) if join.is_panic() => std::panic::resume_unwind(join.into_panic()),
            Err(_) => return Err(OperationError::internal("the runtime is shutting down")),
        };
        if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            antiphon_fs::create_dir(parent).await?;
        }
        antiphon_fs::write(&path, html).await?;
        Ok(path)
    }
}

/// The personas that a generation wrote; the report of another run, or of one without them, has none.
pub(super) async fn personas(folder: &Path) -> Result<Vec<Persona>, OperationError> {
    let path = folder.join("personas.json");
    let text = match antiphon_fs::read_to_string(&path).await {
        Ok(text) => text.text,
        Err(err) if err.kind() == antiphon_fs::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(err) => return Err(err.into()),
    };
    let found: Result<Personas, _> = serde_json::from_str(&text);
    found.map(|found| found.personas).map_err(|err| {
        let message = format!("{} cannot be understood: {err}", path.display());
        OperationError::new(OperationErrorKind::Failed, message)
    })
}

//! Anonymisation of a run's input: documents, notes and rows without personal data (PII).
//!
//! Rows are written to a temporary file, since a table may be larger than memory: the engine reads that file as it reads
//! any other, so that the journal, the results and the run's identity have the substitutes only.

use std::io::{BufWriter, Write};
use std::path::Path;

use antiphon_data::{Anonymiser, Replacement, Row, RowAnonymiser, RowNames, RowOptions, Rows, Strategy};
use antiphon_fs::NamedTempFile;
use antiphon_pipeline::Anonymised;
use antiphon_pipeline::runs::{salt, salt_or_random};
use tokio_util::sync::CancellationToken;

use super::error::{OperationError, OperationErrorKind};
use super::request::{Anonymise, RunRequest};
use super::workspace::Purpose;

/// Rows without personal data, in a file that is removed when this is dropped.
pub(super) struct AnonymousRows {
    /// The rows as JSON Lines.
    pub(super) file: NamedTempFile,
    /// The replacements, which are confidential.
    pub(super) replaced: Vec<Replacement>,
    /// The part of the outcome about them.
    pub(super) report: Anonymised,
}

/// Creates the anonymiser of a request, if it has one, for runs below `out`, where the salt of the codes is stored. An estimate
/// creates no file: without a stored salt its codes are random, and as long as those of the run.
pub(super) async fn anonymiser(
    request: &RunRequest,
    out: &Path,
    purpose: Purpose,
) -> Result<Option<Anonymiser>, OperationError> {
    let Some(Anonymise { mode, names, .. }) = &request.anonymise else { return Ok(None) };
    let anonymiser = Anonymiser::new(*mode).names(names.iter().map(String::as_str));
    Ok(Some(match mode {
        Strategy::Hash if purpose == Purpose::Plan => anonymiser.salt(salt_or_random(out).await?),
        Strategy::Hash => anonymiser.salt(salt(out).await?),
        _ => anonymiser,
    }))
}

/// Returns what was removed, for the report of a run.
pub(super) fn report_of(
    anonymised: Option<&Anonymised>,
) -> Result<Option<serde_json::Value>, OperationError> {
    let report = anonymised.map(serde_json::to_value).transpose();
    report.map_err(|err| OperationError::internal(err.to_string()))
}

/// The file of rows that are anonymised.
pub(super) struct RowFile<'a> {
    pub(super) path: &'a Path,
    pub(super) options: &'a RowOptions,
}

impl RowFile<'_> {
    /// Opens the rows.
    async fn open(&self) -> Result<Rows, OperationError> {
        let opened = Rows::open_with(self.path, self.options.clone()).await;
        Ok(opened.map_err(antiphon_engine::Error::input)?.0)
    }
}

/// Reads rows twice: for the names in them, and to write them without personal data.
///
/// # Errors
/// That of a file that cannot be read, or `Cancelled` once the token is cancelled.
pub(super) async fn anonymous_rows(
    anonymiser: &Anonymiser,
    source: &RowFile<'_>,
    cancel: &CancellationToken,
) -> Result<AnonymousRows, OperationError> {
    let mut names = anonymiser.row_names();
    let mut rows = source.open().await?;
    while let Some(batch) = next_batch(&mut rows, cancel).await? {
        names = blocking(move || learn(names, batch)).await?;
    }
    let file = antiphon_fs::temp_file()?;
    let mut pass = Rewriting { rows: names.into_anonymiser(), file };
    let mut rows = source.open().await?;
    while let Some(batch) = next_batch(&mut rows, cancel).await? {
        pass = blocking(move || pass.write(batch)).await?.map_err(unwritten)?;
    }
    let Rewriting { rows, file } = pass;
    let (replaced, misses) = rows.finish();
    let report = Anonymised::new(anonymiser.strategy(), replaced.len(), misses);
    Ok(AnonymousRows { file, replaced, report })
}

/// Returns the next rows; `None` at the end.
async fn next_batch(rows: &mut Rows, cancel: &CancellationToken) -> Result<Option<Vec<Row>>, OperationError> {
    if cancel.is_cancelled() {
        let message = "interrupted while the rows were anonymised; nothing was sent";
        return Err(OperationError::new(OperationErrorKind::Cancelled, message));
    }
    let batch = rows.next().await.map_err(antiphon_engine::Error::input)?;
    Ok((!batch.is_empty()).then_some(batch))
}

/// Runs CPU-bound work on a blocking thread.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, OperationError> {
    let defect = |err: tokio::task::JoinError| OperationError::internal(err.to_string());
    tokio::task::spawn_blocking(work).await.map_err(defect)
}

/// Collects the names in a batch of rows.
fn learn(mut names: RowNames, batch: Vec<Row>) -> RowNames {
    batch.iter().flatten().for_each(|row| names.learn(row));
    names
}

/// The second pass over the rows.
struct Rewriting {
    rows: RowAnonymiser,
    file: NamedTempFile,
}

impl Rewriting {
    /// Appends a batch of rows to the file. A row that cannot be read stays one, with its reason and its line but
    /// without its text.
    fn write(mut self, batch: Vec<Row>) -> std::io::Result<Self> {
        let mut file = BufWriter::new(self.file.as_file_mut());
        for row in batch {
            let line = match row {
                Ok(row) => self.rows.rewrite(&row),
                Err(failure) => self.rows.failed(&failure),
            };
            writeln!(file, "{line}")?;
        }
        file.flush()?;
        drop(file);
        Ok(self)
    }
}

/// Returns the error of a temporary file that cannot be written.
fn unwritten(err: std::io::Error) -> OperationError {
    let message = format!("cannot write the anonymised rows: {err}");
    OperationError::new(OperationErrorKind::Internal, message)
}

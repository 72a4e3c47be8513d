use std::path::Path;
use std::sync::Arc;

use antiphon_engine::{Destination, TextWriter, each_result, export};
use antiphon_pipeline::runs::read_personas;
use antiphon_render::{Table, persona_row, personas_markdown};
use antiphon_store::Run;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::error::{OperationError, OperationErrorKind};
use super::workspace::Workspace;

/// The format of exported results.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ExportFormat {
    /// One JSON value on each line (NDJSON). The default.
    #[default]
    Jsonl,
    /// One list of JSON values.
    Json,
    /// A table with a header. Cells that a spreadsheet would run as formulas are escaped.
    Csv,
    /// Markdown for people: a table, or a document for personas.
    Markdown,
}

impl Workspace {
    /// Exports the results of a run so far, in the order of its rows; for a persona run, its personas.
    ///
    /// # Errors
    /// The errors of [`status`](Self::status); `Request` for an existing file that may not be replaced, `Configuration` for a
    /// place that cannot be written, and `Failed` if writing fails or a persona run has no personas.
    ///
    /// # Cancel safety
    /// A dropped call leaves no file.
    pub async fn export(
        &self,
        run: &str,
        to: &Destination,
        format: ExportFormat,
    ) -> Result<(), OperationError> {
        let run = self.existing().await?.read_run(run).await?;
        write_results(Arc::new(run), self.folder(), to, format).await
    }
}

async fn write_results(
    run: Arc<Run>,
    folder: &Path,
    to: &Destination,
    format: ExportFormat,
) -> Result<(), OperationError> {
    let made = match run.record().kind.as_str() {
        "personas" => {
            let made = read_personas(&folder.join(&run.record().id)).await?;
            let made = made.map(|made| made.personas).filter(|made| !made.is_empty());
            // The store has the model's answer only, with citations that are not verified.
            made.ok_or_else(|| {
                let message =
                    format!("run {} has no personas: give the command again that began it", run.record().id);
                OperationError::new(OperationErrorKind::Failed, message)
            })?
        }
        _ => Vec::new(),
    };
    if made.is_empty() && format == ExportFormat::Jsonl {
        return Ok(export(&run, to).await?);
    }
    let mut out = TextWriter::begin(to).await?;
    match (made.is_empty(), format) {
        (true, _) => write_rows(&run, &mut out, format).await?,
        (false, ExportFormat::Markdown) => out.write(&personas_markdown(&made)).await?,
        (false, ExportFormat::Csv) => {
            let rows: Vec<Value> = made.iter().map(persona_row).collect();
            let mut table = Table::default();
            rows.iter().for_each(|row| table.add(row));
            let lines = rows.iter().map(|row| table.csv_row(row));
            out.write(&(table.csv_head() + &lines.collect::<String>())).await?;
        }
        (false, ExportFormat::Json) => out.write(&format!("{:#}\n", json!(made))).await?,
        (false, _) => {
            for persona in &made {
                out.write(&format!("{}\n", json!(persona))).await?;
            }
        }
    }
    Ok(out.finish().await?)
}

async fn write_rows(run: &Run, out: &mut TextWriter, format: ExportFormat) -> Result<(), OperationError> {
    let mut table = Table::default();
    let is_table = matches!(format, ExportFormat::Csv | ExportFormat::Markdown);
    if is_table {
        // A table names all its columns before its first row.
        each_result(run, async |row| {
            table.add(&row);
            Ok(true)
        })
        .await?;
    }
    out.write(&match format {
        ExportFormat::Csv => table.csv_head(),
        ExportFormat::Markdown => table.markdown_head(),
        _ => "[".to_owned(),
    })
    .await?;
    let mut is_first = true;
    each_result(run, async |row| {
        let text = match format {
            ExportFormat::Csv => table.csv_row(&row),
            ExportFormat::Markdown => table.markdown_row(&row),
            _ => format!("{}\n{row}", if is_first { "" } else { "," }),
        };
        is_first = false;
        out.write(&text).await?;
        Ok(out.is_wanted())
    })
    .await?;
    if !is_table {
        out.write("\n]\n").await?;
    }
    Ok(())
}

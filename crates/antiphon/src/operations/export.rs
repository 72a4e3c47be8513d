//! The export of a run's results to a file or a stream, as JSON, CSV or Markdown.
//!
//! Rows come from the store, personas from the run's folder, where their evidence is verified. A file is written under
//! a temporary name and renamed at the end, so that a reader never sees a part of it.

use std::path::Path;
use std::sync::Arc;

use antiphon_engine::{Destination, TextWriter, each_result, export};
use antiphon_pipeline::Persona;
use antiphon_pipeline::runs::read_personas;
use antiphon_render::{Table, persona_row, personas_markdown};
use antiphon_store::Run;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::error::{OperationError, OperationErrorKind};
use super::workspace::Workspace;

/// The format of exported results.
///
/// | format | rows | personas |
/// |---|---|---|
/// | `Jsonl` | one value on each line | one persona on each line |
/// | `Json` | one list | one list |
/// | `Csv` | a table with a column for each field of any row | a table with a row for each persona |
/// | `Markdown` | the same table | one document |
///
/// Rows are read from the store a page at a time, for a table twice: first for its columns. So memory use does not grow
/// with the run. Personas are few, and are in memory as a whole.
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

/// The endings of file names, each with its format.
const ENDINGS: [(&str, ExportFormat); 6] = [
    ("jsonl", ExportFormat::Jsonl),
    ("ndjson", ExportFormat::Jsonl),
    ("json", ExportFormat::Json),
    ("csv", ExportFormat::Csv),
    ("md", ExportFormat::Markdown),
    ("markdown", ExportFormat::Markdown),
];

impl ExportFormat {
    /// Returns the format for the ending of a file's name, in upper or lower case; `None` for an ending without a format
    /// and for a name without an ending.
    ///
    /// ```
    /// use std::path::Path;
    ///
    /// use antiphon::operations::ExportFormat;
    ///
    /// assert_eq!(ExportFormat::from_path(Path::new("towns.CSV")), Some(ExportFormat::Csv));
    /// assert_eq!(ExportFormat::from_path(Path::new("towns.xml")), None);
    /// ```
    #[must_use]
    pub fn from_path(path: &Path) -> Option<Self> {
        let ending = path.extension()?.to_str()?;
        let mut known = ENDINGS.iter();
        known.find(|(known, _)| known.eq_ignore_ascii_case(ending)).map(|(_, format)| *format)
    }

    /// Returns the endings that [`from_path`](Self::from_path) knows, without a dot.
    pub fn endings() -> impl Iterator<Item = &'static str> {
        ENDINGS.iter().map(|(ending, _)| *ending)
    }

    /// Returns the lower-case name of the format, such as `csv`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Jsonl => "jsonl",
            Self::Json => "json",
            Self::Csv => "csv",
            Self::Markdown => "markdown",
        }
    }
}

/// An export that was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Exported {
    /// The run's id.
    pub run_id: String,
    /// The number of rows with a result, or of personas.
    pub results: u64,
    /// The format.
    pub format: ExportFormat,
}

impl Workspace {
    /// Exports the results of a run so far, in the order of its rows; for a persona run, its personas.
    ///
    /// The format is not derived from the destination: see [`ExportFormat::from_path`].
    ///
    /// The run may be in progress: rows without a result yet are left out. A table has a column for each field that
    /// occurs in any result, so a resumed run may have more columns than before.
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
    ) -> Result<Exported, OperationError> {
        let run = Arc::new(self.readable().await?.read_run(run).await?);
        let results = write_results(run.clone(), self.folder(), to, format).await?;
        Ok(Exported { run_id: run.record().id.clone(), results, format })
    }
}

/// Writes the results of a run: the personas of a persona run, else the rows. Rows in NDJSON are written by the engine,
/// which streams them. Returns the number of results.
async fn write_results(
    run: Arc<Run>,
    folder: &Path,
    to: &Destination,
    format: ExportFormat,
) -> Result<u64, OperationError> {
    let made = if run.record().kind == "personas" { personas_of(&run, folder).await? } else { Vec::new() };
    if made.is_empty() && format == ExportFormat::Jsonl {
        return Ok(export(&run, to).await?);
    }
    let mut out = TextWriter::begin(to).await?;
    let written = if made.is_empty() {
        write_rows(&run, &mut out, format).await?
    } else {
        write_personas(&made, &mut out, format).await?;
        u64::try_from(made.len()).unwrap_or(u64::MAX)
    };
    out.finish().await?;
    Ok(written)
}

/// Reads the personas of a run from its folder: the store has the model's answer only, with citations that are not
/// verified.
///
/// # Errors
/// `Failed` if there is none, as for a run that did not finish.
async fn personas_of(run: &Run, folder: &Path) -> Result<Vec<Persona>, OperationError> {
    let made = read_personas(&folder.join(&run.record().id)).await?;
    let made = made.map(|made| made.personas).filter(|made| !made.is_empty());
    made.ok_or_else(|| {
        let message =
            format!("run {} has no personas: give the command again that began it", run.record().id);
        OperationError::new(OperationErrorKind::Failed, message)
    })
}

/// Writes personas: as a document in Markdown, as a table in CSV, and else as JSON.
async fn write_personas(
    personas: &[Persona],
    out: &mut TextWriter,
    format: ExportFormat,
) -> Result<(), OperationError> {
    match format {
        ExportFormat::Markdown => out.write(&personas_markdown(personas)).await?,
        ExportFormat::Csv => out.write(&personas_csv(personas)).await?,
        ExportFormat::Json => out.write(&format!("{:#}\n", json!(personas))).await?,
        ExportFormat::Jsonl => {
            for persona in personas {
                out.write(&format!("{}\n", json!(persona))).await?;
            }
        }
    }
    Ok(())
}

/// Formats personas as a table with a header.
fn personas_csv(personas: &[Persona]) -> String {
    let rows: Vec<Value> = personas.iter().map(persona_row).collect();
    let mut table = Table::default();
    rows.iter().for_each(|row| table.add(row));
    let lines = rows.iter().map(|row| table.csv_row(row));
    table.csv_head() + &lines.collect::<String>()
}

/// Writes the rows of a run as a table or as one JSON list, a page at a time: the results need not fit into memory. Returns
/// their number.
async fn write_rows(run: &Run, out: &mut TextWriter, format: ExportFormat) -> Result<u64, OperationError> {
    let is_table = matches!(format, ExportFormat::Csv | ExportFormat::Markdown);
    let table = if is_table { columns_of(run).await? } else { Table::default() };
    out.write(&match format {
        ExportFormat::Csv => table.csv_head(),
        ExportFormat::Markdown => table.markdown_head(),
        _ => "[".to_owned(),
    })
    .await?;
    let mut written = 0;
    each_result(run, async |row| {
        let text = match format {
            ExportFormat::Csv => table.csv_row(&row),
            ExportFormat::Markdown => table.markdown_row(&row),
            _ => format!("{}\n{row}", if written == 0 { "" } else { "," }),
        };
        written += 1;
        out.write(&text).await?;
        Ok(out.is_wanted())
    })
    .await?;
    if !is_table {
        out.write("\n]\n").await?;
    }
    Ok(written)
}

/// Reads all results once for the columns of a table, which are named before its first row.
async fn columns_of(run: &Run) -> Result<Table, OperationError> {
    let mut table = Table::default();
    each_result(run, async |row| {
        table.add(&row);
        Ok(true)
    })
    .await?;
    Ok(table)
}

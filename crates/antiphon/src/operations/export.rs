use std::path::Path;
use std::sync::Arc;

use antiphon_engine::{Destination, Lines, export};
use antiphon_fs::Writer;
use antiphon_render::{Table, persona_row, personas_markdown};
use antiphon_store::{JobRecord, JobState, Run};
use serde_json::{Value, json};

use super::error::{OperationError, OperationErrorKind};
use super::report::personas;
use super::runs::kind_of;
use super::workspace::Workspace;

/// What results are written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum ExportFormat {
    /// A JSON value a line.
    #[default]
    Jsonl,
    /// One list of JSON values.
    Json,
    /// A table with a header, in which no cell is a formula.
    Csv,
    /// For people: a table, and of personas a document.
    Markdown,
}

impl Workspace {
    /// Writes the results that a run has, in the order of its rows; of a persona run, its personas.
    ///
    /// # Errors
    /// As [`status`](Self::status), and `Failed` where they cannot be written.
    ///
    /// # Cancel safety
    /// A dropped call leaves at most a `.part` file.
    pub async fn export(
        &self,
        run: &str,
        to: &Destination,
        format: ExportFormat,
    ) -> Result<(), OperationError> {
        let run = self.existing().await?.look_at(run).await?;
        written(Arc::new(run), self.folder(), to, format).await
    }
}

async fn written(
    run: Arc<Run>,
    folder: &Path,
    to: &Destination,
    format: ExportFormat,
) -> Result<(), OperationError> {
    let made = match kind_of(run.record()).as_str() {
        "personas" => {
            let made = personas(&folder.join(&run.record().id)).await?;
            if made.is_empty() {
                // What the store has is the model's word, not looked up.
                let message =
                    format!("run {} has no personas: give the command again that began it", run.record().id);
                return Err(failed(message));
            }
            made
        }
        _ => Vec::new(),
    };
    if made.is_empty() && format == ExportFormat::Jsonl {
        return export(run, to).await.map_err(failed);
    }
    let mut out = Out::begin(to).await?;
    match (made.is_empty(), format) {
        (true, _) => of_rows(&run, &mut out, format).await?,
        (false, ExportFormat::Markdown) => out.write(personas_markdown(&made)).await?,
        (false, ExportFormat::Csv) => {
            let rows: Vec<Value> = made.iter().map(persona_row).collect();
            let mut table = Table::default();
            rows.iter().for_each(|row| table.add(row));
            let lines = rows.iter().map(|row| table.csv_row(row));
            out.write(table.csv_head() + &lines.collect::<String>()).await?;
        }
        (false, ExportFormat::Json) => out.write(format!("{:#}\n", json!(made))).await?,
        (false, _) => {
            out.write(made.iter().map(|persona| format!("{}\n", json!(persona))).collect()).await?;
        }
    }
    out.finish().await
}

async fn of_rows(run: &Run, out: &mut Out, format: ExportFormat) -> Result<(), OperationError> {
    let mut table = Table::default();
    let is_table = matches!(format, ExportFormat::Csv | ExportFormat::Markdown);
    if is_table {
        // A table names all its columns before its first row.
        each(run, async |row| {
            table.add(&row);
            Ok(true)
        })
        .await?;
    }
    out.write(match format {
        ExportFormat::Csv => table.csv_head(),
        ExportFormat::Markdown => table.markdown_head(),
        _ => "[".to_owned(),
    })
    .await?;
    let mut is_first = true;
    each(run, async |row| {
        let text = match format {
            ExportFormat::Csv => table.csv_row(&row),
            ExportFormat::Markdown => table.markdown_row(&row),
            _ => format!("{}\n{row}", if is_first { "" } else { "," }),
        };
        is_first = false;
        out.write(text).await?;
        Ok(out.is_wanted)
    })
    .await?;
    if !is_table {
        out.write("\n]\n".to_owned()).await?;
    }
    Ok(())
}

/// Every row that has a result, with it, until one says that no more is wanted.
async fn each(
    run: &Run,
    mut with: impl AsyncFnMut(Value) -> Result<bool, OperationError>,
) -> Result<(), OperationError> {
    let mut pages = run.pages();
    loop {
        let jobs = pages.next().await?;
        if jobs.is_empty() {
            return Ok(());
        }
        for job in jobs.into_iter().filter(|job| job.state == JobState::Accepted) {
            if !with(record(job)).await? {
                return Ok(());
            }
        }
    }
}

fn failed(why: String) -> OperationError {
    OperationError::new(OperationErrorKind::Failed, why)
}

fn record(job: JobRecord) -> Value {
    let value = |text: &str| serde_json::from_str(text).unwrap_or_else(|_| Value::from(text));
    let result = job.result.as_deref().map(value);
    json!({ "index": job.index, "row": value(&job.row), "result": result })
}

/// Where text goes, a block at a time.
struct Out {
    sink: Sink,
    block: String,
    /// Whether somebody still reads.
    is_wanted: bool,
}

enum Sink {
    File(Writer),
    Lines(Lines),
}

impl Out {
    const BLOCK: usize = 64 << 10;

    async fn begin(to: &Destination) -> Result<Self, OperationError> {
        let sink = match to {
            Destination::File(path) => {
                if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
                    antiphon_fs::create_dir(parent).await?;
                }
                Sink::File(Writer::atomic(path).await?)
            }
            Destination::Lines(lines) => Sink::Lines(lines.clone()),
            _ => return Err(OperationError::internal("there is no such destination")),
        };
        Ok(Self { sink, block: String::new(), is_wanted: true })
    }

    async fn write(&mut self, text: String) -> Result<(), OperationError> {
        self.block.push_str(&text);
        if self.block.len() < Self::BLOCK { Ok(()) } else { self.flush().await }
    }

    async fn flush(&mut self) -> Result<(), OperationError> {
        let block = std::mem::take(&mut self.block);
        match &mut self.sink {
            _ if block.is_empty() => {}
            Sink::File(writer) => writer.write(block).await?,
            Sink::Lines(lines) => {
                self.is_wanted &= lines.take(block).await.map_err(failed)?;
            }
        }
        Ok(())
    }

    async fn finish(mut self) -> Result<(), OperationError> {
        self.flush().await?;
        match self.sink {
            Sink::File(writer) => Ok(writer.finish().await?),
            Sink::Lines(_) => Ok(()),
        }
    }
}

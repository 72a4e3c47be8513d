//! The runs of an experiment, read from the reports in its `outputs/`, and the README that lists them.
//!
//! No index is kept: a run belongs to the history once its `run.json` is complete, whichever process wrote it, and no
//! longer once its folder is removed. Reading the history takes one small file for each run.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use antiphon_fs::WalkOptions;
use serde::Serialize;

use super::definition::Definition;
use super::folder::{Experiment, files};
use crate::error::Error;
use crate::persona::Personas;
use crate::report::{Report, ReportStatus};
use crate::runs::read_personas;
use antiphon_engine::ErrorKind;

/// An earlier run of an experiment.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct PastRun {
    /// The folder of the run.
    pub folder: PathBuf,
    /// The report of the run.
    pub report: Report,
    /// The number of personas; 0 for a run that did not finish.
    pub personas: usize,
}

/// An experiment with the statistics of its runs.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct ExperimentInfo {
    /// The folder of the experiment.
    pub folder: PathBuf,
    /// The content of its `experiment.toml`.
    pub definition: Definition,
    /// The files of its data, by their paths below `data/`.
    pub data: Vec<PathBuf>,
    /// The statistics of its runs.
    pub statistics: Statistics,
}

/// The totals of all runs of an experiment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Statistics {
    /// Files of its data.
    pub files: usize,
    /// All runs, finished or not.
    pub runs: usize,
    /// Runs that finished with personas.
    pub finished: usize,
    /// Personas of all finished runs.
    pub personas: usize,
    /// Calls of all runs.
    pub calls: u64,
    /// Tokens of the prompts, as far as they were reported; `None` if none were.
    pub input_tokens: Option<u64>,
    /// Tokens of the answers, as far as they were reported; `None` if none were.
    pub output_tokens: Option<u64>,
    /// Cost of all runs, in millionths of a US dollar; `None` if the cost of any run is unknown.
    pub cost_usd_micros: Option<u64>,
    /// Start time of the newest run, in UTC; `None` without runs.
    pub last_run: Option<String>,
}

impl Experiment {
    /// Returns the runs, newest first. A folder without a complete report belongs to an aborted run, and is skipped.
    ///
    /// # Errors
    /// `Files` if the runs cannot be listed or read.
    ///
    /// # Cancel safety
    /// A dropped call changes nothing.
    pub async fn history(&self) -> Result<Vec<PastRun>, Error> {
        let outputs = self.outputs_path();
        if !antiphon_fs::exists(&outputs).await.map_err(Error::files)? {
            return Ok(Vec::new());
        }
        let mut runs = Vec::new();
        for path in files(&outputs, WalkOptions::default().max_depth(2)).await? {
            if path.file_name().is_none_or(|name| name != "run.json") {
                continue;
            }
            runs.extend(past_run(&path).await?);
        }
        runs.sort_by(|a, b| b.report.started_at.cmp(&a.report.started_at));
        Ok(runs)
    }

    /// Returns the personas of a finished run. `run` is its id, a unique prefix of it, or `latest`.
    ///
    /// # Errors
    /// `Config` if no finished run has this id, or several begin with it; `Files` if its personas cannot be read.
    ///
    /// # Cancel safety
    /// A dropped call changes nothing.
    pub async fn outputs(&self, run: &str) -> Result<Personas, Error> {
        let finished =
            self.history().await?.into_iter().filter(|run| run.report.status == ReportStatus::Finished);
        let wanted = |past: &PastRun| run == "latest" || past.report.run_id.starts_with(run);
        let mut found = finished.filter(wanted);
        let Some(past) = found.next() else {
            let message = format!("experiment {} has no finished run {run}", self.definition().name);
            return Err(Error::new(ErrorKind::Config, message));
        };
        if run != "latest" && found.next().is_some() {
            let message = format!("several runs begin with {run}: name more of the id");
            return Err(Error::new(ErrorKind::Config, message));
        }
        read_personas(&past.folder)
            .await?
            .ok_or_else(|| Error::new(ErrorKind::Files, format!("{} has no personas", past.folder.display())))
    }

    /// Returns the experiment's definition and data, with the totals of its runs.
    ///
    /// # Errors
    /// The errors of [`history`](Self::history).
    ///
    /// # Cancel safety
    /// A dropped call changes nothing.
    pub async fn info(&self) -> Result<ExperimentInfo, Error> {
        Ok(ExperimentInfo {
            folder: self.root().to_owned(),
            definition: self.definition().clone(),
            data: self.data().await?,
            statistics: self.statistics().await?,
        })
    }

    /// Returns the totals of all runs.
    ///
    /// # Errors
    /// The errors of [`history`](Self::history).
    ///
    /// # Cancel safety
    /// A dropped call changes nothing.
    pub async fn statistics(&self) -> Result<Statistics, Error> {
        let (files, runs) = (self.data().await?.len(), self.history().await?);
        Ok(add_up(files, &runs))
    }

    /// Rewrites the README with the current runs. Text below its marker line is kept, and a README without that line is not
    /// changed at all. Of two calls at the same time the last one wins, with the runs that it saw.
    ///
    /// # Errors
    /// `Files` if the README, the data or the runs cannot be read, or the README cannot be written.
    ///
    /// # Cancel safety
    /// A dropped call leaves either the old file or the new one.
    pub async fn write_readme(&self) -> Result<(), Error> {
        let path = self.root().join(README);
        let notes = match antiphon_fs::read_to_string(&path).await {
            Ok(old) => match custom_notes(&old.text) {
                Some(notes) => notes,
                // Without the marker line, the whole file is custom.
                None => return Ok(()),
            },
            Err(err) if err.kind() == antiphon_fs::ErrorKind::NotFound => "\n".to_owned(),
            Err(err) => return Err(Error::files(err)),
        };
        let generated = self.generated_readme().await?;
        antiphon_fs::write_below(self.root(), README, format!("{generated}{NOTES}{notes}"))
            .await
            .map_err(Error::files)
    }

    /// Returns the README above the marker line, for the current data and runs.
    async fn generated_readme(&self) -> Result<String, Error> {
        let (files, runs) = (self.data().await?.len(), self.history().await?);
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = self.readme(&mut text, &add_up(files, &runs), &runs);
        Ok(text)
    }

    /// Writes the generated part of the README: name, description, totals, the purpose of each file, and the table of
    /// runs.
    fn readme(&self, text: &mut String, all: &Statistics, runs: &[PastRun]) -> std::fmt::Result {
        let definition = self.definition();
        let name = &definition.name;
        writeln!(text, "# {name}\n")?;
        if !definition.description.is_empty() {
            writeln!(text, "{}\n", definition.description.trim())?;
        }
        let (file_count, run_count) = (counted(all.files, "file"), counted(all.runs, "run"));
        writeln!(text, "{file_count} of data, {run_count}, {} in all.\n", counted(all.personas, "persona"))?;
        writeln!(text, "- `experiment.toml`: how personas are drawn\n- `data/`: what they are drawn from")?;
        writeln!(text, "- `outputs/`: each run with its personas, and the journal\n")?;
        writeln!(
            text,
            "```sh\nantiphon experiment add {name} interviews/\nantiphon experiment generate {name}\n```\n"
        )?;
        table(text, runs)?;
        writeln!(text)
    }
}

/// Writes the table of runs, with the start of each run's id as a link to its folder; nothing without runs.
fn table(text: &mut String, runs: &[PastRun]) -> std::fmt::Result {
    if !runs.is_empty() {
        writeln!(text, "| run | begun | model | personas | status |\n|---|---|---|---|---|")?;
    }
    for PastRun { report, personas, .. } in runs {
        let Report { run_id, started_at, model, status, .. } = report;
        let begun = started_at.get(..16).unwrap_or(started_at).replace('T', " ");
        let status = status.name();
        let model = model.replace('|', "\\|");
        writeln!(
            text,
            "| [{}](outputs/{run_id}/) | {begun} | {model} | {personas} | {status} |",
            run_id.get(..13).unwrap_or(run_id)
        )?;
    }
    Ok(())
}

/// Reads a run by the path of its report; `None` if the report is incomplete, or of an unknown form.
async fn past_run(path: &Path) -> Result<Option<PastRun>, Error> {
    let text = antiphon_fs::read_to_string(path).await.map_err(Error::files)?;
    let Ok(report) = serde_json::from_str::<Report>(&text.text) else { return Ok(None) };
    let folder = path.parent().map(PathBuf::from).unwrap_or_default();
    let personas = match report.status {
        ReportStatus::Finished => report.coverage.personas.len(),
        _ => 0,
    };
    Ok(Some(PastRun { folder, report, personas }))
}

/// Returns the text of a README below the marker line; `None` if it has none.
fn custom_notes(readme: &str) -> Option<String> {
    let marker = readme.lines().position(|line| line.trim() == NOTES.trim())?;
    let notes: Vec<&str> = readme.split_inclusive('\n').skip(marker + 1).collect();
    Some(notes.concat())
}

/// The name of the README.
const README: &str = "README.md";

/// The marker line of a README: text below it is custom. Files of earlier versions have this line, so it must not change.
const NOTES: &str = "<!-- What stands below this line is yours, and stays. -->\n";

/// Returns the totals of runs, of which the first is the newest.
fn add_up(files: usize, runs: &[PastRun]) -> Statistics {
    let mut all = Statistics { files, runs: runs.len(), cost_usd_micros: Some(0), ..Statistics::default() };
    for PastRun { report, personas, .. } in runs {
        all.finished += usize::from(report.status == ReportStatus::Finished);
        all.personas += personas;
        all.calls += u64::from(report.calls);
        all.input_tokens = added(all.input_tokens, report.usage.input_tokens);
        all.output_tokens = added(all.output_tokens, report.usage.output_tokens);
        all.cost_usd_micros = all.cost_usd_micros.zip(report.cost_usd_micros).map(|(sum, cost)| sum + cost);
    }
    all.last_run = runs.first().map(|run| run.report.started_at.clone());
    all
}

/// Adds known counts; `None` while none is known.
fn added(sum: Option<u64>, more: Option<u64>) -> Option<u64> {
    sum.map_or(more, |sum| Some(sum + more.unwrap_or(0)))
}

/// Returns a count with its noun, in the plural unless the count is 1.
fn counted(count: usize, what: &str) -> String {
    match count {
        1 => format!("1 {what}"),
        count => format!("{count} {what}s"),
    }
}

use std::fmt::Write;
use std::path::PathBuf;

use antiphon_fs::WalkOptions;
use serde::Serialize;

use super::definition::Definition;
use super::folder::{Experiment, files};
use crate::error::Error;
use crate::persona::Personas;
use crate::report::{Report, ReportStatus};
use crate::runs::read_personas;
use antiphon_engine::ErrorKind;

/// A run of an experiment.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct PastRun {
    /// Its folder.
    pub folder: PathBuf,
    /// How it came about.
    pub report: Report,
    /// Personas that it made.
    pub personas: usize,
}

/// An experiment with what all its runs came to.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct ExperimentInfo {
    /// Its folder.
    pub folder: PathBuf,
    /// Its `experiment.toml`.
    pub definition: Definition,
    /// The files of its data, below `data/`.
    pub data: Vec<PathBuf>,
    /// What its runs came to.
    pub statistics: Statistics,
}

/// What all runs of an experiment came to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Statistics {
    /// Files of its data.
    pub files: usize,
    /// Runs in all.
    pub runs: usize,
    /// Those that have personas.
    pub finished: usize,
    /// Personas of all of them.
    pub personas: usize,
    /// Calls that were made.
    pub calls: u64,
    /// Tokens of the prompts, as far as they were reported; `None` if none were.
    pub input_tokens: Option<u64>,
    /// Tokens of the answers, as far as they were reported; `None` if none were.
    pub output_tokens: Option<u64>,
    /// What they cost, in millionths of a US dollar; `None` if that is not known of all.
    pub cost_usd_micros: Option<u64>,
    /// When the last one began.
    pub last_run: Option<String>,
}

impl Experiment {
    /// Its runs, the newest first. Folders without a whole report are the rest of broken runs, and are passed over.
    ///
    /// # Errors
    /// `Files` where they cannot be listed or read.
    ///
    /// # Cancel safety
    /// Nothing is changed, so nothing is lost.
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
            let text = antiphon_fs::read_to_string(&path).await.map_err(Error::files)?;
            let Ok(report) = serde_json::from_str::<Report>(&text.text) else { continue };
            let folder = path.parent().map(PathBuf::from).unwrap_or_default();
            let personas = match report.status {
                ReportStatus::Finished => report.coverage.personas.len(),
                _ => 0,
            };
            runs.push(PastRun { folder, report, personas });
        }
        runs.sort_by(|a, b| b.report.started_at.cmp(&a.report.started_at));
        Ok(runs)
    }

    /// The personas of a finished run: its id, the beginning of one, or `latest`.
    ///
    /// # Errors
    /// `Config` where there is no such run, `Files` where it cannot be read.
    ///
    /// # Cancel safety
    /// Nothing is changed, so nothing is lost.
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
            return Err(Error::new(ErrorKind::Config, format!("several runs begin with {run}")));
        }
        read_personas(&past.folder)
            .await?
            .ok_or_else(|| Error::new(ErrorKind::Files, format!("{} has no personas", past.folder.display())))
    }

    /// Returns the experiment with what all its runs came to.
    ///
    /// # Errors
    /// As [`history`](Self::history).
    ///
    /// # Cancel safety
    /// Nothing is changed, so nothing is lost.
    pub async fn info(&self) -> Result<ExperimentInfo, Error> {
        Ok(ExperimentInfo {
            folder: self.root().to_owned(),
            definition: self.definition().clone(),
            data: self.data().await?,
            statistics: self.statistics().await?,
        })
    }

    /// What all runs came to.
    ///
    /// # Errors
    /// As [`history`](Self::history).
    ///
    /// # Cancel safety
    /// Nothing is changed, so nothing is lost.
    pub async fn statistics(&self) -> Result<Statistics, Error> {
        let (files, runs) = (self.data().await?.len(), self.history().await?);
        Ok(add_up(files, &runs))
    }

    /// Writes the README anew, with what is known of the runs. A text of one's own below the line that says so stays,
    /// and so does a README without that line.
    ///
    /// # Errors
    /// `Files` where it cannot be written.
    ///
    /// # Cancel safety
    /// The file is the old one or the new one.
    pub async fn write_readme(&self) -> Result<(), Error> {
        let path = self.root().join("README.md");
        let notes = match antiphon_fs::read_to_string(&path).await {
            Ok(old) => {
                let marker = old.text.lines().position(|line| line.trim() == NOTES.trim());
                // Without the line it is somebody's own, whole.
                let Some(marker) = marker else { return Ok(()) };
                let notes: Vec<&str> = old.text.split_inclusive('\n').skip(marker + 1).collect();
                Some(notes.concat())
            }
            Err(err) if err.kind() == antiphon_fs::ErrorKind::NotFound => None,
            Err(err) => return Err(Error::files(err)),
        };
        let (files, runs) = (self.data().await?.len(), self.history().await?);
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = self.readme(&mut text, &add_up(files, &runs), &runs);
        text.push_str(NOTES);
        text.push_str(notes.as_deref().unwrap_or("\n"));
        antiphon_fs::write(path, text).await.map_err(Error::files)
    }

    fn readme(&self, text: &mut String, all: &Statistics, runs: &[PastRun]) -> std::fmt::Result {
        let definition = self.definition();
        let name = &definition.name;
        writeln!(text, "# {name}\n")?;
        if !definition.description.is_empty() {
            writeln!(text, "{}\n", definition.description.trim())?;
        }
        let (files, runs_told) = (counted(all.files, "file"), counted(all.runs, "run"));
        writeln!(text, "{files} of data, {runs_told}, {} in all.\n", counted(all.personas, "persona"))?;
        writeln!(text, "- `experiment.toml`: how personas are drawn\n- `data/`: what they are drawn from")?;
        writeln!(text, "- `outputs/`: each run with its personas, and the journal\n")?;
        writeln!(
            text,
            "```sh\nantiphon experiment add {name} interviews/\nantiphon experiment generate {name}\n```\n"
        )?;
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
        writeln!(text)
    }
}

/// What stands below is its reader's.
const NOTES: &str = "<!-- What stands below this line is yours, and stays. -->\n";

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

/// Adds what is known; `None` while nothing is.
fn added(sum: Option<u64>, more: Option<u64>) -> Option<u64> {
    sum.map_or(more, |sum| Some(sum + more.unwrap_or(0)))
}

fn counted(count: usize, what: &str) -> String {
    match count {
        1 => format!("1 {what}"),
        count => format!("{count} {what}s"),
    }
}

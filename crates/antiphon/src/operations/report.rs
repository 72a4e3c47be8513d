use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use antiphon_engine::Phase;
use antiphon_engine::{Cause, causes};
use antiphon_pipeline::{Persona, Personas};
use antiphon_render::{RunCause, RunPage, RunRow};
use antiphon_store::{JobRecord, JobState, Run};
use jiff::Timestamp;
use serde_json::Value;

use super::error::{OperationError, OperationErrorKind};
use super::map::WORTH_TELLING;
use super::runs::Described;
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
        let (page, id) = (page(&run, self.folder()).await?, run.record().id.clone());
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

async fn page(run: &Run, folder: &Path) -> Result<RunPage, OperationError> {
    let (tally, record) = (run.tally().await?, run.record());
    let described = Described::of(record);
    let report: Value =
        record.report.as_deref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut page = RunPage::default();
    // The names of files may be those of people.
    let is_anonymised = report["anonymised"].is_object();
    let input = if is_anonymised { "documents without names".to_owned() } else { described.input };
    page.title = format!("{input} with {}", described.recipe.unwrap_or_default());
    page.facts = [
        ("Run", record.id.clone()),
        ("Status", record.status.name().to_owned()),
        ("Begun", at(Some(record.created_at))),
        ("Ended", at(record.ended_at)),
        ("Provider", text(&report["provider"])),
        ("Model", described.model.unwrap_or_default()),
    ]
    .into_iter()
    .filter(|(_, value)| !value.is_empty())
    .map(|(name, value)| (name.to_owned(), value))
    .collect();
    let cost = match tally.cost_unknown {
        true => "unknown".to_owned(),
        false if tally.settled == 0 => "none".to_owned(),
        false => format!("${:.4}", tally.settled as f64 / 1e6),
    };
    page.count("Rows done", tally.accepted);
    page.count("Failed", tally.failed);
    page.count("Left", tally.jobs() - tally.accepted - tally.failed);
    page.count("Calls", tally.calls);
    page.count("Tokens asked", tally.input_tokens);
    page.count("Tokens answered", tally.output_tokens);
    page.figures.push(("Cost".to_owned(), cost));
    page.count("Calls that may be billed, too", tally.lost);
    // Of a short run it says nothing.
    let is_long = report["time"]["wall_ms"].as_u64() >= Some(WORTH_TELLING);
    page.advice = report["time"]["advice"].as_str().filter(|_| is_long).map(str::to_owned);
    page.all_rows = tally.jobs();
    page.causes = causes(run).await?.into_iter().map(cause).collect();
    page.personas = personas(&folder.join(&record.id)).await?;
    rows(run, &mut page).await?;
    if is_anonymised {
        page.rows.iter_mut().for_each(|row| row.row = input.clone());
    }
    Ok(page)
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

fn cause(of: Cause) -> RunCause {
    let mut cause = RunCause::default();
    (cause.error, cause.rows, cause.message) = (of.error, of.rows, of.message);
    cause
}

/// Adds up where the time went, and keeps rows to be shown.
async fn rows(run: &Run, page: &mut RunPage) -> Result<(), OperationError> {
    let mut micros = [0_u64; Phase::ALL.len()];
    let (mut failed, mut others) = (VecDeque::new(), VecDeque::new());
    let mut jobs = run.pages();
    loop {
        let batch = jobs.next().await?;
        if batch.is_empty() {
            break;
        }
        for job in batch {
            if let (Some(at), true) = (job.settled_at, job.state.is_end()) {
                page.ends.push((at, job.state == JobState::Accepted));
            }
            micros.iter_mut().zip(&job.timings).for_each(|(sum, took)| *sum += u64::from(*took));
            let kept = if job.state == JobState::Failed { &mut failed } else { &mut others };
            if kept.len() < MOST_ROWS {
                kept.push_back(row(job));
            }
        }
    }
    page.phases = Phase::ALL
        .iter()
        .zip(micros)
        .map(|(phase, micros)| (phase.told().to_owned(), micros / 1_000))
        .collect();
    page.rows = failed.into_iter().chain(others).take(MOST_ROWS).collect();
    if page.all_rows <= MOST_ROWS as u64 {
        page.rows.sort_by_key(|row| row.index);
    }
    Ok(())
}

fn row(job: JobRecord) -> RunRow {
    let in_calls = Phase::ALL.iter().zip(&job.timings).filter(|(phase, _)| phase.is_of_call());
    let micros: u64 = in_calls.map(|(_, took)| u64::from(*took)).sum();
    let mut row = RunRow::default();
    row.index = job.index;
    row.millis = (job.bill.calls > 0 && micros > 0).then_some(micros / 1_000);
    row.state = match job.state {
        JobState::Accepted => "done",
        JobState::Failed => "failed",
        _ => "left",
    }
    .to_owned();
    row.result = match (job.state, job.result, job.error) {
        (JobState::Accepted, Some(result), _) => result,
        (_, _, Some((error, message))) => format!("{error}: {message}"),
        _ => String::new(),
    };
    row.row = job.row;
    row
}

fn at(millis: Option<i64>) -> String {
    let at = millis.and_then(|millis| Timestamp::from_millisecond(millis).ok());
    at.map_or_else(String::new, |at| at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string())
}

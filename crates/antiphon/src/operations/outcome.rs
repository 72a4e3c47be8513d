use std::path::PathBuf;

use antiphon_engine::{Estimate, MapReport};
use antiphon_pipeline::content::SitePage;
use antiphon_pipeline::{GenerationEstimate, Persona, Report};
use serde::Serialize;

use super::error::StopNotice;

/// What came of a run, for every front.
#[derive(Debug, Serialize)]
#[non_exhaustive]
pub struct RunOutcome {
    /// Always `antiphon.outcome/1`.
    pub schema: String,
    /// The run's id.
    pub run_id: String,
    /// What it was made of, for people.
    pub input: String,
    /// The run's folder.
    pub folder: PathBuf,
    /// Whether it was finished before, and nothing was asked.
    pub reused: bool,
    /// Rows that were done when it began.
    pub resumed_at: u64,
    /// Why it stopped before all its rows ended.
    pub stop: Option<StopNotice>,
    /// What was made.
    pub result: RunResult,
}

impl RunOutcome {
    /// Returns the personas that were made; none of another kind of run.
    #[must_use]
    pub fn personas(&self) -> &[Persona] {
        match &self.result {
            RunResult::Personas(made) => &made.personas,
            RunResult::Map(_) | RunResult::Content(_) => &[],
        }
    }
}

/// What a run made.
#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum RunResult {
    /// The results of rows.
    Map(Box<MapResult>),
    /// Personas.
    Personas(Box<PersonasResult>),
    /// Sites.
    Content(Box<ContentResult>),
}

/// The results of a recipe over rows.
#[derive(Debug, Serialize)]
#[non_exhaustive]
pub struct MapResult {
    /// What came of the rows, and what that took.
    pub report: MapReport,
    /// The file of the results, if there is one.
    pub results: Option<PathBuf>,
    /// The file of the rows that failed, if any did.
    pub failed_rows: Option<PathBuf>,
}

/// Personas, and how they came about.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct PersonasResult {
    /// The personas.
    pub personas: Vec<Persona>,
    /// What they rest on, and what they took.
    pub report: Report,
}

/// Sites, and how their copy came about.
#[derive(Debug, Serialize)]
#[non_exhaustive]
pub struct ContentResult {
    /// What came of the pages, and what that took.
    pub report: MapReport,
    /// One for each document and theme, in order.
    pub pages: Vec<SitePage>,
    /// The files of the site, its index last; none if there is no page.
    pub files: Vec<PathBuf>,
    /// Notes that could not be read.
    pub failures: Vec<String>,
    /// Files of other kinds.
    pub skipped: Vec<String>,
    /// The file of the pages' rows that failed, if any did.
    pub failed_rows: Option<PathBuf>,
}

/// What a request would take, before any call is made.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum Plan {
    /// Of rows or pages: from the least to the most that is likely.
    Rows(Box<Estimate>),
    /// Of personas.
    Personas(Box<GenerationEstimate>),
}

impl Plan {
    /// Returns the most that is likely to be spent, in millionths of a US dollar; `None` if a price is not known.
    #[must_use]
    pub fn max_cost_usd_micros(&self) -> Option<u64> {
        match self {
            Self::Rows(estimate) => estimate.cost_usd_micros.map(|(_, most)| most),
            Self::Personas(estimate) => estimate.cost_usd_micros,
        }
    }
}

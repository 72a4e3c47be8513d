//! The outcomes of operations: the results of a run by its kind, and the estimate of a request.
//!
//! All of them are data that a front end serialises or formats. Types that only carry results have public fields and no
//! constructor: [`Workspace`](super::Workspace) creates them.

use std::path::PathBuf;

use antiphon_engine::{Estimate, MapReport};
use antiphon_pipeline::content::SitePage;
use antiphon_pipeline::{Anonymised, GenerationEstimate, Persona, Report};
use serde::Serialize;

use super::stop_notice::StopNotice;

/// The outcome of a run, for every front end.
///
/// A run with failed rows or an early stop is an outcome, not an error: check `stop` and the counts of the report.
///
/// Serialised, the fields of the result are next to its kind:
///
/// ```json
/// {
///   "schema": "antiphon.outcome/1", "run_id": "…", "input": "rows.csv", "folder": "…",
///   "reused": false, "resumed_at": 0,
///   "stop": { "cause": "budget", "message": "…", "kind": "budget", "hints": [{ "advice": "raise_max_cost" }] },
///   "result": { "kind": "map", "report": {}, "results": "…", "failed_rows": null }
/// }
/// ```
#[derive(Debug, Serialize)]
#[non_exhaustive]
pub struct RunOutcome {
    /// Always `antiphon.outcome/1`.
    pub schema: String,
    /// The run's id, for [`status`](super::Workspace::status), [`resume`](super::Workspace::resume) and the other
    /// operations.
    pub run_id: String,
    /// The names of the inputs, for people.
    pub input: String,
    /// The run's folder, below the workspace's.
    pub folder: PathBuf,
    /// Whether the run had finished before, so that no call was made.
    pub reused: bool,
    /// Rows that were done when the run was resumed; 0 for a new run.
    pub resumed_at: u64,
    /// The reason why the run stopped before all its rows were done; `None` if it finished.
    pub stop: Option<StopNotice>,
    /// The results.
    pub result: RunResult,
}

impl RunOutcome {
    /// Returns the personas; empty for another kind of run.
    #[must_use]
    pub fn personas(&self) -> &[Persona] {
        match &self.result {
            RunResult::Personas(made) => &made.personas,
            RunResult::Map(_) | RunResult::Content(_) => &[],
        }
    }
}

/// The results of a run, by its kind.
#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum RunResult {
    /// The results of rows, in files.
    Map(Box<MapResult>),
    /// Personas, in memory and in files of the run's folder.
    Personas(Box<PersonasResult>),
    /// Pages of a site, in memory and in files.
    Content(Box<ContentResult>),
}

/// The results of a recipe over rows. The results themselves are not in memory: read them from the file, or with
/// [`results`](super::Workspace::results) a page at a time.
#[derive(Debug, Serialize)]
#[non_exhaustive]
pub struct MapResult {
    /// The report on the rows: outcomes, usage, cost and time.
    pub report: MapReport,
    /// The file of the results; `None` if they were not written to one.
    /// As for a request with the output `-`.
    pub results: Option<PathBuf>,
    /// The file of the failed rows; `None` if no row failed.
    pub failed_rows: Option<PathBuf>,
    /// The personal data (PII) that was removed from the rows; `None` if nothing was to be removed, or if the rows are those of
    /// an earlier start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub anonymised: Option<Anonymised>,
}

/// Personas, with the report on their generation.
/// A persona run has no partial result: it returns all personas, or an error with the reason.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct PersonasResult {
    /// The personas.
    pub personas: Vec<Persona>,
    /// The report: evidence, usage, cost and time.
    pub report: Report,
}

/// Sites, with the report on the generation of their copy.
#[derive(Debug, Serialize)]
#[non_exhaustive]
pub struct ContentResult {
    /// The report on the pages: outcomes, usage, cost and time.
    pub report: MapReport,
    /// The pages, one for each document and theme, in order.
    pub pages: Vec<SitePage>,
    /// The files of the site, its index last; empty if there is no page.
    pub files: Vec<PathBuf>,
    /// Notes that could not be read, each with the reason.
    pub failures: Vec<String>,
    /// Files of unsupported types.
    pub skipped: Vec<String>,
    /// The file of the failed rows; `None` if no page failed.
    pub failed_rows: Option<PathBuf>,
    /// The personal data (PII) that was removed from the notes; `None` if nothing was to be removed, or if the notes are those of
    /// an earlier start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub anonymised: Option<Anonymised>,
}

/// The estimate of a request: calls, tokens, cost and time, computed without a call.
///
/// A plan is an estimate and no limit. To cap the cost of the run, set `max_cost` in the request's limits.
///
/// The ranges for rows and pages are based on earlier calls where the store has any, so a plan becomes more exact with
/// each run. The serialised form is that of the estimate, without a tag.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum Plan {
    /// The estimate for rows or pages, as ranges from the least to the most that is likely.
    Rows(Box<Estimate>),
    /// The estimate for personas.
    Personas(Box<GenerationEstimate>),
}

/// The cost that a request may have, for a front end that asks for confirmation before it starts a run.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExpectedCost {
    /// The provider takes no money, or the request has a budget.
    Bounded,
    /// A range of the likely cost.
    Between {
        /// The lowest likely cost, in millionths of a US dollar; 0 if only the highest is known.
        least: u64,
        /// The highest likely cost, in millionths of a US dollar.
        most: u64,
    },
    /// The price of a model is not known.
    Unknown {
        /// The addresses of the models without a price, of the provider and its fallbacks.
        base_urls: Vec<String>,
    },
}

impl Plan {
    /// Returns the highest likely cost, in millionths of a US dollar; `None` if a price is not known.
    /// For a front end that asks for confirmation above an amount.
    #[must_use]
    pub fn max_cost_usd_micros(&self) -> Option<u64> {
        self.cost_range().map(|(_, most)| most)
    }

    /// Returns the lowest and the highest likely cost; the lowest is 0 where only the highest is known.
    pub(super) fn cost_range(&self) -> Option<(u64, u64)> {
        match self {
            Self::Rows(estimate) => estimate.cost_usd_micros,
            Self::Personas(estimate) => estimate.cost_usd_micros.map(|most| (0, most)),
        }
    }
}

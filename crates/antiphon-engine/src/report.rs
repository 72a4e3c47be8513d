use std::collections::BTreeMap;
use std::time::Duration;

use antiphon_store::{Run, Tally};
use serde::{Deserialize, Serialize};

use crate::time_spent::TimeSpent;
use crate::{PHASES, Phase, StopCause};

/// The wall time, in milliseconds, from which it is worth reporting where the time of a run went.
pub const LONG_RUN: Duration = Duration::from_secs(5);

/// The `run.json` of a run over rows: what came of it, what it took, and where the time went. Unknown values are `null`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[non_exhaustive]
pub struct MapReport {
    /// Always `antiphon.map/1`.
    pub schema: String,
    /// The run's id.
    pub run_id: String,
    /// How it ended.
    pub status: MapStatus,
    /// Why it ended early: a short name, and a sentence.
    pub stopped_by: Option<(String, String)>,
    /// The recipe's name.
    pub recipe: String,
    /// The provider's short name.
    pub provider: String,
    /// Where it was reached.
    pub base_url: Option<String>,
    /// The model that was asked.
    pub model: String,
    /// What the rows are from.
    pub input: String,
    /// The same for the same command over the same rows.
    pub fingerprint: String,
    /// When this part of the run ended, in UTC.
    pub ended_at: String,
    /// Rows that were read.
    pub rows: u64,
    /// Rows with a result.
    pub accepted: u64,
    /// Rows without one, for good.
    pub failed: u64,
    /// Rows that are still to be done.
    pub left: u64,
    /// Results of this part of the run that took no call.
    pub cached: u64,
    /// Calls of the whole run.
    pub calls: u64,
    /// Tokens of all prompts, as far as they were reported; `null` if none were.
    pub input_tokens: Option<u64>,
    /// Tokens of all answers, as far as they were reported; `null` if none were.
    pub output_tokens: Option<u64>,
    /// Answers whose tokens were not reported.
    #[serde(default)]
    pub answers_without_usage: u64,
    /// What all calls cost, in millionths of a US dollar; `null` if a price is not known.
    pub cost_usd_micros: Option<u64>,
    /// Calls that may have been billed without an answer.
    pub possibly_billed: PossiblyBilled,
    /// Why rows failed, the most frequent first.
    pub causes: Vec<Cause>,
    /// The models that gave the results of this part of the run, as far as their answers named them, each with how many it
    /// gave: also those of fallbacks.
    #[serde(default)]
    pub served_models: BTreeMap<String, u64>,
    /// Where the time of this part of the run went.
    pub time: MapTime,
}

/// How a run over rows ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum MapStatus {
    /// Every row has ended.
    Finished,
    /// It can be resumed.
    Stopped,
    /// It was cancelled for good.
    Cancelled,
}

/// Calls that may have been billed without an answer, and the most that they may have cost.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PossiblyBilled {
    /// How many.
    pub calls: u64,
    /// The most that they may have cost; `null` if that is not known.
    pub most_usd_micros: Option<u64>,
    /// The first hundred rows that they were for.
    pub rows: Vec<u64>,
}

/// Rows that failed for the same reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Cause {
    /// A short name.
    pub error: String,
    /// How many rows.
    pub rows: u64,
    /// The first of them.
    pub first_row: u64,
    /// What was said of it.
    pub message: String,
}

/// Where the time of a run went.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct MapTime {
    /// From the beginning to the end, in milliseconds.
    pub wall_ms: u64,
    /// Each phase's time, added up over all rows, in milliseconds.
    pub phases_ms: Vec<(Phase, u64)>,
    /// What took most of it.
    pub bottleneck: Option<Phase>,
    /// What would help.
    pub advice: Option<String>,
}

impl MapTime {
    pub(super) fn new(spent: &TimeSpent) -> Self {
        let millis = |took: Duration| u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        Self {
            wall_ms: millis(spent.wall),
            phases_ms: PHASES.into_iter().zip(spent.phases.map(millis)).collect(),
            bottleneck: spent.bottleneck(),
            advice: spent.advice(),
        }
    }
}

/// What the store knows of lost calls and failures, beside the sums.
pub(super) async fn details(
    run: &Run,
    tally: &Tally,
) -> Result<(PossiblyBilled, Vec<Cause>), antiphon_store::Error> {
    let mut possibly = PossiblyBilled {
        calls: tally.possibly_billed,
        most_usd_micros: (tally.unbounded == 0).then_some(tally.possible),
        rows: Vec::new(),
    };
    if tally.possibly_billed > 0 {
        possibly.rows = run.possibly_billed(100).await?;
    }
    Ok((possibly, causes(run).await?))
}

/// Why rows of a run failed, the most frequent reason first.
///
/// # Errors
/// Where the journal cannot be read.
///
/// # Cancel safety
/// Nothing is changed, so nothing is lost.
pub async fn causes(run: &Run) -> Result<Vec<Cause>, antiphon_store::Error> {
    let mut causes: BTreeMap<String, Cause> = BTreeMap::new();
    let mut pages = run.failed();
    loop {
        let jobs = pages.next().await?;
        if jobs.is_empty() {
            break;
        }
        for job in jobs {
            let (error, message) = job.error.unwrap_or_default();
            let new = || Cause { error: error.clone(), rows: 0, first_row: job.index, message };
            causes.entry(error.clone()).or_insert_with(new).rows += 1;
        }
    }
    let mut causes: Vec<Cause> = causes.into_values().collect();
    causes.sort_by_key(|cause| std::cmp::Reverse(cause.rows));
    Ok(causes)
}

/// A stop's name and sentence.
pub(super) fn stop_reason(stop: &StopCause) -> (String, String) {
    (stop.name().to_owned(), stop.to_string())
}

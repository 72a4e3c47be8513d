//! The report of a run over rows, as it is written to `run.json`.
//!
//! Most counts are those of the whole run, in all processes, and come from the store. A few are those of the part of
//! the run since its latest start, because the store does not keep them: `cached`, `time` and `ended_at`. The counts of
//! `served_models`, `finish_reasons` and `marked_answers` are carried over from one report to the next. A finished run that is started again keeps its earlier
//! report.

use std::collections::BTreeMap;
use std::time::Duration;

use antiphon_llm::SamplingParams;
use antiphon_store::{Run, Tally};
use serde::{Deserialize, Serialize};

use crate::remarks::RunWarning;
use crate::time_spent::TimeSpent;
use crate::{PHASES, Phase, StopCause};

/// The minimum wall-clock time of a run for which its bottleneck is worth reporting.
pub const LONG_RUN: Duration = Duration::from_secs(5);

/// The report of a run over rows, which is written to `run.json`: counts, usage, cost, causes of failures, and the time by phase.
/// Unknown values are `null`.
///
/// For a run that is in progress or was stopped by a crash, which has no report yet, use [`RunInfo`](crate::RunInfo) or
/// [`RunSummary`](crate::RunSummary).
///
/// The JSON form, shortened:
/// ```json
/// {
///   "schema": "antiphon.map/1", "run_id": "…", "status": "stopped",
///   "stopped_by": ["budget", "the budget is used up: …"],
///   "rows": 3, "rows_are_all": true, "accepted": 1, "failed": 1, "left": 1, "cost_usd_micros": 150,
///   "possibly_billed": {"calls": 0, "most_usd_micros": 0, "rows": []},
///   "causes": [{"error": "refused", "rows": 1, "first_row": 1, "message": "…"}],
///   "time": {"wall_ms": 5120, "phases_ms": [["queue", 12]], "bottleneck": "stream", "advice": "…"}
/// }
/// ```
#[derive(Debug, Clone, Serialize, Deserialize)]
#[non_exhaustive]
pub struct MapReport {
    /// Always `antiphon.map/1`.
    pub schema: String,
    /// The run's id.
    pub run_id: String,
    /// The status at the end.
    pub status: MapStatus,
    /// The cause of an early end: a short name, and a sentence.
    pub stopped_by: Option<(String, String)>,
    /// The recipe's name.
    pub recipe: String,
    /// The provider's short name.
    pub provider: String,
    /// The provider's base URL, if it has one.
    pub base_url: Option<String>,
    /// The requested model.
    pub model: String,
    /// The sampling parameters, of the recipe and of the configuration. All are `null` in reports of earlier versions.
    #[serde(default)]
    pub parameters: SamplingParams,
    /// The name of the input, such as its path.
    pub input: String,
    /// The run's fingerprint, which is the same for the same recipe, rows, model and provider.
    pub fingerprint: String,
    /// The time at which this part of the run ended: RFC 3339, in UTC.
    pub ended_at: String,
    /// Rows that were read: the sum of `accepted`, `failed` and `left`. After an early stop the input may have further
    /// ones, in which case `rows_are_all` is false.
    pub rows: u64,
    /// Whether the whole input was read. True in reports of earlier versions, which did not have the field.
    #[serde(default = "read_whole")]
    pub rows_are_all: bool,
    /// Rows with a result.
    pub accepted: u64,
    /// Rows that failed for good.
    pub failed: u64,
    /// Rows that have not ended yet.
    pub left: u64,
    /// Results of this part of the run that came from the cache or from an equal prompt.
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
    /// The cost of all calls, in millionths of a US dollar; `null` if a price is not known.
    pub cost_usd_micros: Option<u64>,
    /// Calls without an answer that were possibly billed.
    pub possibly_billed: PossiblyBilled,
    /// The causes of failed rows, the most frequent first.
    pub causes: Vec<Cause>,
    /// The models that produced the results, fallbacks included, each with the number of its results, as far as the
    /// answers named them. Counts of earlier parts of the run are included if those parts left a report. At most 32
    /// models are counted.
    #[serde(default)]
    pub served_models: BTreeMap<String, u64>,
    /// The providers' own words for the end of each row's last answer, such as `stop` or `MAX_TOKENS`, each with the number of
    /// rows, failed ones included. At most 32 words are counted.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub finish_reasons: BTreeMap<String, u64>,
    /// The results whose answer has a remark, by the name of the [`AnswerMark`](antiphon_llm::AnswerMark): JSON that is complete
    /// although its answer has no natural end, or that was only in the model's reasoning.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub marked_answers: BTreeMap<String, u64>,
    /// Elements that were left out of the lists of results, counted as `served_models` are: those beyond `maxItems`, and copies
    /// in a list with `uniqueItems`.
    #[serde(default)]
    pub elements_left_out: u64,
    /// The personal data (PII) that was removed from the input, with what was possibly missed, as the caller reported it in
    /// [`Mapping::anonymised`](crate::Mapping::anonymised); left out if nothing was to be removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anonymised: Option<serde_json::Value>,
    /// The parts of the schema that the provider did not enforce, as JSON pointers; `[""]` if it enforced none of it. Answers are
    /// always checked against the whole schema.
    #[serde(default)]
    pub weakened: Vec<String>,
    /// Warnings: whatever was not as was requested in calls that were answered, such as a prompt that the server has probably cut.
    #[serde(default)]
    pub warnings: Vec<RunWarning>,
    /// The time of this part of the run, by phase.
    pub time: MapTime,
}

/// The value of a report of an earlier version.
fn read_whole() -> bool {
    true
}

/// The status of a run over rows at its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum MapStatus {
    /// Every row has ended, with a result or as failed.
    Finished,
    /// The run stopped early, and can be resumed.
    Stopped,
    /// The run was cancelled for good: it cannot be resumed.
    Cancelled,
}

/// The possibly billed calls of a run: calls without an answer, and the most that they may have cost.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PossiblyBilled {
    /// The number of calls.
    pub calls: u64,
    /// The most that they may have cost in millionths of a US dollar; `null` if that is not known.
    pub most_usd_micros: Option<u64>,
    /// The indices of the first 100 rows that they were for.
    pub rows: Vec<u64>,
}

/// A cause of failed rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Cause {
    /// The short name of the error.
    pub error: String,
    /// The number of rows.
    pub rows: u64,
    /// The index of the first of them, from 0.
    pub first_row: u64,
    /// The error message of that row.
    pub message: String,
}

/// The time of a run, by phase.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct MapTime {
    /// The wall-clock time in milliseconds.
    pub wall_ms: u64,
    /// The time of each phase in milliseconds, summed over all rows.
    pub phases_ms: Vec<(Phase, u64)>,
    /// The phase that decided how long the run took; `null` before any job has ended.
    pub bottleneck: Option<Phase>,
    /// A sentence of advice on how to relieve the bottleneck; `null` if there is none.
    pub advice: Option<String>,
}

impl MapTime {
    /// Converts the time of this process, rounded down to milliseconds.
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

/// Reads the possibly billed calls and the causes of failures from the store. The most that the calls may have cost is
/// unknown as soon as one of them has no bound.
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

/// Returns the causes of a run's failed rows, the most frequent first.
///
/// Failed rows are grouped by the short name of their error. The rows themselves, with their errors, are in the file of failed
/// rows. Causes with equally many rows are in alphabetical order. The run is read a page at a time.
///
/// # Errors
/// The store's error, if the run cannot be read.
///
/// # Cancel safety
/// A dropped call changes nothing.
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

/// Returns the short name and the message of a stop, for [`MapReport::stopped_by`].
pub(super) fn stop_reason(stop: &StopCause) -> (String, String) {
    (stop.name().to_owned(), stop.to_string())
}
